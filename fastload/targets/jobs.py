"""Simulated jobs: start and end of a job are computed when the job is accepted, so no process has to run it.

This is possible because the queue is first-in first-out, the pool has a fixed size, and the duration of each job is
known: a job starts when the first worker of the pool is free. All server processes see the same jobs, and no job is
lost when a process dies.
"""

from __future__ import annotations

import dataclasses
import random
import secrets
import sqlite3

from fastload.targets.distributions import parse_distribution

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    fails INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS jobs_by_start ON jobs (start_ns);
CREATE TABLE IF NOT EXISTS pool (worker INTEGER PRIMARY KEY, free_ns INTEGER NOT NULL);
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """A job. Times are of the monotonic clock, which all processes share. ``owner`` identifies its user or design."""

    job_id: str
    owner: str
    start_ns: int
    end_ns: int
    fails: bool

    def status(self, now_ns: int) -> str:
        """Return ``queued``, ``processing``, ``completed`` or ``failed``."""
        if now_ns < self.start_ns:
            return "queued"
        if now_ns < self.end_ns:
            return "processing"
        return "failed" if self.fails else "completed"

    def progress(self, now_ns: int) -> int:
        """Return the elapsed part of the job's duration in per cent, 0 to 100."""
        if now_ns >= self.end_ns:
            return 100
        if now_ns <= self.start_ns:
            return 0
        return 100 * (now_ns - self.start_ns) // (self.end_ns - self.start_ns)


class JobTimes:
    """The random durations and failures of jobs."""

    def __init__(self, job_time: str, failure_rate: float, source: random.Random) -> None:
        self._distribution = parse_distribution(job_time, what="job_time")
        self._failure_rate = failure_rate
        self._source = source

    def draw(self) -> tuple[int, bool]:
        """Draw the duration of the next job in ns, and whether the job fails."""
        duration_ns = round(self._distribution.sample_s(self._source) * 1e9)
        return duration_ns, self._source.random() < self._failure_rate


class Pool:
    """A pool of *size* workers with a queue of at most *queue_size* waiting jobs."""

    def __init__(self, size: int, queue_size: int) -> None:
        self._size = size
        self._queue_size = queue_size

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Create the rows of the workers, unless another process has done so."""
        rows = [(worker, 0) for worker in range(self._size)]
        connection.executemany("INSERT OR IGNORE INTO pool VALUES (?, ?)", rows)

    def add(
        self, connection: sqlite3.Connection, owner: str, now_ns: int, duration_ns: int, *, fails: bool
    ) -> Job | None:
        """Accept a job at *now_ns* and return it; ``None`` if the queue is full. Call it within a transaction."""
        worker, free_ns = connection.execute(
            "SELECT worker, free_ns FROM pool ORDER BY free_ns, worker LIMIT 1"
        ).fetchone()
        if free_ns > now_ns and queue_depth(connection, now_ns) >= self._queue_size:
            return None
        start_ns = max(now_ns, free_ns)
        connection.execute("UPDATE pool SET free_ns = ? WHERE worker = ?", (start_ns + duration_ns, worker))
        return add_job(connection, owner, start_ns, start_ns + duration_ns, fails=fails)


def add_job(connection: sqlite3.Connection, owner: str, start_ns: int, end_ns: int, *, fails: bool) -> Job:
    """Store a job that starts at *start_ns*, and return it."""
    job = Job(secrets.token_hex(12), owner, start_ns, end_ns, fails)
    connection.execute("INSERT INTO jobs VALUES (?, ?, ?, ?, ?)", (job.job_id, owner, start_ns, end_ns, fails))
    return job


def find_job(connection: sqlite3.Connection, job_id: str) -> Job | None:
    """Return the job with id *job_id*, or ``None``."""
    row = connection.execute("SELECT * FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        return None
    found, owner, start_ns, end_ns, fails = row
    return Job(found, owner, start_ns, end_ns, bool(fails))


def queue_depth(connection: sqlite3.Connection, now_ns: int) -> int:
    """Return the number of jobs that wait for a worker."""
    depth: int = connection.execute("SELECT count(*) FROM jobs WHERE start_ns > ?", (now_ns,)).fetchone()[0]
    return depth
