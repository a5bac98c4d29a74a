"""What docs/recipes.md has beside scripts: jobs of CI, a container file, a proxy. Scripts are run by test_docs.py."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastload.targets import RunningTarget
from tests.conftest import REPO
from tests.load.client.transport_servers import HttpProxy
from tests.test_docs import DOCS, SHOWN_URL, blocks_of, shorten

PAGE = DOCS / "recipes.md"
BLOCKS = {block.title: block.text for block in blocks_of(PAGE) if block.title}
SHOWN_PROXY = "localhost:3128"
# Dependencies are those of the tests: nothing is downloaded. "0" is how pip spells that it isolates no build.
PIP = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def shell(command: str, folder: Path, env: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def environment(*first: Path, **more: str) -> dict[str, str]:
    """A clean environment, in which programs of the folders *first* come first."""
    path = ":".join([*map(str, first), os.environ["PATH"]])
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), **PIP, **more}


def lend_dependencies(python: Path) -> None:
    """Let *python*, of a fresh virtual environment, import what the tests have installed, but not their fastload."""
    made = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    )
    folder = Path(made.stdout.strip())
    lent = folder.parent / "lent"
    lent.mkdir()
    for one in Path(sysconfig.get_path("purelib")).iterdir():
        if "fastload" not in one.name and one.suffix != ".pth":
            (lent / one.name).symlink_to(one)
    (folder / "lent.pth").write_text(f"{lent}\n")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return folder


def commands_of_github(job: Mapping[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


@pytest.mark.timeout(300)
def test_the_jobs_of_ci(wheels: Path, tmp_path: Path, sequencer: RunningTarget) -> None:
    """Their files are parsed, and their commands are run as CI runs them, in a fresh virtual environment."""
    github = yaml.safe_load(BLOCKS[".github/workflows/load.yml"])["jobs"]["load"]
    gitlab = yaml.safe_load(BLOCKS[".gitlab-ci.yml"])["load"]
    [uploaded] = [step["with"]["path"].split() for step in github["steps"] if "upload-artifact" in step.get("uses", "")]
    kept = [*gitlab["artifacts"]["paths"], gitlab["artifacts"]["reports"]["junit"]]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, timeout=200)
    lend_dependencies(tmp_path / "venv/bin/python")
    for name, commands, files in (
        ("github", commands_of_github(github), uploaded),
        ("gitlab", gitlab["script"], kept),
    ):
        folder = tmp_path / name
        shutil.copytree(wheels, folder / "wheels")
        (folder / "ramp.py").write_text(shorten(BLOCKS["ramp.py"], sequencer.base_url))
        env = environment(
            tmp_path / "venv/bin", BASE_URL=sequencer.base_url, GITHUB_STEP_SUMMARY=str(folder / "job-summary.md")
        )
        for command in commands:
            # A machine with other tests on it may be too busy.
            shell(command.replace(" --strict", ""), folder, env)
        assert [file for file in files if not (folder / file).is_file()] == []
        assert any(" --strict" in command for command in commands)
        shown = shell("command -v fastload", folder, env)
        assert shown.strip() == str(tmp_path / "venv/bin/fastload")
    assert "ramp.py" in (tmp_path / "github/job-summary.md").read_text()
    assert "BASE_URL" in github["env"]


def instructions() -> list[tuple[str, str]]:
    """The instructions of the container file, without comments."""
    lines = (DOCS / "Dockerfile").read_text().splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line and line[0] != "#")]


def copy_context(to: Path) -> None:
    """Copy what the build gets: all that Dockerfile.dockerignore lets in."""
    lines = (DOCS / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in lines
    for name in (line[1:] for line in lines if line.startswith("!")):
        source = REPO / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)


@pytest.mark.timeout(300)
def test_the_container_file_builds_a_fastload_that_runs(tmp_path: Path, sequencer: RunningTarget) -> None:
    """The commands of its first stage are run, with folders of the test for those of the image."""
    steps = instructions()
    first_stage = steps[: next(at for at, step in enumerate(steps) if step[0] == "FROM" and at)]
    context, opt, wheels = (tmp_path / name for name in ("src", "opt", "wheels"))
    context.mkdir()
    copy_context(context)
    env = environment(Path(sys.executable).parent)
    for word, rest in first_stage:
        if word == "RUN":
            shell(rest.replace("/opt/fastload", str(opt)).replace("/wheels", str(wheels)), context, env)
            if " venv " in rest:
                lend_dependencies(opt / "bin/python")
    [entry] = [json.loads(rest) for word, rest in steps if word == "ENTRYPOINT"]
    assert entry == ["fastload"]
    said = shell(f"fastload bench {sequencer.base_url}/health -n 20 -c 2 -w 1", tmp_path, environment(opt / "bin"))
    assert "http_reqs" in said
    shown = shell("python -c 'import fastload; print(fastload.__file__)'", tmp_path, environment(opt / "bin"))
    assert shown.startswith(str(opt))


def test_the_image_is_slim_and_its_user_is_not_root() -> None:
    steps = instructions()
    images = [rest.split()[0] for word, rest in steps if word == "FROM"]
    # A virtual environment is copied from one to the other: it has the paths of its Python.
    assert len(images) == 2
    assert len(set(images)) == 1
    assert images[0].endswith("-slim")
    [at_user] = [at for at, (word, _) in enumerate(steps) if word == "USER"]
    assert steps[at_user][1] not in ("root", "0")
    made = [rest for word, rest in steps[:at_user] if word == "RUN" and rest.startswith("useradd")]
    assert any(rest.endswith(steps[at_user][1]) for rest in made)
    assert "RUN" not in [word for word, _ in steps[at_user:]]
    assert "--from=build /opt/fastload /opt/fastload" in [rest for word, rest in steps if word == "COPY"]


@contextlib.contextmanager
def proxy(handler: HttpProxy) -> Iterator[int]:
    """Run *handler* in a thread of its own; yields its port."""
    loop = asyncio.new_event_loop()

    async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The command closes its connections when it has ended.
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, IndexError, ValueError):
            await handler(reader, writer)
        writer.close()

    server = loop.run_until_complete(asyncio.start_server(quiet, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def close() -> None:
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_behind_a_proxy(tmp_path: Path, sequencer: RunningTarget) -> None:
    """The requests of one scenario come by the proxy, those of the other do not."""
    (tmp_path / "proxied.py").write_text(BLOCKS["proxied.py"])
    handler = HttpProxy(credentials="user:password")
    with proxy(handler) as port:
        command = BLOCKS["by a proxy"].replace(SHOWN_URL, sequencer.base_url).replace(SHOWN_PROXY, f"127.0.0.1:{port}")
        command = f"{command.strip()} -q -w 1 --summary summary.json".replace(
            "fastload", f"{sys.executable} -m fastload", 1
        )
        shell(command, tmp_path, environment(PYTHONPATH=str(REPO)))
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["metrics"]["http_reqs"]["count"] == 15
    assert summary["metrics"]["http_req_failed"]["rate"] == 0
    assert len([line for line in handler.seen if "/health" in line]) == 10
