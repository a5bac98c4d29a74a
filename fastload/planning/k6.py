"""Options files of k6: translates a JSON object with k6's option names into a tier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from fastload.model.errors import PlanError, nearest
from fastload.model.load_models import EXECUTORS
from fastload.model.units import parse_duration_s
from fastload.planning.k6_transport import TRANSPORT, without_effect
from fastload.planning.options import OPTIONS, check_options
from fastload.planning.tiers import Tier

# k6's name -> fastload's name, for options with the same values.
_SAME = {
    "hosts": "hosts",
    "insecureSkipTLSVerify": "insecure",
    "iterations": "iterations",
    "maxRedirects": "max_redirects",
    "noConnectionReuse": "no_connection_reuse",
    "noSetup": "no_setup",
    "noTeardown": "no_teardown",
    "noVUConnectionReuse": "no_vu_connection_reuse",
    "paused": "paused",
    "tags": "tags",
    "thresholds": "thresholds",
    "userAgent": "user_agent",
    "vus": "vus",
}
_TIMES = {"duration": "duration", "minIterationDuration": "pacing"}
# Options that only change k6's own output, or that ask for what fastload does anyway.
_HARMLESS = (
    "cloud",
    "discardResponseBodies",
    "ext",
    "metricSamplesBufferSize",
    "noCookiesReset",
    "noUsageReport",
    "summaryTimeUnit",
    "summaryTrendStats",
    "systemTags",
)
_INSTEAD = {
    "batch": "give it in the script: vu.batch(requests, limit=20)",
    "batchPerHost": "give it in the script: vu.batch(requests, per_host=6)",
    "blacklistIPs": "leave those addresses out of the script",
    "blockHostnames": "leave those hosts out of the script",
    "consoleOutput": "redirect stdout",
    "executionSegment": "set workers, or run part of the load with fewer VUs",
    "executionSegmentSequence": "set workers, or run part of the load with fewer VUs",
    "linger": "leave it out",
    "noThresholds": "leave the thresholds out",
    "rps": "give a rate, like rate = 100 or --rate 100",
    "setupTimeout": "give it in the script, beside setup",
    "teardownTimeout": "give it in the script, beside teardown",
    "throw": "raise in the script if not reply.ok",
}
_KNOWN = (*_SAME, *_TIMES, *TRANSPORT, "stages", "scenarios", *_HARMLESS, *_INSTEAD)
_SCENARIO_SAME = {
    "executor": "executor",
    "vus": "vus",
    "iterations": "iterations",
    "startVUs": "start_vus",
    "preAllocatedVUs": "vus",
    "maxVUs": "max_vus",
    "env": "env",
    "tags": "tags",
}
_SCENARIO_TIMES = {
    "duration": "duration",
    "maxDuration": "duration",
    "gracefulRampDown": "graceful_ramp_down",
    "gracefulStop": "graceful_stop",
    "startTime": "start_time",
}
_SCENARIO_RATES = {"rate": "rate", "startRate": "start_rate"}
_SCENARIO_KNOWN = (*_SCENARIO_SAME, *_SCENARIO_TIMES, *_SCENARIO_RATES, "stages", "timeUnit", "exec", "options")
_UNIT_SUFFIX = {1.0: "/s", 60.0: "/m", 3600.0: "/h"}
_EXAMPLE = '{"vus": 10, "duration": "30s"}'


def k6_tier(data: Any, *, name: str, folder: str, is_project_file: bool = False) -> Tier:
    """Return the tier of the JSON *data* of a file. Options under fastload's own names are accepted too.

    With ``scenarios``, the run has only these, as in k6. The ``exec`` of each names the script's scenario to use.

    Raises:
        PlanError: an unknown option, an unsupported option, or a value of the wrong type.
    """
    if not isinstance(data, Mapping):
        raise PlanError(f"{name} has no JSON object", hint=f"write it like {_EXAMPLE}")
    options: dict[str, Any] = {}
    ignored = without_effect(data)
    for key, value in data.items():
        if key in _SAME:
            options[_SAME[key]] = value
        elif key in _TIMES:
            options[_TIMES[key]] = _time(value)
        elif key in TRANSPORT:
            options |= TRANSPORT[key](value, name)
        elif key == "stages":
            options["stages"] = _stages(value, name, "")
        elif key in _HARMLESS:
            ignored.append(key)
        elif key in OPTIONS:
            options[key] = value
        elif key != "scenarios":
            raise _unknown(name, key, _KNOWN)
    scenarios = data.get("scenarios")
    if scenarios is not None:
        _check_scenarios(scenarios, data, name)
    given = {one: _scenario(spec, f"{name}: scenarios.{one}") for one, spec in (scenarios or {}).items()}
    return Tier(
        name,
        check_options(options, where=name, folder=folder),
        {
            one: check_options(spec, where=f"{name}: scenarios.{one}", of_scenario=True, folder=folder)
            for one, spec in given.items()
        },
        is_project_file=is_project_file,
        chosen={one: str(spec.get("exec", "")) for one, spec in scenarios.items()} if scenarios else None,
        notes=(f"{name}: {', '.join(ignored)} {'has' if len(ignored) == 1 else 'have'} no effect here",)
        if ignored
        else (),
    )


def _check_scenarios(scenarios: Any, data: Mapping[str, Any], name: str) -> None:
    if not isinstance(scenarios, Mapping) or not all(isinstance(spec, Mapping) for spec in scenarios.values()):
        raise PlanError(f"{name}: scenarios is not an object of objects", hint='write "scenarios": {"read": {...}}')
    for key in ("duration", "iterations", "stages"):
        if key in data and scenarios:
            raise PlanError(f"{name}: {key} and scenarios exclude each other", hint="give each scenario its own")


def _unknown(name: str, key: str, known: tuple[str, ...]) -> PlanError:
    if key in _INSTEAD:
        return PlanError(f"{name}: {key} is not supported", hint=_INSTEAD[key])
    return PlanError(f"{name}: there is no option {key!r}", hint=nearest(key, known) or f"there are {', '.join(known)}")


def _scenario(spec: Mapping[str, Any], where: str) -> dict[str, Any]:
    executor = spec.get("executor")
    if not isinstance(executor, str) or executor not in EXECUTORS:
        problem = "has no executor" if executor is None else f"has an unknown executor {executor!r}"
        hint = nearest(str(executor or ""), EXECUTORS) or f"give one of {', '.join(EXECUTORS)}"
        raise PlanError(f"{where} {problem}", hint=hint)
    suffix = _per(spec.get("timeUnit", "1s"), where)
    options: dict[str, Any] = {"start_vus": 1} if executor == "ramping-vus" else {}
    for key, value in spec.items():
        if key in _SCENARIO_SAME:
            options[_SCENARIO_SAME[key]] = value
        elif key in _SCENARIO_TIMES:
            options[_SCENARIO_TIMES[key]] = _time(value)
        elif key in _SCENARIO_RATES:
            options[_SCENARIO_RATES[key]] = suffix(_number(value, key, where))
        elif key == "stages":
            rates = executor == "ramping-arrival-rate"
            options["stages"] = _stages(value, where, suffix if rates else "")
        elif key not in ("exec", "timeUnit", "options"):
            raise _unknown(where, key, _SCENARIO_KNOWN)
    return options


def _time(value: Any) -> Any:
    """Return a k6 time as fastload writes it: a number is milliseconds, a text stays as it is."""
    return f"{value}ms" if isinstance(value, int | float) and not isinstance(value, bool) else value


def _number(value: Any, key: str, where: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PlanError(f"{where}: {key} is {value!r}, and takes a number", hint=f'write "{key}": 10')
    return Decimal(str(value))


def _per(unit: Any, where: str) -> Callable[[Decimal], str]:
    """Return a function from a number of starts per *unit* of time to a rate as fastload writes it."""
    unit_s = parse_duration_s(_time(unit), what=f"{where}: timeUnit")
    if unit_s <= 0:
        raise PlanError(f"{where}: timeUnit is 0", hint='write it like "1s" or "1m"')
    if unit_s in _UNIT_SUFFIX:
        return lambda number: f"{number:f}{_UNIT_SUFFIX[unit_s]}"
    return lambda number: f"{number / Decimal(str(unit_s)):.15f}/s"


def _stages(value: Any, where: str, suffix: Callable[[Decimal], str] | str) -> list[str]:
    """Return k6's stages, ``[{"duration": "30s", "target": 10}]``, as fastload writes them; texts stay as they are."""
    if not isinstance(value, list):
        raise PlanError(f"{where}: stages is no list", hint='write "stages": [{"duration": "30s", "target": 10}]')
    texts = []
    for stage in value:
        if isinstance(stage, str):
            texts.append(stage)
            continue
        if not isinstance(stage, Mapping) or stage.keys() != {"duration", "target"}:
            raise PlanError(
                f"{where}: stage {stage!r} is not an object of duration and target",
                hint='write it like {"duration": "30s", "target": 10}',
            )
        target = _number(stage["target"], "target", where)
        texts.append(f"{_time(stage['duration'])}:{f'{target:f}' if isinstance(suffix, str) else suffix(target)}")
    return texts
