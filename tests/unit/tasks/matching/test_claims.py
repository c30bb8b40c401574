"""Claims and explanations in responses."""

import pytest

from ctai.tasks.registry import score

pytestmark = pytest.mark.unit

CAPITAL = "What is the capital of France?"


@pytest.mark.parametrize(
    ("instruction", "response", "right"),
    [
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
    ],
)
def test_wrong_answers_count_in_claims_and_not_in_explanations(instruction: str, response: str, right: bool) -> None:
    assert score(instruction, f" {response}", "eos").content is right
