"""The DID API under a ramp to 1,000 users: 20 % ask for the health, 20 % enrol, 60 % verify.

Run it with ``fastload run scenarios/did_flow.py --target did``, or against your own API with ``--base-url``. It reads
API_URL from the environment.
"""

import sys
import time

import fastload as fl

API_URL = fl.env("API_URL", "http://localhost:8000")

enrollment_ms = fl.Trend("enrollment_duration", unit="ms")
verification_ms = fl.Trend("verification_duration", unit="ms")
errors = fl.Rate("errors")


async def begin(vu: fl.VU) -> None:
    """Who this user is."""
    vu.state["wallet_address"] = f"addr_test1{vu.random.getrandbits(256):064x}"
    vu.state["biometric_hash"] = f"{vu.random.getrandbits(256):064x}"


@fl.setup
async def prepare(vu: fl.VU) -> dict[str, float]:
    reply = await vu.get("/health")
    if not reply.ok:
        fl.abort(f"the DID API at {vu.base_url} is not healthy: {reply.error or reply.status}")
    print(f"DID load test begins on {vu.base_url}", file=sys.stderr)
    return {"began_s": time.time()}


@fl.teardown
async def finish(vu: fl.VU) -> None:
    if vu.setup_data:
        print(f"DID load test ended after {time.time() - vu.setup_data['began_s']:.0f} s", file=sys.stderr)


@fl.scenario(
    stages=["2m:100", "3m:500", "3m:1000", "2m:1000", "2m:0"],
    base_url=API_URL,
    on_start=begin,
    thresholds={
        "http_req_duration": ["p(95)<150", "p(99)<300"],
        "http_req_failed": "rate<0.01",
        "errors": "rate<0.01",
        "enrollment_duration": "p(95)<150",
        "verification_duration": "p(95)<75",
    },
)
async def did_flow(vu: fl.VU) -> None:
    chance = vu.random.random()
    if chance < 0.2:
        await health(vu)
    elif chance < 0.4:
        await enroll(vu)
    else:
        await verify(vu)
    await vu.sleep(1, 3)


async def health(vu: fl.VU) -> None:
    reply = await vu.get("/health", name="health")
    errors.add(not vu.check(reply, {"health: status is 200": reply.status == 200}))


async def enroll(vu: fl.VU) -> None:
    """201, or 409 when this user has enrolled before."""
    body = {**vu.state, "metadata": {"device_id": f"device-{vu.id}", "enrollment_type": "fingerprint"}}
    reply = await vu.post("/api/v1/did/enroll", json=body, name="enroll", expected=(201, 409))
    enrollment_ms.add(reply.duration_ms)
    errors.add(not vu.check(reply, {"enroll: status is 201 or 409": reply.ok}))


async def verify(vu: fl.VU) -> None:
    """200, or 401 when this user has not enrolled yet."""
    body = {**vu.state, "timestamp": int(time.time())}
    reply = await vu.post("/api/v1/did/verify", json=body, name="verify", expected=(200, 401))
    verification_ms.add(reply.duration_ms)
    errors.add(not vu.check(reply, {"verify: status is 200 or 401": reply.ok}))
