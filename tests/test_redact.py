"""The rules of redaction: what is a secret in a text, what is not, and which texts of a record they are for."""

from __future__ import annotations

import pytest

from hexr_instrument import redact
from hexr_instrument.call import Caller

FINDS = [
    ("sk-proj-AbCdEf0123456789_-xyz", "[key]"),
    ("sk-ant-api03-AbCdEf0123456789", "[key]"),
    ("Incorrect API key provided: sk-AbCd**********wxyz1.", "Incorrect API key provided: [key]."),
    ("AIzaSyAbCdEf0123456789AbCdEf0123456789", "[key]"),
    ("ghp_AbCdEf0123456789AbCdEf0123456789", "[key]"),
    ("github_pat_AbCdEf0123456789_AbCdEf", "[key]"),
    ("glpat-AbCdEf0123456789ab", "[key]"),
    ("xoxb-1234567890-abcdefghij", "[key]"),
    ("AKIAIOSFODNN7EXAMPLE", "[key]"),
    ("ya29.a0AfH6SMBx-abc", "[key]"),
    ("hf_AbCdEf0123456789AbCd", "[key]"),
    ("gsk_AbCdEf0123456789AbCd", "[key]"),
    ("Bearer abc.def-ghi_jkl", "[key]"),
    ("authorization: Basic YW5uOnB3", "[key]"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl", "[key]"),
    ("api_key=hunter2hunter2", "[key]"),
    ('{"password": "hunter2"}', '{"[key]"}'),
    ("token=f00dfeed&x=1", "[key]&x=1"),
    ("-----BEGIN PRIVATE KEY-----\nMIIE", "[key]"),
    ("https://ann:pw@db.example/x", "https://[user]@db.example/x"),
    ("postgres://ann@db.example/x", "postgres://[user]@db.example/x"),
    ("https://db.example/x?sig=abc&se=1#f", "https://db.example/x[query]#f"),
    ("write to ann.b+c@corp.example.com now", "write to [email] now"),
    ("/home/ann/notes.txt", "[path]"),
    ("in /srv/app/data/, and", "in [path], and"),
    ("~/notes.txt", "[path]"),
    ("file:///etc/passwd", "[path]"),
    (r"C:\Users\ann\notes.txt", "[path]"),
    ("C:/Users/ann", "[path]"),
    (r"\\server\share\notes", "[path]"),
]
PLAIN = [
    "stop",
    "tool_calls",
    "length",
    "default",
    "priority",
    "fp_44709d6fcb",
    "chatcmpl-BfGh3Kd8sLqPz0Wm4nXt7RyVu2AeC",
    "msg_01XFDUDYJgAACzvnptvVoYEL",
    "resp_68af4030592c81938ec0a5fbab4a3e9f05438e46b5f69a3b",
    "gen-1732345678-AbCdEfGhIjKlMnOpQrSt",
    "on_demand",
    "###",
    "\n\nHuman:",
    "</answer>",
    "Observation:",
    "2026-11-23T10:00:00Z",
    "and/or",
    "api.openai.com",
    "openai.RateLimitError",
    "gpt-4o-2024-08-06",
    "ft:gpt-4o-mini-2024-07-18:acme::AbC123",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "https://hexr.dev/docs/start",
    "registry.acme.com/team/app:1.2",
    "ask-anything-else-today",
    "eu-west-1",
    "token count",
]


@pytest.mark.parametrize(("value", "want"), FINDS)
def test_a_secret_is_found(value: str, want: str) -> None:
    """And what is left says what it was."""
    assert redact.text(value) == want
    assert redact.text(want) == want


@pytest.mark.parametrize("value", PLAIN)
def test_an_ordinary_text_stays(value: str) -> None:
    """Ids, reasons, tiers, models, stop sequences, hosts, versions."""
    assert redact.text(value) == value


@pytest.mark.parametrize(("value", "want"), FINDS)
def test_the_quick_look_misses_nothing(value: str, want: str) -> None:
    """A text without any of the signs is passed by; each text with a secret has one."""
    assert redact._SUSPECT.search(value)


def test_a_hash_is_stable_and_tells_secrets_apart() -> None:
    """The same find gives the same word in every process; another one another."""
    assert redact.text("ann@corp.example", "hash") == redact.text("ann@corp.example", "hash") == "[email:25a04c95e5b8]"
    assert redact.text("bob@corp.example", "hash") != redact.text("ann@corp.example", "hash")


def test_a_text_is_bounded() -> None:
    """256 characters, and a secret that begins before them does not stick out."""
    assert len(redact.text("x" * 100_000)) == redact.LIMIT
    assert len(redact.text("x@" * 100_000)) <= redact.LIMIT
    edge = "y" * 250 + " sk-proj-AbCdEf0123456789"
    assert "sk-" not in redact.text(edge)


@pytest.mark.parametrize(
    "piece", ["a", "a@", "/a", "key=", "bearer ", "eyJ", "sk-", "://", "a.", " ", "-----", "\\\\a"]
)
def test_a_hostile_text_takes_no_time(piece: str) -> None:
    """The rules are linear: a megabyte of anything is done at once."""
    for _ in range(20):
        redact.text("@" + piece * (1_000_000 // len(piece)))


RECORD = {
    "kind": "call",
    "agent": "ops@acme.com",
    "tenant": "ops@acme.com",
    "role": "/srv/role/name",
    "labels": {"team": "ops@acme.com"},
    "provider": "openai",
    "model": "/models/llama-3@v2",
    "served": "sk-ant-api03-AbCdEf0123456789",
    "host": "api.openai.com",
    "response_id": "ann@corp.example",
    "finish": ["stop", "Bearer abcdefgh"],
    "tier": "sk-proj-AbCdEf0123456789",
    "error": "/home/ann/x.py",
    "params": {
        "temperature": 0.5,
        "seed": 7,
        "stop_sequences": ["ok", "ann@corp.example"],
        "conversation_id": "ghp_AbCdEf0123456789AbCdEf0123456789",
        "odd": {"secret": 1},
    },
    "extras": {"system_fingerprint": "token=abcdefgh"},
    "cost": 5,
}


def test_a_record_keeps_identities_and_models_and_nothing_else_unseen() -> None:
    """Names of agents, tenants, roles, labels stay; a model's name loses keys only; all other texts are redacted."""
    got = redact.Redactor("mask").record({**RECORD, "params": dict(RECORD["params"]), "extras": dict(RECORD["extras"])})
    assert {name: got[name] for name in ("agent", "tenant", "role", "labels", "model", "provider", "cost")} == {
        name: RECORD[name] for name in ("agent", "tenant", "role", "labels", "model", "provider", "cost")
    }
    assert (got["served"], got["response_id"], got["tier"], got["error"]) == ("[key]", "[email]", "_OTHER", "[path]")
    assert got["finish"] == ["stop", "_OTHER"]
    assert got["params"] == {
        "temperature": 0.5,
        "seed": 7,
        "stop_sequences": ["ok", "[email]"],
        "conversation_id": "[key]",
        "odd": None,
    }
    assert got["extras"] == {"system_fingerprint": "[key]"}


@pytest.mark.parametrize(
    "value",
    "stop length tool_calls content_filter end_turn MAX_TOKENS model_context_window_exceeded _OTHER on_demand priority"
    " rate_limit_exceeded invalid_image_format 429 error_500 http.404 flex".split(),
)
def test_a_code_stays(value: str) -> None:
    """Finish reasons, tiers and error codes are words and short numbers."""
    assert redact.Redactor("mask").code(value) == value


@pytest.mark.parametrize(
    "value",
    ["sk-proj-AbCdEf0123456789", "aizasyabcdef0123456789", "a/b", "ann@corp.example", "x" * 65, "a=b", "k3y0f4ll"],
)
def test_what_is_no_code_is_other(value: str) -> None:
    """Whatever a gateway puts there, also in lower case."""
    assert redact.Redactor("mask").code(value) == "_OTHER"


def test_identities_are_hashed_only_if_asked() -> None:
    """`mask` returns the very same caller; `hash` gives each e-mail address in it the same word everywhere."""
    caller = Caller("crew", "writer", "ops@acme.com", (("team", "ops@acme.com"),))
    assert redact.Redactor("mask").caller(caller) is caller
    hashed = redact.Redactor("hash").caller(caller)
    assert (hashed.agent, hashed.role) == ("crew", "writer")
    assert hashed.tenant is not None
    assert hashed.tenant.startswith("[email:")
    assert hashed.labels == (("team", hashed.tenant),)


def test_resource_attributes_with_a_secrets_name_have_no_value() -> None:
    """Whatever it looks like; others are redacted as texts, the service's name and a cloud's location stay."""
    cloud = "/subscriptions/0000/resourceGroups/prod"
    given = {
        "service.name": "ops@acme.com",
        "api.key": "opaque",
        "db.password": "opaque",
        "team_token": "opaque",
        "owner": "ann@corp.example",
        "code.root": "/home/ann/app",
        "cloud.resource_id": cloud,
        "deployment.environment.name": "prod",
        "monkey": "banana",
    }
    assert redact.Redactor("mask").resource(given) == {
        "service.name": "ops@acme.com",
        "api.key": "[key]",
        "db.password": "[key]",
        "team_token": "[key]",
        "owner": "[email]",
        "code.root": "[path]",
        "cloud.resource_id": cloud,
        "deployment.environment.name": "prod",
        "monkey": "banana",
    }
