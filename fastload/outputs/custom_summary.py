"""The result of the hook ``handle_summary``: a text for the terminal, and files to write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fastload.model.errors import FastloadError, OutputError
from fastload.model.wire_text import utf8
from fastload.outputs.base import writing
from fastload.outputs.files import replace_file

STDOUT, STDERR = "stdout", "stderr"


class CustomSummary(NamedTuple):
    """The result of ``handle_summary``: *report* (stdout) and *stderr* are texts or "", *files* is content by path."""

    report: str = ""
    stderr: str = ""
    files: Mapping[str, bytes] = {}


def read_custom_summary(returned: Any) -> CustomSummary:
    """Convert the return value of ``handle_summary``.

    It is None, a text for stdout, or a mapping from a path, "stdout" or "stderr" to text or bytes.

    Raises:
        FastloadError: *returned* has another type.
    """
    if returned is None:
        return CustomSummary()
    if isinstance(returned, str):
        return CustomSummary(returned)
    wrong = isinstance(returned, Mapping) and [
        path for path, text in returned.items() if not isinstance(path, str | Path) or not isinstance(text, str | bytes)
    ]
    if not isinstance(returned, Mapping) or wrong:
        what = f"{type(returned[wrong[0]]).__name__} for {wrong[0]!r}" if wrong else type(returned).__name__
        raise FastloadError(
            f"handle_summary returned {what}", hint='return a text, or a dict like {"stdout": text, "report.txt": text}'
        )
    texts = {str(path): utf8(text) if isinstance(text, str) else text for path, text in returned.items()}
    report, stderr = (texts.pop(name, b"").decode("utf-8", "replace") for name in (STDOUT, STDERR))
    return CustomSummary(report, stderr, texts)


def write_files(files: Mapping[str, bytes]) -> list[str]:
    """Write all *files*, each whole or not at all, and return one message for each that could not be written."""
    problems = []
    for path, content in files.items():
        try:
            with writing(f"summary file {path!r}"):
                replace_file(Path(path), content)
        except OutputError as error:
            problems.append(error.message)
    return problems
