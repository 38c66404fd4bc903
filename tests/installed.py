"""What the installed versions of the SDKs have: a test of what they do not have is skipped, and says so."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def has(file: str, name: str = "", times: int = 1) -> bool:
    """Whether an installed package has a file (its path below site-packages), and in it a name so many times.

    Nothing is imported.
    """
    top, _, rest = file.partition("/")
    spec = importlib.util.find_spec(top)
    folders = (spec.submodule_search_locations or ()) if spec is not None else ()
    found = [Path(folder) / rest for folder in folders if (Path(folder) / rest).exists()]
    return any(path.is_dir() or path.read_text().count(name) >= times for path in found)


needs_responses = pytest.mark.skipif(not has("openai/resources/responses"), reason="not in this version of the SDK")
"""For programs that also use the Responses API, which the oldest versions of openai do not have."""
needs_google_url = pytest.mark.skipif(
    not has("google/genai/_base_url.py", "GOOGLE_GEMINI_BASE_URL"), reason="not in this version of the SDK"
)
"""For programs that reach the loopback server by a variable that the oldest versions of google-genai do not read."""
