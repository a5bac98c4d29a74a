"""Requests of a recording that a script sends: which are kept, which follow a redirect, and of which page they are."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, urldefrag, urljoin, urlsplit

from fastload.convert.recordings.har import HarEntry, Recording
from fastload.convert.script.names import counted, request_name, single_line
from fastload.convert.source_request import header_of
from fastload.model.errors import PlanError

_STATIC_TYPES = (
    *("image/", "font/", "audio/", "video/", "text/css", "text/javascript", "application/javascript"),
    *("application/x-javascript", "application/font", "application/x-font", "application/wasm"),
)
_STATIC_KINDS = ("image", "font", "media", "stylesheet", "script", "manifest")
_STATIC_SUFFIXES = (
    *(".css", ".js", ".mjs", ".map", ".woff", ".woff2", ".ttf", ".otf", ".wasm", ".mp4", ".webm", ".mp3"),
    *(".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".ico"),
)
_PREFLIGHT = "access-control-request-method"
_OTHER_HOSTS = "requests to other hosts (--all-hosts keeps them)"
_STATIC = "images, styles, scripts and fonts (--static keeps them)"


@dataclass(frozen=True, slots=True)
class RecordingFilter:
    """Options for the requests and pauses of a recording that a script keeps.

    Args:
        all_hosts: keep requests to all hosts, not only to the first one.
        static: keep images, styles, scripts and fonts.
        longest_pause_s: limit in seconds to which longer pauses are cut; 0 leaves out all pauses.
    """

    all_hosts: bool = False
    static: bool = False
    longest_pause_s: float = 10.0

    def check_unused(self, what: str) -> None:
        """Check that all options are defaults, for the source *what*, which is not a recording.

        Raises:
            PlanError: an option was given.
        """
        if self != RecordingFilter():
            raise PlanError(
                f"--all-hosts, --static and --max-pause go with a recording, not with {what}",
                hint="leave them out, or give a HAR file with --from",
            )


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that the script sends, and those with which the client follows its redirects, in order."""

    entry: HarEntry
    followed: list[HarEntry]

    @property
    def chain(self) -> list[HarEntry]:
        """All of them."""
        return [self.entry, *self.followed]

    @property
    def start_s(self) -> float:
        """Time when the first one was sent, in seconds since the epoch."""
        return self.entry.start_s

    @property
    def end_s(self) -> float:
        """Time of the last byte of the last response, in seconds since the epoch."""
        return max(entry.end_s for entry in self.chain)


@dataclass(frozen=True, slots=True)
class Visit:
    """A visited page and its requests; the title is empty if the recording has no pages."""

    title: str
    requests: list[Sent]


class Selection:
    """The requests of a recording that the *recording_filter* keeps. ``notes`` says why others are left out."""

    def __init__(self, recording_filter: RecordingFilter, host: str) -> None:
        self._filter, self._host = recording_filter, host
        self.notes: list[str] = []

    def kept(self, entries: list[HarEntry]) -> list[Sent]:
        """Return the requests of *entries* that the script sends."""
        left: dict[str, list[str]] = {}
        kept: list[Sent] = []
        # Redirect targets -> requests that lead to them. The client follows redirects itself, as the browser did, so
        # requests to these targets are not written.
        expected: dict[tuple[str, str], list[Sent]] = {}
        for entry in entries:
            url = urlsplit(entry.request.url)
            reason = self._reason_against(entry, url)
            if reason:
                left.setdefault(reason, []).append(url.hostname or url.scheme)
                continue
            key = entry.request.method.upper(), urldefrag(entry.request.url).url
            if expected.get(key):
                first = expected[key].pop(0)
                first.followed.append(entry)
            else:
                first = Sent(entry, [])
                kept.append(first)
            if target := _redirect(entry):
                expected.setdefault(target, []).append(first)
        self._note(left, kept)
        return kept

    def _note(self, left: dict[str, list[str]], kept: list[Sent]) -> None:
        for reason, hosts in left.items():
            where = f": {counted(hosts)}" if reason == _OTHER_HOSTS else ""
            self.notes.append(f"left out, {len(hosts)} in all: {reason}{where}")
        failed = [
            f"{sent.entry.response.status} {urlsplit(sent.entry.request.url).path}"
            for sent in kept
            if sent.entry.response.status >= 400
        ]
        if failed:
            self.notes.append(f"these failed in the recording, and are kept: {counted(failed)}")

    def _reason_against(self, entry: HarEntry, url: SplitResult) -> str:
        if url.scheme in ("ws", "wss"):
            return "WebSocket connections"
        if url.scheme not in ("http", "https"):
            return "URLs that are not http"
        if entry.request.method.upper() == "OPTIONS" and header_of(entry.request.headers, _PREFLIGHT):
            return "preflight requests, which only browsers send (CORS)"
        if url.hostname != self._host and not self._filter.all_hosts:
            return _OTHER_HOSTS
        if not self._filter.static and _is_static(entry, url):
            return _STATIC
        return "" if entry.response.status > 0 else "requests that got no response"


def visits(recording: Recording, requests: list[Sent]) -> list[Visit]:
    """Return *requests* grouped by page, in the order of the first ones.

    A request without a page belongs to the page of the request before it.
    """
    titles = {page.id: _page_title(page.title) for page in recording.pages}
    found: dict[str, list[Sent]] = {}
    current = next((sent.entry.pageref for sent in requests if sent.entry.pageref in titles), None) or ""
    for sent in requests:
        current = (sent.entry.pageref if sent.entry.pageref in titles else current) or ""
        found.setdefault(current, []).append(sent)
    return [Visit(titles.get(page, ""), of_page) for page, of_page in found.items()]


def batches(requests: list[Sent]) -> list[list[Sent]]:
    """Return *requests* in groups: of those that were sent before any other one of their group had an answer."""
    found: list[list[Sent]] = []
    for sent in requests:
        if found and sent.start_s < min(other.end_s for other in found[-1]):
            found[-1].append(sent)
        else:
            found.append([sent])
    return found


def _is_static(entry: HarEntry, url: SplitResult) -> bool:
    return (
        entry.resource_type in _STATIC_KINDS
        or entry.response.content.mime_type.lower().startswith(_STATIC_TYPES)
        or url.path.lower().endswith(_STATIC_SUFFIXES)
    )


def _redirect(entry: HarEntry) -> tuple[str, str] | None:
    """Return method and URL of the request with which a client follows the redirect, or None if there is none."""
    if not 300 <= entry.response.status < 400 or not entry.response.redirect_url:
        return None
    method = entry.request.method.upper()
    if entry.response.status == 303 or (entry.response.status in (301, 302) and method == "POST"):
        method = "GET"
    return method, urldefrag(urljoin(entry.request.url, entry.response.redirect_url)).url


def _page_title(title: str) -> str:
    """Return a page title that is valid as a group name; of a URL, only the path."""
    if "://" in title:
        try:
            title = request_name(urlsplit(title).path)
        except ValueError:
            return single_line(title.replace("::", ":"))
    return single_line(title).replace("::", ":")
