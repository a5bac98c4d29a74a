"""Handlers of the target ``generation``."""

from __future__ import annotations

import asyncio
import hmac
import random
import time
from collections.abc import AsyncGenerator
from typing import Annotated

import msgspec

from fastload.targets import jobs
from fastload.targets.application import ServiceContext
from fastload.targets.database import StateFile
from fastload.targets.generation import users
from fastload.targets.generation.users import Users
from fastload.targets.jobs import Job, JobTimes, add_job, find_job
from fastload.targets.messages import ApiError, Request, Response, answer, decode_body
from fastload.targets.options import GenerationOptions
from fastload.targets.tokens import Signer

_TOKEN_NS = 24 * 3600 * 1_000_000_000
# A stream has an event for every tenth of the progress.
_STEPS = 10


class _Login(msgspec.Struct, frozen=True):
    email: str
    password: str


class _Prompt(msgspec.Struct, frozen=True):
    prompt: Annotated[str, msgspec.Meta(min_length=1)]


class GenerationService:
    """The service of one server process; credits and generations are in a file that all processes share."""

    def __init__(self, context: ServiceContext) -> None:
        assert isinstance(context.options, GenerationOptions)
        self._options = context.options
        self._context = context
        mock = self._options.mock
        self._times = JobTimes(
            "0s" if mock else self._options.job_time,
            0.0 if mock else self._options.job_failure_rate,
            context.chance("jobs"),
        )
        self._refused_share = 0.0 if mock else self._options.provider_failure_rate
        self._provider: random.Random = context.chance("provider")
        self._login = msgspec.json.Decoder(_Login)
        self._prompt = msgspec.json.Decoder(_Prompt)
        self._password = (self._options.password or GenerationOptions.DEFAULT_PASSWORD).encode()
        self._state: StateFile
        self._users: Users
        self._signer: Signer

    async def start(self) -> None:
        """Open the state file, and create the users."""
        self._state = StateFile(self._context.run_dir, self._context.shared, users.SCHEMA + jobs.SCHEMA)
        self._users = Users(self._state)
        email = self._options.email or GenerationOptions.DEFAULT_EMAIL
        self._users.prepare(email, self._options.users, self._options.credits)
        self._signer = Signer(self._state.secret, "login")

    async def stop(self) -> None:
        """Close the state file."""
        self._state.close()

    async def login(self, request: Request) -> Response:
        """Answer a login with a token that is valid for one day."""
        body = decode_body(self._login, await request.body())
        left = self._users.credits(body.email)
        if left is None or not hmac.compare_digest(body.password.encode(), self._password):
            raise ApiError(401, "wrong_password", "there is no such user with that password")
        token = self._signer.token(f"{time.monotonic_ns() + _TOKEN_NS} {body.email}")
        found = {"token": token, "message": "login successful", "user": {"email": body.email, "credits": left}}
        return answer(found, outcome="logged_in")

    async def credits(self, request: Request) -> Response:
        """Answer with the user's remaining credits."""
        return answer({"credits": self._users.credits(self._user(request))}, outcome="credits_read")

    async def generate(self, request: Request) -> Response:
        """Start a generation for one credit; a generation that the provider refuses costs nothing."""
        user = self._user(request)
        decode_body(self._prompt, await request.body())
        duration_ns, fails = self._times.draw()
        refused = self._provider.random() < self._refused_share
        with self._state.writing() as connection:
            left = self._users.credits(user)
            if not left:
                raise ApiError(402, "credits_exhausted", "no credits are left")
            if refused:
                raise ApiError(502, "provider_error", "the provider failed")
            self._users.spend(connection, user)
            now_ns = time.monotonic_ns()
            job = add_job(connection, user, now_ns, now_ns + duration_ns, fails=fails)
        return answer({**_described(job), "credits": left - 1}, 202, outcome="generation_started")

    async def status(self, request: Request) -> Response:
        """Answer with status and progress of a generation."""
        return answer(_described(self._own_job(request)), outcome="generation_read")

    async def stream(self, request: Request) -> Response:
        """Answer with server-sent events until the end of a generation."""
        events = _events(self._own_job(request))
        headers = {"cache-control": "no-store"}
        return Response(
            b"", headers=headers, outcome="generation_streamed", content_type="text/event-stream", stream=events
        )

    def _user(self, request: Request) -> str:
        """Return the e-mail address of the user who sent *request*.

        Raises:
            ApiError: 401, the token is missing, invalid or expired.
        """
        content = self._signer.content(request.bearer())
        if content is not None:
            expires_ns, _, email = content.partition(" ")
            if int(expires_ns) > time.monotonic_ns():
                return email
        raise ApiError(401, "token_invalid", "the Authorization header carries no valid token of a login")

    def _own_job(self, request: Request) -> Job:
        user = self._user(request)
        job = find_job(self._state.connection, request.parameters["id"])
        # The same answer for both cases: do not reveal whether another user has a generation with this id.
        if job is None or job.owner != user:
            raise ApiError(404, "generation_not_found", f"there is no generation {request.parameters['id']}")
        return job


def _described(job: Job) -> dict[str, object]:
    now_ns = time.monotonic_ns()
    status = job.status(now_ns)
    described: dict[str, object] = {"session_id": job.job_id, "status": status, "progress": job.progress(now_ns)}
    if status == "completed":
        described["image_url"] = f"/images/{job.job_id}.png"
    elif status == "failed":
        described["error"] = "the provider failed on the way"
    return described


async def _events(job: Job) -> AsyncGenerator[bytes]:
    """Yield ``progress`` events from the current progress on, then ``completed`` or ``failed``."""
    while True:
        described = _described(job)
        event = described["status"] if described["status"] in ("completed", "failed") else "progress"
        yield b"event: %s\ndata: %s\n\n" % (str(event).encode(), msgspec.json.encode(described))
        if event != "progress":
            return
        now_ns = time.monotonic_ns()
        step_ns = max(1, (job.end_ns - job.start_ns) // _STEPS)
        next_ns = min(job.end_ns, job.start_ns + ((now_ns - job.start_ns) // step_ns + 1) * step_ns)
        # Timers of the loop may fire up to a millisecond early, and the same step would be sent twice.
        while (left_ns := next_ns - time.monotonic_ns()) > 0:
            await asyncio.sleep(left_ns / 1e9)
