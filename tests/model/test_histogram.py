"""Histograms: the same buckets as hdrh's, exact merges, quantiles of pooled values."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from fastload.model.histogram import Histogram, bucket_index, highest_equivalents
from fastload.model.metrics import HIGHEST_UNITLESS, HIGHEST_US

EDGES = [0, 1, 2, 1023, 1024, 2047, 2048, 2049, 4095, 4096, 65_535, 10**6, HIGHEST_US - 1, HIGHEST_US]
in_range = st.one_of(st.integers(0, 5_000), st.integers(0, HIGHEST_US), st.sampled_from(EDGES))
anything = st.one_of(in_range, st.integers(-(2**62), 2**62))
many = st.lists(in_range, max_size=60)


def of(values: list[int], highest: int = HIGHEST_US) -> Histogram:
    histogram = Histogram(highest)
    histogram.fold(np.array(values, dtype=np.int64))
    return histogram


def state(histogram: Histogram) -> tuple[object, ...]:
    """Everything but the sum of squares, whose last bits depend on the order of the additions."""
    index = np.flatnonzero(histogram.counts)
    return (
        dict(zip(index.tolist(), histogram.counts[index].tolist(), strict=True)),
        histogram.count,
        histogram.sum,
        histogram.min,
        histogram.max,
        histogram.clamped,
        histogram.highest,
    )


@given(st.lists(in_range, min_size=1, max_size=60))
def test_fold_counts_bucket_for_bucket_as_hdrh_records(values: list[int]) -> None:
    hdr = HdrHistogram(1, HIGHEST_US, 3)
    for value in values:
        assert hdr.record_value(value)
    ours = of(values).counts
    theirs = np.array(list(hdr.counts), dtype=np.int64)
    size = max(len(ours), len(theirs))
    assert np.array_equal(np.pad(ours, (0, size - len(ours))), np.pad(theirs, (0, size - len(theirs))))


@pytest.mark.parametrize("value", EDGES)
def test_every_edge_has_hdrhs_index(value: int) -> None:
    hdr = HdrHistogram(1, HIGHEST_US, 3)
    hdr.record_value(value)
    assert int(bucket_index(np.array([value]))[0]) == list(hdr.counts).index(1)


@given(st.lists(anything, min_size=1, max_size=40), st.sampled_from([HIGHEST_US, HIGHEST_UNITLESS, 100_000]))
def test_values_out_of_range_are_counted_at_the_nearer_end(values: list[int], highest: int) -> None:
    inside = [min(max(value, 0), highest) for value in values]
    histogram = of(values, highest)
    assert histogram.clamped == sum(value != kept for value, kept in zip(values, inside, strict=True))
    assert state(histogram)[:5] == state(of(inside, highest))[:5]


@given(st.lists(in_range, min_size=1, max_size=60))
def test_moments_are_exact(values: list[int]) -> None:
    histogram = of(values)
    assert (histogram.count, histogram.sum) == (len(values), sum(values))
    assert (histogram.min, histogram.max) == (min(values), max(values))
    assert histogram.mean == sum(values) / len(values)
    assert histogram.stddev == pytest.approx(float(np.std(values)), rel=1e-6, abs=HIGHEST_US * 1e-7)


def test_the_sum_does_not_wrap_around() -> None:
    assert of([HIGHEST_UNITLESS] * 10_000, HIGHEST_UNITLESS).sum == HIGHEST_UNITLESS * 10_000


@given(st.lists(many, min_size=8, max_size=8))
def test_merging_eight_is_one_of_all_values(parts: list[list[int]]) -> None:
    merged = Histogram()
    for part in parts:
        merged.add(of(part))
    assert state(merged) == state(of([value for part in parts for value in part]))


@given(many, many, many)
def test_merging_is_associative_and_commutative(a: list[int], b: list[int], c: list[int]) -> None:
    def merged(*histograms: Histogram) -> Histogram:
        whole = Histogram()
        for histogram in histograms:
            whole.add(histogram)
        return whole

    left = merged(merged(of(a), of(b)), of(c))
    right = merged(of(a), merged(of(b), of(c)))
    other = merged(of(c), of(b), of(a))
    assert state(left) == state(right) == state(other)


@given(st.lists(anything, max_size=60), st.sampled_from([HIGHEST_US, HIGHEST_UNITLESS]))
def test_sparse_form_round_trips(values: list[int], highest: int) -> None:
    histogram = of(values, highest)
    copy = Histogram.from_sparse(histogram.to_sparse())
    assert state(copy) == state(histogram)
    assert copy.sum_squares == histogram.sum_squares


@given(st.lists(in_range, min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_the_value_at_the_rank_rounded_up(values: list[int], q: float) -> None:
    rank = max(1, math.ceil(q * len(values) - 1e-9))
    exact = sorted(values)[rank - 1]
    found = of(values).quantile(q)
    assert found is not None
    assert exact <= found <= max(exact * 1.001, exact + 1)


@given(st.lists(in_range, max_size=200))
def test_what_was_encoded_is_decoded_bucket_by_bucket(values: list[int]) -> None:
    decoded = Histogram.decode(of(values).encode())
    assert decoded.count == len(values)
    for mine, theirs in zip(of(values).used(), decoded.used(), strict=True):
        assert mine.tolist() == theirs.tolist()


@pytest.mark.parametrize("text", ["", "AAAA", "no base64 !", "HISTFAAAAB5", Histogram().encode()[:-8]])
def test_what_is_no_encoding_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="a histogram cannot be decoded"):
        Histogram.decode(text)


@given(st.lists(in_range, min_size=1, max_size=200), st.lists(in_range, min_size=1, max_size=10))
def test_counts_up_to_bounds_are_those_of_the_values_to_a_bucket(values: list[int], bounds: list[int]) -> None:
    bounds.sort()
    for bound, count in zip(bounds, of(values).counts_up_to(bounds), strict=True):
        bucket_begins = bound - max(1, bound // 1000)
        assert sum(value <= bucket_begins for value in values) <= count <= sum(value <= bound for value in values)


@given(st.lists(st.lists(in_range, min_size=1, max_size=30), min_size=2, max_size=8))
def test_quantiles_of_merged_workers_are_those_of_the_pooled_values(parts: list[list[int]]) -> None:
    merged = Histogram()
    for part in parts:
        merged.add(of(part))
    pooled = sorted(value for part in parts for value in part)
    for q in (0.5, 0.95, 0.99):
        exact = pooled[max(1, math.ceil(q * len(pooled) - 1e-9)) - 1]
        found = merged.quantile(q)
        assert found is not None
        assert exact <= found <= exact * 1.001 + 1


def test_quantiles_of_ten_values() -> None:
    histogram = of(list(range(1, 11)))
    assert [histogram.quantile(q) for q in (0, 0.1, 0.11, 0.5, 0.9, 0.91, 1)] == [1, 1, 2, 5, 9, 10, 10]


def test_an_empty_histogram_has_no_values_to_tell() -> None:
    histogram = Histogram()
    assert histogram.quantile(0.5) is None
    assert histogram.mean is None
    assert histogram.stddev is None
    histogram.fold(np.array([], dtype=np.int64))
    assert histogram.count == 0


@given(in_range)
def test_the_highest_equivalent_is_the_last_value_of_its_bucket(value: int) -> None:
    (index,) = bucket_index(np.array([value], dtype=np.int64)).tolist()
    (top,) = highest_equivalents(np.array([index])).tolist()
    assert value <= top
    assert bucket_index(np.array([top, top + 1], dtype=np.int64)).tolist() == [index, index + 1]


@pytest.mark.parametrize("highest", [HIGHEST_US, HIGHEST_UNITLESS])
def test_memory_is_bounded_by_the_range(highest: int) -> None:
    histogram = Histogram(highest)
    for _ in range(20):
        histogram.fold(np.array([0, highest, highest // 2, 2**62], dtype=np.int64))
    (last,) = bucket_index(np.array([highest], dtype=np.int64)).tolist()
    assert len(histogram.counts) <= 2 * (last + 1)


def test_the_memory_of_an_hour_is_what_is_documented() -> None:
    assert of([HIGHEST_US]).counts.nbytes <= 192 * 1024


def test_reset_forgets_everything() -> None:
    histogram = of([1, 2**40])
    histogram.reset()
    assert state(histogram) == state(Histogram())
    assert histogram.sum_squares == 0.0


@given(st.lists(in_range, min_size=1, max_size=40))
def test_hdrh_reads_the_encoding(values: list[int]) -> None:
    hdr = HdrHistogram.decode(of(values).encode())
    assert hdr.get_total_count() == len(values)
    theirs = np.array(list(hdr.counts), dtype=np.int64)
    index = np.flatnonzero(theirs)
    assert dict(zip(index.tolist(), theirs[index].tolist(), strict=True)) == state(of(values))[0]


def test_record_adds_one() -> None:
    histogram = of([5])
    histogram.record(7)
    assert state(histogram) == state(of([5, 7]))


@given(st.lists(in_range, min_size=1, max_size=40))
def test_the_ends_are_exact(values: list[int]) -> None:
    histogram = of(values)
    assert histogram.quantile(1) == max(values)
    assert of(values[:1]).quantile(0.5) == values[0]


@given(st.lists(anything, max_size=20), st.lists(anything, max_size=20))
def test_merging_adds_what_was_clamped(first: list[int], second: list[int]) -> None:
    merged = of(first)
    merged.add(of(second))
    assert state(merged) == state(of(first + second))


@given(st.lists(anything, max_size=60), st.sampled_from([HIGHEST_US, HIGHEST_UNITLESS]))
def test_one_that_was_read_says_the_same_and_stays_small(values: list[int], highest: int) -> None:
    dense = of(values, highest)
    read = Histogram.from_sparse(dense.to_sparse())
    assert read.quantiles((0, 0.01, 0.5, 0.999, 1)) == dense.quantiles((0, 0.01, 0.5, 0.999, 1))
    assert read.to_sparse() == dense.to_sparse()
    assert [column.tolist() for column in read.used()] == [column.tolist() for column in dense.used()]
    assert state(read) == state(dense)
    assert (read.mean, read.stddev) == (dense.mean, dense.stddev)
    assert all(len(column) <= len(values) for column in read.used())
    assert read._dense is None, "reading made it large"


def test_the_counts_of_one_that_was_read_cannot_be_changed_unnoticed() -> None:
    read = Histogram.from_sparse(of([1, 2, 3]).to_sparse())
    with pytest.raises(ValueError, match="read-only"):
        read.counts[0] += 1


@given(many, many, st.booleans())
def test_one_that_was_read_can_be_added_to(first: list[int], second: list[int], packed: bool) -> None:
    read, other = Histogram.from_sparse(of(first).to_sparse()), of(second)
    read.add(Histogram.from_sparse(other.to_sparse()) if packed else other)
    read.fold(np.array(second, dtype=np.int64))
    assert state(read) == state(of(first + second + second))


@given(st.lists(st.tuples(st.lists(anything, max_size=30), st.booleans()), min_size=1, max_size=8))
def test_pooled_are_those_of_all_values_and_small(parts: list[tuple[list[int], bool]]) -> None:
    histograms = [Histogram.from_sparse(of(some).to_sparse()) if packed else of(some) for some, packed in parts]
    before = [state(one) for one in histograms]
    pooled = Histogram.pooled(histograms)
    assert pooled._dense is None
    assert state(pooled) == state(of([value for some, _ in parts for value in some]))
    assert [state(one) for one in histograms] == before
    assert (np.diff(pooled.used()[0]) > 0).all()


def test_threads_may_read_the_same_one() -> None:
    values = list(range(0, 300_000, 1_000))
    for _ in range(50):
        shared = Histogram.from_sparse(of(values).to_sparse())

        def read(_: int, shared: Histogram = shared) -> object:
            total = Histogram()
            total.add(shared)
            return state(shared), state(total), shared.quantile(0.5)

        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(read, range(16)))
        assert found == [(state(of(values)), state(of(values)), of(values).quantile(0.5))] * 16


def test_there_are_few_sizes() -> None:
    sizes = {len(Histogram.from_sparse(of([value]).to_sparse()).counts) for value in range(0, 2**31, 2**31 // 500)}
    sizes |= {len(of([value]).counts) for value in range(0, 2**31, 2**31 // 500)}
    assert len(sizes) < 24
