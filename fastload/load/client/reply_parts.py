"""Parts of replies that a scenario reads, found in its code before the run.

Parts that no code reads are not kept, and so cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from fastload.load.client.callables import is_filled, layers_of

_BODY_NAMES = {"body", "text", "json"}
_HEADER_NAMES = {"headers", "header", "cookies", "history"}
_TLS_NAMES = {"tls_version"}
_CONNECTION_INFO_NAMES = {"protocol", "remote_address", "local_address", "final_url"} | _TLS_NAMES


class ReplyParts(NamedTuple):
    """The parts that replies must keep: body, headers, facts of the connection, TLS version.

    *facts* are protocol, addresses and final URL. *tls* is separate, because libcurl reports the TLS version only in
    its verbose output, which costs about 10 us for each request.
    """

    body: bool
    headers: bool
    connection_info: bool = False
    tls: bool = False


def parts_read_by(*functions: Callable[..., Any]) -> ReplyParts:
    """Return the parts of replies that *functions*, and the functions they call by name, may read.

    The search looks for attribute names such as ``.json`` in the code, in nested functions, and in every function that
    is reachable by a global name, in any module. If other code reads a part that was not kept, the reply raises an
    error that says how to keep it.
    """
    names: set[str] = set()
    for code in reachable_code(functions):
        names.update(code.co_names)
    return ReplyParts(
        body=bool(names & _BODY_NAMES),
        headers=bool(names & _HEADER_NAMES),
        connection_info=bool(names & _CONNECTION_INFO_NAMES),
        tls=bool(names & _TLS_NAMES),
    )


def reachable_code(functions: Iterable[Callable[..., Any]]) -> Iterator[CodeType]:
    """Yield the code of *functions*, of nested functions, and of those that are reachable by a global name."""
    pending: list[Any] = list(functions)
    seen: set[int] = set()
    while pending:
        for item in layers_of(pending.pop()):
            if isinstance(item, FunctionType) and id(item) not in seen:
                seen.add(id(item))
                pending.extend(cell.cell_contents for cell in item.__closure__ or () if is_filled(cell))
                for code in code_within(item.__code__):
                    yield code
                    pending.extend(_named_functions(code, item.__globals__))


def code_within(code: CodeType) -> Iterator[CodeType]:
    """Yield *code* and the code of all functions and classes in it, however deep."""
    pending = [code]
    while pending:
        found = pending.pop()
        yield found
        pending.extend(constant for constant in found.co_consts if isinstance(constant, CodeType))


def _named_functions(code: CodeType, scope: dict[str, Any]) -> Iterator[Any]:
    for name in code.co_names:
        found = scope.get(name)
        # The type and the namespace run no code of the object: proxies and lazy modules may raise.
        kind = type(found)
        if kind is FunctionType:
            yield found
        elif issubclass(kind, type):
            yield from (member for member in type.__getattribute__(found, "__dict__").values() if _is_function(member))
        elif issubclass(kind, ModuleType):
            members = ModuleType.__getattribute__(found, "__dict__")
            yield from (members[other] for other in code.co_names if _is_function(members.get(other)))


def _is_function(item: Any) -> bool:
    return type(item) is FunctionType
