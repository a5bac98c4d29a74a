"""The staged runs: state, cause, remedy and limit of each are right, and the table of the docs is this one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.verdicts.cases import CASES, Case
from tests.verdicts.stage import NotHere, is_disturbed, stage

_TRIES = 3


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_verdict_of_each_case(case: Case, tmp_path: Path) -> None:
    """Other tests run at the same time. Where they take the CPU of a case, the verdict has to say that, and the case is
    staged again."""
    for number in range(_TRIES):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            staged = stage(case, folder)
        except NotHere as error:
            pytest.skip(str(error))
        # Whatever disturbs a run, its own accounts agree.
        assert "own_accounts" not in {one["cause"] for one in staged.summary["verdict"]["findings"]}
        if not staged.wrong:
            return
        assert is_disturbed(staged.summary), staged.wrong
    pytest.skip("other work on this machine took the CPU of each try, and the verdict said so")


def test_the_table_of_the_docs_is_this_one() -> None:
    page = (REPO / "docs" / "numbers.md").read_text()
    table = re.findall(
        r"^\| ([^|]+) \| ([A-Z`, ]+) \| `(\w+)` \| ([^|]*) \|$", page.partition("### Staged runs")[2], re.M
    )
    assert table == [
        (case.what, ", ".join(f"`{state}`" for state in case.states), case.cause, case.remedy) for case in CASES
    ]
