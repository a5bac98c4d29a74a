"""Hooks: the functions of a test that run once before or after the load, and their errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from types import FunctionType
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Hook:
    """Hook: a function of the script that runs around the load. *timeout_s* limits setup and teardown."""

    kind: str
    function: Callable[..., Any]
    timeout_s: float = 60.0


def hook_of(item: Any) -> Hook | None:
    """Return the hook that a decorator has attached to a function; None for every other object."""
    # Only functions are asked: a proxy, as of Flask, runs code of its own for each attribute, which may raise.
    found = vars(item).get("__fastload_hook__") if type(item) is FunctionType else None
    return found if isinstance(found, Hook) else None


@dataclass(frozen=True, slots=True)
class Hooks:
    """Hooks of a test; None for a hook that the test does not have.

    *setup* and *teardown* are async and make requests, in the hook process. The others are plain functions that run in
    the parent: *test_start* is called with the plan, *test_stop* and *handle_summary* with the summary.
    """

    setup: Hook | None = None
    teardown: Hook | None = None
    test_start: Hook | None = None
    test_stop: Hook | None = None
    handle_summary: Hook | None = None

    @property
    def need_process(self) -> bool:
        """Whether the hooks need the hook process: there is a setup or a teardown."""
        return bool(self.setup or self.teardown)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(one.name for one in fields(cls))


INTERRUPTED = "it was interrupted"
"""Message of the error of a hook that was ended by a stop signal or a stop command."""


class HookError(NamedTuple):
    """Error of a hook that raised or took too long. *message* is the reason, or the user's lines of the traceback."""

    hook: str
    message: str
