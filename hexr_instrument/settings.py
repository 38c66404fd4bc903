"""Files in which users say more than a variable can hold: TOML or JSON, of bounded size, every mistake with its line."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from decimal import Decimal
from typing import Any, cast

LARGEST = 1 << 20


class SettingsError(ValueError):
    """A file that cannot be used; the message is one line that names the file and the place in it."""


def read(path: str, variable: str) -> tuple[dict[str, Any], str]:
    """What a file says, and its text.

    Args:
        path: A `.json` file, or one of TOML; decimals are exact.
        variable: The environment variable that names it.

    Raises:
        SettingsError: it cannot be read.
    """
    shown = os.path.basename(path)
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise SettingsError(f"{variable}={path} cannot be read ({error.strerror})") from None
    if len(data) > LARGEST:
        raise SettingsError(f"{shown}: it is larger than 1 MiB")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{shown}:{line}: it is no UTF-8 text") from None
    return (_json if path.endswith(".json") else _toml)(shown, text), text


def _json(shown: str, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{shown}:{error.lineno}: {error.msg}") from None
    except RecursionError:
        raise SettingsError(f"{shown}: it is nested too deeply") from None
    if type(content) is not dict:
        raise SettingsError(f"{shown}:1: the file is one object")
    return cast("dict[str, Any]", content)


def _toml(shown: str, text: str) -> dict[str, Any]:
    # The standard library has it from Python 3.11 on; before, a dependency of ours does.
    parser: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        return parser.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        said = str(error)
        found = re.search(r"at line (\d+)", said)
        line = found[1] if found else text.count("\n") + 1
        raise SettingsError(f"{shown}:{line}: {said.partition(' (')[0]}") from None


def place(shown: str, text: str, table: str, number: int, key: str | None) -> str:
    """`file:line` of a key of the nth `[[table]]` (or of its head), as far as a TOML text shows it."""
    heads = [match.start() for match in re.finditer(rf"(?m)^[ \t]*\[\[\s*{table}\s*\]\]", text)]
    if number >= len(heads):
        return shown
    start, end = heads[number], [*heads, len(text)][number + 1]
    line = re.compile(rf"(?m)^[ \t]*[\"']?{re.escape(key or '')}[\"']?[ \t]*=")
    if key and (found := line.search(text, start, end)):
        start = found.start()
    return f"{shown}:{text.count(chr(10), 0, start) + 1}"


def decimal(value: Any) -> Decimal | None:
    """An amount written as 2, 2.50 or "2.50", below a billion; None for anything else."""
    if type(value) is int or (type(value) is str and re.fullmatch(r"\d{1,9}(\.\d{1,18})?", value)):
        value = Decimal(value)
    if type(value) is not Decimal or not value.is_finite() or not 0 <= value <= 10**9:
        return None
    return value if len(format(value, "f")) <= 30 else None
