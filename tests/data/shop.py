"""The scenarios of the golden run: a shop on the `score` target, with everything that a report can show."""

import fastload as fl

spent = fl.Trend("spent", unit="ms")
orders = fl.Counter("orders")


@fl.scenario(
    vus=4,
    duration="4s",
    thresholds={
        "http_req_duration": ["p(95)<1s", "p(99)<1us"],
        "http_req_failed": "rate<0.01",
        "orders{region:eu}": "count>10",
        "checks": "rate>0.9 for 1s",
    },
)
async def browse(vu: fl.VU) -> None:
    """Look at something, and sometimes at what is not there."""
    async with vu.group("look"):
        found = await vu.get("/embed/score/1/0x0000000000000000000000000000000000000001", name="/embed/score/{address}")
        vu.check(found, {"found | <b>it</b>": lambda reply: reply.status == 200})
        spent.add(found.timings.waiting_ms)
    if vu.iteration % 3 == 0:
        await vu.get("/nothing`here`", name="/nothing`here`")
    orders.add(1, {"region": "eu" if vu.id % 2 else "us"})
    if vu.iteration % 20 == 19:
        raise ValueError("sold out <b>|</b>")
    await vu.sleep(0.02)


@fl.scenario(rate=30, duration="3s", max_vus=10, start_time="500ms")
async def pay(vu: fl.VU) -> None:
    """Pay by the clock, at a bank that is closed."""
    await vu.post("/embed/auto-verify", json={"address": "0x01", "scorerId": "1"}, name="/embed/auto-verify")
    await vu.get("http://127.0.0.1:1/bank", name="bank")
