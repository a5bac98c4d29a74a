"""Handlers of the target ``plain``."""

from __future__ import annotations

from fastload.targets.application import ServiceContext
from fastload.targets.messages import Request, Response, answer


class PlainService:
    """The service of one server process. It has no state."""

    def __init__(self, context: ServiceContext) -> None:
        del context

    async def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to close."""

    async def read(self, request: Request) -> Response:
        """Answer with 200."""
        del request
        return answer({"ok": True}, outcome="plain_read")

    async def take(self, request: Request) -> Response:
        """Read the whole body, whatever it is, and answer with its size."""
        return answer({"ok": True, "bytes": len(await request.body())}, outcome="plain_taken")
