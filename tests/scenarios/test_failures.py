"""What goes wrong at a system is in the right metric of its scenario, and what is missing is said before the run."""

from __future__ import annotations

import json

import pytest

from fastload.targets import (
    DidOptions,
    GenerationOptions,
    ScoreOptions,
    SequencerOptions,
    TargetOptions,
    WidgetOptions,
    running,
)
from tests.scenarios.drive import Counts, Drive, Driven, counts_of

FEW = ("-u", "2", "-i", "10")
LOGIN = {"TEST_EMAIL": "ann@shop.example", "TEST_PASSWORD": "secret", "POLL_S": "0.02"}
KEYS = {"API_KEY": "secret", "SCORER_ID": "7"}
ALL_FALSE = {"rate": 0, "passes": 0, "fails": 10}
ALL_TRUE = {"rate": 1, "passes": 10, "fails": 0}


def drive_against(
    drive: Drive,
    name: str,
    target_name: str,
    options: TargetOptions,
    env: dict[str, str] | None = None,
    wrong: dict[str, str] | None = None,
    load: tuple[str, ...] = FEW,
) -> tuple[Driven, Counts]:
    """The run of *name*, and what a stand-in with *options* counted of it."""
    (drive.folder / "addresses.json").write_text(json.dumps([f"0x{number:040x}" for number in range(5)]))
    with running(target_name, options) as target:
        before = counts_of(target)
        done = drive(name, *load, "--base-url", target.base_url, env=env, wrong=wrong)
        return done, counts_of(target).since(before)


def generation_options(**changes: object) -> GenerationOptions:
    quiet: dict[str, object] = {"job_time": "20ms", "job_failure_rate": 0, "provider_failure_rate": 0}
    return GenerationOptions(email="ann@shop.example", password="secret", **{**quiet, **changes})  # type: ignore[arg-type]


def test_a_bad_key_of_the_sequencer(drive: Drive) -> None:
    done, counted = drive_against(drive, "mixed", "sequencer", SequencerOptions(api_key="right"), {"API_KEY": "wrong"})
    assert done.code == 99
    assert "http_req_failed" in done.broken()
    assert done.errors() == {"http_401": 10}
    assert done.metric("checks") == ALL_FALSE
    assert done.metric("events_ingested")["count"] == 0
    assert counted.outcomes == {"unauthorized": 10}


def test_a_limit_of_the_sequencer(drive: Drive) -> None:
    options = SequencerOptions(rate_limit_per_minute=6)
    done, counted = drive_against(drive, "query", "sequencer", options, load=("-u", "1", "-i", "5"))
    limited = done.errors()["http_429"]
    assert done.code == 99
    assert done.broken() == {"http_req_failed"}
    assert counted.outcomes == {"read": 6, "rate_limited": limited}
    assert done.metric("http_req_failed")["fails"] == limited
    # An empty store has no event to look for.
    failed = {check["name"] for check in done.summary["checks"] if check["fails"]}
    assert failed == {"head: status is 200", "commitments: status is 200"}


def test_a_wrong_payload_hash(drive: Drive) -> None:
    wrong = {").hexdigest(),": ").hexdigest()[::-1],"}
    done, counted = drive_against(drive, "ingest", "sequencer", SequencerOptions(), wrong=wrong)
    assert done.code == 99
    assert done.broken() == {"http_req_failed"}
    assert done.errors() == {"http_400": 10}
    assert done.metric("events_ingested")["count"] == 0
    assert counted.outcomes == {"payload_hash_mismatch": 10}


def test_a_limit_of_a_wallet(drive: Drive) -> None:
    load = ("-u", "2", "-i", "60", "--seed", "7")
    options = DidOptions(client_limit_per_minute=3)
    tasks, counted = drive_against(drive, "did_tasks", "did", options, load=load)
    assert tasks.code == 99
    assert tasks.broken() == {"http_req_failed"}
    assert tasks.errors() == {"judged: rate limit exceeded": counted.outcomes["client_limited"]}
    assert counted.outcomes["client_limited"] > 0

    flow, counted = drive_against(drive, "did_flow", "did", options, load=load)
    assert flow.code == 99
    assert flow.broken() == {"http_req_failed", "errors"}
    assert flow.errors() == {"http_429": counted.outcomes["client_limited"]}
    assert flow.metric("errors")["passes"] == counted.outcomes["client_limited"] > 0


@pytest.mark.parametrize("name", ["did_tasks", "did_flow"])
def test_a_wallet_that_is_not_enrolled_is_no_failure(drive: Drive, name: str) -> None:
    wrong = {"did_tasks": {", enroll: 1": ""}, "did_flow": {"chance < 0.4": "chance < 0.2"}}[name]
    done, counted = drive_against(drive, name, "did", DidOptions(), wrong=wrong, load=("-u", "2", "-i", "40"))
    assert done.code in (0, 99)
    assert done.broken() == set()
    assert done.errors() == {}
    assert set(counted.outcomes) == {"not_enrolled"}
    assert done.statuses("verify_biometric" if name == "did_tasks" else "verify") == {
        401: counted.outcomes["not_enrolled"]
    }


def test_a_did_api_that_is_not_there(drive: Drive) -> None:
    done = drive("did_flow", *FEW, "--base-url", "http://127.0.0.1:9")
    assert done.code == 108
    assert done.summary["stop_reason"] == "the DID API at http://127.0.0.1:9 is not healthy: connect_refused"
    assert done.metric("http_reqs")["count"] == 0


def test_a_server_that_fails(drive: Drive) -> None:
    options = DidOptions(failure_rate=1.0)
    done, counted = drive_against(drive, "did_flow", "did", options, load=("-u", "2", "-i", "40"))
    failed = counted.outcomes["injected"]
    assert done.code == 99
    assert sum(done.errors().values()) == failed > 0
    assert set(done.errors()) <= {"http_500", "http_503"}
    assert done.metric("errors")["passes"] == failed


def test_a_stale_nonce(drive: Drive) -> None:
    done, counted = drive_against(drive, "widget", "widget", WidgetOptions(nonce_ttl_s=1e-6))
    assert done.code == 99
    assert done.broken() == {"validate_success", "http_req_failed"}
    assert done.errors() == {"http_401": 10}
    assert done.metric("token_success") == ALL_TRUE
    assert done.metric("validate_success") == ALL_FALSE
    assert done.metric("errors")["count"] == 10
    assert counted.outcomes == {"token_issued": 10, "nonce_stale": 10}


def test_a_nonce_that_is_used_twice(drive: Drive) -> None:
    wrong = {
        "    token = given.json()\n": '    token = given.json() if not vu.iteration else vu.state["token"]\n'
        '    vu.state["token"] = token\n'
    }
    done, counted = drive_against(drive, "widget", "widget", WidgetOptions(), wrong=wrong, load=("-u", "1", "-i", "10"))
    assert done.broken() == {"validate_success", "http_req_failed"}
    assert done.metric("validate_success") == {"rate": 0.1, "passes": 1, "fails": 9}
    assert done.errors() == {"http_409": 9}
    assert counted.outcomes == {"token_issued": 10, "validated": 1, "nonce_reused": 9}


def test_a_limit_of_the_widget(drive: Drive) -> None:
    done, counted = drive_against(drive, "widget", "widget", WidgetOptions(rate_limit_per_minute=1))
    assert done.code == 99
    assert "token_success" in done.broken()
    assert done.metric("token_success")["passes"] == counted.outcomes["token_issued"] == 1
    assert done.metric("errors")["count"] == done.errors()["http_429"] == 10


def test_a_bad_key_of_the_render_pipeline(drive: Drive) -> None:
    done, counted = drive_against(drive, "render", "widget", WidgetOptions(api_key="right"), {"API_KEY": "wrong"})
    assert done.code == 99
    assert done.broken() == {"enqueue_success", "job_completion", "http_req_failed"}
    assert done.metric("enqueue_success") == ALL_FALSE
    assert done.metric("rate_limit_hits")["count"] == 0
    assert counted.outcomes == {"unauthorized": 10}


def test_a_full_queue(drive: Drive) -> None:
    options = WidgetOptions(pool=1, queue_size=0, job_time="50ms", job_failure_rate=0)
    load = ("-u", "5", "-i", "20")
    done, counted = drive_against(drive, "render", "widget", options, {"POLL_S": "0.02"}, load=load)
    hits = done.metric("rate_limit_hits")["count"]
    assert done.code == 99
    assert done.broken() == {"enqueue_success", "http_req_failed"}
    assert done.errors() == {"http_429": hits}
    assert counted.outcomes["queue_full"] == hits > 0
    assert done.metric("enqueue_success")["passes"] == done.metric("job_completion")["passes"] == 20 - hits


def test_jobs_that_fail(drive: Drive) -> None:
    options = WidgetOptions(job_time="20ms", job_failure_rate=1.0)
    done, _ = drive_against(drive, "render", "widget", options, {"POLL_S": "0.02"})
    assert done.code == 99
    assert done.broken() == {"job_completion"}
    assert done.metric("enqueue_success") == ALL_TRUE
    assert done.metric("job_completion") == ALL_FALSE
    assert done.metric("job_processing_time")["count"] == 0


def test_a_job_that_never_ends(drive: Drive) -> None:
    options = WidgetOptions(job_time="1h")
    env, load = {"POLL_S": "0.001"}, ("-u", "2", "-i", "2")
    done, counted = drive_against(drive, "render", "widget", options, env, load=load)
    assert done.metric("job_completion")["fails"] == 2
    assert counted.outcomes == {"job_queued": 2, "job_read": 2 * 60}


def test_no_credits_are_left(drive: Drive) -> None:
    done, counted = drive_against(drive, "generation", "generation", generation_options(credits=3), LOGIN)
    assert done.code == 99
    assert done.broken() == {"errors", "generation_success", "http_req_failed"}
    assert done.metric("credit_errors")["count"] == counted.outcomes["credits_exhausted"] == 7
    assert done.metric("provider_errors")["count"] == 0
    assert done.metric("generation_success")["passes"] == 3
    assert done.metric("errors")["passes"] == done.errors()["http_402"] == 7


def test_a_provider_that_fails(drive: Drive) -> None:
    options = generation_options(provider_failure_rate=1.0)
    done, counted = drive_against(drive, "generation", "generation", options, LOGIN)
    assert done.code == 99
    assert done.broken() == {"errors", "generation_success", "http_req_failed"}
    assert done.metric("provider_errors")["count"] == counted.outcomes["provider_error"] == 10
    assert done.metric("credit_errors")["count"] == 0
    assert done.errors() == {"http_502": 10}


@pytest.mark.parametrize("stream", ["no", "yes"])
def test_a_generation_that_fails_on_the_way(drive: Drive, stream: str) -> None:
    options = generation_options(job_failure_rate=1.0)
    done, _ = drive_against(drive, "generation", "generation", options, {**LOGIN, "STREAM": stream})
    assert done.code == 99
    assert done.broken() == {"generation_success"}
    assert done.metric("generation_success") == ALL_FALSE
    assert done.metric("errors") == ALL_FALSE
    assert done.errors() == {}


def test_a_wrong_password(drive: Drive) -> None:
    env = {**LOGIN, "TEST_PASSWORD": "guessed"}
    done, counted = drive_against(drive, "generation", "generation", generation_options(), env)
    assert done.code == 108
    assert done.summary["stop_reason"].startswith("the login of ann@shop.example at http://127.0.0.1:")
    assert done.summary["stop_reason"].endswith(" failed: 401")
    assert counted.outcomes == {"wrong_password": 1}


@pytest.mark.parametrize(
    ("options", "kind", "outcome"),
    [
        (ScoreOptions(api_key="right", scorers="7"), "http_401", "unauthorized"),
        (ScoreOptions(api_key="secret", scorers="8"), "http_404", "unknown_scorer"),
    ],
    ids=["bad key", "unknown scorer"],
)
def test_scores_that_are_refused(drive: Drive, options: ScoreOptions, kind: str, outcome: str) -> None:
    done, counted = drive_against(drive, "score", "score", options, KEYS)
    assert done.code == 99
    assert done.broken() == {"http_req_failed"}
    assert done.errors() == {kind: 20}
    assert done.metric("score_get_errors") == done.metric("auto_verify_errors") == ALL_TRUE
    assert counted.outcomes == {outcome: 20}


def test_a_limit_of_the_scores(drive: Drive) -> None:
    options = ScoreOptions(api_key="secret", scorers="7", rate_limit_per_minute=4)
    done, counted = drive_against(drive, "score", "score", options, KEYS)
    refused = done.metric("score_get_errors")["passes"] + done.metric("auto_verify_errors")["passes"]
    assert done.errors() == {"http_429": refused}
    assert refused == counted.outcomes["rate_limited"] == 16


@pytest.mark.parametrize(
    ("name", "env", "said"),
    [
        ("score", {"SCORER_ID": "7"}, "environment name API_KEY is not set"),
        ("score", {"API_KEY": "x"}, "environment name SCORER_ID is not set"),
        ("score", {**KEYS, "ADDRESSES_FILE": "none.json"}, "there is no data file"),
        ("ingest", {"BATCH_SIZE": "many"}, "environment name BATCH_SIZE: 'many' is not an int"),
    ],
)
def test_what_is_missing_is_one_line_before_the_run(drive: Drive, name: str, env: dict[str, str], said: str) -> None:
    done = drive(name, "--base-url", "http://127.0.0.1:9", env=env)
    assert done.code == 104
    assert done.stdout == ""
    error, hint = done.stderr.splitlines()
    assert said in error
    assert error.startswith(f"Error: {name}.py: ")
    assert hint.startswith("Hint:")
    assert done.summary == {}
