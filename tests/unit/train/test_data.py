"""Training data: tokens with loss, examples that are left out, and the order of the data."""

import pytest
import torch

from ctai.errors import CtaiError
from ctai.prompts import DELIMITER, CompletionStylePrompts, Pair
from ctai.train.data import (
    IGNORED,
    data_order,
    encode_pairs,
    end_of_text_id,
    micro_batches,
)
from tests.support.trained import example

pytestmark = pytest.mark.unit

# -- tokens and labels ---------------------------------------------------------------------------------------


@pytest.mark.fault(17, plant="real batches, padded with the end-of-text token", check="label mask")
@pytest.mark.fault(18, plant="real batches: does the end-of-text token carry loss?", check="label mask")
def test_only_completion_and_end_of_text_carry_loss(tiny_model):
    tokenizer = tiny_model.tokenizer
    pairs = [Pair(e.instruction, e.response) for e in map(example, range(11))]
    end = end_of_text_id(tokenizer, ())
    encoded = encode_pairs(tokenizer, pairs, end, 200)
    batches = list(micro_batches(encoded.pairs, 4, padding_id=end))  # padded with the end-of-text token itself
    assert [len(batch.labels) for batch in batches] == [4, 4, 3]
    supervised = []
    for batch in batches:
        assert not (batch.labels[:, 0] != IGNORED).any()
        for ids, mask, labels in zip(batch.input_ids, batch.attention_mask, batch.labels, strict=True):
            kept = labels != IGNORED
            assert torch.equal(labels[kept], ids[kept])
            assert not kept[mask == 0].any()
            assert labels[kept][-1] == end
            prompt = tokenizer.decode(ids[(mask == 1) & ~kept])
            supervised.append((prompt, tokenizer.decode(labels[kept][:-1])))
    assert any((batch.attention_mask == 0).any() for batch in batches), "no batch was padded: the test shows nothing"
    expected = {(CompletionStylePrompts.zero_shot(i), CompletionStylePrompts.completion(r)) for i, r in pairs}
    assert set(supervised) == expected
    assert encoded.supervised_tokens == sum(int((b.labels != IGNORED).sum()) for b in batches)


def test_tokens_are_those_of_inference(tiny_model):
    """Prompt ids are what the engine sends, and prompt with completion is what it would have written."""
    pair = Pair("Name the capital of France.", "Paris")
    encoded = encode_pairs(tiny_model.tokenizer, [pair], 0, 200).pairs[0]
    assert list(encoded.prompt) == tiny_model.engine.encode(CompletionStylePrompts.zero_shot(pair.instruction))
    assert list(encoded.completion[:-1]) == tiny_model.engine.encode(" Paris")


def test_an_allowed_bos_precedes_the_prompt_as_in_the_engine(tiny_model):
    pairs = [Pair("Name a colour.", "Red")]
    plain = encode_pairs(tiny_model.tokenizer, pairs, 0, 200).pairs[0]
    with_bos = encode_pairs(tiny_model.tokenizer, pairs, 0, 200, (5,)).pairs[0]
    assert with_bos.prompt == (5, *plain.prompt)
    assert with_bos.completion == plain.completion


@pytest.mark.fault(18, plant="a response that holds the delimiter", check="token layout of training")
def test_a_delimiter_is_never_trained_on(tiny_model):
    with pytest.raises(CtaiError, match="example 2 holds the delimiter"):
        encode_pairs(tiny_model.tokenizer, [Pair("a", "b"), Pair("a", f"b {DELIMITER}")], 0, 200)


def test_too_long_examples_are_left_out_whole_and_counted(tiny_model):
    pairs = [Pair("Name a colour.", "Red"), Pair("Count.", "one two three " * 40)]
    encoded = encode_pairs(tiny_model.tokenizer, pairs, 0, 60)
    assert encoded.too_long == 1
    assert len(encoded.pairs) == 1
    assert encoded.pairs[0].completion[-1] == 0


def test_nothing_to_learn_from_is_an_error(tiny_model):
    with pytest.raises(CtaiError, match="no token to learn from: 1 examples, of which 1"):
        encode_pairs(tiny_model.tokenizer, [Pair("Count.", "one two three " * 40)], 0, 16)


def test_a_chat_token_cannot_end_a_response(tiny_model):
    end = tiny_model.tokenizer.eos_token_id
    assert end_of_text_id(tiny_model.tokenizer, (end + 1,)) == end
    with pytest.raises(CtaiError, match="belongs to a chat template"):
        end_of_text_id(tiny_model.tokenizer, (end,))


# -- order -----------------------------------------------------------------------------------------


def test_every_example_is_seen_equally_often():
    order = data_order(10, 4, 5, seed=1)
    assert [len(step) for step in order] == [4] * 5
    seen = [index for step in order for index in step]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]
    assert order != data_order(10, 4, 5, seed=2)
    assert order[:3] == data_order(10, 4, 3, seed=1)
