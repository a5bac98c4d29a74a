"""JUnit XML: valid, complete, and failing where the run did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson
import pytest
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from fastload.model.errors import PlanError
from fastload.model.hooks import HookError
from fastload.model.judging.thresholds import ThresholdResult
from fastload.model.judging.verdict import Verdict
from fastload.model.metrics import BUILTIN
from fastload.model.records import ErrorTable
from fastload.model.results import CheckResult
from fastload.model.run_header import RunHeader
from fastload.model.summary import Summary
from fastload.outputs.streams.junit import JUnit, render_junit
from fastload.outputs.summary_json import dump_json
from tests.conftest import Cli, Nginx
from tests.model.capacity.made import SETTINGS, made_result, searched_run
from tests.outputs.samples import SUMMARIES, USER_SPECS, all_failed, closed_bench, full_run, lost_worker, open_bench

# What junit-10.xsd, the schema of Jenkins, knows of what is written here: attributes with a star must be there.
SCHEMA = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name*", "tests*", "failures*", "errors*", "time", "skipped", "timestamp", "hostname", "id", "package"},
        {"testcase", "properties", "system-out", "system-err"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name*", "value*"}, set()),
    "testcase": ({"name*", "time", "classname", "group"}, {"skipped", "error", "failure", "system-out", "system-err"}),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
    "system-out": (set(), set()),
}


def header(summary: Summary | None = None) -> RunHeader:
    plan = summary.plan.to_dict() if summary else {"title": "shop.py"}
    return RunHeader(
        plan,
        "2026-11-21T13:00:00.250+00:00",
        "beef",
        {"fastload": "1.2.3"},
        {"cpus": 2, "cpu_model": "A & B <fast>"},
        BUILTIN | USER_SPECS,
    )


def rendered(summary: Summary | None) -> bytes:
    """The XML of a summary that went through a file."""
    data = None if summary is None else orjson.loads(dump_json(summary.to_dict()))
    return render_junit(header(summary), data)


def suites(summary: Summary | None) -> dict[str, TestSuite]:
    return {str(suite.name): suite for suite in JUnitXml.fromstring(rendered(summary))}


def case(summary: Summary | None, suite: str, name: str) -> TestCase:
    (found,) = [one for one in suites(summary)[suite] if one.name == name]
    assert isinstance(found, TestCase)
    return found


def results(summary: Summary | None, suite: str) -> dict[str, str]:
    """What became of each case, in a word."""
    return {str(one.name): type(one.result[0]).__name__ if one.result else "passed" for one in suites(summary)[suite]}


def check_schema(element: ElementTree.Element) -> None:
    attributes, children = SCHEMA[element.tag]
    assert set(element.attrib) <= {name.rstrip("*") for name in attributes}
    assert {name[:-1] for name in attributes if name.endswith("*")} <= set(element.attrib)
    for child in element:
        assert child.tag in children
        check_schema(child)


@pytest.mark.parametrize("name", SUMMARIES)
def test_it_is_of_the_schema_that_readers_take_and_its_sums_are_right(name: str) -> None:
    root = ElementTree.fromstring(rendered(SUMMARIES[name]()))
    assert root.tag == "testsuites"
    check_schema(root)
    for suite in root:
        cases = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases) > 0
        for one in ("failure", "error", "skipped"):
            title = one if one == "skipped" else f"{one}s"
            assert int(suite.attrib[title]) == len(suite.findall(f"testcase/{one}"))
        assert suite.attrib["timestamp"] == "2026-11-21T13:00:00"
    for total in ("tests", "failures", "errors"):
        assert int(root.attrib[total]) == sum(int(suite.attrib[total]) for suite in root)
    assert float(root.attrib["time"]) == 10


def test_thresholds_fail_with_what_they_found_and_are_skipped_without_data() -> None:
    summary = full_run()
    optional = ThresholdResult("orders{region:eu}", "count>1", True, None, aggregate="count", optional=True)
    summary = replace(summary, thresholds=(*summary.thresholds, optional))
    assert results(summary, "thresholds") == {
        "http_req_duration: p(95)<5": "Failure",
        "http_req_duration: p(99) < 1": "Failure",
        "http_req_failed: rate<0.01": "passed",
        "orders: count>4000": "passed",
        "orders: rate>1000": "Failure",
        "reply_bytes: avg<1000": "Failure",
        "data_received: count>1000": "passed",
        "orders{region:eu}: count>1": "Skipped",
    }
    (failed,) = case(summary, "thresholds", "http_req_duration: p(95)<5").result
    assert isinstance(failed, Failure)
    assert failed.message == "p(95)=9.15ms, expected p(95)<5"
    (failed,) = case(summary, "thresholds", "reply_bytes: avg<1000").result
    assert failed.message == "no data, expected avg<1000"
    (skipped,) = case(summary, "thresholds", "orders{region:eu}: count>1").result
    assert isinstance(skipped, Skipped)


def test_checks_that_ever_failed_fail() -> None:
    assert results(full_run(), "checks") == {"status is 200": "Failure", "body has an id": "passed"}
    assert case(full_run(), "checks", "status is 200").result[0].message == "10 of 10,000 failed (0.10%)"
    assert set(suites(closed_bench())) == {"run"}


def test_a_good_run_passes_in_all() -> None:
    names = ["verdict", "end", "workers", "hooks", "iterations", "errors"]
    assert results(open_bench(), "run") == dict.fromkeys(names, "passed")
    valid = replace(open_bench(), verdict=Verdict("VALID", ("it kept up",), "", "Nothing was at its limit."))
    assert case(valid, "run", "verdict").system_out == "VALID\nit kept up\nNothing was at its limit."


def test_what_went_wrong_with_the_run_is_told() -> None:
    lost = lost_worker()
    assert results(lost, "run") | {"verdict": ""} == {
        "verdict": "",
        "end": "Error",
        "workers": "Error",
        "hooks": "passed",
        "iterations": "passed",
        "errors": "passed",
    }
    assert case(lost, "run", "workers").result[0].message == "1 worker of 2 lost: 1"
    assert case(lost, "run", "end").result[0].message == "stopped early by interrupt"
    hooked = replace(open_bench(), hook_errors=(HookError("setup", "Traceback ...\nKeyError: 'id'"),))
    (error,) = case(hooked, "run", "hooks").result
    assert isinstance(error, Error)
    assert error.message == "setup failed"
    assert error.text == "setup: Traceback ...\nKeyError: 'id'"
    invalid = replace(
        open_bench(), verdict=Verdict("INVALID", ("worker 0 was saturated", "and more"), "add workers", "")
    )
    (failed,) = case(invalid, "run", "verdict").result
    assert (failed.message, failed.text) == (
        "INVALID: worker 0 was saturated",
        "worker 0 was saturated\nand more\nadd workers",
    )
    several = replace(invalid, verdict=Verdict("INVALID", ("late",), "", "The first.", further_limits=("The second.",)))
    assert case(several, "run", "verdict").result[0].text == "late\nThe first.\nThe second."
    suspect = replace(invalid, verdict=Verdict("SUSPECT", ("late",), "", ""))
    assert case(suspect, "run", "verdict").system_out == "SUSPECT\nlate"
    stopped = replace(open_bench(), stopped_by="abort", stop_reason="enough")
    assert case(stopped, "run", "end").result[0].message == "stopped early by abort: enough"
    assert case(replace(stopped, stopped_by="control"), "run", "end").is_passed


def test_errors_fail_unless_a_threshold_says_how_many_may_be() -> None:
    refused = all_failed()
    (failed,) = case(refused, "run", "errors").result
    assert failed.message == "500 failures, most of all connect_refused: Failed to connect to 127.0.0.1 port 8080"
    judged = ThresholdResult("http_req_failed{name:/}", "rate<1", True, 0.5, kind="rate")
    allowed = case(replace(refused, thresholds=(judged,)), "run", "errors")
    assert allowed.is_passed
    assert "500 connect_refused" in str(allowed.system_out)


def test_iterations_fail_when_every_one_raised() -> None:
    summary = full_run()
    some = case(summary, "run", "iterations")
    assert some.is_passed
    assert str(some.system_out).startswith("12 times:\nTraceback")
    summary.metrics["iterations"].sink.value = 0  # type: ignore[union-attr]
    (error,) = case(summary, "run", "iterations").result
    assert (error.message, error.type) == ("every iteration raised", "KeyError")


def test_a_run_that_broke_off_is_an_error() -> None:
    assert results(None, "run") == {"end": "Error"}
    check_schema(ElementTree.fromstring(rendered(None)))
    unknown = case(replace(open_bench(), stopped_by="unknown"), "run", "end").result[0]
    assert unknown.message == "it broke off, and nothing says why"


def test_properties_tell_the_environment() -> None:
    root = ElementTree.fromstring(rendered(full_run()))
    properties = {one.attrib["name"]: one.attrib["value"] for one in root.iter("property")}
    assert properties["title"] == "shop.py"
    assert properties["base_url"] == "http://127.0.0.1:8080"
    assert properties["passed"] == "false"
    assert properties["version.fastload"] == "1.2.3"
    assert properties["machine.cpu_model"] == "A & B <fast>"


def test_what_xml_cannot_hold_becomes_escapes() -> None:
    evil = "a\x00b\x1b[31m\udcff\ufffe<&>\"'\tä\U0001f600"
    shown = "a\\x00b\\x1b[31m\\udcff\\ufffe<&>\"'\tä\U0001f600"
    summary = full_run()
    summary = replace(
        summary,
        plan=replace(summary.plan, title=evil),
        thresholds=(ThresholdResult(f"orders{{x:{evil}}}", "count>1", False, 0.0),),
        checks=(replace(summary.checks[0], name=evil),),
        errors=ErrorTable({evil: (1, evil)}),
        exceptions=ErrorTable({evil: (1, evil)}),
    )
    root = JUnitXml.fromstring(render_junit(header(summary), summary.to_dict()))
    found = {str(suite.name): list(suite) for suite in root}
    assert found["thresholds"][0].name == f"orders{{x:{shown}}}: count>1"
    assert found["checks"][0].name == shown
    assert shown in str(found["run"][5].result[0].message)
    assert shown in str(found["run"][4].system_out)
    assert root.name == f"fastload {shown}"


@pytest.mark.parametrize(
    ("argument", "message"), [("", "has no file"), ("no/x.xml", "no directory"), (".", "is a dir")]
)
def test_what_cannot_be_written_is_refused_before_the_run(argument: str, message: str) -> None:
    with pytest.raises(PlanError, match=message) as refused:
        JUnit(argument).check()
    assert refused.value.hint


def test_scenarios_keep_their_checks_apart_and_the_file_is_there_at_the_end(
    cli: Cli, nginx: Nginx, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(
        "import fastload as fl\n\n\n"
        "@fl.scenario\nasync def one(vu):\n    vu.check(await vu.get('/'), {'greets': lambda r: r.status == 200})\n\n\n"
        "@fl.scenario\nasync def two(vu):\n    vu.check(await vu.get('/'), {'greets': lambda r: r.status == 404})\n"
    )
    args = ("--base-url", nginx.url, "-u", "1", "-i", "20", "-w", "1", "-q", "--threshold", "http_reqs: count>40")
    done = cli("run", "shop.py", *args, "--out", "junit=report.xml")
    assert done.returncode == 99, done.stderr
    root = JUnitXml.fromfile(str(tmp_path / "report.xml"))
    found: dict[Any, Any] = {
        (one.classname, one.name): type(one.result[0]).__name__ if one.result else "passed"
        for suite in root
        for one in suite
        if suite.name != "run"
    }
    assert found == {
        ("thresholds", "http_reqs: count>40"): "Failure",
        ("checks.one", "greets"): "passed",
        ("checks.two", "greets"): "Failure",
    }


@pytest.mark.parametrize(("wanted", "fails"), [(300.0, False), (400.0, True), (None, False)])
def test_a_capacity_that_was_asked_for_is_a_test(wanted: float | None, fails: bool) -> None:
    run = searched_run(made_result(settings=replace(SETTINGS, at_least=wanted)))
    run = replace(run, errors=ErrorTable({"timeout": (7, "no answer in 60 s")}), thresholds=())
    checks = (CheckResult("is fast", 90, 10, "default"),)
    xml = JUnitXml.fromstring(render_junit(header(run), replace(run, checks=checks).to_dict()))
    [case] = [case for suite in xml if suite.name == "capacity" for case in suite]
    assert case.name == ("search" if wanted is None else f"at least {wanted:g}/s")
    assert [type(one) for one in case.result] == [Failure] * fails
    if fails:
        assert case.result[0].message == "381/s within the objectives, and less than 398/s"
    # Loads that were too much break checks and requests: only the demand decides.
    assert xml.failures == fails
    assert xml.errors == 0
