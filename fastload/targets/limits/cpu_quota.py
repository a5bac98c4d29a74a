"""CPU quota of a target's server processes: a cgroup of their own, version 1 or 2."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

from fastload.model.errors import TargetError

_MOUNT = Path("/sys/fs/cgroup")
_V1_MOUNTS = ("cpu", "cpu,cpuacct")
_MEMBERS = "cgroup.procs"
_PERIOD_US = 100_000
# The kernel takes processes that have ended out of their group a little later.
_REMOVE_S = 2.0
_POLL_S = 0.01
_HINT = "it needs root and a cgroup file system that can be written, which most containers do not have"


class CpuQuota(NamedTuple):
    """The cgroup at *path*."""

    path: Path

    @classmethod
    def create(cls, cores: float, mount: Path = _MOUNT) -> CpuQuota:
        """Create a cgroup whose processes together get *cores* CPUs: so much of each 0.1 s.

        Raises:
            TargetError: this user, or this machine, cannot make one.
        """
        quota_us = round(cores * _PERIOD_US)
        if (mount / "cgroup.controllers").exists():
            parent, settings = _v2_parent(mount), {"cpu.max": f"{quota_us} {_PERIOD_US}"}
        else:
            parent = _v1_parent(mount)
            settings = {"cpu.cfs_period_us": str(_PERIOD_US), "cpu.cfs_quota_us": str(quota_us)}
        quota = cls(parent / f"fastload-target-{os.getpid()}-{time.monotonic_ns()}")
        try:
            quota.path.mkdir()
            for name, value in settings.items():
                (quota.path / name).write_text(value)
        except OSError as error:
            quota.remove()
            raise TargetError(f"limit quota: cannot make {quota.path}: {error.strerror}", hint=_HINT) from error
        return quota

    def add(self, pid: int) -> None:
        """Put process *pid* under the quota; its threads and children are as well.

        Raises:
            TargetError: it cannot be put there.
        """
        try:
            (self.path / _MEMBERS).write_text(str(pid))
        except OSError as error:
            raise TargetError(f"limit quota: cannot use {self.path}: {error.strerror}", hint=_HINT) from error

    def remove(self) -> None:
        """Remove the cgroup, after its processes have ended."""
        deadline = time.monotonic() + _REMOVE_S
        while self.path.exists() and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.path.rmdir()
                return
            time.sleep(_POLL_S)

    def leave(self) -> None:
        """Leave the cgroup, of which this process is a member. The last process to leave removes it."""
        with contextlib.suppress(OSError):
            self._join_a_group_above()
            self.path.rmdir()

    def _join_a_group_above(self) -> None:
        # In version 2, a group that hands out CPU time takes no processes, except the root.
        for group in self.path.parents:
            with contextlib.suppress(OSError):
                if (group / _MEMBERS).exists():
                    (group / _MEMBERS).write_text(str(os.getpid()))
                    return


def _v1_parent(mount: Path) -> Path:
    """Return the group of this process in the hierarchy of the CPU."""
    for name in _V1_MOUNTS:
        if (mount / name / _MEMBERS).exists():
            own = mount / name / _own_group("cpu")
            # In a container, the path may be that of the machine.
            return own if own.exists() else mount / name
    raise TargetError(f"limit quota: there is no CPU controller below {mount}", hint=_HINT)


def _v2_parent(mount: Path) -> Path:
    """Return the nearest group above this process that hands out CPU time to its children."""
    own = mount / _own_group("")
    for group in (own, *own.parents):
        try:
            if "cpu" in (group / "cgroup.subtree_control").read_text().split():
                return group
        except OSError:
            pass
        if group == mount:
            break
    raise TargetError(f"limit quota: no group of {mount} above this process hands out CPU time", hint=_HINT)


def _own_group(controller: str) -> str:
    """Return the path of this process's group, relative to the mount; *controller* "" means version 2."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path.lstrip("/")
    return ""
