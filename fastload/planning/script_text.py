"""Text of a script: whether it may give something a name."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def script_mentions(functions: Iterable[Any]) -> Callable[[str], bool]:
    """Return a function that says whether a text is written as a value or as the name of an argument, as tags are, in
    the script of *functions*, or in a module beside or below it.

    If no file can be read, as in a shell, any text may be in it.
    """
    names = {code.co_filename for one in functions if (code := getattr(one, "__code__", None))}
    files = {Path(name).absolute() for name in names if Path(name).is_file()}

    def mentions(text: str) -> bool:
        folders = {file.parent for file in files}
        loaded = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        beside = {
            path
            for path in (Path(name).absolute() for name in loaded if isinstance(name, str))
            if "site-packages" not in path.parts and not folders.isdisjoint(path.parents)
        }
        sources = [_read(path) for path in files | beside]
        written = re.compile(rf"""(['"]){re.escape(text)}\1|\b{re.escape(text)}\s*=""")
        return not files or any(written.search(source) for source in sources)

    return mentions


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
