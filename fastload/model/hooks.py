"""The functions of a test that run around the load, once each: what they are called, and what went wrong in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Hook:
    """One function of the script. *timeout_s* bounds setup and teardown."""

    kind: str
    function: Callable[..., Any]
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of a test, None where it has none.

    *setup* and *teardown* are async and make requests, in a process of their own; the others are plain functions,
    called in the parent: *test_start* with the plan, *test_stop* and *handle_summary* with the summary.
    """

    setup: Hook | None = None
    teardown: Hook | None = None
    test_start: Hook | None = None
    test_stop: Hook | None = None
    handle_summary: Hook | None = None

    @property
    def need_process(self) -> bool:
        """Whether one of them makes requests."""
        return bool(self.setup or self.teardown)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(one.name for one in fields(cls))


INTERRUPTED = "it was interrupted"
"""The message of the error of a hook that a stop signal ended, or somebody who stopped the run."""


class HookError(NamedTuple):
    """A hook that raised, or took too long: its name, and the user's own lines of the traceback."""

    hook: str
    message: str
