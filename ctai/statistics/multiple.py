"""Corrections for several hypotheses."""

from collections.abc import Sequence
from typing import NamedTuple

from statsmodels.stats.multitest import multipletests


class Adjusted(NamedTuple):
    """Adjusted p-values and rejected hypotheses of the Benjamini-Hochberg procedure, in input order."""

    p_values: tuple[float, ...]
    significant: tuple[bool, ...]


def benjamini_hochberg(p_values: Sequence[float], fdr: float) -> Adjusted:
    """Adjust p-values with the step-up procedure that controls the false discovery rate (Benjamini and Hochberg 1995).

    Args:
        p_values: of the hypotheses; may be empty.
        fdr: false discovery rate.

    Raises:
        ValueError: a value is not in [0, 1].
    """
    if not all(0 <= p <= 1 for p in p_values):  # also refuses nan
        raise ValueError(f"not all are p-values: {list(p_values)}")
    if not p_values:
        return Adjusted((), ())
    rejected, adjusted, _, _ = multipletests(p_values, alpha=fdr, method="fdr_bh")
    return Adjusted(tuple(float(p) for p in adjusted), tuple(bool(r) for r in rejected))
