"""Command lines of curl, as people write them and as browsers copy them ("Copy as cURL").

Of the parsers on PyPI none is kept up and knows more than a handful of options, so curl's own table is here: options
that change what is sent, those that do not, and for any other a note.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from urllib.parse import quote, quote_plus, urlsplit

from fastload.convert.curl.shell_words import VARIABLE, commands, variables_shown
from fastload.convert.curl.values import secrets_as_variables
from fastload.convert.script.bodies import FORM, JSON, MULTIPART
from fastload.convert.script.names import counted
from fastload.convert.source_request import Field, Pair, PostData, SourceRequest, header_of
from fastload.model.errors import PlanError

_BEGIN = re.compile(r"\s*(?:\$\s+)?curl(?:\.exe)?\s")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_GLOB = re.compile(r"\{[^{}]*\}|\[[0-9A-Za-z]+-[0-9A-Za-z]+(?::\d+)?\]")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r'\\(["\\])')
_HINT = "give it as one text in quotes, or in a file: in a browser's developer tools, Network, 'Copy as cURL (bash)'"
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
    "silent show-error verbose include fail fail-with-body location location-trusted compressed progress-bar "
    "no-progress-meter junk-session-cookies disable no-buffer tr-encoding remote-name "
    "remote-header-name remote-time parallel path-as-is no-keepalive styled-output no-alpn tcp-nodelay "
    "raw create-dirs"
)
_NO_MATTER_WITH_VALUE = _words(
    "output write-out cookie-jar dump-header stderr trace trace-ascii output-dir max-redirs speed-time "
    "speed-limit retry retry-delay retry-max-time keepalive-time"
)
# What is an option of the whole run here: curl's name, and what the run takes.
_OF_RUN = {"insecure": ("-k",), "http1.1": ("--http", "1.1"), "http2": ("--http", "2"), "http3": ("--http", "3")}
_OTHER_WITH_VALUE = _words(
    "cert key cacert capath ciphers pass cert-type key-type proxy proxy-user resolve connect-to interface "
    "unix-socket config continue-at time-cond connect-timeout limit-rate dns-servers noproxy socks5 "
    "socks5-hostname aws-sigv4 tls-max local-port netrc-file proto engine doh-url max-filesize request-target "
    "rate variable"
)


@dataclass(slots=True)
class CurlRequest:
    """A request of a command: what HAR has of one, and what that has no place for.

    ``user`` is name and password, for the authentication ``scheme``. ``body_file`` is the file that is the body, sent
    without its line ends if ``is_without_line_ends``. ``files`` are those of a form: the name of the field, path, name
    for the server, and media type or "".
    """

    request: SourceRequest
    timeout_s: float | None = None
    user: str | None = None
    scheme: str = "basic"
    cookies: list[tuple[str, str]] = field(default_factory=list)
    body_file: str = ""
    files: list[tuple[str, str, str, str]] = field(default_factory=list)
    is_by_hand: bool = True
    is_without_line_ends: bool = False


@dataclass(slots=True)
class CurlCommands:
    """The requests of one or more commands, options that a run of the script needs, and notes on what is not taken."""

    requests: list[CurlRequest]
    options: tuple[str, ...]
    notes: list[str]


def is_curl(text: str) -> bool:
    """Return whether *text* begins with a command of curl."""
    return _BEGIN.match(f"{text} ") is not None


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
    try:
        for shell_command in commands(text):
            unknown += shell_command.redirections
            words = shell_command.words
            words = words[1:] if words[:1] == ["$"] else words
            while words and (assigned := _ASSIGNMENT.match(words[0])):
                # The value may be secret.
                unknown.append(f"{assigned[0]}...")
                words = words[1:]
            if not words or PurePath(words[0]).name not in ("curl", "curl.exe"):
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
    if not requests:
        raise PlanError(f"{name} has no command of curl", hint=_HINT)
    left_out = variables_shown(counted(unknown))
    notes = [f"not taken from the command, see to it: {left_out}"] if unknown else []
    return CurlCommands(requests, tuple(word for words in options for word in words), notes)


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
        self._data: list[str] = []
        self._files: list[str] = []
        self._form: list[Field] = []
        self._query: list[str] = []
        self._json = self._get = self._head = self._globoff = self._without_line_ends = False
        self._is_upload = False
        self._user: str | None = None
        self._scheme = "basic"
        self._cookies: list[tuple[str, str]] = []
        self._timeout_s: float | None = None
        self._form_files: list[tuple[str, str, str, str]] = []
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
            "form-string": lambda value: self._form.append(Field(*value.partition("=")[::2])),
            "user": lambda value: setattr(self, "_user", value),
            "oauth2-bearer": lambda value: self._headers.append(Pair("Authorization", f"Bearer {value}")),
            "cookie": self._add_cookies,
            "user-agent": lambda value: self._headers.append(Pair("User-Agent", value)),
            "referer": lambda value: self._headers.append(Pair("Referer", value.partition(";auto")[0])),
            "range": lambda value: self._headers.append(Pair("Range", f"bytes={value}")),
            "max-time": lambda value: setattr(self, "_timeout_s", float(value)),
            "upload-file": self._upload,
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
        name, _, value = line.partition(":")
        name, value = name.strip(), value.strip()
        if name.lower() == "cookie" and value:
            self._add_cookies(value)
        elif not value or name.lower() == "host":
            # "@FILE", "Name;" for a header without a value, or "Name:" to leave one out that curl sends by itself.
            self.unknown += [] if name.lower() == "expect" else [f"-H {name if value else line}"]
        elif header_of(self._headers, name.lower()):
            self.unknown.append(f"-H {name} once more")
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
        self._without_line_ends = self._without_line_ends or text.startswith("@")
        self._add_data_binary(text)

    def _add_data_binary(self, text: str) -> None:
        if text.startswith("@"):
            self._files.append(_path(text[1:]))
        else:
            self._data.append(text)

    def _add_json(self, text: str) -> None:
        self._json = True
        self._add_data_binary(text)

    def _add_query(self, text: str) -> None:
        self._query.append(text[1:] if text.startswith("+") else _urlencoded("--url-query", text))

    def _add_form(self, text: str) -> None:
        name, _, value = text.partition("=")
        if value.startswith("<"):
            self.unknown.append("-F with '<'")
            return
        is_file = value.startswith("@")
        content, given = _value_and_options(value[is_file:])
        if not is_file:
            self.unknown += [f"the options of -F {name}"] if given else []
            self._form.append(Field(name, content))
            return
        filename = given.get("filename", PurePath(content).name).strip('"')
        self._form_files.append((name, _path(content), filename, given.get("type", "")))

    def _upload(self, path: str) -> None:
        self._method = self._method or "PUT"
        self._is_upload = True
        self._files.append(_path(path))

    def requests(self) -> list[CurlRequest]:
        """Return the request to each URL of the command."""
        if not self._urls:
            raise ValueError("a command has no URL")
        return [self._request(_with_scheme(url)) for url in self._urls]

    def _request(self, url: str) -> CurlRequest:
        if VARIABLE.search(url.partition("://")[2].partition("/")[0]):
            raise ValueError(f"the address {url!r} has a variable in its host: write the value of it")
        if (self._data or self._files) and (self._form or self._form_files):
            raise ValueError("a command has both -d and -F, which curl refuses")
        if not self._globoff and (glob := _GLOB.search(url)):
            raise ValueError(f"curl makes several URLs of {glob[0]!r}: write each, or give -g to send it as it is")
        parts = urlsplit(url)
        if self._is_upload and (not parts.path or parts.path.endswith("/")):
            # To a folder, curl sends a file by its own name.
            parts = parts._replace(path=f"{parts.path or '/'}{quote(PurePath(self._files[0]).name)}")
            url = parts.geturl()
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address of http or https")
        _ = parts.port
        user = self._user
        if "@" in parts.netloc and user is None:
            user = parts.netloc.rpartition("@")[0]
        query = [*self._query, *(self._data if self._get else [])]
        if query:
            url = f"{url}{'&' if parts.query else '?'}{'&'.join(query)}"
        made = SourceRequest("", url, list(self._headers), None if self._get else self._body())
        file = self._files[0] if self._files and not self._get else ""
        made.method = self._method or ("HEAD" if self._head else "POST" if made.post_data else "GET")
        if self._json and not header_of(made.headers, "accept"):
            made.headers.append(Pair("Accept", JSON))
        self.unknown += ["-d with several files"] if len(self._files) + bool(self._data) > 1 and file else []
        by_hand = not any(header.name.lower().startswith("sec-") for header in self._headers)
        cookies, files = list(self._cookies), list(self._form_files)
        return CurlRequest(
            made, self._timeout_s, user, self._scheme, cookies, file, files, by_hand, self._without_line_ends
        )

    def _body(self) -> PostData | None:
        given = header_of(self._headers, "content-type")
        if self._form or self._form_files:
            return PostData(MULTIPART, "", self._form)
        if self._files:
            return PostData(given or (JSON if self._json else "" if self._is_upload else FORM))
        if not self._data:
            return None
        if self._json:
            return PostData(given or JSON, "".join(self._data))
        return PostData(given or FORM, secrets_as_variables("&".join(self._data)))


def _value_and_options(text: str) -> tuple[str, dict[str, str]]:
    """Return the value in *text* of ``-F``, which may be in quotes, and its options, as in ``VALUE;type=TYPE``."""
    found = _QUOTED.match(text)
    value = _ESCAPED.sub(r"\1", found[1]) if found else text.partition(";")[0]
    _, *options = text[found.end() if found else 0 :].split(";")
    return value, dict(option.strip().partition("=")[::2] for option in options)


def _path(path: str) -> str:
    if path in ("-", "."):
        raise ValueError(f"a body is read from {path!r}, which is standard input: put it into a file")
    return path


def _urlencoded(option: str, text: str) -> str:
    """Return *text* as ``--data-urlencode`` sends it: ``NAME=VALUE``, or a value alone."""
    name, mark, value = text.partition("=")
    if not mark and "@" in name:
        raise ValueError(f"{option} with a file is not taken: write its content, as in NAME=CONTENT")
    if not mark:
        return quote_plus(text)
    return f"{name}={quote_plus(value)}" if name else quote_plus(value)


def _with_scheme(url: str) -> str:
    return url if "://" in url else f"http://{url}"
