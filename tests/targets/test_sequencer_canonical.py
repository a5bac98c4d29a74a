from __future__ import annotations

import json
import uuid
from typing import Any

import numpy as np
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from fastload.targets.sequencer.canonical import Canonicalizer, NotCanonicalError
from fastload.targets.sequencer.known import KnownIds, hash_ids
from fastload.targets.sequencer.merkle import merkle_root

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["\ue000", "\U0001f600", "\x7f", "\x1f", "\u2028", '"', "\\", "a", "B", "é", "\uffff", "1e5", ",1.5"]
)
NUMBERS = (
    st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-1e6, 1e6).map(lambda value: round(value, 2))
    | st.sampled_from([-0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e15, 1e16, 1e20, 1e21, 1e22, 5e-324, 1.5e300, 2.0**53])
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
PAYLOADS = st.lists(st.dictionaries(TEXT, VALUES, max_size=5), min_size=1, max_size=4)


def truth(payload: bytes) -> bytes:
    """What rfc8785 makes of *payload*, or b"" when it refuses."""
    try:
        return rfc8785.dumps(json.loads(payload))
    except rfc8785.CanonicalizationError:
        return b""


@settings(max_examples=300, deadline=None)
@given(PAYLOADS, st.booleans(), st.booleans())
def test_equals_rfc8785(payloads: list[dict[str, Any]], is_ascii: bool, is_sorted: bool) -> None:
    written = [json.dumps(p, ensure_ascii=is_ascii, sort_keys=is_sorted).encode() for p in payloads]
    expected = [truth(payload) for payload in written]
    canonicalizer = Canonicalizer()
    assert canonicalizer.canonical(written) == expected
    # The canonical form of a float above 2**53 is a whole number, which rfc8785 in turn refuses.
    again = [payload for payload in expected if truth(payload)]
    assert canonicalizer.canonical(again) == again


@settings(max_examples=100, deadline=None)
@given(st.integers(2**53, 2**70) | st.integers(-(2**70), -(2**53)), st.integers(0, 2))
def test_whole_numbers_beyond_double_precision_have_no_canonical_form(number: int, index: int) -> None:
    payloads = [b'{"n":1}'] * 3
    payloads[index] = b'{"n":[%d]}' % number
    with pytest.raises(NotCanonicalError) as caught:
        Canonicalizer().canonical(payloads)
    assert caught.value.index == index


@pytest.mark.parametrize("payload", [b"[]", b"1", b'"x"', b"null", b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'{"a":1e400}'])
def test_what_is_no_canonical_object(payload: bytes) -> None:
    with pytest.raises(NotCanonicalError) as caught:
        Canonicalizer().canonical([b"{}", payload])
    assert caught.value.index == 1


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=20), st.data())
def test_merkle_root_depends_on_every_leaf(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    changed = [*leaves[:index], bytes([leaves[index][0] ^ 1]) + leaves[index][1:], *leaves[index + 1 :]]
    assert merkle_root(b"".join(leaves)) != merkle_root(b"".join(changed))


@pytest.mark.parametrize("make", ["random", "counting", "time-ordered"])
def test_filter_never_forgets_and_seldom_errs(make: str) -> None:
    generator = np.random.default_rng(1)

    def ids(first: int, count: int) -> bytes:
        if make == "random":
            return bytes(generator.bytes(16 * count))
        prefix = 0x0190A5B1C2D37000 << 64 if make == "time-ordered" else 0
        return b"".join(uuid.UUID(int=prefix + first + n).bytes for n in range(count))

    known = KnownIds(memoryview(bytearray((1 << 20) * 8 + 64)))
    stored, fresh = hash_ids(ids(0, 50_000)), hash_ids(ids(50_000, 50_000))
    assert not known.may_contain(stored).any()
    known.add(stored)
    assert known.may_contain(stored).all()
    assert known.may_contain(fresh).mean() < 0.001
