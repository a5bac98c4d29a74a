"""Scores of addresses, read and then verified again. The addresses come from a file that all users share.

Run it with ``fastload run scenarios/score.py --target score -e API_KEY=secret -e SCORER_ID=1``, or against your own
with ``--base-url``. Names that it reads from the environment: EMBED_API_URL, API_KEY and SCORER_ID (both required), and
ADDRESSES_FILE, a JSON array of addresses (./addresses.json).
"""

from pathlib import Path

import fastload as fl

EMBED_API_URL = fl.env("EMBED_API_URL", "http://localhost:8080")
HEADERS = {"X-API-Key": fl.env("API_KEY")}
SCORER_ID = fl.env("SCORER_ID")
# Relative to the folder in which the command is called, not to that of this script.
addresses = fl.data(Path(fl.env("ADDRESSES_FILE", "./addresses.json")).absolute())

score_ms = fl.Trend("score_get_duration", unit="ms")
verify_ms = fl.Trend("auto_verify_duration", unit="ms")
score_errors = fl.Rate("score_get_errors")
verify_errors = fl.Rate("auto_verify_errors")


@fl.scenario(
    stages=["30s:10", "1m:10", "30s:0"],
    base_url=EMBED_API_URL,
    thresholds={
        "score_get_duration": "p(95)<1000",
        "auto_verify_duration": "p(95)<3000",
        "http_req_failed": "rate<0.05",
        "http_req_duration": "p(95)<2000",
    },
)
async def score(vu: fl.VU) -> None:
    address = addresses.next()
    got = await vu.get(f"/embed/score/{SCORER_ID}/{address}", headers=HEADERS, name="score")
    score_ms.add(got.duration_ms)
    good = vu.check(
        got, {"score: status is 200": got.status == 200, "score: has a score": lambda r: r.ok and "score" in r.json()}
    )
    score_errors.add(not good)

    body = {"address": address, "scorerId": SCORER_ID}
    verified = await vu.post("/embed/auto-verify", json=body, headers=HEADERS, name="auto-verify")
    verify_ms.add(verified.duration_ms)
    good = vu.check(
        verified,
        {
            "auto-verify: status is 200": verified.status == 200,
            "auto-verify: has a score": lambda r: r.ok and "score" in r.json(),
        },
    )
    verify_errors.add(not good)
