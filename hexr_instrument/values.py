"""What the value of a variable may be: readers of text, each with a message that says what would do."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LONGEST = 36500 * 86400
_EXPORTERS = ("otlp", "console", "none")
METRIC_LABELS = ("request_model", "response_model", "server", "agent", "tenant", "role")
"""The words of HEXR_METRIC_LABELS, all of them by default."""
PROTOCOLS = ("http/protobuf", "grpc")
USAGE_HOSTS = ("api.openai.com",)
"""Hosts known to take `stream_options.include_usage`; others may answer 400 to it."""
SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)


class ConfigError(ValueError):
    """A value that cannot be used; the message names the variable, the value and what would do."""


def flag(value: str) -> bool:
    """Yes or no."""
    word = value.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("", "0", "false", "no", "off"):
        return False
    raise ConfigError("use true or false")


def seconds(value: str) -> float:
    """A duration such as `90d`, `12h`, `30m`, `15s` or plain seconds, as seconds.

    Raises:
        ConfigError: the value is not a duration, or longer than a hundred years.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw]?)\s*", value)
    span = float(match[1]) * _UNITS[match[2] or "s"] if match else _LONGEST + 1
    if span > _LONGEST:
        raise ConfigError("use a duration such as 90d, 12h, 30m or 15s")
    return span


def pairs(value: str) -> tuple[tuple[str, str], ...]:
    """Names and values: `team=search,env=prod`."""
    found: list[tuple[str, str]] = []
    for pair in filter(None, (each.strip() for each in value.split(","))):
        name, equals, label = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigError("use name=value pairs such as team=search,env=prod")
        found.append((name.strip(), label.strip()))
    return tuple(found)


def models(value: str) -> tuple[tuple[str, str], ...]:
    """Names and the models that they stand for."""
    try:
        found = pairs(value)
    except ConfigError:
        found = (("", ""),)
    if not all(model for _, model in found):
        raise ConfigError("use name=model pairs such as prod=gpt-4o,azure.ai.openai/fast=gpt-4o-mini")
    return found


def providers(value: str) -> tuple[tuple[str, str], ...]:
    """Hosts of the user's own and the providers that they are, in their order."""
    found = [each.strip().partition("=") for each in value.split(",") if each.strip()]
    hosts = [(host.strip().lower(), provider.strip()) for host, _, provider in found]
    if not all(re.fullmatch(r"[\w.*:-]+", host) and re.fullmatch(r"[\w.-]+", name) for host, name in hosts):
        raise ConfigError("use host=provider pairs such as llm.internal=azure.ai.openai,127.0.0.1:8000=vllm")
    return tuple(hosts)


def rollover(value: str) -> float | None:
    """Seconds after which an agent rolls over; None for never."""
    return None if value.strip().lower() in ("off", "0") else seconds(value)


def path(value: str) -> str:
    """An absolute path; `~` is the home directory."""
    return os.path.abspath(os.path.expanduser(value.strip()))


def timeout(value: str) -> float:
    """Seconds."""
    try:
        return seconds(value)
    except ConfigError:
        raise ConfigError("use seconds, such as 2 or 0.5") from None


def labels(value: str) -> tuple[tuple[str, str], ...]:
    """Pairs whose values are no longer than a label may be."""
    return tuple((name, label[:256]) for name, label in pairs(value))


def name(value: str) -> str | None:
    """A name of at most 256 characters; None for blanks."""
    return value.strip()[:256] or None


def patterns(value: str) -> tuple[str, ...]:
    """Host patterns in lower case: none of them for `none`, `*` for `all`."""
    words = tuple(filter(None, (each.strip().lower() for each in value.split(","))))
    if any(re.search(r"[/@\s]|:\d", word) for word in words):
        raise ConfigError("use none, all, or host names such as writer.internal,*.agents.svc")
    if words == ("none",):
        return ()
    return ("*",) if "all" in words else words


_CAPTURE = {
    "no_content": (False, False),
    "span_only": (True, False),
    "event_only": (False, True),
    "span_and_event": (True, True),
    "true": (True, True),
    "false": (False, False),
}


def capture(value: str) -> tuple[bool, bool]:
    """Whether content goes on spans, and whether it goes on events."""
    try:
        return _CAPTURE[value.strip().lower()]
    except KeyError:
        raise ConfigError("use NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT") from None


def size(value: str) -> int:
    """A number of bytes that an attribute may have."""
    if not (value.strip().isascii() and value.strip().isdigit() and 256 <= int(value) <= 1 << 24):
        raise ConfigError("use a number of bytes from 256 to 16777216")
    return int(value)


def characters(value: str) -> int:
    """A number of characters; at least 256."""
    if not (value.strip().isascii() and value.strip().isdigit()):
        raise ConfigError("use a number of characters")
    return max(256, int(value))


def ratio(value: str) -> float:
    """From 0 to 1."""
    try:
        ratio = float(value)
    except ValueError:
        raise ConfigError("use a number from 0 to 1") from None
    if not 0 <= ratio <= 1:
        raise ConfigError("use a number from 0 to 1")
    return ratio


def choice(*words: str) -> Callable[[str], str]:
    """A reader of one of these words."""

    def read(value: str) -> str:
        if value.strip().lower() not in words:
            raise ConfigError(f"use one of {', '.join(words)}")
        return value.strip().lower()

    return read


def metric_labels(value: str) -> tuple[str, ...]:
    """Words of `METRIC_LABELS`, and `label.NAME`."""
    words = tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))
    if not all(word in METRIC_LABELS or word.removeprefix("label.") not in ("", word) for word in words):
        raise ConfigError(f"use any of {', '.join(METRIC_LABELS)}, and label.NAME")
    return words


def milliseconds(value: str) -> float:
    """Milliseconds, as seconds."""
    if not (value.strip().isascii() and value.strip().isdigit() and int(value)):
        raise ConfigError("use a number of milliseconds")
    return int(value) / 1000


def port(value: str) -> int:
    """A port to listen on; 0 is one that is free."""
    if not (value.strip().isascii() and value.strip().isdigit() and int(value) < 1 << 16):
        raise ConfigError("use a port from 0 to 65535")
    return int(value)


def hosts(value: str) -> tuple[str, ...]:
    """Hosts whose chat streams are asked for usage; `*` is every host."""
    words = [word.strip().lower() for word in value.split(",") if word.strip()]
    if words == ["always"]:
        return ("*",)
    if words == ["never"]:
        return ()
    if {"always", "never"} & set(words) or any("/" in word or " " in word for word in words):
        raise ConfigError("use auto, always, never, or host names with commas")
    return (*USAGE_HOSTS, *(word for word in words if word != "auto"))


def exporters(value: str, *more: str) -> tuple[str, ...]:
    """Names of exporters, with commas."""
    return tuple(choice(*_EXPORTERS, *more)(each) for each in value.split(",") if each.strip())


def metric_exporters(value: str) -> tuple[str, ...]:
    """Names of exporters of metrics."""
    return exporters(value, "prometheus")


def resource(value: str) -> dict[str, str]:
    """Resource attributes, percent-decoded."""
    from urllib.parse import unquote  # noqa: PLC0415  (only where resource attributes are set)

    return {name: unquote(each) for name, each in pairs(value)}


def url(value: str) -> str:
    """An HTTP URL, as it is."""
    if not re.match(r"(?i)https?://[^/\s]", value.strip()):
        raise ConfigError("use a URL such as http://localhost:4318")
    return value


def shown(value: str) -> str:
    """A wrong value as one short line; what may be a password before an `@`, or any other secret, is not shown."""
    from . import redact  # noqa: PLC0415  (only where a value is wrong)

    _, at, behind = value.rpartition("@")
    text = repr(redact.text(f"***@{behind}" if at else value, without=("path",)))
    return text if len(text) <= 80 else f"{text[:77]}..."
