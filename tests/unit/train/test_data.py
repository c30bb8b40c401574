"""Data of training: what carries loss, what is left out, in which order it is seen, and when examples share a row."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from ctai.config import TrainingSettings
from ctai.errors import CtaiError
from ctai.prompts import DELIMITER, CompletionStylePrompts, Pair
from ctai.train.data import (
    IGNORED,
    TokenizedPair,
    collate,
    data_order,
    encode_pairs,
    end_of_text_id,
    micro_batches,
    steps_for,
)
from ctai.train.loop import TrainingPlan, can_pack, summed_loss, summed_loss_packed
from tests.support.trained import Prepared, example

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


def test_padding_does_not_change_the_loss(tiny_model):
    short, long = TokenizedPair((5, 6), (7, 0)), TokenizedPair((8, 9, 10), (11, 12, 13, 0))
    with torch.no_grad():
        together = summed_loss(tiny_model.module, collate([short, long], 0))
        apart = sum(summed_loss(tiny_model.module, collate([pair], 0)) for pair in (short, long))
    assert together.item() == pytest.approx(apart.item(), rel=1e-5)


def test_packing_changes_neither_the_loss_nor_its_gradient(tiny_model):
    batch = collate(
        [TokenizedPair((5, 6), (7, 0)), TokenizedPair((8, 9, 10), (11, 12, 13, 0)), TokenizedPair((5,), (6, 0))], 0
    )
    found = {}
    for loss_of in (summed_loss, summed_loss_packed):
        weight = tiny_model.module.model.layers[0].self_attn.q_proj.weight.requires_grad_()
        loss = loss_of(tiny_model.module, batch)
        (gradient,) = torch.autograd.grad(loss, weight)
        weight.requires_grad_(False)
        found[loss_of] = (loss.item(), gradient)
    padded, packed = found.values()
    assert packed[0] == pytest.approx(padded[0], rel=1e-5)
    assert (packed[1] - padded[1]).abs().max() < 1e-4 * padded[1].abs().max()


def test_a_model_that_looks_across_the_borders_of_examples_is_not_packed(tiny_model):
    class Leaks(torch.nn.Module):
        def forward(self, input_ids, position_ids=None, logits_to_keep=0, **rest):
            positions = torch.arange(input_ids.shape[1])[None]
            return tiny_model.module(input_ids=input_ids, position_ids=positions, logits_to_keep=logits_to_keep, **rest)

    class TakesNoPositions(torch.nn.Module):
        def forward(self, input_ids, attention_mask=None, use_cache=False):
            raise AssertionError("must not be asked")

    batch = collate([TokenizedPair((5, 6, 9, 9, 7), (7, 0)), TokenizedPair((8, 9, 10), (11, 12, 13, 0))], 0)
    assert can_pack(tiny_model.module, batch)
    assert not can_pack(Leaks(), batch)
    assert not can_pack(TakesNoPositions(), batch)


@pytest.mark.parametrize(
    ("architecture", "packs"), [("llama", True), ("gpt2", True), ("mistral", True), ("opt", False), ("lfm2", False)]
)
def test_a_leak_that_hardly_changes_the_loss_is_found(architecture, packs):
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    own = {
        "gpt2": {"n_positions": 64},
        "mistral": {"num_key_value_heads": 2, "sliding_window": 8},
        "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
        "lfm2": {"num_key_value_heads": 2, "layer_types": ["conv", "full_attention"], "initializer_range": 0.3},
    }
    torch.manual_seed(0)
    config = AutoConfig.for_model(architecture, vocab_size=100, **sizes, **own.get(architecture, {}))
    model = AutoModelForCausalLM.from_config(config).eval()
    pairs = [TokenizedPair(tuple(range(9, 9 + n)), tuple(range(50, 50 + n))) for n in (6, 9, 12)]
    assert can_pack(model, collate(pairs, 0)) == packs


def test_packing_is_tried_on_examples_that_share_a_row(tmp_path, tiny_model, monkeypatch):
    """Also where the last batch of a step holds one only."""
    tried = []

    def spy(model, batch):
        tried.append(len(batch.labels))
        return can_pack(model, batch)

    monkeypatch.setattr("ctai.train.loop.can_pack", spy)
    Prepared(tmp_path / "run", tiny_model).train(batch_size=7, device_batch_size=3, epochs=0.5)
    assert tried == [3]


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


@pytest.mark.parametrize(("examples", "epochs", "steps"), [(16, 3, 6), (10, 3, 4), (10, 0.5, 1), (1, 0.1, 1)])
def test_steps(examples, epochs, steps):
    assert steps_for(examples, epochs, 8) == steps


def test_every_example_is_seen_equally_often():
    order = data_order(10, 4, 5, seed=1)
    assert [len(step) for step in order] == [4] * 5
    seen = [index for step in order for index in step]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]
    assert order != data_order(10, 4, 5, seed=2)
    assert order[:3] == data_order(10, 4, 3, seed=1)


def test_learning_rate_warms_up_and_falls_to_zero():
    settings = TrainingSettings(warmup=0.1)
    plan = TrainingPlan((), [[0]] * 100, settings, 1.0, checkpoint_every=1, checkpoint_seconds=60, padding_id=0, seed=0)
    rates = [plan.learning_rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == max(rates) == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.001
