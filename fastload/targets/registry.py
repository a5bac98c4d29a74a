"""Registry of the targets by name, with routes, options and service of each."""

from __future__ import annotations

from fastload.model.errors import TargetError, nearest
from fastload.targets.options import (
    DidOptions,
    GenerationOptions,
    PlainOptions,
    ScoreOptions,
    SequencerOptions,
    WidgetOptions,
)
from fastload.targets.spec import RouteSpec, TargetSpec

SEQUENCER = TargetSpec(
    name="sequencer",
    summary="Validates, sequences and stores batches of events, with commitments.",
    service="fastload.targets.sequencer.service:SequencerService",
    options_type=SequencerOptions,
    own_routes=(
        RouteSpec("POST", "/api/v1/ves/events/ingest", "ingest", "store a batch; 200 with its sequences"),
        RouteSpec("POST", "/api/v1/events/ingest", "ingest_plain", "the same; any text is an id, the hash may lack"),
        RouteSpec("GET", "/api/v1/events", "events", "events of tenant_id and store_id: from, limit"),
        RouteSpec("GET", "/api/v1/head", "head", "last sequence and event count of tenant_id and store_id"),
        RouteSpec("GET", "/api/v1/entities/{type}/{id}", "entity", "the events of one entity, or 404"),
        RouteSpec("GET", "/api/v1/ves/commitments", "commitments", "Merkle roots, newest first: before, limit"),
    ),
    own_answer_kinds=(
        "stored",
        "duplicate",
        "read",
        "empty_batch",
        "batch_too_large",
        "invalid_uuid",
        "invalid_payload",
        "payload_hash_mismatch",
        "entity_not_found",
        "missing_parameter",
        "invalid_parameter",
        "store_unavailable",
    ),
    key_headers=(("authorization", "ApiKey "),),
    # The Bloom filter of known event ids, and its header (sequencer/known.py).
    shared_bytes=(64 << 20) + 64,
)

DID = TargetSpec(
    name="did",
    summary="Enrols wallets with a biometric hash, and verifies them.",
    service="fastload.targets.did.service:DidService",
    options_type=DidOptions,
    own_routes=(
        RouteSpec("POST", "/api/v1/did/enroll", "enroll", "enrol a wallet; 201, or 409 when it is enrolled"),
        RouteSpec("POST", "/api/v1/did/verify", "verify", "200, or 401 when not enrolled or not this hash"),
    ),
    own_answer_kinds=(
        "enrolled",
        "already_enrolled",
        "verified",
        "not_enrolled",
        "hash_mismatch",
        "stale_timestamp",
        "client_limited",
    ),
    default_port=8000,
)

WIDGET = TargetSpec(
    name="widget",
    summary="Hands out tokens with a nonce that is good once; renders designs in a pool.",
    service="fastload.targets.widget.service:WidgetService",
    options_type=WidgetOptions,
    own_routes=(
        RouteSpec(
            "GET", "/api/embed/token", "token", "a token and a nonce for shop, or the Origin", needs_api_key=False
        ),
        RouteSpec("POST", "/api/embed/validate", "validate", "use the nonce of the Bearer token", needs_api_key=False),
        RouteSpec("POST", "/api/designs/{id}/render", "render", "queue a job; 202, or 429 when the queue is full"),
        RouteSpec("GET", "/api/jobs/{id}/status", "status", "how far a job is, and how many wait"),
    ),
    own_answer_kinds=(
        "token_issued",
        "missing_parameter",
        "missing_header",
        "validated",
        "token_invalid",
        "nonce_unknown",
        "nonce_stale",
        "nonce_reused",
        "job_queued",
        "queue_full",
        "job_read",
        "job_not_found",
    ),
)

GENERATION = TargetSpec(
    name="generation",
    summary="Users spend credits on images of a slow provider; polling or a stream.",
    service="fastload.targets.generation.service:GenerationService",
    options_type=GenerationOptions,
    own_routes=(
        RouteSpec("POST", "/api/auth/login", "login", "a token for email and password, or 401", needs_api_key=False),
        RouteSpec("GET", "/api/credits", "credits", "the credits that the user has left", needs_api_key=False),
        RouteSpec(
            "POST", "/api/generations", "generate", "202 with session_id; 402 without credits", needs_api_key=False
        ),
        RouteSpec("GET", "/api/generations/{id}", "status", "how far a generation is", needs_api_key=False),
        RouteSpec(
            "GET", "/api/generations/{id}/stream", "stream", "the same as server-sent events", needs_api_key=False
        ),
    ),
    own_answer_kinds=(
        "logged_in",
        "wrong_password",
        "token_invalid",
        "credits_read",
        "generation_started",
        "credits_exhausted",
        "provider_error",
        "generation_read",
        "generation_streamed",
        "generation_not_found",
    ),
    default_port=5001,
)

SCORE = TargetSpec(
    name="score",
    summary="Scores addresses by the stamps they hold.",
    service="fastload.targets.score.service:ScoreService",
    options_type=ScoreOptions,
    own_routes=(
        RouteSpec("GET", "/embed/score/{scorer}/{address}", "score", "the score of an address"),
        RouteSpec("POST", "/embed/auto-verify", "verify", "the same, after its stamps were looked at again"),
    ),
    own_answer_kinds=("score_read", "score_verified", "invalid_address", "unknown_scorer"),
    key_headers=(("x-api-key", ""), ("authorization", "Bearer ")),
)

PLAIN = TargetSpec(
    name="plain",
    summary="Answers 200, and does nothing else: to see a limit alone.",
    service="fastload.targets.plain.service:PlainService",
    options_type=PlainOptions,
    own_routes=(
        RouteSpec("GET", "/", "read", "200"),
        RouteSpec("POST", "/", "take", "200 with the size of the body"),
    ),
    own_answer_kinds=("plain_read", "plain_taken"),
)

_TARGETS = {spec.name: spec for spec in (SEQUENCER, DID, WIDGET, GENERATION, SCORE, PLAIN)}


def target_names() -> tuple[str, ...]:
    """Return the names of all targets."""
    return tuple(_TARGETS)


def find_target(name: str) -> TargetSpec:
    """Return the target called *name*.

    Raises:
        TargetError: there is no such target; the hint suggests the nearest name.
    """
    spec = _TARGETS.get(name)
    if spec is None:
        raise TargetError(
            f"no target is called {name!r}", hint=nearest(name, _TARGETS) or f"one of: {', '.join(_TARGETS)}"
        )
    return spec
