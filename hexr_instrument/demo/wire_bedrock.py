"""Claude on Amazon Bedrock: Anthropic's bodies, and their stream in AWS's binary frames."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from .wire import JSON, Ask, compact

_HEADERS = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
_EXCEPTIONS: Mapping[int, str] = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


def frame(event: Mapping[str, Any] | str) -> bytes:
    """One event of `invoke-with-response-stream`: lengths, headers, the event in base64, and two checksums."""
    text = event if isinstance(event, str) else compact(event)
    payload = compact({"bytes": base64.b64encode(text.encode()).decode()}).encode()
    headers = b"".join(_header(name, value) for name, value in _HEADERS.items())
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack("!I", crc32(prelude)) + headers + payload
    return message + struct.pack("!I", crc32(message))


def _header(name: str, value: str) -> bytes:
    """A header whose value is a string, which is type 7."""
    return struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()


def error(status: int, ask: Ask) -> JSON:
    """The body of an error."""
    return {"message": f"{_EXCEPTIONS.get(status, 'ServiceException')}: {ask.model}"}


def headers(status: int, number: int) -> dict[str, str]:
    """The headers by which AWS's answers are known."""
    kind = {} if status == 200 else {"x-amzn-errortype": _EXCEPTIONS.get(status, "ServiceException")}
    return {"x-amzn-requestid": f"00000000-0000-4000-8000-{number:012d}", **kind}
