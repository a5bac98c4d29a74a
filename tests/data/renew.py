"""Makes the golden run and the golden reports of ``tests/cli/test_report.py`` anew.

``python -m tests.data.renew`` makes the reports of the run that is there, after a change of what they say. With
``--run`` it makes the run first, which is only needed when the format of run files changes. Look at the difference
before you commit it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fastload.model.saved.codec import PREAMBLE, pack_record, unpack_payload
from fastload.model.saved.run_file import RunReader
from tests.conftest import cli_command, cli_env

FOLDER = Path(__file__).parent
RUN = FOLDER / "golden.fastload"
REPORTS = {
    "--md": "golden.md",
    "--junit": "golden.xml",
    "--json": "golden.json",
    "--hlog": "golden.hlog",
    "--csv": "golden",
}
FILES = (
    *(name for option, name in REPORTS.items() if option != "--csv"),
    *(f"golden_{name}.csv" for name in ("stats", "stats_history", "failures", "exceptions")),
)


def make_reports(folder: Path) -> None:
    """The golden reports, in *folder*."""
    options = [word for option, name in REPORTS.items() for word in (option, str(folder / name))]
    subprocess.run(cli_command("report", str(RUN), *options), env=cli_env(), check=True)


def make_run() -> None:
    """A real run of `shop.py`, whose tracebacks then do not say where it was made."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "shop.py").write_bytes((FOLDER / "shop.py").read_bytes())
        made = folder / "made.fastload"
        command = cli_command(
            "run", "shop.py", "--target", "score", "-w", "2", "--seed", "7", "-q", "--save", str(made)
        )
        subprocess.run(command, cwd=folder, env=cli_env(), check=False)
        with RunReader(made) as reader:
            records = [(kind, without(unpack_payload(payload), f"{name}/")) for kind, payload in reader._payloads()]
    RUN.write_bytes(PREAMBLE + b"".join(pack_record(kind, body) for kind, body in records))


def without(value: Any, text: str) -> Any:
    """Plain data whose texts do not have *text* in them."""
    if isinstance(value, dict):
        return {key: without(one, text) for key, one in value.items()}
    if isinstance(value, list):
        return [without(one, text) for one in value]
    return value.replace(text, "") if isinstance(value, str) else value


if __name__ == "__main__":
    if "--run" in sys.argv[1:]:
        make_run()
    make_reports(FOLDER)
