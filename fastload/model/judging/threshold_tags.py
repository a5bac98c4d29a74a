"""Tags of thresholds: checks of what is known of them before a run."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from fastload.model.error_remedies import REMEDIES
from fastload.model.errors import PlanError, nearest
from fastload.model.judging.thresholds import Threshold
from fastload.model.metrics import BUILTIN, CALL_METRICS, HTTP_TRENDS, STREAM_METRICS, WEBSOCKET_METRICS
from fastload.model.statuses import MOST
from fastload.model.tags import BUILTIN_TAGS
from fastload.model.units import parse_whole

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_VOLUMES = ("data_sent", "data_received")
REQUEST_COUNTERS = ("http_reqs", *_VOLUMES)
_REQUEST_METRICS = (*HTTP_TRENDS, "http_req_response_time", "http_req_failed", *REQUEST_COUNTERS)
NAMED_METRICS = (*CALL_METRICS, *STREAM_METRICS, *WEBSOCKET_METRICS)
_PROCESS_METRICS = ("vus", "vus_max", "loop_lag")
_TAGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(BUILTIN, ("scenario",)),
    **dict.fromkeys(_PROCESS_METRICS, ()),
    **dict.fromkeys(_REQUEST_METRICS, ("scenario", "group", "name", "method", "status", "error", "expected_response")),
    **dict.fromkeys(NAMED_METRICS, ("scenario", "group", "name", "error")),
    **dict.fromkeys(("http_req_retried", "http_auth_challenges"), ("scenario", "group", "name")),
    "checks": ("scenario", "group", "check"),
    "group_duration": ("scenario", "group"),
}
_WITH_OWN_TAGS = (*_REQUEST_METRICS, *NAMED_METRICS, "http_req_retried", "http_auth_challenges", "checks")
"""Metrics whose values may have tags of requests, calls or checks, beside those of their scenario."""
OPEN_TAGS = ("name", "group", "check")
"""Tags whose values only a run shows; every run keeps the series that show them."""
_SIMILAR = 0.75


@dataclass(frozen=True, slots=True)
class PlannedTags:
    """What is known of tags before a run.

    *scenarios*: the own tags of each scenario of the run, by name. *others*: names of scenarios of the script that do
    not run. *has_own_tags*: requests may have tags of their own; in ``bench`` they have none. *mentions* returns
    whether the script may name something so.
    """

    scenarios: Mapping[str, Mapping[str, str]]
    others: Collection[str] = ()
    has_own_tags: bool = True
    mentions: Callable[[str], bool] = field(default=lambda _text: True)

    @property
    def known_scenarios(self) -> tuple[str, ...]:
        """Names of all scenarios of the run and of the script, each once."""
        return tuple(dict.fromkeys((*self.scenarios, *self.others)))

    @property
    def names(self) -> set[str]:
        """Names of the own tags of scenarios."""
        return {name for tags in self.scenarios.values() for name in tags}


def check_filters(thresholds: Iterable[Threshold], planned: PlannedTags) -> None:
    """Check the tags of *thresholds* as far as they are known before the run.

    Raises:
        PlanError: the metric has no such tag, or the tag cannot have that value.
    """
    for threshold in thresholds:
        for tag, value in threshold.series.tags:
            is_own_metric = threshold.series.metric not in BUILTIN
            if is_own_metric and planned.mentions(tag):
                # A script may give its metrics any tag, and that goes before fastload's.
                continue
            _check_name(threshold, tag, planned)
            _check_value(threshold, tag, value, planned)


def foreign_tag(threshold: Threshold, planned: PlannedTags) -> str:
    """Return what *threshold* asks for that this script does not have, and another script of the project may have.

    That is a scenario, or a tag that its scenarios set; "" if there is none, or if it is nearly one of this script.
    """
    metric = threshold.series.metric
    for tag, value in threshold.series.tags:
        if metric not in BUILTIN and planned.mentions(tag):
            continue
        if tag == "scenario":
            if value not in planned.known_scenarios and not nearest(value, planned.known_scenarios):
                return "there is no such scenario"
        elif metric in BUILTIN and metric not in _WITH_OWN_TAGS and tag not in BUILTIN_TAGS and _TAGS.get(metric, True):
            values = {tags[tag] for tags in planned.scenarios.values() if tag in tags}
            is_typo = nearest(value, values) if values else nearest(tag, planned.names)
            if value not in values and not is_typo:
                return f"no scenario has the tag {tag}:{value}"
    return ""


def idle_scenario(threshold: Threshold, planned: PlannedTags) -> str:
    """Return the scenario of the script that *threshold* is on, and that does not run; "" if there is none."""
    if threshold.series.metric not in BUILTIN and planned.mentions("scenario"):
        return ""
    value = dict(threshold.series.tags).get("scenario", "")
    return value if value in planned.others and value not in planned.scenarios else ""


def _check_name(threshold: Threshold, tag: str, planned: PlannedTags) -> None:
    metric = threshold.series.metric
    builtin = _TAGS.get(metric, ("scenario", "group"))
    known = (*builtin, *sorted(planned.names)) if builtin else ()
    if tag in known:
        return
    may_have_more = planned.has_own_tags and (metric in _WITH_OWN_TAGS or metric not in BUILTIN)
    if may_have_more and tag not in BUILTIN_TAGS:
        similar = difflib.get_close_matches(tag, known, n=1, cutoff=_SIMILAR)
        if not similar or planned.mentions(tag):
            return
    has = f"it has {', '.join(known)}" if known else "it has no tags"
    raise PlanError(
        f"threshold on {threshold.label!r}: {metric} has no tag {tag!r}",
        hint=(nearest(tag, known) + " " if nearest(tag, known) else "") + has,
    )


def _check_value(threshold: Threshold, tag: str, value: str, planned: PlannedTags) -> None:
    metric = threshold.series.metric
    wrong = hint = ""
    match tag:
        case "scenario":
            names = planned.known_scenarios
            if value not in names:
                wrong = f"there is no scenario {value!r}"
                hint = nearest(value, names) or f"there are {', '.join(names)}"
            elif value not in planned.scenarios:
                wrong = f"the run leaves out scenario {value!r}"
                hint = f"let {value} run too, or leave out this threshold; the run has {', '.join(planned.scenarios)}"
        case "status" if parse_whole(value, MOST) is None:
            wrong, hint = f"{value!r} is no status", "write a number, like status:200; 0 is no response"
        case "expected_response" if value not in ("true", "false"):
            wrong, hint = f"expected_response is true or false, and not {value!r}", "write expected_response:true"
        case "method":
            wrong, hint = _wrong_method(value, planned)
        case "error" if metric in _REQUEST_METRICS and not _is_error_kind(value):
            wrong = f"there is no kind of errors {value!r}"
            hint = _hint_of_error(value)
        case _ if tag in planned.names and metric in BUILTIN and metric not in _WITH_OWN_TAGS:
            values = sorted({tags[tag] for tags in planned.scenarios.values() if tag in tags})
            if value not in values:
                wrong = f"no scenario has the tag {tag}:{value}"
                hint = nearest(value, values) or f"there is {', '.join(values)}"
    if wrong:
        raise PlanError(f"threshold on {threshold.label!r}: {wrong}", hint=hint)


def _wrong_method(value: str, planned: PlannedTags) -> tuple[str, str]:
    """Return what is wrong with *value* as a method and the hint; empty texts if it may be one."""
    if value != value.upper():
        return f"methods are in upper case, and not {value!r}", f"write method:{value.upper()}"
    if not value:
        return "a request always has a method", "write method:GET"
    similar = difflib.get_close_matches(value, _METHODS, n=1, cutoff=0.6)
    if value in _METHODS or not similar or planned.mentions(value):
        return "", ""
    return f"there is no method {value!r}", nearest(value, _METHODS)


def _hint_of_error(value: str) -> str:
    if re.fullmatch(r"(http_)?[0-9][0-9x]{2}", value, re.IGNORECASE):
        return "each status is a kind of its own: write error:http_404, or status:404"
    kinds = [kind for kind in REMEDIES if _is_error_kind(kind)]
    return nearest(value, kinds) or "kinds of errors are listed in the docs, page 'What the numbers mean'"


def _is_error_kind(kind: str) -> bool:
    """Return whether a request may have the error *kind*; "" is that of one that did not fail."""
    return not kind or (kind in REMEDIES and not kind.endswith("xx")) or bool(re.fullmatch(r"http_[0-9]{3}", kind))
