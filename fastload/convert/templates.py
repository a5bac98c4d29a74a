"""Templates of first scripts, one for each kind of load."""

from __future__ import annotations

from pathlib import Path

from fastload.convert.script.names import identifier
from fastload.convert.script.writer import Conversion

_MINIMAL = '''
"""Ten users who look at one page, again and again.

Run it with:

    fastload run __PATH__ __OPTIONS__
"""

import fastload as fl


@fl.scenario(
    vus=10,
    duration="30s",
    thresholds={"http_req_failed": "rate<0.01", "http_req_duration": "p(95)<500"},
)
async def __NAME__(vu: fl.VU) -> None:
    reply = await vu.get("/health")
    vu.check(reply, {"status is 200": reply.status == 200})
    await vu.sleep(0.5, 1.5)
'''

_STAGES = '''
"""Users who come, stay and leave: the ramp of a busy day, in small.

Run it with:

    fastload run __PATH__ __OPTIONS__
"""

import fastload as fl


@fl.scenario(
    stages=["30s:20", "1m:20", "10s:0"],
    thresholds={
        "http_req_failed": "rate<0.01",
        "group_duration{group:visit}": "p(95)<4000",
    },
)
async def __NAME__(vu: fl.VU) -> None:
    async with vu.group("visit"):
        reply = await vu.get("/health", name="front page")
        vu.check(reply, {"front page: status is 200": reply.status == 200})
        await vu.sleep(0.5, 1.5)
        reply = await vu.get("/stats", name="details")
        vu.check(reply, {"details: status is 200": reply.status == 200})
    await vu.sleep(1, 3)
'''

_ARRIVAL = '''
"""A fixed number of visits a second, by the clock, however long the server takes.

Run it with:

    fastload run __PATH__ __OPTIONS__
"""

import fastload as fl


@fl.scenario(
    rate="20/s",
    duration="1m",
    max_vus=100,
    thresholds={
        "http_req_failed": "rate<0.01",
        "http_req_response_time": ["p(95)<500", "p(99)<1000"],
        "dropped_iterations": "count==0",
    },
)
async def __NAME__(vu: fl.VU) -> None:
    reply = await vu.get("/health")
    vu.check(reply, {"status is 200": reply.status == 200})
'''

_DATA = '''
"""Users who differ: each has a row of __STEM__.csv, which all processes share.

Run it with:

    fastload run __PATH__ __OPTIONS__
"""

import fastload as fl

users = fl.data("__STEM__.csv")


@fl.scenario(
    vus=3,
    duration="30s",
    thresholds={"http_req_failed": "rate<0.01", "checks": "rate>0.99"},
)
async def __NAME__(vu: fl.VU) -> None:
    user = users.of(vu)
    reply = await vu.get("/health", params={"user": user["name"]}, name="front page")
    vu.check(reply, {"status is 200": reply.status == 200})
    await vu.sleep(0.5, 1.5)
'''

DATA_TEMPLATE = "data"
TEMPLATES = {"minimal": _MINIMAL, "stages": _STAGES, "arrival": _ARRIVAL, DATA_TEMPLATE: _DATA}
_OPTIONS = ("--base-url", "http://localhost:8080")


def from_template(template: str, path: Path) -> Conversion:
    """Return a script for *path*, made from one of `TEMPLATES`."""
    text = TEMPLATES[template].lstrip("\n")
    words = {
        "__PATH__": str(path),
        "__STEM__": path.stem,
        "__NAME__": identifier(path.stem, "visit"),
        "__OPTIONS__": " ".join(_OPTIONS),
    }
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return Conversion(text, options=_OPTIONS)


def data_rows() -> str:
    """Return the CSV file that the data template reads."""
    return "name,team\nada,blue\nbob,green\ncem,blue\n"
