"""The kinds of libcurl's errors: each error that a request over HTTP can have has one."""

from __future__ import annotations

import re

import pycurl

from fastload.load.engine import error_kinds

OTHER_PROTOCOLS = re.compile(r"FTP|LDAP|TELNET|RTSP|SSH|SSL_FAILED|FILE|QUOTE|REMOTE_|LOGIN|UPLOAD_FAILED")
NO_LONGER_USED = re.compile(
    r"CALLING_ORDER|BAD_PASSWORD|MALFORMAT_USER|HTTP_POST_ERROR|_NOT_FOUND|SHARE_IN_USE|CONV_|ALREADY_COMPLETE"
)
# Of a program that uses libcurl in a way in which fastload does not, or without a cause that could be told.
OF_PROGRAMS = {
    *("E_AGAIN", "E_FAILED_INIT", "E_RANGE_ERROR", "E_ABORTED_BY_CALLBACK", "E_UNKNOWN_OPTION", "E_CHUNK_FAILED"),
    *(
        "E_NO_CONNECTION_AVAILABLE",
        "E_BAD_DOWNLOAD_RESUME",
        "E_HTTP_RANGE_ERROR",
        "E_HTTP_RETURNED_ERROR",
        "E_NOT_BUILT_IN",
    ),
}


def test_every_error_of_http_has_a_kind() -> None:
    codes = {
        name: code for name, code in vars(pycurl).items() if name.startswith("E_") and not name.startswith("E_MULTI")
    }
    without = {
        name
        for name, code in codes.items()
        if code > 0
        and code not in error_kinds._KIND_OF_CODE
        and not OTHER_PROTOCOLS.search(name)
        and not NO_LONGER_USED.search(name)
    }
    assert without == OF_PROGRAMS


def test_no_error_is_without_a_text() -> None:
    assert all(error_kinds.error_text(code, "") for code in range(1, 102))
