"""Patching: puts one wrapper on each target of a table, and takes it off again. The only user of wrapt."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial, wraps
from types import CellType, ModuleType
from typing import Any

import wrapt

from . import context
from .call import Framework, Provider, Target
from .drives import DRIVES, EITHER, FEEDS, Hook, Link, Patch, Wrapped, Wrapper, roles, wires
from .frameworks import FRAMEWORKS
from .guard import Breaker, guarded, preceded
from .providers import PROVIDERS
from .recorder import Recorder
from .wires import WIRES, Wire


class _Bound(wrapt.BoundFunctionWrapper):  # pyright: ignore[reportMissingTypeArgument]  (older wrapt has none)
    """A patched method as one gets it from its class or from an instance; pickled as `getattr`, as methods are."""

    def __copy__(self) -> Any:
        """Itself, as a function's copy is."""
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        """Itself."""
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        """By name: who loads it gets what is there."""
        owner: Any = self._self_instance
        return getattr, (self._self_owner if owner is None else owner, self.__name__)


class Patched(wrapt.FunctionWrapper):  # pyright: ignore[reportMissingTypeArgument]
    """A target's wrapper; unlike wrapt's own it can be pickled and copied, as the function that it stands for."""

    __bound_function_wrapper__ = _Bound
    __copy__ = _Bound.__copy__
    __deepcopy__ = _Bound.__deepcopy__

    def __reduce_ex__(self, protocol: Any) -> Any:
        """By name."""
        return self.__qualname__


patches: dict[str, Patch] = {}
"""Patched providers by name."""
hooks: dict[str, Hook] = {}
"""Frameworks that say which of their agents is running, by name."""
links: dict[str, Link] = {}
"""Wires to other processes, by name."""


def patch_module(module: ModuleType, recorder: Recorder, *, executed: bool = False) -> None:
    """Patches what `module` defines of the targets of providers, frameworks and wires; a second time does nothing.

    Args:
        module: The module of a table.
        recorder: Where its calls are begun.
        executed: Whether it has just been executed: a reload has made its classes anew, and they are patched again.
    """
    for provider in PROVIDERS:
        if provider.module == module.__name__:
            _patch(provider, module, recorder, executed=executed)
    for framework in FRAMEWORKS:
        if framework.module == module.__name__:
            _hook(framework, module, recorder, executed=executed)
    for wire in WIRES:
        if wire.module == module.__name__:
            _link(wire, module, recorder, executed=executed)


def _patch(provider: Provider, module: ModuleType, recorder: Recorder, *, executed: bool) -> None:
    patch = patches.get(provider.name)
    if patch is None:
        patch = patches[provider.name] = Patch(provider=provider)
        patch.breaker = Breaker(partial(_break, patch, recorder))
    elif not executed or patch.breaker is None:
        return
    for target in provider.targets:
        if target.drive in ("mute", "idle", "untraced") and recorder.config.native_spans:
            continue
        guarded(_wrap, module, target, partial(_driven, target, recorder, patch), patch)


def _hook(framework: Framework, module: ModuleType, recorder: Recorder, *, executed: bool) -> None:
    hook = hooks.get(framework.name)
    if hook is None:
        hook = hooks[framework.name] = Hook(framework=framework)
        hook.breaker = Breaker(partial(_break, hook, recorder))
    elif not executed or hook.breaker is None:
        return
    for target in framework.targets:
        guarded(_wrap, module, target, lambda original, target=target: roles.role(hook, target), hook)
    if framework.running is not None:
        source = getattr(module, framework.source, None)
        if source is None:
            hook.left[framework.source] = "this version does not have it"
            return
        hook.reader = roles.reader(hook, source)
        _set_readers()


def _link(wire: Wire, module: ModuleType, recorder: Recorder, *, executed: bool) -> None:
    link = links.get(wire.name)
    if link is None:
        link = links[wire.name] = Link(wire=wire)
        link.breaker = Breaker(partial(_break, link, recorder))
    elif not executed or link.breaker is None:
        return
    for target in wire.targets:
        if target.drive == "silence":
            if not (recorder.config.native_spans or recorder.config.agent_spans):
                guarded(_replace, module, target, link)
        elif target.drive != "send" or recorder.config.propagate:
            driven = partial(wires.DRIVES[target.drive], link, target, recorder)
            guarded(_wrap, module, target, lambda original, driven=driven: driven(), link)


def _replace(module: ModuleType, target: Target, link: Link) -> None:
    original = getattr(module, target.name, None)
    if original is not None:
        setattr(module, target.name, wires.Silence(original))
        link.originals.append((module, target.name, original))


def _set_readers() -> None:
    """In the order of the list of frameworks, whatever was imported first."""
    known = [hooks[each.name] for each in FRAMEWORKS if each.name in hooks and hooks[each.name].breaker is not None]
    context.readers = tuple(hook.reader for hook in known if hook.reader is not None)
    if context.readers and context.on_first is not None:
        guarded(context.on_first)


def patch_loaded(recorder: Recorder, only: frozenset[str] | None = None) -> None:
    """Patches what was imported before us; only these modules, if they are given."""
    for name in dict.fromkeys(table.module for table in (*PROVIDERS, *FRAMEWORKS, *WIRES)):
        module = sys.modules.get(name)
        # Another thread may be executing it still: then its targets are not there yet, and the finder's turn comes.
        if only is not None and name not in only:
            continue
        if module is not None and not getattr(module.__spec__, "_initializing", False):
            patch_module(module, recorder)


def unpatch() -> None:
    """Puts back the very same objects."""
    for patch in (*links.values(), *hooks.values(), *patches.values()):
        guarded(_restore, patch)
        patch.breaker = None  # a call that is on its way into a wrapper finds that it is off
    patches.clear()
    hooks.clear()
    links.clear()
    guarded(_set_readers)


def _break(patch: Patch | Hook | Link, recorder: Recorder) -> None:
    """Takes one table's wrappers off for good: the program goes on with the SDK's own objects, unrecorded."""
    _restore(patch)
    patch.breaker = None
    guarded(_set_readers)
    guarded(recorder.note_breaker, patch.name)


def _restore(patch: Wrapped) -> None:
    for parent, name, original in reversed(patch.originals):
        if original is None:
            delattr(parent, name)
        else:
            setattr(parent, name, original)
    patch.originals.clear()


def _driven(target: Target, recorder: Recorder, patch: Patch, original: Any) -> Wrapper:
    drive = ("a" if target.drive in EITHER and inspect.iscoroutinefunction(original) else "") + target.drive
    return DRIVES[drive](patch, target, recorder)


def _wrap(module: ModuleType, target: Target, drive: Callable[[Any], Wrapper], patch: Wrapped) -> None:
    *path, name = target.name.split(".")
    parent: Any = module
    for step in path:
        parent = getattr(parent, step, None)
    members: dict[str, Any] = {} if parent is None else parent.__dict__
    own: Any = members.get(name)
    # What an object has of its class is bound to it; a class's own members are not, and stay so.
    of = inspect.getattr_static if isinstance(parent, type) else getattr
    original: Any = own if own is not None or parent is None else of(parent, name, None)
    if original is None:
        if not target.optional:
            patch.left[target.name] = "this version of the SDK does not have it"
        return
    if target.instead_of in members:
        return
    known = inspect.signature(original).parameters if target.parameters else ()  # a class method has none
    if missing := [each for each in target.parameters if each not in known]:
        patch.left[target.name] = f"its signature has no {', '.join(missing)}"
        return
    if target.within:
        cell = _cell(original, target.within)
        if cell is None:
            patch.left[target.name] = f"it is not made around {target.within}"
            return
        parent, name, original = cell, "cell_contents", cell.cell_contents
        own = original
    setattr(parent, name, _stand_in(original, target, drive))
    patch.originals.append((parent, name, own))


def _stand_in(original: Any, target: Target, drive: Callable[[Any], Wrapper]) -> Any:
    if target.drive in FEEDS:  # wrapt's proxy would take a fifth of what a chunk costs
        return preceded(original, FEEDS[target.drive])
    made = drive(original)
    return _narrow(original, made, target.only) if target.only else Patched(original, made)


def _narrow(original: Any, wrapper: Wrapper, only: str) -> Any:
    """The wrapper for instances of the one class; a plain function, since for all others every call pays for it."""

    @wraps(original)
    def narrowed(self: Any, *args: Any, **kwargs: Any) -> Any:
        if type(self).__name__ != only:
            return original(self, *args, **kwargs)
        return wrapper(original.__get__(self), self, args, kwargs)

    return narrowed


def _cell(function: Any, variable: str) -> CellType | None:
    """Where a function, or one that decorators have put around it, keeps a variable of its closure."""
    for _ in range(_DECORATORS):
        code: Any = getattr(function, "__code__", None)
        if variable in getattr(code, "co_freevars", ()):
            return function.__closure__[code.co_freevars.index(variable)]
        function = getattr(function, "__wrapped__", None)
    return None


_DECORATORS = 8
