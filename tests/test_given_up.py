"""Requests for whose response the script does not wait: they have failed; only the end of the run interrupts."""

from __future__ import annotations

from tests.life import Life


def test_what_the_script_gives_up_has_failed(life: Life) -> None:
    """The server takes 200 ms, a time-out of the script 20 ms, and an iteration_timeout 50 ms."""
    done = life.run(
        """
import asyncio
import fastload as fl

async def silent(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    await asyncio.sleep(0.2)
    writer.close()

@fl.scenario(vus=1, iterations=5)
async def impatient(vu):
    if vu.iteration == 0:
        vu.state["server"] = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = vu.state["server"].sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(0.02):
            await vu.get(f"http://127.0.0.1:{port}/slow")
    except TimeoutError:
        pass
    if vu.iteration == 4:
        vu.state["server"].close()
""",
        "--base-url",
        "http://127.0.0.1",
    )
    assert done.code == 0, done.stdout + done.stderr
    assert done.summary["requests"]["interrupted"] == 0
    assert done.summary["metrics"]["http_req_failed"]["fails"] == 5
    (error,) = done.summary["errors"]
    assert (error["kind"], error["count"]) == ("given_up", 5)
    assert done.summary["verdict"]["state"] == "SUSPECT"
