"""Which exit code a run ends with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastload.cli.exit_codes import ExitCode, exit_code
from fastload.model.hooks import INTERRUPTED, HookError
from fastload.model.judging.evidence import WorkerEvidence
from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.judging.verdict import Verdict
from fastload.model.load_models import ConstantVUs
from fastload.model.plan import Plan, ScenarioPlan
from fastload.model.records import ErrorTable
from fastload.model.resources import ResourceSeries
from fastload.model.series import CounterValue
from fastload.model.summary import RequestCounts, Summary
from fastload.model.user_metrics import specs
from fastload.model.views import MetricView

PLAN = Plan("run", "test", (ScenarioPlan("test", ConstantVUs(1, 1.0), None),), workers=1)


def count_iterations(*, ended: int, failed: int) -> dict[str, MetricView]:
    """The metrics that decide whether every iteration raised."""
    counts = {"iterations": ended, "iterations_failed": failed}
    return {name: MetricView(specs()[name], CounterValue(value), 1.0) for name, value in counts.items()}


SUMMARY = Summary(
    plan=PLAN,
    metrics=count_iterations(ended=5, failed=0),
    thresholds=(),
    checks=(),
    endpoints=(),
    errors=ErrorTable(),
    exceptions=ErrorTable(),
    verdict=Verdict("VALID", (), "", ""),
    requests=RequestCounts(),
    workers=(WorkerEvidence(0),),
    host=ResourceSeries("host", ()),
    target=None,
    versions={},
    machine={},
    started_at="",
    duration_s=1.0,
)
HOOK_ERRORS = (HookError("teardown", "ValueError"),)
CUT = (HookError("teardown", INTERRUPTED),)
FAILED = (ThresholdResult("m", "p(95)<1", False, 2.0),)
LOST = (WorkerEvidence(0, lost=True),)
RAISED = ErrorTable({"ValueError": (5, "traceback")})


@pytest.mark.parametrize(
    ("summary", "code"),
    [
        (SUMMARY, ExitCode.OK),
        (replace(SUMMARY, thresholds=(ThresholdResult("m", "p(95)<1", True, 0.5),)), ExitCode.OK),
        (replace(SUMMARY, thresholds=(ThresholdResult("m", "p(95)<1", False, 2.0),)), ExitCode.THRESHOLDS_FAILED),
        (replace(SUMMARY, stopped_by="interrupt"), ExitCode.INTERRUPTED),
        (replace(SUMMARY, workers=(WorkerEvidence(0, lost=True),)), ExitCode.WORKERS_LOST),
        (replace(SUMMARY, stopped_by="control"), ExitCode.OK),
        (replace(SUMMARY, stopped_by="abort"), ExitCode.ABORTED),
        (replace(SUMMARY, stopped_by="error", hook_errors=HOOK_ERRORS), ExitCode.USER_CODE_RAISED),
        (replace(SUMMARY, hook_errors=HOOK_ERRORS), ExitCode.USER_CODE_RAISED),
        (replace(SUMMARY, hook_errors=CUT), ExitCode.INTERRUPTED),
        (replace(SUMMARY, hook_errors=CUT, stopped_by="control"), ExitCode.USER_CODE_RAISED),
        (replace(SUMMARY, hook_errors=CUT, stopped_by="abort"), ExitCode.ABORTED),
        (replace(SUMMARY, stopped_by="threshold", thresholds=FAILED), ExitCode.THRESHOLDS_FAILED),
        (replace(SUMMARY, stopped_by="worker-loss", workers=LOST), ExitCode.WORKERS_LOST),
        (replace(SUMMARY, exceptions=RAISED, metrics=count_iterations(ended=1, failed=5)), ExitCode.OK),
        (replace(SUMMARY, exceptions=RAISED, metrics=count_iterations(ended=0, failed=0)), ExitCode.OK),
        (replace(SUMMARY, exceptions=RAISED, metrics=count_iterations(ended=0, failed=5)), ExitCode.USER_CODE_RAISED),
        (replace(SUMMARY, verdict=Verdict("INVALID", (), "", "")), ExitCode.OK),
        (
            replace(SUMMARY, verdict=Verdict("INVALID", (), "", ""), plan=replace(PLAN, strict=True)),
            ExitCode.SATURATED,
        ),
        (
            replace(SUMMARY, verdict=Verdict("SUSPECT", (), "", ""), plan=replace(PLAN, strict=True)),
            ExitCode.OK,
        ),
    ],
)
def test_exit_code(summary: Summary, code: ExitCode) -> None:
    assert exit_code(summary) is code
    assert summary.passed is (code is ExitCode.OK or code is ExitCode.SATURATED)


def test_of_several_the_gravest_counts() -> None:
    """Each in turn is taken away from a run to which everything happened."""
    everything = replace(
        SUMMARY,
        stopped_by="interrupt",
        workers=LOST,
        hook_errors=HOOK_ERRORS,
        thresholds=FAILED,
        verdict=Verdict("INVALID", (), "", ""),
        plan=replace(PLAN, strict=True),
    )
    codes = []
    for change in (
        {},
        {"stopped_by": "abort"},
        {"stopped_by": ""},
        {"workers": SUMMARY.workers},
        {"hook_errors": ()},
        {"thresholds": ()},
        {"verdict": SUMMARY.verdict},
    ):
        everything = replace(everything, **change)
        codes.append(int(exit_code(everything)))
    assert codes == [105, 108, 97, 107, 99, 96, 0]
