"""Collections of Postman, format 2.1 (and 2.0), as JSON: its requests in order, with a group for each folder.

Packages for them on PyPI make collections or run them; none reads one into types and is kept up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlsplit

import msgspec

from fastload.convert.locations import json_path, malformed_json, refuse
from fastload.convert.postman.bodies import postman_body
from fastload.convert.postman.parts import attributes, enabled, mapping, plain_text, scripts
from fastload.convert.postman.variables import PLACEHOLDER, PostmanValues
from fastload.convert.script.names import constant, counted, identifier, single_line, unique
from fastload.convert.script.origins import Origins, origin_of
from fastload.convert.script.steps import Step, basic_or_other, script_of_steps
from fastload.convert.script.writer import Conversion, Module
from fastload.convert.source_request import Pair, SourceRequest, cookies_of, header_of, put_header
from fastload.model.errors import PlanError

_HINT = "export the collection anew: format 'Collection v2.1'"
_SET = re.compile(r"""\.set\(\s*["']([^"']+)["']""")
_HEAD = re.compile(r"[^/?#]*?://[^/?#]*|[^/?#]*")
# Methods whose body Postman does not send unless it is told to.
_WITHOUT_BODY = ("GET", "HEAD", "COPY", "PURGE", "UNLOCK")
_DEFAULT_BASE_URL = "http://localhost:8080"


@dataclass(frozen=True, slots=True)
class _Item:
    """A request of the collection, with what its folders say: their names, and the nearest authentication.

    ``behavior`` is how Postman is to send it (``protocolProfileBehavior``).
    """

    name: str
    folders: tuple[tuple[int, str], ...]
    request: dict[str, Any]
    auth: dict[str, Any]
    scripts: tuple[str, ...]
    behavior: dict[str, Any]


def script_of_collection(name: str, data: bytes, title: str) -> Conversion:
    """Return the script at path *title* of the collection in *data*, the JSON of the file *name*.

    Raises:
        PlanError: the JSON is malformed, a part of it is of another type than the format says, or there is no request.
    """
    return _Collection(name, _decoded(name, data)).script(title)


def _decoded(name: str, data: bytes) -> dict[str, Any]:
    try:
        whole = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed_json(name, data, str(error)) from error
    inside = whole.get("collection", whole)
    if not isinstance(inside, dict) or not isinstance(inside.get("item"), list):
        refuse(name, "item", "it is no list of requests and folders", hint=_HINT)
    return inside


class _Collection:
    """Builder of the script of one collection."""

    def __init__(self, name: str, whole: dict[str, Any]) -> None:
        self._name = name
        self._whole = whole
        self._unread: list[str] = []
        self._notes: list[str] = []
        # Variables that an address begins with, and which have no value, with the hosts that stand for them.
        self._unknown: dict[str, str] = {}
        self._folders = 0

    def script(self, title: str) -> Conversion:
        """Return the script at path *title*."""
        module = Module("", taken={identifier(title.rpartition("/")[2].removesuffix(".py"), "visit")})
        self._module, self._origins = module, Origins(module, "")
        self._values = PostmanValues(module, _variables(self._whole))
        auth, above = mapping(self._whole.get("auth")), tuple(scripts(self._whole))
        items = list(self._items(self._whole["item"], ("item",), (), auth, above))
        steps = [step for item in items if (step := self._step(item)) is not None]
        if not steps:
            why = "; ".join(self._unread) or "it is empty"
            raise PlanError(f"{self._name}: it has no request: {why}", hint=_HINT)
        count, info = len(steps), mapping(self._whole.get("info"))
        shown = single_line(plain_text(info.get("name")) or self._name)
        about = f"{shown}, a collection of Postman in {single_line(self._name)}: {count} request{'s' * (count > 1)}."
        base_url = _DEFAULT_BASE_URL if self._origins.base.endswith(".invalid") else self._origins.base
        self._note_what_is_left()
        return script_of_steps(
            *(steps, module, self._origins, self._values, about, title), base_url=base_url, notes=self._notes
        )

    def _items(
        self,
        items: list[Any],
        steps: tuple[str | int, ...],
        folders: tuple[tuple[int, str], ...],
        auth: dict[str, Any],
        above: tuple[str, ...],
    ) -> Iterator[_Item]:
        """Yield the requests of *items*, which are at *steps* in the collection, in their order.

        *folders*, *auth* and *above* are the names, the authentication and the scripts of the folders around them.
        """
        for number, item in enumerate(items):
            where = (*steps, number)
            if not isinstance(item, dict):
                self._unread.append(f"{json_path(where)} is no object")
                continue
            name = single_line(plain_text(item.get("name"))).replace("::", ":")
            own_auth = mapping(item.get("auth")) or auth
            own_scripts = (*above, *scripts(item))
            request = item.get("request")
            behavior = mapping(item.get("protocolProfileBehavior"))
            if isinstance(item.get("item"), list):
                self._folders += 1
                inside = (*folders, (self._folders, name or "folder"))
                yield from self._items(item["item"], (*where, "item"), inside, own_auth, own_scripts)
            elif item.get("disabled") is True:
                self._notes.append(f"left out, it is disabled: {name}")
            elif isinstance(request, str):
                yield _Item(name, folders, {"url": request}, own_auth, own_scripts, behavior)
            elif isinstance(request, dict):
                own_auth = mapping(request.get("auth")) or own_auth
                yield _Item(name, folders, request, own_auth, own_scripts, behavior)
            else:
                self._unread.append(f"{json_path(where)} has no request")

    def _step(self, item: _Item) -> Step | None:
        """Return the step for *item*; None, with a note, if its address cannot be read."""
        method = plain_text(item.request.get("method")) or "GET"
        headers = [
            Pair(plain_text(header.get("key")), plain_text(header.get("value")))
            for header in enabled(item.request.get("header"))
            if header.get("key")
        ]
        try:
            url = self._url(item.request.get("url"))
            parts = urlsplit(url)
            origin = origin_of(parts)
        except ValueError as error:
            self._unread.append(f"{item.name}: {error}")
            return None
        self._origins.base = self._origins.base or origin
        request = SourceRequest(method, url, headers)
        step = Step(request, item.name, item.folders)
        self._authenticate(item, step)
        if cookies := cookies_of(headers):
            step.more["cookies"] = {name: self._values.text(value, name) for name, value in cookies.items()}
        self._body(item, step)
        self._behave(item, step)
        self._comment(item, step)
        return step

    def _body(self, item: _Item, step: Step) -> None:
        headers, given = step.request.headers, mapping(item.request.get("body"))
        body = postman_body(given, self._values, header_of(headers, "content-type"))
        if (
            body.post
            and step.request.method.upper() in _WITHOUT_BODY
            and item.behavior.get("disableBodyPruning") is not True
        ):
            self._note(item, f"its body is left out, as Postman does for {step.request.method}")
            return
        step.request.post_data, step.body = body.post, body.arguments
        if body.note:
            self._note(item, body.note)

    def _behave(self, item: _Item, step: Step) -> None:
        """Take over how Postman is to send *item*, and note what is not taken."""
        wanted = dict(item.behavior)
        wanted.pop("disableBodyPruning", None)
        most = wanted.pop("maxRedirects", None)
        if wanted.get("followRedirects") is False:
            step.more["max_redirects"] = 0
        elif isinstance(most, int) and most >= 0:
            step.more["max_redirects"] = most
        wanted.pop("followRedirects", None)
        for name in (*wanted, *(name for name in ("proxy", "certificate") if item.request.get(name))):
            self._note(item, f"its {single_line(name)} is not taken")

    def _note(self, item: _Item, text: str) -> None:
        self._notes.append(f"{item.name}: {text}")

    def _url(self, url: Any) -> str:
        """Return the address that *url* says, as far as variables with a value lead."""
        given = mapping(url)
        raw = plain_text(given.get("raw")) if given else plain_text(url)
        raw = raw.strip() or _put_together(given)
        if not raw:
            raise ValueError("it has no URL")
        address, _, query = raw.partition("#")[0].partition("?")
        pairs = given.get("query")
        if isinstance(pairs, list):
            query = "&".join(
                _part(pair.get("key")) + ("" if pair.get("value") is None else f"={_part(pair['value'])}")
                for pair in enabled(pairs)
            )
        values = {plain_text(one.get("key")): plain_text(one.get("value")) for one in enabled(given.get("variable"))}
        return self._absolute(address, values) + (f"?{query}" if query else "")

    def _absolute(self, address: str, values: dict[str, str]) -> str:
        """Return *address* with scheme and host, and with *values* for the ``:names`` in its path."""
        found = _HEAD.match(address)
        head = found[0] if found else ""
        path = address[len(head) :]
        known = self._values.known(head)
        if known:
            begin = known if "://" in known else f"http://{known}"
        else:
            if not PLACEHOLDER.search(head):
                raise ValueError(f"{address!r} has no host")
            # One URL stands for all that is before the path.
            begin = f"http://{self._host_of(head)}"
        segments = path.split("/")
        for number, part in enumerate(segments):
            if part.startswith(":") and len(part) > 1:
                segments[number] = values.get(part[1:]) or f"{{{{{part[1:]}}}}}"
        return begin.rstrip("/") + "/".join(segments)

    def _host_of(self, head: str) -> str:
        """Return a host that stands for *head*, the begin of an address with variables that have no value.

        That is the base URL if it comes first, and otherwise it is asked for.
        """
        if head not in self._unknown:
            self._unknown[head] = f"{len(self._unknown)}.invalid"
            if self._origins.base:
                names = PLACEHOLDER.findall(head)
                whole = names[0] if PLACEHOLDER.fullmatch(head) else ""
                if whole:
                    url = self._module.secret(constant(whole))
                else:
                    name = unique(constant(" ".join([*names, "url"])), self._module.environment)
                    url = self._module.required(name, PLACEHOLDER.sub(r"\1", head))
                self._origins.others[f"http://{self._unknown[head]}"] = url.text
        return self._unknown[head]

    def _authenticate(self, item: _Item, step: Step) -> None:
        kind = plain_text(item.auth.get("type")) or "noauth"
        values = attributes(item.auth.get(kind))
        headers = step.request.headers
        match kind:
            case "noauth" | "inherit":
                return
            case "bearer":
                put_header(headers, "Authorization", f"Bearer {values.get('token', '')}")
            case "oauth2":
                token = values.get("accessToken") or "{{access_token}}"
                if values.get("addTokenTo") == "queryParams":
                    _put_in_query(step.request, "access_token", token)
                else:
                    put_header(headers, "Authorization", f"{values.get('headerPrefix') or 'Bearer'} {token}")
            case "basic" | "digest" | "ntlm":
                user = self._values.text(values.get("username", ""), "user")
                password = self._values.text(values.get("password") or "{{password}}", "password")
                step.more["auth"] = basic_or_other(kind, user, password)
                # Postman writes its own over it.
                headers[:] = [header for header in headers if header.name.lower() != "authorization"]
                for name in filter(values.get, ("domain", "workstation")):
                    self._note(item, f"the {name} of its authentication is not taken")
            case "apikey":
                # Whatever it is called, it is secret.
                given = values.get("value", "")
                key, value = values.get("key") or "X-API-Key", given if PLACEHOLDER.search(given) else "{{api_key}}"
                if values.get("in") == "query":
                    _put_in_query(step.request, key, value)
                else:
                    put_header(headers, key, value)
            case _:
                note = f"the authentication {kind!r} is not written: see to it"
                self._notes += [note] if note not in self._notes else []

    def _comment(self, item: _Item, step: Step) -> None:
        if not item.scripts:
            return
        step.comments.append("A script of the collection is not translated: its pm.* calls have no place here.")
        for variable in dict.fromkeys(name for text in item.scripts for name in _SET.findall(text)):
            step.comments.append(f"It sets {variable}: take that from the reply, in place of the constant.")

    def _note_what_is_left(self) -> None:
        if self._unread:
            self._notes.append(f"left out, {len(self._unread)} in all: what cannot be read: {counted(self._unread, 3)}")
        if any(_all_scripts(self._whole)):
            self._notes.append("the scripts of the collection (pm.*) are not translated; comments say where one is")
        if any(one.get("protocolProfileBehavior") for one in _folders(self._whole)):
            self._notes.append("the protocolProfileBehavior of folders and of the whole collection is not taken")
        if self._origins.base.endswith(".invalid"):
            first = next(iter(self._unknown))
            self._notes.append(f"the collection has no value of {first}: give it with --base-url")


def _put_in_query(request: SourceRequest, name: str, value: str) -> None:
    mark = "&" if urlsplit(request.url).query else "?"
    request.url += f"{mark}{_part(name)}={_part(value)}"


def _part(text: Any) -> str:
    """Return *text* as it stands in a query: encoded, but for placeholders and what is encoded already."""
    return quote_plus(plain_text(text), safe="{}$%+")


def _put_together(url: dict[str, Any]) -> str:
    """Return the address of the parts of *url*, for one without its whole text."""
    host, path = (url.get(name) for name in ("host", "path"))
    host = ".".join(map(plain_text, host)) if isinstance(host, list) else plain_text(host)
    path = "/".join(map(plain_text, path)) if isinstance(path, list) else plain_text(path).lstrip("/")
    scheme = f"{plain_text(url.get('protocol'))}://" if url.get("protocol") else ""
    port = f":{plain_text(url.get('port'))}" if url.get("port") else ""
    return f"{scheme}{host}{port}/{path}" if host else ""


def _variables(whole: dict[str, Any]) -> dict[str, str]:
    """Return the variables of the collection and of what is in it; those further out go first."""
    found = {
        plain_text(one.get("key") or one.get("id")): plain_text(one.get("value"))
        for one in enabled(whole.get("variable"))
        if one.get("type") != "secret"
    }
    for one in _inside(whole):
        found = _variables(one) | found
    return found


def _inside(item: dict[str, Any]) -> list[dict[str, Any]]:
    items = item.get("item")
    return [mapping(one) for one in items] if isinstance(items, list) else []


def _folders(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield *item*, which may be the collection, and the folders in it."""
    if isinstance(item.get("item"), list):
        yield item
    for one in _inside(item):
        yield from _folders(one)


def _all_scripts(item: dict[str, Any]) -> Iterator[str]:
    yield from scripts(item)
    for one in _inside(item):
        yield from _all_scripts(one)
