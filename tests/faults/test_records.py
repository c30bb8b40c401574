"""Faults in records and calls, injected without a run, in seconds."""

import json
from pathlib import Path
from typing import Any

import pytest

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.evaluate.heldout_size import heldout_problems
from ctai.evidence.preregistration import relaxed_thresholds
from ctai.generate.shard import ShardSpec, make_shard
from ctai.provenance import version_warnings
from ctai.qc.faults import find_faults
from ctai.records import Example, Rejection
from ctai.registry import GATES
from ctai.rundir import RunDir, read_jsonl
from tests.support.context import stage_context
from tests.support.generated import CONFIG, WorldModel, example

pytestmark = pytest.mark.unit


def read_back(folder: Path, **changes: Any) -> list[Example]:
    """Read a dataset whose only example was changed in its file; None removes a field."""
    record = json.loads(example(0).model_dump_json())
    for name, value in changes.items():
        holder = record["metadata"] if name in record["metadata"] else record
        if value is None:
            del holder[name]
        else:
            holder[name] = value
    path = folder / "dataset.jsonl"
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    return read_jsonl(path, Example)


def test_an_unchanged_record_reads_back(tmp_path: Path) -> None:
    assert read_back(tmp_path) == [example(0)]


@pytest.mark.fault(4, plant="a record that says sentinel_tests_passed: false", check="record schema")
def test_a_record_of_a_failed_sentinel_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CtaiError, match=r"line 1: metadata\.sentinel_tests_passed: Input should be True"):
        read_back(tmp_path, sentinel_tests_passed=False)


@pytest.mark.fault(4, plant="a shard made by a model whose sentinels failed", check="record schema")
def test_no_example_of_a_model_whose_sentinels_failed_can_be_written(tmp_path: Path) -> None:
    sound = WorldModel().provenance.sentinels
    assert sound is not None
    failed = WorldModel(sentinels=sound.model_copy(update={"instruct_weights": True}))
    with pytest.raises(ValueError, match="sentinel_tests_passed"):
        shard(tmp_path, failed)
    assert not (tmp_path / "artifacts" / "pilot" / "dataset.jsonl").exists()


@pytest.mark.fault(1, plant="a record that says template_disabled: false", check="record schema")
def test_a_record_made_with_a_template_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CtaiError, match=r"line 1: metadata\.template_disabled: Input should be True"):
        read_back(tmp_path, template_disabled=False)


@pytest.mark.fault(25, plant="records without critique, prompt or seed", check="record schema")
@pytest.mark.parametrize("field", ["instruction_critique", "pair_critique", "prompt", "completion", "seed"])
def test_a_record_that_cannot_be_audited_is_refused(tmp_path: Path, field: str) -> None:
    with pytest.raises(CtaiError, match=rf"dataset\.jsonl line 1: .*{field}: Field required"):
        read_back(tmp_path, **{field: None})


@pytest.mark.fault(
    12, plant="answers such as `Here is the program:`, and a critic that likes all", check="truncated_rate"
)
def test_cut_off_answers_never_reach_the_critic(tmp_path: Path) -> None:
    class CutOff(WorldModel):
        def respond(self, instruction: str, rng: Any) -> str:
            return " Here is the program:\n###END###"

        def probabilities(self, prompt: str) -> dict[str, float]:
            return {" A": 0.9, " B": 0.01}

    summary = shard(tmp_path, CutOff())
    rejected = read_jsonl(tmp_path / "artifacts" / "pilot" / "rejections.jsonl", Rejection)
    assert {r.reason for r in rejected if r.phase == "response"} == {"truncated"}
    assert (summary.counts["kept"], summary.counts["judged_pairs"]) == (0, 0)
    assert "truncated_rate 1 >= 0.02" in summary.failed_reasons


@pytest.mark.fault(10, plant="what is left of the delimiter when it is cut anywhere", check="detector: delimiter")
@pytest.mark.parametrize("piece", ["###", "##", "###E", "###EN", "###END", "###END##", "END###", "###END###", "### "])
def test_every_piece_of_the_delimiter_is_found(piece: str) -> None:
    assert "delimiter" in find_faults(f"Paris\n{piece}")
    assert "delimiter" in find_faults(f"Paris {piece}")


@pytest.mark.fault(16, plant="a configuration that asks for fewer effective test items", check="relaxed thresholds")
def test_a_lowered_size_of_the_test_set_is_named_in_every_verdict() -> None:
    config = RunConfig.load("pod", ["heldout.count=200", "heldout.minimum=100"])
    for gate in GATES[1:]:
        assert "heldout.minimum = 100 (default 300)" in relaxed_thresholds(config, gate)
    assert any(problem.startswith("heldout_non_inferiority_power is") for problem in heldout_problems(config))


@pytest.mark.fault(24, plant="loader versions of an unknown commit and of a changed tree", check="note in the verdict")
def test_code_that_cannot_be_checked_out_is_doubted() -> None:
    assert "commit is unknown" in version_warnings("0.1.0+code.0123456789ab")[0]
    assert "changed after its commit" in version_warnings("0.1.0+0123456789ab.dirty")[0]
    assert version_warnings("0.1.0+0123456789ab") == ()


def shard(root: Path, model: WorldModel) -> Any:
    """Make a pilot shard with a scripted model and return its summary."""
    rundir = RunDir.open(root)
    spec = ShardSpec("pilot", 0, 20, rundir.pilot_dir, [])
    return make_shard(model, stage_context(rundir, CONFIG), spec).summary
