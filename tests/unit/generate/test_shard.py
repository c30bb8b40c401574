"""Shards: files, records and metadata; resumption and reuse; limits."""

import pytest

from ctai.errors import CtaiError
from ctai.generate.shard import maximum_rounds
from ctai.prompts import DELIMITER, CompletionStylePrompts
from ctai.records import Example, GenerationRound, QcSummary, Rejection
from ctai.rundir import read_jsonl, read_record, sha256_tree
from tests.support.generated import (
    CONFIG,
    HELDOUT,
    TARGET,
    CarelessModel,
    WorldModel,
    answer_to,
    make_pilot,
    no_heldout,
    read_rejections,
    with_generation,
)

pytestmark = pytest.mark.unit
FILES = ("dataset.jsonl", "rejections.jsonl", "generation.jsonl", "qc_summary.json", "manifest.json")


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
    make_pilot(tmp_path, model)
    for example in read_jsonl(tmp_path / "artifacts/pilot/dataset.jsonl", Example):
        assert example.prompt in model.engine.prompts
        assert example.prompt.endswith(CompletionStylePrompts.zero_shot(example.instruction))
        assert example.prompt.count(DELIMITER) == CONFIG.generation.few_shot_examples
        assert example.metadata.seed in model.engine.seeds


def test_every_list_and_every_rejected_response_is_recorded_as_it_was_sent(tmp_path):
    model = CarelessModel()
    make_pilot(tmp_path, model)
    rounds = read_jsonl(tmp_path / "artifacts/pilot/generation.jsonl", GenerationRound)
    lists = [record for number in rounds for record in number.lists]
    prompts = [prompt for prompt in model.engine.prompts if prompt.endswith(".") and "\n1. " in prompt]
    assert [record.prompt for record in lists] == prompts
    assert all(record.seed in model.engine.seeds for record in lists)
    assert all(record.raw == model.complete(record.prompt) and record.finish_reason == "stop" for record in lists)
    rejected = [
        record for record in read_rejections(tmp_path) if record.completion and record.phase in ("response", "pair")
    ]
    assert rejected
    for record in rejected:
        assert record.prompt in model.engine.prompts
        assert record.prompt.endswith(CompletionStylePrompts.zero_shot(record.instruction))
        assert record.seed in model.engine.seeds


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
    reasons = {(rejection.phase, rejection.reason) for rejection in rejected}
    assert {
        ("instruction", "judged bad"), ("pair", "judged bad"), ("response", "truncated"),
        ("decontaminate", "heldout key"), ("pair", "beyond the target"),
    } <= reasons  # fmt: skip


def test_rates_are_over_all_rounds(shard):
    summary = read_record(shard / "qc_summary.json", QcSummary)
    rounds = read_jsonl(shard / "generation.jsonl", GenerationRound)
    assert (
        summary.rates["truncated"].n
        == sum(len(generation.responses) for generation in rounds)
        == summary.counts["generated"]
    )
    assert summary.acceptance["pair"].n == sum(len(generation.responses) for generation in rounds)
    assert summary.acceptance["pair_judged"].n == sum(len(generation.pair_critiques) for generation in rounds)
    assert summary.acceptance["pair"].n > summary.acceptance["pair_judged"].n
    assert {metric.artifact for metric in summary.thresholds} == {"artifacts/pilot/qc_summary.json"}
    assert summary.counts["generated"] > summary.counts["kept"]
    assert summary.rates["raw_delimiter"].value == 1.0
    assert summary.rates["delimiter"].value == 0.0


# ------------------------------------------------------------------------------------------------- resuming, reusing


@pytest.mark.fault(27, plant="an interrupt within a round of a shard", check="resume by round")
def test_a_killed_shard_resumes_and_ends_in_the_same_bytes(tmp_path, shard):
    model = CarelessModel()
    model.interrupt_after = 50
    with pytest.raises(KeyboardInterrupt):
        make_pilot(tmp_path, model)
    folder = tmp_path / "artifacts" / "pilot"
    done = len(list((folder / "work" / "rounds").iterdir()))
    assert done >= 1
    assert not (folder / "manifest.json").exists()
    resumed, uninterrupted = CarelessModel(), CarelessModel()
    make_pilot(tmp_path, resumed)
    make_pilot(tmp_path / "whole", uninterrupted)
    assert 0 < resumed.calls < uninterrupted.calls
    assert sha256_tree(folder) == sha256_tree(shard)


def test_batches_that_had_to_be_split_are_on_record_with_their_round(tmp_path):
    class Short(WorldModel):
        """Short of memory once, at its first list."""

        def propose(self, rng):
            self.engine.batch_splits = 2
            return super().propose(rng)

    make_pilot(tmp_path, Short())
    rounds = read_jsonl(tmp_path / "artifacts" / "pilot" / "generation.jsonl", GenerationRound)
    assert [generation.batch_splits for generation in rounds] == [2] + [0] * (len(rounds) - 1)
    assert len(rounds) > 1


def test_a_changed_threshold_judges_a_shard_anew_and_generates_nothing(tmp_path):
    first = make_pilot(tmp_path)
    model = WorldModel()
    config = CONFIG.model_copy(update={"qc": CONFIG.qc.model_copy(update={"pair_acceptance": 1.0})})
    again = make_pilot(tmp_path, model, config=config)
    assert (again.reused, model.calls) == (True, 0)
    assert (first.summary.thresholds_passed, again.summary.thresholds_passed) == (True, False)
    assert again.summary.counts == first.summary.counts
    assert make_pilot(tmp_path, model).summary.thresholds == first.summary.thresholds


def test_a_finished_shard_is_reused_without_the_model(tmp_path):
    first = make_pilot(tmp_path)
    model = WorldModel()
    reused = make_pilot(tmp_path, model)
    assert (first.reused, reused.reused, model.calls) == (False, True, 0)
    assert reused.summary.model_dump_json() == first.summary.model_dump_json()  # nan is not equal to itself


@pytest.mark.parametrize(
    "change",
    [
        {"config": with_generation(few_shot_examples=1)},
        {"config": CONFIG.model_copy(update={"seed": 1})},
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
    make_pilot(tmp_path)
    assert not make_pilot(tmp_path, **change).reused
    assert list((tmp_path / "superseded").iterdir())


def test_an_edited_dataset_is_refused(tmp_path):
    make_pilot(tmp_path)
    dataset = tmp_path / "artifacts/pilot/dataset.jsonl"
    dataset.write_text(dataset.read_text(encoding="utf-8").replace("Paris", "Rome") + "\n", encoding="utf-8")
    with pytest.raises(CtaiError, match=r"dataset\.jsonl"):
        make_pilot(tmp_path)


# ------------------------------------------------------------------------------------------------ limits and controls


def test_a_model_that_says_nothing_ends_and_fails(tmp_path):
    class Mute(WorldModel):
        def propose(self, rng):
            return "\n\n"

    summary = make_pilot(tmp_path, Mute()).summary
    assert summary.counts["rounds"] == maximum_rounds(CONFIG, TARGET) == 12
    assert "kept_examples 0 < 50" in summary.failed_reasons
    assert {r.reason for r in read_rejections(tmp_path)} == {"no instruction in the list"}
