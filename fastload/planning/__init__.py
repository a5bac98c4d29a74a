"""Planning: makes the validated plan from scenarios, configuration files and options."""

from fastload.planning.config_files import file_tier, project_tiers
from fastload.planning.describe import describe_draft
from fastload.planning.draft import Draft, PlanContext, Tiers, draft_plan, merge_run_options, on_target
from fastload.planning.settings import as_scenario, check_thresholds, choose_workers, thresholds_of
from fastload.planning.tiers import Tier
from fastload.planning.transport import make_http

__all__ = [
    "Draft",
    "PlanContext",
    "Tier",
    "Tiers",
    "as_scenario",
    "check_thresholds",
    "choose_workers",
    "describe_draft",
    "draft_plan",
    "file_tier",
    "make_http",
    "merge_run_options",
    "on_target",
    "project_tiers",
    "thresholds_of",
]
