"""Engine: prompts are checked, never truncated, and start with an allowed BOS token."""

from typing import Any

import pytest
import torch

from ctai.errors import CtaiError
from ctai.model.clean_model import CleanModel
from ctai.model.control_tokens import InputGuard
from ctai.model.inference.engine import Engine
from ctai.records import Sampling
from tests.support.spelling import GREEDY, SAMPLED, SpellingModel

pytestmark = pytest.mark.unit


def test_a_prompt_that_does_not_fit_is_an_error_not_a_cut(tiny_model: CleanModel) -> None:
    words = "water " * 100
    budget = tiny_model.engine.context_length - len(tiny_model.engine.encode(words))
    assert tiny_model.engine.generate([words], Sampling(max_new_tokens=budget))[0].token_ids
    with pytest.raises(CtaiError, match="context length of this model is 256"):
        tiny_model.engine.generate(["x", words], Sampling(max_new_tokens=budget + 1))
    with pytest.raises(CtaiError, match="prompt 0"):
        tiny_model.engine.token_logprobs([words * 3], [1])


def test_an_empty_prompt_is_an_error(tiny_model: CleanModel) -> None:
    with pytest.raises(CtaiError, match="prompt 1 is empty"):
        tiny_model.engine.generate(["x", ""], GREEDY)


def test_no_prompts_give_no_results(tiny_model: CleanModel) -> None:
    assert tiny_model.engine.generate([], GREEDY) == []
    assert tiny_model.engine.token_logprobs([], [1, 2]).shape == (0, 2)


def test_seeds_must_match_the_prompts(tiny_model: CleanModel) -> None:
    with pytest.raises(CtaiError, match="2 prompts, but"):
        tiny_model.engine.generate(["x", "y"], SAMPLED, [1])


def test_an_allowed_bos_stands_before_every_prompt(tiny_model: CleanModel) -> None:
    seen: list[list[int]] = []

    class Spy(SpellingModel):
        def forward(self, input_ids: torch.Tensor, **rest: object) -> Any:
            seen.extend(input_ids.tolist())
            return super().forward(input_ids, **rest)

    engine = Engine(Spy(tiny_model, []), tiny_model.tokenizer, InputGuard({}), "cpu", bos_id=1)
    engine.generate(["x"], GREEDY)
    assert seen == [[1, *engine.encode("x")]]


def test_prompt_tokens_count_what_the_model_receives(tiny_model: CleanModel) -> None:
    prompts = ["one two three", "x"]
    engine, tokenizer = tiny_model.engine, tiny_model.tokenizer
    plain = [len(tokenizer(prompt, add_special_tokens=False)["input_ids"]) for prompt in prompts]
    assert engine.count_prompt_tokens(prompts) == plain
    with_bos = Engine(tiny_model.module, tokenizer, InputGuard({}), "cpu", bos_id=1)
    assert with_bos.count_prompt_tokens(prompts) == [count + 1 for count in plain]
    assert engine.count_prompt_tokens([]) == []
