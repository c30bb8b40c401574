"""How far the families' checkers can be trusted: measured against answers that a reader has labelled.

Owns the labelled answers of the package and the comparison; those to families that a run has brought come with them.
What is right is the labels' business, never the checkers'.
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
# A checker is believed on no fewer labels of its family, and on no fewer of either kind.
MIN_LABELS, MIN_PER_CLASS = 15, 5

Checker = Callable[[str, str, FinishReason], Score]


def labelled_answers(embedded: bool) -> tuple[LabelledAnswer, ...]:
    """Return the labelled answers, those of the embedded families only or all, and to the run's own families."""
    lines = LABELS.read_text(encoding="utf-8").splitlines()
    answers = map(LabelledAnswer.model_validate_json, lines)
    package = (answer for answer in answers if not embedded or registry.by_name(answer.family).embedded)
    return (*package, *plugins.active().answers)


def calibrate_scorers(embedded: bool, check: Checker = registry.score) -> ScorerCalibration:
    """Compare the verdicts of the checkers with the labels.

    Args:
        embedded: only the families that the embedded model was told about; else all.
        check: judges an instruction, a raw response and why its generation ended.
    """
    answers = labelled_answers(embedded)
    verdicts = [check(answer.instruction, answer.response, answer.finish_reason) for answer in answers]
    content = cohen_kappa([a.content for a in answers], [v.content for v in verdicts])
    strict = cohen_kappa([a.strict for a in answers], [v.strict for v in verdicts])
    judged = [(a, v.content) for a, v in zip(answers, verdicts, strict=True)]
    return ScorerCalibration(
        labels_sha256=_labels_sha256(),
        n=len(answers),
        kappa=content.value,
        kappa_interval=content.interval,
        strict_kappa=strict.value,
        strict_kappa_interval=strict.interval,
        agreement=_rate([a.content == passed for a, passed in judged]),
        false_passes=_rate([passed for a, passed in judged if not a.content]),
        false_failures=_rate([not passed for a, passed in judged if a.content]),
        by_family={
            name: _agreement([(a, passed) for a, passed in judged if a.family == name])
            for name in dict.fromkeys([*(a.family for a in answers), *(f.name for f in plugins.active().families)])
        },
        by_kind={
            kind: _rate([a.content == passed for a, passed in judged if a.kind == kind])
            for kind in sorted({a.kind for a in answers})
        },
    )


def is_calibrated(answers: Sequence[LabelledAnswer]) -> bool:
    """Whether these labels of one family are enough to believe its checker by."""
    right = sum(answer.content for answer in answers)
    return len(answers) >= MIN_LABELS and min(right, len(answers) - right) >= MIN_PER_CLASS


def _labels_sha256() -> str:
    package, brought = sha256(LABELS.read_bytes()).hexdigest(), plugins.active().digest
    return digest_of([package, brought]) if brought else package


def _agreement(judged: Sequence[tuple[LabelledAnswer, bool]]) -> FamilyAgreement:
    """The agreement on one family; with too few labels it is not a number, which passes no threshold."""
    enough = is_calibrated([answer for answer, _ in judged])
    kappa = cohen_kappa([answer.content for answer, _ in judged], [passed for _, passed in judged]).value
    return FamilyAgreement(
        n=len(judged),
        kappa=kappa if enough else math.nan,
        disagreements=tuple(answer.response for answer, passed in judged if answer.content != passed),
    )


def _rate(outcomes: Sequence[bool]) -> Rate:
    return rate(sum(outcomes), len(outcomes))
