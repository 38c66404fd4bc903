"""What Azure AI Inference's SDK is asked and answers with, as the JSON that it makes of it or has read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..call import mapping, parsed, sequence

_DEFAULTS = (
    *("model", "temperature", "top_p", "max_tokens", "frequency_penalty", "presence_penalty", "seed", "stop", "tools"),
    *("dimensions", "encoding_format", "model_extras"),
)


def asked_of(client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[Any, Any]:
    """The body as the SDK makes it: given whole, or of arguments and the client's defaults, with `model_extras` over all."""
    body = args[0] if args else kwargs.get("body")
    if type(body) is bytes:
        return mapping(parsed(body))
    if body is not None:
        return mapping(data_of(body))
    said = {name: value for name, value in kwargs.items() if value is not None}
    usual = {name: value for name in _DEFAULTS if (value := getattr(client, f"_{name}", None)) is not None}
    output = said.pop("response_format", None)
    shape = output if type(output) is str else "json_schema"
    given = getattr(client, "_internal_response_format", None) if output is None else {"type": shape}
    asked = {**usual, **said, "response_format": data_of(given)}
    return {**asked, **mapping(asked.pop("model_extras", None))}


def data_of(value: Any) -> Any:
    """A model's own JSON, or the value itself."""
    return getattr(value, "_data", value)


def plain(value: Any) -> Any:
    """Models, also those inside, as the JSON that they become."""
    value = data_of(value)
    if type(value) is list:
        return [plain(each) for each in sequence(value)]
    return {name: plain(each) for name, each in mapping(value).items()} if type(value) is dict else value
