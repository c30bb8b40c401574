"""Comparison of a QC summary with the one that follows from the records."""

from collections.abc import Iterator

from ctai.records import QcSummary
from ctai.rundir.diff import differences


def summary_differences(stored: QcSummary, recomputed: QcSummary, name: str) -> Iterator[str]:
    """Yield where two QC summaries differ; of the purity, whose numbers change together, only the first difference."""
    yield from differences(stored.model_copy(update={"purity": recomputed.purity}), recomputed, name)
    for difference in differences(stored.purity, recomputed.purity, f"{name}.purity"):
        yield difference
        return
