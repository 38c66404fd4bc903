"""`hexr_llm`: registers a client, or makes one call with a provider's own SDK."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, overload

from . import hub
from .call import REGISTRATION, Caller, Provider
from .context import Change, Entered
from .direct import AsyncLLMStream, HexrError, LLMResponse, LLMStream, name_of, question_of
from .guard import guarded
from .providers import PROVIDERS
from .strangers import Terms, recorded
from .strangers import handle as stranger_handle

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
        anything: C,
        /,
        *,
        provider: str,
        methods: Sequence[str] | None = None,
        usage: Callable[[Any], Any] | None = None,
        model: str | None = None,
        role: str | None = None,
        agent: str | None = None,
        tenant: str | None = None,
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

        `hexr_llm(anything, provider="acme", methods=["complete"], usage=, model=, role=, ...)` does so for any other
        object: the named methods (sync, async, generators; dotted for parts) are recorded as calls of that provider;
        a function or an object with `__call__` needs no `methods`. The model is the argument `model`, or what the
        object says of itself; the usage is read from any known shape of the result, or by `usage`, a function of
        the result (of a stream: of the list of its pieces) that returns `{"input_tokens": ..., "output_tokens": ...}`.
        What calls a known SDK inside is recorded there, once.

        `hexr_llm(provider=, model=, prompt=, ...)` makes one call with the provider's own SDK (`openai`, `anthropic`,
        `google`, `bedrock`, `mistral`, `litellm`, ...: what is recorded and chats), or with OpenAI's at any
        OpenAI-compatible endpoint by `base_url=`.

        Example:
            ```python
            client = hexr_llm(OpenAI(), role="researcher")
            answer = hexr_llm(provider="openai", model="gpt-4o", prompt="Say hello")
            print(answer, answer.cost_usd)
            ```

        Args:
            *client: The client to register, of any SDK that is recorded and has one, sync or async.
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
            whole = client[0]
            if "provider" in asked or "methods" in asked:
                return _stranger(whole, role=role, **asked)
            return _register(whole, role=role, **asked)
        question = question_of(role=role, twin=False, **asked)
        with Entered(question.change):
            raw = question.method(**question.arguments)
        if question.stream:
            return LLMStream(question, raw)
        said = question.read(raw)
        return question.response(said, question.text(said), raw)

    @overload
    async def aio(
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
    async def aio(
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
    ) -> AsyncLLMStream: ...

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
            made = question.method(**question.arguments)
            raw = await made if inspect.isawaitable(made) else made
        if question.stream:
            return AsyncLLMStream(question, raw)
        said = question.read(raw)
        return question.response(said, question.text(said), raw)

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
            f"{type(client).__module__}.{type(client).__qualname__} is no client that hexr_llm knows: give one of an SDK "
            "that is recorded, as OpenAI's; of any other object say provider='acme' and methods=['complete']; or leave "
            "it out and give provider= and model= for a call"
        )
    near = Change(name_of("agent", agent), name_of("role", role), name_of("tenant", tenant))
    return guarded(_handle, table, client, near) or client  # calls without a role, rather than none


def _stranger(
    whole: Any,
    *,
    provider: Any = None,
    methods: Any = None,
    usage: Any = None,
    model: Any = None,
    role: str | None = None,
    agent: str | None = None,
    tenant: str | None = None,
    **unknown: Any,
) -> Any:
    if unknown:
        raise HexrError(
            f"a wrapped object takes provider=, methods=, usage=, model=, role=, agent= and tenant=, not {', '.join(sorted(unknown))}="
        )
    named = name_of("provider", provider)
    if named is None:
        raise HexrError("name who is billed for it: provider='acme'")
    if usage is not None and not callable(usage):
        raise HexrError(f"usage= takes a function of the result, not {usage!r}")
    change = Change(name_of("agent", agent), name_of("role", role), name_of("tenant", tenant), span=False)
    terms = Terms(named, change, name_of("model", model), usage)
    if methods is None and inspect.isroutine(whole):
        return guarded(recorded, whole, whole, terms) or whole
    if methods is None and not (callable(whole) and not isinstance(whole, type)):
        kind = f"{type(whole).__module__}.{type(whole).__qualname__}"
        raise HexrError(f"name the methods of {kind} that make calls: methods=['complete']")
    found: tuple[Any, ...] = (
        ("__call__",) if methods is None else (methods,) if isinstance(methods, str) else tuple(methods)
    )
    for name in found:
        at: Any = whole
        for step in name.split(".") if isinstance(name, str) else ():
            at = getattr(at, step, None)
        if not callable(at) or not isinstance(name, str):
            raise HexrError(f"{type(whole).__qualname__} has no method {name!r}")
    return guarded(stranger_handle, whole, found, terms) or whole


def _handle(table: Provider, client: Any, near: Change) -> Any:
    known = getattr(table.owner(client), REGISTRATION, None)  # a handle of a handle adds to it
    handle = table.handle(client)
    setattr(table.owner(handle), REGISTRATION, near.apply(known if isinstance(known, Caller) else Caller()))
    return handle


def _is_client(client: Any, table: Provider) -> bool:
    root = table.module.rpartition(".")[0]
    return any(
        (kind.__name__ in table.clients and kind.__module__.startswith(root))
        or f"{kind.__module__}.{kind.__name__}" in table.clients
        for kind in type(client).__mro__
    )


hexr_llm = HexrLLM()
"""Registers a client, or makes one call: see `HexrLLM.__call__` and `HexrLLM.aio`."""
