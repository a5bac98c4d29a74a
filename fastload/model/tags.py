"""Built-in tags: the names of tags that fastload sets itself, which no tag of a script or an option may have."""

from __future__ import annotations

from collections.abc import Iterable

from fastload.model.errors import PlanError

BUILTIN_TAGS = frozenset(
    (
        *("scenario", "group", "name", "method", "status", "error", "check", "expected_response"),
        # Outputs of points add these: see `model.points.PointBlock`, and k6's file formats.
        *("url", "proto", "subproto", "tls_version", "error_code"),
    )
)


def check_own_tags(tags: Iterable[str], where: str = "") -> None:
    """Check that none of the names *tags* is a built-in tag. *where* says who has the tags, for the message.

    A value with two tags of one name would count under one of them, and nobody could say under which.

    Raises:
        PlanError: one of them is.
    """
    for tag in tags:
        if tag in BUILTIN_TAGS:
            instead = "give the request name=..." if tag == "name" else f"call your tag something else, like 'my_{tag}'"
            at = f"{where}: " if where else ""
            raise PlanError(f"{at}the tag {tag!r} is set by fastload itself", hint=instead)
