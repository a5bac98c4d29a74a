"""Scripts from recordings: a function for each page, with its requests and the pauses of the recorded user."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastload.convert.recordings.correlation import Correlation, Use, Variable
from fastload.convert.recordings.dynamic_values import looks_random, pieces
from fastload.convert.recordings.extractions import recorded_cookies
from fastload.convert.recordings.har import Recording
from fastload.convert.recordings.visits import RecordingFilter, Selection, Sent, Visit, batches, visits
from fastload.convert.script.expressions import on_reply
from fastload.convert.script.functions import MOST_STATEMENTS, ScriptFunction, Statement, functions_of
from fastload.convert.script.names import (
    constant,
    counted,
    identifier,
    is_secret_field,
    request_name,
    single_line,
    unique,
)
from fastload.convert.script.origins import Origins, origin_of
from fastload.convert.script.request_writer import RequestWriter
from fastload.convert.script.writer import WIDTH, Call, Code, Conversion, Module, flatten, statement, text_literal
from fastload.convert.source_request import Pair, cookies_of
from fastload.model.errors import PlanError

SHORTEST_PAUSE_S = 0.1
_MOST_COOKIES = 10
"""How many of the cookies that are left out a note names."""


def script_of_recording(recording: Recording, source: str, title: str, recording_filter: RecordingFilter) -> Conversion:
    """Return the script of *recording*, which was read from the file *source*.

    Raises:
        PlanError: the filter *recording_filter* leaves no request.
    """
    return _RecordingScript(recording, source, title, recording_filter).conversion()


@dataclass(frozen=True, slots=True)
class _Batch:
    """Requests that are sent together, as calls with their use of variables, after a pause."""

    pause: str
    calls: list[Call]
    uses: list[Use]

    def statements(self) -> Iterable[Statement]:
        if self.pause:
            yield Statement(self.pause)
        sends = list({variable.name: variable for use in self.uses for variable in use.sends}.values())
        gives = [variable for use in self.uses for variable in use.gives]
        is_read = any("reply." in flatten(variable.extraction.expression) for variable in gives)
        yield Statement(self._sending(is_read) + self._takings(), sends, gives)

    def _sending(self, is_read: bool) -> str:
        if len(self.calls) == 1:
            return statement(self.calls[0], 4, "reply = await " if is_read else "await ")
        return statement(Call("await asyncio.gather", self.calls), 4, "replies = " if is_read else "")

    def _takings(self) -> str:
        text = ""
        for number, use in enumerate(self.uses):
            reply = "reply" if len(self.calls) == 1 else f"replies[{number}]"
            text += "".join(_taking(variable, reply) for variable in use.gives)
        return text


@dataclass(slots=True)
class _Page:
    """A page of the script: its pause before, its title, and its batches."""

    pause: str
    title: str
    batches: list[_Batch] = field(default_factory=list)


class _RecordingScript:
    """Builder of the script of one recording."""

    def __init__(self, recording: Recording, source: str, title: str, recording_filter: RecordingFilter) -> None:
        self._source, self._title, self._recording_filter = source, title, recording_filter
        self._scenario = identifier(Path(title).stem, "visit")
        urls = [urlsplit(entry.request.url) for entry in recording.entries]
        http = [url for url in urls if url.scheme in ("http", "https")]
        host = (http[0].hostname or "") if http else ""
        selection = Selection(recording_filter, host)
        self._kept = selection.kept(recording.entries)
        self._notes = [*recording.notes, *selection.notes]
        if not self._kept:
            raise PlanError(
                f"{source}: none of its {len(recording.entries)} requests is left",
                hint="; ".join([*self._notes, "--all-hosts and --static keep more"]),
            )
        self._base_url = _base_url(self._kept[0])
        self._visits = visits(recording, self._kept)
        self._cut = 0

    def conversion(self) -> Conversion:
        """Return the script, with notes on left-out and changed parts of the recording."""
        module = Module("", taken={self._scenario})
        self._origins = Origins(module, self._base_url)
        self._values = Correlation(module)
        requests = [sent.entry.request for sent in self._kept]
        self._requests = RequestWriter(module, self._origins, self._values, requests)
        pages = [self._page(visit, before) for visit, before in zip(self._visits, self._ends(), strict=True)]
        cookies = self._cookies_before(module)
        body = self._body(module, pages)
        head = statement(Call("@fl.scenario", keywords=self._options()), 0)
        module.add(f"{head}async def {self._scenario}(vu: fl.VU) -> None:\n{cookies}{body}")
        module.about = self._about() + module.how_to_run(self._title, self._base_url)
        self._note_what_was_changed(module)
        return Conversion(module.text(), tuple(self._notes), module.options(self._base_url))

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"vus": 1, "iterations": 1}
        if any(recorded_cookies(entry.response) for sent in self._kept for entry in sent.chain):
            # The next visit is of another user, who is not logged in yet.
            options["cookies"] = "clear"
        return options | {"thresholds": {"http_req_failed": "rate<0.01"}}

    def _about(self) -> str:
        pages = f" on {len(self._visits)} pages" if len(self._visits) > 1 else ""
        many = "s" if len(self._kept) > 1 else ""
        return f"A visit as it was recorded in {single_line(self._source)}: {len(self._kept)} request{many}{pages}."

    def _ends(self) -> list[float | None]:
        """Return for each visit when the last response to any of those before it came; None for the first."""
        ends: list[float | None] = [None]
        for visit in self._visits[:-1]:
            ends.append(max([ends[-1] or 0.0, *(sent.end_s for sent in visit.requests)]))
        return ends

    def _page(self, visit: Visit, before: float | None) -> _Page:
        page = _Page("" if before is None else self._pause(visit.requests[0].start_s - before), visit.title)
        end: float | None = None
        for batch in batches(visit.requests):
            pause = "" if end is None else self._pause(batch[0].start_s - end)
            end = max([end or 0.0, *(sent.end_s for sent in batch)])
            page.batches.append(self._batch(pause, batch))
        return page

    def _batch(self, pause: str, batch: list[Sent]) -> _Batch:
        made = _Batch(pause, [], [])
        for sent in batch:
            request = sent.entry.request
            shown = f"{request.method.upper()} {_shown_path(request.url)}"
            made.uses.append(self._values.begin(shown))
            made.calls.append(self._requests.call(request))
        self._values.answered([sent.chain for sent in batch])
        return made

    def _body(self, module: Module, pages: list[_Page]) -> str:
        """Return the body of the scenario; pages become functions of *module*."""
        if any(len(batch.calls) > 1 for page in pages for batch in page.batches):
            module.imports.add("asyncio")
        statements = [[one for batch in page.batches for one in batch.statements()] for page in pages]
        if len(pages) == 1 and not pages[0].title:
            if sum(one.size for one in statements[0]) <= MOST_STATEMENTS:
                return "".join(one.source for one in statements[0])
            functions = functions_of(module, "steps", "A part of the visit.", statements[0])
            return _calls(module, functions, functions, 4)
        titles: list[str] = []
        of_pages: list[list[ScriptFunction]] = []
        for number, (page, inside) in enumerate(zip(pages, statements, strict=True), 1):
            titles.append(unique(page.title or f"page {number}", titles, joint=" "))
            about = f"What the page {titles[-1]!r} sends."
            of_pages.append(functions_of(module, identifier(titles[-1], "page"), about, inside))
        every = [function for functions in of_pages for function in functions]
        body = ""
        for page, title, functions in zip(pages, titles, of_pages, strict=True):
            group = statement(Call("async with vu.group", [title], tail=":"), 4)
            body += page.pause + group + _calls(module, functions, every, 8)
        return body

    def _pause(self, length_s: float) -> str:
        """Return the statement for a pause; an empty text below `SHORTEST_PAUSE_S`."""
        if length_s < SHORTEST_PAUSE_S or not self._recording_filter.longest_pause_s:
            return ""
        if length_s > self._recording_filter.longest_pause_s:
            self._cut += 1
            length_s = self._recording_filter.longest_pause_s
        return f"    await vu.sleep({round(length_s, 1):g})\n"

    def _cookies_before(self, module: Module) -> str:
        """Return statements for the cookies of a session that had begun before the recording did."""
        known: set[tuple[str, str]] = set()
        text = ""
        left: list[str] = []
        for entry in (entry for sent in self._kept for entry in sent.chain):
            request, host = entry.request, urlsplit(entry.request.url).hostname or ""
            for name, value in (cookies_of(request.headers) or _pairs(request.cookies)).items():
                if (_site(host), name) not in known and value:
                    if is_secret_field(name):
                        text += self._cookie(name, module.secret(constant(name), value), host)
                    else:
                        left.append(name)
                known.add((_site(host), name))
            known.update((_site(host), name) for name, _ in recorded_cookies(entry.response))
        if left:
            named = single_line(counted(left, _MOST_COOKIES))
            self._notes.append(f"cookies that no response of the recording set are left out: {named}")
        return text

    def _cookie(self, name: str, value: Code, host: str) -> str:
        if host == urlsplit(self._base_url).hostname:
            return f"    vu.cookies[{text_literal(name)}] = {value.text}\n"
        return statement(Call("vu.cookies.set", [name, value], {"domain": host}), 4)

    def _note_what_was_changed(self, module: Module) -> None:
        if self._cut:
            pauses = "a pause was" if self._cut == 1 else f"{self._cut} pauses were"
            self._notes.append(f"{pauses} cut to {self._recording_filter.longest_pause_s:g} s (--max-pause)")
        self._notes += dict.fromkeys(self._requests.notes)
        taken = [variable.name for use in self._values.uses for variable in use.gives]
        if taken:
            self._notes.append(f"taken from earlier responses, as comments say: {', '.join(taken)}")
        if others := self._origins.others:
            places = ", ".join(f"{origin} ({name})" for origin, name in others.items())
            self._notes.append(f"requests to these other servers are kept; -e sets another address: {places}")
        asked = self._values.asked
        if secrets := [name for name in module.environment if name not in asked]:
            given = "give {} with -e, or in the environment"
            self._notes.append(f"secrets of the recording are not copied: {given.format(', '.join(secrets))}")
        if asked:
            bodies = any(entry.response.content.text for sent in self._kept for entry in sent.chain)
            why = "no earlier response has them" if bodies else "the recording has no bodies of responses"
            self._notes.append(f"these look as if a server had made them, but {why}: give {', '.join(asked)} with -e")


def _pairs(cookies: list[Pair]) -> dict[str, str]:
    return {cookie.name: cookie.value for cookie in cookies}


def _site(host: str) -> str:
    """Return what *host* shares cookies with: the last two parts of a name, a whole address."""
    return host if ":" in host or host.rpartition(".")[2].isdecimal() else ".".join(host.split(".")[-2:])


def _shown_path(url: str) -> str:
    """Return the path of *url* for a comment, without the values of this visit."""
    parts = request_name(urlsplit(url).path).split("/")
    return "/".join("{id}" if any(looks_random(piece[0]) for piece in pieces(part)) else part for part in parts)


def _base_url(first: Sent) -> str:
    """Return the origin that the visit began at: of a server that redirects to itself, where that led."""
    urls = [urlsplit(entry.request.url) for entry in first.chain]
    return origin_of(urls[-1] if urls[-1].hostname == urls[0].hostname else urls[0])


def _calls(module: Module, functions: list[ScriptFunction], every: list[ScriptFunction], indent: int) -> str:
    """Add *functions*, which are some of *every* one in its order, to *module*, and return their calls."""
    calls = ""
    for function in functions:
        later = every[every.index(function) + 1 :]
        function.add_to(module, later)
        calls += function.call(indent, later)
    return calls


def _taking(variable: Variable, reply: str) -> str:
    comment = single_line(f"# From {variable.extraction.where}; sent as {variable.sent_as}.", WIDTH - 4)
    taken = on_reply(variable.extraction.expression, reply)
    return f"    {comment}\n" + statement(taken, 4, f"{variable.name} = ")
