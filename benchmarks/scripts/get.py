"""One GET an iteration: what an awaiting scenario costs."""

import fastload as fl


@fl.scenario
async def get(vu: fl.VU) -> None:
    """GET / once."""
    await vu.get("/")
