"""The servers that ship with fastload, as whole applications: no request is answered with a failure of their own."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from fastload.targets import find_target, target_names
from fastload.targets.application import Application, ServiceContext
from fastload.targets.shared import SharedMemory
from tests.fuzz.mutations import mutated
from tests.fuzz.parsing import CASES, fuzz
from tests.fuzz.source import NUMBERS, Source
from tests.targets.events import AGENT, make_event

_ADDRESS = "0x" + "0a" * 20
_OPTIONS: dict[str, dict[str, Any]] = {
    "sequencer": {}, "did": {}, "widget": {"job_time": "0s"}, "generation": {"mock": True}, "score": {}, "plain": {},
}  # fmt: skip
_BODIES: dict[str, tuple[Any, ...]] = {
    "sequencer": ({"agent_id": AGENT, "events": [make_event()]},),
    "did": ({"wallet_address": "addr_test1abc", "biometric_hash": "0f" * 32, "timestamp": 1.5, "metadata": {}},),
    "widget": ({"type": "2d", "prompt": "a", "options": {"quality": "high"}}, {"nonce": "a"}),
    "generation": ({"email": "load@example.com", "password": "password"}, {"prompt": "a"}),
    "plain": ({},),
    "score": ({"address": _ADDRESS, "scorerId": "1"},),
}
_QUERIES = ("from", "limit", "before", "tenant_id", "store_id", "shop")
_ODD = (
    "",
    "0",
    "-1",
    "1",
    "7",
    "%00",
    "%80",
    "%ed%a0%80",
    "a/b",
    "..",
    "%2F",
    "é",
    _ADDRESS,
    "1.ab",
    "x.y.z",
    *NUMBERS[:30],
)
_HEADERS = ("authorization", "x-api-key", "origin", "user-agent", "content-length", "x-forwarded-for", "accept", "odd")


class Served:
    """An application of a target with its service, on a loop of its own."""

    def __init__(self, name: str, folder: Path, runner: asyncio.Runner) -> None:
        self.spec = find_target(name)
        options = self.spec.options_type(**{"api_key": "", "rate_limit_per_minute": 0, **_OPTIONS[name]})
        self._shared = SharedMemory.create(self.spec, 1)
        context = ServiceContext(options, self._shared, folder, worker=0, workers=1)
        module, _, service = self.spec.service.partition(":")
        self._service = getattr(importlib.import_module(module), service)(context)
        self._app = Application(self.spec, self._service, context)
        self._runner = runner
        self.answers: list[bytes] = []
        runner.run(self._service.start())

    def ask(self, scope: dict[str, Any], body: bytes) -> int:
        """Return the status of the answer to a request."""
        sent: list[Any] = []
        pieces = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return pieces.pop() if pieces else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        self._runner.run(self._app(scope, receive, send))
        self.answers = [message.get("body", b"") for message in sent[1:]]
        return int(sent[0]["status"])

    def close(self) -> None:
        """Stop the service, and give its memory back."""
        self._runner.run(self._service.stop())
        self._shared.close()


def _body(name: str, source: Source) -> bytes:
    right = source.choice(_BODIES[name])
    text = json.dumps(mutated(right, source) if source.randrange(3) else right, default=str, skipkeys=True)
    if not source.randrange(12):
        text = source.choice(
            ("[" * 2_000, "9" * 5_000, "{", "null", "", text[:-3], text.replace('"', "'"), '{"a": 1e999}')
        )
    whole, at = text.encode(), source.randrange(len(text) + 1)
    return whole[:at] + source.binary(2) * (not source.randrange(6)) + whole[at:]


def _scope(served: Served, tokens: list[str], source: Source) -> dict[str, Any]:
    """A request to a route of the target, mostly."""
    route = source.choice(served.spec.routes)
    parts = [source.choice((*_ODD, *tokens)) if "{" in part else part for part in route.path.split("/")]
    path = "/".join(parts) + ("x" if not source.randrange(30) else "")
    query = "&".join(f"{source.choice(_QUERIES)}={quote(source.choice(_ODD))}" for _ in range(source.randrange(4)))
    values = ("", "1", "é", "Bearer", "Basic x", source.text(), *(f"Bearer {token}" for token in ("a.b", *tokens)))
    headers = {source.choice(_HEADERS): source.choice(values) for _ in range(source.randrange(4))}
    if tokens and source.randrange(2):
        headers["authorization"] = f"Bearer {source.choice(tokens)}"
    return {
        "type": "http",
        "method": route.method if source.randrange(20) else source.choice(("GET", "POST", "HEAD", "PUT")),
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "query_string": query.encode(),
        "client": source.choice((("127.0.0.1", 1), ("::1", 1), None)),
        "headers": [(name.encode(), text.encode("utf-8", "replace")) for name, text in headers.items()],
    }


def _tokens_of(answers: list[bytes]) -> list[str]:
    """Every token and id that the target has given."""
    try:
        found = json.loads(b"".join(answers))
    except ValueError:
        return []
    names = ("token", "nonce", "jobId", "session_id", "id")
    return [found[name] for name in names if isinstance(found, dict) and isinstance(found.get(name), str)]


def test_any_request_to_a_target_is_answered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert set(_BODIES) == set(_OPTIONS) == set(target_names())
    tokens: dict[str, list[str]] = {name: [] for name in _OPTIONS}
    good = Counter[str]()
    with asyncio.Runner() as runner, ExitStack() as stack:
        served = {}
        for name in _OPTIONS:
            (tmp_path / name).mkdir()
            served[name] = Served(name, tmp_path / name, runner)
            stack.callback(served[name].close)

        def run(source: Source) -> None:
            name = source.choice(list(_OPTIONS))
            one, given = served[name], tokens[name]
            status = one.ask(_scope(one, given, source), _body(name, source))
            given[:] = [*_tokens_of(one.answers), *given][:6]
            assert status < 500, caplog.text[-2_000:]
            good[name] += status < 300

        fuzz(run)
    assert all(count > CASES / 100 for count in good.values()), good
