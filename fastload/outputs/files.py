"""Files that outputs write: checked before the run, and replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from fastload.model.errors import PlanError

_EFFECTIVE = os.access in os.supports_effective_ids


def check_file(path: Path, option: str, *, example: str) -> None:
    """Find out, before the run, whether a file can be written; an existing one stays as it is.

    *option* is what a `PlanError` calls it, *example* a name that such a file may have.

    Raises:
        PlanError: its directory is missing, it is a directory itself, or it may not be written.
    """
    target = _target(path)
    try:
        if target.is_dir():
            raise _impossible(path, option, "is a directory", f"add a file name: {path / example}")
        if not target.parent.is_dir():
            raise _impossible(path, option, "has no directory to be in", f"create it: mkdir -p {path.parent}")
        if target.exists() and not os.access(target, os.W_OK, effective_ids=_EFFECTIVE):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if _is_replaceable(target):
            probe = _beside(target)
            os.close(_create(probe))
            probe.unlink()
    except OSError as error:
        hint = "choose a path that you may write to"
        raise _impossible(path, option, f"cannot be written: {error.strerror}", hint) from error


def replace_file(path: Path, data: bytes) -> None:
    """Write *data*: readers see the old content, or all of the new. Devices and pipes are written into.

    Raises:
        OSError: it cannot be written.
    """
    target = _target(path)
    if _is_replaceable(target):
        _replace(target, data)
    else:
        target.write_bytes(data)


def _target(path: Path) -> Path:
    """Where the bytes go: a link stays a link."""
    return Path(os.path.realpath(path))


def _impossible(path: Path, option: str, reason: str, hint: str) -> PlanError:
    return PlanError(f"{option} {str(path)!r} {reason}", hint=hint)


def _is_replaceable(target: Path) -> bool:
    """Whether *target* is a file, or nothing yet. Devices and pipes (/dev/stdout, /dev/null) are written into."""
    return target.is_file() or not target.exists()


def _beside(target: Path) -> Path:
    """A new name in the same directory, which is on the same file system."""
    return target.with_name(f".fastload-{secrets.token_hex(8)}.tmp")


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _replace(target: Path, data: bytes) -> None:
    temporary = _beside(target)
    try:
        with os.fdopen(_create(temporary), "wb") as file:
            file.write(data)
            if target.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
