"""``@fl.setup`` and the other functions that run around the load, once a test."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from fastload.load.script.scenarios import name_of, where
from fastload.model.errors import PlanError
from fastload.model.hooks import Hook, Hooks
from fastload.model.units import parse_duration_s

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_TIMEOUT = "60s"
_ASYNC = ("setup", "teardown")
_TAKES = {"setup": "vu", "teardown": "vu", "test_start": "plan", "test_stop": "summary", "handle_summary": "summary"}


@overload
def setup(function: F, /) -> F: ...
@overload
def setup(*, timeout: str = DEFAULT_TIMEOUT) -> Callable[[F], F]: ...
def setup(function: Any = None, /, *, timeout: str = DEFAULT_TIMEOUT) -> Any:
    """Declare the ``async def`` that runs once before the load, with a `VU` of its own.

    What it returns, plain data (numbers, text, lists, dicts), is every VU's ``vu.setup_data``. Its requests are in no
    metric. When it raises, or takes longer than *timeout*, no load is made, and the exit code is 107.
    """
    return _declare("setup", function, timeout)


@overload
def teardown(function: F, /) -> F: ...
@overload
def teardown(*, timeout: str = DEFAULT_TIMEOUT) -> Callable[[F], F]: ...
def teardown(function: Any = None, /, *, timeout: str = DEFAULT_TIMEOUT) -> Any:
    """Declare the ``async def`` that runs once after the load, in the same process as setup and with a `VU` that has
    the same ``setup_data``. It runs whenever setup has begun, or the load: also after Ctrl-C, and after `abort`."""
    return _declare("teardown", function, timeout)


def test_start(function: F, /) -> F:
    """Declare the function that is called with the plan before the load begins, in the parent process."""
    return _declare("test_start", function, DEFAULT_TIMEOUT)  # type: ignore[no-any-return]


def test_stop(function: F, /) -> F:
    """Declare the function that is called with the summary when everything is over, in the parent process."""
    return _declare("test_stop", function, DEFAULT_TIMEOUT)  # type: ignore[no-any-return]


def handle_summary(function: F, /) -> F:
    """Declare the function that makes the report of the test from its summary.

    It returns text, which is shown instead of fastload's own report; or a dict of files to write, by path, in which
    "stdout" and "stderr" are shown; or None, and then fastload's own report is shown.
    """
    return _declare("handle_summary", function, DEFAULT_TIMEOUT)  # type: ignore[no-any-return]


# pytest would take them for tests, in a test module that imports them.
test_start.__test__ = test_stop.__test__ = False  # type: ignore[attr-defined]


def make_hooks(found: Iterable[Hook]) -> Hooks:
    """All hooks of one test.

    Raises:
        PlanError: two of a kind.
    """
    by_kind: dict[str, Hook] = {}
    for hook in found:
        if hook.kind in by_kind:
            first, second = (f"{name_of(one.function)} ({where(one.function)})" for one in (by_kind[hook.kind], hook))
            raise PlanError(f"there are two functions with @fl.{hook.kind}: {first} and {second}", hint="keep one")
        by_kind[hook.kind] = hook
    return Hooks(**by_kind)


def hook_of(item: Any) -> Hook | None:
    """The hook that a function was declared as, None of any other object."""
    found = getattr(item, "__fastload_hook__", None)
    return found if isinstance(found, Hook) else None


def as_hook(kind: str, function: Callable[..., Any]) -> Hook:
    """*function* as a hook of *kind*, declared or not.

    Raises:
        PlanError: it cannot be called as one.
    """
    declared = hook_of(function)
    if declared is not None and declared.kind == kind:
        return declared
    _check(kind, function)
    return Hook(kind, function)


def _declare(kind: str, function: Any, timeout: str) -> Any:
    timeout_s = parse_duration_s(timeout, what=f"@fl.{kind}: timeout")

    def declare(function: Any) -> Any:
        _check(kind, function)
        function.__fastload_hook__ = Hook(kind, function, timeout_s)
        return function

    return declare if function is None else declare(function)


def _check(kind: str, function: Any) -> None:
    name = name_of(function)
    wanted = f"{'async ' * (kind in _ASYNC)}def {name}({_TAKES[kind]})"
    if not callable(function) or inspect.iscoroutinefunction(function) != (kind in _ASYNC):
        problem = "is not async" if kind in _ASYNC else "is async: it runs in the parent, which has no event loop"
        raise PlanError(f"{kind} {name} ({where(function)}) {problem}", hint=f"write: {wanted}")
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise PlanError(
            f"{kind} {name} ({where(function)}) cannot be called with the {_TAKES[kind]} alone: {error}",
            hint=f"write: {wanted}",
        ) from error
