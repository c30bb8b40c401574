"""Calibration of the scorers: they agree with the labels, and a wrong scorer does not."""

from collections import Counter

import pytest

from ctai.records import FinishReason
from ctai.tasks import registry
from ctai.tasks.base import Score
from ctai.tasks.calibration import calibrate_scorers, labelled_answers
from ctai.tasks.registry import EMBEDDED_FAMILIES, FAMILIES, score

pytestmark = pytest.mark.unit

FLOOR, FAMILY_FLOOR = 0.9, 0.8


@pytest.mark.parametrize("embedded", [True, False])
def test_the_scorers_agree_with_the_labels(embedded: bool) -> None:
    found = calibrate_scorers(embedded)
    assert found.kappa_interval.low >= FLOOR
    assert found.strict_kappa_interval.low >= FLOOR
    weakest = found.weakest_family
    assert found.by_family[weakest].kappa >= FAMILY_FLOOR, (weakest, found.by_family[weakest].disagreements)
    assert set(found.by_family) == {family.name for family in (EMBEDDED_FAMILIES if embedded else FAMILIES)}
    assert found.false_passes.value <= 0.01
    assert found.false_passes.n + found.false_failures.n == found.n == found.agreement.n


def test_the_labels_are_varied() -> None:
    answers = labelled_answers(embedded=False)
    assert len(answers) >= 1900
    assert len({(answer.instruction, answer.response, answer.finish_reason) for answer in answers}) == len(answers)
    per_family = Counter(answer.family for answer in answers)
    assert min(per_family.values()) >= 14
    assert 0.4 < sum(answer.content for answer in answers) / len(answers) < 0.6
    assert all(answer.content or not answer.strict for answer in answers)
    for answer in answers:
        parsed = registry.parse(answer.instruction)
        assert parsed is not None
        assert parsed[0] == answer.family


def any_text(instruction: str, response: str, finish_reason: FinishReason) -> Score:
    """A wrong scorer: every text of a fair length is right."""
    right = 5 <= len(response) <= 500
    return Score(right, right, "")


def any_unit(instruction: str, response: str, finish_reason: FinishReason) -> Score:
    """A wrong scorer: the number alone counts, whatever it is a number of."""
    family, key = registry.parse(instruction) or ("", "")
    if family != "convert":
        return score(instruction, response, finish_reason)
    right = registry.by_name(family).answer(key) in response.replace(",", "")
    return Score(right, right and finish_reason == "eos", "")


def every_mention(instruction: str, response: str, finish_reason: FinishReason) -> Score:
    """A wrong scorer: an answer that is mentioned is given."""
    family, key = registry.parse(instruction) or ("", "")
    right = registry.by_name(family).answer(key).casefold() in response.casefold()
    return Score(right, right and finish_reason == "eos", "")


@pytest.mark.parametrize("wrong", [any_text, every_mention])
@pytest.mark.parametrize("embedded", [True, False])
def test_a_wrong_scorer_falls_below_the_floor(wrong, embedded: bool) -> None:
    found = calibrate_scorers(embedded, wrong)
    assert found.kappa_interval.high < FLOOR
    assert found.false_passes.value > 0.1


def test_a_scorer_that_is_wrong_for_one_family_fails_there() -> None:
    found = calibrate_scorers(False, any_unit)
    assert found.weakest_family == "convert"
    assert found.by_family["convert"].kappa < FAMILY_FLOOR
    assert " 36 feet" in found.by_family["convert"].disagreements


def test_a_family_that_cannot_be_judged_is_the_weakest() -> None:
    found = calibrate_scorers(True)
    unknown = found.by_family["sum"].model_copy(update={"kappa": float("nan")})
    assert found.model_copy(update={"by_family": {**found.by_family, "sum": unknown}}).weakest_family == "sum"
