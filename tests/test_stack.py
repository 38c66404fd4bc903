"""The compose file of `hexr-instrument grafana` and what it mounts: ports, paths, hosts and names agree with each other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from hexr_instrument.report.grafana import FILES

yaml = pytest.importorskip("yaml", reason="`make grafana` runs these")
pytestmark = pytest.mark.shown
COMPONENTS = {
    "receivers": {"otlp": {"protocols"}},
    "processors": {"memory_limiter": {"check_interval", "limit_mib"}, "batch": set[str]()},
    "exporters": {"otlphttp": {"endpoint"}, "otlp": {"endpoint", "tls"}},
}
"""The Collector's components that are used, and of their documented fields those that are."""


def read(name: str) -> Any:
    """A file of the export."""
    return yaml.safe_load((FILES / name).read_text())


COMPOSE = read("compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]


def mounts(service: str) -> dict[str, str]:
    """Path in the container -> file, folder or volume."""
    return {each.split(":")[1]: each.split(":")[0] for each in SERVICES[service].get("volumes", ())}


def mounted(service: str, path: str) -> Path:
    """The file of ours that a container has at a path."""
    where = max((each for each in mounts(service) if path == each or path.startswith(f"{each}/")), key=len)
    return FILES / mounts(service)[where] / path[len(where) :].lstrip("/")


def listens(service: str) -> set[int]:
    """The ports of a container, by its own configuration."""
    if service == "otel-collector":
        found = read("otel-collector.yaml")["receivers"]["otlp"]["protocols"]
        return {int(each["endpoint"].rpartition(":")[2]) for each in found.values()}
    if service == "tempo":
        found = read("tempo.yaml")
        grpc = found["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
        return {found["server"]["http_listen_port"], int(grpc.rpartition(":")[2])}
    return {{"prometheus": 9090, "grafana": 3000}[service]}


def test_what_is_mounted_is_there() -> None:
    """Each file and folder is one that is written, each volume is named, each image has one version."""
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"]), name
        for path, source in mounts(name).items():
            assert path.startswith("/")
            if source.startswith("./"):
                assert (FILES / source).exists(), source
            else:
                assert source in COMPOSE["volumes"]
        assert set(service.get("depends_on", ())) <= set(SERVICES)
        for option in service.get("command", ()):
            if (found := re.fullmatch(r"--?config\.?(?:file)?=(.*)", option)) is not None:
                assert mounted(name, found[1]).is_file(), option
    assert all(any(name in mounts(each).values() for each in SERVICES) for name in COMPOSE["volumes"])


def test_the_compose_file_follows_the_specification() -> None:
    """By a parser of the Compose specification: no field that it does not know, ports and volumes in their own forms."""
    specification = pytest.importorskip("compose_spec", reason="`make grafana` runs this")
    text = (FILES / "compose.yaml").read_text()
    found = specification.PyCompose.from_yaml(text)
    found.validate()
    assert len(found) == len(SERVICES) == 4
    with pytest.raises(ValueError, match="prots"):
        specification.PyCompose.from_yaml(text.replace("    ports:", "    prots:", 1))


def test_only_this_machine_reaches_it_and_at_the_ports_that_listen() -> None:
    """Published ports are on 127.0.0.1, and are those of OTLP and of the pages that the README names."""
    published = {name: [each.split(":") for each in service.get("ports", ())] for name, service in SERVICES.items()}
    for name, ports in published.items():
        for address, outside, inside in ports:
            assert address == "127.0.0.1"
            assert outside == inside
            assert int(inside) in listens(name)
    assert {int(each[2]) for each in published["otel-collector"]} == {4317, 4318}
    said = (FILES / "README.md").read_text()
    assert "http://localhost:4318" in said
    assert "http://localhost:3000" in said


def test_each_reaches_the_other() -> None:
    """Every address in a configuration is a service of the compose file, at a port where that one listens."""
    collector = read("otel-collector.yaml")
    addresses = [each["endpoint"] for each in collector["exporters"].values()]
    addresses += [each["url"] for each in read("provisioning/datasources/hexr.yaml")["datasources"]]
    assert len(addresses) == 4
    for address in addresses:
        parts = urlsplit(address if "//" in address else f"//{address}")
        assert parts.hostname in SERVICES, address
        assert parts.port in listens(parts.hostname), address


def test_the_collector_is_whole() -> None:
    """Pipelines name components that are there, and these only fields that they document; Prometheus takes its OTLP."""
    collector = read("otel-collector.yaml")
    assert set(collector) == {*COMPONENTS, "service"}
    used: dict[str, set[str]] = {kind: set() for kind in COMPONENTS}
    for pipeline in collector["service"]["pipelines"].values():
        assert pipeline["processors"] == ["memory_limiter", "batch"]
        for kind, names in pipeline.items():
            used[kind] |= set(names)
    for kind, known in COMPONENTS.items():
        assert used[kind] == set(collector[kind])
        for name, fields in collector[kind].items():
            assert set(fields) <= known[name.partition("/")[0]], name
    assert collector["exporters"]["otlphttp/prometheus"]["endpoint"].endswith("/api/v1/otlp")
    assert "--web.enable-otlp-receiver" in SERVICES["prometheus"]["command"]
    assert "service.instance.id" in read("prometheus/prometheus.yaml")["otlp"]["promote_resource_attributes"]


def test_grafana_finds_the_dashboard_and_its_data() -> None:
    """What is provisioned is where Grafana looks; the home page is the dashboard; exemplars lead to the Tempo that is there."""
    sources = read("provisioning/datasources/hexr.yaml")["datasources"]
    kinds = {each["type"]: each["uid"] for each in sources}
    assert set(kinds) == {"prometheus", "tempo"}
    text = json.dumps(sources)
    assert set(re.findall(r'"datasourceUid": "([^"]+)"', text)) <= set(kinds.values())
    (provider,) = read("provisioning/dashboards/hexr.yaml")["providers"]
    folder = mounted("grafana", provider["options"]["path"])
    home = mounted("grafana", SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert home.parent == folder
    assert json.loads(home.read_text())["uid"] == "hexr-llm-costs"
    for part in ("datasources", "dashboards"):
        assert mounted("grafana", f"/etc/grafana/provisioning/{part}/hexr.yaml").is_file()


def test_long_ranges_are_allowed_and_kept() -> None:
    """Tempo answers as far back as it keeps blocks, on a disk that outlives its container."""
    tempo = read("tempo.yaml")
    kept = tempo["compactor"]["compaction"]["block_retention"]
    assert tempo["query_frontend"]["metrics"]["max_duration"] == kept == "720h"
    assert "local-blocks" in tempo["overrides"]["defaults"]["metrics_generator"]["processors"]
    paths = re.findall(r"path: (\S+)", (FILES / "tempo.yaml").read_text())
    assert paths
    assert all(each.startswith("/var/tempo/") for each in paths)
    assert "/var/tempo" in mounts("tempo")


def test_promtool_takes_the_configuration(tmp_path: Path) -> None:
    """But for what is newer than Debian's Prometheus (`otlp`), and with the rules where they are here."""
    if shutil.which("promtool") is None:
        pytest.skip("`make grafana` installs Debian's prometheus")
    config = read("prometheus/prometheus.yaml")
    del config["otlp"]
    config["rule_files"] = [str(mounted("prometheus", each)) for each in config["rule_files"]]
    (tmp_path / "prometheus.json").write_text(json.dumps(config))
    done = subprocess.run(
        ["promtool", "check", "config", str(tmp_path / "prometheus.json")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "10 rules found" in done.stdout
