"""HTTP routes for commands from the page to the run; names and arguments are those of the control API."""

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
"""A function like `CommandQueue.ask`: takes a command's name, *timeout_s* and arguments, blocks for the answer, and
returns it or raises `ControlError`."""

ROUTED_COMMANDS = ("pause", "resume", "scale", "stop")
READ_S, ANSWER_S = 5.0, 10.0


class CommandRoutes:
    """Sends commands to the run with *ask*, in a worker thread of the event loop, so that the loop is not blocked."""

    def __init__(self, ask: SendCommand) -> None:
        self._ask = ask

    async def ask(self, name: str, *, timeout_s: float = ANSWER_S, **arguments: Any) -> dict[str, Any]:
        """Return the run's answer to command *name*.

        Raises:
            ControlError: as `CommandQueue.ask`.
        """
        answer: dict[str, Any] = plain(await asyncio.to_thread(self._ask, name, timeout_s=timeout_s, **arguments))
        return answer

    async def serve(self, request: Request) -> Response:
        """Answer a request to the route of a command; the last part of the path is the command's name.

        Raises:
            RequestRefused: with the same statuses as the control API, 400 to 503.
        """
        check_json(request.headers.get("content-type", ""))
        given = arguments_of(await receive_body(request))
        name = request.url.path.rpartition("/")[2]
        try:
            arguments = check_command(name, given)
            return JSONResponse(await self.ask(name, **arguments))
        except ControlError as error:
            raise RequestRefused.of(error) from error


def command_routes(serve: Callable[[Request], Any], prefix: str = "/control") -> list[Route]:
    """Return a route for each command that a page may send."""
    return [Route(f"{prefix}/{name}", serve, methods=["POST"]) for name in ROUTED_COMMANDS]


async def receive_body(request: Request) -> bytes:
    """Return the whole body of *request*.

    Raises:
        RequestRefused: 408 if the body is too slow, 413 if it is too long, 400 if it is incomplete.
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
