"""What runs at interpreter start: one import finder. Imports os and sys only."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

PROVIDERS = {
    "openai": ("openai._base_client",),
    "openai_sockets": (
        "openai.resources.realtime.realtime",
        "openai.resources.beta.realtime.realtime",
        "openai.resources.responses.responses",
        "openai.resources.beta.responses.responses",
    ),
    "anthropic": ("anthropic._base_client",),
    "claude_agent": ("claude_agent_sdk._internal.transport.subprocess_cli",),
    "google": ("google.genai.models",),
    "google_batches": ("google.genai.batches", "google.genai.files"),
    "google_interactions": ("google.genai._gaos.interactions", "google.genai._interactions._base_client"),
    "google_live": ("google.genai.live",),
    "ollama": ("ollama._client",),
    "mistral": (
        "mistralai.client.chat",
        "mistralai.client.agents",
        "mistralai.client.fim",
        "mistralai.client.embeddings",
        "mistralai.client.conversations",
        "mistralai.client.responses",
        "mistralai.chat",
        "mistralai.agents",
        "mistralai.fim",
        "mistralai.embeddings",
        "mistralai.conversations",
    ),
    "cohere": ("cohere.raw_base_client", "cohere.v2.raw_client"),
    "voyage": ("voyageai.client", "voyageai.client_async"),
    "ai21": (
        "ai21.clients.studio.resources.chat.chat_completions",
        "ai21.clients.studio.resources.chat.async_chat_completions",
    ),
    "huggingface": ("huggingface_hub.inference._client", "huggingface_hub.inference._generated._async_client"),
    "replicate": ("replicate.client",),
    "mistral_spans": ("mistralai.client._hooks.tracing", "mistralai._hooks.tracing"),
    "bedrock": ("botocore.client", "aiobotocore.client"),
    "groq": ("groq._base_client",),
    "together": ("together._base_client",),
    "cerebras": ("cerebras.cloud.sdk._base_client",),
    "fireworks": ("fireworks._base_client",),
    "litellm": (
        "litellm.main",
        "litellm.responses.main",
        "litellm.responses.streaming_iterator",
        "litellm.responses.litellm_completion_transformation.streaming_iterator",
    ),
    "vertex": ("vertexai.generative_models._generative_models", "vertexai.language_models._language_models"),
    "xai": ("xai_sdk.aio.chat", "xai_sdk.sync.chat"),
    "azure_inference": ("azure.ai.inference._patch", "azure.ai.inference.aio._patch"),
    "watsonx": (
        "ibm_watsonx_ai.foundation_models.inference.model_inference",
        "ibm_watsonx_ai.foundation_models.inference.base_model_inference",
        "ibm_watsonx_ai.foundation_models.embeddings.embeddings",
    ),
    "tools": (
        "openai.lib.responses_tool_runner",
        "anthropic.lib.tools._beta_runner",
        "anthropic.lib.tools._beta_functions",
        "google.genai._extra_utils",
    ),
}
"""A file of `providers/` -> the modules of its tables' targets, whose import loads the engine: a line for each file."""
SHARED = ("botocore.client", "aiobotocore.client")
"""Those of them that most programs import for something else: the engine is loaded at their first use for a model
(`first_use.py`)."""
MODULES = tuple(module for file in PROVIDERS for module in PROVIDERS[file] if module not in SHARED)
"""All others."""
FRAMEWORKS = (
    "ag2.agent",
    "agents.run",
    "agents.run_internal.run_loop",
    "autogen.agentchat.conversable_agent",
    "autogen_agentchat.agents",
    "autogen_agentchat.teams",
    "crewai",
    "google.adk.agents.base_agent",
    "langchain_core.runnables.config",
    "langgraph.pregel",
    "llama_index.core.agent.workflow",
    "pydantic_ai._run_context",
    "pydantic_ai.toolsets.function",
    "smolagents.agents",
)
"""The modules whose import has a framework say which agent is running: one line for each framework's table."""
WIRES = (
    "a2a.client.base_client",
    "a2a.client.transports.jsonrpc",
    "a2a.client.transports.rest",
    "a2a.server.request_handlers.default_request_handler",
    "a2a.server.request_handlers.default_request_handler_v2",
    "a2a.utils.telemetry",
    "mcp.client.sse",
    "mcp.client.stdio",
    "mcp.client.streamable_http",
    "mcp.server._otel",
    "mcp.server.lowlevel.server",
    "mcp.server.stdio",
    "mcp.shared.jsonrpc_dispatcher",
    "mcp.shared.session",
)
"""The modules by which agents ask other processes: one line for each wire's table."""
REQUESTS = (
    "aiohttp.client_reqrep",
    "httpcore._async.connection_pool",
    "httpcore._sync.connection_pool",
    "httpcore2._async.connection_pool",
    "httpcore2._sync.connection_pool",
    "opentelemetry.baggage.propagation",
    "urllib3.connectionpool",
)
"""The same for requests of any kind: their import alone loads nothing, they are patched once something else has."""
SERVERS = ("uvicorn.server",)
"""Servers that handle the signals before they import the program, and in the end hand them to what stood there before.
"""
TRIO = "trio"
"""It warns of a wake-up pipe that is not its own."""
CARRIERS = (
    "concurrent.futures.thread",
    "concurrent.futures.process",
    "multiprocessing.pool",
    "multiprocessing.process",
    "subprocess",
)
"""Modules of the standard library through which work goes to other threads and processes."""
CELERY = "celery.signals"
WATCHED = frozenset((*MODULES, *SHARED, *FRAMEWORKS, *WIRES, *REQUESTS, *SERVERS, TRIO, *CARRIERS, CELERY))

beside = ""
"""Where the boot file has found this package, if the program does not have it: the folder of the injected image."""


class Finder:
    """Finds nothing itself; has the engine patch a provider's module right after it has been executed."""

    def __init__(self) -> None:
        """Watches nothing else than `WATCHED`: every other import costs one look-up."""
        self._busy: set[str] = set()

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """The spec that the other finders give, with a loader that calls us once the module has been executed."""
        if name not in WATCHED or name in self._busy:
            return None
        self._busy.add(name)
        try:
            for finder in sys.meta_path:
                if finder is not self and hasattr(finder, "find_spec"):
                    spec = finder.find_spec(name, path, target)
                    if spec is not None:
                        break
            else:
                return None
        finally:
            self._busy.discard(name)
        if hasattr(spec.loader, "exec_module"):
            loader: Any = Loader(spec.loader)
            spec.loader = loader
        return spec


class Loader:
    """Another loader, up to the moment when the module is executed; the module itself never sees this one.

    It stands before the other instead of changing it, because a loader may serve many modules (zip archives, frozen
    programs).
    """

    _loader: "Any" = None

    def __init__(self, loader: "Any") -> None:
        """Stands before `loader`."""
        self._loader = loader

    def __getattr__(self, name: str) -> "Any":
        """Whatever else the loader does."""
        return getattr(self._loader, name)

    def exec_module(self, module: "ModuleType") -> None:
        """Gives the module its own loader back, executes it, and has it patched."""
        for owner, name in ((module, "__loader__"), (getattr(module, "__spec__", None), "loader")):
            if getattr(owner, name, None) is self:
                setattr(owner, name, self._loader)
        self._loader.exec_module(module)
        loaded(module)


def loaded(module: "ModuleType") -> None:
    """Patches a module that has just been executed; a fault of ours must not fail the program's import."""
    if module.__name__ in REQUESTS and "hexr_instrument.hub" not in sys.modules:
        return  # it has its turn if something else loads the hub
    try:
        # Nothing is imported before a provider is; and where recording is off, nothing but the configuration.
        from hexr_instrument import config  # noqa: PLC0415

        if config.switched_off() or (module.__name__ not in (*CARRIERS, *SHARED, TRIO) and not reach()):
            return
        if module.__name__ in SHARED:
            from hexr_instrument import first_use  # noqa: PLC0415

            first_use.wait(module, used)
        elif module.__name__ in SERVERS:
            if config.catches_signals():
                from hexr_instrument import signals  # noqa: PLC0415

                signals.catch()
        elif module.__name__ in CARRIERS:
            if "hexr_instrument.carry" in sys.modules:
                sys.modules["hexr_instrument.carry"].on_import(module)
        elif module.__name__ == CELERY:
            from hexr_instrument import carry  # noqa: PLC0415

            carry.on_import(module)
        elif module.__name__ == TRIO:
            if "hexr_instrument.signals" in sys.modules:
                sys.modules["hexr_instrument.signals"].release()
        else:
            from hexr_instrument import hub  # noqa: PLC0415

            hub.on_import(module)
    except Exception as fault:
        if os.environ.get("HEXR_DEBUG", "").lower() in ("1", "true", "yes", "on"):
            sys.excepthook(type(fault), fault, fault.__traceback__)


def used(module: "ModuleType") -> None:
    """Patches a module of `SHARED` that is used for a model."""
    if reach():
        from hexr_instrument import hub  # noqa: PLC0415

        hub.on_import(module, executed=False)


def reach() -> bool:
    """Whether our libraries can be used; those of the injected image are reached last on `sys.path`, from now on.

    Not before: until something of ours is needed, pip and the program find what they find without us.
    """
    global beside
    if beside:
        from hexr_instrument import injected  # noqa: PLC0415  (only where the image is injected)

        if injected.misfits(beside):
            return False
        if beside not in sys.path:  # multiprocessing hands on its parent's
            sys.path.append(beside)
        beside = ""
    return True


def start() -> None:
    """Inserts the finder, once; imports and starts nothing else."""
    if not any(type(finder).__name__ == "Finder" and type(finder).__module__ == __name__ for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())
