"""Asks an OTLP endpoint, with an empty export request, whether it takes ours. Stores nothing there."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ...endpoints import Endpoint

SECONDS = 5.0
"""How long an endpoint may take to answer."""
_SERVICES = {"traces": "trace.v1.TraceService", "metrics": "metrics.v1.MetricsService", "logs": "logs.v1.LogsService"}

_WHY = {
    401: "its headers are refused",
    403: "its headers are refused",
    404: "no OTLP at this path",
    429: "too many requests; calls wait until it takes them",
    503: "not now; calls wait until it takes them",
}
"""What a status of HTTP means for calls."""


def ask(endpoint: Endpoint, signal: str, protocol: str, timeout: float = SECONDS) -> tuple[bool, str]:
    """Whether the endpoint takes export requests, and what it said in a few words that hold no credential.

    Args:
        endpoint: Where to ask.
        signal: `traces`, `metrics` or `logs`.
        protocol: `http/protobuf` or `grpc`.
        timeout: In seconds.
    """
    return _grpc(endpoint, signal, timeout) if protocol == "grpc" else _http(endpoint, timeout)


def shown(url: str) -> str:
    """A URL without what may be a credential: no user, no password, no query, no long or random part of its path."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = parts.netloc.rpartition("@")[2].removeprefix(host).partition(":")[2]
    path = "/".join(each if len(each) < 16 else "***" for each in parts.path.split("/"))
    scheme = f"{parts.scheme}://" if parts.scheme else ""
    return f"{scheme}{host}{f':{port}' if port.isdigit() else ''}{path}"


def _http(endpoint: Endpoint, timeout: float) -> tuple[bool, str]:
    import requests  # noqa: PLC0415  (the library of the HTTP exporter; only a probe needs it)

    headers = {**dict(endpoint.headers), "content-type": "application/x-protobuf"}
    try:
        with requests.Session() as session:
            answer = session.post(
                endpoint.url,
                data=b"",
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                verify=endpoint.certificate or True,
                cert=endpoint.identity,
            )
    except requests.exceptions.Timeout:
        return False, f"timed out after {timeout:g} s"
    except requests.exceptions.SSLError:
        return False, "TLS failed: its certificate is not trusted, or it speaks none"
    except requests.exceptions.ConnectionError as error:
        return False, _unreachable(str(error))
    except (requests.exceptions.RequestException, OSError, ValueError) as error:
        return False, f"cannot be asked ({type(error).__name__})"
    if 300 <= answer.status_code < 400:
        elsewhere = shown(answer.headers.get("location", ""))
        return False, f"HTTP {answer.status_code}: redirects to {elsewhere}, which is never followed"
    if answer.status_code >= 400:
        words = _WHY.get(answer.status_code)
        return False, f"HTTP {answer.status_code}{f': {words}' if words else ''}"
    if answer.content.lstrip()[:1] == b"<" and "html" in answer.headers.get("content-type", ""):
        return False, "answers with a web page: no OTLP there, and whatever it takes is lost"
    return True, "answers"


def _unreachable(words: str) -> str:
    if "refused" in words:
        return "refused: nothing listens there"
    if any(each in words for each in ("resolve", "Name or service", "nodename", "getaddrinfo", "DNS")):
        return "its host name is not known"
    return "closed the connection" if "aborted" in words.lower() or "reset" in words else "cannot be reached"


def _grpc(endpoint: Endpoint, signal: str, timeout: float) -> tuple[bool, str]:
    import grpc  # noqa: PLC0415  (the library of the gRPC exporter; only a probe needs it)

    parts = urlsplit(endpoint.url)
    target = parts.netloc.rpartition("@")[2] if parts.netloc else endpoint.url
    grpc_: Any = grpc
    try:
        if parts.scheme == "http" or (parts.scheme != "https" and endpoint.insecure):
            channel = grpc_.insecure_channel(target)
        else:
            channel = grpc_.secure_channel(target, grpc_.ssl_channel_credentials(*_pem(endpoint)))
    except OSError as error:
        return False, f"cannot be asked ({error.strerror})"
    with channel:
        method = f"/opentelemetry.proto.collector.{_SERVICES[signal]}/Export"
        export = channel.unary_unary(method)
        try:
            export(b"", timeout=timeout, metadata=endpoint.headers)
        except grpc_.RpcError as error:
            return False, _status(error.code().name, str(error.details()), timeout)
        except ValueError:
            return False, "cannot be asked: a header is no gRPC metadata"
    return True, "answers"


def _pem(endpoint: Endpoint) -> list[bytes | None]:
    """Root certificates, private key and certificate chain, as gRPC takes them."""
    certificate, key = endpoint.identity or (None, None)
    found: list[bytes | None] = []
    for path in (endpoint.certificate, key, certificate):
        if path is None:
            found.append(None)
            continue
        with open(path, "rb") as file:
            found.append(file.read())
    return found


def _status(code: str, details: str, timeout: float) -> str:
    if code == "UNAVAILABLE":
        return _unreachable(details)
    if code == "DEADLINE_EXCEEDED":
        return f"timed out after {timeout:g} s"
    why = {"UNAUTHENTICATED": "its headers are refused", "UNIMPLEMENTED": "no OTLP there"}.get(code)
    return f"gRPC {code}{f': {why}' if why else ''}"
