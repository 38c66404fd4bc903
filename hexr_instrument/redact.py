"""Secrets in texts that others chose: what a record keeps of them. Pure, and nothing of it runs per chunk.

The first defence is elsewhere: a record has no field for headers, bodies, prompts or messages of errors. This room is
for the texts that it does have (ids, reasons, tiers, stop sequences, resource attributes), into which a program, a
gateway or a slip of the hand can put anything.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from .call import Caller

LIMIT = 256
"""Characters that are kept of a text."""
MANY = 64
"""Items that are kept of a list: of stop sequences, of reasons of many choices."""
_KEYS = r"""
    (?<![A-Za-z0-9])(?:
        (?:sk|pk|rk|xai|pplx)-[A-Za-z0-9_*-]{8,}                    # OpenAI, Anthropic, Stripe, xAI, Perplexity
      | (?:sk|pk|rk)_(?:live|test)_\w{8,}                               # Stripe
      | (?:gsk|hf|r8|npm|nvapi|fw|esecret)[_-][A-Za-z0-9_-]{16,}        # Groq, Hugging Face, Replicate, NVIDIA, ...
      | gh[pousr]_\w{16,} | github_pat_\w{16,} | glpat-[\w-]{16,}
      | xox[abeoprs]-[\w-]{8,}
      | AIza[\w-]{16,} | ya29\.[\w.-]{8,}
      | (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}
      | eyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*)?                            # JSON web tokens
    )
  | (?i:\b(?:bearer|basic)\s+[\w.~+/=:-]{6,})
  | (?i:(?:api|access|private|secret|auth|subscription|signing)?[-_. ]?
      (?:key|token|secret|passwd|password|pwd|credentials?|authorization|signature|sig)
      ["']?\s*[=:]\s*["']?(?:bearer\s+|basic\s+)?)[^\s"',;&)\]}]{4,}
  | -----BEGIN[\s\S]*
"""
_KEY = re.compile(_KEYS, re.VERBOSE)
_MARKS = (
    *("sk-", "pk-", "rk-", "sk_live", "sk_test", "rk_live", "xai-", "pplx-", "gsk_", "hf_", "nvapi-", "r8_", "npm_"),
    *("ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_", "glpat-", "xox", "AIza", "ya29.", "AKIA", "ASIA", "eyJ"),
    *("earer ", "EARER ", "-----BEGIN"),
)
"""One of these is in every text with a key of a known form; to look for them takes a hundredth of what the rule takes."""
_USER = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_QUERY = re.compile(r"(?<=[\w/])\?[^\s#]*=[^\s#]*|(?<=[\w/])\?(?=\w)[^\s]{16,}")
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PATH = re.compile(
    r"(?<![\w:/.~<-])(?:~?/[\w.@+-]+(?:/[\w.@+-]+)+/?|~/[\w.@+-]+)"  # two steps at least: /v1 is none
    r"|\bfile:/+[^\s]+"
    r"|(?<![\w])[A-Za-z]:[\\/][^\s\"'<>|]+|\\\\[\w.$-]+\\[^\s\"'<>|]+"
)
_RULES = (("key", _KEY), ("user", _USER), ("query", _QUERY), ("email", _MAIL), ("path", _PATH))
_SUSPECT = re.compile(
    r"@|/|\\|=|:| |\t|\n|\?|~|--|sk-|pk-|rk-|sk_|pk_|rk_|xai-|pplx-|gsk_|hf_|r8_|npm_|nvapi-|fw_|esecret_"
    r"|ghp_|gho_|ghu_|ghs_|ghr_|github_pat|glpat|xox|AIza|ya29|AKIA|ASIA|ABIA|ACCA|eyJ"
)
"""Every text that one of the rules finds something in has one of these in it; nearly no ordinary one does."""
_SECRET_NAME = re.compile(
    r"(?i)(?:^|[._-])(?:api[._-]?key|access[._-]?key|key|token|secret|passwd|password|credentials?|authorization)s?$"
)
_LOCATIONS = frozenset({"cloud.resource_id", "faas.id", "container.image.name"})
"""Resource attributes whose right value looks like a path."""

_ID = re.compile(r"(?:chatcmpl|cmpl|resp|msg|gen)[-_][A-Za-z0-9]{8,64}\Z").match
"""The ids that most providers give."""
_CODE = re.compile(r"(?=.{1,64}\Z)(?:[A-Za-z]+|\d{1,4})?(?:[_.:-]+(?:[A-Za-z]+|\d{1,4}))*\Z").match
"""Words and short numbers, each apart from the next: no key looks so."""
OTHER = "_OTHER"
"""What the conventions write for a code that is not known."""
_PLAIN = (int, float, bool)

Replace = Callable[[str, str], str]
"""(kind of the find, its text) -> what stands there instead."""


def _mask(kind: str, found: str) -> str:
    return f"[{kind}]"


def _hash(kind: str, found: str) -> str:
    return f"[{kind}:{hashlib.sha256(found.encode('utf-8', 'replace')).hexdigest()[:12]}]"


_REPLACE: Mapping[str, Replace] = {"mask": _mask, "hash": _hash}


def text(value: str, mode: str = "mask", *, without: tuple[str, ...] = ()) -> str:
    """A text without keys, URLs' users and queries, e-mail addresses and absolute paths, of at most `LIMIT` characters.

    Args:
        value: Any text.
        mode: `mask` puts `[key]`, `[email]`, ... in the place of a find, `hash` also a short stable hash of it.
        without: Kinds of finds that stay: `key`, `user`, `query`, `email`, `path`.
    """
    if _SUSPECT.search(value) is None:
        return value[:LIMIT]
    replace = _REPLACE[mode]
    value = value[: 16 * LIMIT]  # a find that begins before the limit may end behind it
    for kind, rule in _RULES:
        if kind not in without:
            value = rule.sub(lambda match, kind=kind: replace(kind, match[0]), value)
    return value[:LIMIT]


def keys(value: str) -> str:
    """A text of any length without keys and tokens of known forms; what prompts are about stays."""
    return _KEY.sub("[key]", value) if any(mark in value for mark in _MARKS) else value


class Redactor:
    """The rules as one process applies them to what it records."""

    def __init__(self, mode: str) -> None:
        """Takes `mask` or `hash`; only `hash` touches the names of agents, tenants, roles and labels."""
        self._mode = mode

        # Few different words come again and again.
        @lru_cache(maxsize=512)
        def word(value: str) -> str:
            return text(value, mode)

        @lru_cache(maxsize=512)
        def model(value: str) -> str:
            return text(value, mode, without=("query", "email", "path"))

        @lru_cache(maxsize=512)
        def code(value: str) -> str:
            return value if _CODE(value) else OTHER

        self.code: Callable[[str], str] = code
        """A provider's word for something, such as a finish reason; `_OTHER` for what is no such word."""
        self.word: Callable[[str], str] = word
        """A text of few different ones, without secrets."""
        self.model: Callable[[str], str] = model
        """A model's name: a path or an `@` may be part of it, a key is not."""

    def record(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record of a call, in place: its texts that are neither identity nor a model's name."""
        get = record.get
        for name in ("host", "error"):
            if (value := get(name)) is not None:
                record[name] = self.word(value)
        if (value := get("tier")) is not None:
            record["tier"] = self.code(value)
        for name in ("model", "served"):
            if (value := get(name)) is not None:
                record[name] = self.model(value)
        if (value := get("response_id")) is not None and _ID(value) is None:
            record["response_id"] = text(value, self._mode)
        if (reasons := get("finish")) is not None:
            record["finish"] = [self.code(reason) for reason in reasons[:MANY]]
        if (facts := get("params")) is not None:
            self._facts(facts)
        if (facts := get("extras")) is not None:
            self._facts(facts)
        return record

    def _facts(self, facts: dict[str, Any]) -> None:
        """Parameters: numbers as they are, a text or a list of texts without secrets; nothing else is kept."""
        for name, value in facts.items():
            kind = type(value)  # pyright: ignore[reportUnknownVariableType]
            if kind is str:
                facts[name] = self.word(value)
            elif kind is list:
                facts[name] = [self.word(each) for each in value[:MANY] if type(each) is str]
            elif kind not in _PLAIN:
                facts[name] = None

    def resource(self, attributes: Mapping[str, str]) -> dict[str, str]:
        """Resource attributes; `service.name` is an identity and stays."""
        kept: dict[str, str] = {}
        for name, value in attributes.items():
            if name == "service.name":
                kept[name] = self.identity(value)
            elif _SECRET_NAME.search(name):
                kept[name] = _REPLACE[self._mode]("key", value)
            else:
                kept[name] = text(value, self._mode, without=("path",) if name in _LOCATIONS else ())
        return kept

    def identity(self, name: str) -> str:
        """The name of an agent, tenant, role or label's value: as it is, but for a stable hash where `hash` is set."""
        return name if self._mode == "mask" else self.word(name)

    def caller(self, caller: Caller) -> Caller:
        """A caller whose names are those that are recorded."""
        if self._mode == "mask":
            return caller
        agent, role, tenant = (
            None if name is None else self.word(name) for name in (caller.agent, caller.role, caller.tenant)
        )
        return Caller(agent, role, tenant, tuple((name, self.word(value)) for name, value in caller.labels))
