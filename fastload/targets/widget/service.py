"""Handlers of the target ``widget``: the embed widget and the render pipeline."""

from __future__ import annotations

import re
import time
from typing import Annotated, Literal

import msgspec

from fastload.targets import jobs
from fastload.targets.application import ServiceContext
from fastload.targets.database import StateFile
from fastload.targets.jobs import Job, JobTimes, Pool, find_job, queue_depth
from fastload.targets.messages import ApiError, Request, Response, answer, decode_body
from fastload.targets.options import WidgetOptions
from fastload.targets.widget import nonces
from fastload.targets.widget.nonces import Nonces

_NEEDED_HEADERS = (b"origin", b"user-agent")
_SHOP_OF_ORIGIN = re.compile(r"https?://([^\s/?#@]+)").fullmatch


class _Validation(msgspec.Struct, frozen=True):
    nonce: str


class _RenderOptions(msgspec.Struct, frozen=True):
    quality: str = "standard"
    format: str = "png"


class _Render(msgspec.Struct, frozen=True):
    type: Literal["2d", "3d", "ar"]
    prompt: Annotated[str, msgspec.Meta(min_length=1)]
    options: _RenderOptions = _RenderOptions()


class WidgetService:
    """The service of one server process; used nonces and jobs are in a file that all processes share."""

    def __init__(self, context: ServiceContext) -> None:
        assert isinstance(context.options, WidgetOptions)
        options = context.options
        self._context = context
        self._nonce_ttl_s = options.nonce_ttl_s
        self._pool = Pool(options.pool, options.queue_size)
        self._times = JobTimes(options.job_time, options.job_failure_rate, context.chance("jobs"))
        self._validation = msgspec.json.Decoder(_Validation)
        self._render = msgspec.json.Decoder(_Render)
        self._state: StateFile
        self._nonces: Nonces

    async def start(self) -> None:
        """Open the state file, and create the pool."""
        self._state = StateFile(self._context.run_dir, self._context.shared, nonces.SCHEMA + jobs.SCHEMA)
        self._nonces = Nonces(self._state, self._context.worker, self._nonce_ttl_s)
        with self._state.writing() as connection:
            self._pool.prepare(connection)

    async def stop(self) -> None:
        """Close the state file."""
        self._state.close()

    async def token(self, request: Request) -> Response:
        """Answer with a token and its nonce. As from a browser, the headers Origin and User-Agent are required.

        A query without ``shop`` means the host of the Origin.
        """
        for name in _NEEDED_HEADERS:
            if not request.header(name):
                raise ApiError(400, "missing_header", f"the header {name.decode()} is missing")
        shop = request.query().get("shop")
        if shop is None and (found := _SHOP_OF_ORIGIN(request.header(b"origin"))):
            shop = found[1]
        if not shop:
            raise ApiError(400, "missing_parameter", "shop is required, in the query or as the host of the Origin")
        return answer(self._nonces.issue(shop, time.monotonic_ns()), outcome="token_issued")

    async def validate(self, request: Request) -> Response:
        """Use a nonce: 200 for the first use, 409 for every later one."""
        body = decode_body(self._validation, await request.body())
        shop = self._nonces.use(request.bearer(), body.nonce, time.monotonic_ns())
        return answer({"valid": True, "shop": shop}, outcome="validated")

    async def render(self, request: Request) -> Response:
        """Queue a render job: 202 with its id, or 429 if the queue is full."""
        decode_body(self._render, await request.body())
        duration_ns, fails = self._times.draw()
        with self._state.writing() as connection:
            job = self._pool.add(connection, request.parameters["id"], time.monotonic_ns(), duration_ns, fails=fails)
        if job is None:
            raise ApiError(429, "queue_full", "as many jobs wait as may", headers={"retry-after": "1"})
        return answer(self._described(job), 202, outcome="job_queued")

    async def status(self, request: Request) -> Response:
        """Answer with status and progress of a job."""
        job = find_job(self._state.connection, request.parameters["id"])
        if job is None:
            raise ApiError(404, "job_not_found", f"there is no job {request.parameters['id']}")
        return answer(self._described(job), outcome="job_read")

    def _described(self, job: Job) -> dict[str, object]:
        now_ns = time.monotonic_ns()
        status = job.status(now_ns)
        described: dict[str, object] = {
            "jobId": job.job_id,
            "designId": job.owner,
            "status": status,
            "progress": job.progress(now_ns),
            "queueDepth": queue_depth(self._state.connection, now_ns),
        }
        if status == "completed":
            described["resultUrl"] = f"/renders/{job.job_id}"
        elif status == "failed":
            described["error"] = "the renderer failed"
        return described
