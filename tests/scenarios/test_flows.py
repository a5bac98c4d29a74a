"""Every file of ``scenarios/`` is run against its stand-in, and both sides count the same, request by request."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from fastload.targets import (
    GenerationOptions,
    ScoreOptions,
    TargetOptions,
    WidgetOptions,
    running,
)
from tests.conftest import free_port
from tests.scenarios.drive import FOLDER, Counts, Drive, Driven, counts_of

ADDRESSES = [f"0x{number:040x}" for number in range(50)]
QUICK_JOBS = WidgetOptions(job_time="20ms..60ms", job_failure_rate=0, pool=1, api_key="secret")
QUICK_GENERATIONS = GenerationOptions(
    email="ann@shop.example",
    password="secret",
    job_time="20ms..60ms",
    job_failure_rate=0,
    provider_failure_rate=0,
)
LOGIN = {"TEST_EMAIL": "ann@shop.example", "TEST_PASSWORD": "secret", "POLL_S": "0.02"}
FEW = ("-u", "4", "-i", "20")
MANY = ("-u", "4", "-i", "120", "--seed", "7")
RAMP = ("--stages", "300ms:4,400ms:4,100ms:0")
LOGGED_IN = {("POST /api/auth/login", "2xx"): 1}


@dataclass(frozen=True)
class Case:
    """A scenario and its stand-in. *answers*: by name of a request, its route, and the kind of answer by status;
    *around*: what setup and teardown ask for."""

    target: str
    url: str
    load: tuple[str, ...]
    answers: Mapping[str, tuple[str, Mapping[int, str]]]
    options: TargetOptions | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    around: Mapping[tuple[str, str], int] = field(default_factory=dict)
    around_outcomes: Mapping[str, int] = field(default_factory=dict)
    first: str = ""


SEQUENCER = "SEQUENCER_BASE_URL"
INGEST = ("POST /api/v1/ves/events/ingest", {200: "stored"})
EVENTS = ("GET /api/v1/events", {200: "read"})
COMMITMENTS = ("GET /api/v1/ves/commitments", {200: "read"})
HEALTH: tuple[str, Mapping[int, str]] = ("GET /health", {200: ""})
VERIFY = ("POST /api/v1/did/verify", {200: "verified", 401: "not_enrolled"})
ENROLL = ("POST /api/v1/did/enroll", {201: "enrolled", 409: "already_enrolled"})
GENERATE = ("POST /api/generations", {202: "generation_started"})
CASES = {
    "ingest": Case("sequencer", SEQUENCER, FEW, {"ingest": INGEST}),
    "query": Case(
        "sequencer",
        SEQUENCER,
        FEW,
        {
            "health": HEALTH,
            "head": ("GET /api/v1/head", {200: "read"}),
            "events": EVENTS,
            "entity": ("GET /api/v1/entities/{type}/{id}", {200: "read"}),
            "commitments": COMMITMENTS,
        },
        first="ingest",
    ),
    "mixed": Case(
        "sequencer",
        SEQUENCER,
        MANY,
        {"ingest": INGEST, "events": EVENTS, "commitments": COMMITMENTS},
        env={"BATCH_SIZE": "10"},
    ),
    "did_tasks": Case(
        "did", "API_URL", MANY, {"verify_biometric": VERIFY, "enroll_biometric": ENROLL, "health_check": HEALTH}
    ),
    "did_flow": Case(
        "did",
        "API_URL",
        MANY,
        {"verify": VERIFY, "enroll": ENROLL, "health": HEALTH},
        around={("GET /health", "2xx"): 1},
    ),
    "widget": Case(
        "widget",
        "WIDGET_URL",
        RAMP,
        {
            "token": ("GET /api/embed/token", {200: "token_issued"}),
            "validate": ("POST /api/embed/validate", {200: "validated"}),
        },
    ),
    "render": Case(
        "widget",
        "BASE_URL",
        FEW,
        {
            "render": ("POST /api/designs/{id}/render", {202: "job_queued"}),
            "status": ("GET /api/jobs/{id}/status", {200: "job_read"}),
        },
        QUICK_JOBS,
        {"API_KEY": "secret", "POLL_S": "0.02"},
    ),
    "generation": Case(
        "generation",
        "API_BASE",
        RAMP,
        {"generate": GENERATE, "status": ("GET /api/generations/{id}", {200: "generation_read"})},
        QUICK_GENERATIONS,
        LOGIN,
        LOGGED_IN,
        {"logged_in": 1},
    ),
    "score": Case(
        "score",
        "EMBED_API_URL",
        RAMP,
        {
            "score": ("GET /embed/score/{scorer}/{address}", {200: "score_read"}),
            "auto-verify": ("POST /embed/auto-verify", {200: "score_verified"}),
        },
        ScoreOptions(api_key="secret", scorers="7"),
        {"API_KEY": "secret", "SCORER_ID": "7"},
    ),
}
STREAMED = Case(
    "generation",
    "API_BASE",
    FEW,
    {"generate": GENERATE, "stream": ("GET /api/generations/{id}/stream", {200: "generation_streamed"})},
    QUICK_GENERATIONS,
    {**LOGIN, "STREAM": "yes"},
    LOGGED_IN,
    {"logged_in": 1},
)
Flow = Callable[[str], Driven]


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flow]:
    """The run of a scenario against its stand-in. Each is made once, some at a time: they mostly wait."""
    with ThreadPoolExecutor(3) as pool:
        runs = {
            name: pool.submit(drive_case, Drive(tmp_path_factory.mktemp(name)), name, case)
            for name, case in CASES.items()
        }
        yield lambda name: runs[name].result()
        pool.shutdown(cancel_futures=True)


def drive_case(drive: Drive, name: str, case: Case) -> Driven:
    """Run *name* against its stand-in, at the address that the environment says, and compare the counts."""
    (drive.folder / "addresses.json").write_text(json.dumps(ADDRESSES))
    with running(case.target, case.options) as target:
        env = {**case.env, case.url: target.base_url}
        if case.first:
            assert drive(case.first, "-i", "2", env=env).code in (0, 99)
        before = counts_of(target)
        done = drive(name, *case.load, env=env)
        counted = counts_of(target).since(before)
    # 99 is for the thresholds of times, which no test depends on.
    assert done.code in (0, 99), done.stderr
    assert_same_counts(case, done, counted)
    return done


def assert_same_counts(case: Case, done: Driven, counted: Counts) -> None:
    routes: Counter[tuple[str, str]] = Counter(case.around)
    outcomes: Counter[str] = Counter(case.around_outcomes)
    assert {item["name"] for item in done.summary["endpoints"]} == set(case.answers)
    for name, (route, kinds) in case.answers.items():
        for status, count in done.statuses(name).items():
            routes[route, f"{status // 100}xx"] += count
            outcomes[kinds[status]] += count
    del outcomes[""]
    assert routes == counted.routes
    assert outcomes == counted.outcomes
    requests = done.summary["requests"]
    assert sum(counted.routes.values()) == requests["finished"] + requests["setup"] == requests["started"]
    assert requests["setup"] == sum(case.around.values())


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_the_flow_of_every_scenario(flow: Flow, name: str) -> None:
    assert name in CASES, f"scenarios/{name}.py is run by no test: say here what it is run against"
    done = flow(name)
    assert done.broken() == set()
    assert done.errors() == {}
    assert done.summary["hook_errors"] == []
    assert done.metric("http_req_failed")["fails"] == 0
    assert done.metric("iterations_failed")["count"] == 0
    assert done.metric("iterations")["count"] > 0
    assert [check for check in done.summary["checks"] if check["fails"]] == []


def test_no_case_is_left_of_a_scenario_that_is_gone() -> None:
    assert set(CASES) == {path.stem for path in FOLDER.glob("*.py")}


def test_events_are_counted_as_the_sequencer_counts_them(flow: Flow) -> None:
    ingested = flow("ingest")
    assert ingested.metric("events_ingested")["count"] == 20 * 100
    assert ingested.metric("ingest_duration")["count"] == 20
    mixed = flow("mixed")
    stored, read = mixed.metric("ingest_duration")["count"], mixed.metric("query_duration")["count"]
    assert mixed.statuses("ingest") == {200: stored}
    assert mixed.metric("events_ingested")["count"] == 10 * stored
    assert stored + read == 120
    assert mixed.statuses("events")[200] + mixed.statuses("commitments")[200] == read
    assert stored > read


def test_the_tasks_of_did_have_their_weights(flow: Flow) -> None:
    done = flow("did_tasks")
    made = {name: sum(done.statuses(name).values()) for name in CASES["did_tasks"].answers}
    assert made["health_check"] > made["verify_biometric"] > made["enroll_biometric"]
    assert done.stdout.count("DID load test on ") == 1
    assert "120 requests, 0 failed" in done.stdout
    assert "P95 " in done.stdout


def test_the_flow_of_did_has_its_shares_and_its_own_metrics(flow: Flow) -> None:
    done = flow("did_flow")
    made = {name: sum(done.statuses(name).values()) for name in CASES["did_flow"].answers}
    assert made["verify"] > max(made["enroll"], made["health"])
    assert done.metric("verification_duration")["count"] == made["verify"]
    assert done.metric("enrollment_duration")["count"] == made["enroll"]
    assert done.metric("errors") == {"rate": 0, "passes": 0, "fails": 120}
    assert "DID load test begins on http://127.0.0.1:" in done.stderr
    assert "DID load test ended after" in done.stderr


def test_the_own_metrics_of_the_handshake(flow: Flow) -> None:
    done = flow("widget")
    made = done.statuses("token")[200]
    for name in ("token_success", "validate_success"):
        assert done.metric(name) == {"rate": 1, "passes": made, "fails": 0}
    for name in ("token_latency", "validate_latency", "handshake_latency"):
        assert done.metric(name)["count"] == made
    whole = done.metric("token_latency")["avg"] + done.metric("validate_latency")["avg"]
    assert done.metric("handshake_latency")["avg"] == pytest.approx(whole, rel=0.01)
    assert done.metric("errors")["count"] == 0
    (group,) = done.summary["groups"]
    assert (group["name"], group["group_duration"]["count"]) == ("Widget Handshake Flow", made)


def test_the_own_metrics_of_the_render_pipeline(flow: Flow) -> None:
    done = flow("render")
    assert done.metric("enqueue_success") == {"rate": 1, "passes": 20, "fails": 0}
    assert done.metric("job_completion") == {"rate": 1, "passes": 20, "fails": 0}
    assert done.metric("job_processing_time")["count"] == done.metric("enqueue_latency")["count"] == 20
    assert done.metric("job_processing_time")["min"] >= 20
    assert done.metric("rate_limit_hits")["count"] == 0
    assert 1 <= done.metric("queue_depth")["max"] <= 3, "four users, and one job at a time"


@pytest.mark.parametrize(
    ("name", "file", "said"),
    [
        ("widget", "load-test-results.json", ("Widget handshake\n", "tokens given            100.00%")),
        ("render", "worker-load-test-results.json", ("Render pipeline\n", "jobs completed       100.00%")),
    ],
)
def test_a_summary_of_its_own_is_shown_and_written(flow: Flow, name: str, file: str, said: tuple[str, str]) -> None:
    done = flow(name)
    assert done.stdout.startswith(said[0])
    assert said[1] in done.stdout
    assert "THRESHOLDS" in done.stdout, "the report comes after it"
    written = json.loads((done.folder / file).read_text())
    assert written["metrics"]["http_reqs"] == done.metric("http_reqs")


def test_a_generation_is_followed_to_its_end(flow: Flow, drive: Drive) -> None:
    for done in (flow("generation"), drive_case(drive, "generation", STREAMED)):
        started = done.statuses("generate")[202]
        assert done.errors() == {}
        assert done.metric("generation_success") == {"rate": 1, "passes": started, "fails": 0}
        assert done.metric("errors") == {"rate": 0, "passes": 0, "fails": started}
        assert done.metric("response_time")["count"] == started
        assert done.stderr.count("login successful") == 1


def test_the_own_metrics_and_checks_of_the_scores(flow: Flow) -> None:
    done = flow("score")
    made = done.statuses("score")[200]
    for name in ("score_get_duration", "auto_verify_duration"):
        assert done.metric(name)["count"] == made
    for name in ("score_get_errors", "auto_verify_errors"):
        assert done.metric(name) == {"rate": 0, "passes": 0, "fails": made}
    assert {check["name"]: check["passes"] for check in done.summary["checks"]} == {
        "score: status is 200": made,
        "score: has a score": made,
        "auto-verify: status is 200": made,
        "auto-verify: has a score": made,
    }


def test_the_address_on_the_command_line_goes_first(drive: Drive) -> None:
    """Over the one of the environment, also in setup."""
    case = CASES["did_flow"]
    env = {case.url: f"http://127.0.0.1:{free_port()}"}
    with running(case.target) as target:
        given = drive("did_flow", "-i", "2", "--base-url", target.base_url, env=env)
    shipped = drive("did_flow", "-i", "2", "--target", case.target, env=env)
    assert given.metric("iterations")["count"] == shipped.metric("iterations")["count"] == 2
    assert given.errors() == shipped.errors() == {}
