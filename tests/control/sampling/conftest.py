from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.control.sampling.puppet import Puppet


@pytest.fixture
def puppets() -> Iterator[Callable[..., Puppet]]:
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, executable: str | None = None) -> Puppet:
            puppet = Puppet(*arguments, executable=executable)
            stack.callback(puppet.close)
            return puppet

        yield start


@pytest.fixture
def puppet(puppets: Callable[..., Puppet]) -> Puppet:
    return puppets()
