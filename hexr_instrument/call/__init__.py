"""The nouns: what was asked, what came back, what it used, who asked; and the tables that say how to read it."""

from .nouns import USD, Call, Caller, Part, Request, Response, Usage
from .reading import LARGEST_COUNT, mapping, number, parsed, pick, sequence, sound, text, total
from .tables import (
    REGISTRATION,
    Content,
    Direct,
    Format,
    Framework,
    Outcome,
    Provider,
    Question,
    Target,
    Tool,
    Tools,
    Turn,
)

__all__ = [
    "LARGEST_COUNT",
    "REGISTRATION",
    "USD",
    "Call",
    "Caller",
    "Content",
    "Direct",
    "Format",
    "Framework",
    "Outcome",
    "Part",
    "Provider",
    "Question",
    "Request",
    "Response",
    "Target",
    "Tool",
    "Tools",
    "Turn",
    "Usage",
    "mapping",
    "number",
    "parsed",
    "pick",
    "sequence",
    "sound",
    "text",
    "total",
]
