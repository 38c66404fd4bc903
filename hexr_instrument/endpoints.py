"""Where each signal goes, as the official exporters read it from the environment: URLs, headers, certificates."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one signal goes, as the official exporters read it. It may hold credentials: never printed or written."""

    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    certificate: str | None = None
    """File of the authorities that may vouch for the server, in PEM."""
    identity: tuple[str, str] | None = None
    """Files of this client's own certificate and key."""
    insecure: bool = False
    """gRPC without TLS, where the URL does not say."""


def endpoint(signal: str, protocol: str, environ: Mapping[str, str]) -> Endpoint:
    """The OTLP endpoint of a signal (`traces`, `metrics`, `logs`), by the rules of the specification."""

    def read(name: str) -> str:
        own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", "").strip()
        return own or environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()

    url, headers = _target(signal, protocol, environ)
    return Endpoint(
        url,
        headers,
        read("CERTIFICATE") or None,
        (read("CLIENT_CERTIFICATE"), read("CLIENT_KEY")) if read("CLIENT_CERTIFICATE") and read("CLIENT_KEY") else None,
        read("INSECURE").lower() == "true",
    )


def destination(
    exporters: tuple[str, ...], protocol: str, events: tuple[str, ...], logs_protocol: str, env: Mapping[str, str]
) -> str | None:
    """Of the URLs as they are posted to, and of the headers: at many a backend they say whose account it is."""
    if not exporters and not events:
        return None
    parts = [",".join(exporters), protocol, repr(_target("traces", protocol, env))]
    if events:
        parts += [",".join(events), logs_protocol, repr(_target("logs", logs_protocol, env))]
    return _fingerprint(*parts)


def _target(signal: str, protocol: str, environ: Mapping[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """URL and headers of a signal, by the rules of the specification."""
    from urllib.parse import unquote  # noqa: PLC0415  (only where there is an endpoint)

    url = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
    if not url:
        general = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
        grpc = protocol == "grpc"
        url = general or ("http://localhost:4317" if grpc else "http://localhost:4318")
        url = url if grpc else f"{url.rstrip('/')}/v1/{signal}"
    given = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_HEADERS", "").strip()
    pairs = [pair.partition("=") for pair in (given or environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")).split(",")]
    return url, tuple(
        (unquote(name.strip()).lower(), unquote(value.strip())) for name, equals, value in pairs if equals
    )


def _fingerprint(*parts: str) -> str:
    """A short hash: endpoints and headers hold credentials, so only this is written to disk."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
