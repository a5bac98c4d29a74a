"""Limits that can be staged in a target: each makes it a server that is limited in exactly one way."""

from fastload.targets.limits.kinds import StagedLimit, find_limit, limit_names, parse_limits

__all__ = ["StagedLimit", "find_limit", "limit_names", "parse_limits"]
