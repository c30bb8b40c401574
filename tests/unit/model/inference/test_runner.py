"""Model calls: shared prefixes for every kind of position encoding, and NaN logits as an error."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from ctai.errors import CtaiError
from ctai.model.clean_model import CleanModel
from ctai.model.control_tokens import InputGuard
from ctai.model.inference.engine import Engine
from ctai.model.inference.sampling import shared_prefix_length
from ctai.records import Sampling
from tests.support.spelling import FRAME, GREEDY, SpellingModel

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("budget", [8, 60])
@pytest.mark.parametrize("architecture", ["mistral", "gpt_neo", "mpt", "lfm2"])
def test_a_shared_prefix_is_no_difference_where_columns_are_counted(
    tiny_model: CleanModel, architecture: str, budget: int
) -> None:
    """Windows, distances and sums over columns would count the padding after the shared prefix of a shorter prompt."""
    sizes: dict[str, dict[str, Any]] = {
        "mistral": {"sliding_window": 36, "num_key_value_heads": 2},
        "gpt_neo": {
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 2,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 36,
        },
        "mpt": {"d_model": 32, "n_heads": 2, "n_layers": 2, "max_seq_len": 256},
        "lfm2": {"layer_types": ["conv", "full_attention"], "num_key_value_heads": 2},
    }
    common: dict[str, Any] = {"max_position_embeddings": 256, "initializer_range": 0.3}
    if architecture in ("mistral", "lfm2"):
        common |= {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    vocabulary = len(tiny_model.tokenizer)
    config = AutoConfig.for_model(architecture, vocab_size=vocabulary, **common, **sizes[architecture])
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    engine = Engine(model, tiny_model.tokenizer, InputGuard({}), "cpu")
    prompts = [FRAME + end for end in ("x", "Q: What is water made of?\nA: hydrogen and oxygen", "Label:")]
    assert shared_prefix_length([engine.encode(prompt) for prompt in prompts]) > 16
    together = engine.generate(prompts, Sampling(max_new_tokens=budget))
    for prompt, completion in zip(prompts, together, strict=True):
        ids = engine.encode(prompt)
        with torch.no_grad():
            scores = model(torch.tensor([[*ids, *completion.token_ids]]), use_cache=False).logits[0, len(ids) - 1 : -1]
        chosen = scores.gather(1, torch.tensor(completion.token_ids)[:, None])[:, 0]
        assert (scores.max(-1).values - chosen).max() < 1e-3
    values = engine.token_logprobs(prompts, range(vocabulary))
    alone = np.concatenate([engine.token_logprobs([prompt], range(vocabulary)) for prompt in prompts])
    assert values == pytest.approx(alone, abs=1e-3)


class BreaksAt(SpellingModel):
    """A model that computes NaN from a given step on."""

    def __init__(self, engine_model: CleanModel, step: int) -> None:
        super().__init__(engine_model, [40] * 9)
        self._step = step

    def forward(self, input_ids: torch.Tensor, **rest: object) -> Any:
        output = super().forward(input_ids, **rest)
        if self._written >= self._step:
            output.logits = output.logits * math.nan
        return output


@pytest.mark.parametrize("step", [0, 1, 5])
def test_nan_logits_are_an_error_at_every_step(tiny_model: CleanModel, step: int) -> None:
    engine = Engine(BreaksAt(tiny_model, step), tiny_model.tokenizer, InputGuard({}), "cpu")
    with pytest.raises(CtaiError, match="NaN"):
        engine.generate(["x"], GREEDY)


def test_nan_is_no_log_probability(tiny_model: CleanModel) -> None:
    engine = Engine(BreaksAt(tiny_model, 0), tiny_model.tokenizer, InputGuard({}), "cpu")
    with pytest.raises(CtaiError, match="NaN"):
        engine.token_logprobs(["x"], [1])
