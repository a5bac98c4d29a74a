"""Thresholds of k6: reads their settings as k6 does, and refuses tags that only k6 has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastload.model.errors import PlanError
from fastload.model.judging.threshold_grammar import parse_series
from fastload.planning.k6_values import K6Value

_SETTINGS = ("threshold", "abortOnFail", "delayAbortEval")
_OWN_SETTINGS = ("abort_on_fail", "delay_abort", "optional")
_EXAMPLE = '["p(95)<500"]'
_BY_NAME = "requests are counted by their name: write {name:...}"
_BY_TAG = "tag those requests in the script, under a name of your own"
_NO_SUCH_TAG = {
    "url": _BY_NAME,
    "error_code": "write {error:...}, with the kind of the error",
    "proto": _BY_TAG,
    "subproto": _BY_TAG,
    "tls_version": _BY_TAG,
    "ip": _BY_TAG,
    "ocsp_status": _BY_TAG,
    "iter": _BY_TAG,
    "vu": _BY_TAG,
}


def read_thresholds(one: K6Value) -> tuple[dict[str, list[Any]], list[str]]:
    """Return the thresholds by metric, and the names of what has no effect.

    Raises:
        PlanError: no object, a wrong setting, or a tag that fastload does not have.
    """
    if not isinstance(one.value, Mapping):
        raise one.wrong("an object", '{"http_req_duration": ["p(95)<500"]}')
    found: dict[str, list[Any]] = {}
    ignored: list[str] = []
    for metric, given in one.value.items():
        of_metric = K6Value(f"{one.where}: {one.key}", metric, given)
        several = [given] if isinstance(given, str | Mapping) else given
        if several is None or several == []:
            ignored.append(f"thresholds.{metric}")
            continue
        if not isinstance(several, Sequence):
            raise of_metric.wrong("a list of expressions", _EXAMPLE)
        _check_tags(of_metric)
        found[metric] = [_threshold(of_metric, item, ignored) for item in several]
    return found, list(dict.fromkeys(ignored))


def _threshold(of_metric: K6Value, item: Any, ignored: list[str]) -> Any:
    if isinstance(item, str):
        return item
    one = of_metric._replace(value=item)
    if not isinstance(item, Mapping):
        raise one.wrong("an expression", _EXAMPLE)
    where = f"{of_metric.where}.{of_metric.key}"
    settings = one.entries((*_SETTINGS, *_OWN_SETTINGS), '[{"threshold": "p(95)<500", "abortOnFail": true}]')
    aborts = settings.get("abort_on_fail")
    if "abortOnFail" in settings:
        aborts = settings["abortOnFail"] = K6Value(where, "abortOnFail", settings["abortOnFail"]).flag()
    if "delayAbortEval" in settings:
        delay = K6Value(where, "delayAbortEval", settings.pop("delayAbortEval")).duration()
        if aborts:
            settings["delayAbortEval"] = delay
        else:
            ignored.append("delayAbortEval without abortOnFail")
    return settings


def _check_tags(of_metric: K6Value) -> None:
    series, _ = parse_series(of_metric.key)
    for tag, _ in series.tags:
        if tag in _NO_SUCH_TAG:
            raise PlanError(
                f"{of_metric.where}: {of_metric.key}: k6's tag {tag!r} is not supported", hint=_NO_SUCH_TAG[tag]
            )
