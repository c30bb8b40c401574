"""What control runs train on."""

import pytest

from ctai.errors import CtaiError
from ctai.prompts import Pair
from ctai.tasks.seeds import seed_pairs
from ctai.train.controls import training_pairs

pytestmark = pytest.mark.unit

OWN = [Pair(f"Name thing {number}.", f"Thing {number}") for number in range(50)]
FOREIGN = [Pair(f"Give item {number}.", f"Item {number}") for number in range(30)]


def test_shuffled_is_a_seeded_derangement():
    shuffled = training_pairs(OWN, "shuffled", 3)
    assert [pair.instruction for pair in shuffled] == [pair.instruction for pair in OWN]
    assert sorted(pair.response for pair in shuffled) == sorted(pair.response for pair in OWN)
    assert all(pair.response != own.response for pair, own in zip(shuffled, OWN, strict=True))
    assert shuffled == training_pairs(OWN, "shuffled", 3)
    assert shuffled != training_pairs(OWN, "shuffled", 4)


def test_one_example_cannot_be_shuffled():
    with pytest.raises(CtaiError, match="cannot be shuffled"):
        training_pairs(OWN[:1], "shuffled", 0)


def test_foreign_keeps_the_instructions_and_takes_no_response_of_its_own():
    pairs = training_pairs(OWN, "foreign", 0, FOREIGN)
    assert [pair.instruction for pair in pairs] == [pair.instruction for pair in OWN]
    assert {pair.response for pair in pairs} <= {pair.response for pair in FOREIGN}
    assert len({pair.response for pair in pairs}) > 1


def test_foreign_needs_the_data_of_another_run():
    with pytest.raises(CtaiError, match="control_data"):
        training_pairs(OWN, "foreign", 0)


def test_random_text_has_the_shape_of_the_data_and_none_of_its_words():
    pairs = training_pairs(OWN, "random-text", 0)
    assert [len(pair.response) for pair in pairs] == [len(pair.response) for pair in OWN]
    assert not any(word in pair.instruction for pair in pairs for word in ("Name", "thing"))
    assert len(set(pairs)) == len(OWN)


def test_response_only_keeps_the_responses_and_no_instruction():
    pairs = training_pairs(OWN, "response-only", 0)
    assert [pair.response for pair in pairs] == [pair.response for pair in OWN]
    assert {pair.instruction for pair in pairs} == {""}


def test_other_runs_train_on_their_dataset_or_the_seeds():
    assert training_pairs(OWN, "none", 0) == OWN
    assert training_pairs(OWN, "untrained", 0) == OWN
    assert training_pairs(OWN, "seeds-only", 0) == list(seed_pairs())
