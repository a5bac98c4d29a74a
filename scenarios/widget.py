"""The handshake of the embed widget, up to 10,000 users at the same time.

Run it with ``fastload run scenarios/widget.py --target widget``, or against your own with ``--base-url``. Names that it
reads from the environment: WIDGET_URL, or else BASE_URL. It writes load-test-results.json.
"""

import json

import fastload as fl

WIDGET_URL = fl.env("WIDGET_URL", fl.env("BASE_URL", "http://localhost:8080"))
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36"

token_ok = fl.Rate("token_success")
validate_ok = fl.Rate("validate_success")
token_ms = fl.Trend("token_latency", unit="ms")
validate_ms = fl.Trend("validate_latency", unit="ms")
handshake_ms = fl.Trend("handshake_latency", unit="ms")
errors = fl.Counter("errors")


@fl.scenario(
    stages=["2m:1000", "5m:5000", "5m:10000", "10m:10000", "2m:0"],
    base_url=WIDGET_URL,
    thresholds={
        "token_latency": ["p(95)<300", "p(99)<500"],
        "validate_latency": ["p(95)<200", "p(99)<400"],
        "handshake_latency": ["p(95)<600", "p(99)<1000"],
        "token_success": "rate>0.99",
        "validate_success": "rate>0.99",
        "http_req_duration": ["p(95)<500", "p(99)<1000"],
        "http_req_failed": "rate<0.01",
    },
)
async def widget(vu: fl.VU) -> None:
    async with vu.group("Widget Handshake Flow"):
        await handshake(vu)
    await vu.sleep(1, 3)


async def handshake(vu: fl.VU) -> None:
    shop = f"shop-{vu.id % 100}.example"
    given = await vu.get(
        "/api/embed/token",
        params={"shop": shop},
        headers={"Origin": f"https://{shop}", "User-Agent": USER_AGENT},
        name="token",
    )
    token_ms.add(given.duration_ms)
    token_ok.add(given.status == 200)
    if not vu.check(given, {"token: status is 200": given.status == 200}):
        errors.add()
        return
    token = given.json()
    await vu.sleep(0, 0.5)

    reply = await vu.post(
        "/api/embed/validate",
        json={"nonce": token["nonce"]},
        headers={"Authorization": f"Bearer {token['token']}", "Origin": f"https://{shop}", "User-Agent": USER_AGENT},
        name="validate",
    )
    validate_ms.add(reply.duration_ms)
    # What the user waits for: the pause between the two is the browser's.
    handshake_ms.add(given.duration_ms + reply.duration_ms)
    valid = vu.check(
        reply, {"validate: status is 200": reply.status == 200, "valid": lambda r: r.ok and r.json()["valid"] is True}
    )
    validate_ok.add(valid)
    if not valid:
        errors.add()


@fl.handle_summary
def report(summary: fl.Summary) -> dict[str, str]:
    metrics = summary.metrics
    lines = [
        "Widget handshake",
        f"  tokens given       {metrics['token_success'].rate or 0:12.2%}",
        f"  nonces validated   {metrics['validate_success'].rate or 0:12.2%}",
        f"  errors             {metrics['errors'].count:12,.0f}",
    ]
    for name in ("token_latency", "validate_latency", "handshake_latency"):
        times = metrics[name]
        lines.append(f"  {name:<18} p95 {times.p(95) or 0:9.1f} ms   p99 {times.p(99) or 0:9.1f} ms")
    return {
        "stdout": "\n".join(lines) + "\n\n" + fl.summary_text(summary),
        "load-test-results.json": json.dumps(summary.to_dict(), indent=2),
    }
