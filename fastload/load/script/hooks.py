"""Hooks: ``@fl.setup`` and the other functions of a script that run once per test, before or after the load."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from fastload.load.client.callables import is_async
from fastload.load.script.scenarios import check_undecorated, class_and_value, name_of, not_async, where
from fastload.model.errors import PlanError
from fastload.model.hooks import Hook, Hooks, hook_of
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
    """Declare the ``async def`` that runs once before the load, with its own `VU`.

    Its return value, plain data (numbers, text, lists, dicts), is ``vu.setup_data`` in every VU. Its requests count in
    no metric. If it raises or takes longer than *timeout*, there is no load, and the exit code is 107.
    """
    return _declare("setup", function, timeout)


@overload
def teardown(function: F, /) -> F: ...
@overload
def teardown(*, timeout: str = DEFAULT_TIMEOUT) -> Callable[[F], F]: ...
def teardown(function: Any = None, /, *, timeout: str = DEFAULT_TIMEOUT) -> Any:
    """Declare the ``async def`` that runs once after the load, in the same process as setup.

    Its `VU` has the same ``setup_data``. It runs whenever setup or the load has begun, also after Ctrl-C and `abort`.
    *timeout* limits its duration.
    """
    return _declare("teardown", function, timeout)


def test_start(function: F, /) -> F:
    """Declare a function that the parent process calls with the plan before the load begins."""
    return _declare("test_start", function, DEFAULT_TIMEOUT)  # type: ignore[no-any-return]


def test_stop(function: F, /) -> F:
    """Declare a function that the parent process calls with the summary at the very end of the test."""
    return _declare("test_stop", function, DEFAULT_TIMEOUT)  # type: ignore[no-any-return]


def handle_summary(function: F, /) -> F:
    """Declare the function that makes the report of the test from its summary.

    If it returns text, the terminal shows it instead of fastload's own report. If it returns a dict, each key is the
    path of a file to write, or "stdout" or "stderr", and each value is the text. If it returns None, fastload shows its
    own report.
    """
    return _declare("handle_summary", function, DEFAULT_TIMEOUT)  # type: ignore[no-any-return]


# pytest would collect both functions as tests, because of their names, in a test module that imports them.
test_start.__test__ = test_stop.__test__ = False  # type: ignore[attr-defined]


def make_hooks(found: Iterable[Hook]) -> Hooks:
    """Return the hooks of one test by kind.

    Raises:
        PlanError: there are two hooks of one kind.
    """
    by_kind: dict[str, Hook] = {}
    for hook in found:
        if hook.kind in by_kind:
            first, second = (f"{name_of(one.function)} ({where(one.function)})" for one in (by_kind[hook.kind], hook))
            raise PlanError(f"there are two functions with @fl.{hook.kind}: {first} and {second}", hint="keep one")
        by_kind[hook.kind] = hook
    return Hooks(**by_kind)


def as_hook(kind: str, function: Callable[..., Any]) -> Hook:
    """Return *function* as a hook of *kind*, with or without a decorator.

    Raises:
        PlanError: *function* has the wrong signature, or must or must not be async.
    """
    declared = hook_of(function)
    if declared is not None and declared.kind == kind:
        return declared
    _check(kind, function)
    return Hook(kind, function)


def _declare(kind: str, function: Any, timeout: str) -> Any:
    timeout_s = parse_duration_s(timeout, what=f"@fl.{kind}: timeout")

    def declare(function: Any) -> Any:
        check_undecorated(f"fl.{kind}", function)
        _check(kind, function)
        try:
            function.__fastload_hook__ = Hook(kind, function, timeout_s)
        except AttributeError as error:
            hint = "write it above a def of the script"
            raise PlanError(f"@fl.{kind} cannot mark a {type(function).__name__}", hint=hint) from error
        return function

    return declare if function is None else declare(function)


def _check(kind: str, function: Any) -> None:
    name = name_of(function) if callable(function) else kind
    wanted = f"{'async ' * (kind in _ASYNC)}def {name}({_TAKES[kind]})"
    if not callable(function):
        what = f"{kind} is a function, and this is {class_and_value(function)}"
        raise PlanError(what, hint=f"write: {wanted}, and give the function itself")
    if is_async(function) != (kind in _ASYNC):
        problem = (
            not_async(function)[0] if kind in _ASYNC else "is async: it runs in the parent, which has no event loop"
        )
        raise PlanError(f"{kind} {name} ({where(function)}) {problem}", hint=f"write: {wanted}")
    try:
        inspect.signature(function).bind(None)
    except (TypeError, ValueError) as error:
        raise PlanError(
            f"{kind} {name} ({where(function)}) cannot be called with the {_TAKES[kind]} alone: {error}",
            hint=f"write: {wanted}",
        ) from error
