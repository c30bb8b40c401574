"""Claims about the trained model against its rivals: arms of the same base without training.

Owns the four words and the sentence that states them. Does not own the comparison (`ctai.evaluate.comparison`) or the
rivals' prompts (`ctai.evaluate.arms`).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ctai.config import EvaluationSettings
from ctai.records import Claim, EvaluationItem, EvaluationSummary, PairedComparison, RivalComparison
from ctai.registry import RIVALS

NARROW_MARGIN = 0.02
"""Second, smaller margin at which non-inferiority may be claimed, where the interval shows it."""

RIVAL_NAMES = dict(
    zip(
        RIVALS,
        (
            "the base with the bare instruction",
            "the base in the training format",
            "the few-shot base",
            "the base with a restyled prompt",
        ),
        strict=True,
    )
)
UNDECIDED: Claim = "undecided"


class _Tokens(NamedTuple):
    """Mean number of prompt tokens of a rival and of SFT."""

    rival: float
    sft: float


def claim_of(comparison: PairedComparison, settings: EvaluationSettings) -> Claim:
    """Return what a comparison shows of SFT against a rival.

    *Superior*: better with a p-value below alpha, and a 95% interval above 0. *Inferior*: an interval below 0, however
    small the difference. *Non-inferior*: the lower end of the interval is not below the preregistered limit (CONSORT
    extension for non-inferiority trials: Piaggio et al. 2012). Everything else is *undecided*.

    Args:
        comparison: SFT against the rival.
        settings: alpha of this comparison on the test set, and the limit.
    """
    interval = comparison.lift_interval
    if comparison.p_gain < settings.alpha and interval.low > 0:
        return "superior"
    if interval.high < 0:
        return "inferior"
    return "non-inferior" if interval.low >= settings.non_inferiority_limit else UNDECIDED


def rival_comparison(
    comparison: PairedComparison,
    rival: Sequence[EvaluationItem],
    sft: Sequence[EvaluationItem],
    settings: EvaluationSettings,
) -> RivalComparison:
    """Return a comparison with its claim and the prompt tokens that it costs the rival.

    Args:
        comparison: of SFT against the rival on content.
        rival: answers of the rival.
        sft: answers of SFT to the same items.
        settings: alpha and the limit of non-inferiority.
    """
    tokens = _Tokens(*(sum(item.prompt_tokens for item in items) / len(items) for items in (rival, sft)))
    return RivalComparison(
        comparison=comparison,
        claim=claim_of(comparison, settings),
        margin=_margin(comparison, settings),
        prompt_tokens=tokens.rival,
        prompt_tokens_ratio=tokens.rival / tokens.sft,
    )


def _margin(comparison: PairedComparison, settings: EvaluationSettings) -> float | None:
    """Return the smallest margin that the lower end of the interval shows; None if it shows none."""
    margins = sorted({NARROW_MARGIN, -settings.non_inferiority_limit})
    return next((margin for margin in margins if comparison.lift_interval.low >= -margin), None)


def strongest(rivals: Mapping[str, RivalComparison]) -> str:
    """Return the name of the rival with the most correct answers; of equal ones, the one with the shorter prompts."""
    return max(rivals, key=lambda name: (rivals[name].comparison.base.value, -rivals[name].prompt_tokens))


def claim_sentence(summary: EvaluationSummary) -> str:
    """Return what training bought over the strongest rival, as a sentence without a full stop.

    A model that only equals its rival is never called superior: the word is that of the interval.
    """
    name = summary.strongest_rival
    return f"SFT is {_claim_phrase(name, summary.rivals[name])}, its strongest rival without training"


def rival_sentence(name: str, rival: RivalComparison) -> str:
    """Return the claim against one rival, as a sentence without a full stop."""
    return f"SFT is {_claim_phrase(name, rival)}"


def _claim_phrase(name: str, rival: RivalComparison) -> str:
    c, label = rival.comparison, RIVAL_NAMES.get(name, name)
    interval = f"[{c.lift_interval.low:+.3f}, {c.lift_interval.high:+.3f}]"
    numbers = f"{c.sft.value:.3f} against {c.base.value:.3f}, {c.lift:+.3f} {interval}"
    phrase = {
        "superior": f"superior to {label}",
        "non-inferior": f"non-inferior to {label}{_at_margin(rival)}",
        "inferior": f"inferior to {label}",
        UNDECIDED: f"neither shown to be superior nor non-inferior to {label} (undecided)",
    }[rival.claim]
    return f"{phrase}{_at_tokens(rival)} ({numbers})"


def _at_margin(rival: RivalComparison) -> str:
    return f" at a margin of {rival.margin:g}" if rival.margin is not None else ""


def _at_tokens(rival: RivalComparison) -> str:
    """Return the saving in prompt tokens, where SFT needs clearly fewer."""
    ratio = rival.prompt_tokens_ratio
    return f" at 1/{ratio:.1f} of its prompt tokens" if rival.claim != "inferior" and ratio >= 1.5 else ""
