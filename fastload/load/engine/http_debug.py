"""Debug printer: the requests and responses of one VU on stderr, as ``curl -v`` shows them (``--http-debug``)."""

from __future__ import annotations

import re
import sys
from typing import TextIO

# libcurl's CURLINFO_TEXT and following values; encrypted data (5 and 6) is not shown.
_TEXT, _HEADER_IN, _HEADER_OUT, _DATA_IN, _DATA_OUT = range(5)
_MARK = {_TEXT: "* ", _HEADER_IN: "< ", _HEADER_OUT: "> ", _DATA_IN: "", _DATA_OUT: ""}
_NAMES = r"authorization|proxy-authorization|cookie|set-cookie"
_SECRET_LINE = re.compile(rf"^(\s*(?:{_NAMES})\s*:).*", re.IGNORECASE)
_SECRET_IN_TEXT = re.compile(rf"(\[(?:{_NAMES}):)[^\]]*\]", re.IGNORECASE)


class DebugPrinter:
    """Prints the data of libcurl's debug callback. *full*: print bodies too, and do not mask secrets."""

    def __init__(self, *, full: bool, stream: TextIO | None = None) -> None:
        self._full = full
        self._stream = stream

    def __call__(self, kind: int, data: bytes) -> None:
        """Print *data*; libcurl's debug callback."""
        if kind not in _MARK or (kind in (_DATA_IN, _DATA_OUT) and not self._full):
            return
        stream = self._stream or sys.stderr
        stream.write("".join(f"{_MARK[kind]}{line}\n" for line in self._lines(kind, data)))
        stream.flush()

    def _lines(self, kind: int, data: bytes) -> list[str]:
        if kind in (_DATA_IN, _DATA_OUT):
            try:
                return data.decode().splitlines()
            except UnicodeDecodeError:
                return [f"[{len(data)} bytes]"]
        lines = data.decode("latin-1").splitlines()
        if self._full:
            return lines
        if kind == _TEXT:
            return [_SECRET_IN_TEXT.sub(r"\1 ***]", line) for line in lines]
        return [_SECRET_LINE.sub(r"\1 ***", line) for line in lines]
