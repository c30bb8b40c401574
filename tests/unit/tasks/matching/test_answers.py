"""The answer checkers: they agree with labelled answers, and a checker that does not is found out."""

from collections import Counter

import pytest

from ctai.records import FinishReason
from ctai.tasks import registry
from ctai.tasks.base import Score
from ctai.tasks.calibration import calibrate_scorers, labelled_answers
from ctai.tasks.matching.aliases import aliases
from ctai.tasks.registry import EMBEDDED_FAMILIES, FAMILIES, score

pytestmark = pytest.mark.unit

FLOOR, FAMILY_FLOOR = 0.9, 0.8


@pytest.mark.parametrize("embedded", [True, False])
def test_the_checkers_agree_with_the_labels(embedded: bool) -> None:
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
    assert len(answers) >= 690
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
    """A wrong checker: every text of a fair length is right."""
    right = 5 <= len(response) <= 500
    return Score(right, right, "")


def any_unit(instruction: str, response: str, finish_reason: FinishReason) -> Score:
    """A wrong checker: the number alone counts, whatever it is a number of."""
    family, key = registry.parse(instruction) or ("", "")
    if family != "convert":
        return score(instruction, response, finish_reason)
    right = registry.by_name(family).answer(key) in response.replace(",", "")
    return Score(right, right and finish_reason == "eos", "")


def every_mention(instruction: str, response: str, finish_reason: FinishReason) -> Score:
    """A wrong checker: an answer that is mentioned is given."""
    family, key = registry.parse(instruction) or ("", "")
    right = registry.by_name(family).answer(key).casefold() in response.casefold()
    return Score(right, right and finish_reason == "eos", "")


@pytest.mark.parametrize("wrong", [any_text, every_mention])
@pytest.mark.parametrize("embedded", [True, False])
def test_a_wrong_checker_falls_below_the_floor(wrong, embedded: bool) -> None:
    found = calibrate_scorers(embedded, wrong)
    assert found.kappa_interval.high < FLOOR
    assert found.false_passes.value > 0.1


def test_a_checker_that_is_wrong_for_one_family_is_found_there() -> None:
    found = calibrate_scorers(False, any_unit)
    assert found.weakest_family == "convert"
    assert found.by_family["convert"].kappa < FAMILY_FLOOR
    assert " 36 feet" in found.by_family["convert"].disagreements


def test_a_family_that_cannot_be_judged_is_the_weakest() -> None:
    found = calibrate_scorers(True)
    unknown = found.by_family["sum"].model_copy(update={"kappa": float("nan")})
    assert found.model_copy(update={"by_family": {**found.by_family, "sum": unknown}}).weakest_family == "sum"


def test_no_synonym_is_what_the_corpus_calls_bad() -> None:
    """The embedded model was taught that answers of other keys and truncated answers are bad."""
    added = 0
    for family in EMBEDDED_FAMILIES:
        for key in family.keys:
            accepted = {answer.casefold() for answer in family.accepted(key)}
            more = {word.casefold() for word in aliases(family.name, key, family.accepted(key))} - accepted
            added += len(more)
            assert not more & {answer.casefold() for answer in family.candidates()}, key
            assert not [word for word in more if any(answer.startswith(word) for answer in accepted)], key
    assert added > 100


# ------------------------------------------------------------------------------------ what each rule lets pass, and not

CAPITAL = "What is the capital of France?"
AFTER = "Name the number after 87."
SUM = "Calculate 40 + 33."
NEXT = "What number comes next: 5, 15, 25, 35?"
INCHES = "Convert 3 feet into inches."
HOURS = "Convert 2 days into hours."
WORDS = "Put these words in alphabetical order: pillow, finger, wallet, forest."
NUMBERS = "Sort these numbers from smallest to largest: 75, 23, 22, 70."
BACKWARDS = "Write the word kitchen backwards."
CAPITALS = 'Write "bridge summer" in uppercase letters.'
BIRDS = "Name two birds."


@pytest.mark.parametrize(
    ("instruction", "response", "right"),
    [
        # working
        (AFTER, "87 + 1 = 88, so it is 88", True),
        (AFTER, "87 + 1 = 88, so it is 89", False),
        (AFTER, "87 + 1 = 89", False),
        (AFTER, "88 + 1 = 89", False),
        (AFTER, "87 + 1 = 88, 88 + 1 = 89", False),
        (AFTER, "88, and after that comes 89", True),
        (AFTER, "88, and then 89", False),
        (SUM, "40 + 33: 40 + 30 = 70, 70 + 3 = 73.", True),
        (SUM, "40 + 33 is 73. You first add 40 and 30, which makes 70, and then 3.", True),
        (SUM, "40 + 33 is 73. Then you add 1 more, and the result is 74.", False),
        (SUM, "It is 70, so 73 is right.", False),
        (SUM, "seventy-three", True),
        (NEXT, "Each number is 10 more than the one before, so 45 comes next.", True),
        (NEXT, "Each number is 10 more than the one before, so 55 comes next.", False),
        (NEXT, "It goes up by 10, so 45 or 55.", False),
        (HOURS, "There are 24 hours in a day, so 2 days are 48 hours.", True),
        (HOURS, "24 hours, so 48", False),
        ("Name the number after 99.", "one hundred", True),
        ("How many legs does the mosquito have?", "three pairs, so 6", True),
        ("How many legs does the mosquito have?", "three pairs, so 8", False),
        # explanations after the answer
        ("Give the opposite of pull.", "The opposite is push. For example, you push a door to open it.", True),
        ("Give the opposite of pull.", "Push. Or you could say that it is open.", False),
        (CAPITAL, "Paris, because Rome lies in Italy.", True),
        (CAPITAL, "Paris, because maybe Rome", False),
        (CAPITAL, "Paris. Rome.", False),
        (CAPITAL, "Paris. But the real capital of the country is Rome.", False),
        (CAPITAL, "Lyon, which is not very far from Paris.", False),
        (CAPITAL, "The capital of France is Lyon, Paris is only larger.", False),
        (CAPITAL, "Maybe Paris, I am not sure.", False),
        (CAPITAL, "Paris, though some say Lyon.", False),
        (CAPITAL, "It is Paris and Lyon.", False),
        (CAPITAL, "Therefore, it is Paris.", True),
        (CAPITAL, "It is Paris and has been for long.", True),
        ("What is the first letter of farm?", "Maybe f", False),
        # qualified answers, names of people, synonyms
        ("On which continent is Jordan?", "Western Asia", True),
        ("On which continent is Jordan?", "Cold Asia", False),
        ("On which continent is Canada?", "South America", False),
        ("What are people from Iceland called?", "Icelanders", True),
        ("What are people from Chile called?", "Chileans", True),
        ("What are people from Poland called?", "Polishs", False),
        ("Name the usual material of doors.", "timber", True),
        ("Name the usual material of doors.", "timber or stone", False),
        ("What is the opposite of poor?", "affluent", True),
        ("What is the opposite of poor?", "affluent or cheap", False),
        # spelling, articles
        ("Spell the number 20.", "T-W-E-N-T-Y", True),
        ("Spell the number 20.", "T-W-E-L-V-E", False),
        ('Translate "school" into French.', "l'école", True),
        ('Translate "school" into French.', "l'église", False),
        # units
        (INCHES, "36 feet", False),
        (INCHES, "36 apples, I would say", False),
        (INCHES, "36", True),
        (INCHES, "36in", True),
        (INCHES, "**36 inches**", True),
        (INCHES, "There are 12 inches in a foot, so 3 feet are 36 inches.", True),
        # orders
        (WORDS, "1. finger\n2. forest\n3. pillow\n4. wallet", True),
        (WORDS, "First comes finger, then forest, then pillow, and wallet is last.", True),
        (WORDS, "pillow, finger, wallet, forest sorted: finger, forest, pillow, wallet", True),
        (WORDS, "finger, forest, garden, pillow, wallet", False),
        (WORDS, "not finger, forest, pillow, wallet", False),
        (WORDS, "finger, forest, pillow, wallet or wallet, pillow, forest, finger", False),
        (NUMBERS, "22 < 23 < 70 < 75", True),
        (NUMBERS, "22 > 23 > 70 > 75", False),
        (NUMBERS, "twenty-two, twenty-three, seventy and seventy-five", True),
        (NUMBERS, "- 22\n- 23\n- 70\n- 75", True),
        (NUMBERS, "1. 22 2. 23 3. 70 4. 75", True),
        (NUMBERS, "22, 23, 70, 75, 80", False),
        (NUMBERS, "22, 23, 24, 70, 75", False),
        # letters and capitals
        (BACKWARDS, "The word kitchen backwards is nehctik, because you read the letters from the end.", True),
        (BACKWARDS, "n-e-h-c-t-i-k", True),
        (BACKWARDS, "nehtcik, or better nehctik", False),
        (BACKWARDS, "It is nehtcik. That is nehctik to some people.", False),
        (CAPITALS, '"bridge summer" becomes "BRIDGE SUMMER"', True),
        (CAPITALS, "BRIDGE SUMMER or BRIDGE SUMMERS", False),
        (CAPITALS, "Bridge Summer or BRIDGE SUMMER", False),
        (CAPITALS, "BRIDGE-SUMMER", False),
        # lists
        (BIRDS, "One is the owl, and another is the robin.", True),
        (BIRDS, "The robin is a bird, and so is the owl.", True),
        (BIRDS, "Eagle and owl. Both of them can see very well.", True),
        (BIRDS, "Eagle and owl. The robin is a bird as well.", False),
        (BIRDS, "One is the owl, and another is the bat.", False),
        (BIRDS, "The owl, or the robin and the eagle.", False),
        (BIRDS, "The owl is one.", False),
    ],
)
def test_each_rule_passes_what_is_right_and_nothing_else(instruction: str, response: str, right: bool) -> None:
    assert score(instruction, f" {response}", "eos").content is right
