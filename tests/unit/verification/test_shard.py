"""Recomputation of a shard without the model: its purity follows from the records."""

import pytest

from ctai.records import Example, QcSummary
from ctai.rundir import read_jsonl, read_record, write_json, write_jsonl
from ctai.verification.shard import ShardPlan, recompute_shard
from tests.support.generated import CONFIG, HELDOUT, TARGET, make_pilot, with_generation

pytestmark = pytest.mark.unit
NAME = "artifacts/pilot"


def found(root, config=CONFIG) -> tuple[str, ...]:
    plan = ShardPlan("pilot", 0, TARGET, config, "w", has_control_tokens=False)
    return recompute_shard(root / NAME, NAME, f"{NAME}/qc_summary.json", plan, HELDOUT).differences


@pytest.mark.parametrize("config", [CONFIG, with_generation(filter_with_critic=False)], ids=["critic", "no critic"])
def test_the_purity_of_a_sound_shard_is_computed_again(tmp_path, config):
    make_pilot(tmp_path, config=config)
    assert found(tmp_path, config) == ()


def test_a_purity_that_does_not_follow_from_the_records_is_found(tmp_path):
    make_pilot(tmp_path, config=with_generation(filter_with_critic=False))
    path = tmp_path / NAME / "qc_summary.json"
    summary = read_record(path, QcSummary)
    kept = summary.purity.pairs.phases["kept"]
    phases = {**summary.purity.pairs.phases, "kept": kept.model_copy(update={"k": kept.n, "value": 1.0})}
    pairs = summary.purity.pairs.model_copy(update={"phases": phases})
    write_json(path, summary.model_copy(update={"purity": summary.purity.model_copy(update={"pairs": pairs})}))
    (problem,) = found(tmp_path, with_generation(filter_with_critic=False))  # the first difference of the purity
    assert "qc_summary.json.purity.pairs.phases.kept.k" in problem


def test_an_answer_put_right_in_the_dataset_changes_the_purity(tmp_path):
    config = with_generation(filter_with_critic=False)
    make_pilot(tmp_path, config=config)
    path = tmp_path / NAME / "dataset.jsonl"
    examples = read_jsonl(path, Example)
    wrong = next(i for i, example in enumerate(examples) if example.response == "nothing at all")
    examples[wrong] = examples[wrong].model_copy(update={"response": "I do not know"})
    write_jsonl(path, examples)
    assert any("response that is not what is left" in problem for problem in found(tmp_path, config))
