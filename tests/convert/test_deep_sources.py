"""Sources with more levels than Python reads are refused with one clear error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Cli


@pytest.mark.parametrize("levels", [220, 100_000])
def test_a_source_with_too_many_levels_is_refused(cli: Cli, tmp_path: Path, levels: int) -> None:
    deep = '{"a":' * levels + "1" + "}" * levels
    body = {"mode": "raw", "raw": deep if levels < 1000 else "x"}
    item = json.dumps([{"request": {"method": "POST", "url": "http://a.test", "body": body}}])
    (tmp_path / "deep.json").write_text(f'{{"info": {{}}, "x": {deep}, "item": {item}}}')
    done = cli("new", "deep", "--from", "deep.json")
    assert done.returncode == 104
    assert "Error: deep.json has too many objects or lists within each other" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_body_with_more_levels_than_the_client_writes_is_sent_as_text(cli: Cli, tmp_path: Path) -> None:
    deep = "[" * 300 + "]" * 300
    item = [{"request": {"method": "POST", "url": "http://a.test", "body": {"mode": "raw", "raw": deep}}}]
    (tmp_path / "deep.json").write_text(json.dumps({"info": {}, "item": item}))
    done = cli("new", "deep", "--from", "deep.json")
    assert done.returncode == 0, done.stderr
    assert "data=BODY" in (tmp_path / "deep.py").read_text()
    assert cli("plan", "deep.py").returncode == 0
