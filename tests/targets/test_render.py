"""The render pipeline: a bounded pool and queue, exact over all processes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastload.targets import RunningTarget, WidgetOptions, find_target, running
from fastload.targets.database import StateFile
from fastload.targets.jobs import SCHEMA, Pool, find_job, queue_depth
from fastload.targets.shared import SharedMemory
from tests.conftest import wait_until
from tests.targets.events import Answer, Client, ask_at_once, codes

KEY = {"Authorization": "Bearer secret"}
BODY = {"type": "3d", "prompt": "a lamp", "options": {"quality": "high", "format": "glb"}}


@pytest.fixture(scope="module")
def widget() -> Iterator[RunningTarget]:
    options = WidgetOptions(
        api_key="secret", rate_limit_per_minute=0, job_time="20ms..40ms", job_failure_rate=0.5, seed=1
    )
    with running("widget", options, workers=2) as target:
        yield target


@pytest.fixture
def client(widget: RunningTarget) -> Iterator[Client]:
    with Client(widget.port) as connection:
        yield connection


def render(client: Client, body: Any = BODY, headers: dict[str, str] = KEY) -> Answer:
    return client.post("/api/designs/d-7/render", body, headers)


def status(client: Client, job_id: str) -> Answer:
    return client.get(f"/api/jobs/{job_id}/status", KEY)


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["error"]["code"]


@pytest.mark.parametrize("kind", ["2d", "3d", "ar"])
def test_a_job_runs_to_its_end(widget: RunningTarget, kind: str) -> None:
    seen: list[dict[str, Any]] = []

    def is_over() -> bool:
        # A connection each, so that both processes are asked.
        with Client(widget.port) as other:
            seen.append(status(other, job_id).body)
        return seen[-1]["status"] in ("completed", "failed")

    with Client(widget.port) as client:
        accepted = render(client, {**BODY, "type": kind})
    assert (accepted.status, accepted.body["designId"]) == (202, "d-7")
    job_id = accepted.body["jobId"]
    wait_until(is_over)
    assert {one["jobId"] for one in seen} == {job_id}
    assert {one["status"] for one in seen[:-1]} <= {"queued", "processing"}
    progress = [one["progress"] for one in seen]
    assert progress == sorted(progress)
    assert progress[-1] == 100
    assert ("resultUrl" in seen[-1]) == (seen[-1]["status"] == "completed")
    assert ("error" in seen[-1]) == (seen[-1]["status"] == "failed")


def test_some_jobs_fail(widget: RunningTarget, client: Client) -> None:
    jobs = [render(client).body["jobId"] for _ in range(60)]
    wait_until(lambda: all(status(client, job).body["progress"] == 100 for job in jobs))
    ends = [status(client, job).body["status"] for job in jobs]
    assert set(ends) == {"completed", "failed"}
    assert 10 <= ends.count("failed") <= 50


@pytest.mark.parametrize("workers", [1, 2])
def test_the_pool_and_the_queue_are_bounded_over_all_processes(workers: int) -> None:
    options = WidgetOptions(pool=2, queue_size=3, job_time="1h", job_failure_rate=0)
    with running("widget", options, workers=workers) as target:
        answers = ask_at_once(target.port, 12, lambda client, _: render(client))
        assert codes(answers) == {"202": 5, "queue_full": 7}
        full = [answer for answer in answers if answer.status == 429]
        assert [answer.headers["retry-after"] for answer in full] == ["1"] * 7
        with Client(target.port) as client:
            now = [status(client, answer.body["jobId"]).body for answer in answers if answer.status == 202]
            outcomes = client.get("/stats").body["outcomes"]
    assert sorted(one["status"] for one in now) == ["processing"] * 2 + ["queued"] * 3
    assert {one["queueDepth"] for one in now} == {3}
    assert {one["progress"] for one in now} == {0}
    assert outcomes == {"job_queued": 5, "queue_full": 7, "job_read": 5}


def test_a_job_that_nobody_asked_for(client: Client) -> None:
    assert code(status(client, "no-such-job")) == (404, "job_not_found")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer other"}, {"Authorization": "secret"}])
def test_the_api_key_is_needed(client: Client, headers: dict[str, str]) -> None:
    assert code(render(client, headers=headers)) == (401, "unauthorized")
    assert code(client.get("/api/jobs/x/status", headers)) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"type": "4d"}, "invalid_value"),
        ({"type": None}, "invalid_value"),
        ({"prompt": ""}, "invalid_value"),
        ({"options": "high"}, "invalid_value"),
        ({"options": {"quality": 9}}, "invalid_value"),
    ],
)
def test_a_malformed_job_is_refused(client: Client, changes: dict[str, Any], expected: str) -> None:
    assert code(render(client, {**BODY, **changes})) == (400, expected)


def test_fields_of_a_job(client: Client) -> None:
    assert code(render(client, {"type": "2d"})) == (400, "missing_field")
    assert code(render(client, b"{")) == (400, "malformed_json")
    assert render(client, {"type": "2d", "prompt": "p"}).status == 202


@given(
    size=st.integers(1, 3),
    queue_size=st.integers(0, 3),
    jobs=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 100)), max_size=30),
)
def test_the_pool_is_a_queue_with_so_many_servers(
    tmp_path_factory: pytest.TempPathFactory, size: int, queue_size: int, jobs: list[tuple[int, int]]
) -> None:
    """Against a simulation that runs the workers one job after the other."""
    shared = SharedMemory.create(find_target("widget"), 1)
    state = StateFile(tmp_path_factory.mktemp("pool"), shared, SCHEMA)
    try:
        pool = Pool(size, queue_size)
        pool.prepare(state.connection)
        pool.prepare(state.connection)
        free = [0] * size
        starts: list[int] = []
        now = 1
        for wait, duration in jobs:
            now += wait
            waiting = sum(start > now for start in starts)
            with state.writing() as connection:
                job = pool.add(connection, "d", now, duration, fails=False)
            if free[0] > now and waiting >= queue_size:
                assert job is None
                continue
            assert job is not None
            start = max(now, heapq.heappop(free))
            heapq.heappush(free, start + duration)
            starts.append(start)
            assert (job.start_ns, job.end_ns) == (start, start + duration)
            assert find_job(state.connection, job.job_id) == job
            assert queue_depth(state.connection, now) == sum(one > now for one in starts) <= queue_size
            assert job.status(start + duration) == "completed"
            assert [job.progress(start), job.progress(start + duration)] == [0 if duration else 100, 100]
    finally:
        state.close()
        shared.close()


def test_pools_of_two_openings_are_one(tmp_path: Path) -> None:
    shared = SharedMemory.create(find_target("widget"), 2)
    first, second = StateFile(tmp_path, shared, SCHEMA), StateFile(tmp_path, shared, SCHEMA)
    pool = Pool(1, 1)
    for state in (first, second):
        pool.prepare(state.connection)
    accepted = []
    for state in (first, second, first):
        with state.writing() as connection:
            accepted.append(pool.add(connection, "d", 10, 100, fails=True))
    assert [job and (job.start_ns, job.status(10), job.status(10**6)) for job in accepted] == [
        (10, "processing", "failed"),
        (110, "queued", "failed"),
        None,
    ]
    first.close()
    second.close()
    shared.close()
