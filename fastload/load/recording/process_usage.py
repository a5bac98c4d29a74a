"""Resource usage of this process."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path
from time import monotonic_ns, process_time_ns
from typing import NamedTuple


class ProcessUsage(NamedTuple):
    """Resource usage of this process up to *at_ns*: CPU time, and the time it was ready to run but had no CPU."""

    at_ns: int
    cpu_ns: int
    waited_ns: int

    @classmethod
    def now(cls) -> ProcessUsage:
        waited_ns = 0
        with contextlib.suppress(OSError, ValueError):
            waited_ns = int(Path("/proc/self/schedstat").read_text().split()[1])
        return cls(monotonic_ns(), process_time_ns(), waited_ns)

    def since(self, before: ProcessUsage) -> dict[str, float]:
        """Return CPU in per cent of a core, peak memory, and the share of the time spent waiting for a CPU.

        The parent uses these figures for runs too short to be sampled.
        """
        elapsed_ns = max(1, self.at_ns - before.at_ns)
        return {
            "cpu_percent": 100 * (self.cpu_ns - before.cpu_ns) / elapsed_ns,
            "rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "run_delay_share": (self.waited_ns - before.waited_ns) / elapsed_ns,
        }
