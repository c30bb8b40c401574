"""Provenance of results: code and environment, derived seeds, and the session manifest.

Does not load models or import torch.
"""

from ctai.provenance.context import StageContext
from ctai.provenance.environment import (
    UNKNOWN,
    DeviceInfo,
    GitState,
    code_digest,
    collect_environment,
    git_state,
    installed_version,
    loader_version,
    made_by,
    version_warnings,
)
from ctai.provenance.seeds import derive_seed, run_id
from ctai.provenance.session import OpenPhase, Session, manifest_digest

__all__ = [
    "UNKNOWN",
    "DeviceInfo",
    "GitState",
    "OpenPhase",
    "Session",
    "StageContext",
    "code_digest",
    "collect_environment",
    "derive_seed",
    "git_state",
    "installed_version",
    "loader_version",
    "made_by",
    "manifest_digest",
    "run_id",
    "version_warnings",
]
