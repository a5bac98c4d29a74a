"""Advice on the mistakes of scripts: what a traceback in the summary says beside the error, such as the nearest name.

Most mistakes are names of other tools: of requests and httpx, of Locust and of k6.
"""

from __future__ import annotations

import builtins
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from fastload.load.client.groups import Group
from fastload.load.client.judged_request import JudgedRequest
from fastload.load.client.measured_calls import Measure
from fastload.load.client.reply import Reply, Timings
from fastload.load.client.vu import VU
from fastload.load.client.websocket import WebSocketSession
from fastload.load.recording.stall_watch import is_of_script
from fastload.model.errors import FastloadError, ends_in_fastload, nearest, text_of_error, user_traceback
from fastload.model.raise_sites import RaiseSite
from fastload.model.user_metrics import UserMetric

_REQUESTS = "requests are methods of the VU: await vu.get(...)"
_AWAIT = "await is missing: write await before the call"
_AWAIT_BLOCK = "write 'async with' before the call, and 'as NAME' behind it"

_LOOP = "it is an async generator (it has yield): write 'async for item in' before the call"

_OTHER_NAMES: dict[type, dict[str, str]] = {
    Reply: {
        "status_code": "status",
        "code": "status",
        "reason": "status",
        "content": "body",
        "raw": "body",
        "html": "text",
        "elapsed": "duration_ms",
        "response_time": "duration_ms",
        "is_success": "ok",
        "success": "'async with vu.expect(...) as reply', and reply.success() in the block",
        "failure": "'async with vu.expect(...) as reply', and reply.failure(...) in the block",
        "is_error": "ok",
        "raise_for_status": "'if not reply.ok: fl.fail(...)'",
        "iter_lines": "'async with vu.stream(...) as reply'",
        "iter_content": "'async with vu.stream(...) as reply'",
        "remote_ip": "remote_address",
        "proto": "protocol",
    },
    Timings: {"duration": "reply.duration_ms", "looking_up": "lookup_ms", "tls_handshaking": "tls_ms"},
    VU: {
        "client": _REQUESTS,
        "session": _REQUESTS,
        "wait": "sleep",
        "pause": "sleep",
        "data": "setup_data",
        "environment": "env",
        "del_": "delete",
        "ws": "websocket",
        "connect": "websocket",
    },
    UserMetric: dict.fromkeys(("inc", "increment", "observe", "record", "set", "append", "update"), "add"),
}
_OF_MODULE = {
    "http": _REQUESTS,
    "get": _REQUESTS,
    "post": _REQUESTS,
    "check": "vu.check",
    "sleep": "vu.sleep",
    "group": "vu.group",
    "expect": "vu.expect",
    "batch": "vu.batch",
    "task": "fl.scenario(name=..., tasks={...})",
    "HttpUser": "@fl.scenario",
    "FastHttpUser": "@fl.scenario",
    "User": "@fl.scenario",
    "between": "await vu.sleep(1, 5)",
    "SharedArray": "data",
}
_METHOD_OF_NONE = re.compile(r"\.(http|auth)\.(get|post|put|patch|delete|head|options|request|batch)\b")
_BLOCKS = (Group, JudgedRequest, Measure, WebSocketSession)
_UNKNOWN_ARGUMENT = re.compile(r"([\w.]+)\(\) got an unexpected keyword argument '(\w+)'")
_NOT_AWAITABLE = re.compile(r"object (\w+) can't be used in 'await' expression")
_NO_MANAGER = re.compile(r"'(\w+)' object does not support the (asynchronous )?context manager protocol")


def advised_traceback(error: BaseException) -> str:
    """Return `user_traceback` of *error*, with the advice on it at the end of its last line."""
    try:
        hint = advice_on(error)
    except Exception:
        # It looks at the script's own objects, which may raise anything.
        hint = ""
    return user_traceback(error) + (f"; {hint}" if hint else "")


def raise_site(error: BaseException) -> RaiseSite:
    """Return where *error* was raised: in the innermost line of the script, also if a library raised it from there."""
    filename, line = "", 0
    for frame, number in traceback.walk_tb(error.__traceback__):
        if is_of_script(frame.f_code.co_filename):
            filename, line = frame.f_code.co_filename, number
    return RaiseSite.of(filename, line, text_of_error(error))


def advice_on(error: BaseException) -> str:
    """Return what to do about *error*, which a script raised; "" if there is nothing to say."""
    match error:
        case FastloadError():
            return error.hint
        case AttributeError():
            return _on_attribute(error)
        case NameError():
            return _nearest_variable(error)
        case TypeError() if ends_in_fastload(error) and (found := _NOT_AWAITABLE.search(str(error))):
            return f"the scenario gave {found[1]}, and not what it awaits: return the call in its decorator"
        case TypeError():
            return _on_type(str(error))
        case KeyError(args=(str(name),)) if name != name.lower() and re.search(r"\bheaders\[", _line_of(error)):
            return f"names of headers are in lower case: {name.lower()!r}"
    return ""


def _on_attribute(error: AttributeError) -> str:
    owner, name = error.obj, error.name or ""
    if inspect.iscoroutine(owner):
        return _AWAIT
    if isinstance(owner, _BLOCKS):
        return _AWAIT_BLOCK
    if owner is None:
        return _REQUESTS if _METHOD_OF_NONE.search(_line_of(error)) else ""
    if isinstance(owner, ModuleType) and owner.__name__ == "fastload":
        return _suggestion(name, _OF_MODULE, owner.__all__)
    names = next((names for kind, names in _OTHER_NAMES.items() if isinstance(owner, kind)), {})
    return _suggestion(name, names, (one for one in dir(owner) if not one.startswith("_")))


def _suggestion(name: str, others: dict[str, str], known: Iterable[str]) -> str:
    other = others.get(name)
    if other is None:
        return nearest(name, known)
    return f"did you mean {other!r}?" if other.isidentifier() else f"{'write ' * (other != _REQUESTS)}{other}"


def _on_type(message: str) -> str:
    if message.startswith(("'coroutine' object", "cannot unpack non-iterable coroutine")):
        return _AWAIT
    blocks = {one.__name__ for kind in _BLOCKS for one in (kind, *kind.__subclasses__())}
    if found := _NOT_AWAITABLE.search(message):
        if found[1] == "async_generator":
            return _LOOP
        return _AWAIT_BLOCK if found[1] in blocks else "leave await out: there is nothing to wait for"
    if found := _NO_MANAGER.search(message):
        if found[1] == "coroutine":
            return "this call has no block: write await before it"
        return "write 'async with'" if found[1] in blocks and not found[2] else ""
    if found := _UNKNOWN_ARGUMENT.search(message):
        function = _function(found[1])
        return "" if function is None else nearest(found[2], inspect.signature(function).parameters)
    return ""


def _function(path: str) -> Callable[..., Any] | None:
    """Return the function of fastload with the qualified name *path*, like ``VU.batch``; None without one."""
    first, *rest = path.split(".")
    for module in [one for name, one in sys.modules.items() if name.startswith("fastload.")]:
        found: Any = vars(module).get(first)
        for name in rest:
            found = getattr(found, name, None)
        if inspect.isfunction(found):
            return found
    return None


def _nearest_variable(error: NameError) -> str:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not frames or not error.name:
        return ""
    frame = frames[-1]
    return nearest(error.name, {**vars(builtins), **frame.f_globals, **frame.f_locals})


def _line_of(error: BaseException) -> str:
    """Return the line of source code that raised *error*."""
    lines = traceback.extract_tb(error.__traceback__)
    return (lines[-1].line or "") if lines else ""
