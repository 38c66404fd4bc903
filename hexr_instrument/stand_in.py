"""An object that stands for another one, whatever that is: only a few of its names are answered here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

_OWN = frozenset({
    "__class__", "__new__", "__init__", "__getattribute__", "__getattr__", "__setattr__", "__delattr__", "__dict__",
    "__slots__", "__weakref__", "__init_subclass__", "__subclasshook__", "__module__", "__doc__", "__del__",
    "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__",
    "__class_getitem__", "__set_name__", "__get__", "__set__", "__delete__", "__mro_entries__", "__prepare__",
    "__annotations__", "__orig_bases__", "__parameters__", "__match_args__", "__static_attributes__",
    "__firstlineno__", "__abstractmethods__", "__copy__", "__deepcopy__", "__sizeof__",
})  # fmt: skip
"""Names of a class that a stand-in does not forward: they are looked up otherwise, or are its own."""


def stand_in(whole: Any, shadows: Mapping[str, Any], specials: Mapping[str, Any]) -> Any:
    """An object that is `whole` for everybody who asks, but for a few names.

    Args:
        whole: What it stands for; `isinstance` says so, too.
        shadows: Attributes of its own.
        specials: Methods that Python looks up on the class.
    """
    kind: Any = cast("Any", type(whole))

    def forward(name: str) -> Callable[..., Any]:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            found = getattr(kind, name)(whole, *args, **kwargs)
            return self if found is whole else _entered(found) if name == "__aenter__" else found

        async def _entered(coroutine: Any) -> Any:
            found = await coroutine
            return made if found is whole else found

        return method

    def get(self: Any, name: str) -> Any:
        return shadows[name] if name in shadows else getattr(whole, name)

    def put_attribute(self: Any, name: str, value: Any) -> None:
        setattr(whole, name, value)

    def delete(self: Any, name: str) -> None:
        delattr(whole, name)

    def same_class(self: Any) -> Any:
        return kind

    def pickled(self: Any, protocol: Any) -> Any:
        return whole.__reduce_ex__(protocol)

    dunders = {
        name
        for each in kind.__mro__
        for name, member in each.__dict__.items()
        if name.startswith("__") and name.endswith("__") and name not in _OWN and callable(member)
    }
    members: dict[str, Any] = {name: forward(name) for name in dunders if getattr(kind, name) is not None}
    members |= dict(specials)
    members |= {
        "__slots__": ("__weakref__",),
        "__module__": kind.__module__,
        "__doc__": kind.__doc__,
        "__getattribute__": get,
        "__setattr__": put_attribute,
        "__delattr__": delete,
        "__class__": property(same_class),
        "__reduce_ex__": pickled,
    }
    made: Any = object.__new__(type(kind.__name__, (), members))
    return made
