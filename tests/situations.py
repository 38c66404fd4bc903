"""The situations in which agents are known to break programs or lose data, and the tests that prove each here.

A pytest plugin: `pytest --situations` writes docs/situations.md from what has passed, in one run or in several.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "situations.md"


@dataclass(frozen=True)
class Situation:
    """One row of the table."""

    number: int
    situation: str
    expected: str
    tests: str = ""
    """`file::function` of each test, without their `test_`, separated by spaces."""
    reason: str = ""
    """Why there is none."""


SITUATIONS = (
    Situation(
        1,
        "`hexr-instrument python -c`/`-m`/script/stdin/zipapp",
        "on; sys.argv, sys.path[0], `__main__`, rc equal to the plain run",
        "launch::a_program_sees_no_launcher",
    ),
    Situation(2, "unknown command", "rc 127, one line; not executable: 126", "launch::what_cannot_run_is_one_line"),
    Situation(3, "`-S`, `-E`, `-I`", "off, program output identical, no stderr", "boot::isolation_is_respected"),
    Situation(4, "`-P`/PYTHONSAFEPATH=1", "cwd not importable", "launch::a_safe_path_stays_safe"),
    Situation(
        5,
        "cwd has `random.py`, `platform.py`, `typing.py`, `logging.py`",
        "not executed before main, agent on",
        "boot::modules_of_the_working_directory_are_not_executed",
    ),
    Situation(
        6,
        "user's sitecustomize on PYTHONPATH",
        "runs once, `sys.modules['sitecustomize']` is theirs",
        "boot::the_users_sitecustomize_runs_as_without_us",
    ),
    Situation(7, "Debian/Ubuntu's own sitecustomize", "still runs", "boot::the_users_sitecustomize_runs_as_without_us"),
    Situation(
        8,
        "user's sitecustomize raises",
        "same two stderr lines as without us, agent on",
        "boot::the_users_sitecustomize_runs_as_without_us",
    ),
    Situation(9, "usercustomize present", "runs after, unchanged", "boot::usercustomize_is_unaffected"),
    Situation(
        10,
        "child is Python 2.7/3.6/3.8, or a venv without us",
        "silent, no traceback",
        "boot::another_python_starts_as_without_us launch::a_python_without_us_is_said_once",
    ),
    Situation(
        11,
        "a foreign Python",
        "no site-packages of ours or of any venv lands on its sys.path",
        "boot::another_python_starts_as_without_us",
    ),
    Situation(
        12,
        "package half-installed (missing file, syntax error injected)",
        "program runs, silent",
        "boot::a_half_installed_package_is_silent boot::a_package_without_its_libraries_is_silent",
    ),
    Situation(
        13,
        "exception, SystemExit, RecursionError, MemoryError injected into start",
        "program runs",
        "boot::a_half_installed_package_is_silent",
    ),
    Situation(
        14,
        "gunicorn, uvicorn (+reload, +workers), celery, streamlit, jupyter kernel, pytest (+xdist)",
        "one LLM span per call, each from the right pid",
        "servers::a_web_server_that_is_stopped_has_delivered_every_call servers::a_celery_worker_that_is_stopped_has_delivered_every_call company::pytest_and_its_workers_are_recorded launch::children_of_the_program_are_recorded",
    ),
    Situation(15, "PyInstaller binary with our env", "works, off", "company::a_frozen_program_runs_as_without_us"),
    Situation(16, "subinterpreter / InterpreterPoolExecutor", "no stderr", "boot::a_subinterpreter_is_silent"),
    Situation(
        17,
        "wheel",
        "no top-level `sitecustomize` in RECORD; plain python has none loaded; editable install works and sees edits",
        "packaging::the_wheel_has_what_is_needed_and_nothing_else packaging::an_installed_wheel_loads_nothing_by_itself packaging::an_editable_install_copies_nothing",
    ),
    Situation(
        18,
        "two distros installed, any directory order",
        "ours under hexr-instrument, no WARNING lines",
        "boot::stock_opentelemetry_instrument_loads_us",
    ),
    Situation(
        19,
        "stock opentelemetry-instrument + our entry points",
        "LLM spans in its provider, none doubled",
        "boot::stock_opentelemetry_instrument_loads_us boot::stock_opentelemetry_instrument_prints_a_call",
    ),
    Situation(
        20,
        "ddtrace-run / newrelic-admin around or inside",
        "both work, spans once each",
        "company::another_agent_and_ours_live_together",
    ),
    Situation(
        21,
        "operator order (OTel's dir first)",
        "documented; with entry points on",
        "company::the_operators_order_loads_us",
    ),
    Situation(
        22,
        "k8s layout: app pins older protobuf/urllib3/typing_extensions",
        "the app's versions are imported",
        "injected::an_injected_program_is_recorded_with_its_own_libraries injected::where_the_libraries_do_not_fit_the_program_runs_as_without_us",
    ),
    Situation(
        23,
        "`HEXR_DISABLED=1`, `OTEL_SDK_DISABLED=true`",
        "no thread, no patch, no OTel import",
        "boot::switched_off_is_off upgrade::switched_off_everything_works_and_nothing_is_written",
    ),
    Situation(
        24,
        "start-up",
        "<= 10 ms CPU without an LLM import; no thread, no socket, no file",
        "boot::an_interpreter_start_loads_nothing_but_the_finder boot::an_interpreter_start_writes_nothing",
    ),
    Situation(
        25,
        "`random.seed(42)`, also numpy's",
        "the same sequence with and without us; trace ids differ between runs",
        "boot::the_programs_random_numbers_are_its_own delivery::delivery_leaves_the_programs_random_alone",
    ),
    Situation(
        26,
        "user sets TracerProvider after us",
        "theirs is global, their exporter gets their spans, ours gets ours, no warning",
        "tracer_providers::the_programs_own_provider_stays_global_and_gets_our_span_once",
    ),
    Situation(
        27,
        "user set it before us (late instrument())",
        "reused, not replaced, not shut down by us",
        "tracer_providers::the_programs_own_provider_stays_global_and_gets_our_span_once",
    ),
    Situation(
        28,
        "logging config (`basicConfig`, `disable_existing_loggers`), `warnings` filters, `-W error`",
        "identical behaviour",
        "boot::the_programs_warnings_are_its_own unchanged::a_probe_finds_what_it_finds_without_us",
    ),
    Situation(
        29,
        "`os.fork()` before and after LLM calls on 3.12+",
        "no DeprecationWarning",
        "company::a_fork_before_any_call_warns_of_nothing exits::a_fork_finds_no_thread_of_ours",
    ),
    Situation(
        30,
        "`threading.enumerate()`, `signal.getsignal`, open fds before the first LLM call",
        "unchanged",
        "company::open_files_and_signals_are_unchanged_before_a_provider exits::no_call_means_no_thread_and_no_wait",
    ),
    Situation(
        31,
        "`inspect.signature`, `__doc__`, `__module__`, `__wrapped__`, `getsource`, type hints of patched methods",
        "as without us",
        "unchanged::a_probe_finds_what_it_finds_without_us",
    ),
    Situation(
        32,
        "pickling of patched functions, deepcopy of clients",
        "as without us",
        "unchanged::a_probe_finds_what_it_finds_without_us",
    ),
    Situation(
        33,
        "`iscoroutinefunction`, `inspect.isawaitable`",
        "as without us",
        "unchanged::a_probe_finds_what_it_finds_without_us",
    ),
    Situation(
        34,
        "an exception's type, args, `__cause__`, `__context__` and top frame",
        "as without us; at most one frame of ours in the traceback",
        "unchanged::a_probe_finds_what_it_finds_without_us surfaces::an_error_status_is_one_record",
    ),
    Situation(
        35,
        "unpatch",
        "the very same function objects; patch/import/unpatch in all orders",
        "boot::on_and_off_in_every_order boot::uninstrument_restores_the_sdks_very_own_functions",
    ),
    Situation(
        36,
        "`importlib.reload`, late import, module imported before us",
        "works or off, never broken",
        "boot::a_reload_of_a_provider_breaks_nothing",
    ),
    Situation(
        37,
        "fault injected at each internal site (before/after/chunk/pricing/queue)",
        "output identical, call made exactly once",
        "chaos::no_fault_of_ours_reaches_the_program chaos::no_fault_at_any_line_reaches_the_program",
    ),
    Situation(
        38,
        'response `usage: "n/a"`, `choices: [null]`, `message: null`, ints as strings',
        "object returned untouched, span with what is known",
        "surfaces::an_odd_answer_is_a_record_all_the_same readers::a_damaged_exchange_is_read_without_fault",
    ),
    Situation(
        39,
        "stream chunks `choices: null`, `delta: null`, `index: null`, unknown type",
        "all chunks delivered",
        "readers::a_damaged_exchange_is_read_without_fault",
    ),
    Situation(
        40,
        "`isinstance`/`type` of stream, `.response`, `.close`, `with`, `.parse()`, `.headers`",
        "as unwrapped",
        "surfaces::a_surface_is_recorded_and_unchanged unchanged::a_probe_finds_what_it_finds_without_us",
    ),
    Situation(
        41,
        "message object whose `.get`/`__getattr__`/`__iter__`/`__repr__` raises or has side effects",
        "not called",
        "unchanged::a_probe_finds_what_it_finds_without_us",
    ),
    Situation(
        42,
        "any internal error",
        "the current span is the one before; the next call is traced",
        "chaos::no_fault_reaches_a_program_with_a_provider_of_its_own",
    ),
    Situation(
        43,
        "arguments given as generators/tuples/NotGiven/Omit/file handles",
        "passed through unconsumed",
        "unchanged::a_probe_finds_what_it_finds_without_us",
    ),
    Situation(
        44,
        "between two chunks",
        "`get_current_span()` is the program's own",
        "unchanged::a_probe_finds_what_it_finds_without_us",
    ),
    Situation(
        45,
        "stream consumed in another thread / task / context",
        "one span, no detach error",
        "surfaces::a_stream_is_its_opener_s_in_whichever_thread_it_is_read surfaces::a_stream_is_its_opener_s_in_whichever_task_it_is_read",
    ),
    Situation(
        46,
        "`break`, `close()`, exception in loop body, GeneratorExit, CancelledError, timeout",
        "one span, status `cancelled`/error, user's exception intact",
        "surfaces::a_stream_that_is_not_read_to_its_end_is_partial surfaces::a_cancelled_stream_is_partial",
    ),
    Situation(
        47,
        "stream abandoned, GC",
        "span ended <= next GC; HTTP response freed as without us; no reference cycle",
        "unchanged::a_probe_finds_what_it_finds_without_us",
    ),
    Situation(
        48,
        "10,000 abandoned streams",
        "no growth of memory, threads, contextvars, fds",
        "load::a_soak_of_calls_and_streams_leaves_nothing_behind",
    ),
    Situation(
        49,
        "two threads share one stream/client; 1,000 concurrent async calls",
        "no cross-talk, no lock convoy (p99 overhead <= 100 us)",
        "load::a_soak_of_calls_and_streams_leaves_nothing_behind",
    ),
    Situation(
        50,
        "nested SDK calls (parse->create, fallback libraries litellm->openai)",
        "one billable span",
        "surfaces::a_surface_is_recorded_and_unchanged",
    ),
    Situation(
        51, "provider retries (429, 500)", "one span, tokens of the final attempt", "surfaces::retries_are_one_record"
    ),
    Situation(
        52,
        "with_raw_response / with_streaming_response, sync + async",
        "same type, body readable once",
        "surfaces::a_surface_is_recorded_and_unchanged",
    ),
    Situation(
        53,
        "recursion: our exporter uses a patched HTTP client or LLM SDK",
        "suppressed, no loop",
        "tracer_providers::an_exporter_that_calls_a_model_makes_no_loop",
    ),
    Situation(
        54,
        "Pydantic",
        "no `PydanticSerializationUnexpectedValue` warning from us",
        "unchanged::a_probe_finds_what_it_finds_without_us",
    ),
    Situation(
        55,
        "fork with queued spans",
        "no loss, no duplicates; distinct service.instance.id",
        "exits::what_waits_at_a_fork_stays_the_parents",
    ),
    Situation(
        56,
        "fork in a loop from a busy multi-threaded program (200 forks; 1,000 by `make forks`)",
        "no hung child",
        "exits::forks_of_a_busy_program_hang_no_child store_file::forks_beside_a_thread_that_takes_calls_in_damage_nothing",
    ),
    Situation(
        57,
        "counters after fork",
        "sum over processes is right",
        "metrics::the_sum_over_forked_processes_is_right",
    ),
    Situation(
        58,
        "mp fork/forkserver/spawn, Pool, ProcessPoolExecutor, `terminate()`",
        "all spans ended before exit arrive",
        "exits::children_of_multiprocessing_deliver exits::a_terminated_child_delivers",
    ),
    Situation(
        59,
        "celery prefork warm/cold stop, max-tasks-per-child",
        "all spans",
        "servers::a_celery_worker_that_is_stopped_has_delivered_every_call servers::a_celery_worker_that_is_stopped_cold_keeps_every_call",
    ),
    Situation(60, "`random.seed` in each worker", "no duplicate ids", "exits::a_seed_in_each_worker_gives_no_id_twice"),
    Situation(
        61,
        "`subprocess` with preexec_fn, pty.fork, double-fork daemon",
        "works, parent not disturbed",
        "exits::a_daemon_and_a_preexec_function_work",
    ),
    Situation(
        62,
        "SIGTERM, default handler",
        "spans delivered, wait status -15, within the deadline",
        "exits::a_finished_call_is_delivered_whatever_ends_the_process",
    ),
    Situation(
        63,
        "SIGTERM under uvicorn/hypercorn/`uvicorn --workers`/gunicorn",
        "delivered",
        "servers::a_web_server_that_is_stopped_has_delivered_every_call company::hypercorn_that_is_stopped_has_delivered_every_call",
    ),
    Situation(
        64,
        "user's handler installed before or after us",
        "theirs runs once, ours never instead",
        "exits::a_finished_call_is_delivered_whatever_ends_the_process",
    ),
    Situation(
        65,
        "SIGTERM during a long C call",
        "the process ends within the budget (or HEXR_SIGNALS=off)",
        "exits::a_long_c_function_does_not_hold_the_end",
    ),
    Situation(
        66,
        "process 1 of a container",
        "not killed by us, spans delivered",
        "servers::a_container_without_a_home_and_with_a_read_only_root_delivers servers::process_1_ends_within_its_budget_while_the_collector_hangs",
    ),
    Situation(
        67,
        "SIGHUP under nohup (SIG_IGN)",
        "stays ignored",
        "exits::a_finished_call_is_delivered_whatever_ends_the_process launch::what_nohup_ignores_stays_ignored",
    ),
    Situation(
        68,
        "`sys.exit` in a thread, `os._exit`, SIGKILL, OOM, `os.execv`",
        "what had finished is on disk and leaves with the next process",
        "keep::no_way_out_loses_a_finished_call keep::calls_that_waited_for_a_collector_are_sent_by_the_next_process",
    ),
    Situation(
        69,
        "spans ended in user's atexit, `__del__` at teardown, async generator close",
        "kept",
        "exits::a_finished_call_is_delivered_whatever_ends_the_process exits::a_stream_that_the_interpreter_finalises_is_kept",
    ),
    Situation(
        70,
        "collector refused, black hole, hanging, 503, 429 with Retry-After, slow, 0 to 10,000 spans",
        "exit within the budget, nothing lost",
        "delivery::a_program_ends_within_its_budget_whatever_the_collector_does delivery::processes_share_one_exit_budget delivery::a_backend_that_asks_for_time_is_left_alone",
    ),
    Situation(71, "no LLM call made", "exit adds <= 1 ms", "exits::no_call_means_no_thread_and_no_wait"),
    Situation(
        72,
        "collector back after an hour",
        "replay in order, original times, no thundering herd; two processes drain: each file once",
        "delivery::a_backlog_is_drained_oldest_first_by_one_process_each delivery::what_a_backend_refuses_for_now_waits_and_is_sent_later keep::calls_that_waited_for_a_collector_are_sent_by_the_next_process",
    ),
    Situation(
        73,
        "full disk, read-only file system, no HOME, corrupt, truncated or foreign files, clock jump",
        "program unaffected, loss counted",
        "keep::a_full_disk_costs_the_record_and_never_the_call keep::a_store_that_cannot_be_written_costs_the_record_and_never_the_call keep::a_broken_store_is_said_once_and_costs_no_call private::a_disk_that_says_no_costs_the_record_and_never_the_call private::a_user_without_a_home_is_recorded private::a_clock_that_jumps_back_leaves_times_that_are_times private::hostile_files_in_the_store_break_no_tool",
    ),
    Situation(
        74,
        "4xx; 413; partial success; a record beyond the exporter's limit",
        "dropped and counted, no endless retry; split; counted; costs itself only",
        "delivery::what_a_backend_never_takes_is_dropped_counted_and_said delivery::a_request_that_is_too_large_goes_in_parts delivery::partial_success_is_counted delivery::a_record_that_cannot_be_encoded_costs_itself_only",
    ),
    Situation(
        75,
        "queue overflow",
        "oldest kept or dropped by policy, counted, no stderr flood",
        "load::records_that_fall_out_of_memory_are_counted",
    ),
    Situation(
        76,
        "Lambda-like freeze (SIGSTOP 10 min, SIGCONT)",
        "pending spans sent at the next event, no duplicate",
        "exits::a_frozen_process_goes_on_where_it_was",
    ),
    Situation(
        77,
        "a provider echoes the key in a 400, 401, 403 or a stream's error",
        "absent from attributes, status, events, logs, journal",
        "secrets::no_planted_secret_is_in_anything_that_is_written redact::a_secret_is_found",
    ),
    Situation(
        78,
        "key in extra_headers, extra_body, default_headers, query, base_url userinfo, model name, metadata",
        "absent",
        "secrets::no_planted_secret_is_in_anything_that_is_written redact::a_record_keeps_identities_and_models_and_nothing_else_unseen",
    ),
    Situation(
        79,
        "content off",
        "no prompt substring anywhere, incl. exceptions, tool args, tool schemas, file names",
        "secrets::no_planted_secret_is_in_anything_that_is_written",
    ),
    Situation(
        80,
        "absolute paths, argv, environment, host name",
        "in no telemetry unless asked for",
        "private::arguments_environment_and_the_machines_name_stay_here secrets::no_planted_secret_is_in_anything_that_is_written",
    ),
    Situation(
        81,
        "umask 000; symlinked or foreign directories",
        "0700 and 0600; refused",
        "private::all_files_are_the_users_alone_under_any_umask private::what_is_not_ours_gets_no_call private::a_journal_that_others_can_write_is_taken_away_from_them private::a_linked_segment_is_neither_read_nor_written store_file::a_directory_that_is_not_ours_is_refused",
    ),
    Situation(
        82,
        "the local page: `Host: evil.com`, cross-origin POST, hostile model output",
        "403; 403; inert; loopback only",
        "dashboard::a_rebound_name_is_refused dashboard::other_sites_are_refused"
        " dashboard::the_page_is_listening_on_loopback_alone"
        " dashboard::the_page_has_no_script_of_its_own_and_makes_no_markup_of_data",
    ),
    Situation(
        83,
        "OTLP headers (tokens)",
        "never on disk, in `doctor`, logs, `repr`, error texts",
        "secrets::no_planted_secret_is_in_anything_that_is_written doctor::headers_are_named_and_never_shown private::credentials_are_in_no_repr",
    ),
    Situation(
        84,
        "world-writable injection dir, setuid process",
        "agent off",
        "private::a_boot_folder_that_everybody_can_write_is_off_and_silent private::a_process_with_borrowed_rights_is_not_recorded",
    ),
    Situation(
        85,
        "redirect by the collector to another host",
        "not followed with credentials",
        "delivery::a_redirect_is_not_followed private::a_redirect_of_the_endpoint_is_not_followed",
    ),
    Situation(
        86,
        "hostile prices/config file (1 GB, deep JSON, NaN, path traversal)",
        "bounded, defaults",
        "private::hostile_settings_are_bounded private::hostile_files_in_the_store_break_no_tool",
    ),
)
HEAD = """# Situations

What agents of this kind are known to break, and what happens here. Made by the test run (`pytest --situations`): a row
says `pass` if each test that it names has passed, on the Python that made the page.

| | situation | expected | |
| --- | --- | --- | --- |
"""
_outcomes: dict[str, set[str]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--situations` writes the page."""
    parser.addoption("--situations", action="store_true", help="write docs/situations.md from this run")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remembers how each test ended, in the process that hears of all."""
    path, _, name = report.nodeid.partition("::")
    key = f"{Path(path).stem.removeprefix('test_')}::{name.partition('[')[0].removeprefix('test_')}"
    if report.failed or report.skipped or report.when == "call":
        _outcomes.setdefault(key, set()).add(report.outcome)


def rows() -> Iterator[str]:
    """The table's rows; what this run has not tried, or has skipped, stays as the page has it."""
    before = set(PAGE.read_text().splitlines()) if PAGE.exists() else set[str]()
    for each in SITUATIONS:
        tests = each.tests.split()
        passed = bool(tests) and all("passed" in _outcomes.get(test, ()) for test in tests)
        broken = any("failed" in _outcomes.get(test, ()) for test in tests)
        proof = ", ".join(f"`test_{test.replace('::', '.py::test_')}`" for test in tests)
        start = f"| {each.number} | {each.situation} | {each.expected} |"
        if not broken and (passed or f"{start} pass: {proof} |" in before):
            yield f"{start} pass: {proof} |"
        else:
            yield f"{start} {each.reason or f'not proven {proof}'} |"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes the page where that is asked for."""
    if session.config.getoption("--situations") and not hasattr(session.config, "workerinput"):
        PAGE.write_text(HEAD + "\n".join(rows()) + "\n")
