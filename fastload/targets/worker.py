"""Server process of a target: an ASGI server with the target's application, which ends when its parent ends."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gc
import importlib
import os
import resource
import select
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from fastload.targets.application import Application, Service, ServiceContext
from fastload.targets.limits import find_limit, parse_limits
from fastload.targets.limits.cpu_quota import CpuQuota
from fastload.targets.limits.gates import make_gates
from fastload.targets.limits.listening import SlowAccepts, limit_descriptors
from fastload.targets.listeners import LONGEST_BACKLOG
from fastload.targets.registry import find_target
from fastload.targets.shared import SharedMemory
from fastload.targets.spec import TargetSpec

_STDIN = 0
_PARENT_CHECK_S = 0.5
_SHUTDOWN_S = 5.0
# Longer than any think time between two requests of a VU.
_KEEP_ALIVE_S = 300
# With the default of 5 ms, each of the ten statements of a transaction would wait up to 5 ms for the event loop.
_SWITCH_INTERVAL_S = 0.0002


class WorkerConfig(msgspec.Struct, frozen=True):
    """The configuration that the launcher writes to stdin, as one line of JSON.

    The pipe then stays open as long as the launcher runs.
    """

    options: msgspec.Raw
    listener_fd: int
    shared_fd: int
    run_dir: str
    parent_pid: int
    worker: int
    workers: int
    quota: str | None = None


class _Server(uvicorn.Server):
    """The server of *context*, with the limits of its options that are of processes and sockets."""

    def __init__(self, config: uvicorn.Config, context: ServiceContext) -> None:
        super().__init__(config)
        limits = parse_limits(context.options.limits)
        self._accept_queue = find_limit(limits, "accept-queue")
        self._fds = find_limit(limits, "fds")
        self._source = context.chance("accept-queue")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._accept_queue is None:
            await super().startup(sockets)
        else:
            await super().startup([])
            # Nothing is called of them but close.
            self.servers: list[Any] = [
                SlowAccepts(listener, self._accept_queue, self._source, self._make_protocol)
                for listener in sockets or ()
            ]
        if self._fds is not None:
            limit_descriptors(round(self._fds.amount))

    def _make_protocol(self) -> asyncio.Protocol:
        protocol: Any = self.config.http_protocol_class
        made: asyncio.Protocol = protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


def main(arguments: Sequence[str]) -> int:
    """Serve the target named in *arguments* until SIGTERM or the end of the parent. Return 0 after a graceful stop."""
    spec = find_target(arguments[0])
    config = msgspec.json.decode(sys.stdin.buffer.readline(), type=WorkerConfig)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    # Every VU has a connection, and the usual soft limit is about a thousand descriptors.
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    with _run_dir_user(config) as directory:
        server = _make_server(spec, config)

        def ask_to_stop(*_: object) -> None:
            server.should_exit = True

        # uvicorn installs its own handlers while it serves, and raises the signal again afterwards.
        signal.signal(signal.SIGTERM, ask_to_stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_follow_parent, args=(server, config, directory), daemon=True).start()
        listener = socket.socket(fileno=config.listener_fd)
        gc.freeze()
        server.run(sockets=[listener])
    return 0


def _make_server(spec: TargetSpec, config: WorkerConfig) -> uvicorn.Server:
    module, _, name = spec.service.partition(":")
    context = ServiceContext(
        options=msgspec.json.decode(config.options, type=spec.options_type),
        shared=SharedMemory(config.shared_fd, spec, config.workers),
        run_dir=Path(config.run_dir),
        worker=config.worker,
        workers=config.workers,
    )
    service: Service = getattr(importlib.import_module(module), name)(context)
    gates = make_gates(parse_limits(context.options.limits), context)
    application: Any = Application(spec, service, context, gates)
    return _Server(
        uvicorn.Config(
            application,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=LONGEST_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=3,
        ),
        context,
    )


def _follow_parent(server: uvicorn.Server, config: WorkerConfig, directory: int) -> None:
    """Stop the server after the end of the parent, also if the parent was killed."""
    # The end of the pipe shows it at once. But a process that the parent forked may hold the other end of the pipe
    # open, so check the parent's pid too.
    while os.getppid() == config.parent_pid:
        if select.select([_STDIN], [], [], _PARENT_CHECK_S)[0]:
            break
    server.should_exit = True
    threading.Event().wait(_SHUTDOWN_S)
    _leave_quota(config)
    _delete_if_last(config.run_dir, directory)
    os._exit(1)


@contextlib.contextmanager
def _run_dir_user(config: WorkerConfig) -> Iterator[int]:
    """Hold a shared lock on the run directory, and yield its descriptor. The last process to leave deletes it.

    After an error, the directory stays for the parent, which reports the logs in it and deletes it. If the parent is
    gone, the last process deletes it in this case too.
    """
    directory = os.open(config.run_dir, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_SH)
    is_graceful = False
    try:
        yield directory
        is_graceful = True
    finally:
        _leave_quota(config)
        # After a graceful end, delete even if the parent exists: it may be killed before it deletes the directory.
        if is_graceful or os.getppid() != config.parent_pid:
            _delete_if_last(config.run_dir, directory)


def _leave_quota(config: WorkerConfig) -> None:
    # If the parent was killed, nobody else removes the cgroup.
    if config.quota is not None:
        CpuQuota(Path(config.quota)).leave()


def _delete_if_last(run_dir: str, directory: int) -> None:
    # Release the own lock first. Otherwise, of two processes that leave at the same time, each could find the lock of
    # the other, and neither would delete the directory.
    fcntl.flock(directory, fcntl.LOCK_UN)
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(run_dir, ignore_errors=True)
