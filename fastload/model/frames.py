"""Plain data as bytes: msgpack, for files and for messages between processes.

A message is a 4-byte length (big-endian), then msgpack of [wire version, kind, body].

Kinds, in the order of a run: ``hello`` and ``ready`` (worker), ``start`` (parent, with the common start time),
``delta`` (worker, one a second), ``ended`` (worker, of a scenario), ``abort`` (worker), ``done`` or ``error``
(worker); and at any time from the parent ``begin``, ``scale`` and ``finish`` (of a scenario), ``pause``, ``resume``,
``stop``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgpack

from fastload.model.errors import FrameError

WIRE_VERSION = 2
MAX_FRAME_BYTES = 64 * 1024 * 1024
_LENGTH = struct.Struct(">I")
# The extension type of an integer over 64 bits, in decimal digits.
_BIG_INTEGER = 1


def pack(data: Any) -> bytes:
    """Plain *data* as msgpack for a file: integers over 64 bits stay exact, text that is no Unicode is escaped."""
    packed: bytes = msgpack.packb(data, default=_pack_other, unicode_errors="backslashreplace")
    return packed


def unpack(packed: bytes) -> Any:
    """What `pack` made *packed* of, with lists for tuples.

    Raises:
        ValueError: it is no msgpack.
    """
    try:
        return msgpack.unpackb(packed, strict_map_key=False, ext_hook=_unpack_other)
    except Exception as error:
        raise ValueError(f"no msgpack: {error}") from error


class Frame(NamedTuple):
    """One message; *body* is plain data."""

    kind: str
    body: dict[str, Any]


def encode(frame: Frame) -> bytes:
    """The bytes of *frame*.

    Raises:
        FrameError: it is larger than `MAX_FRAME_BYTES`.
    """
    # Users add what they like: numbers of other types and over 64 bits (default), names that are no Unicode.
    message = [WIRE_VERSION, frame.kind, frame.body]
    packed: bytes = msgpack.packb(message, default=float, unicode_errors="backslashreplace")
    if len(packed) > MAX_FRAME_BYTES:
        raise FrameError(f"a {frame.kind} frame of {len(packed)} bytes is over {MAX_FRAME_BYTES}")
    return _LENGTH.pack(len(packed)) + packed


class FrameDecoder:
    """Frames from a byte stream that arrives in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add *data* and yield every frame that is complete now.

        Raises:
            FrameError: another wire version, a length over `MAX_FRAME_BYTES`, or not a frame at all.
        """
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {length} bytes is over {MAX_FRAME_BYTES}")
            if len(self._buffer) < _LENGTH.size + length:
                return
            packed = bytes(self._buffer[_LENGTH.size : _LENGTH.size + length])
            del self._buffer[: _LENGTH.size + length]
            yield _unpack(packed)

    @property
    def pending_bytes(self) -> int:
        """How much of an incomplete frame has arrived."""
        return len(self._buffer)


def _pack_other(value: Any) -> Any:
    return msgpack.ExtType(_BIG_INTEGER, b"%d" % value) if isinstance(value, int) else float(value)


def _unpack_other(code: int, data: bytes) -> Any:
    return int(data) if code == _BIG_INTEGER else msgpack.ExtType(code, data)


def _unpack(packed: bytes) -> Frame:
    try:
        message = msgpack.unpackb(packed, strict_map_key=False)
    except Exception as error:
        raise FrameError(f"not a frame: {error}") from error
    if not isinstance(message, list) or not message or message[0] != WIRE_VERSION:
        version = message[0] if isinstance(message, list) and message else message
        raise FrameError(f"wire version {version!r}, not {WIRE_VERSION}", hint="run one version of fastload everywhere")
    if len(message) != 3 or not isinstance(message[1], str) or not isinstance(message[2], dict):
        raise FrameError("a frame is [version, kind, body]")
    return Frame(message[1], message[2])
