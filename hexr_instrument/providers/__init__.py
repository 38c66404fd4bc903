"""The SDKs that are patched: a file of tables for each line of `start.PROVIDERS`, in its order."""

from __future__ import annotations

from importlib import import_module

from .. import start
from ..call import Provider

PROVIDERS: tuple[Provider, ...] = tuple(
    table for file in start.PROVIDERS for table in import_module(f".{file}", __name__).TABLES
)
