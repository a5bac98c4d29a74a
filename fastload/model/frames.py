"""Frames: messages between processes as bytes. Also msgpack of plain data for files.

A frame is a 4-byte length (big-endian), then msgpack of [wire version, kind, body].

Kinds from a worker, in the order of a run: ``hello``, ``ready``, ``delta`` (one each second), ``ended`` (one for each
scenario), ``abort``, ``done`` or ``error``. Kinds from the parent to a worker: ``start`` (with the time of the common
start) and then, at any time, ``begin``, ``scale`` and ``finish`` (of a scenario), ``pause``, ``resume``, ``stop``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgpack

from fastload.model.errors import FrameError

WIRE_VERSION = 2
MAX_FRAME_BYTES = 64 * 1024 * 1024
_LENGTH = struct.Struct(">I")
# Msgpack extension type for an integer over 64 bits, written in decimal digits.
_BIG_INTEGER = 1


def pack(data: Any) -> bytes:
    """Pack plain *data* as msgpack for a file. Integers over 64 bits stay exact; invalid Unicode is escaped."""
    packed: bytes = msgpack.packb(data, default=_pack_other, unicode_errors="backslashreplace")
    return packed


def unpack(packed: bytes, *, most_containers: int = 0) -> Any:
    """Unpack the result of `pack`. Tuples come back as lists.

    *most_containers*: how many lists and maps there may be in all, 0 for no limit. An empty one takes a byte here and
    64 bytes in memory.

    Raises:
        ValueError: *packed* is no msgpack, or has too many lists and maps.
    """
    counted = {"list_hook": _counter(most_containers)} if 0 < most_containers < len(packed) else {}
    if counted:
        counted["object_hook"] = counted["list_hook"]
    try:
        return msgpack.unpackb(packed, strict_map_key=False, ext_hook=_unpack_other, **counted)
    except Exception as error:
        raise ValueError(f"no msgpack: {error}") from error


class Frame(NamedTuple):
    """Message between processes. *body* is plain data."""

    kind: str
    body: dict[str, Any]


def encode(frame: Frame) -> bytes:
    """Return the bytes of *frame*.

    Raises:
        FrameError: the msgpack is larger than `MAX_FRAME_BYTES`.
    """
    # Users may add numbers of other types or over 64 bits (handled by `default`), and names with invalid Unicode.
    message = [WIRE_VERSION, frame.kind, frame.body]
    packed: bytes = msgpack.packb(message, default=float, unicode_errors="backslashreplace")
    if len(packed) > MAX_FRAME_BYTES:
        raise FrameError(f"a {frame.kind} frame of {len(packed)} bytes is over {MAX_FRAME_BYTES}")
    return _LENGTH.pack(len(packed)) + packed


class FrameDecoder:
    """Decoder of frames from a byte stream that arrives in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add *data* and yield every frame that is complete now.

        Raises:
            FrameError: another wire version, a length over `MAX_FRAME_BYTES`, or bytes that are no frame.
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
        """Number of bytes of an incomplete frame that have arrived."""
        return len(self._buffer)


def _pack_other(value: Any) -> Any:
    return msgpack.ExtType(_BIG_INTEGER, b"%d" % value) if isinstance(value, int) else float(value)


def _counter(most: int) -> Callable[[Any], Any]:
    left = [most]

    def count(container: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise ValueError(f"there are more than {most:,} lists and maps")
        return container

    return count


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
