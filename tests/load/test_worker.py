"""A worker process, forked and talked to as in a run: the order of its frames, and what ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import fastload as fl
from fastload.load.executors.request_sources import FixedRequest
from fastload.load.worker import run_worker
from fastload.model import load_models
from fastload.model.judging.stalls import StallTable
from fastload.model.plan import Plan, ScenarioPlan
from tests.conftest import Nginx, wait_until
from tests.load.worker_talk import Talk, plan_of, talk

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
def silent_url() -> Iterator[str]:
    """A server that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@fl.scenario
async def ask(vu: fl.VU) -> None:
    await vu.get("/", name=f"vu {vu.id}")


@fl.scenario
async def pause(vu: fl.VU) -> None:
    await vu.sleep(0.01)


class TestFrames:
    def test_the_order_of_a_run(self, nginx: Nginx) -> None:
        with talk(plan_of(ask, load_models.ConstantVUs(4, 1.3), workers=2, base_url=nginx.url)) as workers:
            pids = workers.supervisor.pids
            at_ns = workers.start()
            workers.until_ended()
        for worker in (0, 1):
            kinds = workers.kinds(worker)
            count = kinds.count("delta")
            assert count >= 2
            assert [kind for kind in kinds if kind != "delta"] == ["hello", "ready", "ended", "done"]
            assert kinds[-2:] == ["delta", "done"]
            assert workers.body("ended", worker) == {"scenario": "test"}
            assert workers.frames[worker][0].body == {"worker": worker, "pid": pids[worker]}
            assert [(delta.worker, delta.seq) for delta in workers.deltas(worker)] == [
                (worker, seq) for seq in range(count)
            ]
            ended_ns = workers.frames[worker][-1].body["ended_ns"]
            assert at_ns + 1_300_000_000 <= ended_ns < at_ns + 15_000_000_000
            vus = {f"vu {number}" for number in (worker + 1, worker + 3)}
            names = {tags["name"] for delta in workers.deltas(worker) for tags, _ in delta.table.of_metric("http_reqs")}
            assert names == vus
        assert workers.ends == {0: "", 1: ""}
        assert workers.total("finished") == workers.table().get("http_reqs").value > 0
        assert workers.total("failed") == 0
        workers.assert_reconciled()

    def test_it_waits_for_the_start(self, nginx: Nginx) -> None:
        with talk(plan_of(ask, load_models.SharedIterations(1, 3), base_url=nginx.url)) as workers:
            workers.until_all("ready")
            list(workers.supervisor.wait(0.1))
            assert workers.kinds() == ["hello", "ready"]
            workers.start()
            workers.until_ended()
        assert workers.total("finished") == 3

    def test_requests_without_a_scenario(self, nginx: Nginx) -> None:
        source = FixedRequest("GET", nginx.url + "/", name="fixed")
        with talk(plan_of(source, load_models.SharedIterations(4, 50), workers=2)) as workers:
            workers.start()
            workers.until_ended()
        assert workers.total("finished") == 50
        workers.assert_reconciled()

    def test_an_open_model_offers_all_of_its_starts(self, nginx: Nginx) -> None:
        with talk(
            # As many VUs as starts: whatever is held up, none is left in line at the end.
            plan_of(ask, load_models.ConstantArrivalRate(400.0, 0.5, 200), workers=2, base_url=nginx.url)
        ) as workers:
            workers.start()
            workers.until_ended()
        table = workers.table()
        assert workers.total("offered") == workers.total("finished") == 200
        assert table.get("http_req_response_time").count == table.get("iteration_lateness").count == 200
        workers.assert_reconciled()

    def test_env_reaches_the_script(self) -> None:
        @fl.scenario
        async def look(vu: fl.VU) -> None:
            assert vu.env["FASTLOAD_TEST"] == os.environ["FASTLOAD_TEST"] == "here"

        with talk(plan_of(look, load_models.SharedIterations(1, 1), env={"FASTLOAD_TEST": "here"})) as workers:
            workers.start()
            workers.until_ended()
        assert workers.table().get("iterations").value == 1
        assert "FASTLOAD_TEST" not in os.environ

    def test_what_setup_returned_reaches_every_vu(self) -> None:
        @fl.scenario
        async def look(vu: fl.VU) -> None:
            assert vu.setup_data == {"token": "secret"}

        with talk(plan_of(look, load_models.PerVUIterations(4, 1), workers=2)) as workers:
            workers.start({"token": "secret"})
            workers.until_ended()
        assert workers.table().get("iterations").value == 4

    def test_a_scenario_after_another_waits_for_the_word(self, nginx: Nginx) -> None:
        once = load_models.SharedIterations(2, 6)
        then = ScenarioPlan("then", once, ask, after="test")
        with talk(plan_of(ask, once, workers=2, base_url=nginx.url, then=then)) as workers:
            workers.start()
            workers.until_all("ended")
            workers.until_finished(0)
            assert workers.total("finished") <= 6
            workers.send("begin", scenario="then", at_ns=time.monotonic_ns())
            workers.until_ended()
        names = [frame.body["scenario"] for frame in workers.frames[0] if frame.kind == "ended"]
        assert names == ["test", "then"]
        assert workers.total("finished") == 12
        assert workers.ends == {0: "", 1: ""}

    def test_stop_before_the_word(self) -> None:
        then = ScenarioPlan("then", load_models.ConstantVUs(2, 600.0), pause, after="test")
        with talk(plan_of(pause, load_models.SharedIterations(1, 2), then=then)) as workers:
            workers.start()
            workers.until_all("ended")
            workers.stop(now=False)
            workers.until_ended()
        assert workers.kinds()[-1] == "done"
        assert workers.table().get("iterations").value == 2

    def test_data_that_is_used_up_ends_the_scenario(self) -> None:
        @fl.scenario
        async def use_up(vu: fl.VU) -> None:
            if vu.iteration_in_test >= 10:
                raise fl.DataExhausted("all used")
            await vu.sleep(0.001)

        with talk(plan_of(use_up, load_models.ConstantVUs(2, 600.0), workers=2)) as workers:
            workers.start()
            workers.until_ended()
        assert workers.table().get("iterations").value == 10
        assert workers.total("iterations_interrupted") == 0
        assert [workers.kinds(worker).count("data_end") for worker in (0, 1)] == [1, 1]


class TestSteering:
    def test_vus(self, nginx: Nginx) -> None:
        spec = load_models.ExternallyControlled(1, 9, 600.0)
        with talk(plan_of(ask, spec, workers=2, base_url=nginx.url)) as workers:
            workers.start()
            workers.until_all("delta")
            workers.send("scale", scenario="test", vus=5)
            workers.until(lambda: [self.vus(workers, worker) for worker in (0, 1)] == [3, 2])
            workers.send("scale", scenario="test", vus=0)
            workers.until(lambda: [self.vus(workers, worker) for worker in (0, 1)] == [0, 0])
            workers.stop(now=False)
            workers.until_ended()
        assert workers.total("iterations_interrupted") == 0
        workers.assert_reconciled()

    @staticmethod
    def vus(workers: Talk, worker: int) -> int:
        return workers.deltas(worker)[-1].stats.vus

    def test_the_rate(self, nginx: Nginx) -> None:
        spec = load_models.ConstantArrivalRate(1.0, 1.0, 60)
        with talk(plan_of(ask, spec, workers=2, base_url=nginx.url)) as workers:
            at_ns = workers.start()
            workers.send("scale", scenario="test", vus=None, rate_per_s=100.0, at_ns=at_ns + 500_000_000)
            workers.until_ended()
        # Half a start in the first half, and fifty in the other one; the first one is at the very beginning.
        assert workers.total("offered") == 51
        workers.assert_reconciled()

    def test_finish(self, nginx: Nginx) -> None:
        with talk(plan_of(ask, load_models.Shape(lambda _: 1), base_url=nginx.url)) as workers:
            workers.start()
            workers.send("scale", scenario="test", vus=3)
            workers.until_all("delta")
            workers.send("finish", scenario="test")
            workers.until_ended()
        assert workers.kinds()[-1] == "done"
        assert workers.total("finished") > 0
        workers.assert_reconciled()

    def test_pause_and_resume(self) -> None:
        spec = load_models.PerVUIterations(2, 250)
        with talk(plan_of(pause, spec, workers=2)) as workers:
            at_ns = workers.start()
            paused_ns = at_ns + 100_000_000
            wait_until(lambda: time.monotonic_ns() > paused_ns)
            workers.send("pause", at_ns=paused_ns)
            workers.until(lambda: len(workers.deltas(0)) > 1 < len(workers.deltas(1)))
            made = workers.table().get("iterations").value
            assert made < 500
            seen = {worker: len(workers.deltas(worker)) for worker in (0, 1)}
            workers.until(lambda: all(len(workers.deltas(worker)) > seen[worker] for worker in (0, 1)))
            assert workers.table().get("iterations").value == made
            workers.send("resume", at_ns=time.monotonic_ns())
            workers.until_ended()
        assert workers.table().get("iterations").value == 500

    def test_abort(self) -> None:
        left, gone = os.pipe()

        async def goodbye(_vu: fl.VU) -> None:
            os.write(gone, b".")

        @fl.scenario(on_stop=goodbye)
        async def shop(vu: fl.VU) -> None:
            await vu.sleep(0.01)
            if vu.iteration_in_test == 7:
                await asyncio.gather(give_up(), asyncio.sleep(60))
            await vu.sleep(0.05)

        async def give_up() -> None:
            fl.abort("the shop is closed")

        with talk(plan_of(shop, load_models.ConstantVUs(3, 600.0))) as workers:
            workers.start()
            workers.until_ended()
        os.close(gone)
        with os.fdopen(left, "rb") as reader:
            assert reader.read() == b"..."
        assert workers.body("abort") == {"reason": "the shop is closed"}
        assert workers.kinds()[-1] == "done"
        assert workers.total("iterations_interrupted") == 3


class TestWarmUp:
    def test_a_scenario_that_begins_later_has_none(self, nginx: Nginx) -> None:
        later = ScenarioPlan("later", load_models.ConstantArrivalRate(40.0, 0.5, 20), ask, start_s=0.2)
        spec = load_models.ConstantArrivalRate(100.0, 0.5, 50)
        with talk(plan_of(ask, spec, base_url=nginx.url, warmup_s=0.5, then=later)) as workers:
            workers.start()
            workers.until_ended()
        assert (workers.total("warmup"), workers.total("finished")) == (50, 70)
        workers.assert_reconciled()

    def test_it_is_not_measured_but_accounted_for(self, nginx: Nginx) -> None:
        # Longer than a second: a delta is due while it goes on.
        the_plan = plan_of(ask, load_models.ConstantArrivalRate(100.0, 0.5, 130), base_url=nginx.url, warmup_s=1.3)
        with talk(the_plan) as workers:
            workers.start()
            workers.until_ended()
        table = workers.table()
        assert len(workers.deltas()) >= 2
        assert table.get("http_reqs").value == workers.total("finished") == workers.total("offered") == 50
        assert table.get("iterations").value == table.get("http_req_duration").count == 50
        assert workers.total("warmup") == 130
        assert workers.total("started") == 180
        workers.assert_reconciled()


class TestStopping:
    def test_stop(self, nginx: Nginx) -> None:
        with talk(plan_of(ask, load_models.ConstantVUs(3, 600.0), base_url=nginx.url)) as workers:
            workers.start()
            workers.until_all("delta")
            workers.stop(now=False)
            workers.until_ended()
        assert workers.kinds()[-1] == "done"
        assert workers.ends == {0: ""}
        assert workers.total("finished") > 0
        workers.assert_reconciled()

    def test_stop_interrupts_who_only_thinks(self) -> None:
        @fl.scenario
        async def think(vu: fl.VU) -> None:
            await vu.sleep(600)

        with talk(plan_of(think, load_models.ConstantVUs(3, 600.0), grace_s=600.0)) as workers:
            workers.start()
            workers.until(lambda: any(delta.stats.vus == 3 for delta in workers.deltas()))
            workers.stop(now=False)
            workers.until_ended()
        assert workers.total("iterations_interrupted") == 3

    @pytest.mark.parametrize("kind", ["scenario", "requests"])
    def test_requests_in_flight_have_the_grace(self, silent_url: str, kind: str) -> None:
        what = ask if kind == "scenario" else FixedRequest("GET", silent_url, name="fixed")
        the_plan = plan_of(what, load_models.ConstantVUs(3, 600.0), base_url=silent_url, grace_s=0.3)
        with talk(the_plan) as workers:
            workers.start()
            workers.until(lambda: any(delta.stats.in_flight == 3 for delta in workers.deltas()))
            stopped = time.monotonic()
            workers.stop(now=False)
            workers.until_ended()
            assert 0.29 < time.monotonic() - stopped < 20
        assert workers.total("started") == workers.total("interrupted") == 3
        workers.assert_reconciled()

    def test_stop_now_has_none(self, silent_url: str) -> None:
        with talk(plan_of(ask, load_models.ConstantVUs(3, 600.0), base_url=silent_url, grace_s=600.0)) as workers:
            workers.start()
            workers.until(lambda: any(delta.stats.in_flight == 3 for delta in workers.deltas()))
            workers.stop(now=True)
            workers.until_ended()
        assert workers.total("started") == workers.total("interrupted") == 3
        workers.assert_reconciled()

    def test_stop_within_the_grace_of_a_stop(self, silent_url: str) -> None:
        with talk(plan_of(ask, load_models.ConstantVUs(3, 600.0), base_url=silent_url, grace_s=600.0)) as workers:
            workers.start()
            workers.until(lambda: any(delta.stats.in_flight == 3 for delta in workers.deltas()))
            workers.stop(now=False)
            workers.stop(now=True)
            workers.until_ended()
        assert workers.total("interrupted") == 3

    def test_stop_during_the_warm_up(self, nginx: Nginx) -> None:
        with talk(plan_of(ask, load_models.ConstantVUs(2, 600.0), base_url=nginx.url, warmup_s=600.0)) as workers:
            workers.start()
            workers.until_all("delta")
            workers.stop(now=False)
            workers.until_ended()
        assert workers.total("finished") == 0
        assert workers.total("warmup") > 0
        workers.assert_reconciled()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_signals_of_the_terminal_are_the_parents(self, number: signal.Signals) -> None:
        with talk(plan_of(pause, load_models.SharedIterations(1, 20))) as workers:
            workers.until_all("ready")
            for pid in workers.supervisor.pids.values():
                os.kill(pid, number)
            workers.start()
            workers.until_ended()
        assert workers.kinds()[-1] == "done"
        assert workers.table().get("iterations").value == 20
        assert workers.ends == {0: ""}


@contextmanager
def bare_worker(the_plan: Plan) -> Iterator[tuple[int, socket.socket]]:
    """A worker without a supervisor: its pid, and the parent's end of the channel."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            run_worker(theirs, 0, the_plan, ())
        finally:
            os._exit(0)
    theirs.close()
    try:
        yield pid, ours
    finally:
        ours.close()
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def has_ended(pid: int) -> bool:
    """Whether there is no such process, or it only waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class TestAlone:
    @pytest.mark.parametrize("read_first", [True, False])
    def test_the_end_of_the_channel_ends_it(self, read_first: bool) -> None:
        with bare_worker(plan_of(pause, load_models.ConstantVUs(2, 600.0))) as (pid, channel):
            # What is sent and never read turns the end of the stream into a reset.
            received = channel.recv(65536, 0 if read_first else socket.MSG_PEEK)
            while b"ready" not in received:
                received += channel.recv(65536, 0 if read_first else socket.MSG_PEEK)
            channel.close()
            wait_until(lambda: has_ended(pid))

    def test_the_parents_death_ends_even_a_busy_one(self) -> None:
        reading, writing = os.pipe()

        @fl.scenario
        async def spin(_vu: fl.VU) -> None:
            os.write(writing, f"{os.getpid()}\n".encode())
            while True:
                pass

        def be_the_parent() -> None:
            os.close(reading)
            with talk(plan_of(spin, load_models.ConstantVUs(1, 600.0))) as workers:
                workers.start()
                workers.until_ended()

        parent = os.fork()
        if parent == 0:
            try:
                be_the_parent()
            finally:
                os._exit(1)
        os.close(writing)
        try:
            worker = int(os.read(reading, 20))
            assert not has_ended(worker)
        finally:
            os.kill(parent, signal.SIGKILL)
            os.waitpid(parent, 0)
            os.close(reading)
        try:
            wait_until(lambda: has_ended(worker))
        finally:
            # It would spin for ever.
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)


class TestTrouble:
    def test_work_of_no_kind_is_an_error_frame(self) -> None:
        with talk(plan_of(object(), load_models.ConstantVUs(1, 600.0))) as workers:
            workers.until_ended()
        assert workers.kinds() == ["hello", "error"]
        body = workers.frames[0][-1].body
        assert body["worker"] == 0
        assert "AttributeError: 'object' object has no attribute 'name'" in body["message"]
        assert body["hint"] == ""
        assert workers.ends == {0: ""}

    def test_a_hint_goes_along(self) -> None:
        class Nameless:
            @property
            def name(self) -> str:
                raise fl.PlanError("there is no name", hint="give it one")

        with talk(plan_of(Nameless(), load_models.ConstantVUs(1, 600.0))) as workers:
            workers.until_ended()
        body = workers.frames[0][-1].body
        assert workers.kinds() == ["hello", "error"]
        assert "there is no name" in body["message"]
        assert body["hint"] == "give it one"

    def test_an_exception_in_every_iteration(self) -> None:
        @fl.scenario
        async def broken(vu: fl.VU) -> None:
            raise ValueError(vu.id)

        with talk(plan_of(broken, load_models.SharedIterations(2, 10))) as workers:
            workers.start()
            workers.until_ended()
        assert workers.table().get("iterations_failed").value == 10
        (first, *_) = [delta.exceptions.entries for delta in workers.deltas() if delta.exceptions.entries]
        count, traceback = first["ValueError"]
        assert count == 10
        assert "raise ValueError(vu.id)" in traceback

    def test_a_blocking_call_shows_as_lag_and_is_named(self) -> None:
        @fl.scenario
        async def block(vu: fl.VU) -> None:
            await vu.sleep(0.05)
            time.sleep(0.25)

        # Several times: while the process itself is held up, nothing is held against the script.
        with talk(plan_of(block, load_models.SharedIterations(1, 3))) as workers:
            workers.start()
            workers.until_ended()
        assert max(delta.stats.lag_max_us for delta in workers.deltas()) > 100_000
        assert workers.table().get("loop_lag").max > 100_000
        table = StallTable()
        for delta in workers.deltas():
            table.merge(delta.stalls)
        ((name, stall),) = ((line, stall) for (_, line), stall in table.stalls.items() if line)
        assert name.startswith("block (test_worker.py:")
        assert "): time.sleep(0.25)" in name
        assert stall.longest_us > 200_000

    def test_without_blocking_nothing_is_named(self, nginx: Nginx) -> None:
        with talk(plan_of(ask, load_models.ConstantVUs(2, 0.5), base_url=nginx.url)) as workers:
            workers.start()
            workers.until_ended()
        assert [line for delta in workers.deltas() for _, line in delta.stalls.stalls if line] == []
