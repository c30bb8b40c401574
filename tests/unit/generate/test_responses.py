"""Response prompts and the parsing of responses."""

import pytest

from ctai.generate.responses import ResponseDraft, ResponseRequest, generate_responses
from ctai.prompts import DELIMITER, CompletionStylePrompts, Pair
from ctai.records import Example
from ctai.rundir import read_jsonl
from ctai.tasks.seeds import seed_pairs
from tests.support.generated import CONFIG, WorldModel, critique, make_pilot, with_generation
from tests.support.scripted import END_OF_TEXT, ScriptedEngine

pytestmark = pytest.mark.unit


def test_few_shot_examples_are_seeds(examples):
    seeds = {CompletionStylePrompts.few_shot_prefix([Pair(*pair)]) for pair in seed_pairs()}
    blocks = {block + f"{DELIMITER}\n\n" for e in examples for block in e.prompt.split(f"{DELIMITER}\n\n")[:-1]}
    assert blocks <= seeds
    assert len(blocks) > 5


def test_fewer_examples_are_shown_where_the_context_is_short(tmp_path):
    model = WorldModel()
    model.engine._context_length = 260
    config = with_generation(
        few_shot_examples=12,
        instruction_sampling=CONFIG.generation.instruction_sampling.model_copy(update={"max_new_tokens": 150}),
    )
    make_pilot(tmp_path, model, config)
    shown = [e.prompt.count(DELIMITER) for e in read_jsonl(tmp_path / "artifacts/pilot/dataset.jsonl", Example)]
    assert 0 < max(shown) < 12


def measured(written: str, control: frozenset[int] = frozenset()) -> ResponseDraft:
    engine = ScriptedEngine(lambda prompt: written)
    item = ResponseRequest(0, "Name a color.", critique())
    return generate_responses(engine, CONFIG.generation, lambda *_: 1, [item], control).responses[0]


@pytest.mark.parametrize(
    ("written", "text", "found", "cut"),
    [
        (" a.\n\nb.\n###END###", "a.\n\nb.", True, False),
        (" a.\n\nb.", "a.", False, True),
        (" a.\n\nb.\nInstruction: c", "a.", False, True),
        (" a.\n###END###", "a.", True, False),
        (" a.", "a.", False, False),
    ],
)
def test_a_response_is_cut_at_the_delimiter_else_at_its_first_paragraph(written, text, found, cut):
    response = measured(written)
    assert (response.text, response.record.delimiter_found, response.record.heuristic_cut) == (text, found, cut)


def test_a_response_that_ends_a_turn_has_a_fault():
    control = frozenset({END_OF_TEXT})
    assert measured(" red").record.faults == ()
    assert measured(" red", control).record.faults == ("template",)
    assert measured(" red", control).record.raw_faults == ("template",)
    assert measured(" red\n###END###", control).record.faults == ()
