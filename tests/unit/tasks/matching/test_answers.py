"""Answer extraction: spelling and articles."""

import pytest

from ctai.tasks.registry import score

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("instruction", "response", "right"),
    [
        ("Spell the number 20.", "T-W-E-N-T-Y", True),
        ("Spell the number 20.", "T-W-E-L-V-E", False),
        ('Translate "school" into French.', "l'école", True),
        ('Translate "school" into French.', "l'église", False),
    ],
)
def test_spelled_words_and_articles_match(instruction: str, response: str, right: bool) -> None:
    assert score(instruction, f" {response}", "eos").content is right
