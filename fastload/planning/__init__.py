"""Scenarios, configuration and options become the validated plan."""

from fastload.planning.config_files import file_tier, standing_tiers
from fastload.planning.describe import describe_draft
from fastload.planning.draft import Around, Draft, Tiers, draft_plan, on_target, settle_run
from fastload.planning.settings import as_scenario, choose_workers, thresholds_of
from fastload.planning.tiers import Tier
from fastload.planning.transport import make_http

__all__ = [
    "Around",
    "Draft",
    "Tier",
    "Tiers",
    "as_scenario",
    "choose_workers",
    "describe_draft",
    "draft_plan",
    "file_tier",
    "make_http",
    "on_target",
    "settle_run",
    "standing_tiers",
    "thresholds_of",
]
