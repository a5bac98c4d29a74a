"""One operation of an API description, with the parts of its request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Operation:
    """One operation. ``path_values`` are the values of the ``{names}`` in *path*, which can begin with *origin*.

    ``query`` are the parts of the query that ``params`` cannot say, encoded: what has delimiters of its own.
    ``comments`` stand above the request.
    """

    function: str
    method: str
    template: str
    tag: str
    about: str
    origin: str = ""
    path: str = ""
    path_values: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    query: list[str] = field(default_factory=list)
    headers: dict[str, Any] = field(default_factory=dict)
    cookies: dict[str, Any] = field(default_factory=dict)
    auth: Any = ()
    body: dict[str, Any] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    @property
    def deletes(self) -> bool:
        """Whether it takes something away from the server."""
        return self.method == "delete"

    @property
    def title(self) -> str:
        """Method and path, as the description has them."""
        return f"{self.method.upper()} {self.template}"
