"""Batch jobs: next-token scores, and batches that are halved when memory runs out."""

from typing import Any

import numpy as np
import pytest
import torch

from ctai.errors import CtaiError
from ctai.model.clean_model import CleanModel
from ctai.model.control_tokens import InputGuard
from ctai.model.inference.engine import Engine
from ctai.model.inference.sampling import shared_prefix_length
from tests.support.spelling import FRAME, GREEDY, PROMPTS

pytestmark = pytest.mark.unit


def test_token_logprobs_equal_a_plain_forward(tiny_model: CleanModel) -> None:
    tokens = [5, 17, 300]
    values = tiny_model.engine.token_logprobs(PROMPTS, tokens)
    assert values.dtype == np.float64
    for prompt, row in zip(PROMPTS, values, strict=True):
        with torch.no_grad():
            logits = tiny_model.module(torch.tensor([tiny_model.engine.encode(prompt)])).logits[0, -1]
        assert row == pytest.approx(logits.double().log_softmax(-1)[tokens].numpy(), abs=1e-4)


def test_token_logprobs_reuse_a_shared_prefix_without_a_difference(tiny_model: CleanModel) -> None:
    prompts = [FRAME * 2 + f"Instruction: {word}\nLabel:" for word in ("cats", "water and oxygen", "x", "2 + 2")]
    together = tiny_model.engine.token_logprobs(prompts, [5, 6])
    alone = np.concatenate([tiny_model.engine.token_logprobs([p], [5, 6]) for p in prompts])
    assert shared_prefix_length([tiny_model.engine.encode(p) for p in prompts]) > 16
    assert together == pytest.approx(alone, abs=1e-4)


class SmallDevice(torch.nn.Module):
    """A model on a device with memory for at most three rows."""

    def __init__(self, model: CleanModel) -> None:
        super().__init__()
        self.config = model.module.config
        self._forward = model.module.forward

    def forward(self, input_ids: torch.Tensor, position_ids: torch.Tensor, **rest: Any) -> Any:
        if len(input_ids) > 3:
            raise torch.OutOfMemoryError("too many rows")
        return self._forward(input_ids=input_ids, position_ids=position_ids, **rest)


def test_a_batch_that_does_not_fit_into_memory_is_halved(tiny_model: CleanModel) -> None:
    engine = tiny_model.engine.for_model(SmallDevice(tiny_model))
    assert engine.generate(PROMPTS, GREEDY) == tiny_model.engine.generate(PROMPTS, GREEDY)
    assert engine.batch_splits == 2  # eight rows, four, two


def test_the_next_call_starts_from_the_reduced_limit(tiny_model: CleanModel) -> None:
    engine = Engine(SmallDevice(tiny_model), tiny_model.tokenizer, InputGuard({}), "cpu")
    prompts = [f"{letter} cats" for letter in "abcdefgh"]
    for _ in range(2):
        assert engine.generate(prompts, GREEDY) == tiny_model.engine.generate(prompts, GREEDY)
        assert engine.batch_splits == 2
    assert engine.for_model(tiny_model.module).generate(prompts, GREEDY) == tiny_model.engine.generate(prompts, GREEDY)


@pytest.mark.parametrize("call", ["generate", "token_logprobs"])
def test_a_long_prompt_in_a_batch_of_one_does_not_end_the_halving(tiny_model: CleanModel, call: str) -> None:
    """Memory runs out later, in a batch of many short prompts."""
    engine = Engine(SmallDevice(tiny_model), tiny_model.tokenizer, InputGuard({}), "cpu", 64, 140)
    prompts = [FRAME * 4, *("The capital", "x", "Dogs", "cats", "water", "red")]
    if call == "generate":
        assert engine.generate(prompts, GREEDY) == tiny_model.engine.generate(prompts, GREEDY)
    else:
        expected = tiny_model.engine.token_logprobs(prompts, [5, 6])
        assert engine.token_logprobs(prompts, [5, 6]) == pytest.approx(expected, abs=1e-4)
    assert engine.batch_splits == 1


def test_a_single_prompt_that_does_not_fit_into_memory_is_an_error(tiny_model: CleanModel) -> None:
    class Full(torch.nn.Module):
        config = tiny_model.module.config

        def forward(self, **_rest: object) -> Any:
            raise torch.OutOfMemoryError("full")

    with pytest.raises(CtaiError, match="out of device memory with a single prompt"):
        tiny_model.engine.for_model(Full()).generate(["x", "y"], GREEDY)
