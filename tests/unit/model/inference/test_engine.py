"""The engine: what it writes does not depend on batching, stops on strings, and never cuts a prompt."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from ctai.errors import CtaiError
from ctai.model.clean_model import CleanModel
from ctai.model.control_tokens import InputGuard
from ctai.model.inference.engine import Engine
from ctai.model.inference.sampling import Sampler, StopMatcher, nucleus_floor, shared_prefix_length
from ctai.model.protocols import TextEngine
from ctai.records import Sampling
from tests.support.scripted import ScriptedEngine

pytestmark = pytest.mark.unit

FRAME = "Instruction: Name two colors.\nResponse: red and blue\n###END###\n\n"
PROMPTS = [
    "The capital of France is",
    "x",
    FRAME + "Instruction: What is 2 + 2?\nResponse:",
    "Q: What is water made of?\nA: hydrogen and oxygen\n\nQ: Dogs",
    FRAME + "Instruction: cats\nResponse:",
    " leading space",
    "1. First.\n2.",
    "Label: A\nLabel:",
    "déjà vu",
]
GREEDY = Sampling(max_new_tokens=24)
SAMPLED = Sampling(temperature=0.9, top_p=0.9, repetition_penalty=1.1, max_new_tokens=24)


class SpellingModel(torch.nn.Module):
    """A causal model that writes one given text whatever the prompt, token by token, then ends it."""

    def __init__(self, engine_model: CleanModel, ids: list[int]) -> None:
        super().__init__()
        self.config = engine_model.module.config
        self._ids = [*ids, engine_model.tokenizer.eos_token_id]
        self._written: int = -1

    def forward(self, input_ids: torch.Tensor, **_rest: object) -> Any:
        self._written += 1
        logits = torch.zeros(input_ids.shape[0], 1, self.config.vocab_size)
        logits[..., self._ids[min(self._written, len(self._ids) - 1)]] = 10.0
        return type("Output", (), {"logits": logits})()


Writer = Callable[..., Any]


@pytest.fixture
def writes(tiny_model: CleanModel) -> Writer:
    """Run the real generation loop over a model that writes a given text (or given ids)."""

    def run(text: str | list[int], **sampling: Any) -> Any:
        ids = tiny_model.engine.encode(text) if isinstance(text, str) else text
        engine = Engine(SpellingModel(tiny_model, ids), tiny_model.tokenizer, InputGuard({}), "cpu")
        return engine.generate(["x"], Sampling(**{"max_new_tokens": 200, **sampling}))[0]

    return run


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
def test_a_text_does_not_depend_on_its_batch(tiny_model: CleanModel, sampling: Sampling) -> None:
    seeds = [101 + i for i in range(len(PROMPTS))]
    together = tiny_model.engine.generate(PROMPTS, sampling, seeds)
    alone = [tiny_model.engine.generate([p], sampling, [s])[0] for p, s in zip(PROMPTS, seeds, strict=True)]
    assert together == alone
    assert len({c.raw for c in together}) > 5


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED])
@pytest.mark.parametrize(("rows", "tokens"), [(1, 10_000), (3, 10_000), (64, 150), (64, 1)])
def test_a_text_does_not_depend_on_what_fits_into_the_model(
    tiny_model: CleanModel, sampling: Sampling, rows: int, tokens: int
) -> None:
    """Waiting prompts take the places of finished ones, so that rows of all lengths and steps are side by side."""
    sampling = sampling.model_copy(update={"stop": ("e", "on")})
    engine = Engine(tiny_model.module, tiny_model.tokenizer, InputGuard({}), "cpu", rows, tokens)
    together = tiny_model.engine.generate(PROMPTS * 2, sampling)
    assert engine.generate(PROMPTS * 2, sampling) == together
    assert len({len(completion.token_ids) for completion in together}) > 5


def test_no_more_is_inside_the_model_than_there_is_room_for(tiny_model: CleanModel) -> None:
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
    # Places are taken as they become free: a batch after the other would need more steps.
    assert len(shapes) < len(PROMPTS) * 3 * GREEDY.max_new_tokens / 3


@pytest.mark.parametrize("rows", [5, 8, 12])
def test_no_row_goes_on_beyond_its_budget(tiny_model: CleanModel, rows: int) -> None:
    """A finished row may stay for a while beside others that entered later, but not for longer than it could have written."""
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


def test_rows_that_finish_early_leave_and_the_others_go_on(tiny_model: CleanModel) -> None:
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
    one, again, other = tiny_model.engine.generate(["The capital"] * 3, SAMPLED, [5, 5, 6])
    assert one == again
    assert one.raw != other.raw


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


@pytest.mark.parametrize("budget", [8, 60])
@pytest.mark.parametrize("architecture", ["mistral", "gpt_neo", "mpt", "lfm2"])
def test_a_shared_prefix_is_no_difference_where_columns_are_counted(
    tiny_model: CleanModel, architecture: str, budget: int
) -> None:
    """Windows, distances and sums over columns would count the padding between the shared prefix and a shorter prompt."""
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


@given(text=st.text("ab:\n#Qé ", max_size=20), stop=st.text("ab:\n#Qé ", min_size=1, max_size=4))
def test_stop_matcher_agrees_with_a_plain_search(stop: str, text: str) -> None:
    matcher = StopMatcher(_characters(), (stop,))
    ids = [ord(char) for char in text]
    found = next((end for end in range(1, len(ids) + 1) if matcher.matches(ids[:end])), None)
    expected = text.find(stop)
    assert found == (None if expected < 0 else expected + len(stop))


def _characters() -> Any:
    """A tokenizer in which every character is a token."""

    class Characters:
        def decode(self, ids: list[int], **_options: object) -> str:
            return "".join(map(chr, ids))

    return Characters()


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


def test_a_prompt_that_does_not_fit_is_an_error_not_a_cut(tiny_model: CleanModel) -> None:
    words = "water " * 100
    room = tiny_model.engine.context_length - len(tiny_model.engine.encode(words))
    assert tiny_model.engine.generate([words], Sampling(max_new_tokens=room))[0].token_ids
    with pytest.raises(CtaiError, match="context of this model has 256"):
        tiny_model.engine.generate(["x", words], Sampling(max_new_tokens=room + 1))
    with pytest.raises(CtaiError, match="prompt 0"):
        tiny_model.engine.token_logprobs([words * 3], [1])


def test_an_empty_prompt_is_an_error(tiny_model: CleanModel) -> None:
    with pytest.raises(CtaiError, match="prompt 1 is empty"):
        tiny_model.engine.generate(["x", ""], GREEDY)


def test_no_prompts_give_no_results(tiny_model: CleanModel) -> None:
    assert tiny_model.engine.generate([], GREEDY) == []
    assert tiny_model.engine.token_logprobs([], [1, 2]).shape == (0, 2)


def test_seeds_must_match_the_prompts(tiny_model: CleanModel) -> None:
    with pytest.raises(CtaiError, match="2 prompts need as many seeds"):
        tiny_model.engine.generate(["x", "y"], SAMPLED, [1])


class Small(torch.nn.Module):
    """A model on a device that holds three rows at most."""

    def __init__(self, model: CleanModel) -> None:
        super().__init__()
        self.config = model.module.config
        self._forward = model.module.forward

    def forward(self, input_ids: torch.Tensor, position_ids: torch.Tensor, **rest: Any) -> Any:
        if len(input_ids) > 3:
            raise torch.OutOfMemoryError("too many rows")
        return self._forward(input_ids=input_ids, position_ids=position_ids, **rest)


def test_a_batch_that_does_not_fit_into_memory_is_halved(tiny_model: CleanModel) -> None:
    engine = tiny_model.engine.for_model(Small(tiny_model))
    assert engine.generate(PROMPTS, GREEDY) == tiny_model.engine.generate(PROMPTS, GREEDY)
    assert engine.batch_splits == 2  # eight rows, four, two


def test_what_did_not_fit_is_not_tried_again_by_the_next_call(tiny_model: CleanModel) -> None:
    engine = Engine(Small(tiny_model), tiny_model.tokenizer, InputGuard({}), "cpu")
    prompts = [f"{letter} cats" for letter in "abcdefgh"]
    for _ in range(2):
        assert engine.generate(prompts, GREEDY) == tiny_model.engine.generate(prompts, GREEDY)
        assert engine.batch_splits == 2
    assert engine.for_model(tiny_model.module).generate(prompts, GREEDY) == tiny_model.engine.generate(prompts, GREEDY)


@pytest.mark.parametrize("call", ["generate", "token_logprobs"])
def test_a_long_prompt_that_went_in_alone_does_not_end_the_halving(tiny_model: CleanModel, call: str) -> None:
    """Memory fails later, at many short prompts together."""

    engine = Engine(Small(tiny_model), tiny_model.tokenizer, InputGuard({}), "cpu", 64, 140)
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

    with pytest.raises(CtaiError, match="one prompt alone"):
        tiny_model.engine.for_model(Full()).generate(["x", "y"], GREEDY)


class BreaksAt(SpellingModel):
    """Computes NaN from a step on."""

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


def test_an_allowed_bos_stands_before_every_prompt(tiny_model: CleanModel) -> None:
    seen: list[list[int]] = []

    class Spy(SpellingModel):
        def forward(self, input_ids: torch.Tensor, **rest: object) -> Any:
            seen.extend(input_ids.tolist())
            return super().forward(input_ids, **rest)

    engine = Engine(Spy(tiny_model, []), tiny_model.tokenizer, InputGuard({}), "cpu", bos_id=1)
    engine.generate(["x"], GREEDY)
    assert seen == [[1, *engine.encode("x")]]


@given(
    probabilities=st.lists(st.floats(0.001, 1), min_size=1, max_size=40),
    top_p=st.floats(0.01, 1),
)
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(probabilities: list[float], top_p: float) -> None:
    p = torch.tensor([probabilities], dtype=torch.float64)
    p = p / p.sum()
    kept = p[p >= nucleus_floor(p, top_p)]
    assert float(kept.sum()) >= min(top_p, float(p.sum())) - 1e-9
    distinct = len(set(p[0].tolist())) == p.shape[1]
    if distinct and len(kept) > 1:
        assert float(kept.sum() - kept.min()) < top_p + 1e-9


def test_sampled_tokens_follow_the_distribution() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    sampler = Sampler(Sampling(temperature=1, top_p=0.9, max_new_tokens=1), [[0]] * 4000, range(4000), 4, "cpu")
    counts = np.bincount(sampler.choose(logits.expand(4000, 4)).numpy(), minlength=4) / 4000
    assert counts == pytest.approx([0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0], abs=0.03)


def test_the_repetition_penalty_is_that_of_transformers() -> None:
    from transformers import RepetitionPenaltyLogitsProcessor

    logits = torch.randn(2, 20, generator=torch.Generator().manual_seed(0))
    prompts = [[1, 2, 3], [4, 4, 5]]
    sampler = Sampler(Sampling(repetition_penalty=3.0, max_new_tokens=4), prompts, [0, 0], 20, "cpu")
    ids = torch.tensor(prompts)
    for _ in range(4):
        expected = RepetitionPenaltyLogitsProcessor(3.0)(ids, logits.clone()).argmax(-1)
        chosen = sampler.choose(logits)
        assert chosen.tolist() == expected.tolist()
        ids = torch.cat([ids, chosen[:, None]], dim=1)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=30), min_size=1, max_size=5), st.integers(0, 40))
def test_the_shared_prefix_is_shared_and_leaves_each_row_a_token(rows: list[list[int]], common: int) -> None:
    rows = [[0] * common + row for row in rows]
    length = shared_prefix_length(rows)
    assert length == 0 or length >= 16
    assert len({tuple(row[:length]) for row in rows}) == 1
    assert all(len(row) > length for row in rows)
    if len(rows) > 1 and common >= 16:
        assert length >= common


def test_the_scripted_engine_is_a_text_engine() -> None:
    engine: TextEngine = ScriptedEngine(lambda prompt: "Paris\nQ: more", lambda prompt: {" A": 0.75})
    completion = engine.generate(["x"], Sampling(stop=("\nQ:",)))[0]
    assert (completion.text, completion.raw, completion.finish_reason) == ("Paris", "Paris\nQ:", "stop")
    label = engine.encode(" A")
    assert len(label) == 1
    assert engine.token_logprobs(["x"], label)[0, 0] == pytest.approx(math.log(0.75))
