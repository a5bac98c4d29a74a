"""What a script prints, in a whole run on a real terminal, into a pipe and into a file."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyte
import pytest

from tests.conftest import DEADLINE_S, cli_command, cli_env, wait_until

SCRIPT = """
import logging, os, subprocess, sys, warnings
import fastload as fl

logging.basicConfig(level=logging.INFO, format="%(message)s")
warnings.simplefilter("always")

@fl.setup
async def prepare(vu):
    print("setup says")

@fl.teardown
async def clean_up(vu):
    print("teardown says", file=sys.stderr)

@fl.handle_summary
def report(summary):
    print("handle_summary says")

@fl.scenario(vus=4, executor="per-vu-iterations", iterations=3)
async def visit(vu):
    print("VU", vu.id, "prints", "\\x1b[31mred\\x1b[0m", "\\x1b[2J\\x1b[5A", sep=" ")
    sys.stderr.write(f"VU {vu.id} writes an error\\n")
    logging.info("VU %s logs", vu.id)
    subprocess.run(["sh", "-c", f"echo VU {vu.id} calls"])
    print("10%\\r50%\\r100%")
    await vu.sleep(0.4)
"""
LINES = Counter(
    {"setup says": 1, "teardown says": 1, "handle_summary says": 1, "100%": 12}
    | {
        f"VU {number} {what}": 3
        for number in range(1, 5)
        for what in ("prints red", "writes an error", "logs", "calls")
    }
)


class Terminal:
    """A command on a terminal of its own, which understands what is written like a real one."""

    def __init__(self, folder: Path, *args: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.screen = pyte.HistoryScreen(100, 24, history=5000, ratio=0.5)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        env = cli_env(TERM="xterm-256color")
        del env["COLUMNS"]
        # Python has no other way to give a process a controlling terminal.
        command = [
            "python3",
            "-c",
            "import fcntl, os, sys, termios as t; fcntl.ioctl(0, t.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])",
        ]
        self.process = subprocess.Popen(
            [*command, *cli_command(*args)],
            cwd=folder,
            env=env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def read(self, until: bytes = b"") -> None:
        """Read until *until* was written, or to the end."""
        end_s = time.monotonic() + 3 * DEADLINE_S
        seen = len(self.raw)
        while not until or until not in self.raw[seen:]:
            assert time.monotonic() < end_s, self.raw.decode()
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    data = os.read(self.master, 65_536)
                except OSError:
                    break
                self.raw += data
                self._stream.feed(data)

    def text(self) -> list[str]:
        """All lines that scrolled out, and those on the screen."""
        gone = ["".join(line[column].data for column in range(100)) for line in self.screen.history.top]
        return [line.rstrip() for line in (*gone, *self.screen.display)]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@contextlib.contextmanager
def terminal(folder: Path, script: str, *args: str) -> Iterator[Terminal]:
    (folder / "script.py").write_text(script)
    one = Terminal(folder, "run", "script.py", *args)
    try:
        yield one
    finally:
        one.close()


def test_prints_stay_above_the_live_block(tmp_path: Path) -> None:
    with terminal(tmp_path, SCRIPT, "-w", "2") as shown:
        shown.read(b"VU 1 calls")
        shown.read(b"workers")
        # The block is below what was printed, and whole.
        at = max(number for number, line in enumerate(shown.text()) if line == "script.py")
        assert not [line for line in shown.text()[at:] if line.startswith("VU")]
        shown.read()
        assert shown.process.wait(60) == 0
    lines = [" ".join(line.split()) for line in shown.text()]
    assert {line: lines.count(line) for line in LINES} == LINES
    # Nothing of the block is left.
    assert not [line for line in lines if line.startswith(("running", "latency", "failed/s"))]
    assert b"\x1b[31mred\x1b[0m" in shown.raw
    assert b"\x1b[2J" not in shown.raw


SHAPED = """
import logging, os, subprocess, warnings
import fastload as fl

logging.basicConfig(format="%(message)s")
calls = iter(range(100))

def follow(moment):
    number = next(calls)
    print("the shape prints", number)
    logging.warning("the shape logs %s", number)
    subprocess.run(["echo", f"the shape calls {number}"])
    os.write(1, b"no end of the line")
    os.write(2, b", yet\\n")
    return None if number == 2 else 1

@fl.scenario(shape=follow)
async def visit(vu):
    await vu.sleep(0.2)

@fl.teardown
async def clean_up(vu):
    print("teardown says")
"""


def test_prints_of_the_parent_stay_above_the_live_block(tmp_path: Path) -> None:
    with terminal(tmp_path, SHAPED, "-w", "1") as shown:
        shown.read()
        assert shown.process.wait(60) == 0
    lines = [line for line in shown.text() if line.startswith(("the shape", "no end", "teardown"))]
    assert Counter(lines) == Counter(
        [f"the shape {what} {number}" for number in range(3) for what in ("prints", "logs", "calls")]
        + ["no end of the line, yet"] * 3
        + ["teardown says"]
    )
    assert not [line for line in shown.text() if line.startswith(("running", "latency", "failed/s"))]


@pytest.mark.parametrize("merged", [True, False])
def test_prints_into_a_file_are_whole_lines(tmp_path: Path, merged: bool) -> None:
    script = """
import os
import fastload as fl

@fl.scenario(vus=4, executor="per-vu-iterations", iterations=100)
async def visit(vu):
    for part in (f"VU {vu.id} ", f"{vu.iteration} ", "x" * 3000, "\\n"):
        os.write(1, part.encode())
    os.write(2, f"error of VU {vu.id}\\n".encode())
    if vu.iteration % 50 == 49:
        print("no end of the line", end="")
"""
    (tmp_path / "script.py").write_text(script)
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("w") as stdout, err.open("w") as stderr:
        command = cli_command("run", "script.py", "-w", "4", "-q", "--summary", "summary.json")
        second = stdout if merged else stderr
        subprocess.run(command, cwd=tmp_path, env=cli_env(), check=True, timeout=60, stdout=stdout, stderr=second)
    lines = out.read_text().splitlines()
    printed = [line.removeprefix("no end of the line") for line in lines]
    for number in range(1, 5):
        found = [line for line in printed if line.startswith(f"VU {number} ")]
        assert found == [f"VU {number} {iteration} {'x' * 3000}" for iteration in range(100)]
        errors = printed if merged else err.read_text().splitlines()
        assert errors.count(f"error of VU {number}") == 100


def test_prints_do_not_get_into_json(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = cli_command("run", "script.py", "-w", "2", "--json")
    done = subprocess.run(command, cwd=tmp_path, env=cli_env(), capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["passed"] is True
    assert "VU 1 calls" in done.stderr.splitlines()


DEBUGGED = """
import fastload as fl

@fl.scenario(vus=1, iterations=1)
async def visit(vu):
    answer = 41
    breakpoint()
    print("after", answer)
"""


def test_a_debugger_has_the_terminal_of_a_quiet_run(tmp_path: Path) -> None:
    with terminal(tmp_path, DEBUGGED, "-q", "-w", "1") as shown:
        for command in (b"p answer + 1\n", b"c\n"):
            shown.read(b"(Pdb) ")
            os.write(shown.master, command)
        shown.read()
        assert shown.process.wait(60) == 0
    lines = shown.text()
    assert "42" in lines
    assert "after 41" in lines


def test_a_debugger_without_the_terminal_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with terminal(tmp_path, DEBUGGED, "-w", "1") as shown:
        shown.read()
        assert shown.process.wait(60) == 107
    assert "breakpoint() has no keyboard" in " ".join(shown.text())


def test_a_script_that_prints_without_end_slows_nothing(tmp_path: Path) -> None:
    script = """
import fastload as fl

@fl.scenario(vus=2, duration="2s")
async def visit(vu):
    for _ in range(200):
        print("x" * 200)
    await vu.sleep(0)
"""
    (tmp_path / "script.py").write_text(script)
    command = cli_command("run", "script.py", "-w", "2", "-q", "--summary", "summary.json")
    with subprocess.Popen(command, cwd=tmp_path, env=cli_env(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        parent = psutil.Process(process.pid)
        wait_until(lambda: len(parent.children()) == 2)
        # Nobody reads while there is load.
        wait_until(lambda: not parent.children())
        process.stdout.read()
        assert process.wait(60) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert any("left out" in note for note in summary["notes"]), summary["notes"]
    # More than the queue and all pipes hold.
    assert summary["metrics"]["iterations"]["count"] * 40_000 > 20e6
