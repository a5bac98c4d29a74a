"""Users of the DID API as weighted tasks: each verifies (3), enrols (1) and asks for the health (5), as it comes.

Run it with ``fastload run scenarios/did_tasks.py --target did``, or against your own API with ``--base-url``. It reads
API_URL from the environment.
"""

import time

import fastload as fl

API_URL = fl.env("API_URL", "http://localhost:8000")


async def begin(vu: fl.VU) -> None:
    """Who this user is."""
    vu.state["wallet_address"] = f"addr_test1{vu.random.getrandbits(256):064x}"
    vu.state["biometric_hash"] = f"{vu.random.getrandbits(256):064x}"


def judge(reply: fl.JudgedReply, *good: int) -> None:
    """A limit that is reached is a failure of its own; without a response the request stays what it is."""
    if reply.status in good:
        reply.success()
    elif reply.status == 429:
        reply.failure("rate limit exceeded")
    elif reply.status:
        reply.failure(f"status {reply.status}")


async def verify(vu: fl.VU) -> None:
    """401 is a right answer too: this user has not enrolled yet."""
    body = {**vu.state, "timestamp": int(time.time())}
    async with vu.expect("POST", "/api/v1/did/verify", json=body, name="verify_biometric") as reply:
        judge(reply, 200, 401)
    await vu.sleep(1, 3)


async def enroll(vu: fl.VU) -> None:
    """409 is a right answer too: this user has enrolled before."""
    body = {**vu.state, "metadata": {"device_id": f"device-{vu.id}", "enrollment_type": "fingerprint"}}
    async with vu.expect("POST", "/api/v1/did/enroll", json=body, name="enroll_biometric") as reply:
        judge(reply, 201, 409)
    await vu.sleep(1, 3)


async def health(vu: fl.VU) -> None:
    async with vu.expect("GET", "/health", name="health_check") as reply:
        judge(reply, 200)
    await vu.sleep(1, 3)


did_tasks = fl.scenario(
    name="did_tasks",
    tasks={verify: 3, enroll: 1, health: 5},
    vus=1000,
    duration="5m",
    base_url=API_URL,
    on_start=begin,
    thresholds={"http_req_duration": ["p(95)<150", "p(99)<300"], "http_req_failed": "rate<0.01"},
)


@fl.test_start
def announce(plan: fl.Plan) -> None:
    print(f"DID load test on {plan.base_url}: {plan.max_vus:,} users")


@fl.test_stop
def totals(summary: fl.Summary) -> None:
    requests, times = summary.metrics["http_reqs"], summary.metrics["http_req_duration"]
    failed = summary.metrics["http_req_failed"].fails
    print(f"{requests.count:,.0f} requests, {failed:,} failed, {requests.rate or 0:,.0f} a second")
    print(f"P95 {times.p(95) or 0:.1f} ms, P99 {times.p(99) or 0:.1f} ms")
