"""Shards: what is sent, kept, rejected and recorded; resuming; the ladder of the pilot's retries."""

import json
from pathlib import Path

import pytest

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.generate.dedup.decontamination import overlapping
from ctai.generate.responses import ResponseDraft, ResponseRequest, generate_responses
from ctai.generate.retry import retry_generation
from ctai.generate.shard import ShardResult, ShardSpec, make_shard, maximum_rounds
from ctai.prompts import DELIMITER, CompletionStylePrompts, Pair
from ctai.records import Example, GenerationRound, QcSummary, Rejection
from ctai.rundir import RunDir, read_jsonl, read_record, sha256_tree
from ctai.tasks.heldout import build_heldout
from ctai.tasks.registry import by_name
from ctai.tasks.seeds import seed_pairs
from tests.support.context import stage_context
from tests.support.generated import CONFIG, WorldModel, answer_to, critique, no_heldout
from tests.support.generated import example as any_example
from tests.support.scripted import END_OF_TEXT, ScriptedEngine

pytestmark = pytest.mark.unit

HELDOUT = build_heldout(1000, 0, embedded=True)
TARGET = 50
CAPITAL = by_name("capital")
HELD = next(item for item in HELDOUT if item.family == "capital")
OTHER_WORDS = next(text for n in (0, 1) if (text := CAPITAL.render(HELD.key, n)) != HELD.instruction)
POEM = "Write a very short poem about the first snow of the winter."
FILES = ("dataset.jsonl", "rejections.jsonl", "generation.jsonl", "qc_summary.json", "manifest.json")


def make(root: Path, model: WorldModel | None = None, config: RunConfig = CONFIG, **more) -> ShardResult:
    rundir = RunDir.open(root)
    context = stage_context(rundir, config, more.pop("progress", None), more.pop("run_id", "run"))
    arguments = {"stage": "pilot", "number": 0, "target": TARGET, "folder": rundir.pilot_dir, "heldout": HELDOUT}
    return make_shard(model or WorldModel(), context, ShardSpec(**{**arguments, **more}))


def with_generation(**update) -> RunConfig:
    return CONFIG.model_copy(update={"generation": CONFIG.generation.model_copy(update=update)})


def rejections(root: Path) -> list[Rejection]:
    return read_jsonl(root / "artifacts/pilot/rejections.jsonl", Rejection)


class Careless(WorldModel):
    """Leaves many answers unfinished."""

    cut_off = 0.1


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished shard."""
    root = tmp_path_factory.mktemp("shard")
    make(root, Careless())
    return root / "artifacts" / "pilot"


@pytest.fixture(scope="module")
def examples(shard: Path) -> list[Example]:
    return read_jsonl(shard / "dataset.jsonl", Example)


# ------------------------------------------------------------------------------------------------------- one shard


def test_a_shard_leaves_all_its_files_and_exactly_the_target(shard, examples):
    assert all((shard / name).is_file() for name in FILES)
    assert len(examples) == TARGET
    assert len({example.instruction for example in examples}) == TARGET
    items = [example.metadata.item for example in examples]
    assert items == sorted(items)


def test_kept_examples_are_right_new_and_not_held_out(examples):
    assert all(no_heldout(example.instruction) for example in examples)
    assert all(example.response == answer_to(example.instruction) for example in examples)
    assert all(example.instruction_critique.accepted and example.pair_critique.accepted for example in examples)
    assert not {example.instruction for example in examples} & {pair.instruction for pair in HELDOUT}


@pytest.mark.fault(
    25, plant="every prompt that reached the engine, against the records", check="prompt taken from the call"
)
def test_the_prompt_is_recorded_as_it_was_sent(tmp_path):
    model = WorldModel()
    make(tmp_path, model)
    for example in read_jsonl(tmp_path / "artifacts/pilot/dataset.jsonl", Example):
        assert example.prompt in model.engine.prompts
        assert example.prompt.endswith(CompletionStylePrompts.zero_shot(example.instruction))
        assert example.prompt.count(DELIMITER) == CONFIG.generation.few_shot_examples
        assert example.metadata.seed in model.engine.seeds


def test_every_list_and_every_rejected_response_is_recorded_as_it_was_sent(tmp_path):
    model = Careless()
    make(tmp_path, model)
    rounds = read_jsonl(tmp_path / "artifacts/pilot/generation.jsonl", GenerationRound)
    lists = [one for number in rounds for one in number.lists]
    asked = [prompt for prompt in model.engine.prompts if prompt.endswith(".") and "\n1. " in prompt]
    assert [one.prompt for one in lists] == asked
    assert all(one.seed in model.engine.seeds for one in lists)
    assert all(one.raw == model.complete(one.prompt) and one.finish_reason == "stop" for one in lists)
    unkept = [one for one in rejections(tmp_path) if one.completion and one.phase in ("response", "pair")]
    assert unkept
    for one in unkept:
        assert one.prompt in model.engine.prompts
        assert one.prompt.endswith(CompletionStylePrompts.zero_shot(one.instruction))
        assert one.seed in model.engine.seeds


def test_what_was_generated_is_recorded_raw(examples):
    assert all(example.completion.startswith(f" {example.response}\n###") for example in examples)


def test_metadata_says_where_an_example_comes_from(examples):
    metadata = examples[0].metadata
    assert (metadata.git_commit, metadata.run_id, metadata.stage, metadata.weights_digest) == ("c", "run", "pilot", "w")
    assert metadata.sentinel_tests_passed
    assert metadata.sampling == CONFIG.generation.response_sampling
    assert len({example.metadata.seed for example in examples}) == len(examples)


def test_no_loss_is_silent(shard, examples):
    summary = read_record(shard / "qc_summary.json", QcSummary)
    rejected = read_jsonl(shard / "rejections.jsonl", Rejection)
    nameless = sum(rejection.reason == "no instruction in the list" for rejection in rejected)
    assert len(examples) + len(rejected) - nameless == summary.counts["parsed_instructions"]
    found = {(rejection.phase, rejection.reason) for rejection in rejected}
    assert {
        ("instruction", "judged bad"), ("pair", "judged bad"), ("response", "truncated"),
        ("decontaminate", "heldout key"), ("pair", "beyond the target"),
    } <= found  # fmt: skip


def test_rates_are_over_all_rounds(shard):
    summary = read_record(shard / "qc_summary.json", QcSummary)
    rounds = read_jsonl(shard / "generation.jsonl", GenerationRound)
    assert summary.rates["truncated"].n == sum(len(one.responses) for one in rounds) == summary.counts["generated"]
    assert summary.acceptance["pair"].n == sum(len(one.responses) for one in rounds)
    assert summary.acceptance["pair_judged"].n == sum(len(one.pair_critiques) for one in rounds)
    assert summary.acceptance["pair"].n > summary.acceptance["pair_judged"].n
    assert {metric.artifact for metric in summary.thresholds} == {"artifacts/pilot/qc_summary.json"}
    assert summary.counts["generated"] > summary.counts["kept"]
    assert summary.rates["raw_delimiter"].value == 1.0
    assert summary.rates["delimiter"].value == 0.0


@pytest.mark.fault(11, plant="a model that proposes the same instruction again", check="online deduplication")
def test_repetitions_are_rejected_with_what_they_repeat(tmp_path):
    class Repetitive(WorldModel):
        def propose(self, rng):
            return " What is the opposite of hot?\n8. what is  the opposite of hot\n9. " + super().propose(rng).lstrip()

    make(tmp_path, Repetitive())
    repeated = [r for r in rejections(tmp_path) if r.phase == "dedup"]
    assert {r.reason for r in repeated} >= {"exact", "normalized"}
    assert all(r.repeats for r in repeated)


# --------------------------------------------------------------------------------------------------------- prompts


def test_list_prompts_rotate_their_examples(tmp_path):
    model = WorldModel()
    make(tmp_path, model)
    lists = [prompt for prompt in model.engine.prompts if prompt.endswith(".") and "\n1. " in prompt]
    assert len(set(lists)) == len(lists)
    assert any(prompt.startswith("Topic: ") for prompt in lists)


def test_few_shot_examples_are_seeds(examples):
    seeds = {CompletionStylePrompts.few_shot_prefix([Pair(*pair)]) for pair in seed_pairs()}
    blocks = {block + f"{DELIMITER}\n\n" for e in examples for block in e.prompt.split(f"{DELIMITER}\n\n")[:-1]}
    assert blocks <= seeds
    assert len(blocks) > 5


def test_another_shard_and_another_rotation_write_other_things(tmp_path):
    folders = [tmp_path / name for name in "abc"]
    make(folders[0])
    make(folders[1], number=1)
    make(folders[2], config=with_generation(example_rotation=1))
    texts = [(folder / "artifacts/pilot/dataset.jsonl").read_text(encoding="utf-8") for folder in folders]
    assert len(set(texts)) == 3


# ------------------------------------------------------------------------------------------------- resuming, reusing


@pytest.mark.fault(27, plant="an interrupt within a round of a shard", check="resume by round")
def test_a_killed_shard_resumes_and_ends_in_the_same_bytes(tmp_path, shard):
    model = Careless()
    model.interrupt_after = 50
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, model)
    folder = tmp_path / "artifacts" / "pilot"
    done = len(list((folder / "work" / "rounds").iterdir()))
    assert done >= 1
    assert not (folder / "manifest.json").exists()
    again, whole = Careless(), Careless()
    make(tmp_path, again)
    make(tmp_path / "whole", whole)
    assert 0 < again.calls < whole.calls
    assert sha256_tree(folder) == sha256_tree(shard)


def test_batches_that_had_to_be_split_are_on_record_with_their_round(tmp_path):
    class Short(WorldModel):
        """Short of memory once, at its first list."""

        def propose(self, rng):
            self.engine.batch_splits = 2
            return super().propose(rng)

    make(tmp_path, Short())
    rounds = read_jsonl(tmp_path / "artifacts" / "pilot" / "generation.jsonl", GenerationRound)
    assert [one.batch_splits for one in rounds] == [2] + [0] * (len(rounds) - 1)
    assert len(rounds) > 1


def test_a_finished_shard_is_reused_without_the_model(tmp_path):
    first = make(tmp_path)
    model = WorldModel()
    again = make(tmp_path, model)
    assert (first.reused, again.reused, model.calls) == (False, True, 0)
    assert again.summary == first.summary


@pytest.mark.parametrize(
    "change",
    [
        {"config": with_generation(few_shot_examples=1)},
        {"config": CONFIG.model_copy(update={"seed": 1})},
        {"config": CONFIG.model_copy(update={"qc": CONFIG.qc.model_copy(update={"runaway": 0.04})})},
        {"target": TARGET + 1},
        {"heldout": HELDOUT[:-1]},
        {"config": CONFIG.model_copy(update={"model": CONFIG.model.model_copy(update={"batch_size": 3})})},
        {"model": WorldModel(weights_digest="other")},
        {"model": WorldModel(tokenizer_digest="other")},
        {"model": WorldModel(quantization="nf4")},
        {"model": WorldModel(compute_dtype="bfloat16")},
        {"model": WorldModel(device="cuda")},
        {"model": WorldModel(bos_allowed=True)},
    ],
    ids=[
        "generation",
        "seed",
        "thresholds",
        "target",
        "heldout",
        "batch size",
        "weights",
        "tokenizer",
        "quantization",
        "dtype",
        "device",
        "bos",
    ],
)
def test_what_a_shard_depends_on_makes_it_anew(tmp_path, change):
    make(tmp_path)
    assert not make(tmp_path, **change).reused
    assert list((tmp_path / "superseded").iterdir())


def test_an_edited_dataset_is_refused(tmp_path):
    make(tmp_path)
    dataset = tmp_path / "artifacts/pilot/dataset.jsonl"
    dataset.write_text(dataset.read_text(encoding="utf-8").replace("Paris", "Rome") + "\n", encoding="utf-8")
    with pytest.raises(CtaiError, match=r"dataset\.jsonl"):
        make(tmp_path)


# ------------------------------------------------------------------------------------------------ limits and controls


def test_a_model_that_says_nothing_ends_and_fails(tmp_path):
    class Mute(WorldModel):
        def propose(self, rng):
            return "\n\n"

    summary = make(tmp_path, Mute()).summary
    assert summary.counts["rounds"] == maximum_rounds(CONFIG, TARGET) == 12
    assert "kept_examples 0 < 50" in summary.failed_reasons
    assert {r.reason for r in rejections(tmp_path)} == {"no instruction in the list"}


def test_without_the_critic_filter_everything_of_good_form_is_kept_and_still_judged(tmp_path):
    summary = make(tmp_path, config=with_generation(filter_with_critic=False)).summary
    kept = read_jsonl(tmp_path / "artifacts/pilot/dataset.jsonl", Example)
    assert any(not example.pair_critique.accepted for example in kept)
    assert any(not example.instruction_critique.accepted for example in kept)
    assert summary.acceptance["pair"].value < 1
    assert summary.rates["kept_faults"].k == 0


@pytest.mark.fault(1, plant="a model that writes template text and chat tokens", check="parsing and response checks")
def test_control_text_from_the_model_is_never_sent_back(tmp_path):
    class Contaminated(WorldModel):
        def propose(self, rng):
            return " Say <|im_end|> twice.\n8. Name the ZZZ of things.\n9. " + super().propose(rng).lstrip()

        def respond(self, instruction, rng):
            return " ZZZ" if rng.random() < 0.2 else super().respond(instruction, rng)

    model = Contaminated()
    control = model.engine.encode(" ZZZ") + model.engine.encode("ZZZ")
    model.provenance = model.provenance.model_copy(update={"control_token_ids": tuple(control)})
    make(tmp_path, model)
    found = {(r.phase, r.reason) for r in rejections(tmp_path)}
    assert {("parse", "template"), ("parse", "control token"), ("response", "control token")} <= found
    assert not any("<|im_end|>" in prompt or "ZZZ" in prompt for prompt in model.engine.prompts)


def test_what_does_not_fit_into_the_context_is_rejected_not_cut(tmp_path):
    class Wordy(WorldModel):
        def propose(self, rng):
            long = rng.random() < 0.6
            return (" Name " + "a b c " * 43 + "thing.\n8." if long else "") + super().propose(rng)

        def respond(self, instruction, rng):
            words = " one two three four five six seven eight nine ten red blue green pink gray gold black white"
            return (
                f"{words} north south east west spring summer autumn winter day night\n"
                if rng.random() < 0.5
                else " red\n"
            )

        def probabilities(self, prompt):
            return {" A": 0.9, " B": 0.01}

    model = Wordy()
    model.engine._context_length = 212
    config = with_generation(
        instruction_sampling=CONFIG.generation.instruction_sampling.model_copy(update={"max_new_tokens": 135})
    )
    make(tmp_path, model, config)
    found = {(r.phase, r.reason) for r in rejections(tmp_path)}
    assert {("instruction", "too long for the context"), ("pair", "too long for the context")} <= found


def test_fewer_examples_are_shown_where_the_context_is_short(tmp_path):
    model = WorldModel()
    model.engine._context_length = 260
    config = with_generation(
        few_shot_examples=12,
        instruction_sampling=CONFIG.generation.instruction_sampling.model_copy(update={"max_new_tokens": 150}),
    )
    make(tmp_path, model, config)
    shown = [e.prompt.count(DELIMITER) for e in read_jsonl(tmp_path / "artifacts/pilot/dataset.jsonl", Example)]
    assert 0 < max(shown) < 12


@pytest.mark.fault(
    9, plant="responses that run on within their line, where the cleaner does not cut", check="runaway_rate"
)
def test_runaway_generations_fail_the_summary(tmp_path):
    class Runaway(WorldModel):
        def respond(self, instruction, rng):
            return f" {answer_to(instruction)} Instruction: Name the capital of Spain."

    summary = make(tmp_path, Runaway()).summary
    assert any(reason.startswith("runaway_rate 1 >= 0.05") for reason in summary.failed_reasons)
    assert json.loads((tmp_path / "artifacts/pilot/qc_summary.json").read_text(encoding="utf-8"))["counts"]["kept"] == 0


def test_a_model_that_answers_mostly_blanks_fails(tmp_path):
    class Blank(WorldModel):
        def respond(self, instruction, rng):
            return f"\n{DELIMITER}" if rng.random() < 0.8 else super().respond(instruction, rng)

    summary = make(tmp_path, Blank()).summary
    assert summary.acceptance["pair_judged"].value > 0.5
    assert any(reason.startswith("pair_acceptance 0.") for reason in summary.failed_reasons)


# ------------------------------------------------------------------------------------------------ reading responses


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


# ------------------------------------------------------------------------------------------ overlap with the test set


@pytest.mark.parametrize(
    ("instruction", "count"),
    [
        (HELD.instruction, 1),
        (OTHER_WORDS, 1),  # the same key
        (f"  {POEM.upper()} ", 1),  # of no family, the same text
        (POEM.replace("winter", "winters"), 1),  # nearly the same text
        (POEM.replace("winter", "3 winter"), 0),  # another number
        ("Write a very short poem about the spring.", 0),
        (CAPITAL.render(next(key for key in CAPITAL.keys if key != HELD.key), 0), 0),
    ],
)
def test_overlap_is_counted_without_the_filter(instruction, count):
    poem = HELD.model_copy(update={"instruction": POEM})
    dataset = [any_example(0), any_example(1, instruction=instruction), any_example(2)]
    assert overlapping(dataset, [HELD, poem], 0.8) == count


# ---------------------------------------------------------------------------------------------------------- ladder


@pytest.mark.parametrize(
    ("reason", "retry", "changed"),
    [
        ("token_limit_rate 0.2 >= 0.1", 1, {"response_sampling"}),
        ("pair_acceptance 0.3 < 0.5", 1, {"few_shot_examples"}),
        ("runaway_rate 0.2 >= 0.05", 2, {"few_shot_examples", "response_sampling"}),
        ("instruction_acceptance 0.3 < 0.5", 1, {"list_examples"}),
        ("instruction_acceptance 0.3 < 0.5", 2, {"list_examples", "instruction_sampling"}),
        ("kept_examples 80 < 120", 1, {"example_rotation", "max_batches_per_item", "instruction_sampling"}),
    ],
)
def test_each_reason_changes_what_it_is_about(reason, retry, changed):
    config = retry_generation(CONFIG, [reason], retry)
    before, after = CONFIG.generation.model_dump(), config.generation.model_dump()
    assert {key for key in before if before[key] != after[key]} == changed


def test_the_ladder_goes_the_right_way():
    config = retry_generation(CONFIG, ["token_limit_rate 0.2 >= 0.1", "pair_acceptance 0.3 < 0.5"], 2)
    before, after = CONFIG.generation, config.generation
    assert after.response_sampling.max_new_tokens == 45
    assert after.few_shot_examples == before.few_shot_examples + 1
    assert after.response_sampling.temperature == 0.32


def test_low_acceptance_is_never_answered_with_heat():
    config = retry_generation(CONFIG, ["kept_examples 80 < 120", "pair_acceptance 0.3 < 0.5"], 1)
    assert config.generation.instruction_sampling == CONFIG.generation.instruction_sampling


@pytest.mark.parametrize("retry", [1, 2])
def test_the_ladder_touches_nothing_but_generation(retry):
    reasons = [
        "runaway_rate 1 >= 0.05",
        "kept_examples 0 < 1",
        "token_limit_rate 1 >= 0.1",
        "instruction_acceptance 0 < 0.5",
    ]
    changed = retry_generation(CONFIG, reasons, retry)
    assert changed.model_copy(update={"generation": CONFIG.generation}) == CONFIG
    assert RunConfig.model_validate(changed.model_dump()) == changed
