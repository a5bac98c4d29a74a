"""Stop signals of this very process: noted, and raised only where that was asked for."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from fastload.control.signals import STOP_SIGNALS, StopSignals, caught_stop_signals, stop_signals_held


@pytest.fixture
def requests() -> Iterator[StopSignals]:
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with caught_stop_signals() as found:
        yield found
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_noted_and_raises_nothing(requests: StopSignals, number: signal.Signals) -> None:
    signal.raise_signal(number)
    signal.raise_signal(number)
    assert (requests.take(), requests.take()) == (2, 0)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_the_signal_that_was_said_raises(requests: StopSignals, after: int) -> None:
    heard = []

    def press() -> None:
        with requests.raising(after=after):
            for number in range(1, 10):
                heard.append(number)
                signal.raise_signal(signal.SIGINT)

    # What came before the block does not count.
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        press()
    assert heard[-1] == after
    assert requests.take() == 1 + after


def test_only_one_raises_and_only_in_the_block(requests: StopSignals) -> None:
    def press() -> None:
        with requests.raising():
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                # What cleans up is not interrupted once more.
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        press()
    with requests.raising():
        pass
    signal.raise_signal(signal.SIGINT)
    assert requests.take() == 3


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with caught_stop_signals() as requests:
            signal.raise_signal(signal.SIGHUP)
            assert requests.take() == 0
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_signals_that_are_held_come_later(requests: StopSignals) -> None:
    with stop_signals_held():
        signal.raise_signal(signal.SIGTERM)
        assert requests.take() == 0
    assert requests.take() == 1
