"""Staged runs whose verdict is known: what is done to the generator, the load or the target, and what has to be said.

Each case is one run of the real command against a real server, 2 to 6 s long. ``docs/numbers.md`` has the same table.
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """One staged run.

    *what* is its description. *server* is a kind of `tests.verdicts.servers` with its arguments, or "nginx",
    "sequencer" or "nobody". *command* is ``bench`` or ``run`` with its options. *script* is the scenario of ``run``.
    *events* are done to the run from outside, see `tests.verdicts.stage`. *states*, *cause* and *remedy*: what the
    verdict has to be, which finding leads, and a part of what it says to do. *limit*: how the sentence on it begins.
    """

    name: str
    what: str
    server: str
    command: str
    states: tuple[str, ...]
    cause: str
    limit: str
    remedy: str = ""
    script: str = ""
    events: str = ""


HEAD = "import time, asyncio, hashlib, os\nimport fastload as fl\n"
VALID, SUSPECT, INVALID = ("VALID",), ("SUSPECT",), ("INVALID",)
SERVED = "Nothing was at its limit"
GENERATOR, TARGET, PROBABLY = "The generator was", "The target was the limit", "The target was probably the limit"
REFUSED = "The target's rate limit was the limit"
CONCURRENCY, FAILED = "The concurrency was the limit", "The target failed"
AWAIT = "await instead"

CASES = (
    # Healthy.
    Case("healthy_20", "20 requests/s", "nginx", "bench -r 20 -d 4s", VALID, "none", SERVED),
    Case("healthy_100", "100 requests/s", "nginx", "bench -r 100 -d 4s", VALID, "none", SERVED),
    Case("healthy_300", "300 requests/s", "nginx", "bench -r 300 -d 4s", VALID, "none", SERVED),
    Case("healthy_1000", "1,000 requests/s", "nginx", "bench -r 1000 -d 4s", VALID, "none", SERVED),
    Case("healthy_3000", "3,000 requests/s", "nginx", "bench -r 3000 -d 4s", VALID, "none", SERVED),
    Case("healthy_batches", "20 batches/s of the sequencer", "sequencer", "bench -r 20 -d 4s", VALID, "none", SERVED),
    Case(
        "healthy_vus",
        "5 VUs that pause",
        "nginx",
        "run",
        VALID,
        "concurrency",
        CONCURRENCY,
        script='@fl.scenario(vus=5, duration="3s")\nasync def visit(vu):\n'
        "    await vu.get('/')\n    await vu.sleep(0.05)\n",
    ),
    Case(
        "healthy_one",
        "one iteration",
        "slow 50",
        "run",
        VALID,
        "concurrency",
        CONCURRENCY,
        script="@fl.scenario(vus=1, iterations=1)\nasync def visit(vu):\n    await vu.get('/')\n",
    ),
    Case("healthy_slow", "a target that takes 300 ms", "slow 300", "bench -r 30 -d 4s -c 50", VALID, "none", SERVED),
    # The script.
    Case(
        "blocking",
        "`time.sleep(0.2)` in each iteration",
        "nginx",
        "run",
        INVALID,
        "blocking_call",
        GENERATOR,
        AWAIT,
        script='@fl.scenario(vus=5, duration="3s")\nasync def visit(vu):\n'
        "    await vu.get('/')\n    time.sleep(0.2)\n",
    ),
    Case(
        "blocking_20th",
        "`time.sleep(0.09)` in each 20th iteration",
        "slow 5",
        "run",
        INVALID,
        "blocking_call",
        GENERATOR,
        AWAIT,
        script='@fl.scenario(vus=10, duration="4s")\nasync def visit(vu):\n    await vu.get("/")\n'
        "    if vu.iteration % 20 == 0:\n        time.sleep(0.09)\n",
    ),
    Case(
        "blocking_seldom",
        "one `time.sleep(0.3)` in 5 s",
        "slow 5",
        "run",
        SUSPECT,
        "blocking_call",
        "",
        AWAIT,
        script='@fl.scenario(vus=10, duration="5s")\nasync def visit(vu):\n    await vu.get("/")\n'
        "    if vu.id == 1 and vu.iteration == 100:\n        time.sleep(0.3)\n",
    ),
    Case(
        "computing",
        "60 ms of hashing in each iteration",
        "slow 5",
        "run",
        INVALID,
        "busy_script",
        GENERATOR,
        "compute it before",
        script='@fl.scenario(vus=4, duration="3s")\nasync def visit(vu):\n    await vu.get("/")\n'
        '    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 150_000)\n',
    ),
    Case(
        "blocking_checks",
        "`time.sleep(0.01)` in each iteration, and checks alone",
        "nobody",
        "run",
        INVALID,
        "blocking_call",
        GENERATOR,
        AWAIT,
        script='@fl.scenario(vus=1, duration="3s")\nasync def visit(vu):\n    await asyncio.sleep(0)\n'
        '    time.sleep(0.01)\n    vu.check(True, {"done": True})\n',
    ),
    Case(
        "blocking_trend",
        "`time.sleep(0.02)` in each iteration, and times of the script alone",
        "nobody",
        "run",
        INVALID,
        "blocking_call",
        GENERATOR,
        AWAIT,
        script='login = fl.Trend("login_time")\n@fl.scenario(vus=2, duration="3s")\nasync def visit(vu):\n'
        "    begun = time.monotonic()\n    await asyncio.sleep(0.001)\n    time.sleep(0.02)\n"
        "    login.add(1000 * (time.monotonic() - begun))\n",
    ),
    Case(
        "no_await",
        "a forgotten `await`",
        "nginx",
        "run",
        SUSPECT,
        "missing_await",
        "",
        "write await",
        script="@fl.scenario(vus=2, iterations=20)\nasync def visit(vu):\n"
        '    await vu.get("/")\n    nap = vu.sleep\n    nap(1)\n',
    ),
    Case(
        "nothing",
        "iterations that measure nothing",
        "nginx",
        "run",
        SUSPECT,
        "nothing_measured",
        "Nothing was measured",
        "vu.get",
        script="@fl.scenario(vus=2, iterations=20)\nasync def visit(vu):\n    await asyncio.sleep(0.01)\n",
    ),
    Case(
        "lost",
        "a worker that exits",
        "slow 5",
        "run -w 2",
        SUSPECT,
        "worker_lost",
        "",
        "see the notes",
        script='@fl.scenario(vus=4, duration="3s")\nasync def visit(vu):\n    await vu.get("/")\n'
        "    if vu.id == 1 and vu.iteration == 100:\n        os._exit(3)\n",
    ),
    # The generator and its machine.
    Case(
        "full_speed",
        "bench at full speed",
        "nginx",
        "bench -d 4s -c 512",
        SUSPECT,
        "worker_saturated",
        "The generator",
        "-r/--rate",
    ),
    Case(
        "busy_for_4_of_9",
        "full speed for 3 of 6 s",
        "nginx",
        "run",
        SUSPECT,
        "worker_saturated",
        "",
        "-r/--rate",
        script='@fl.scenario(vus=1, duration="6s")\nasync def calm(vu):\n'
        '    await vu.get("/")\n    await vu.sleep(0.1)\n'
        '@fl.scenario(vus=512, duration="3s", start_time="1s")\nasync def storm(vu):\n    await vu.get("/")\n',
    ),
    Case(
        "too_fast",
        "a rate that one core cannot make",
        "nginx",
        "bench -r 200000 -d 4s -c 256",
        INVALID,
        "worker_saturated",
        GENERATOR,
        "lower the rate",
    ),
    Case(
        "hog",
        "another process on the worker's CPU",
        "nginx",
        "bench -d 4s -c 64",
        ("SUSPECT", "INVALID"),
        "no_cpu",
        "",
        "CPU of their own",
        events="hog",
    ),
    Case(
        "quota",
        "a CPU quota of 15 %",
        "nginx",
        "bench -r 1500 -d 4s",
        INVALID,
        "cpu_quota",
        GENERATOR,
        "raise the CPU quota",
        events="quota",
    ),
    Case(
        "stopped",
        "SIGSTOP of a worker for 1 s",
        "nginx",
        "bench -r 200 -d 4s",
        INVALID,
        "stopped",
        GENERATOR,
        "without a pause",
        events="stop worker",
    ),
    Case(
        "frozen",
        "SIGSTOP of all processes for 1 s",
        "nginx",
        "bench -r 200 -d 4s",
        INVALID,
        "stopped",
        GENERATOR,
        "without a pause",
        events="stop all",
    ),
    Case(
        "decompressing",
        "a body that unpacks to 200 MB",
        "bomb 200",
        "run --compressed",
        ("SUSPECT", "INVALID"),
        "own_work",
        "",
        "--max-body",
        script="@fl.scenario(vus=2, iterations=6)\nasync def visit(vu):\n    await vu.get('/')\n",
    ),
    Case(
        "descriptors",
        "a script that uses up all file descriptors",
        "slow 5",
        "run --no-connection-reuse",
        INVALID,
        "generator_fd",
        GENERATOR,
        "ulimit -n",
        script='@fl.scenario(vus=10, duration="3s")\nasync def visit(vu):\n'
        '    await vu.get("/")\n    if vu.iteration > 20:\n        vu.state.setdefault("kept", []).append(os.dup(2))\n',
        events="ulimit",
    ),
    Case(
        "ports",
        "16 local ports, and a connection for each request",
        "slow 1",
        "run --no-connection-reuse",
        INVALID,
        "generator_port",
        GENERATOR,
        "ip_local_port_range",
        script="@fl.scenario(vus=8, iterations=400)\nasync def visit(vu):\n    await vu.get('/')\n",
        events="few ports",
    ),
    # The load.
    Case(
        "few_connections",
        "2 connections for 500 requests/s of 20 ms",
        "slow 20",
        "bench -r 500 -d 4s -c 2",
        SUSPECT,
        "too_few_vus",
        CONCURRENCY,
        "raise -c/--connections to about",
    ),
    Case(
        "few_vus",
        "3 VUs for 200 iterations/s of 30 ms",
        "slow 30",
        "run",
        SUSPECT,
        "too_few_vus",
        CONCURRENCY,
        "raise --max-vus to about",
        script='@fl.scenario(rate=200, max_vus=3, duration="4s")\nasync def visit(vu):\n    await vu.get("/")\n',
    ),
    Case(
        "burst",
        "3,000 starts that are due at once",
        "nginx",
        "run",
        ("SUSPECT", "INVALID"),
        "late_starts",
        "",
        "spread",
        script='@fl.scenario(trace=[1.0] * 3000 + [2.5], max_vus=3001)\nasync def visit(vu):\n    await vu.get("/")\n',
    ),
    # The target.
    Case(
        "limited_open",
        "200 requests/s to a server that does 100",
        "limited 100",
        "bench -r 200 -d 6s -c 2000",
        SUSPECT,
        "unanswered",
        PROBABLY,
        "what the target answers",
    ),
    Case(
        "growing_line",
        "30 requests/s to a server that does 20, and then answers the rest",
        "limited 20",
        "bench -r 30 -d 4s -c 500",
        SUSPECT,
        "target_pool",
        PROBABLY,
        "what the target answers",
    ),
    Case(
        "growing_line_run",
        "30 iterations/s to a server that does 20, and then answers the rest",
        "limited 20",
        "run",
        SUSPECT,
        "target_pool",
        PROBABLY,
        "what the target answers",
        script='@fl.scenario(rate=30, max_vus=500, duration="4s")\nasync def visit(vu):\n    await vu.get("/")\n',
    ),
    Case(
        "limited_closed",
        "50 connections to a server that does 100/s",
        "limited 100",
        "bench -d 4s -c 50",
        VALID,
        "target_pool",
        PROBABLY,
        "look for a ",
    ),
    Case(
        "fixed_time",
        "5 VUs and a target that takes 100 ms",
        "slow 100",
        "bench -d 3s -c 5",
        VALID,
        "concurrency",
        CONCURRENCY,
        "add VUs",
    ),
    Case(
        "full_target", "a target that computes, on one CPU", "busy 5", "bench -d 4s -c 8", VALID, "target_cpu", TARGET
    ),
    Case("dead", "nobody listens", "nobody", "bench -r 50 -d 3s", SUSPECT, "target_failing", FAILED, "see the errors"),
    Case(
        "killed",
        "the target is killed after a third",
        "slow 5",
        "bench -r 50 -d 6s",
        SUSPECT,
        "target_ended",
        FAILED,
        "log",
        events="kill target",
    ),
    Case(
        "half_dead",
        "every third request gets 503",
        "failing 33 503",
        "bench -r 100 -d 3s",
        VALID,
        "target_failing",
        FAILED,
        "see the errors",
    ),
    Case(
        "refusing",
        "80 % get 429",
        "failing 80 429",
        "bench -r 100 -d 3s",
        SUSPECT,
        "rate_limit",
        REFUSED,
        "raise its rate limit",
    ),
    Case(
        "half_silent",
        "60 % are never answered",
        "silent 60",
        "bench -r 50 -d 4s -c 200 --timeout 500ms",
        SUSPECT,
        "target_failing",
        FAILED,
        "see the errors",
    ),
    Case(
        "deaf",
        "a full accept queue",
        "deaf",
        "run --connect-timeout 500ms",
        SUSPECT,
        "accept_queue",
        f"{TARGET}: its accept queue was full",
        "raise its backlog",
        script='@fl.scenario(vus=20, duration="3s")\nasync def visit(vu):\n    await vu.get("/")\n',
    ),
    # What the target ran out of: limits of `fastload target`, each of one kind.
    Case(
        "one_thread",
        "2 ms of CPU in the one thread of a server, on two CPUs",
        "plain one-thread=2ms",
        "bench -d 4s -c 8",
        VALID,
        "target_thread",
        f"{TARGET}: one thread was full",
        "run more workers",
    ),
    Case(
        "pool",
        "a pool of 4 connections to a backend that takes 20 ms",
        "plain pool=4:20ms",
        "bench -d 4s -c 40",
        VALID,
        "target_pool",
        f"{PROBABLY}: requests waited in line",
        "look for a pool of about",
    ),
    Case(
        "lock",
        "a lock around a wait of 5 ms",
        "plain lock=5ms",
        "bench -d 4s -c 20",
        VALID,
        "target_pool",
        f"{PROBABLY}: requests waited in line",
        "look for a lock",
    ),
    Case(
        "target_quota",
        "a CPU quota of a fifth of a CPU for the target",
        "plain quota=0.2",
        "bench -d 4s -c 16",
        VALID,
        "target_quota",
        f"{TARGET}: its cgroup had used up its CPU quota",
        "raise the CPU quota of its container",
    ),
    Case(
        "accept_queue",
        "an accept queue of 4, from which one connection is taken every 200 ms",
        "plain accept-queue=4:200ms",
        "run --no-connection-reuse --connect-timeout 500ms",
        ("VALID", "SUSPECT"),
        "accept_queue",
        f"{TARGET}: its accept queue was full",
        "raise its backlog",
        script='@fl.scenario(vus=20, duration="4s")\nasync def visit(vu):\n    await vu.get("/")\n',
    ),
    Case(
        "target_descriptors",
        "64 file descriptors of the target for 80 VUs",
        "plain fds=64",
        "run",
        ("VALID", "SUSPECT"),
        "target_fd",
        f"{TARGET}: it had 6",
        "raise its limit",
        script='@fl.scenario(vus=80, duration="4s")\nasync def visit(vu):\n'
        "    await vu.get('/')\n    await vu.sleep(0.2)\n",
    ),
    Case(
        "rate_limit",
        "300 requests/s to a server that lets 100 through",
        "plain rate=100/s",
        "bench -r 300 -d 4s",
        SUSPECT,
        "rate_limit",
        REFUSED,
        "raise its rate limit",
    ),
    Case(
        "leak",
        "400 kB that are kept for each request",
        "plain leak=400KB",
        "bench -r 50 -d 15s",
        VALID,
        "target_memory",
        "The target's memory will be the limit",
        "a leak",
    ),
    Case(
        "endless_queue",
        "400 requests/s to a queue without bound that serves 200",
        "plain slots=4:20ms",
        "bench -r 400 -d 6s -c 3000",
        SUSPECT,
        "unanswered",
        f"{PROBABLY}: requests waited in line",
        "what the target answers",
    ),
)

# What is right instead, of the cases with that name, when another process keeps the CPU of the target busy.
BESIDE_NEIGHBOUR = {
    case.name: case._replace(cause="target_starved", limit="The machine was the limit", remedy="CPUs of its own")
    for case in CASES
    if case.cause == "target_cpu"
}
