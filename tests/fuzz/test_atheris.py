"""Coverage-guided fuzzing of frames and run files by atheris, for a bounded time: what chance alone does not reach.

atheris is libFuzzer for Python. It ends its process, so it has one of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import REPO

SECONDS = int(os.environ.get("FASTLOAD_ATHERIS_SECONDS", "10"))
"""For each of the three. Most of the way is found in the first seconds."""


@pytest.mark.skipif(find_spec("atheris") is None, reason="there is no wheel of atheris for this Python")
@pytest.mark.timeout(SECONDS * 4 + 120)
@pytest.mark.parametrize("name", ["frames", "deltas", "run_files"])
def test_nothing_that_atheris_finds_ends_in_another_error(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.atheris_target", name, f"-max_total_time={SECONDS}", "-max_len=512"),
            *(
                "-seed=1",
                "-len_control=0",
                # The peak of the resident set is that of the process that started this one, too.
                "-rss_limit_mb=0",
                "-malloc_limit_mb=1024",
                "-timeout=20",
                f"-artifact_prefix={tmp_path}/",
            ),
        ],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=SECONDS * 4 + 100,
    )
    found = [path.name for path in tmp_path.iterdir()]
    assert (done.returncode, found) == (0, []), done.stdout[-2_000:] + done.stderr[-3_000:]
    assert "Done" in done.stderr
