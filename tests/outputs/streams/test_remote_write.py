"""Remote write to a server that refuses: what it gets has the beginning of every series, and has it once."""

from __future__ import annotations

import contextlib

import pytest

from fastload.model.errors import OutputError
from fastload.outputs.streams.remote_write import RemoteWrite
from tests.outputs.sinks import make_header, make_second
from tests.outputs.streams.receivers import Receiver, receiver
from tests.outputs.streams.test_prometheus import series_of

COUNTER, TREND = "__name__=fastload_http_req_failed_samples_total", "__name__=fastload_http_req_waiting_seconds"
Samples = list[tuple[int, float]]


def write(statuses: list[int]) -> tuple[list[list[Samples]], Receiver]:
    """Send a second for each of *statuses*, which the server answers, and then the end. What came with each request:
    the samples of a counter and of histograms."""
    with receiver() as kept:
        sink = RemoteWrite(kept.url)
        sink.open(make_header())
        for number, status in enumerate(statuses, 1):
            kept.status = status
            if status == 204:
                sink.write(make_second(number))
            else:
                with pytest.raises(OutputError, match=f"answered {status}"):
                    sink.write(make_second(number))
        with contextlib.suppress(OutputError):
            sink.close({})
    sent = [series_of(one.body) for one in kept.requests]
    return [
        [samples for one in (COUNTER, TREND) for name, samples in series.items() if one in name] for series in sent
    ], kept


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
def test_a_series_whose_beginning_was_refused_begins_there_again(status: int) -> None:
    (refused, taken, later, _), _ = write([status, 204, 204])
    for first, second, third in zip(refused, taken, later, strict=True):
        assert [value > 0 for _, value in first] == [False, True]
        # The same 0 at the same moment: a server that has it already takes it once more.
        assert second[0] == first[0]
        assert [second[1][1], third[0][1]] == [2 * first[1][1], 3 * first[1][1]]
        assert (len(second), len(third)) == (2, 1)


def test_it_begins_there_however_often_it_was_refused() -> None:
    (first, *_, taken, _), _ = write([503, 429, 500, 204])
    assert [samples[0] for samples in taken] == [samples[0] for samples in first]


def test_a_server_that_had_kept_the_beginning_all_the_same_gets_none_after_it() -> None:
    """Prometheus calls a sample before others that it has a bad request."""
    (_, again, later, _), _ = write([503, 400, 204])
    assert [len(samples) for samples in again] == [2, 2, 2]
    assert [len(samples) for samples in later] == [1, 1, 1]


def test_series_that_never_began_have_no_end() -> None:
    found, kept = write([503, 503])
    assert len(found) == len(kept.requests) == 3
    assert [len(samples) for samples in found[-1]] == [2, 2, 2]
