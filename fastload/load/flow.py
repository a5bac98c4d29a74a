"""How a script ends an iteration, or the whole test, from wherever it is."""

from __future__ import annotations

from typing import NoReturn

from fastload.model.errors import FastloadError


class IterationFailed(FastloadError):
    """`fail` was called: this iteration counts as failed, under this name, and the next one begins."""


class IterationTimeout(FastloadError):
    """An iteration took longer than the scenario's ``iteration_timeout``."""


class TestAborted(BaseException):
    """`abort` was called. No `Exception`, so that a script's ``except Exception`` does not go on with the test."""

    __test__ = False


def fail(reason: str) -> NoReturn:
    """End this iteration as failed: it counts in ``iterations_failed``, and *reason* is in the summary.

    In setup or teardown it fails that function, and with it the test.
    """
    raise IterationFailed(reason)


def abort(reason: str) -> NoReturn:
    """End the whole test now: iterations are interrupted, teardown runs, and the exit code is 108."""
    raise TestAborted(reason)
