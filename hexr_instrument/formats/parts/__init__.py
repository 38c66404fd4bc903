"""Content: one module for each wire format, and here the shapes of the conventions that they all make.

A message is `{"role", "parts"}`; a part has a `type`: text, reasoning, tool_call, tool_call_response, blob, file, uri.
Bytes are never kept: a `blob` says how many there were (`size`) and has empty content.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...call import mapping, pick, sequence, text

Part = dict[str, Any]
_MODALITIES = ("image", "audio", "video")


def present(**fields: Any) -> Part:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def message(role: Any, parts: list[Part], name: str | None = None) -> Part:
    """One message; a role that is no text is the user's."""
    return present(role=role if type(role) is str and role else "user", parts=parts, name=name)


def words(value: Any) -> str:
    """A text, whole or in the pieces of a stream; nothing else has any."""
    if type(value) is str:
        return value
    pieces = sequence(value)
    return "".join(pieces) if pieces and all(type(each) is str for each in pieces) else ""


def texts(value: Any) -> list[Part]:
    """A text part, or none for what has no text in it."""
    return [{"type": "text", "content": said}] if (said := words(value)) else []


def reasoning(value: Any) -> list[Part]:
    """A reasoning part, or none."""
    return [{"type": "reasoning", "content": said}] if (said := words(value)) else []


def tool_call(name: Any, arguments: Any, identity: Any) -> Part:
    """What the model wants the program to run; arguments may be a JSON text, in pieces or whole."""
    said = words(arguments) if type(arguments) in (str, list) else arguments
    return present(type="tool_call", name=_word(name), id=_id(identity), arguments=said or None)


def tool_response(response: Any, identity: Any) -> Part:
    """What a tool of the program has answered."""
    return present(type="tool_call_response", response="" if response is None else response, id=_id(identity))


def server_call(name: Any, identity: Any, **details: Any) -> Part:
    """A tool that the provider ran itself."""
    tool = _word(name)
    call = present(type=tool, **details)
    return present(type="server_tool_call", name=tool, id=_id(identity), server_tool_call=call)


def server_response(kind: Any, identity: Any, content: Any) -> Part:
    """What a tool of the provider has answered."""
    answer = present(type=_word(kind), content=content)
    return present(type="server_tool_call_response", id=_id(identity), server_tool_call_response=answer)


def blob(data: Any, mime: str | None, modality: str | None = None) -> Part:
    """Inline data, given as bytes, as base64 or as their number: its size, without the data itself."""
    if type(data) is int:
        size = data
    elif type(data) is bytes:
        size = len(data)
    else:
        encoded = data if type(data) is str else ""
        size = len(encoded) * 3 // 4 - encoded[-2:].count("=")
    return present(type="blob", modality=modality or modality_of(mime), mime_type=mime, content="", size=size)


def heard(so_far: list[Part], data: Any, modality: str | None, mime: str | None = None) -> None:
    """Adds what a program sends piece by piece, by its size: to the last message, if that is of the same kind."""
    piece = blob(data, mime, modality)
    before: Part = so_far[-1]["parts"][-1] if so_far and so_far[-1]["parts"] else {}
    alike = all(before.get(name) == piece.get(name) for name in ("type", "modality", "mime_type"))
    if alike and so_far[-1]["role"] == "user":
        before["size"] += piece["size"]
    else:
        so_far.append(message("user", [piece]))


def file(identity: str, modality: str = "document", mime: str | None = None) -> Part:
    """A file that the provider has."""
    return present(type="file", modality=modality, mime_type=mime, file_id=identity)


def link(uri: str, modality: str, mime: str | None = None) -> Part:
    """A file somewhere else; a `data:` URL is the data itself."""
    if uri.startswith("data:"):
        head, _, data = uri[5:].partition(",")
        return blob(data, head.partition(";")[0] or mime, modality)
    return present(type="uri", modality=modality, mime_type=mime, uri=uri)


def other(source: Any, *kept: str) -> Part:
    """A part that the conventions have no name for: its type, and those of its fields that are named."""
    kind = text(source, "type") or "unknown"
    return present(type=kind, **{name: value for name in kept if type(value := pick(source, name)) is str})


def modality_of(mime: str | None) -> str:
    """The conventions' word for a MIME type."""
    kind = (mime or "").partition("/")[0]
    return kind if kind in _MODALITIES else "document"


def definition(kind: Any, name: Any) -> Part:
    """A tool that the model may use: type and name alone, as the conventions recommend."""
    return {"type": _word(kind), "name": _word(name)}


def parts_of(source: Any, read: Callable[[Any], list[Part]]) -> list[Part]:
    """The parts of a content: a text (or the pieces of a streamed one) is a text part, other items are read."""
    return texts(source) or [part for item in sequence(source) for part in (texts(item) or read(item))]


def slot(so_far: dict[Any, Any], index: Any) -> Part:
    """The place of one choice, block or item of a stream, made where it is new."""
    place: Part = so_far.setdefault(index if type(index) is int else 0, {})
    return place


def add(place: Part, name: str, piece: Any) -> None:
    """Appends a piece of text to a list of pieces."""
    if type(piece) is str and piece:
        pieces = place.get(name)
        if type(pieces) is not list:
            pieces = place[name] = [pieces] if type(pieces) is str and pieces else []
        sequence(pieces).append(piece)


def in_order(so_far: Any) -> list[Any]:
    """The places of a stream, by their index; a whole payload's list as it is."""
    held = mapping(so_far)
    return [held[index] for index in sorted(held)] if held else sequence(so_far)


def _word(value: Any) -> str:
    return value if type(value) is str and value else "unknown"


def _id(value: Any) -> str | None:
    return value if type(value) is str and value else None
