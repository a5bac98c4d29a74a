"""Error kinds: the names under which the summary counts failed requests."""

from __future__ import annotations

import errno
import os

from fastload.load.engine.curl_transfer import IDLE_TIMEOUT, Transfer

# By libcurl's error number (CURLcode in include/curl/curl.h): pycurl does not name all of them.
_KIND_OF_CODE = {
    IDLE_TIMEOUT: "idle_timeout",
    1: "url",  # unsupported protocol
    3: "url",  # malformed
    5: "dns",  # proxy not resolved
    6: "dns",
    7: "connect",
    8: "protocol",  # weird server reply
    16: "protocol",  # HTTP/2 framing
    18: "partial",
    28: "timeout",
    26: "body",  # a file was written to meanwhile
    35: "tls",
    43: "tls",  # missing private key, or a wrong password
    47: "redirects",
    52: "reset",  # closed without a response
    55: "reset",  # send failed
    56: "reset",  # receive failed
    58: "tls",  # local certificate
    59: "tls",  # cipher
    60: "tls_verify",
    61: "decompress",
    63: "too_large",
    77: "tls_verify",  # CA file
    92: "protocol",  # HTTP/2 stream
    95: "protocol",  # HTTP/3
    96: "connect",  # QUIC
    97: "proxy",
    100: "too_large",
}
_KIND_OF_ERRNO = {
    errno.ECONNREFUSED: "connect_refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.EMFILE: "generator_fd",
    errno.ENFILE: "generator_fd",
    errno.EADDRNOTAVAIL: "generator_port",
    errno.EHOSTUNREACH: "connect_unreachable",
    errno.ENETUNREACH: "connect_unreachable",
    errno.ETIMEDOUT: "connect_timeout",
}
_COULD_NOT_CONNECT = 7
ERROR_KINDS = frozenset(
    (*_KIND_OF_CODE.values(), *_KIND_OF_ERRNO.values(), "connect_timeout", "connect_failed", "other")
) - {"connect"}
"""All values that `error_kind` can return."""


def error_kind(transfer: Transfer, code: int) -> str:
    """Return the error kind of the failed *transfer*: from libcurl's error number *code*, the operating system's errno,
    and how far the request got."""
    kind = _KIND_OF_CODE.get(code, "other")
    if kind in ("connect", "reset") and transfer.proxy_status() >= 400:
        # The proxy was reached and refused the CONNECT.
        return "proxy"
    if kind == "timeout" and not transfer.connected():
        return "connect_timeout"
    if kind == "url" and transfer.connected():
        # libcurl also reports "unsupported protocol" for an answer that is not HTTP.
        return "protocol"
    if kind == "reset" and not transfer.connected():
        # QUIC: the refused socket has already sent a packet, so libcurl does not report a failed connect.
        kind = "connect"
    if kind in ("connect", "reset", "other"):
        number = transfer.os_errno() or (_errno_of_new_descriptor() if code == _COULD_NOT_CONNECT else 0)
        return _KIND_OF_ERRNO.get(number, "connect_failed" if kind == "connect" else kind)
    return kind


def _errno_of_new_descriptor() -> int:
    """Return why this process cannot open one more descriptor: EMFILE or ENFILE; 0 if it can.

    libcurl keeps no error number when it cannot make a socket.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno or 0
    return 0
