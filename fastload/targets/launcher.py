"""Launcher of targets: starts a target in processes of its own, and stops it in every case."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from fastload.model.errors import PlanError, TargetError
from fastload.targets.limits import find_limit, parse_limits
from fastload.targets.limits.cpu_quota import CpuQuota
from fastload.targets.limits.disk import check_disk
from fastload.targets.listeners import LONGEST_BACKLOG, bind_listeners
from fastload.targets.options import TargetOptions
from fastload.targets.registry import find_target
from fastload.targets.shared import SharedMemory
from fastload.targets.spec import TargetSpec

_POLL_S = 0.02
_STOP_S = 8.0
_STDERR_TAIL_BYTES = 2000


class RunningTarget:
    """A started target: it listens on ``port``, and its URL is ``base_url``.

    Its server processes have their own sessions, so Ctrl-C does not reach them.
    """

    def __init__(self, spec: TargetSpec, options: TargetOptions, *, host: str, port: int, workers: int) -> None:
        self._spec = spec
        self._host = host
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stop_lock = threading.Lock()
        self._temporary_folder: Path | None = None
        self._quota: CpuQuota | None = None
        self._owner_pid = os.getpid()
        # Resources of the server processes; released only after the processes have ended.
        self._resources = contextlib.ExitStack()
        try:
            self._start(options, port, workers)
        except BaseException:
            self.stop()
            raise

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the server processes."""
        return tuple(process.pid for process in self._processes)

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until every process is ready and ``/health`` answers with 200.

        A CPU quota begins when they are ready.

        Raises:
            TargetError: a process ended, or *timeout_s* passed; the message ends with the stderr of the processes.
        """
        deadline = time.monotonic() + timeout_s
        while not (self._shared.all_ready() and self._is_healthy()):
            self.check()
            if time.monotonic() > deadline:
                raise self._failure(f"did not answer within {timeout_s:g} s")
            time.sleep(_POLL_S)
        if self._quota is not None:
            for pid in self.pids:
                self._quota.add(pid)

    def check(self) -> None:
        """Check that no server process has ended by itself.

        Raises:
            TargetError: a server process has ended.
        """
        for process in self._processes:
            code = process.poll()
            if code is not None:
                raise self._failure(f"ended: its process {process.pid} exited with {code}")

    def stop(self) -> None:
        """Stop the processes gracefully, kill those that do not end in time, and delete the temporary files.

        May be repeated. It does nothing in a process that was forked from the process that started the target. On
        Ctrl-C it kills the processes at once, and raises the `KeyboardInterrupt` after all is cleaned up.
        """
        if os.getpid() != self._owner_pid:
            return
        interrupt: KeyboardInterrupt | None = None
        while True:
            try:
                self._stop(_STOP_S if interrupt is None else 0.0)
                break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def _stop(self, grace_s: float) -> None:
        with self._stop_lock:
            for process in self._processes:
                process.terminate()
            deadline = time.monotonic() + grace_s
            for process in self._processes:
                try:
                    process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                if process.stdin:
                    process.stdin.close()
            # Not in the exit stack, which calls each callback only once: after an interrupt this must run again.
            if self._temporary_folder is not None:
                shutil.rmtree(self._temporary_folder, ignore_errors=True)
            self._resources.close()

    def _start(self, options: TargetOptions, port: int, workers: int) -> None:
        inherited = []
        if options._exclusive_file is not None:
            inherited.append(_open_exclusively(options._exclusive_file))
            self._resources.callback(os.close, inherited[0])
        limits = parse_limits(options.limits)
        if (cpu_quota := find_limit(limits, "quota")) is not None:
            self._quota = CpuQuota.create(cpu_quota.amount)
            self._resources.callback(self._quota.remove)
        accept_queue = find_limit(limits, "accept-queue")
        with contextlib.ExitStack() as listening:
            host = self._host
            backlog = LONGEST_BACKLOG if accept_queue is None else round(accept_queue.amount)
            listeners = bind_listeners(host, port, workers, backlog)
            # Close the listeners here after the start: the port is then free as soon as the server processes end.
            for listener in listeners:
                listening.enter_context(listener)
            self.port: int = listeners[0].getsockname()[1]
            self.base_url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
            self._run_dir = self._temporary_folder = Path(tempfile.mkdtemp(prefix="fastload-target-"))
            if find_limit(limits, "fsync") is not None:
                check_disk(self._run_dir)
            self._shared = SharedMemory.create(self._spec, workers)
            self._resources.callback(self._shared.close)
            for worker, listener in enumerate(listeners):
                config = {
                    "options": dataclasses.asdict(options),
                    "listener_fd": listener.fileno(),
                    "shared_fd": self._shared.fd,
                    "run_dir": str(self._run_dir),
                    "parent_pid": os.getpid(),
                    "worker": worker,
                    "workers": workers,
                    "quota": str(self._quota.path) if self._quota is not None else None,
                }
                self._spawn(worker, config, [listener.fileno(), self._shared.fd, *inherited])

    def _spawn(self, worker: int, config: dict[str, object], inherited: list[int]) -> None:
        with self._log_path(worker).open("wb") as log:
            process = subprocess.Popen(
                # -P: a file in the working directory must not replace a module.
                [sys.executable, "-P", "-m", "fastload.targets", self._spec.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=inherited,
                start_new_session=True,
                env=_environment(),
            )
        self._processes.append(process)
        assert process.stdin is not None
        # If the process has ended already, wait_ready reports it with its stderr.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(config).encode() + b"\n")
            process.stdin.flush()

    def _is_healthy(self) -> bool:
        # Not urllib, which would use the proxy of the environment.
        connection = http.client.HTTPConnection(self._host, self.port, timeout=2.0)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _failure(self, what: str) -> TargetError:
        tails = []
        for worker in range(len(self._processes)):
            with contextlib.suppress(OSError):
                tails.append(self._log_path(worker).read_bytes()[-_STDERR_TAIL_BYTES:].decode(errors="replace"))
        tail = "\n".join(dict.fromkeys(filter(None, map(str.strip, tails))))
        return TargetError(f"target {self._spec.name} {what}" + (f"\n{tail}" if tail else ""))

    def _log_path(self, worker: int) -> Path:
        return self._run_dir / f"stderr-{worker}.log"


@contextlib.contextmanager
def running(
    name: str,
    options: TargetOptions | None = None,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    workers: int = 1,
    start_timeout_s: float = 30.0,
) -> Iterator[RunningTarget]:
    """Start target *name*, wait until it answers requests, and stop it at the end of the ``with`` block.

    Options that are ``None`` are taken from the environment. Port 0 takes a free port. The processes also end when
    this process ends, even if it is killed.

    Raises:
        PlanError: an option is out of range, or the options are those of another target.
        TargetError: there is no such target, the port is in use, or the target does not start within
            *start_timeout_s*.
    """
    spec = find_target(name)
    options = (spec.options_type() if options is None else options)._with_environment(os.environ)
    if type(options) is not spec.options_type:
        raise PlanError(f"target {name} takes {spec.options_type.__name__}, not {type(options).__name__}")
    options._validate(workers)
    target = RunningTarget(spec, options, host=host, port=port, workers=workers)
    try:
        target.wait_ready(start_timeout_s)
        yield target
    finally:
        target.stop()


def serve(
    name: str,
    options: TargetOptions | None = None,
    *,
    port: int | None = None,
    host: str = "127.0.0.1",
    workers: int = 1,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Run target *name* until SIGINT or SIGTERM. Call *announce* with a line about its address when it answers.

    The default of *port* is ``TargetSpec.default_port`` of the target.

    Raises:
        PlanError, TargetError: as ``running``; TargetError also if a server process ends by itself.
    """
    stopped = threading.Event()
    port = find_target(name).default_port if port is None else port
    with (
        _stop_signals(stopped),
        running(name, options, port=port, host=host, workers=workers) as target,
    ):
        if announce is not None:
            pids = ", ".join(map(str, target.pids))
            limits = f", limited by {', '.join(options.limits)}" if options is not None and options.limits else ""
            announce(f"{name} on {target.base_url} (pid {pids}){limits}")
        while not stopped.wait(0.2):
            target.check()


@contextlib.contextmanager
def _stop_signals(stopped: threading.Event) -> Iterator[None]:
    """Set *stopped* on SIGINT and SIGTERM instead of ending; outside the main thread, change nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    previous: dict[int, Any] = {
        number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _open_exclusively(path: str) -> int:
    """Open *path*, create it if missing, and lock it against other targets.

    The lock lasts as long as the returned descriptor, or a copy of it, is open.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise TargetError(f"cannot open {path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise TargetError(f"{path} is in use by another target", hint="stop it, or choose another file") from None
    return descriptor


def _environment() -> dict[str, str]:
    """Return the environment of a server process, in which this copy of fastload is importable."""
    root = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join(filter(None, [known, root]))
    # Otherwise numpy would start threads for linear algebra, which the targets do not use.
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
