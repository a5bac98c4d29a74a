"""Listening sockets that the launcher binds and the server processes inherit."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from fastload.model.errors import TargetError

_LISTEN_STATE = "0A"


LONGEST_BACKLOG = 4096
"""Length of the accept queue of a target without a limit for it."""


def bind_listeners(host: str, port: int, count: int, backlog: int = LONGEST_BACKLOG) -> list[socket.socket]:
    """Return *count* listening sockets on one port (0: a free port); *backlog* connections can wait for each.

    With one socket for each process, the kernel distributes connections over the processes.

    Raises:
        TargetError: the port is in use or not allowed, or *host* is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    first = _open(family)
    listeners = [first]
    try:
        # Bind the first socket without SO_REUSEPORT, so that it fails if the port is in use. Share it afterwards.
        first.bind((host, port))
        port = first.getsockname()[1]
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for _ in range(count - 1):
            listeners.append(_open(family))
            listeners[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listeners[-1].bind((host, port))
        for listener in listeners:
            listener.listen(backlog)
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise _bind_error(host, port, error) from error
    return listeners


def _open(family: socket.AddressFamily) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return listener


def _bind_error(host: str, port: int, error: OSError) -> TargetError:
    if error.errno == errno.EADDRINUSE:
        holder = port_holder(port)
        return TargetError(
            f"port {port} is in use" + (f" by {holder}" if holder else ""),
            hint="stop that process, or choose another port; port 0 takes a free one",
        )
    return TargetError(f"cannot listen on {host} port {port}: {error.strerror or error}")


def port_holder(port: int) -> str:
    """Return a process that listens on TCP *port*, like ``"nginx (pid 42)"``; "" if none is visible."""
    inodes = _listening_inodes(port)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:
            # Another user's process, or one that has just ended.
            continue
    return ""


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTEN_STATE and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return inodes
