"""Names in generated scripts: makes names of functions, constants and requests, and detects names of secrets."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Collection, Iterable
from urllib.parse import unquote

from fastload.model import redaction

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ID = re.compile(
    r"\d+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{16,}",
    re.IGNORECASE,
)
# Names that every generated script may use already.
_TAKEN = ("fl", "vu", "asyncio", "reply")
# Variables that are set anyway: by login shells, desktops, containers and CI.
_SET_ANYWAY = (
    *("CI", "COLUMNS", "DEBUG", "DESKTOP_SESSION", "DISPLAY", "EDITOR", "EUID", "GID", "GPG_KEY", "GROUPS", "HOME"),
    *("HOST", "HOSTNAME", "HOSTTYPE", "IFS", "JOB_NAME", "LANG", "LANGUAGE", "LINES", "LOGNAME", "MACHTYPE", "MAIL"),
    *("NAME", "OLDPWD", "OS", "OSTYPE", "PAGER", "PATH", "PORT", "PPID", "PWD", "RANDOM", "SECONDS"),
    *("SESSION_MANAGER", "SHELL", "SHLVL", "TEMP", "TERM", "TMP", "TMPDIR", "TZ", "UID", "USER", "USERNAME"),
    *("VIRTUAL_ENV", "VISUAL", "WORKSPACE"),
)
_SET_ANYWAY_PREFIXES = (
    *("ACTIONS_", "BASH_", "BUILD_", "CI_", "DBUS_", "FASTLOAD_", "GITHUB_", "GITLAB_", "GPG_AGENT_", "JENKINS_"),
    *("KUBERNETES_", "LC_", "PYTHON", "RUNNER_", "SSH_", "SUDO_", "XDG_"),
)
_LONGEST_IDENTIFIER = 50
LONGEST_NAME = 60


def identifier(text: str, default: str) -> str:
    """Return a function name made of the words of *text* in ``lower_case``; *default* if *text* has no words."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = "_".join(word.lower() for word in _WORDS.findall(plain))[:_LONGEST_IDENTIFIER].strip("_")
    if not name:
        return default
    if name[0].isdigit():
        name = f"{default}_{name}"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name) or name in _TAKEN:
        name += "_"
    return name


def constant(text: str, default: str = "VALUE") -> str:
    """Return an ``UPPER_CASE`` name for a constant or an environment variable."""
    return identifier(text, default.lower()).upper().rstrip("_")


def environment_name(name: str) -> str:
    """Return *name*, or ``NAME_VALUE`` for what is set anyway, like ``PWD`` and ``USER``: nobody would be asked for it,
    and its value is another one."""
    is_set = name in _SET_ANYWAY or name.startswith(_SET_ANYWAY_PREFIXES)
    return f"{name}_VALUE" if is_set and not name.endswith("_VALUE") else name


def unique(name: str, taken: Collection[str], joint: str = "_") -> str:
    """Return *name*; if it is in *taken*, with *joint* and the first free number (from 2) appended."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}{joint}{number}"
    return found


def is_secret_field(name: str) -> bool:
    """Return whether a field of this name holds a secret, which must not be written into a script."""
    # A field that is called just "key" mostly names the value beside it.
    return name.lower() != "key" and redaction.is_secret(name)


def request_name(path: str) -> str:
    """Return the request name for *path*: segments that are numbers, UUIDs or long hex become ``{id}``."""
    plain = unquote(path)
    # Escapes of another encoding than UTF-8 stay.
    parts = (path if "\ufffd" in plain else plain).split("/")
    name = "/".join("{id}" if _ID.fullmatch(part) else part for part in parts)
    return single_line(name) or "/"


def single_line(text: str, longest: int = LONGEST_NAME) -> str:
    """Return *text* without line breaks and control characters, cut to *longest* characters."""
    plain = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return plain if len(plain) <= longest else f"{plain[: longest - 3].rstrip()}..."


def counted(words: Iterable[str], most: int = 5) -> str:
    """Return the distinct words with their counts, like ``"a (2), b"``: the most frequent first, at most *most*."""
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    ordered = sorted(counts, key=lambda word: -counts[word])
    shown = [f"{word} ({counts[word]})" if counts[word] > 1 else word for word in ordered[:most]]
    return ", ".join(shown) + (f" and {len(ordered) - most} more" if len(ordered) > most else "")
