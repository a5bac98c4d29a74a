"""Answers that a `Peer` gives."""

from __future__ import annotations

from tests.load.harness import Connection


def ok(connection: Connection, _head: bytes) -> None:
    connection.reply()


def silent(_connection: Connection, _head: bytes) -> None:
    """Never answers."""


def slow_on_request(connection: Connection, head: bytes) -> None:
    if b"/slow" not in head.split(b"\r\n")[0]:
        connection.reply(head.split()[1])
