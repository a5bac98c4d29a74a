from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.drive import Drive

NAMES = (
    "ADDRESSES_FILE",
    "AGENT_ID",
    "API_BASE",
    "API_KEY",
    "API_URL",
    "BASE_URL",
    "BATCH_SIZE",
    "EMBED_API_URL",
    "POLL_S",
    "RATE_LIMIT_PER_MINUTE",
    "SCORER_ID",
    "SEQUENCER_BASE_URL",
    "STORE_ID",
    "STREAM",
    "TENANT_ID",
    "TEST_EMAIL",
    "TEST_PASSWORD",
    "WIDGET_URL",
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a target nor a scenario reads what the caller's systems have."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    """Run a scenario of ``scenarios/`` in an empty directory; see `Drive`."""
    return Drive(tmp_path)
