"""Error kinds: the names under which the summary counts failed requests."""

from __future__ import annotations

import errno
import os
import re

from fastload.load.engine.curl_handle import Handle
from fastload.load.engine.curl_transfer import CUT_HEADERS, GOT_NOTHING, IDLE_TIMEOUT, SWITCHED, Transfer
from fastload.load.engine.header_lines import REDIRECTS

# By libcurl's error number (CURLcode in include/curl/curl.h): pycurl does not name all of them. Those that are missing
# belong to other protocols, or are errors of a program that uses libcurl.
_KIND_OF_CODE = {
    IDLE_TIMEOUT: "idle_timeout",
    CUT_HEADERS[0]: "partial",
    1: "url",  # unsupported protocol
    3: "url",  # malformed
    5: "dns",  # proxy not resolved
    6: "dns",
    7: "connect",
    8: "protocol",  # weird server reply
    16: "protocol",  # HTTP/2 framing
    18: "partial",
    23: "decompress",  # all bodies are taken, so what cannot be written is decompressed data
    26: "body",  # a file was written to meanwhile
    27: "generator_memory",
    28: "timeout",
    35: "tls",
    43: "tls",  # missing private key, or a wrong password
    45: "connect",  # the source address or port
    47: "redirects",
    52: "reset",  # closed without a response
    53: "tls",  # crypto engine
    54: "tls",
    55: "reset",  # send failed
    56: "reset",  # receive failed
    58: "tls",  # local certificate
    59: "tls",  # cipher
    60: "tls_verify",
    61: "decompress",
    63: "too_large",
    65: "body",  # it had to be sent again, and cannot be read again
    66: "tls",  # crypto engine
    77: "tls_verify",  # CA file
    80: "tls",  # shutdown
    82: "tls_verify",  # revocation list
    83: "tls_verify",  # issuer
    90: "tls_verify",  # pinned key
    91: "tls_verify",  # OCSP status
    92: "protocol",  # HTTP/2 stream
    95: "protocol",  # HTTP/3
    96: "connect",  # QUIC
    97: "proxy",
    98: "tls",  # the server wants a client certificate
    100: "too_large",
    101: "tls",  # ECH
}
_KIND_OF_ERRNO = {
    errno.ECONNREFUSED: "connect_refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EMFILE: "generator_fd",
    errno.ENFILE: "generator_fd",
    errno.EADDRNOTAVAIL: "generator_port",
    errno.EADDRINUSE: "generator_port",
    errno.EHOSTUNREACH: "connect_unreachable",
    errno.ENETUNREACH: "connect_unreachable",
    errno.ETIMEDOUT: "connect_timeout",
}
NO_ANSWER = "the server closed the connection without an answer"
"""The message of libcurl's `GOT_NOTHING`."""
_CLOSED = (errno.ECONNRESET, errno.EPIPE)
_COULD_NOT_CONNECT = 7
_NOT_HTTP, _BAD_ENCODING, _TOO_LARGE = 8, 61, 63
_HTTP2_ERROR = 16
# libcurl has one number, 56, for a connection that fails and for a response that it does not understand.
_HTTP2_STREAM = 92
_RECEIVE_FAILED = 56
_MOST_HEADER_BYTES = 300 * 1024
# A broken chunk, or a frame that no WebSocket may have.
_PROTOCOL_ERRORS = re.compile(r"chunk|^\[WS\]", re.IGNORECASE)
_TEXTS = {
    16: "the connection was closed before the end of the response",
    23: "the data behind the end of the compressed body is not part of it",
    100: "a header line is longer than 100 KB, which is the most that libcurl takes",
}
ERROR_KINDS = frozenset(
    (*_KIND_OF_CODE.values(), *_KIND_OF_ERRNO.values(), "connect_timeout", "connect_failed", "tls_timeout", "other")
) - {"connect"}
"""All values that `error_kind` can return."""


def error_kind(transfer: Transfer, code: int) -> str:
    """Return the error kind of the failed *transfer*: from libcurl's error number *code*, the operating system's errno,
    and how far the request got."""
    kind = _KIND_OF_CODE.get(code, "other")
    if kind in ("connect", "reset") and transfer.proxy_status() >= 400:
        # The proxy was reached and refused the CONNECT.
        return "proxy"
    if kind == "timeout":
        return _kind_of_timeout(transfer)
    if kind == "url" and transfer.connected():
        # libcurl also reports "unsupported protocol" for an answer that is not HTTP.
        return "redirects" if transfer.status() in REDIRECTS else "protocol"
    is_closed = transfer.os_errno() in _CLOSED or (code == _HTTP2_ERROR and not transfer.errstr())
    if kind == "protocol" and is_closed and code != _NOT_HTTP:
        # To libcurl it is an error of HTTP/2 that a connection ends early.
        return "partial" if transfer.status() else "reset"
    if code == _HTTP2_STREAM:
        return "partial" if transfer.status() else "reset"
    if code == _RECEIVE_FAILED and not transfer.os_errno():
        kind = _kind_of_response(transfer)
    if kind == "reset" and not transfer.connected():
        # QUIC: the refused socket has already sent a packet, so libcurl does not report a failed connect.
        kind = "connect"
    if kind in ("connect", "reset", "other"):
        number = transfer.os_errno() or (_errno_of_new_descriptor() if code == _COULD_NOT_CONNECT else 0)
        return _KIND_OF_ERRNO.get(number, "connect_failed" if kind == "connect" else kind)
    return kind


def error_of_curl(handle: Handle, code: int, text: str) -> tuple[int, str]:
    """Return error number and message of a transfer for which libcurl gives the error number *code* and *text*."""
    if handle.has_switched_unasked():
        # What libcurl waited for, or missed, is a response that cannot come.
        return SWITCHED
    if code == _TOO_LARGE and not handle.max_body_bytes:
        return _NOT_HTTP, "the Content-Length of the response is not a number below 2^63"
    if code == _BAD_ENCODING and "Transfer-Encoding" in text:
        return _NOT_HTTP, text
    return code, error_text(code, text)


def error_text(code: int, text: str) -> str:
    """Return the message of libcurl's error number *code*, for which libcurl gives *text*, or "" if it gives none."""
    if code == GOT_NOTHING:
        return NO_ANSWER
    return text or _TEXTS.get(code, f"libcurl's error {code}")


def _kind_of_timeout(transfer: Transfer) -> str:
    """Return the kind of a timeout: which part of the request took too long."""
    if not transfer.connected():
        return "connect_timeout"
    return "tls_timeout" if transfer.is_in_handshake() else "timeout"


def _kind_of_response(transfer: Transfer) -> str:
    """Return the kind of a failed receive that is no error of the operating system."""
    if transfer.header_bytes() > _MOST_HEADER_BYTES:
        return "too_large"
    return "protocol" if _PROTOCOL_ERRORS.search(transfer.errstr()) else "reset"


def _errno_of_new_descriptor() -> int:
    """Return why this process cannot open one more descriptor: EMFILE or ENFILE; 0 if it can.

    libcurl keeps no error number when it cannot make a socket.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno or 0
    return 0
