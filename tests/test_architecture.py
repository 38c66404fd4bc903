"""The rooms and what each may import: the house stays the house."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest
from support import ROOT

PACKAGE = ROOT / "hexr_instrument"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "_boot" not in path.parts and "_examples" not in path.parts)
STANDARD = set(sys.stdlib_module_names)

# Room -> the rooms (or other packages) that it may import; the standard library is open to all but `start`.
OTEL_API = {"opentelemetry.context", "opentelemetry.trace", "opentelemetry"}
RULES: dict[str, set[str]] = {
    "__init__": {"api", "budgets", "call", "context", "direct", "hub", "llm", "report"},
    "__main__": {"cli", "start"},
    "start": {"carry", "config", "first_use", "hub", "injected", "signals"},
    "injected": {"packaging"},
    "first_use": {"guard"},
    "call": set(),
    "guard": set(),
    "private": set(),
    "config": {"endpoints", "private", "values"},
    "values": {"redact"},
    "variables": set(),
    "endpoints": set(),
    "names": set(),
    "redact": {"call"},
    "imported": {"call", "frameworks", "guard", "providers", "start", "wires"},
    "settings": set(),
    "traceparent": set(),
    "pricing": {"call", "settings"},
    "budgets": {"call", "settings"},
    "context": {"call", "guard"},
    "carry": {"call", "carry", "config", "context", "guard", "hub", "start", "traceparent"},
    "formats": {"call", "formats"},
    "providers": {"call", "formats", "providers", "start"},
    "frameworks": {"call", "frameworks"},
    "wires": {"call", "wires"},
    "propagation": {
        "call",
        "context",
        "live",
        "names",
        "opentelemetry.baggage",
        "providers",
        "recorder",
        "traceparent",
        "wires",
        *OTEL_API,
    },
    "content": {"call", "redact"},
    "telemetry": {"call", "names"},
    "events": {"names", "telemetry", "opentelemetry._logs", *OTEL_API},
    "health": {"private"},
    "journal": {"guard", "health", "private"},
    "store": {"call", "forks", "journal", "owed", "private", "store"},
    "exits": {"guard", "signals"},
    "outbox": {"health", "journal"},
    "signals": {"guard"},
    "forks": set(),
    "intake": {"config", "forks", "guard", "journal", "outbox", "store"},
    "delivery": {"config", "export", "guard", "health", "intake", "journal", "outbox"},
    "worker": {
        "config",
        "delivery",
        "exits",
        "forks",
        "guard",
        "health",
        "intake",
        "journal",
        "metrics",
        "outbox",
        "signals",
    },
    "metrics": {"call", "config", "export", "guard", "metrics", "names", "opentelemetry.metrics", *OTEL_API},
    "export": {
        "config",
        "events",
        "export",
        "forks",
        "google",
        "grpc",
        "guard",
        "names",
        "opentelemetry",
        "recorder",
        "requests",
        "telemetry",
    },
    "adopted": {"names", *OTEL_API},
    "recorder": {
        "adopted",
        "health",
        "budgets",
        "call",
        "config",
        "content",
        "context",
        "events",
        "guard",
        "journal",
        "live",
        "names",
        "owed",
        "pricing",
        "private",
        "redact",
        "settling",
        "telemetry",
        "worker",
        *OTEL_API,
    },
    "settling": {"call", "live", "owed"},
    "live": {"call", "content", "guard", "worker", *OTEL_API},
    "agents": {"call", "context", "guard", "names", "recorder", "telemetry", *OTEL_API},
    "owed": {"call", "private"},
    "streams": {"call", "guard", "live"},
    "accounts": {"budgets", "call", "context", "guard", "owed", "recorder"},
    "sessions": {"budgets", "call", "guard", "live", "recorder"},
    "executions": {"call", "content", "context", "guard", "names", "recorder", "telemetry", *OTEL_API},
    "drives": {
        "accounts",
        "budgets",
        "call",
        "context",
        "drives",
        "executions",
        "guard",
        "live",
        "propagation",
        "recorder",
        "sessions",
        "streams",
        "traceparent",
        "wires",
        *OTEL_API,
    },
    "engine": {"call", "context", "drives", "frameworks", "guard", "providers", "recorder", "wires", "wrapt"},
    "provider": {"export", "metrics", "recorder", *OTEL_API},
    "hub": {
        "agents",
        "call",
        "carry",
        "config",
        "context",
        "engine",
        "first_use",
        "guard",
        "provider",
        "providers",
        "recorder",
        "signals",
        "start",
    },
    "api": {"call", "context", "guard", "hub"},
    "direct": {"call", "config", "context", "guard", "pricing", "providers"},
    "stand_in": set(),
    "strangers": {"budgets", "call", "context", "formats", "guard", "hub", "live", "owed", "stand_in"},
    "llm": {"call", "context", "direct", "guard", "hub", "providers", "strangers"},
    "distro": {"hub", "opentelemetry"},
    "report": {
        "boot",
        "call",
        "config",
        "frameworks",
        "endpoints",
        "health",
        "injected",
        "metrics",
        "names",
        "outbox",
        "owed",
        "pricing",
        "private",
        "providers",
        "redact",
        "report",
        "store",
        "rich",
        "requests",
        "grpc",
        "wires",
    },
    "tools": {"call", "config", "demo", "guard", "health", "pricing", "report"},
    "boot": set(),
    "cli": {"boot", "names", "tools"},
    "demo": {"call", "demo", "opentelemetry", "grpc", "google", "rich"},
}


def room(path: Path) -> str:
    """The room that a file belongs to: its folder, or its own name."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The dotted names of everything that a file imports, anywhere in it, relative ones by their room."""
    found: set[str] = set()
    depth = len(path.relative_to(PACKAGE).parts) - 1
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            if node.level <= depth:
                found.add("." + room(path))
            elif node.module:
                found.add("." + node.module.split(".")[0])
            else:
                found |= {"." + alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "hexr_instrument":
                found |= {"." + alias.name for alias in node.names}
            else:
                found.add(node.module)
    return found


def code(path: Path) -> str:
    """A file's code without its docstrings and comments."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [
                each for each in body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
            ] or [ast.Pass()]
    return ast.unparse(tree)


def names(paths: list[Path]) -> list[str]:
    """Short names for failure messages."""
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    """Each file imports the standard library and the rooms that its own room's rule names, and nothing else."""
    allowed = RULES[room(path)]
    for name in imports(path):
        if name.startswith("."):
            assert name[1:] in allowed | {room(path)}, f"{room(path)} must not import {name[1:]}"
        elif name.split(".")[0] not in STANDARD:
            parents = {".".join(name.split(".")[: end + 1]) for end in range(len(name.split(".")))}
            exact = {each for each in allowed if each in OTEL_API} == OTEL_API
            granted = name in allowed if exact and name.startswith("opentelemetry") else bool(parents & allowed)
            assert granted, f"{room(path)} must not import {name}"


def test_every_rule_has_its_room() -> None:
    """The table of rules names the rooms that there are, no more and no fewer."""
    assert {room(path) for path in FILES} == set(RULES)


def test_start_imports_os_and_sys_only() -> None:
    """What runs at interpreter start imports os and sys; the hub comes with the first provider."""
    tree = ast.parse((PACKAGE / "start.py").read_text())
    top = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert top == {"os", "sys"}
    assert not [node for node in tree.body if isinstance(node, ast.ImportFrom)]


def test_the_list_of_watched_modules_is_the_tables_own() -> None:
    """The finder watches exactly the modules of the tables of providers, frameworks and wires."""
    from hexr_instrument.frameworks import FRAMEWORKS as TABLES
    from hexr_instrument.start import FRAMEWORKS, MODULES, PROVIDERS, REQUESTS, SHARED, WIRES
    from hexr_instrument.wires import WIRES as TO_OTHERS

    for file, modules in PROVIDERS.items():
        tables = importlib.import_module(f"hexr_instrument.providers.{file}").TABLES
        assert set(modules) == {provider.module for provider in tables}, file
    assert not set(MODULES) & set(SHARED)
    assert set(FRAMEWORKS) == {framework.module for framework in TABLES}
    assert {*WIRES, *REQUESTS} == {wire.module for wire in TO_OTHERS}


def test_every_file_of_providers_is_listed() -> None:
    """A file of tables is a line of the one list; all others are what these share."""
    from hexr_instrument.start import PROVIDERS

    files = {path.stem for path in (PACKAGE / "providers").glob("*.py") if not path.stem.startswith("_")}
    assert files - {"hosts"} == set(PROVIDERS)


def test_only_the_engine_knows_wrapt() -> None:
    """One file imports wrapt."""
    assert names([path for path in FILES if "wrapt" in {name.split(".")[0] for name in imports(path)}]) == [
        "hexr_instrument/engine.py"
    ]


def test_attribute_names_are_spelt_once() -> None:
    """`gen_ai.` and `hexr.` names of telemetry stand in names.py; the demo only reads what it received."""
    spelt = [
        path
        for path in FILES
        if re.search(r"""['"](gen_ai|hexr)\.(?!db['"])""", code(path)) and room(path) not in ("names", "demo")
    ]
    assert names(spelt) == []


def test_pure_rooms_stay_pure() -> None:
    """Formats and tables have no try, no logging, no environment, and import no SDK."""
    for path in FILES:
        if room(path) in ("formats", "frameworks", "providers", "wires"):
            tree = ast.parse(path.read_text())
            assert not [node for node in ast.walk(tree) if isinstance(node, ast.Try)], path.name
            assert not {"os", "logging"} & imports(path), path.name


def test_exceptions_are_swallowed_in_one_room() -> None:
    """`except Exception` stands in guard.py and at interpreter start; elsewhere a broad clause must raise again."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ExceptHandler) or room(path) in ("guard", "start"):
                continue
            caught = "" if node.type is None else ast.unparse(node.type)
            assert node.type is not None, f"{path.name}:{node.lineno}: bare except"
            assert caught != "Exception", f"{path.name}:{node.lineno}: except Exception"
            if caught == "BaseException":
                passes_on = any(isinstance(each, ast.Raise) for each in ast.walk(node)) or "thrown" == node.name
                assert passes_on, f"{path.name}:{node.lineno}: swallows BaseException"


def test_the_environment_is_read_in_one_room() -> None:
    """`HEXR_*` and `OTEL_*` variables of a running program are read by config.py and endpoints.py; the command sets them."""
    reads = [
        path
        for path in FILES
        if ("environ.get(" in code(path) or "getenv(" in code(path) or "environ[" in code(path))
        and room(path) not in ("boot", "config", "endpoints", "start", "cli", "demo")
    ]
    assert names(reads) == []


def test_the_engine_has_no_providers_name_in_it() -> None:
    """No `if provider == 'openai'` in the engine, the recorder, or the streams."""
    drives = sorted((PACKAGE / "drives").glob("*.py"))
    for path in (
        *drives,
        *(PACKAGE / f"{name}.py" for name in ("engine", "live", "owed", "recorder", "sessions", "streams")),
    ):
        text = code(path)
        assert not [word for word in ("openai", "anthropic", "google", "gemini") if word in text.lower()], path.name


def test_provider_tables_stay_small() -> None:
    """A provider, a framework or a wire is a table of at most 120 lines."""
    for path in (each for each in FILES if room(each) in ("providers", "frameworks", "wires")):
        assert len(path.read_text().splitlines()) <= 120, path.name


def test_the_boot_file_is_alone() -> None:
    """sitecustomize/ holds one file and is no package: nothing else may become importable at interpreter start."""
    files = [path.name for path in (ROOT / "sitecustomize").iterdir() if path.name != "__pycache__"]
    assert files == ["sitecustomize.py"]


def test_every_test_states_its_fact() -> None:
    """Each test function has a docstring."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"


def test_every_situation_has_its_proof_or_its_reason() -> None:
    """The page of situations names tests that exist, as its table does, and says of none that it is not proven."""
    from situations import PAGE, SITUATIONS

    page = PAGE.read_text().splitlines()[-len(SITUATIONS) :]
    for row, each in zip(page, SITUATIONS, strict=True):
        assert row.startswith(f"| {each.number} | {each.situation} |")
        assert bool(each.tests) != bool(each.reason), each
        assert row.endswith(f"| {each.reason} |") if each.reason else "| pass: " in row, row
        for test in each.tests.split():
            file, _, name = test.partition("::")
            assert f"`test_{file}.py::test_{name}`" in row
            assert f"def test_{name}(" in (ROOT / "tests" / f"test_{file}.py").read_text()
