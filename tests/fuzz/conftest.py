"""A fuzz test may take long where the machine is busy: ten thousand cases are some seconds of CPU."""

from __future__ import annotations

from pathlib import Path

import pytest

LONGEST_S = 600
HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test of this folder its time, unless ``--timeout`` says another."""
    for item in items if config.getoption("timeout") is None else ():
        if item.path.is_relative_to(HERE) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LONGEST_S))
