"""Losses on padded and on packed rows, and the architectures that can be packed."""

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from ctai.train.data import IGNORED, TokenizedPair, collate
from ctai.train.losses import can_pack, mean_loss, summed_loss, summed_loss_packed

pytestmark = pytest.mark.unit


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
    own: dict[str, dict[str, Any]] = {
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


def test_the_mean_loss_weighs_tokens_equally_and_ignores_dropout(tiny_model):
    pairs = [TokenizedPair((5, 6), (7, 0)), TokenizedPair((8, 9, 10), (11, 12, 13, 0)), TokenizedPair((5,), (6, 0))]
    whole = collate(pairs, 0)
    expected = summed_loss(tiny_model.module, whole).item() / int((whole.labels != IGNORED).sum())
    modes = []

    class Recorded(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, **inputs):
            modes.append((self.training, torch.is_grad_enabled()))
            return tiny_model.module(**inputs)

    model = Recorded()
    model.train()
    batches = [collate(pairs[:1], 0), collate(pairs[1:], 0)]
    assert mean_loss(model, batches, summed_loss) == pytest.approx(expected, rel=1e-5)
    assert modes == [(False, False)] * 2
    assert model.training
