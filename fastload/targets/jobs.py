"""Jobs that take time: when each begins and ends is settled when it is accepted, so no process has to run it.

A queue that serves in order, by a pool of so many workers, for times that are known, leaves nothing open: a job
begins when the first worker is free. All server processes see the same, and a process that dies loses no job.
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
    """A job; times are of the monotonic clock, which all processes share. ``owner`` is who asked for it."""

    job_id: str
    owner: str
    start_ns: int
    end_ns: int
    fails: bool

    def status(self, now_ns: int) -> str:
        """``queued``, ``processing``, ``completed`` or ``failed``."""
        if now_ns < self.start_ns:
            return "queued"
        if now_ns < self.end_ns:
            return "processing"
        return "failed" if self.fails else "completed"

    def progress(self, now_ns: int) -> int:
        """Per cent of its time that is over, 0 to 100."""
        if now_ns >= self.end_ns:
            return 100
        if now_ns <= self.start_ns:
            return 0
        return 100 * (now_ns - self.start_ns) // (self.end_ns - self.start_ns)


class JobTimes:
    """How long jobs take, and which of them fail."""

    def __init__(self, job_time: str, failure_rate: float, source: random.Random) -> None:
        self._distribution = parse_distribution(job_time, what="job_time")
        self._failure_rate = failure_rate
        self._source = source

    def draw(self) -> tuple[int, bool]:
        """The ns that the next job takes, and whether it fails."""
        duration_ns = round(self._distribution.sample_s(self._source) * 1e9)
        return duration_ns, self._source.random() < self._failure_rate


class Pool:
    """*size* workers, and a queue of at most *queue_size* jobs that wait for one."""

    def __init__(self, size: int, queue_size: int) -> None:
        self._size = size
        self._queue_size = queue_size

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Make the workers, unless another process has."""
        rows = [(worker, 0) for worker in range(self._size)]
        connection.executemany("INSERT OR IGNORE INTO pool VALUES (?, ?)", rows)

    def add(
        self, connection: sqlite3.Connection, owner: str, now_ns: int, duration_ns: int, *, fails: bool
    ) -> Job | None:
        """Accept a job at *now_ns*, or ``None`` when the queue is full; within a transaction."""
        worker, free_ns = connection.execute(
            "SELECT worker, free_ns FROM pool ORDER BY free_ns, worker LIMIT 1"
        ).fetchone()
        if free_ns > now_ns and queue_depth(connection, now_ns) >= self._queue_size:
            return None
        start_ns = max(now_ns, free_ns)
        connection.execute("UPDATE pool SET free_ns = ? WHERE worker = ?", (start_ns + duration_ns, worker))
        return add_job(connection, owner, start_ns, start_ns + duration_ns, fails=fails)


def add_job(connection: sqlite3.Connection, owner: str, start_ns: int, end_ns: int, *, fails: bool) -> Job:
    """Note a job that begins at *start_ns*."""
    job = Job(secrets.token_hex(12), owner, start_ns, end_ns, fails)
    connection.execute("INSERT INTO jobs VALUES (?, ?, ?, ?, ?)", (job.job_id, owner, start_ns, end_ns, fails))
    return job


def find_job(connection: sqlite3.Connection, job_id: str) -> Job | None:
    """The job with that id."""
    row = connection.execute("SELECT * FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        return None
    found, owner, start_ns, end_ns, fails = row
    return Job(found, owner, start_ns, end_ns, bool(fails))


def queue_depth(connection: sqlite3.Connection, now_ns: int) -> int:
    """How many jobs wait for a worker."""
    depth: int = connection.execute("SELECT count(*) FROM jobs WHERE start_ns > ?", (now_ns,)).fetchone()[0]
    return depth
