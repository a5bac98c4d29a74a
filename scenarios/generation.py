"""Image generation: setup logs in once, each user starts a generation and asks for it until it is done.

Run it with ``fastload run scenarios/generation.py --target generation``, or against your own with ``--base-url``. Names
that it reads from the environment: API_BASE, TEST_EMAIL (test@example.com), TEST_PASSWORD (testpassword123), STREAM
(yes: read the stream of events instead), and POLL_S, the seconds between two questions (1).
"""

import sys

import fastload as fl

API_BASE = fl.env("API_BASE", "http://localhost:5001")
EMAIL = fl.env("TEST_EMAIL", "test@example.com")
PASSWORD = fl.env("TEST_PASSWORD", "testpassword123")
STREAM = fl.env("STREAM", False)
POLL_S = fl.env("POLL_S", 1.0)
MOST_POLLS = 120

errors = fl.Rate("errors")
generation_ok = fl.Rate("generation_success")
response_ms = fl.Trend("response_time", unit="ms")
credit_errors = fl.Counter("credit_errors")
provider_errors = fl.Counter("provider_errors")


@fl.setup
async def log_in(vu: fl.VU) -> dict[str, str]:
    reply = await vu.post("/api/auth/login", json={"email": EMAIL, "password": PASSWORD})
    if not reply.ok:
        fl.abort(f"the login of {EMAIL} at {vu.base_url} failed: {reply.error or reply.status}")
    print("login successful", file=sys.stderr)
    return {"Authorization": f"Bearer {reply.json()['token']}"}


@fl.scenario(
    stages=["10s:5", "20s:10", "30s:10", "10s:0"],
    base_url=API_BASE,
    thresholds={
        "errors": "rate<0.1",
        "generation_success": "rate>0.8",
        "http_req_duration": "p(95)<30000",
        "http_req_failed": "rate<0.1",
    },
)
async def generation(vu: fl.VU) -> None:
    reply = await vu.post(
        "/api/generations",
        json={"prompt": f"a lighthouse, number {vu.iteration}"},
        headers=vu.setup_data,
        name="generate",
    )
    response_ms.add(reply.duration_ms)
    started = vu.check(reply, {"generate: status is 202": reply.status == 202})
    errors.add(not started)
    if reply.status == 402:
        credit_errors.add()
    elif reply.status >= 500:
        provider_errors.add()
    wait = stream if STREAM else poll
    generation_ok.add(started and await wait(vu, f"/api/generations/{reply.json()['session_id']}"))
    await vu.sleep(1)


async def poll(vu: fl.VU, url: str) -> bool:
    """Whether the generation completed."""
    status = "processing"
    for _ in range(MOST_POLLS):
        await vu.sleep(POLL_S)
        reply = await vu.get(url, headers=vu.setup_data, name="status")
        status = reply.json()["status"] if reply.ok else "unknown"
        if status != "processing":
            break
    return vu.check(status, {"completed": status == "completed"})


async def stream(vu: fl.VU, url: str) -> bool:
    """The same, told by the server."""
    last = ""
    async with vu.stream("GET", f"{url}/stream", headers=vu.setup_data, name="stream") as reply:
        async for event in reply.events():
            last = event.event
    return vu.check(reply, {"completed": last == "completed"})
