"""The widget's handshake with its pauses, as scenarios/widget.py makes it, and how late its pauses end."""

import time

import fastload as fl

USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36"

token_ok = fl.Rate("token_success")
validate_ok = fl.Rate("validate_success")
token_ms = fl.Trend("token_latency", unit="ms")
validate_ms = fl.Trend("validate_latency", unit="ms")
handshake_ms = fl.Trend("handshake_latency", unit="ms")
lateness_ms = fl.Trend("sleep_lateness", unit="ms")
errors = fl.Counter("errors")


@fl.scenario
async def widget(vu: fl.VU) -> None:
    """One handshake in its group, then 1 to 3 s."""
    async with vu.group("Widget Handshake Flow"):
        await handshake(vu)
    await pause(vu, 1, 3)


async def handshake(vu: fl.VU) -> None:
    """A token, a pause, and its nonce validated."""
    shop = f"shop-{vu.id % 100}.example"
    headers = {"Origin": f"https://{shop}", "User-Agent": USER_AGENT}
    given = await vu.get("/api/embed/token", params={"shop": shop}, headers=headers, name="token")
    token_ms.add(given.duration_ms)
    token_ok.add(given.status == 200)
    if not vu.check(given, {"token: status is 200": given.status == 200}):
        errors.add()
        return
    token = given.json()
    await pause(vu, 0, 0.5)
    headers["Authorization"] = f"Bearer {token['token']}"
    reply = await vu.post("/api/embed/validate", json={"nonce": token["nonce"]}, headers=headers, name="validate")
    validate_ms.add(reply.duration_ms)
    handshake_ms.add(given.duration_ms + reply.duration_ms)
    valid = vu.check(reply, {"valid": reply.ok and reply.json()["valid"] is True})
    validate_ok.add(valid)
    if not valid:
        errors.add()


async def pause(vu: fl.VU, least_s: float, most_s: float) -> None:
    """Sleep for a random time between the two, and record how much longer it took."""
    asked_s = vu.random.uniform(least_s, most_s)
    before_s = time.monotonic()
    await vu.sleep(asked_s)
    lateness_ms.add(max(0.0, (time.monotonic() - before_s - asked_s) * 1000))
