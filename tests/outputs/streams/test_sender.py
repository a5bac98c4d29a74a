"""Requests to monitoring: one connection, short patience, and errors without secrets."""

from __future__ import annotations

import contextlib
import socket
import threading
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

from fastload.model.errors import OutputError
from fastload.outputs.streams.sender import POSTS_SKIPPED_AFTER_TIMEOUT, Sender, parse_send_address
from tests.outputs.streams.receivers import receiver


def tried(server: socket.socket) -> int:
    """How many connections *server* was asked for and has not accepted yet."""
    server.setblocking(False)
    with contextlib.ExitStack() as stack:
        for number in range(100):
            try:
                stack.enter_context(server.accept()[0])
            except BlockingIOError:
                return number
    raise AssertionError("so many")


def test_who_does_not_answer_is_left_alone_for_a_while() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = parse_send_address(f"http://127.0.0.1:{server.getsockname()[1]}/x", "--out x", "")
        sender = Sender(address, timeout_s=0.1)
        for seconds, connections in ((1, 1), (POSTS_SKIPPED_AFTER_TIMEOUT, 0), (1, 1)):
            for _ in range(seconds):
                with pytest.raises(OutputError, match=r"/x did not answer within 0\.1 s"):
                    sender.post(address.url_for("/x"), b"", {})
            assert tried(server) == connections
        sender.close()


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    with receiver(status=500, reply=b"x" * 10_000_000) as kept:
        address = parse_send_address(kept.url, "--out x", "")
        sender = Sender(address)
        for _ in range(2):
            with pytest.raises(OutputError) as caught:
                sender.post(address.url_for("/"), b"", {})
            assert caught.value.message == f"{kept.url} answered 500: {'x' * 200}"
        sender.close()


def test_after_a_reply_that_was_not_read_whole_comes_the_next_post() -> None:
    """The rest of the first reply is still to come when the second post begins."""
    posts: list[int] = []
    both = threading.Event()

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline():
                while self.rfile.readline().strip():
                    pass
                posts.append(self.client_address[1])
                if len(posts) > 1:
                    both.set()
                    self.wfile.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                    continue
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 65_536)
                both.wait(5)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        address = parse_send_address(f"http://127.0.0.1:{server.server_address[1]}", "--out x", "")
        sender = Sender(address)
        try:
            for _ in range(3):
                sender.post(address.url_for("/"), b"", {})
        finally:
            sender.close()
            server.shutdown()
            thread.join()
    assert posts[0] != posts[1] == posts[2], "a new connection, and that one is kept"


def test_a_redirect_is_not_followed() -> None:
    with receiver(status=301) as kept:
        kept.headers["Location"] = "/elsewhere"
        address = parse_send_address(kept.url, "--out x", "")
        sender = Sender(address)
        with pytest.raises(OutputError, match="answered 301"):
            sender.post(address.url_for("/"), b"", {})
        sender.close()
        assert len(kept.requests) == 1


@pytest.mark.parametrize(
    ("text", "shown", "url"),
    [
        ("http://u:p@host:1/a/?k=v", "http://host:1/a", "http://host:1/a?k=v"),
        ("https://[::1]:2", "https://[::1]:2", "https://[::1]:2?"),
        ("http://HOST", "http://host", "http://host?"),
    ],
)
def test_addresses_are_shown_without_secrets(text: str, shown: str, url: str) -> None:
    address = parse_send_address(text, "--out x", "")
    assert address.shown == shown
    assert address.url_for(address.path) == url.removesuffix("?")
    assert "p" not in repr(address).replace("path", "").replace("http", "")
