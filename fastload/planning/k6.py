"""Options files of k6: translates a JSON object with k6's option names into a tier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastload.model.errors import PlanError, nearest
from fastload.planning.k6_scenarios import function_of, read_scenarios, scenario_options, stage_texts, vus_target
from fastload.planning.k6_thresholds import read_thresholds
from fastload.planning.k6_transport import TRANSPORT, without_effect
from fastload.planning.k6_values import K6Value, known_entries
from fastload.planning.options import OPTIONS, check_options
from fastload.planning.tiers import Tier

# k6's name -> fastload's name, and the reader of the value.
_READ: dict[str, tuple[str, Callable[[K6Value], Any]]] = {
    "duration": ("duration", K6Value.some_time),
    "hosts": ("hosts", K6Value.table),
    "insecureSkipTLSVerify": ("insecure", K6Value.flag),
    "iterations": ("iterations", K6Value.whole),
    "maxRedirects": ("max_redirects", lambda one: one.whole(least=0)),
    "minIterationDuration": ("pacing", K6Value.duration),
    "noConnectionReuse": ("no_connection_reuse", K6Value.flag),
    "noSetup": ("no_setup", K6Value.flag),
    "noTeardown": ("no_teardown", K6Value.flag),
    "noVUConnectionReuse": ("no_vu_connection_reuse", K6Value.flag),
    "paused": ("paused", K6Value.flag),
    "setupTimeout": ("setup_timeout", K6Value.some_time),
    "stages": ("stages", lambda one: stage_texts(one, vus_target)),
    "tags": ("tags", K6Value.table),
    "teardownTimeout": ("teardown_timeout", K6Value.some_time),
    "userAgent": ("user_agent", K6Value.text),
    "vus": ("vus", lambda one: one.whole(least=0)),
}
# Options that only change k6's own output, or that ask for what fastload does anyway.
_HARMLESS = (
    "cloud",
    "discardResponseBodies",
    "ext",
    "handleSummaryTimeout",
    "metricSamplesBufferSize",
    "noCookiesReset",
    "noUsageReport",
    "summaryMode",
    "summaryTimeUnit",
    "summaryTrendStats",
    "systemTags",
)
_INSTEAD = {
    "address": 'give "control": 6565',
    "batch": "give it in the script: vu.batch(requests, limit=20)",
    "batchPerHost": "give it in the script: vu.batch(requests, per_host=6)",
    "blacklistIPs": "leave those addresses out of the script",
    "blockHostnames": "leave those hosts out of the script",
    "collectors": 'give "out": ["csv=points.csv"]',
    "consoleOutput": "redirect stdout",
    "executionSegment": "set workers, or run part of the load with fewer VUs",
    "executionSegmentSequence": "set workers, or run part of the load with fewer VUs",
    "linger": "leave it out",
    "noSummary": "redirect stdout",
    "noThresholds": 'give "no_thresholds": true',
    "rps": "give a rate, like rate = 100 or --rate 100",
    "summaryExport": 'give "summary": "summary.json"',
    "throw": "raise in the script if not reply.ok",
    "tracesOutput": "leave it out: fastload sends no traces",
    "webDashboard": 'give "dashboard": 5665',
}
# Values by which an option asks for nothing: k6's defaults.
_NOTHING_ASKED: tuple[Any, ...] = (False, 0, "", "0:1", "none", [], {})
_KNOWN = (*_READ, *TRANSPORT, "scenarios", "thresholds", *_HARMLESS, *_INSTEAD)
_EXAMPLE = '{"vus": 10, "duration": "30s"}'


def k6_tier(data: Any, *, name: str, folder: str) -> Tier:
    """Return the tier of the JSON *data* of a file. Options under fastload's own names are accepted too.

    With ``scenarios``, the run has only these, as in k6. The ``exec`` of each names the script's scenario to use.

    Raises:
        PlanError: an unknown option, an unsupported option, or a value of the wrong type.
    """
    if not isinstance(data, Mapping):
        raise PlanError(f"{name} has no JSON object", hint=f"write it like {_EXAMPLE}")
    given = known_entries(data, (*_KNOWN, *OPTIONS), where=name)
    options: dict[str, Any] = {}
    ignored: list[str] = []
    for key, value in given.items():
        for option, taken in _translated(K6Value(name, key, value), ignored).items():
            if option in options:
                raise PlanError(f"{name}: {key} says again what is {option}", hint="keep one of the two")
            if taken is not None:
                options[option] = taken
    if options.get("vus") == 0:
        if not options.get("stages"):
            K6Value(name, "vus", given["vus"]).whole()
        options.setdefault("start_vus", options.pop("vus"))
    elif isinstance(given.get("stages"), list) and all(isinstance(stage, Mapping) for stage in given["stages"]):
        # As in k6, unless the file says with how many it begins.
        options |= {} if not given["stages"] or "vus" in options else {"start_vus": options.get("start_vus", 1)}
    scenarios = _scenarios(given, name, ignored)
    places = {one: f"{name}: scenarios.{one}" for one in scenarios}
    specs = {one: scenario_options(spec, places[one]) for one, spec in scenarios.items()}
    return Tier(
        name,
        check_options(options, where=name, folder=folder),
        {one: check_options(spec, where=places[one], of_scenario=True, folder=folder) for one, spec in specs.items()},
        chosen={one: function_of(spec, places[one]) for one, spec in scenarios.items()} or None,
        notes=_notes(name, ignored),
    )


def _translated(one: K6Value, ignored: list[str]) -> Mapping[str, Any]:
    """Return fastload's options for one of k6's. The name of one without effect goes into *ignored*."""
    key = one.key
    if key in _READ:
        option, read = _READ[key]
        return {option: read(one)}
    if key == "thresholds":
        thresholds, without = read_thresholds(one)
        ignored += without
        return {"thresholds": thresholds}
    if key in TRANSPORT:
        ignored += without_effect(one)
        return TRANSPORT[key](one)
    if key in _HARMLESS:
        ignored.append(key)
    elif key in OPTIONS:
        return {key: one.value}
    elif key in _INSTEAD:
        if one.value not in _NOTHING_ASKED:
            raise one.refused("is not supported", _INSTEAD[key])
    elif key != "scenarios":
        hint = nearest(key, _KNOWN) or f"there are {', '.join(_KNOWN)}"
        raise PlanError(f"{one.where}: there is no option {key!r}", hint=hint)
    return {}


def _scenarios(given: Mapping[str, Any], name: str, ignored: list[str]) -> dict[str, dict[str, Any]]:
    if "scenarios" not in given:
        return {}
    scenarios = read_scenarios(K6Value(name, "scenarios", given["scenarios"]))
    if not scenarios:
        ignored.append("scenarios without an entry")
    for key in ("duration", "iterations", "stages"):
        if scenarios and given.get(key) not in (None, "", []):
            raise PlanError(f"{name}: {key} and scenarios exclude each other", hint="give each scenario its own")
    return scenarios


def _notes(name: str, ignored: list[str]) -> tuple[str, ...]:
    verb = "has" if len(ignored) == 1 else "have"
    return (f"{name}: {', '.join(ignored)} {verb} no effect here",) if ignored else ()
