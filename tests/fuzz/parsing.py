"""How the parsers are fuzzed: how many cases, from which seed, and what may come of a case.

``FASTLOAD_FUZZ_CASES`` is the number of cases of each parser, 10,000 by default. ``FASTLOAD_FUZZ_SEED`` makes other
cases: 0 by default, so that every run has the same ones.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fastload.model.errors import FastloadError
from tests.fuzz.source import Source

CASES = int(os.environ.get("FASTLOAD_FUZZ_CASES", "10000"))
SEED = int(os.environ.get("FASTLOAD_FUZZ_SEED", "0"))
_LONGEST_S = 5.0
"""Longest CPU time of a case: what takes more than linear time needs minutes for some of them."""
# What hypothesis does for an example takes longer than most parsers, so each example has several cases.
_CASES_OF_EXAMPLE = 25
_BYTES_OF_CASE = 96


def fuzz(run: Callable[[Source], Any], *, cases: int = CASES) -> None:
    """Call *run* with *cases* sources: each case gives a value, or the project's own error, in bounded time.

    *run* makes a case of its source, and parses it. What it checks of a value, it asserts. At least one case in a
    hundred gives a value: where nearly all end in errors, the first check of a parser keeps them from all others.
    """
    outcomes: Counter[bool] = Counter()

    @settings(
        # The first example is all zeros, which makes the same case of each of its pieces.
        max_examples=1 + -(-cases // _CASES_OF_EXAMPLE),
        database=None,
        deadline=None,
        # Explaining takes minutes, and the case says enough.
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @seed(SEED)
    @given(st.binary(min_size=_CASES_OF_EXAMPLE * _BYTES_OF_CASE, max_size=_CASES_OF_EXAMPLE * _BYTES_OF_CASE))
    def examples(data: bytes) -> None:
        pieces = (data[begin : begin + _BYTES_OF_CASE] for begin in range(0, len(data), _BYTES_OF_CASE))
        for piece in dict.fromkeys(pieces):
            outcomes[run_case(run, piece)] += 1

    examples()
    assert outcomes.total() >= cases
    assert outcomes[True] >= cases / 100, f"{outcomes[True]:,} of {outcomes.total():,} cases gave a value"


def written(path: Path, content: str | bytes) -> Path:
    """Write *path* anew with *content*, text as UTF-8.

    ext4 waits for the disk when a file that is there is written again: 2 ms, which is more than most cases take.
    """
    path.unlink(missing_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    return path


def run_case(run: Callable[[Source], Any], data: bytes) -> bool:
    """Run the case that *data* makes; return whether it gave a value."""
    began_s = time.process_time()
    gave_value = True
    try:
        run(Source(data))
    except FastloadError as error:
        _check_message(error)
        gave_value = False
    spent_s = time.process_time() - began_s
    assert spent_s < _LONGEST_S, f"{spent_s:.1f} s for one case"
    return gave_value


def _check_message(error: FastloadError) -> None:
    assert error.message
    assert len(error.message) + len(error.hint) < 10_000
