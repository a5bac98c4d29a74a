"""Verdict of a run: whether its numbers can be trusted, and what limited it. Both are read from one list of findings.

States: VALID; SUSPECT (the rate holds, but read the reasons before the latencies); INVALID (the generator was the
limit: the latencies say more about this machine than about the target).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastload.model.judging.evidence import JUDGED_PERCENTILES, Evidence
from fastload.model.judging.finding import Cause, Finding, Limit, State
from fastload.model.judging.generator_findings import beside_reported, generator_findings, is_judged, own_delays_ms
from fastload.model.judging.littles_law import accounting_findings
from fastload.model.judging.load_findings import failure_findings, load_findings, rest_finding, script_findings
from fastload.model.judging.target_findings import growth_findings, resource_findings
from fastload.model.public_types import PublicType
from fastload.model.units import format_percent

_ORDER: dict[State, int] = {"INVALID": 0, "SUSPECT": 1, "VALID": 2}
NOTHING_AT_ITS_LIMIT = "Nothing was at its limit"
_LIMITS: dict[Limit, str] = {
    "generator": "The generator was the limit",
    "both": "The generator and the target were both at their limit",
    "target": "The target was the limit",
    "machine": "The machine was the limit",
    "concurrency": "The concurrency was the limit",
    "": NOTHING_AT_ITS_LIMIT,
}
_LEADS: dict[Cause, str] = {
    "target_failing": "The target failed",
    "target_ended": "The target failed",
    "rate_limit": "The target's rate limit was the limit",
    "target_memory": "The target's memory will be the limit",
    "target_core": "The target was probably the limit",
    "target_queue": "The target was probably the limit",
    "target_pool": "The target was probably the limit",
    "unanswered": "The target was probably the limit",
}
_LINES_AT_MOST = 5
# Failures that a lack of something brings about, as that of a CPU or of room in the accept queue.
_EXPLAINED = (
    "connect_timeout",
    "connect_refused",
    "reset",
    "tls_timeout",
    "timeout",
    "idle_timeout",
    "http_503",
    "http_504",
)
# What the target or its machine lacked: a cause of such failures.
_LACKS: frozenset[Cause] = frozenset(
    {
        *("target_quota", "target_cpu", "target_thread", "target_core", "host_cpu", "target_starved", "memory_short"),
        *("target_disk", "target_fd", "accept_queue"),
    }
)


@dataclass(frozen=True, slots=True)
class Verdict(metaclass=PublicType):
    """Verdict of a run: *state* is "VALID", "SUSPECT" or "INVALID".

    *findings* are all findings, the worst first; the other texts are made of them. *reasons* are sentences with
    numbers. *remedy* says what to do about the first reason; it is empty for a valid run. *limit* is a sentence that
    says what limited the run, and *further_limits* what else did, the worst first, each with its figures and what to
    do. All texts may be shown as they are.
    """

    state: State
    reasons: tuple[str, ...]
    remedy: str
    limit: str
    findings: tuple[Finding, ...] = ()
    further_limits: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the summary."""
        return {
            "state": self.state,
            "reasons": list(self.reasons),
            "remedy": self.remedy,
            "limit": self.limit,
            "further_limits": list(self.further_limits),
            "findings": [finding.to_dict() for finding in self.findings],
        }


def judge_run(evidence: Evidence) -> Verdict:
    """Return the verdict of a finished run, or of a run so far."""
    findings = _findings_of(evidence)
    state = min((finding.state for finding in findings), key=_ORDER.__getitem__)
    bad = [finding for finding in findings if finding.state != "VALID"]
    # A remark that is about no limit is a warning: it belongs to the reasons. The limit has a line of its own.
    remarks = [finding.text for finding in findings if finding.state == "VALID" and not _says_limit(finding)]
    reasons = [finding.text for finding in bad] or [_valid_reason(evidence), *remarks]
    remedy = next((finding.remedy for finding in bad), "")
    limit, *further = _limit_lines(evidence, findings)
    return Verdict(state, tuple(reasons), remedy, limit, tuple(findings), tuple(further))


def _findings_of(evidence: Evidence) -> list[Finding]:
    """Return all findings, the worst first. The mistakes of a script lead: what was to be measured has not happened."""
    script, generator = script_findings(evidence), generator_findings(evidence)
    resources = resource_findings(evidence)
    is_limited = any(finding.limit for finding in (*generator, *resources))
    found = [
        *accounting_findings(evidence.littles_law),
        *generator,
        *failure_findings(evidence),
        *load_findings(evidence, is_limited=is_limited),
        *resources,
        *growth_findings(evidence),
        rest_finding(evidence),
    ]
    return [*script, *sorted(found, key=lambda finding: _ORDER[finding.state])]


def _says_limit(finding: Finding) -> bool:
    return bool(finding.limit) or finding.cause == "none"


def _ranked_limits(evidence: Evidence, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that limited the run, the first cause first.

    What is left when nothing else limited it, like the concurrency, is told alone.
    """
    limits = [finding for finding in findings if finding.limit]
    if len(limits) > 1 and limits[-1] is findings[-1]:
        limits.pop()
    kind = max(evidence.errors, key=evidence.errors.__getitem__, default="")
    if limits and limits[0].cause == "target_failing" and kind in _EXPLAINED:
        limits.sort(key=lambda finding: finding.cause not in _LACKS)
    return limits[:_LINES_AT_MOST]


def _limit_lines(evidence: Evidence, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return the sentence on the limit, and a line for each further one, with what to do."""
    limits = _ranked_limits(evidence, findings)
    limiting = limits[0] if limits else None
    if not evidence.counts.ended and (limiting is None or limiting.limit not in ("generator", "both")):
        first, further = _nothing_ended(evidence), [finding for finding in limits if finding is not findings[-1]]
    else:
        first, further = _limit_sentence(evidence, limiting, findings[-1]), limits[1:]
    lines = (f"{finding.text}{f'; {finding.remedy}' if finding.remedy else ''}." for finding in further)
    return (first, *lines)


def _nothing_ended(evidence: Evidence) -> str:
    if evidence.recorded_itself:
        return f"Not known: no request was measured, only checks and metrics of the script ({_numbers(evidence)})."
    return f"Nothing was measured: no request ended ({_numbers(evidence)})."


def _limit_sentence(evidence: Evidence, limiting: Finding | None, rest: Finding) -> str:
    if limiting is None:
        return f"{_LIMITS['']}: {rest.text} ({_numbers(evidence)})."
    # A remedy that no reason has is told here.
    more = f"; {limiting.remedy}" if limiting.remedy and limiting.state == "VALID" else ""
    lead = _LEADS.get(limiting.cause, "") if limiting.limit == "target" else ""
    lead = lead or _LIMITS[limiting.limit]
    return f"{lead}: {limiting.why} ({_numbers(evidence)}){more}."


def _numbers(evidence: Evidence) -> str:
    target = evidence.target_cpu_percent
    sampled = "not sampled" if target is None else f"{target:.0f}%"
    return f"busiest worker {evidence.busiest_percent:.0f}% CPU, target {sampled}"


def _valid_reason(evidence: Evidence) -> str:
    parts = []
    if evidence.workers:
        parts.append(f"worker CPU at most {max(worker.max_cpu_percent for worker in evidence.workers):.0f}%")
    own = own_delays_ms(evidence)
    judged = [percent for percent in JUDGED_PERCENTILES if percent in own and is_judged(evidence, percent)]
    if judged:
        parts.append(beside_reported(evidence, judged[-1]))
    if evidence.open_model and evidence.offered:
        parts.append(f"{format_percent(evidence.started / evidence.offered)} of the offered load started")
    return "the generator kept up" + (": " + ", ".join(parts) if parts else "")
