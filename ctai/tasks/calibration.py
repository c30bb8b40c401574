"""Calibration of the families' scorers against human-labelled answers.

Owns the labelled answers of the package and the comparison; plugins bring labelled answers for their own families.
The labels define what is correct, never the scorers.
"""

import math
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from ctai.records import FamilyAgreement, FinishReason, LabelledAnswer, Rate, ScorerCalibration
from ctai.rundir import digest_of
from ctai.statistics import cohen_kappa, rate
from ctai.tasks import plugins, registry
from ctai.tasks.base import Score

LABELS = Path(__file__).parent / "data" / "labelled" / "answers.jsonl"
# A scorer counts as calibrated only with this many labels of its family, and this many of either class.
MIN_LABELS, MIN_PER_CLASS = 15, 5

Scorer = Callable[[str, str, FinishReason], Score]


def labelled_answers(embedded: bool) -> tuple[LabelledAnswer, ...]:
    """Return the labelled answers of the embedded families or of all, followed by those of plugins."""
    lines = LABELS.read_text(encoding="utf-8").splitlines()
    answers = map(LabelledAnswer.model_validate_json, lines)
    package = (answer for answer in answers if not embedded or registry.by_name(answer.family).embedded)
    return (*package, *plugins.active().answers)


def calibrate_scorers(embedded: bool, scorer: Scorer = registry.score) -> ScorerCalibration:
    """Compare the scorers with the labels: Cohen's kappa, false passes and false failures.

    Args:
        embedded: only the families of the embedded model; else all. Those of plugins are always included.
        scorer: function from an instruction, a raw response and its finish reason to a score.
    """
    answers = labelled_answers(embedded)
    scores = [scorer(answer.instruction, answer.response, answer.finish_reason) for answer in answers]
    content = cohen_kappa([a.content for a in answers], [s.content for s in scores])
    strict = cohen_kappa([a.strict for a in answers], [s.strict for s in scores])
    outcomes = [(a, s.content) for a, s in zip(answers, scores, strict=True)]
    return ScorerCalibration(
        labels_sha256=_labels_sha256(),
        n=len(answers),
        kappa=content.value,
        kappa_interval=content.interval,
        strict_kappa=strict.value,
        strict_kappa_interval=strict.interval,
        agreement=_rate([a.content == passed for a, passed in outcomes]),
        false_passes=_rate([passed for a, passed in outcomes if not a.content]),
        false_failures=_rate([not passed for a, passed in outcomes if a.content]),
        by_family={
            name: _agreement([(a, passed) for a, passed in outcomes if a.family == name])
            for name in dict.fromkeys([*(a.family for a in answers), *(f.name for f in plugins.active().families)])
        },
        by_kind={
            kind: _rate([a.content == passed for a, passed in outcomes if a.kind == kind])
            for kind in sorted({a.kind for a in answers})
        },
    )


def is_calibrated(answers: Sequence[LabelledAnswer]) -> bool:
    """Return whether one family has enough labels, of both classes, to calibrate its scorer."""
    correct = sum(answer.content for answer in answers)
    return len(answers) >= MIN_LABELS and min(correct, len(answers) - correct) >= MIN_PER_CLASS


def _labels_sha256() -> str:
    package, plugin_digest = sha256(LABELS.read_bytes()).hexdigest(), plugins.active().digest
    return digest_of([package, plugin_digest]) if plugin_digest else package


def _agreement(outcomes: Sequence[tuple[LabelledAnswer, bool]]) -> FamilyAgreement:
    """Return the agreement on one family; with too few labels kappa is NaN, which passes no threshold."""
    enough = is_calibrated([answer for answer, _ in outcomes])
    kappa = cohen_kappa([answer.content for answer, _ in outcomes], [passed for _, passed in outcomes]).value
    return FamilyAgreement(
        n=len(outcomes),
        kappa=kappa if enough else math.nan,
        disagreements=tuple(answer.response for answer, passed in outcomes if answer.content != passed),
    )


def _rate(flags: Sequence[bool]) -> Rate:
    return rate(sum(flags), len(flags))
