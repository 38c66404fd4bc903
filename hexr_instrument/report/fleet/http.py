"""Asking a monitoring backend over HTTP: JSON in, one line of complaint where there is none."""

from __future__ import annotations

import base64
import contextlib
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from ...call import mapping
from .. import UsageError, plain

_SECONDS = 60
_LARGEST = 256 << 20
_SHOWN = 200


class Refused(UsageError):  # noqa: N818  (an answer of the backend, not a fault of ours)
    """The backend answered with an error; the message has its words."""


class _Here(urllib.request.HTTPRedirectHandler):
    """Credentials are for the host that was named: a redirect is an error that names where it leads."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        """Follows none."""


class Backend:
    """A backend at a URL; user and password in it become a header and are never printed."""

    def __init__(self, kind: str, url: str) -> None:
        """Takes what `--from KIND=URL` says.

        Raises:
            UsageError: it is no URL of HTTP.
        """
        try:
            parts = urllib.parse.urlsplit(url.strip())
            port = parts.port
        except ValueError:
            parts = port = None
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--from: {kind} needs a URL such as {kind}=http://localhost:{_PORTS[kind]}")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        place = host if port is None else f"{host}:{port}"
        self.kind = kind
        self.shown = f"{kind} {parts.scheme}://{place}{parts.path}".rstrip("/")
        self._base = urllib.parse.urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))
        self._headers = {"Accept": "application/json"}
        if parts.username is not None:
            pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        self._open = urllib.request.build_opener(_Here).open

    def get(self, path: str, parameters: Mapping[str, str], *, form: bool = False) -> dict[str, Any]:
        """The JSON object that the backend answers.

        Args:
            path: Behind the URL.
            parameters: Of the query, or of the body.
            form: Whether they are sent as a form, where a query may be too long for a URL.

        Raises:
            Refused: it answered with an error.
            UsageError: it did not answer, or not with JSON.
        """
        query = urllib.parse.urlencode(parameters)
        url = self._base + path + ("" if form else f"?{query}")
        request = urllib.request.Request(url, query.encode() if form else None, self._headers)  # noqa: S310
        try:
            with self._open(request, timeout=_SECONDS) as answer:
                body: bytes = answer.read(_LARGEST + 1)
        except urllib.error.HTTPError as error:
            said = _said(error.read(_LARGEST))
            raise Refused(f"--from: {self.shown} answers {error.code} to {path}: {said}") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise UsageError(f"--from: {self.shown} does not answer ({reason}); is the URL right?") from None
        if len(body) > _LARGEST:
            raise UsageError(f"--from: {self.shown} answers more than {_LARGEST >> 20} MiB; choose less with --since")
        try:
            found: Any = json.loads(body)
        except ValueError:
            found = None
        if not mapping(found):
            raise UsageError(f"--from: {self.shown} answers no JSON to {path}; is it {self.kind.capitalize()}'s URL?")
        return mapping(found)


_PORTS = {"prometheus": 9090, "tempo": 3200}


def _said(body: bytes) -> str:
    """The words of an error: those of its JSON, or its text."""
    text = body.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, LookupError, TypeError):
        text = json.loads(text)["error"]
    return plain(str(text).replace("\n", " "))[:_SHOWN]


def amount(value: Any) -> float:
    """A number as a backend writes it, as one or as text; raises UsageError for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UsageError(f"--from: {str(value)[:40]!r} is no number; is the URL right?") from None
