"""Handle of a WebSocket. Only `curl.py` and the `curl_*.py` import pycurl."""

from __future__ import annotations

from collections.abc import Callable

import pycurl

from fastload.load.engine.curl_transfer import Transfer

WS_TEXT, WS_BINARY, WS_CONT = pycurl.WS_TEXT, pycurl.WS_BINARY, pycurl.WS_CONT
WS_CLOSE, WS_PING, WS_PONG = pycurl.WS_CLOSE, pycurl.WS_PING, pycurl.WS_PONG


class TransferError(Exception):
    """A WebSocket's connection is broken: libcurl's error number and text."""


class WebSocketTransfer(Transfer):
    """Handle of one WebSocket session. libcurl makes the handshake and the frames; the caller decides when to send and
    to receive.

    ``on_ready(events)`` is called when the socket is ready for the mask given to `CurlEngine.watch`.
    """

    __slots__ = ("connecting", "fd", "on_ready")

    on_ready: Callable[[int], None]

    def prepare_handshake(self, url: str, headers: tuple[str, ...]) -> None:
        """Prepare the handshake with *url* (ws or wss). `CurlEngine.open_socket` starts it."""
        self.fd = -1
        self.connecting = False
        self.keep_headers()
        self.prepare("GET", url, headers, None)
        # pycurl does not name the protocols of WebSockets.
        self.setopt(pycurl.PROTOCOLS, pycurl.PROTO_ALL)
        self.setopt(pycurl.CONNECT_ONLY, 2)
        # libcurl would delay its own answers to pings until the next message is sent, so the session answers pings.
        self.setopt(pycurl.WS_OPTIONS, pycurl.WS_NOAUTOPONG)
        self.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        if self._http.hosts:
            self._override_host(url)

    def is_connected(self) -> bool:
        """Return whether the connection is still open after the handshake."""
        return bool(self.getinfo(pycurl.ACTIVESOCKET) >= 0)

    def has_switched_unasked(self) -> bool:
        return False

    def send_frame(self, data: bytes | memoryview, flags: int) -> int:
        """Send a frame and return how many bytes of *data* libcurl accepted. Send the rest next, with the same *flags*.

        Raises:
            BlockingIOError: the socket is full.
            TransferError: the connection is broken.
        """
        try:
            return self.ws_send(data, flags)
        except pycurl.error as error:
            raise TransferError(*error.args) from None

    def receive_frame(self, most_bytes: int) -> tuple[bytes, int, int]:
        """Receive a part of a frame: return its bytes, flags, and how many bytes of the frame are still to come.

        Raises:
            BlockingIOError: no data has arrived.
            TransferError: the connection is broken.
        """
        try:
            data, meta = self.ws_recv(most_bytes)
        except pycurl.error as error:
            raise TransferError(*error.args) from None
        return data, meta.flags, meta.bytesleft
