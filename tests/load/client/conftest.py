from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.load.client.transport_servers import Web, web


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web(tmp_path_factory.mktemp("web")) as running:
        yield running
