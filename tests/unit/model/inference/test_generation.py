"""Generation loop: texts do not depend on batching, end where they must and never exceed the limits."""

from typing import Any

import pytest
import torch

from ctai.model.clean_model import CleanModel
from ctai.model.control_tokens import InputGuard
from ctai.model.inference.engine import Engine
from ctai.records import Sampling
from tests.support.spelling import GREEDY, PROMPTS, SAMPLED, SpellingModel, Writer

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
def test_a_text_does_not_depend_on_its_batch(tiny_model: CleanModel, sampling: Sampling) -> None:
    seeds = [101 + i for i in range(len(PROMPTS))]
    together = tiny_model.engine.generate(PROMPTS, sampling, seeds)
    alone = [tiny_model.engine.generate([p], sampling, [s])[0] for p, s in zip(PROMPTS, seeds, strict=True)]
    assert together == alone
    assert len({c.raw for c in together}) > 5


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
@pytest.mark.parametrize(("rows", "tokens"), [(1, 10_000), (3, 10_000), (64, 150), (64, 1)])
def test_a_text_does_not_depend_on_the_batch_limits(
    tiny_model: CleanModel, sampling: Sampling, rows: int, tokens: int
) -> None:
    """Pending prompts take the places of finished ones, so that rows of all lengths and steps share a batch."""
    sampling = sampling.model_copy(update={"stop": ("e", "on")})
    engine = Engine(tiny_model.module, tiny_model.tokenizer, InputGuard({}), "cpu", rows, tokens)
    together = tiny_model.engine.generate(PROMPTS * 2, sampling)
    assert engine.generate(PROMPTS * 2, sampling) == together
    assert len({len(completion.token_ids) for completion in together}) > 5


def test_no_batch_exceeds_the_limits(tiny_model: CleanModel) -> None:
    shapes: list[tuple[int, int]] = []

    class Spy(torch.nn.Module):
        config = tiny_model.module.config

        def forward(self, attention_mask: torch.Tensor, position_ids: torch.Tensor, **rest: Any) -> Any:
            shapes.append(tuple(attention_mask.shape))
            return tiny_model.module(attention_mask=attention_mask, position_ids=position_ids, **rest)

    engine = Engine(Spy(), tiny_model.tokenizer, InputGuard({}), "cpu", 5, 200)
    engine.generate(PROMPTS * 3, GREEDY)
    assert max(rows for rows, _ in shapes) == 5
    assert max(rows * columns for rows, columns in shapes) <= 200
    # Free places are taken at once: one batch after the other would need more steps.
    assert len(shapes) < len(PROMPTS) * 3 * GREEDY.max_new_tokens / 3


@pytest.mark.parametrize("rows", [5, 8, 12])
def test_no_row_exceeds_its_budget(tiny_model: CleanModel, rows: int) -> None:
    """A finished row may stay in the batch beside later rows, but not for more steps than its token budget."""
    beyond: list[int] = []

    class Spy(torch.nn.Module):
        config = tiny_model.module.config

        def forward(self, position_ids: torch.Tensor, **rest: Any) -> Any:
            beyond.append(int(position_ids.max()) - longest - SAMPLED.max_new_tokens)
            return tiny_model.module(position_ids=position_ids, **rest)

    longest = len(tiny_model.engine.encode(PROMPTS[0]))
    control = tiny_model.provenance
    guard = InputGuard(dict(zip(control.control_token_ids, control.control_tokens, strict=True)))
    engine = Engine(Spy(), tiny_model.tokenizer, guard, "cpu", rows)
    sampling = SAMPLED.model_copy(update={"stop": ("e", "on")})
    together = engine.generate(PROMPTS[:1] * 60, sampling)
    assert together == tiny_model.engine.generate(PROMPTS[:1] * 60, sampling)
    assert {c.finish_reason for c in together} >= {"stop", "length"}
    assert max(beyond) < 0


def test_rows_that_finish_early_do_not_change_the_others(tiny_model: CleanModel) -> None:
    free = tiny_model.engine.generate(PROMPTS, GREEDY)
    stop = (free[0].raw[2:4],)
    stopped = tiny_model.engine.generate(PROMPTS, GREEDY.model_copy(update={"stop": stop}))
    for before, after in zip(free, stopped, strict=True):
        if stop[0] in before.raw:
            assert after.finish_reason == "stop"
            assert after.text == before.raw[: before.raw.index(stop[0])]
        else:
            assert after == before
    assert {c.finish_reason for c in stopped} >= {"stop", "length"}


def test_the_seed_decides_a_sampled_text(tiny_model: CleanModel) -> None:
    first, repeated, different = tiny_model.engine.generate(["The capital"] * 3, SAMPLED, [5, 5, 6])
    assert first == repeated
    assert first.raw != different.raw


def test_large_seeds_that_differ_above_32_bits_differ(tiny_model: CleanModel) -> None:
    low, high = tiny_model.engine.generate(["The capital"] * 2, SAMPLED, [5, 5 + 2**40])
    assert low.raw != high.raw


def test_greedy_is_the_argmax_of_plain_forward_passes(tiny_model: CleanModel) -> None:
    completion = tiny_model.engine.generate([PROMPTS[2]], GREEDY)[0]
    ids = tiny_model.engine.encode(PROMPTS[2])
    for token in completion.token_ids:
        with torch.no_grad():
            logits = tiny_model.module(torch.tensor([ids])).logits[0, -1]
        assert int(logits.argmax()) == token
        ids.append(token)


@pytest.mark.fault(7, plant="answers with colons, line ends, lists and Q", check="generator: stop strings as a whole")
@pytest.mark.parametrize(
    "text",
    [
        "Here is the program:\ndef f(x):\n    if x:\n        return {1: 2}\nQuit: 3\nA Q&A list:\n- one\n- two",
        "The answer: 12:30\n1. Question time\n2. Quiz: ten points",
        "User manual: see Response times.\n## Instructions",
    ],
)
def test_answers_with_colons_newlines_and_q_survive(writes: Writer, text: str) -> None:
    completion = writes(text, stop=("\nInstruction", "\nQ:", "\n###", "\nUser:", "\nResponse:", "###END###"))
    assert completion.text == text
    assert completion.finish_reason == "eos"


@pytest.mark.parametrize("stop", ["\nInstruction", "\nQ:", "###END###", "\n\n", "é!", "nd "])
def test_a_stop_string_is_found_wherever_tokens_end(writes: Writer, stop: str) -> None:
    completion = writes(f"red and b{stop}lue and more", stop=("@@@", stop))
    assert completion.text == f"red and b{stop}".split(stop)[0]
    assert completion.finish_reason == "stop"
    assert stop in completion.raw
    assert "and more" not in completion.raw


def test_a_stop_string_that_spans_single_byte_tokens_is_found(tiny_model: CleanModel, writes: Writer) -> None:
    vocabulary = tiny_model.tokenizer.get_vocab()
    ids = [vocabulary["Ċ" if char == "\n" else char] for char in "ok\nQ:rest"]
    completion = writes(ids, stop=("\nQ:",))
    assert (completion.text, completion.raw) == ("ok", "ok\nQ:")


def test_finish_reasons(writes: Writer) -> None:
    assert writes("red and blue").finish_reason == "eos"
    assert writes("red and blue", max_new_tokens=2).finish_reason == "length"
    assert writes("red and blue", stop=("and",)).finish_reason == "stop"


def test_end_of_text_is_in_the_ids_and_not_in_the_text(tiny_model: CleanModel, writes: Writer) -> None:
    completion = writes("red and blue")
    assert completion.token_ids[-1] == tiny_model.tokenizer.eos_token_id
    assert completion.text == completion.raw == "red and blue"


def test_a_chat_control_token_ends_the_text_and_is_never_fed_back(tiny_model: CleanModel) -> None:
    control = tiny_model.engine.encode("<|im_end|>")
    fed: list[int] = []

    class Spy(SpellingModel):
        def forward(self, input_ids: torch.Tensor, **rest: object) -> Any:
            fed.extend(input_ids.flatten().tolist())
            return super().forward(input_ids, **rest)

    model = Spy(tiny_model, [*tiny_model.engine.encode("red"), *control, *tiny_model.engine.encode("user")])
    completion = Engine(model, tiny_model.tokenizer, InputGuard({control[0]: "<|im_end|>"}), "cpu").generate(
        ["x", "y", "z"], GREEDY
    )[0]
    assert (completion.text, completion.finish_reason) == ("red", "eos")
    assert control[0] not in fed
