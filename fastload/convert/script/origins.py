"""Origins of requests: the one that a script's base URL stands for, and the others, each a constant of the script."""

from __future__ import annotations

from urllib.parse import SplitResult

from fastload.convert.script.names import constant
from fastload.convert.script.writer import Code, Module

PORTS = {"http": 80, "https": 443}


def origin_of(url: SplitResult) -> str:
    """Return scheme, host and port of *url*, without the port that its scheme has by default."""
    host = url.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if url.port in (None, PORTS.get(url.scheme)) else f":{url.port}"
    return f"{url.scheme}://{host}{port}"


class Origins:
    """Writes the begin of addresses: nothing for the base URL *base*, and a constant for each other origin.

    A run can set these constants, for example to send all requests to the servers of a test environment.
    """

    def __init__(self, module: Module, base: str) -> None:
        self.base = base
        self._module = module
        self.others: dict[str, str] = {}

    def begin(self, url: SplitResult) -> str | Code:
        """Return what stands before the path of *url*."""
        origin = origin_of(url)
        if origin == self.base:
            return ""
        if origin not in self.others:
            where = origin.partition("://")[2]
            name = constant(f"{where} url", "server")
            self.others[origin] = self._module.setting(name, origin).text
        return Code(self.others[origin])

    def shown_host(self, url: SplitResult) -> str:
        """Return the host of *url* for the name of a request; "" for the base URL."""
        return "" if origin_of(url) == self.base else url.netloc.rpartition("@")[2]
