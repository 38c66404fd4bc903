"""`hexr_llm`: registers a client, or makes one call with a provider's own SDK."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, overload

from . import hub
from .call import REGISTRATION, Caller, Provider
from .context import Entered
from .direct import AsyncLLMStream, HexrError, LLMResponse, LLMStream, name_of, question_of
from .guard import guarded
from .providers import PROVIDERS

C = TypeVar("C")


class HexrLLM:
    """The type of `hexr_llm`; see its calls."""

    @overload
    def __call__(
        self, client: C, /, *, role: str | None = None, agent: str | None = None, tenant: str | None = None
    ) -> C: ...

    @overload
    def __call__(
        self,
        *,
        provider: str,
        model: str,
        prompt: str | None = None,
        role: str | None = None,
        agent: str | None = None,
        tenant: str | None = None,
        system: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        stream: Literal[False] = False,
        base_url: str | None = None,
        api_key: str | None = None,
        **options: Any,
    ) -> LLMResponse: ...

    @overload
    def __call__(
        self,
        *,
        provider: str,
        model: str,
        prompt: str | None = None,
        role: str | None = None,
        agent: str | None = None,
        tenant: str | None = None,
        system: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        stream: Literal[True],
        base_url: str | None = None,
        api_key: str | None = None,
        **options: Any,
    ) -> LLMStream: ...

    def __call__(self, *client: Any, role: str | None = None, **asked: Any) -> Any:
        """Registers a client, or makes one call.

        `hexr_llm(client, role=, agent=, tenant=)` returns a handle of the same kind on the same transport, whose calls
        carry that role; two registrations of one client give two handles.

        `hexr_llm(provider=, model=, prompt=, ...)` makes one call with the provider's own SDK (`openai`, `anthropic`,
        `google`, or any OpenAI-compatible endpoint by `base_url=`).

        Example:
            ```python
            client = hexr_llm(OpenAI(), role="researcher")
            answer = hexr_llm(provider="openai", model="gpt-4o", prompt="Say hello")
            print(answer, answer.cost_usd)
            ```

        Args:
            *client: The client to register: OpenAI, Anthropic or google-genai, sync or async.
            role: The role that the calls carry.
            **asked: `agent`, `tenant`; for a call also `provider`, `model`, `prompt` or `messages`, `system`,
                `stream`, `base_url`, `api_key`, and any further options of the provider's method.

        Returns:
            The handle; or an `LLMResponse`; or, with `stream=True`, an `LLMStream` of text pieces.

        Raises:
            HexrError: the client's kind or the provider is not known, its SDK is not installed, or it has no key.
        """
        guarded(hub.ensure)
        if client:
            return _register(client[0], role=role, **asked)
        question = question_of(role=role, twin=False, **asked)
        with Entered(question.change):
            raw = question.method(**question.arguments)
        if question.stream:
            return LLMStream(question, raw)
        return question.response(raw, question.text(raw), raw)

    async def aio(self, *, role: str | None = None, **asked: Any) -> Any:
        """The asynchronous twin of a direct call: the same arguments, awaited.

        Returns:
            An `LLMResponse`; or, with `stream=True`, an `AsyncLLMStream`.

        Raises:
            HexrError: as for the call.
        """
        guarded(hub.ensure)
        question = question_of(role=role, twin=True, **asked)
        with Entered(question.change):
            raw = await question.method(**question.arguments)
        if question.stream:
            return AsyncLLMStream(question, raw)
        return question.response(raw, question.text(raw), raw)

    def __repr__(self) -> str:
        """Its public name."""
        return "hexr_llm"


def _register(
    client: Any, *, role: str | None = None, agent: str | None = None, tenant: str | None = None, **unknown: Any
) -> Any:
    if unknown:
        raise HexrError(f"a registered client takes role=, agent= and tenant=, not {', '.join(sorted(unknown))}=")
    table = next((each for each in PROVIDERS if _is_client(client, each)), None)
    if table is None:
        raise HexrError(
            f"{type(client).__module__}.{type(client).__qualname__} is no client that hexr_llm knows: give an OpenAI, "
            "Anthropic or google-genai client, or provider= and model= for a call"
        )
    caller = Caller(name_of("agent", agent), name_of("role", role), name_of("tenant", tenant))
    return guarded(_handle, table, client, caller) or client  # calls without a role, rather than none


def _handle(table: Provider, client: Any, caller: Caller) -> Any:
    handle = table.handle(client)
    setattr(table.owner(handle), REGISTRATION, caller)
    return handle


def _is_client(client: Any, table: Provider) -> bool:
    root = table.module.rpartition(".")[0]
    return any(kind.__name__ in table.clients and kind.__module__.startswith(root) for kind in type(client).__mro__)


hexr_llm = HexrLLM()
"""Registers a client, or makes one call: see `HexrLLM.__call__` and `HexrLLM.aio`."""
