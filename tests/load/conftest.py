from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator

import pytest
import uvloop

from tests.conftest import wait_until
from tests.load.harness import Run, open_fds


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest, no_leaks: None) -> Run:
    """Runs a coroutine on asyncio's loop, and on the one that workers use."""
    chosen: Run = request.param
    return chosen


@pytest.fixture(scope="session")
def uvloop_loaded() -> None:
    """uvloop has been used: its first loop opens descriptors that the process keeps."""
    uvloop.run(asyncio.sleep(0))


@pytest.fixture
def no_leaks(uvloop_loaded: None) -> Iterator[None]:
    """The test leaves no descriptor and no thread behind."""
    fds, threads = open_fds(), threading.active_count()
    yield
    if not open_fds() <= fds:
        # What only a cycle holds is not leaked. (Always to collect would double the time of these tests.)
        gc.collect()
    wait_until(lambda: open_fds() <= fds, deadline_s=5)
    # The resolver's threads end by themselves, soon after their last answer.
    wait_until(lambda: threading.active_count() <= threads, deadline_s=5)
