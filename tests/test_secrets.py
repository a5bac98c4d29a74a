"""What leaves a run has no secret of its requests, and is small whatever a script raises; with the real command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastload.model.records import MOST_KINDS
from fastload.model.redaction import MOST_TEXT
from fastload.model.saved.codec import unpack_payload
from fastload.model.saved.run_file import RunReader
from tests.conftest import Cli, Nginx, free_port

SECRET = "s3cr3t-value-of-a-parameter"
SCRIPT = """
import fastload as fl

SECRET = "s3cr3t-value" + "-of-a-parameter"
orders = fl.Counter("orders")


@fl.setup
async def log_in(vu):
    await vu.get("/login?password=" + SECRET)


@fl.scenario(vus=1, iterations=3)
async def main(vu):
    await vu.get("/a?page=2&api_key=" + SECRET, headers={"X-Api-Key": SECRET, "Authorization": "Bearer " + SECRET})
    await vu.get("/b?token=" + SECRET, name="/b?token=" + SECRET)
    await vu.get("http://ada:" + SECRET + "@127.0.0.1:{port}/refused?session=" + SECRET)
    async with vu.expect("GET", "/c?sig=" + SECRET) as reply:
        reply.failure("bad answer of " + reply.url)
    try:
        async with vu.websocket("/ws?token=" + SECRET):
            pass
    except fl.WebSocketError:
        pass
    raise ValueError(f"what is {reply!r} of {reply.url} with Bearer {SECRET}")
"""


def contents(folder: Path) -> dict[str, str]:
    """All files of *folder* as text; of run files what they hold."""
    found = {}
    for path in folder.iterdir():
        if path.suffix == ".fastload":
            with RunReader(path) as reader:
                found[path.name] = str([unpack_payload(payload) for _, payload in reader._payloads()])
        elif path.name != "script.py":
            found[path.name] = path.read_text()
    return found


def test_no_output_has_a_secret_of_a_request(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.replace("{port}", str(free_port())))
    files = ("--save", "a.fastload", "--summary", "a.json", "--html", "a.html")
    outs = ("md=a.md", "junit=a.xml", "locust=a", "json=points.json", "csv=points.csv", "hlog=a.hlog")
    done = cli(
        *("run", "script.py", "--base-url", nginx.url.replace("://", f"://ada:{SECRET}@"), "-w", "1", "--http-debug"),
        *(*files, *(word for out in outs for word in ("--out", out)), "-e", f"API_KEY={SECRET}"),
    )
    assert done.returncode == 107, done.stderr
    written = contents(tmp_path)
    assert {"a.fastload", "a.json", "a.html", "a.md", "a.xml", "points.json", "points.csv"} <= written.keys()
    for name, text in {**written, "stdout": done.stdout, "stderr": done.stderr}.items():
        assert SECRET not in text, name
    summary = json.loads(written["a.json"])
    assert any("session=***" in error["first"] for error in summary["errors"])
    assert "/b?token=***" in {endpoint["name"] for endpoint in summary["endpoints"]}
    assert "sig=***" in summary["exceptions"][0]["first"]
    assert "api_key=***" in written["points.json"]
    assert "> GET /a?page=2&api_key=*** HTTP/1.1" in done.stderr
    assert "X-Api-Key: ***" in done.stderr


def test_a_bench_and_a_refused_url_have_none_either(cli: Cli, tmp_path: Path) -> None:
    url = f"http://ada:{SECRET}@127.0.0.1:{free_port()}/a?api_key={SECRET}&page=2"
    done = cli("bench", url, "-c", "1", "-n", "2", "-w", "1", "--save", "a.fastload", "--summary", "a.json")
    for name, text in {**contents(tmp_path), "stdout": done.stdout, "stderr": done.stderr}.items():
        assert SECRET not in text, name
    assert "api_key=***&page=2" in done.stdout
    refused = cli("bench", url.replace("http://", "file://"))
    assert refused.returncode == 104
    assert "has no http:// or https:// scheme" in refused.stderr
    assert SECRET not in refused.stderr


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/", "ws://127.0.0.1/"])
def test_other_schemes_are_refused_by_bench_and_as_base_url(cli: Cli, tmp_path: Path, url: str) -> None:
    (tmp_path / "script.py").write_text(
        "import fastload as fl\n@fl.scenario(vus=1)\nasync def main(vu):\n    await vu.get('/')\n"
    )
    for command in (("bench", url), ("run", "script.py", "--base-url", url)):
        done = cli(*command)
        assert done.returncode == 104
        assert "has no http:// or https:// scheme" in done.stderr or "has no host" in done.stderr


def test_what_a_script_raises_is_bounded(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        """
import fastload as fl

@fl.scenario(vus=2, iterations=150)
async def main(vu):
    await vu.get("/")
    raise type(f"Error{vu.iteration_in_test}", (Exception,), {})("begin " + "m" * 50_000 + " end")
"""
    )
    done = cli("run", "script.py", "--base-url", nginx.url, "-w", "2", "--summary", "a.json", "--save", "a.fastload")
    assert done.returncode == 107, done.stderr
    summary = json.loads((tmp_path / "a.json").read_text())
    raised = summary["exceptions"]
    assert (len(raised), sum(one["count"] for one in raised)) == (MOST_KINDS + 1, 150)
    assert max(len(one["first"]) for one in raised) <= MOST_TEXT
    assert f"there were more than {MOST_KINDS} types of exceptions: 50 failures" in " ".join(summary["notes"])
    assert "characters left out" in raised[0]["first"]
    assert (tmp_path / "a.fastload").stat().st_size < 3 * MOST_KINDS * MOST_TEXT
    assert f"more than {MOST_KINDS} types of exceptions" in " ".join(done.stdout.split())
