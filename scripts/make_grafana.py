"""Writes the "LLM Costs" dashboard with Grafana's typed builders. `--check` compares only.

Needs `pip install --group grafana`. The labels of both styles of metric names match: with suffixes (Prometheus 3, the
Collector's and our own scrape endpoint) and without (Mimir's default).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    common,
    dashboard,
    piechart,
    prometheus,
    stat,
    table,
    tempo,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.piechart import PieChartLegendValues, PieChartType
from grafana_foundation_sdk.models.tempo import MetricsQueryType, SearchTableType

FILE = Path(__file__).resolve().parent.parent / "hexr_instrument/report/grafana/files/dashboards/hexr-llm-costs.json"
UID = "hexr-llm-costs"
"""Stable within a major version, as names of metrics and attributes are."""
METRICS = models.DataSourceRef(type_val="prometheus", uid="${metrics}")
TRACES = models.DataSourceRef(type_val="tempo", uid="${traces}")
TYPE_INPUT = 'gen_ai_token_type="input"'
VARIABLES = {
    "tenant": "hexr_agent_tenant",
    "agent": "hexr_agent_name",
    "role": "hexr_agent_role",
    "provider": "gen_ai_provider_name",
    "model": "gen_ai_request_model",
}
# "" too: a call without a tenant is a call.
ONLY = ",".join(f'{label}=~"${{{name}:regex}}"' for name, label in VARIABLES.items())
CALLS = "hexr_llm_calls(_total)?"
COST = "hexr_llm_cost_usd(_total)?"
TOKENS = "gen_ai_client_token_usage_sum"
SECONDS = "gen_ai_client_operation_duration(_seconds)?"
FIRST = "gen_ai_client_operation_time_to_first_chunk(_seconds)?"
BUDGET = "hexr_llm_budget_exceeded(_total)?"
USED = "hexr_llm_budget_used(_ratio)?"
CACHED = "hexr_llm_cached_tokens(_total)?"


def series(name: str, *labels: str) -> str:
    """A selector for one metric in both styles, of the calls that the variables choose."""
    return "{" + ",".join((f'__name__=~"{name}"', ONLY, *labels)) + "}"


def grown(name: str, by: str, *labels: str, over: str = "$__range", offset: str = "", earlier: str = "") -> str:
    """How much a counter grew, by labels: the last sample of each process less the one before the range.

    Unlike `increase()` it does not lose the first sample of a series, which is all that a short process has. Only a series
    that began anew in the range (a scraped page of a program that was restarted) is left to `increase()`.

    Args:
        name: The metric, without its style.
        by: Labels, separated by commas; empty: all together.
        labels: Further conditions.
        over: The range.
        offset: How long before now the range ends, as PromQL writes it.
        earlier: Where the range begins, as an age; by default `over`. The last sample in a day before counts.
    """
    grouped = f"sum by ({by}) " if by else "sum "
    chosen = series(name, *labels)
    inside = f"{chosen}[{over}]{offset}"
    last = f"last_over_time({inside})"
    before = f"last_over_time({chosen}[1d] offset {earlier or over})"
    return f"{grouped}(({last} - ({before} or 0 * {last})) unless resets({inside}) > 0 or increase({inside}))"


def stepped(name: str, by: str, *labels: str) -> str:
    """How much a counter grew in each step of a chart: the bars add up to the figure above them."""
    return grown(name, by, *labels, over="$__interval")


def rate(name: str, by: str, *labels: str) -> str:
    """How fast a counter grows, by labels."""
    return f"sum by ({by}) (rate({series(name, *labels)}[$__rate_interval]))"


def quantile(of: float, name: str, by: str = "") -> str:
    """A quantile of a histogram over the dashboard's steps."""
    return f"histogram_quantile({of}, {rate(f'{name}_bucket', ','.join(filter(None, ('le', by))))})"


def query(expression: str, legend: str = "", ref: str = "A", *, instant: bool = False) -> Any:
    """A query of metrics."""
    made = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(ref).datasource(METRICS)
    if instant:
        return made.instant().format("table") if legend == "" else made.instant()
    return made.range()


def panel(
    kind: Any, title: str, about: str, *queries: Any, unit: str = "short", width: int = 12, height: int = 8
) -> Any:
    """A panel on metrics; `about` says what it counts, and how exact it is."""
    made = kind.title(title).description(about).datasource(METRICS).unit(unit).height(height).span(width)
    for each in queries:
        made = made.with_target(each)
    return made


def variable(name: str, label: str) -> Any:
    """A filter; "All" matches calls without the label too."""
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .query(f'label_values({{__name__=~"{CALLS}"}}, {label})')
        .datasource(METRICS)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def spans(query_: str, ref: str = "A", *, instant: bool = False) -> Any:
    """A TraceQL query; of metrics over time, or `instant`: of the whole range."""
    made = tempo.Dataquery().query(query_).query_type("traceql").ref_id(ref).datasource(TRACES)
    return made.metrics_query_type(MetricsQueryType.INSTANT) if instant else made


def legend(*calculated: str) -> common.VizLegendOptions:
    """Which line is whose, below a chart; without it Grafana's builders show none. `calculated`: figures beside each name."""
    shown = common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).placement(kinds.LegendPlacement.BOTTOM)
    return shown.show_legend(True).calcs(list(calculated))


def lines(made: Any) -> Any:
    """A chart of rates or quantiles: a program that calls once in a while has points, joined over an hour without calls."""
    return (
        made.legend(legend())
        .tooltip(every())
        .show_points(kinds.VisibilityMode.AUTO)
        .point_size(4)
        .span_nulls(3_600_000.0)
        .min(0)
    )


def stacks(made: Any) -> Any:
    """A chart of bars that add up."""
    return (
        made.legend(legend("sum"))
        .tooltip(every())
        .draw_style(kinds.GraphDrawStyle.BARS)
        .fill_opacity(70)
        .stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    )


def every() -> common.VizTooltipOptions:
    """All series of a moment, the greatest first."""
    return common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)


def ring(title: str, about: str, asked: Any, unit: str) -> Any:
    """A ring of models with their shares."""
    shares = [PieChartLegendValues.VALUE, PieChartLegendValues.PERCENT]
    table_ = piechart.PieChartLegendOptions().display_mode(kinds.LegendDisplayMode.TABLE)
    return (
        panel(piechart.Panel(), title, about, asked, unit=unit, width=6)
        .pie_type(PieChartType.DONUT)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .legend(table_.placement(kinds.LegendPlacement.BOTTOM).show_legend(True).values(shares))
    )


def columns(*names: tuple[str, str]) -> Any:
    """Joins the queries of a table by their labels and names the columns."""
    return [
        models.DataTransformerConfig(id_val="merge", options={}),
        models.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True},
                "indexByName": {name: at for at, (name, _) in enumerate(names)},
                "renameByName": dict(names),
            },
        ),
    ]


def tabled(made: Any, *names: tuple[str, str]) -> Any:
    """A table panel with these columns."""
    for each in columns(*names):
        made = made.with_transformation(each)
    return made.filterable(True).footer(common.TableFooterOptions().show(False).reducer([]).count_rows(False))


def build() -> dashboard.Dashboard:
    """The dashboard: the five panels that matter most, then who spent it, then quality."""
    percentiles = [
        query(quantile(of, SECONDS), f"p{int(of * 100)}", ref) for of, ref in ((0.5, "A"), (0.95, "B"), (0.99, "C"))
    ]
    failed, unpriced = 'error_type!=""', 'hexr_llm_cost_status="unpriced"'
    errors = f"({rate(CALLS, 'gen_ai_provider_name', failed)} or 0 * {rate(CALLS, 'gen_ai_provider_name')})"
    leaf = "hexr_agent_tenant,hexr_agent_name,hexr_agent_role,gen_ai_request_model"
    pair = "gen_ai_provider_name,gen_ai_request_model"
    cents = "The last sample of each process less the one before the range: short processes count in full."
    everyday = "hexr_agent_name,gen_ai_request_model"
    today = grown(COST, everyday, over="24h")
    yesterday = grown(COST, everyday, over="24h", offset=" offset 24h", earlier="48h")
    doubled = f"({today} > 2 * ({yesterday} or 0 * {today}))"
    read = f"({grown(CACHED, '')} or vector(0))"
    exact = (
        "The sum of hexr.llm.cost_usd over spans: exact where no span is sampled away; needs a Tempo. Of all calls: the"
        " filters above are of metrics. "
    )
    one = (
        dashboard.Dashboard("LLM Costs")
        .uid(UID)
        .description("What LLM calls cost, and who spent it. Made by hexr-instrument.")
        .tags(["hexr", "llm", "cost"])
        .refresh("30s")
        .time("now-24h", "now")
        .timezone("utc")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("metrics").label("Metrics").type("prometheus"))
        .with_variable(dashboard.DatasourceVariable("traces").label("Traces").type("tempo"))
    )
    for name, label in VARIABLES.items():
        one = one.with_variable(variable(name, label))
    figures = [
        (
            "Cost",
            "currencyUSD",
            grown(COST, ""),
            "What the calls of this range cost, of those with a known price. " + cents,
        ),
        ("Calls", "short", grown(CALLS, ""), "Billed requests, failed and unpriced ones too."),
        (
            "Tokens",
            "short",
            grown(TOKENS, ""),
            "Input and output; input includes cached tokens, output includes reasoning.",
        ),
        (
            "Error rate",
            "percentunit",
            f"(({grown(CALLS, '', failed)}) or vector(0)) / {grown(CALLS, '')}",
            "Calls that failed, of all.",
        ),
        (
            "Unpriced calls",
            "short",
            f"{grown(CALLS, '', unpriced)} or vector(0)",
            "Calls whose tokens are known and whose price is not: the cost is higher than it says.",
        ),
        (
            "Cache hits",
            "percentunit",
            f"{read} / {grown(TOKENS, '', TYPE_INPUT)}",
            "Input tokens that were read from a provider's cache, of all input tokens.",
        ),
        ("Over budget", "short", f"({grown(BUDGET, '')}) or vector(0)", "Calls made although a soft budget was spent."),
    ]
    one = one.with_row(dashboard.Row("Overview"))
    for at, (title, unit, expression, about) in enumerate(figures):
        width = 4 if at < 3 else 3
        one = one.with_panel(
            panel(stat.Panel(), title, about, query(expression, title, instant=True), unit=unit, width=width, height=4)
            .graph_mode(kinds.BigValueGraphMode.NONE)
            .no_value("0")
        )
    return (
        one.with_panel(
            stacks(
                panel(
                    timeseries.Panel(),
                    "Token usage over time",
                    "Tokens of each bar's stretch of time, input and output; the bars add up to the figure above.",
                    query(stepped(TOKENS, "gen_ai_token_type"), "{{gen_ai_token_type}}").interval("1m"),
                    unit="short",
                )
            )
        )
        .with_panel(
            panel(
                barchart.Panel(),
                "Cost per tenant",
                cents,
                query(f"sort_desc({grown(COST, 'hexr_agent_tenant')})", instant=True),
                unit="currencyUSD",
            )
            .orientation(kinds.VizOrientation.HORIZONTAL)
            .x_field("hexr_agent_tenant")
        )
        .with_panel(
            ring(
                "Model distribution by calls",
                "Calls by the model that was asked for.",
                query(grown(CALLS, "gen_ai_request_model"), "{{gen_ai_request_model}}", instant=True),
                "short",
            )
        )
        .with_panel(
            ring(
                "Model distribution by cost",
                cents,
                query(grown(COST, "gen_ai_request_model"), "{{gen_ai_request_model}}", instant=True),
                "currencyUSD",
            )
        )
        .with_panel(
            lines(
                panel(
                    timeseries.Panel(),
                    "Latency p50, p95, p99",
                    "From the start of a request to its last byte; interpolated between the buckets of the conventions.",
                    *percentiles,
                    unit="s",
                )
            )
        )
        .with_panel(
            lines(
                panel(
                    timeseries.Panel(),
                    "Error rate by provider",
                    "Failed calls of all calls.",
                    query(f"{errors} / {rate(CALLS, 'gen_ai_provider_name')}", "{{gen_ai_provider_name}}"),
                    unit="percentunit",
                )
            )
        )
        .with_panel(
            stacks(
                panel(
                    timeseries.Panel(),
                    "Cost over time by agent",
                    "USD of each bar's stretch of time. " + cents,
                    query(stepped(COST, "hexr_agent_name"), "{{hexr_agent_name}}").interval("1m"),
                    unit="currencyUSD",
                )
            )
        )
        .with_row(dashboard.Row("Who spent it"))
        .with_panel(
            tabled(
                panel(
                    table.Panel(),
                    "Cost by agent, role and model",
                    cents,
                    query(grown(COST, leaf), instant=True),
                    query(grown(CALLS, leaf), ref="B", instant=True),
                    query(grown(TOKENS, leaf), ref="C", instant=True),
                    width=24,
                    height=10,
                ),
                ("hexr_agent_name", "Agent"),
                ("hexr_agent_tenant", "Tenant"),
                ("hexr_agent_role", "Role"),
                ("gen_ai_request_model", "Model"),
                ("Value #A", "Cost"),
                ("Value #B", "Calls"),
                ("Value #C", "Tokens"),
            )
            .sort_by([common.TableSortByFieldState().display_name("Cost").desc(True)])
            .override_by_name("Cost", [models.DynamicConfigValue(id_val="unit", value="currencyUSD")])
            .override_by_name("Agent", [models.DynamicConfigValue(id_val="links", value=[drill()])])
        )
        .with_panel(
            tabled(
                panel(
                    table.Panel(),
                    "Doubled since yesterday",
                    "Agents and models whose cost of the last 24 hours is more than twice that of the 24 hours before, new"
                    " ones too.",
                    query(f"sort_desc({doubled})", instant=True),
                    query(f"({yesterday} or 0 * {today}) and {doubled}", ref="B", instant=True),
                    unit="currencyUSD",
                ),
                ("hexr_agent_name", "Agent"),
                ("gen_ai_request_model", "Model"),
                ("Value #A", "Last 24 h"),
                ("Value #B", "24 h before"),
            )
            .override_by_name("Agent", [models.DynamicConfigValue(id_val="links", value=[drill()])])
            .no_value("nothing doubled")
        )
        .with_panel(
            panel(
                bargauge.Panel(),
                "Budget use",
                "The share of each budget that is spent, as any process has said in the last hour; 100 %: all of it. Hard"
                " budgets refuse calls from there on.",
                query(
                    f'max by (hexr_llm_budget_name) (last_over_time({{__name__=~"{USED}"}}[1h]))',
                    "{{hexr_llm_budget_name}}",
                    instant=True,
                ),
                unit="percentunit",
            )
            .orientation(kinds.VizOrientation.HORIZONTAL)
            .display_mode(kinds.BarGaugeDisplayMode.GRADIENT)
            .name_placement(kinds.BarGaugeNamePlacement.TOP)
            .min(0)
            .max(1)
            .thresholds(
                dashboard.ThresholdsConfig()
                .mode(models.ThresholdsMode.ABSOLUTE)
                .steps(
                    [
                        models.Threshold(value=None, color="green"),
                        models.Threshold(value=0.8, color="orange"),
                        models.Threshold(value=1.0, color="red"),
                    ]
                )
            )
            .no_value("no budgets")
        )
        .with_panel(
            panel(stat.Panel(), "Cost, exact, from traces", exact, unit="currencyUSD", width=6)
            .datasource(TRACES)
            .with_target(spans("{ span.hexr.llm.cost_usd > 0 } | sum_over_time(span.hexr.llm.cost_usd)", instant=True))
            .graph_mode(kinds.BigValueGraphMode.NONE)
            .no_value("no Tempo")
        )
        .with_panel(
            panel(
                bargauge.Panel(),
                "Cost by agent and model, exact, from traces",
                exact + "Longer ranges than Tempo's max_duration come from metrics.",
                unit="currencyUSD",
                width=18,
            )
            .datasource(TRACES)
            .with_target(
                spans(
                    "{ span.hexr.llm.cost_usd > 0 } | sum_over_time(span.hexr.llm.cost_usd)"
                    " by (span.hexr.agent.name, span.gen_ai.request.model)",
                    instant=True,
                )
            )
            .orientation(kinds.VizOrientation.HORIZONTAL)
            .no_value("no Tempo")
        )
        .with_panel(
            stacks(
                panel(
                    timeseries.Panel(),
                    "Cost per tenant, exact, from traces",
                    exact + "Looks back a day unless Tempo's query_frontend.metrics.max_duration is raised.",
                    unit="currencyUSD",
                )
                .datasource(TRACES)
                .no_value("no Tempo")
                .with_target(
                    spans(
                        "{ span.hexr.llm.cost_usd > 0 } | sum_over_time(span.hexr.llm.cost_usd) by (span.hexr.agent.tenant)"
                    )
                )
            )
        )
        .with_panel(
            panel(
                table.Panel(),
                "Dearest calls, from traces",
                "Spans of more than a cent, whatever the filters above say; a row leads to its trace.",
                width=12,
            )
            .datasource(TRACES)
            .no_value("no Tempo")
            .with_target(
                spans(
                    "{ span.hexr.llm.cost_usd > 0.01 } | select(span.hexr.agent.name, span.hexr.agent.role,"
                    " span.gen_ai.request.model, span.hexr.llm.cost_usd)"
                ).table_type(SearchTableType.SPANS)
            )
        )
        .with_row(dashboard.Row("Comparing providers"))
        .with_panel(
            tabled(
                panel(
                    table.Panel(),
                    "Provider comparison",
                    "For the agent and role that the filters choose: cost per call, p95 latency, error rate.",
                    query(grown(CALLS, pair), instant=True),
                    query(f"{grown(COST, pair)} / {grown(CALLS, pair)}", ref="B", instant=True),
                    query(
                        f"histogram_quantile(0.95, {grown(f'{SECONDS}_bucket', f'le,{pair}')})", ref="C", instant=True
                    ),
                    query(
                        f"({grown(CALLS, pair, failed)} or 0 * {grown(CALLS, pair)}) / {grown(CALLS, pair)}",
                        ref="D",
                        instant=True,
                    ),
                    width=24,
                ),
                ("gen_ai_provider_name", "Provider"),
                ("gen_ai_request_model", "Model"),
                ("Value #A", "Calls"),
                ("Value #B", "Cost per call"),
                ("Value #C", "p95"),
                ("Value #D", "Error rate"),
            )
            .override_by_name("Cost per call", [models.DynamicConfigValue(id_val="unit", value="currencyUSD")])
            .override_by_name("p95", [models.DynamicConfigValue(id_val="unit", value="s")])
            .override_by_name("Error rate", [models.DynamicConfigValue(id_val="unit", value="percentunit")])
        )
        .with_panel(
            lines(
                panel(
                    timeseries.Panel(),
                    "Time to first chunk, p95",
                    "Of streams, by model.",
                    query(quantile(0.95, FIRST, "gen_ai_request_model"), "{{gen_ai_request_model}}"),
                    unit="s",
                )
            )
        )
        .with_panel(
            stacks(
                panel(
                    timeseries.Panel(),
                    "Unpriced and partial calls",
                    "Calls of each bar's stretch of time whose cost is unknown, or known as a lower bound only.",
                    query(
                        stepped(CALLS, "hexr_llm_cost_status", 'hexr_llm_cost_status=~"unpriced|partial|no_usage"'),
                        "{{hexr_llm_cost_status}}",
                    ).interval("1m"),
                ).no_value("none")
            )
        )
    )


def drill() -> dict[str, Any]:
    """A link from an agent to its traces: Explore's panes as JSON, all of it percent-encoded.

    Grafana puts its variables in afterwards, so they stay as they are, and names are encoded by the variable's format.
    """
    query = {
        "refId": "A",
        "datasource": {"type": "tempo", "uid": "${traces}"},
        "queryType": "traceql",
        "query": '{ span.hexr.agent.name = "${__value.raw:percentencode}" && span.gen_ai.operation.name != nil }',
    }
    panes = {
        "traces": {
            "datasource": "${traces}",
            "queries": [query],
            "range": {"from": "${__from}", "to": "${__to}"},
        }
    }
    text = json.dumps(panes, separators=(",", ":"))
    # What is between the variables is encoded; `quote` would take their braces, too.
    encoded = re.sub(r"\$\{[^}]*\}|[^$]+|\$", lambda part: part[0] if part[0][:2] == "${" else quote(part[0]), text)
    return {"title": "Traces of this agent", "url": f"/explore?schemaVersion=1&panes={encoded}"}


def main() -> int:
    """Writes or compares."""
    text = JSONEncoder(sort_keys=True, indent=2).encode(build().build()) + "\n"
    if "--check" in sys.argv[1:]:
        if FILE.read_text() != text:
            sys.stderr.write(f"{FILE} is not what scripts/make_grafana.py makes: run it\n")
            return 1
        return 0
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
