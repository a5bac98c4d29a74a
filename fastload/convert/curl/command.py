"""Command lines of curl, as people write them and as browsers copy them ("Copy as cURL").

Of the parsers on PyPI none is kept up and knows more than a handful of options, so curl's own table is here: options
that change what is sent, those that do not, and for any other a note.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from urllib.parse import quote, unquote, urldefrag, urlsplit

from fastload.convert.curl.bodies import FilePiece, FormPart, file_path, form_part, joined_data
from fastload.convert.curl.globs import GLOB, expanded
from fastload.convert.curl.shell_words import VARIABLE, commands, variables_shown
from fastload.convert.curl.values import secrets_as_variables
from fastload.convert.script.bodies import FORM, JSON, MULTIPART
from fastload.convert.script.names import counted, is_secret_field
from fastload.convert.source_request import Pair, PostData, SourceRequest, header_of
from fastload.model.errors import PlanError

_BEGIN = re.compile(r"\s*(?:\$\s+)?curl(?:\.exe)?\s")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_PRELUDE = re.compile(r"\s*(?:#|$|(?:export|set|cd|source|\.)\s|[A-Za-z_][A-Za-z0-9_]*=)")
_HINT = "give it as one text in quotes, or in a file: in a browser's developer tools, Network, 'Copy as cURL (bash)'"
_NAMES = ("curl", "curl.exe")
_MOST_LOST = 20
_SHORT_NAMES = (
    "A user-agent, b cookie, c cookie-jar, C continue-at, d data, D dump-header, e referer, E cert, "
    "f fail, F form, g globoff, G get, H header, i include, I head, j junk-session-cookies, "
    "J remote-header-name, k insecure, K config, L location, m max-time, n netrc, N no-buffer, o output, "
    "O remote-name, p proxytunnel, q disable, r range, R remote-time, s silent, S show-error, "
    "T upload-file, u user, U proxy-user, v verbose, w write-out, x proxy, X request, y speed-time, "
    "Y speed-limit, z time-cond, Z parallel, # progress-bar, 0 http1.0, 1 tlsv1, 4 ipv4, 6 ipv6"
)
_SHORT = {name[0]: name[2:] for name in _SHORT_NAMES.split(", ")}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What is not sent, or is the client's own affair.
_NO_MATTER = _words(
    "silent show-error verbose include fail fail-with-body location progress-bar no-progress-meter "
    "junk-session-cookies disable no-buffer remote-name remote-header-name remote-time no-keepalive styled-output "
    "no-alpn tcp-nodelay raw create-dirs"
)
_NO_MATTER_WITH_VALUE = _words(
    "output write-out cookie-jar dump-header stderr trace trace-ascii output-dir keepalive-time"
)
# What is an option of the whole run here: curl's name, and what the run takes.
_OF_RUN = {
    "compressed": ("--compressed",),
    "http1.1": ("--http", "1.1"),
    "http2": ("--http", "2"),
    "http3": ("--http", "3"),
    "insecure": ("-k",),
}
_OTHER_WITH_VALUE = _words(
    "cert key cacert capath ciphers pass cert-type key-type proxy proxy-user resolve connect-to interface "
    "unix-socket config continue-at time-cond connect-timeout limit-rate dns-servers noproxy socks5 "
    "socks5-hostname aws-sigv4 tls-max local-port netrc-file proto engine doh-url max-filesize request-target "
    "rate variable speed-time speed-limit retry retry-delay retry-max-time"
)
# Headers that the client sends by itself unless it is told not to.
_CAN_BE_LEFT_OUT = ("accept", "user-agent", "content-type")
# Headers that a request has once.
_ONCE = ("authorization", "content-type", "host", "range", "referer", "user-agent")


@dataclass(slots=True)
class CurlRequest:
    """A request of a command: what HAR has of one, and what that has no place for.

    ``user`` is name and password, for the authentication ``scheme``. ``pieces`` are what the body is put together from
    if a file is among them, ``parts`` those of a form. ``without`` are headers that the client is not to send.
    """

    request: SourceRequest
    timeout_s: float | None = None
    max_redirects: int | None = None
    user: str | None = None
    scheme: str = "basic"
    cookies: list[tuple[str, str]] = field(default_factory=list)
    pieces: list[str | FilePiece] = field(default_factory=list)
    parts: list[FormPart] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    is_by_hand: bool = True


@dataclass(slots=True)
class CurlCommands:
    """The requests of one or more commands, options that a run of the script needs, and notes on what is not taken."""

    requests: list[CurlRequest]
    options: tuple[str, ...]
    notes: list[str]


def is_curl(text: str) -> bool:
    """Return whether *text* begins with a command of curl."""
    return _BEGIN.match(f"{text} ") is not None


def begins_with_curl(text: str) -> bool:
    """Return whether the first command in *text* is curl, behind comments and what sets a shell up."""
    first = next((line for line in text.splitlines() if not _PRELUDE.match(line)), "")
    return is_curl(first)


def read_curl(name: str, text: str) -> CurlCommands:
    """Return the requests of the commands in *text*, which errors call *name*.

    Raises:
        PlanError: a quote has no end, an option lacks its value, or a command has no URL.
    """
    if re.search(r"\^\r?\n|\^\"", text):
        raise PlanError(f"{name} is a command for Windows' cmd", hint="copy it as 'cURL (bash)'")
    requests: list[CurlRequest] = []
    options: dict[tuple[str, ...], None] = {}
    unknown: list[str] = []
    lost: list[str] = []
    try:
        values: dict[str, str] = {}
        for shell_command in commands(text, values):
            unknown += shell_command.redirections
            words = shell_command.words
            words = words[1:] if words[:1] == ["$"] else words
            assigned = [found for word in words[words[:1] == ["export"] :] if (found := _ASSIGNMENT.match(word))]
            if words and len(assigned) == len(words) - (words[0] == "export"):
                # A secret is asked for, by the name of its variable.
                values |= {found[1]: found[2] for found in assigned if not is_secret_field(found[1])}
                continue
            while words and (found := _ASSIGNMENT.match(words[0])):
                # The value may be secret.
                unknown.append(f"{found[1]}=...")
                words = words[1:]
            if not words or PurePath(words[0]).name not in _NAMES:
                lost += _lost_requests(name, words)
                unknown += words[:1]
                continue
            for part in _parts(words[1:]):
                command = _Command(name)
                command.read(part)
                requests += command.requests()
                options |= dict.fromkeys(command.of_run)
                unknown += command.unknown
    except ValueError as error:
        raise PlanError(f"{name}: {variables_shown(str(error))}", hint=_HINT) from error
    left_out = variables_shown(counted(lost, _MOST_LOST))
    if not requests:
        raise PlanError(f"{name} has no command of curl", hint=_HINT)
    notes = [f"left out, as they stand behind other words: {left_out}: write each on a line of its own"] if lost else []
    left_out = variables_shown(counted(unknown))
    notes += [f"not taken from the command, see to it: {left_out}"] if unknown else []
    return CurlCommands(requests, tuple(word for words in options for word in words), notes)


def _lost_requests(name: str, words: list[str]) -> list[str]:
    """Return methods and URLs of the requests in *words*, where curl is not the first one, as in ``do curl URL``."""
    at = next((number for number, word in enumerate(words) if PurePath(word).name in _NAMES), len(words))
    command = _Command(name)
    try:
        command.read(words[at + 1 :])
        made = command.requests() if at + 1 < len(words) else []
    except ValueError:
        return [f"{words[0]} curl ..."]
    return [f"{one.request.method} {_shown(one.request.url)}" for one in made]


def _shown(url: str) -> str:
    """Return *url* without a user and a query, which may have secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _parts(words: list[str]) -> list[list[str]]:
    """Return *words* in parts, where ``--next`` begins a request with options of its own."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word in ("--next", "-:"):
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


class _Command:
    """One command of curl, read word by word."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._urls: list[str] = []
        self._method = ""
        self._headers: list[Pair] = []
        # Of options like -A, over which a header of the same name goes.
        self._own_headers: dict[str, str] = {}
        self._without: list[str] = []
        self._data: list[str | FilePiece] = []
        self._uploads: list[str] = []
        self._parts: list[FormPart] = []
        self._query: list[str] = []
        self._json = self._get = self._head = self._globoff = False
        self._user: str | None = None
        self._scheme = "basic"
        self._cookies: list[tuple[str, str]] = []
        self._timeout_s: float | None = None
        self._max_redirects: int | None = None
        self.of_run: list[tuple[str, ...]] = []
        self.unknown: list[str] = []
        self._with_value: dict[str, Callable[[str], None]] = {
            "request": lambda value: setattr(self, "_method", value),
            "header": self._add_header,
            "url": self._urls.append,
            "data": self._add_data,
            "data-ascii": self._add_data,
            "data-binary": self._add_data_binary,
            "data-raw": self._data.append,
            "data-urlencode": lambda value: self._data.append(_urlencoded("--data-urlencode", value)),
            "url-query": self._add_query,
            "json": self._add_json,
            "form": self._add_form,
            "form-string": lambda value: self._parts.append(FormPart(*value.partition("=")[::2])),
            "user": lambda value: setattr(self, "_user", value),
            "oauth2-bearer": lambda value: self._own_headers.update({"Authorization": f"Bearer {value}"}),
            "cookie": self._add_cookies,
            "user-agent": lambda value: self._own_headers.update({"User-Agent": value}),
            "referer": lambda value: self._own_headers.update({"Referer": value.partition(";auto")[0]}),
            "range": lambda value: self._own_headers.update({"Range": f"bytes={value}"}),
            "max-time": lambda value: setattr(self, "_timeout_s", float(value)),
            "max-redirs": lambda value: setattr(self, "_max_redirects", int(value)),
            "upload-file": lambda value: self._uploads.append(file_path(value)),
        }

    def read(self, words: list[str]) -> None:
        """Take in the *words* after ``curl``."""
        left = iter(words)
        for word in left:
            if word == "--":
                self._urls += left
            elif word.startswith("--"):
                self._option(word[2:], word, "", left)
            elif word.startswith("-") and len(word) > 1:
                self._short(word[1:], left)
            else:
                self._urls.append(word)

    def _short(self, letters: str, left: Iterator[str]) -> None:
        """Take in options of one letter each, like ``-sSXPOST``: the value of one is the rest, or the next word."""
        while letters:
            letter, letters = letters[0], letters[1:]
            if self._option(_SHORT.get(letter, letter), f"-{letter}", letters, left):
                return

    def _option(self, name: str, shown: str, rest: str, left: Iterator[str]) -> bool:
        """Take in the option *name*; return whether it has a value: the *rest* of its word, or the next one *left*."""
        if name in self._with_value or name in _NO_MATTER_WITH_VALUE or name in _OTHER_WITH_VALUE:
            given = rest or next(left, None)
            if given is None:
                raise ValueError(f"the option {shown} has no value")
            if name in self._with_value:
                self._with_value[name](given)
            elif name in _OTHER_WITH_VALUE:
                self.unknown.append(shown)
            return True
        if name in _OF_RUN:
            self.of_run.append(_OF_RUN[name])
        elif name in ("get", "head", "globoff"):
            setattr(self, f"_{name}", True)
        elif name in ("basic", "digest", "ntlm"):
            self._scheme = name
        elif name not in _NO_MATTER:
            self.unknown.append(shown)
        return False

    def _add_header(self, line: str) -> None:
        name, mark, value = line.partition(":")
        name, value = name.strip(), value.strip()
        lower = name.lower()
        if lower == "cookie" and value:
            self._add_cookies(value)
        elif not mark and line.endswith(";"):
            self._headers.append(Pair(line[:-1].strip()))
        elif not value and lower in _CAN_BE_LEFT_OUT:
            self._without.append(name)
        elif not value or (lower in _ONCE and header_of(self._headers, lower)):
            # "@FILE", or "Name:" to leave one out that curl sends by itself.
            self.unknown += [] if lower == "expect" else [f"-H {name} once more" if value else f"-H {line}"]
        else:
            self._headers.append(Pair(name, value))

    def _add_cookies(self, text: str) -> None:
        if "=" not in text:
            self.unknown.append("-b with a file")
            return
        for pair in text.split(";"):
            name, _, value = pair.strip().partition("=")
            if name:
                self._cookies.append((name, value))

    def _add_data(self, text: str) -> None:
        self._data.append(FilePiece(file_path(text[1:]), is_without_line_ends=True) if text[:1] == "@" else text)

    def _add_data_binary(self, text: str) -> None:
        self._data.append(FilePiece(file_path(text[1:])) if text[:1] == "@" else text)

    def _add_json(self, text: str) -> None:
        self._json = True
        self._add_data_binary(text)

    def _add_query(self, text: str) -> None:
        self._query.append(text[1:] if text.startswith("+") else _urlencoded("--url-query", text))

    def _add_form(self, text: str) -> None:
        part, left = form_part(text)
        self._parts.append(part)
        self.unknown += [f"the option {option} of -F {part.name}" for option in left]

    def requests(self) -> list[CurlRequest]:
        """Return the requests of the command: one to each URL, and to each that its globs make."""
        if not self._urls:
            raise ValueError("a command has no URL")
        if bool(self._data) + bool(self._parts) + bool(self._uploads) > 1:
            raise ValueError("a command has more than one of -d, -F and -T, which curl refuses")
        if not self._globoff and any(map(GLOB.search, self._uploads)):
            raise ValueError(f"-T has several files in {self._uploads[0]!r}: give each as one of its own")
        if len(self._uploads) > len(self._urls):
            raise ValueError("a command has more files of -T than URLs")
        # The first file goes to the first URL.
        uploads = [*self._uploads, *[""] * len(self._urls)]
        return [
            self._request(one, upload)
            for url, upload in zip(self._urls, uploads, strict=False)
            for one in ([url] if self._globoff else expanded(url))
        ]

    def _request(self, url: str, upload: str) -> CurlRequest:
        url = _with_scheme(url)
        if VARIABLE.search(url.partition("://")[2].partition("/")[0]):
            raise ValueError(f"the address {url!r} has a variable in its host: write the value of it")
        url = urldefrag(url).url
        parts = urlsplit(url)
        if upload and (not parts.path or parts.path.endswith("/")):
            # To a folder, curl sends a file by its own name.
            parts = parts._replace(path=f"{parts.path or '/'}{quote(PurePath(upload).name)}")
            url = parts.geturl()
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address of http or https")
        _ = parts.port
        user = unquote(parts.netloc.rpartition("@")[0]) if "@" in parts.netloc and self._user is None else self._user
        if query := [*self._query, *(self._data_of_query() if self._get else [])]:
            url = f"{url}{'&' if parts.query else '?'}{'&'.join(query)}"
        made = SourceRequest("", url, self._sent_headers())
        pieces: list[str | FilePiece] = [FilePiece(upload)] if upload else []
        if not upload and not self._get:
            pieces = joined_data(self._data, is_json=self._json)
        made.post_data = body = self._body(pieces, is_upload=bool(upload))
        by_body = "PUT" if upload else "POST" if made.post_data else "GET"
        made.method = self._method or ("HEAD" if self._head else by_body)
        without = [*self._without, *(["Content-Type"] if upload and body and not body.mime_type else [])]
        has_file = any(isinstance(piece, FilePiece) for piece in pieces)
        return CurlRequest(
            *(made, self._timeout_s, self._max_redirects, user, self._scheme, list(self._cookies)),
            pieces if has_file else [],
            list(self._parts),
            list(dict.fromkeys(without)),
            is_by_hand=not any(header.name.lower().startswith("sec-") for header in self._headers),
        )

    def _data_of_query(self) -> list[str]:
        texts = [piece for piece in self._data if isinstance(piece, str)]
        if len(texts) < len(self._data):
            raise ValueError("-G with a file is not taken: write its content")
        return texts

    def _sent_headers(self) -> list[Pair]:
        """Return the headers of -H, and those of other options for which it has none."""
        given = {header.name.lower() for header in self._headers} | {name.lower() for name in self._without}
        own = dict(self._own_headers)
        if self._json:
            own["Accept"] = JSON
        if own.get("User-Agent") == "":
            self._without.append("User-Agent")
        return [*self._headers, *(Pair(name, own[name]) for name in own if own[name] and name.lower() not in given)]

    def _body(self, pieces: list[str | FilePiece], *, is_upload: bool) -> PostData | None:
        if self._parts:
            return PostData(MULTIPART)
        if not is_upload and (self._get or not self._data):
            return None
        given = header_of(self._headers, "content-type")
        if not given and "content-type" not in map(str.lower, self._without):
            given = JSON if self._json else "" if is_upload else FORM
        if any(isinstance(piece, FilePiece) for piece in pieces):
            return PostData(given)
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        return PostData(given, text if self._json else secrets_as_variables(text))


def _urlencoded(option: str, text: str) -> str:
    """Return *text* as ``--data-urlencode`` sends it: ``NAME=VALUE``, or a value alone."""
    name, mark, value = text.partition("=")
    if not mark and "@" in name:
        raise ValueError(f"{option} with a file is not taken: write its content, as in NAME=CONTENT")
    encoded = quote(value if mark else text, safe="")
    return f"{name}={encoded}" if name and mark else encoded


def _with_scheme(url: str) -> str:
    return url if "://" in url else f"http://{url}"
