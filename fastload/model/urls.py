"""URLs as browsers send them: percent-encoded part by part, with the host in ASCII (https://url.spec.whatwg.org)."""

from __future__ import annotations

import re
from urllib.parse import unquote

from fastload.model.wire_text import shown, utf8

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*://"
_SAFE = r"A-Za-z0-9!$%&()*+,\-./:;=@\[\]_|~"
_SAFE_EVERYWHERE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?&=+,;!$*()"
# A URL that is sent as it is, which is nearly every one. The host has no user name before it.
_IS_PLAIN = re.compile(rf"{_SCHEME}[A-Za-z0-9.:_\[\]-]*(?:/[{_SAFE}']*)?(?:\?[{_SAFE}?^`{{}}\\]*)?").fullmatch
_PARTS = re.compile(
    rf"(?P<scheme>{_SCHEME})(?P<authority>[^/\\?#]*)(?P<path>[^?#]*)(?P<query>(?:\?[^#]*)?)(?P<fragment>.*)", re.DOTALL
).fullmatch
_PATH = re.compile(rf"(?:{_SCHEME}[^/\\?#]*)?([^?#]*)").match
# What each part may not have; all else, non-ASCII too, is in the sets. A "%" stays: it may begin an encoded byte.
_NOT_IN_PATH = re.compile(rb"""[\0-\x20"#<>?^`{}\x7f-\xff]""")
_NOT_IN_QUERY = re.compile(rb"""[\0-\x20"#<>'\x7f-\xff]""")
_NOT_IN_FRAGMENT = re.compile(rb"""[\0-\x20"<>`\x7f-\xff]""")
_NOT_IN_USER = re.compile(rb"""[\0-\x20"#<>?^`{}/:;=@\[\\\]|\x7f-\xff]""")
_NOT_IN_HOST = re.compile(r"[\0-\x20#/:<>?@\[\\\]^|%\x7f]").search
_IS_IPV6 = re.compile(r"\[[A-Za-z0-9:.%_~-]+\](?::[0-9]*)?").fullmatch
_IS_PORT = re.compile(r"[0-9]*").fullmatch
_NOT_ASCII_HOST = re.compile(rb"[\0-\x20\x7f-\xff]")
_C0_OR_SPACE = "".join(map(chr, range(0x21)))
_TAB_OR_NEWLINE = re.compile(r"[\t\r\n]")
_DOTS = re.compile(r"(?:\.|%2e){1,2}", re.IGNORECASE).fullmatch


def encode_url(url: str) -> str:
    """Return the absolute *url* as it is sent, in ASCII. What is encoded already stays.

    A host that is no name is encoded byte by byte: libcurl then says what is wrong with it.
    """
    if url.isascii() and (not url.encode().translate(None, _SAFE_EVERYWHERE) or _IS_PLAIN(url)):
        return url
    parts = _PARTS(trim_url(url))
    if parts is None:
        return _encode(url, _NOT_IN_PATH)
    user, at, host = parts["authority"].rpartition("@")
    name, colon, password = user.partition(":")
    try:
        host = ascii_host(host)
    except ValueError:
        host = _encode(host, _NOT_ASCII_HOST)
    path = parts["path"].replace("\\", "/")
    return (
        f"{parts['scheme']}{_encode(name, _NOT_IN_USER)}{colon}{_encode(password, _NOT_IN_USER)}{at}{host}"
        f"{_encode(path, _NOT_IN_PATH)}{parts['query'][:1]}{_encode(parts['query'][1:], _NOT_IN_QUERY)}"
        f"{parts['fragment'][:1]}{_encode(parts['fragment'][1:], _NOT_IN_FRAGMENT)}"
    )


def trim_url(url: str) -> str:
    """Return *url* without white space around it, and without the tabs and line breaks within."""
    return _TAB_OR_NEWLINE.sub("", url.strip(_C0_OR_SPACE))


def ascii_host(host: str) -> str:
    """Return *host*, with or without a port, in ASCII: ``bücher.example:80`` is ``xn--bcher-kva.example:80``.

    Raises:
        ValueError: it is no name of a host.
    """
    if host.startswith("["):
        if not _IS_IPV6(host):
            raise ValueError(f"{host!r} is no address")
        return host
    name, colon, port = host.partition(":")
    if not _IS_PORT(port):
        raise ValueError(f"{port!r} is no port")
    if "%" in name:
        name = unquote(name, errors="strict")
    if not name.isascii():
        # It takes 5 ms to load, and few runs need it.
        import idna

        labels = idna.uts46_remap(name, std3_rules=False, transitional=False).split(".")
        name = ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)
    if found := _NOT_IN_HOST(name):
        raise ValueError(f"a host has no {found[0]!r}")
    return f"{name}{colon}{port}"


def with_ascii_host(url: str) -> str:
    """Return the absolute *url* with its host in ASCII. Raises ValueError as `ascii_host`."""
    parts = _PARTS(url)
    if parts is None:
        return url
    before, after = url[: parts.start("authority")], url[parts.end("authority") :]
    user, at, host = parts["authority"].rpartition("@")
    return f"{before}{user}{at}{ascii_host(host)}{after}"


def path_of(url: str) -> str:
    """Return the path of *url*, absolute or relative, as it was written; "/" if it has none."""
    if url.startswith("/"):
        path = url.partition("?")[0].partition("#")[0]
    else:
        found = _PATH(url)
        path = found[1] if found else ""
    return shown(path) or "/"


def leaves_segment(segment: str) -> bool:
    """Return whether *segment* of a path is "." or "..", in whatever form: it stands for another place in the path."""
    return _DOTS(segment) is not None


def add_query(url: str, query: str) -> str:
    """Return *url* with *query* at the end of its query, and so before its fragment."""
    url, mark, fragment = url.partition("#")
    return f"{url}{'&' if '?' in url else '?'}{query}{mark}{fragment}"


def _encode(part: str, unsafe: re.Pattern[bytes]) -> str:
    return unsafe.sub(lambda found: b"%%%02X" % found[0][0], utf8(part)).decode("ascii")
