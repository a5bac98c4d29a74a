"""``--out junit=FILE``: thresholds, checks and the state of the run as JUnit XML, which CI servers show as tests."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from fastload.model.errors import PlanError
from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.metrics import FAILURE_RATES
from fastload.model.records import Snapshot
from fastload.model.run_header import RunHeader
from fastload.model.saved.replay import UNKNOWN
from fastload.model.saved.saved_capacity import saved_capacity
from fastload.model.units import format_count, format_number_of, format_percent
from fastload.outputs.figures import raised_words
from fastload.outputs.files import check_file, replace_file
from fastload.outputs.streams.base import SecondsNeeded
from fastload.outputs.streams.plain_summary import threshold_name, thresholds_in, verdict_line, why_failed
from fastload.outputs.terminal.report_capacity import capacity_lines

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_Result = Error | Failure | Skipped
_SECONDS_END = len("2026-01-01T00:00:00")


class JUnit:
    """A sink that writes the file when the run is over.

    Raises:
        PlanError: *file* is empty.
    """

    required = True
    wants_points = False

    def __init__(self, file: str) -> None:
        if not file:
            raise PlanError("--out junit has no file", hint="write it like junit=report.xml")
        self._path = Path(file)
        self._header: RunHeader | None = None

    def check(self) -> None:
        """See `Sink.check`."""
        check_file(self._path, "--out junit", example="report.xml")

    def expect_summary(self) -> SecondsNeeded:
        """See `Sink`: everything is in the summary."""
        return "none"

    def open(self, header: RunHeader) -> None:
        self._header = header

    def write(self, snapshot: Snapshot) -> None:
        """Do nothing before the end of the run."""

    def close(self, summary: Mapping[str, Any] | None) -> None:
        assert self._header is not None
        replace_file(self._path, render_junit(self._header, summary))


def render_junit(header: RunHeader, summary: Mapping[str, Any] | None) -> bytes:
    """Return the XML. *summary* is `Summary.to_dict`; None means that the run broke off without a summary."""
    suites = [_suite(header, name, cases) for name, cases in _cases(summary).items() if cases]
    run = _suite(header, "run", _run_cases(summary), _properties(header, summary))
    run.time = 0.0 if summary is None else round(float(summary["duration_s"]), 3)
    suites.append(run)
    root = JUnitXml(_xml(f"fastload {header.title}"))
    for suite in suites:
        root.add_testsuite(suite)
    # Do not use update_statistics: it writes an attribute that the schema of Jenkins does not have.
    root.tests = sum(suite.tests for suite in suites)
    root.failures = sum(suite.failures for suite in suites)
    root.errors = sum(suite.errors for suite in suites)
    root.time = run.time
    data = io.BytesIO()
    root.write(data)
    return data.getvalue() + b"\n"


def _suite(
    header: RunHeader, name: str, cases: list[TestCase], properties: Iterable[tuple[str, Any]] = ()
) -> TestSuite:
    suite = TestSuite(name)
    suite.timestamp = header.started_at[:_SECONDS_END]
    for key, value in properties:
        suite.add_property(_xml(key), _xml(str(value)))
    suite.add_testcases(cases)
    return suite


def _cases(summary: Mapping[str, Any] | None) -> dict[str, list[TestCase]]:
    if summary is None:
        return {}
    return {
        "capacity": _capacity_cases(summary),
        "thresholds": [_threshold_case(result) for result in thresholds_in(summary)],
        "checks": [_check_case(check, summary) for check in summary["checks"]],
    }


def _case(group: str, name: str, result: _Result | None = None, *, text: str = "", out: str = "") -> TestCase:
    case = TestCase(_xml(name), _xml(group))
    if result is not None:
        result.message = _xml(result.message or "")
        if text:
            result.text = _xml(text)
        case.result = result
    if out:
        case.system_out = _xml(out)
    return case


def _threshold_case(result: ThresholdResult) -> TestCase:
    name = threshold_name(result)
    if not result.ok:
        return _case("thresholds", name, Failure(why_failed(result), "threshold"))
    if result.observed is None:
        return _case("thresholds", name, Skipped("no data, and it is optional"))
    return _case("thresholds", name)


def _capacity_cases(summary: Mapping[str, Any]) -> list[TestCase]:
    """Return the test case of a capacity search: its demand (``--at-least``), or the answer without one."""
    search = saved_capacity(summary.get("capacity"))
    if search is None:
        return []
    text = "\n".join([search.headline, *capacity_lines(search)])
    wanted = search.settings.at_least
    name = "search" if wanted is None else f"at least {search.settings.text_of(wanted)}"
    if not search.meets_demand:
        return [_case("capacity", name, Failure(search.headline, "capacity"), text=text)]
    return [_case("capacity", name, out=text)]


def _check_case(check: Mapping[str, Any], summary: Mapping[str, Any]) -> TestCase:
    several = len(summary["scenarios"]) > 1
    group = f"checks.{check['scenario']}" if several else "checks"
    fails, total = check["fails"], check["passes"] + check["fails"]
    if not fails:
        return _case(group, check["name"])
    what = f"{format_count(fails)} of {format_count(total)} failed ({format_percent(fails / total)})"
    if summary["plan"].get("capacity"):
        # A search goes up to loads that are too much; only its demand decides.
        return _case(group, check["name"], out=f"{what} over all steps")
    return _case(group, check["name"], Failure(what, "check"))


def _run_cases(summary: Mapping[str, Any] | None) -> list[TestCase]:
    if summary is None:
        return [_case("run", "end", Error("the run broke off without a summary", "end"))]
    return [
        _verdict_case(summary),
        _end_case(summary),
        _workers_case(summary),
        _hooks_case(summary),
        _iterations_case(summary),
        _errors_case(summary),
    ]


def _verdict_case(summary: Mapping[str, Any]) -> TestCase:
    state, text = summary["verdict"]["state"], verdict_line(summary)
    if state == "INVALID":
        return _case("run", "verdict", Failure(f"{state}: {text.partition(chr(10))[0]}", "verdict"), text=text)
    return _case("run", "verdict", out=f"{state}\n{text}")


def _end_case(summary: Mapping[str, Any]) -> TestCase:
    how, reason = summary["stopped_by"], summary["stop_reason"]
    if how in ("", "control"):
        return _case("run", "end")
    if how == UNKNOWN:
        return _case("run", "end", Error("it broke off, and nothing says why", "end"))
    return _case("run", "end", Error(f"stopped early by {how}{': ' * bool(reason)}{reason}", "end"))


def _workers_case(summary: Mapping[str, Any]) -> TestCase:
    lost = [str(worker["index"]) for worker in summary["workers"] if worker["lost"]]
    if not lost:
        return _case("run", "workers")
    what = f"{format_number_of(len(lost), 'worker')} of {len(summary['workers'])} lost: {', '.join(lost)}"
    return _case("run", "workers", Error(what, "worker"), text="\n".join(summary["notes"]))


def _hooks_case(summary: Mapping[str, Any]) -> TestCase:
    errors = summary["hook_errors"]
    if not errors:
        return _case("run", "hooks")
    text = "\n\n".join(f"{error['hook']}: {error['message']}" for error in errors)
    return _case("run", "hooks", Error(f"{', '.join(error['hook'] for error in errors)} failed", "hook"), text=text)


def _iterations_case(summary: Mapping[str, Any]) -> TestCase:
    """Return the test case of the iterations. Like the exit code, it fails if every iteration raised."""
    raised = summary["exceptions"]
    text = "\n\n".join(f"{raised_words(one)}:\n{one['first']}" for one in raised)
    if raised and not summary["metrics"]["iterations"]["count"]:
        return _case("run", "iterations", Error("every iteration raised", raised[0]["kind"]), text=text)
    return _case("run", "iterations", out=text)


def _errors_case(summary: Mapping[str, Any]) -> TestCase:
    """Return the test case of the errors. It fails on any error, unless a threshold limits the share of failures, or
    the run is a capacity search, which goes up to loads that are too much."""
    errors = summary["errors"]
    text = "\n".join(f"{format_count(one['count'])} {one['kind']}: {one['first']}" for one in errors)
    judged = any(one["metric"].partition("{")[0] in FAILURE_RATES for one in summary["thresholds"])
    if not errors or judged or summary["plan"].get("capacity"):
        return _case("run", "errors", out=text)
    total = sum(one["count"] for one in errors)
    what = f"{format_number_of(total, 'failure')}, most of all {errors[0]['kind']}: {errors[0]['first']}"
    return _case("run", "errors", Failure(what, "error"), text=text)


def _properties(header: RunHeader, summary: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [
        ("title", header.title),
        ("base_url", header.base_url),
        ("run_id", header.run_id),
        ("started_at", header.started_at),
    ]
    if summary is not None:
        facts += [("passed", str(summary["passed"]).lower()), ("verdict", summary["verdict"]["state"])]
        facts += [("duration_s", round(summary["duration_s"], 3)), ("seed", header.plan.get("seed", 0))]
    facts += [(f"version.{name}", text) for name, text in header.versions.items()]
    return facts + [(f"machine.{name}", value) for name, value in header.machine.items()]


def _xml(text: str) -> str:
    """Return *text* with characters that XML does not allow, like most control characters, as escapes."""
    return _NOT_IN_XML.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
