"""Saved runs of many seconds, as of a test that went on overnight."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fastload.outputs.streams.run_file import RunFile
from tests.outputs.seconds import START_NS, made_run


def save_long_run(path: Path, seconds: int, *, complete: bool = True, run_id: str = "long", rate: int = 20) -> Path:
    """Write the run file of a run in which the same sixty seconds come again and again; its summary is of the first."""
    made = made_run(seconds=60, requests_per_s=rate)
    plan = {**made.header.plan, "scenarios": [made.header.plan["scenarios"][0] | {"duration_s": float(seconds)}]}
    file = RunFile(str(path))
    file.open(replace(made.header, run_id=run_id, plan=plan))
    for number in range(1, seconds + 1):
        file.write(
            replace(
                made.seconds[(number - 1) % 60],
                t_s=float(number),
                elapsed_s=float(number),
                time_ns=START_NS + number * 10**9,
            )
        )
    file.close({**made.summary, "duration_s": float(seconds)} if complete else None)
    return path


if __name__ == "__main__":
    import sys

    save_long_run(Path(sys.argv[1]), int(sys.argv[2]), rate=200)
