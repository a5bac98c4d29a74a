"""Frames: what goes in comes out, however the bytes are cut; what is no frame is refused."""

from __future__ import annotations

import math
import struct
from itertools import pairwise
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.model import frames
from fastload.model.errors import FrameError
from fastload.model.frames import MAX_FRAME_BYTES, WIRE_VERSION, Frame, FrameDecoder, encode

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=4),
    max_leaves=10,
)
some_frames = st.lists(st.builds(Frame, st.text(max_size=8), st.dictionaries(st.text(), plain, max_size=4)), max_size=4)


def decode(data: bytes) -> list[Frame]:
    return list(FrameDecoder().feed(data))


def raw(message: Any) -> bytes:
    packed: bytes = msgpack.packb(message)
    return struct.pack(">I", len(packed)) + packed


@given(some_frames, st.lists(st.integers(0, 400), max_size=8))
def test_frames_survive_any_cut_of_the_stream(sent: list[Frame], cuts: list[int]) -> None:
    data = b"".join(map(encode, sent))
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    decoder = FrameDecoder()
    received = []
    for begin, end in pairwise(edges):
        received += list(decoder.feed(data[begin:end]))
    assert received == sent
    assert decoder.pending_bytes == 0


def test_byte_by_byte() -> None:
    decoder = FrameDecoder()
    data = encode(Frame("delta", {"a": 1}))
    pieces = [list(decoder.feed(data[place : place + 1])) for place in range(len(data))]
    assert pieces[:-1] == [[]] * (len(data) - 1)
    assert pieces[-1] == [Frame("delta", {"a": 1})]


def test_an_incomplete_frame_is_pending() -> None:
    decoder = FrameDecoder()
    data = encode(Frame("delta", {}))
    assert list(decoder.feed(data + data[:5])) == [Frame("delta", {})]
    assert decoder.pending_bytes == 5


@given(st.binary(min_size=1, max_size=60))
def test_garbage_of_the_right_length_is_a_frame_error_or_a_frame(garbage: bytes) -> None:
    try:
        (frame,) = decode(struct.pack(">I", len(garbage)) + garbage)
    except FrameError:
        return
    assert isinstance(frame.kind, str)
    assert isinstance(frame.body, dict)


@pytest.mark.parametrize("garbage", [b"\xc1", b"", b"\x93\x01", b"hello", b"\x01\x02"])
def test_what_is_not_msgpack_is_refused(garbage: bytes) -> None:
    with pytest.raises(FrameError):
        decode(struct.pack(">I", len(garbage)) + garbage)


@pytest.mark.parametrize("version", [0, WIRE_VERSION - 1, WIRE_VERSION + 1, "1", None])
def test_another_wire_version_is_refused_with_a_hint(version: Any) -> None:
    with pytest.raises(FrameError, match=f"wire version {version!r}, not {WIRE_VERSION}") as caught:
        decode(raw([version, "delta", {}]))
    assert caught.value.hint == "run one version of fastload everywhere"


@pytest.mark.parametrize("rest", [[], ["x"], ["x", []], [2, {}], ["x", {}, 3]])
def test_another_shape_is_refused(rest: list[Any]) -> None:
    with pytest.raises(FrameError, match=r"a frame is \[version, kind, body\]"):
        decode(raw([WIRE_VERSION, *rest]))


@pytest.mark.parametrize("message", [[], {}, 5, "text"])
def test_what_is_no_list_is_refused(message: Any) -> None:
    with pytest.raises(FrameError, match="wire version"):
        decode(raw(message))


def test_a_length_over_the_limit_is_refused_before_anything_is_stored() -> None:
    with pytest.raises(FrameError, match="is over"):
        decode(struct.pack(">I", MAX_FRAME_BYTES + 1))


def test_a_frame_over_the_limit_is_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 20)
    assert len(encode(Frame("x", {"a": b"0" * 11}))) == 4 + 20
    with pytest.raises(FrameError, match="a x frame of 21 bytes is over 20"):
        encode(Frame("x", {"a": b"0" * 12}))


def test_numbers_that_users_add_are_shipped() -> None:
    (frame,) = decode(encode(Frame("x", {"big": 2**70, "numpy": np.float64(1.5), "int": np.int64(7), "inf": math.inf})))
    assert frame.body == {"big": 2.0**70, "numpy": 1.5, "int": 7.0, "inf": math.inf}


def test_text_that_is_no_unicode_is_shipped_readably() -> None:
    (frame,) = decode(encode(Frame("x", {"a\udc80": "b\ud800"})))
    assert frame.body == {"a\\udc80": "b\\ud800"}
