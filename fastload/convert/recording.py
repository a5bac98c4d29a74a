"""Scripts from recordings: a function for each page, with its requests and the pauses of the recorded user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urljoin, urlsplit

from fastload.convert.har import HarEntry, Recording
from fastload.convert.names import counted, identifier, request_name, single_line, unique
from fastload.convert.request_writer import RequestWriter
from fastload.convert.writer import Call, Conversion, Module, docstring, statement
from fastload.model.errors import PlanError

SHORTEST_PAUSE_S = 0.1
_STATIC_TYPES = (
    *("image/", "font/", "audio/", "video/", "text/css", "text/javascript", "application/javascript"),
    *("application/x-javascript", "application/font", "application/x-font", "application/wasm"),
)
_STATIC_KINDS = ("image", "font", "media", "stylesheet", "script", "manifest")
_STATIC_SUFFIXES = (
    *(".css", ".js", ".mjs", ".map", ".woff", ".woff2", ".ttf", ".otf", ".wasm", ".mp4", ".webm", ".mp3"),
    *(".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".ico"),
)
# Linters warn about longer functions, which are hard to read.
_MOST_STATEMENTS = 40


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
class _Visit:
    """A visited page and its requests; the title is empty if the recording has no pages."""

    title: str
    entries: list[HarEntry]


def script_of_recording(recording: Recording, source: str, title: str, recording_filter: RecordingFilter) -> Conversion:
    """Return the script of *recording*, which was read from the file *source*.

    Raises:
        PlanError: the filter *recording_filter* leaves no request.
    """
    return _RecordingScript(recording, source, title, recording_filter).conversion()


class _RecordingScript:
    """Builder of the script of one recording."""

    def __init__(self, recording: Recording, source: str, title: str, recording_filter: RecordingFilter) -> None:
        self._source, self._title, self._recording_filter = source, title, recording_filter
        self._scenario = identifier(Path(title).stem, "visit")
        self._notes: list[str] = []
        http = [entry for entry in recording.entries if _url(entry).scheme in ("http", "https")]
        self._host = _url(http[0]).hostname or "" if http else ""
        self._base_url = _main_origin(http, self._host)
        kept = self._kept(recording.entries)
        if not kept:
            raise PlanError(
                f"{source}: none of its {len(recording.entries)} requests is left",
                hint="; ".join([*self._notes, "--all-hosts and --static keep more"]),
            )
        self._visits = _visits(recording, kept)
        self._count = len(kept)
        self._cut = 0

    def conversion(self) -> Conversion:
        """Return the script, with notes on left-out and changed parts of the recording."""
        module = Module("", taken={self._scenario})
        self._requests = RequestWriter(module, self._host, [entry for visit in self._visits for entry in visit.entries])
        body = self._pages(module)
        options = {"vus": 1, "iterations": 1, "thresholds": {"http_req_failed": "rate<0.01"}}
        head = statement(Call("@fl.scenario", keywords=options), 0)
        module.add(f"{head}async def {self._scenario}(vu: fl.VU) -> None:\n{body}")
        module.about = self._about() + module.how_to_run(self._title, self._base_url)
        self._note_what_was_changed(module)
        return Conversion(module.text(), tuple(self._notes), module.options(self._base_url))

    def _about(self) -> str:
        pages = f" on {len(self._visits)} pages" if len(self._visits) > 1 else ""
        many = "s" if self._count > 1 else ""
        return f"A visit as it was recorded in {single_line(self._source)}: {self._count} request{many}{pages}."

    def _kept(self, entries: list[HarEntry]) -> list[HarEntry]:
        """Return the requests that the script sends. Note why the others are left out."""
        left: dict[str, list[str]] = {}
        kept: list[HarEntry] = []
        # Redirect targets -> requests that lead to them. The client follows redirects itself, as the browser did, so
        # requests to these targets are not written.
        followed: dict[tuple[str, str], list[HarEntry]] = {}
        for entry in entries:
            url = _url(entry)
            reason = self._reason_against(entry, url)
            if reason:
                left.setdefault(reason, []).append(url.hostname or url.scheme)
                continue
            key = entry.request.method.upper(), entry.request.url
            first = entry
            if followed.get(key):
                first = followed[key].pop(0)
                first.time_ms = 1000 * (entry.end_s - first.start_s)
            else:
                kept.append(entry)
            if target := _redirect(entry):
                followed.setdefault(target, []).append(first)
        for reason, hosts in left.items():
            where = f": {counted(hosts)}" if reason == _OTHER_HOSTS else ""
            self._notes.append(f"left out, {len(hosts)} in all: {reason}{where}")
        failed = [f"{entry.response.status} {_url(entry).path}" for entry in kept if entry.response.status >= 400]
        if failed:
            self._notes.append(f"these failed in the recording, and are kept: {counted(failed)}")
        return kept

    def _reason_against(self, entry: HarEntry, url: SplitResult) -> str:
        if url.scheme in ("ws", "wss"):
            return "WebSocket connections"
        if url.scheme not in ("http", "https"):
            return "URLs that are not http"
        if url.hostname != self._host and not self._recording_filter.all_hosts:
            return _OTHER_HOSTS
        if not self._recording_filter.static and _is_static(entry, url):
            return _STATIC
        return "" if entry.response.status else "requests that got no response"

    def _pages(self, module: Module) -> str:
        """Return the body of the scenario; pages become functions of *module*."""
        body, names = "", set[str]()
        before: float | None = None
        for number, visit in enumerate(self._visits, 1):
            if before is not None:
                body += self._pause(visit.entries[0].start_s - before, 4)
            before = max([before or 0.0, *(entry.end_s for entry in visit.entries)])
            if not visit.title and len(self._visits) == 1:
                chunks = self._functions(module, "steps", "", visit.entries, inline=True)
                body += chunks
                continue
            title = unique(visit.title or f"page {number}", names, joint=" ")
            names.add(title)
            inside = self._functions(module, identifier(title, "page"), title, visit.entries)
            body += statement(Call("async with vu.group", [title], tail=":"), 4) + inside
        return body

    def _functions(
        self, module: Module, name: str, title: str, entries: list[HarEntry], *, inline: bool = False
    ) -> str:
        """Add functions for *entries* to *module*, and return the calls of these functions.

        *inline*: if there are few statements, return the statements themselves instead.
        """
        statements = list(self._statements(module, entries))
        if inline and len(statements) <= _MOST_STATEMENTS:
            return "".join(statements)
        calls = ""
        about = docstring(f"What the page {title!r} sends." if title else "A part of the visit.", 4)
        for start in range(0, len(statements), _MOST_STATEMENTS):
            function = unique(name, module.names)
            module.names.add(function)
            inside = "".join(statements[start : start + _MOST_STATEMENTS])
            module.add(f"async def {function}(vu: fl.VU) -> None:\n{about}{inside}")
            calls += f"{' ' * (4 if inline else 8)}await {function}(vu)\n"
        return calls

    def _statements(self, module: Module, entries: list[HarEntry]) -> Iterator[str]:
        """Yield requests and pauses. Requests that overlap in the recording are sent concurrently."""
        batches: list[list[HarEntry]] = []
        for entry in entries:
            if batches and entry.start_s < min(other.end_s for other in batches[-1]):
                batches[-1].append(entry)
            else:
                batches.append([entry])
        before: float | None = None
        for batch in batches:
            if before is not None and (pause := self._pause(batch[0].start_s - before, 4)):
                yield pause
            before = max([before or 0.0, *(entry.end_s for entry in batch)])
            if len(batch) == 1:
                yield statement(self._requests.call(batch[0], "await "), 4)
            else:
                module.imports.add("asyncio")
                yield statement(Call("await asyncio.gather", [self._requests.call(entry) for entry in batch]), 4)

    def _pause(self, length_s: float, indent: int) -> str:
        """Return the statement for a pause; an empty text below `SHORTEST_PAUSE_S`."""
        if length_s < SHORTEST_PAUSE_S or not self._recording_filter.longest_pause_s:
            return ""
        if length_s > self._recording_filter.longest_pause_s:
            self._cut += 1
            length_s = self._recording_filter.longest_pause_s
        return f"{' ' * indent}await vu.sleep({round(length_s, 1):g})\n"

    def _note_what_was_changed(self, module: Module) -> None:
        if self._cut:
            pauses = "a pause was" if self._cut == 1 else f"{self._cut} pauses were"
            self._notes.append(f"{pauses} cut to {self._recording_filter.longest_pause_s:g} s (--max-pause)")
        self._notes += self._requests.notes
        if module.environment:
            names = ", ".join(module.environment)
            self._notes.append(f"secrets of the recording are not copied: give {names} with -e, or in the environment")


_OTHER_HOSTS = "requests to other hosts (--all-hosts keeps them)"
_STATIC = "images, styles, scripts and fonts (--static keeps them)"


def _url(entry: HarEntry) -> SplitResult:
    return urlsplit(entry.request.url)


def _main_origin(entries: list[HarEntry], host: str) -> str:
    """Return the origin (scheme, host and port) of most requests to *host*."""
    origins = Counter(
        f"{url.scheme}://{url.netloc.rpartition('@')[2]}" for url in map(_url, entries) if url.hostname == host
    )
    return origins.most_common(1)[0][0] if origins else ""


def _is_static(entry: HarEntry, url: SplitResult) -> bool:
    kind = (entry.response.content.mime_type or "").lower()
    return (
        entry.resource_type in _STATIC_KINDS
        or kind.startswith(_STATIC_TYPES)
        or url.path.lower().endswith(_STATIC_SUFFIXES)
    )


def _redirect(entry: HarEntry) -> tuple[str, str] | None:
    """Return method and URL of the request with which a client follows the redirect, or None if there is none."""
    if not 300 <= entry.response.status < 400 or not entry.response.redirect_url:
        return None
    method = entry.request.method.upper()
    if entry.response.status == 303 or (entry.response.status in (301, 302) and method == "POST"):
        method = "GET"
    return method, urljoin(entry.request.url, entry.response.redirect_url)


def _visits(recording: Recording, entries: list[HarEntry]) -> list[_Visit]:
    """Return *entries* grouped by page, in the order of the first requests.

    A request without a page belongs to the page of the request before it.
    """
    titles = {page.id: _page_title(page.title) for page in recording.pages}
    found: dict[str, list[HarEntry]] = {}
    current = next((entry.pageref for entry in entries if entry.pageref in titles), None) or ""
    for entry in entries:
        current = entry.pageref if entry.pageref in titles else current
        found.setdefault(current or "", []).append(entry)
    return [_Visit(titles.get(page, ""), of_page) for page, of_page in found.items()]


def _page_title(title: str) -> str:
    """Return a page title that is valid as a group name; of a URL, only the path."""
    if "://" in title:
        title = request_name(urlsplit(title).path)
    return single_line(title).replace("::", ":")
