"""When a run counts as one that nothing answers, second by second."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from fastload.control.answer_watch import FEWEST_TRIES, LONGEST_SILENCE_S, AnswerWatch
from fastload.model.metrics import Series
from fastload.model.records import ErrorTable, Snapshot
from fastload.model.series import SeriesTable
from tests.outputs.samples import make_snapshot

LATE = round(LONGEST_SILENCE_S)


def second(
    number: int, failed: int = 0, *, kind: str = "dns", in_flight: int = 1, trends: Iterable[str] = ()
) -> Snapshot:
    """A second with *failed* requests without an answer; *trends* are metrics that have a value."""
    table, errors = SeriesTable(), ErrorTable()
    table.rate(Series("http_req_failed")).trues = table.rate(Series("http_req_failed")).total = failed
    for _ in range(failed):
        errors.count(kind, "GET http://nowhere/: no such host")
    for metric in trends:
        table.trend(Series(metric)).record(5)
    return make_snapshot(number, t_s=float(number), span_s=1.0, table=table, errors=errors, in_flight=in_flight)


def reasons(seconds: Iterable[Snapshot], url: str = "http://nowhere") -> list[str]:
    watch = AnswerWatch(url)
    return [watch.add(one) for one in seconds]


def test_a_silence_is_told_once_it_is_long_enough_with_what_was_tried_and_what_to_do() -> None:
    found = reasons(second(number, 3) for number in range(1, LATE + 1))
    assert found[:-1] == [""] * (LATE - 1)
    assert found[-1] == (
        "30 requests in 10s, and not one was answered: dns (GET http://nowhere/: no such host); see that the target at "
        "http://nowhere runs and can be reached from here, or go on all the same with --on-no-answer continue"
    )


def test_few_tries_are_no_silence_however_long_they_take() -> None:
    slow = [second(number, number % LATE == 0) for number in range(1, LATE * FEWEST_TRIES + 1)]
    assert not any(reasons(slow)[:-1])
    assert reasons(slow)[-1]


def test_the_silence_begins_with_the_first_request_and_not_with_the_run() -> None:
    idle = [second(number, in_flight=0) for number in range(1, 31)]
    tried = [second(number, 50) for number in range(31, 31 + LATE)]
    assert not any(reasons([*idle, *tried])[:-1])
    assert reasons([*idle, *tried])[-1]


def test_requests_that_hang_count_from_when_they_were_sent() -> None:
    hanging = [second(number) for number in range(1, LATE + 20)]
    assert reasons([*hanging, second(LATE + 20, FEWEST_TRIES, kind="timeout")])[-1].startswith("10 requests in 30s")


@pytest.mark.parametrize("metric", ["http_req_duration", "ws_connecting", "stream_first_event"])
def test_one_answer_is_enough_for_the_whole_run(metric: str) -> None:
    answered = second(5, 40, trends=(metric,))
    silent = [second(number, 40) for number in range(1, 4 * LATE) if number != 5]
    assert not any(reasons(sorted([answered, *silent], key=lambda one: one.t_s)))


@pytest.mark.parametrize("kind", ["partial", "too_large", "redirects"])
def test_an_answer_that_could_not_be_used_is_one(kind: str) -> None:
    assert not any(reasons(second(number, 40, kind=kind) for number in range(1, 3 * LATE)))


def test_a_call_that_returned_is_an_answer_and_one_that_raised_is_none() -> None:
    def called(trues: int, total: int) -> list[str]:
        seconds = [second(number, 40) for number in range(1, 2 * LATE)]
        rate = seconds[0].table.rate(Series("call_failed"))
        rate.trues, rate.total = trues, total
        return reasons(seconds)

    assert not any(called(2, 3))
    assert any(called(3, 3))


def test_a_server_that_starts_within_the_grace_ends_nothing() -> None:
    silent = [second(number, 40) for number in range(1, LATE)]
    assert not any(
        reasons([*silent, second(LATE, 20, trends=("http_req_duration",)), *(second(n, 40) for n in range(11, 40))])
    )


def test_failed_sessions_of_websockets_are_tries() -> None:
    seconds = [second(number) for number in range(1, LATE + 1)]
    for one in seconds:
        one.table.rate(Series("ws_failed")).total = 1
    assert reasons(seconds)[-1]


def test_at_the_end_any_time_is_long_enough_but_few_tries_are_few() -> None:
    def at_the_end(*seconds: Snapshot) -> str:
        watch = AnswerWatch("")
        assert not any(watch.add(one) for one in seconds)
        return watch.at_the_end()

    assert at_the_end(second(1, FEWEST_TRIES)).startswith("10 requests in 1s, and not one was answered: dns (")
    assert at_the_end(second(1, FEWEST_TRIES)).endswith("or let such a run pass with --on-no-answer continue")
    assert not at_the_end(second(1, FEWEST_TRIES - 1))
    assert not at_the_end(second(1, FEWEST_TRIES), second(2, trends=("http_req_duration",)))
    assert not at_the_end()


def test_a_request_that_the_script_judged_good_without_an_answer_is_what_it_wanted() -> None:
    seconds = [second(number, 40) for number in range(1, 2 * LATE)]
    seconds[3].table.rate(Series("http_req_failed")).trues = 39
    assert not any(reasons(seconds))
