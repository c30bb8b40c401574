"""The check for second owners: code outside the module that owns its concern, found in syntax trees.

Owns the concerns, their finders and the allow-list. Runs none of the code that it reads. A finder sees one module at a
time, so what is hidden on purpose (text put together character by character, `exec`) is not found.
"""

from ctai.provenance.canonical_use.check import (
    FINDING_NAME,
    Violation,
    canonical_use_findings,
    find_violations,
    stale_allowances,
)
from ctai.provenance.canonical_use.concerns import CONCERNS, Concern
from ctai.provenance.canonical_use.sources import package_sources, plugin_sources, tree_sources
from ctai.provenance.canonical_use.syntax import Source

__all__ = [
    "CONCERNS",
    "FINDING_NAME",
    "Concern",
    "Source",
    "Violation",
    "canonical_use_findings",
    "find_violations",
    "package_sources",
    "plugin_sources",
    "stale_allowances",
    "tree_sources",
]
