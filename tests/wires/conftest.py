"""Programs that ask each other, recorded and bare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cast import Cast

from hexr_instrument.demo.providers import ProviderServer


@pytest.fixture
def cast(tmp_path: Path, providers: ProviderServer) -> Iterator[Cast]:
    """Recorded programs."""
    made = Cast(tmp_path / "store", providers)
    yield made
    made.end()


@pytest.fixture
def bare(tmp_path: Path, providers: ProviderServer) -> Iterator[Cast]:
    """The same, without us."""
    made = Cast(tmp_path / "none", providers, recorded=False)
    yield made
    made.end()
