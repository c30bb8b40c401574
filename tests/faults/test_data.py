"""Faults in the data, injected into a run by its settings or in the files of its shards."""

import json
from pathlib import Path

import pytest

from ctai.records import Example, GenerationRound, HeldoutItem, QcSummary, Rejection, StageManifest
from ctai.rundir import digest_of, read_jsonl, read_record, sha256_file, write_json, write_jsonl, write_text
from tests.faults.runs import RunCopy, blocked, stopped

pytestmark = pytest.mark.faults

# One pilot of few rounds, without the retries that would try to mend it.
QUICK = ("--set", "pilot.count=100", "--set", "pilot.retries=0", "--set", "generation.max_batches_per_item=1")


def pilot_summary(copy: RunCopy) -> QcSummary:
    return read_record(copy.rundir.pilot_dir / "qc_summary.json", QcSummary)


@pytest.mark.fault(
    9, plant="no stop strings: the model runs on, and cleaning hides all of it", check="gate pilot: token_limit_rate"
)
def test_runaways_that_cleaning_hides_are_counted_all_the_same(copy: RunCopy, says) -> None:
    done = copy.gates(*QUICK, "--set", "generation.response_sampling.stop=[]")
    says(stopped(copy, done, "pilot", "token_limit_rate"))
    rates = pilot_summary(copy).rates
    assert rates["raw_runaway"].value > 0.9
    assert rates["runaway"].value < 0.05


@pytest.mark.fault(10, plant="a stop string that leaves ### behind", check="gate pilot: delimiter_rate")
def test_a_piece_of_the_delimiter_is_found(copy: RunCopy, says) -> None:
    done = copy.gates(*QUICK, "--set", 'generation.response_sampling.stop=["END"]')
    says(stopped(copy, done, "pilot", "delimiter_rate"))
    rejected = read_jsonl(copy.rundir.pilot_dir / "rejections.jsonl", Rejection)
    assert {r.reason for r in rejected if r.response.endswith("###")} == {"delimiter"}
    assert read_jsonl(copy.rundir.pilot_dir / "dataset.jsonl", Example) == []


@pytest.mark.fault(
    11, plant="a temperature so low that lists repeat themselves", check="online deduplication, kept_examples"
)
def test_repetitions_do_not_count_as_examples(copy: RunCopy, says) -> None:
    done = copy.gates(*QUICK, "--set", "generation.instruction_sampling.temperature=0.05")
    says(stopped(copy, done, "pilot", "kept_examples"))
    summary = pilot_summary(copy)
    repeated = [r for r in read_jsonl(copy.rundir.pilot_dir / "rejections.jsonl", Rejection) if r.phase == "dedup"]
    assert len(repeated) > summary.counts["kept"]
    assert all(rejection.duplicate_of for rejection in repeated)
    assert summary.rates["duplicate"].value == 0


@pytest.mark.fault(12, plant="a budget of two tokens", check="gate pilot: truncated_rate, token_limit_rate")
def test_answers_that_are_cut_off_stop_the_run(copy: RunCopy, says) -> None:
    done = copy.gates(*QUICK, "--set", "generation.response_sampling.max_new_tokens=2")
    says(stopped(copy, done, "pilot", "token_limit_rate", "truncated_rate"))
    assert read_jsonl(copy.rundir.pilot_dir / "dataset.jsonl", Example) == []


@pytest.mark.fault(13, plant="a margin that few good judgements reach", check="gate pilot: pair_acceptance")
def test_good_without_confidence_is_neither_kept_nor_counted(copy: RunCopy, says) -> None:
    done = copy.gates(*QUICK, "--set", "critic.confident_margin=6.5")
    says(stopped(copy, done, "pilot", "pair_acceptance"))
    rounds = read_jsonl(copy.rundir.pilot_dir / "generation.jsonl", GenerationRound)
    judged = [critique for one in rounds for critique in one.pair_critiques]
    accepted = sum(critique.is_good and critique.confident for critique in judged)
    summary = pilot_summary(copy)
    assert sum(critique.is_good for critique in judged) > 2 * accepted > 0
    assert summary.acceptance["pair"].k == summary.counts["kept"] == accepted


@pytest.mark.fault(15, plant="a merged dataset that quality control fails", check="gate scale: blocks training")
def test_a_dataset_that_failed_is_not_trained_on(copy: RunCopy, says) -> None:
    done = copy.gates("--set", "scale.count=1600", "--set", "scale.oversample=1")
    says(stopped(copy, done, "scale", "unique_examples"))
    assert not read_record(copy.rundir.path("data", "qc_summary.json"), QcSummary).thresholds_passed
    assert not copy.rundir.adapter_dir.exists()


# -------------------------------------------------------------------------------------------------------- test set


@pytest.mark.fault(16, plant="a test set of 200 items", check="preflight: test set")
def test_a_test_set_that_is_too_small_is_refused_at_once(copy: RunCopy, says) -> None:
    done = copy.gates("--set", "heldout.count=200")
    assert done.code not in (0, 1), done.output
    (sentence,) = (line for line in done.output.splitlines() if "test set: heldout_effective_items is 1" in line)
    says(sentence)


@pytest.mark.fault(
    16, plant="a test item written into a shard, its manifest forged to agree", check="merging: decontamination"
)
def test_a_test_item_in_a_shard_does_not_reach_the_dataset(copy: RunCopy, says) -> None:
    item = read_jsonl(copy.rundir.heldout, HeldoutItem)[7]
    dataset = copy.rundir.shard_dir(1) / "dataset.jsonl"
    first, *others = read_jsonl(dataset, Example)
    write_jsonl(dataset, [first.model_copy(update={"instruction": item.instruction}), *others])
    vouch_for_shard(copy)
    done = copy.gates("-k", "scale")
    assert done.code == 0, done.output
    assert item.instruction not in {one.instruction for one in read_jsonl(copy.rundir.dataset, Example)}
    dropped = read_jsonl(copy.rundir.path("data", "removed.jsonl"), Rejection)
    (found,) = (one for one in dropped if one.instruction == item.instruction)
    assert found.phase == "decontaminate"
    assert found.duplicate_of == item.instruction
    says(f"dropped, {found.phase}: {found.reason}")


# --------------------------------------------------------------------------------------------------------- records


@pytest.mark.fault(25, plant="an example without its critique in a shard, its manifest forged", check="record schema")
def test_an_example_without_its_critique_stops_the_run(copy: RunCopy, says) -> None:
    dataset = copy.rundir.shard_dir(1) / "dataset.jsonl"
    lines = dataset.read_text(encoding="utf-8").splitlines()
    bare = json.loads(lines[2])
    del bare["instruction_critique"]
    dataset.write_text("\n".join([*lines[:2], json.dumps(bare), *lines[3:]]) + "\n", encoding="utf-8")
    vouch_for_shard(copy)
    done = copy.gates()
    assert done.code == 1
    (sentence,) = set(done.failed.values())
    assert sentence.endswith(f"{dataset} line 3: instruction_critique: Field required")
    blocked(copy, done, "scale", "blocked by gate scale: ")
    says("dataset.jsonl line 3: instruction_critique: Field required")


def vouch_for_shard(copy: RunCopy) -> None:
    """Forge the manifest of shard 1 to match its dataset, and take that as the state of the copy."""
    folder = copy.rundir.shard_dir(1)
    manifest = read_record(folder / "manifest.json", StageManifest)
    name = copy.rundir.relative(folder / "dataset.jsonl")
    artifacts = {**manifest.artifacts, name: sha256_file(folder / "dataset.jsonl")}
    write_json(folder / "manifest.json", manifest.model_copy(update={"artifacts": artifacts}))
    _vouch_for_summary(folder)
    copy.settle()


def _vouch_for_summary(folder: Path) -> None:
    path = folder / "qc" / "manifest.json"
    manifest = read_record(path, StageManifest)
    inputs = {**manifest.inputs, "dataset.jsonl": sha256_file(folder / "dataset.jsonl")}
    key = digest_of([manifest.stage, manifest.parameters, inputs])
    write_json(path, manifest.model_copy(update={"inputs": inputs, "key": key}))
    write_text(path.with_name("stage_key.txt"), f"{key}\n")
