"""Commands from the page to the run: what the control API takes, by the same names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fastload.control.commands.command_queue import check_command
from fastload.control.commands.http_checks import RequestRefused, arguments_of, check_json, check_length, plain
from fastload.model.errors import ControlError

SendCommand = Callable[..., dict[str, Any]]
"""As `Commands.ask`: a command's name and arguments; its answer, or a `ControlError`. It waits, for *timeout_s*."""

ROUTED_COMMANDS = ("pause", "resume", "scale", "stop")
READ_S, ANSWER_S = 5.0, 10.0


class CommandRoutes:
    """Asks the run by *ask*, in threads of the event loop's, so that nothing else waits meanwhile."""

    def __init__(self, ask: SendCommand) -> None:
        self._ask = ask

    async def ask(self, name: str, *, timeout_s: float = ANSWER_S, **arguments: Any) -> dict[str, Any]:
        """The run's answer.

        Raises:
            ControlError: as of `Commands.ask`.
        """
        answer: dict[str, Any] = plain(await asyncio.to_thread(self._ask, name, timeout_s=timeout_s, **arguments))
        return answer

    async def serve(self, request: Request) -> Response:
        """The route of one command, its name being the last part of the path.

        Raises:
            Refusal: 400 to 503, as the control API has them.
        """
        check_json(request.headers.get("content-type", ""))
        given = arguments_of(await read_body(request))
        name = request.url.path.rpartition("/")[2]
        try:
            arguments = check_command(name, given)
            return JSONResponse(await self.ask(name, **arguments))
        except ControlError as error:
            raise RequestRefused.of(error) from error


def command_routes(serve: Callable[[Request], Any], prefix: str = "/control") -> list[Route]:
    """A route for each command that a page may give."""
    return [Route(f"{prefix}/{name}", serve, methods=["POST"]) for name in ROUTED_COMMANDS]


async def read_body(request: Request) -> bytes:
    """The body, whole.

    Raises:
        Refusal: 408 when it is too slow, 413 when it is too long, 400 when it breaks off.
    """
    body = b""
    try:
        async with asyncio.timeout(READ_S):
            async for piece in request.stream():
                body += piece
                check_length(len(body))
    except TimeoutError as error:
        raise RequestRefused(HTTPStatus.REQUEST_TIMEOUT, f"the request was not here within {READ_S:g} s") from error
    except ClientDisconnect as error:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "the request is not whole") from error
    return body
