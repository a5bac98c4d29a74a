from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastload.targets import RunningTarget, SequencerOptions, running
from tests.targets.events import Client

ENVIRONMENT = ("API_KEY", "RATE_LIMIT_PER_MINUTE", "MAX_DB_CONNECTIONS", "TEST_EMAIL", "TEST_PASSWORD", "SCORER_ID")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory in which targets make their temporary files."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return directory


@pytest.fixture(scope="module")
def shared_target() -> Iterator[RunningTarget]:
    """One sequencer for the tests that do not mind what others stored in it."""
    with running("sequencer", SequencerOptions(max_batch_events=50, api_key="", rate_limit_per_minute=0)) as target:
        yield target


@pytest.fixture
def client(shared_target: RunningTarget) -> Iterator[Client]:
    with Client(shared_target.port) as connection:
        yield connection
