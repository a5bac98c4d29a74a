"""What a script leaves to the end of the run: tasks with requests in flight, and objects that raise when looked at."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Cli, Nginx, cli_command, cli_env

HEAD = "import asyncio\nimport fastload as fl\n"
LEFT = {
    "a task": "asyncio.create_task(vu.get(SLOW))",
    "a shielded request": """
    try:
        await asyncio.wait_for(asyncio.shield(vu.get(SLOW)), 0.02)
    except TimeoutError:
        pass""",
    "a stream": """
    async def listen():
        async with vu.stream("GET", SLOW) as reply:
            await reply.read()
    asyncio.create_task(listen())""",
}


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_requests_of_tasks_that_are_left_are_interrupted(
    cli: Cli, nginx: Nginx, silent: str, tmp_path: Path, left: str
) -> None:
    (tmp_path / "script.py").write_text(
        f"""{HEAD}SLOW = {silent!r}
@fl.scenario(vus=2, iterations=4, graceful_stop="1s")
async def visit(vu):
    {left.strip()}
    await vu.get("/")
"""
    )
    done = cli("run", "script.py", "--base-url", nginx.url, "-w", "1", "-q", "--json")
    counts = json.loads(done.stdout)["requests"]
    assert counts["started"] == counts["finished"] + counts["failed"] + counts["interrupted"]
    assert counts["interrupted"] > 0
    assert "Traceback" not in done.stderr


def test_objects_of_the_script_that_raise_when_they_are_asked(cli: Cli, nginx: Nginx, tmp_path: Path) -> None:
    """As proxies of Flask outside of a request, and lazy modules."""
    (tmp_path / "script.py").write_text(
        HEAD
        + """
import types
class Proxy:
    def __getattribute__(self, name):
        raise RuntimeError("outside of a context")
class Lazy(types.ModuleType):
    def __getattr__(self, name):
        raise ImportError(name)
current_app, lazy = Proxy(), Lazy("lazy")
@fl.scenario(vus=1, iterations=2)
async def visit(vu):
    if vu.iteration > 5:
        print(current_app, lazy.get)
    await vu.get("/")
"""
    )
    done = cli("run", "script.py", "--base-url", nginx.url, "-w", "1", "-q", "--json")
    assert json.loads(done.stdout)["requests"]["finished"] == 2
    assert "Traceback" not in done.stderr


def test_a_parent_that_ignores_the_end_of_its_children(nginx: Nginx, tmp_path: Path) -> None:
    command = cli_command("bench", nginx.url + "/", "-n", "20", "-c", "2", "-q", "--json")
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=cli_env(),
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )
    assert json.loads(done.stdout)["requests"]["finished"] == 20
    assert done.returncode == 0


@pytest.mark.parametrize("closed", ["sys.stdout", "sys.stderr", "sys.stdout = sys.stderr"])
def test_a_program_without_standard_streams(nginx: Nginx, tmp_path: Path, closed: str) -> None:
    program = f"""{HEAD}
import sys
@fl.scenario(vus=1, iterations=3)
async def visit(vu):
    await vu.get("/")
{closed} = None
summary = fl.run(visit, base_url={nginx.url!r}, workers=1)
open("count", "w").write(str(summary.metrics["http_reqs"].count))
"""
    (tmp_path / "program.py").write_text(program)
    subprocess.run([sys.executable, "program.py"], cwd=tmp_path, env=cli_env(), timeout=60, check=True)
    assert (tmp_path / "count").read_text() == "3"


def test_a_coroutine_that_the_end_of_the_run_leaves_is_no_forgotten_await(
    cli: Cli, nginx: Nginx, silent: str, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(
        HEAD
        + f"SLOW = {silent!r}"
        + """
limit = asyncio.Semaphore(1)
async def limited(request):
    async with limit:
        return await request
@fl.scenario(vus=4, duration="500ms", graceful_stop="50ms")
async def visit(vu):
    await asyncio.gather(*(limited(vu.get(SLOW)) for _ in range(4)))
"""
    )
    done = cli("run", "script.py", "--base-url", nginx.url, "-w", "1", "-q", "--json")
    assert "await" not in json.dumps(json.loads(done.stdout)["verdict"])
