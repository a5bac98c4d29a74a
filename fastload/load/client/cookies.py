"""The cookies of a VU: ``vu.cookies``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from fastload.load.engine.curl_transfer import Transfer
from fastload.model.errors import PlanError
from fastload.model.names import as_text
from fastload.model.wire_text import read_text, utf8

_HTTP_ONLY = "#HttpOnly_"
# libcurl drops a cookie with any other control character without a word.
_HAS_NO_PLACE = re.compile(r"[\0-\x1f;\x7f]").search
_FOREVER = 0
_PAST = b"1"


class Cookie(NamedTuple):
    """One cookie.

    A *domain* with a leading dot covers all subdomains too. *expires* is in seconds since 1970; 0 means that the cookie
    lasts as long as the VU.
    """

    name: str
    value: str
    domain: str
    path: str = "/"
    expires: int = 0
    secure: bool = False
    http_only: bool = False


class Cookies(MutableMapping[str, str]):
    """The cookies of a VU by name. libcurl stores them: a read takes some microseconds.

    If several hosts or paths have a cookie of the same name, ``[name]`` returns the last of them in `all`.
    """

    def __init__(self, idle: Callable[[], AbstractContextManager[Transfer]], host: Callable[[], str]) -> None:
        self._idle = idle
        self._host = host

    def __getitem__(self, name: str) -> str:
        return {cookie.name: cookie.value for cookie in self.all()}[name]

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        with self._idle() as transfer:
            doomed = [line for line in transfer.cookie_lines() if _parsed(line).name == name]
            if not doomed:
                raise KeyError(name)
            for line in doomed:
                # The rest of the line stays as it came: its name may be no UTF-8.
                *before, _, own_name, value = line.split(b"\t")
                transfer.put_cookie(b"\t".join((*before, _PAST, own_name, value)))

    def __iter__(self) -> Iterator[str]:
        return iter({cookie.name: None for cookie in self.all()})

    def __len__(self) -> int:
        return len({cookie.name for cookie in self.all()})

    def __repr__(self) -> str:
        return f"<Cookies {', '.join(self) or 'none'}>"

    def all(self) -> list[Cookie]:
        """Return every cookie, with its domain, path and flags."""
        with self._idle() as transfer:
            return [_parsed(line) for line in transfer.cookie_lines()]

    def set(
        self,
        name: str,
        value: str,
        *,
        domain: str = "",
        path: str = "/",
        expires: int = _FOREVER,
        secure: bool = False,
        http_only: bool = False,
    ) -> None:
        """Set a cookie; *domain* is the base URL's host by default.

        Raises:
            PlanError: there is no base URL and no *domain*; or a part is empty or has a character that cookies cannot
                have.
        """
        name = as_text(name, "a name in cookies")
        value = as_text(value, f"the cookie {name!r}")
        host = as_text(domain, "domain=") or self._host()
        if not host:
            raise PlanError(
                f"the cookie {name!r} has no domain, and there is no base URL", hint="give it domain=, or --base-url"
            )
        self._put(Cookie(name, value, host, as_text(path, "path="), expires, secure, http_only))

    def clear(self) -> None:
        """Delete all cookies."""
        with self._idle() as transfer:
            transfer.put_cookie(b"ALL")

    def _put(self, cookie: Cookie) -> None:
        for part in (cookie.name, cookie.value, cookie.domain, cookie.path):
            if _HAS_NO_PLACE(part) or not (part or part is cookie.value):
                raise _refused(part, cookie.name)
        below = cookie.domain.startswith(".")
        fields = (
            (_HTTP_ONLY if cookie.http_only else "") + cookie.domain,
            _flag(below),
            cookie.path,
            _flag(cookie.secure),
            str(cookie.expires),
            cookie.name,
            cookie.value,
        )
        with self._idle() as transfer:
            transfer.put_cookie(utf8("\t".join(fields)))


def host_of(url: str) -> str:
    """Return the host of *url* without port, in lower case; "" if there is none."""
    return urlsplit(url).hostname or ""


def _flag(value: bool) -> str:
    return "TRUE" if value else "FALSE"


def cookie_line(cookies: Mapping[str, Any]) -> str:
    """Return *cookies* as the header of a request has them: ``a=1; b=2``.

    Raises:
        PlanError: *cookies* is no mapping, a name or a value is no text, or it has a character with which it would be
            another cookie, or another header.
    """
    try:
        line = "; ".join([name + "=" + value for name, value in cookies.items()])
    except (AttributeError, TypeError):
        # Not all are texts.
        cookies = _cookie_texts(cookies)
        line = "; ".join([name + "=" + value for name, value in cookies.items()])
    # Two quick looks at the whole line clear nearly every one.
    if not line.isprintable() or line.count(";") != len(cookies) - 1:
        for name, value in cookies.items():
            for part in (name, value):
                if _HAS_NO_PLACE(part):
                    raise _refused(part, name)
    return line


def _cookie_texts(cookies: Any) -> dict[str, str]:
    if not isinstance(cookies, Mapping):
        raise PlanError(f"cookies is a {type(cookies).__name__}", hint='write cookies={"id": "7"}')
    texts = {as_text(name, "a name in cookies"): value for name, value in cookies.items()}
    return {name: as_text(value, f"the cookie {name!r}") for name, value in texts.items()}


def _refused(part: str, name: str) -> PlanError:
    return PlanError(
        f"{part!r} cannot be a part of the cookie {name!r}", hint="encode the value, as by urllib.parse.quote"
    )


def _parsed(line: bytes) -> Cookie:
    """Parse one line of Netscape's cookie format, as libcurl returns it."""
    domain, _, path, secure, expires, name, value = read_text(line).split("\t")
    http_only = domain.startswith(_HTTP_ONLY)
    return Cookie(name, value, domain.removeprefix(_HTTP_ONLY), path, int(expires), secure == "TRUE", http_only)
