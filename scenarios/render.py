"""The render pipeline with 500 jobs at the same time: each user queues one, and asks for it until it is done.

Run it with ``fastload run scenarios/render.py --target widget``, or against your own with ``--base-url``. Names that it
reads from the environment: BASE_URL, API_KEY, and POLL_S, the seconds between two questions (5). It writes
worker-load-test-results.json.
"""

import json
import time

import fastload as fl

BASE_URL = fl.env("BASE_URL", "http://localhost:8080")
API_KEY = fl.env("API_KEY", None)
HEADERS = {"Authorization": f"Bearer {API_KEY}"} if API_KEY else {}
POLL_S = fl.env("POLL_S", 5.0)
MOST_POLLS = 60

enqueue_ok = fl.Rate("enqueue_success")
job_ok = fl.Rate("job_completion")
enqueue_ms = fl.Trend("enqueue_latency", unit="ms")
job_ms = fl.Trend("job_processing_time", unit="ms")
rate_limit_hits = fl.Counter("rate_limit_hits")
queue_depth = fl.Gauge("queue_depth")


@fl.scenario(
    vus=500,
    duration="5m",
    base_url=BASE_URL,
    thresholds={
        "enqueue_success": "rate>0.95",
        "job_completion": "rate>0.90",
        "enqueue_latency": ["p(95)<500", "p(99)<1000"],
        "http_req_duration": ["p(95)<1000", "p(99)<2000"],
        "http_req_failed": "rate<0.05",
    },
)
async def render(vu: fl.VU) -> None:
    began_s = time.monotonic()
    job_id = await enqueue(vu)
    if job_id:
        completed = await wait_for(vu, job_id)
        job_ok.add(completed)
        if completed:
            job_ms.add((time.monotonic() - began_s) * 1000)


async def enqueue(vu: fl.VU) -> str:
    """The id of a new job; "" when it was not taken."""
    kind = vu.random.choice(["2d", "3d", "ar"])
    body = {"type": kind, "prompt": f"a lamp, number {vu.iteration}", "options": {"quality": "high", "format": "png"}}
    reply = await vu.post(f"/api/designs/{vu.id}/render", json=body, headers=HEADERS, name="render")
    enqueue_ms.add(reply.duration_ms)
    taken = vu.check(reply, {"render: status is 200 or 202": reply.status in (200, 202)})
    enqueue_ok.add(taken)
    rate_limit_hits.add(reply.status == 429)
    if taken:
        return str(reply.json()["jobId"])
    await vu.sleep(1)
    return ""


async def wait_for(vu: fl.VU, job_id: str) -> bool:
    """Whether the job completed, in so many polls at most."""
    for _ in range(MOST_POLLS):
        await vu.sleep(POLL_S)
        reply = await vu.get(f"/api/jobs/{job_id}/status", headers=HEADERS, name="status")
        if vu.check(reply, {"status: status is 200": reply.status == 200}):
            job = reply.json()
            queue_depth.add(job["queueDepth"])
            if job["status"] in ("completed", "failed"):
                return bool(job["status"] == "completed")
    return False


@fl.handle_summary
def report(summary: fl.Summary) -> dict[str, str]:
    metrics = summary.metrics
    lines = [
        "Render pipeline",
        f"  jobs taken      {metrics['enqueue_success'].rate or 0:12.2%}",
        f"  jobs completed  {metrics['job_completion'].rate or 0:12.2%}",
        f"  processing p95  {metrics['job_processing_time'].p(95) or 0:9.0f} ms",
        f"  rate limit hits {metrics['rate_limit_hits'].count:12,.0f}",
        f"  deepest queue   {metrics['queue_depth'].max or 0:12,.0f}",
    ]
    return {
        "stdout": "\n".join(lines) + "\n\n" + fl.summary_text(summary),
        "worker-load-test-results.json": json.dumps(summary.to_dict(), indent=2),
    }
