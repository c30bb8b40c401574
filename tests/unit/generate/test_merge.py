"""Merging shards: duplicates across them, the held-out set, counts of the union, and what must not be merged."""

from pathlib import Path

import pytest

from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.generate import merge as merging
from ctai.generate.dedup.deduplication import OnlineDeduplicator
from ctai.generate.merge import MergedDataset, merge_shards
from ctai.generate.shard import ShardSpec, make_shard
from ctai.records import Example, HeldoutItem, QcSummary, Rejection
from ctai.rundir import RunDir, Stage, digest_of, read_jsonl, write_json, write_jsonl
from ctai.tasks.heldout import build_heldout
from tests.support.context import stage_context
from tests.support.generated import CONFIG, WorldModel, critique, example, generated, provenance, round_of

pytestmark = pytest.mark.unit

HELDOUT = [HeldoutItem(item=0, family="capital", type="fact", key="Peru", instruction="Name the capital city of Peru.")]


def config(count: int = 5) -> RunConfig:
    return CONFIG.model_copy(update={"scale": CONFIG.scale.model_copy(update={"count": count})})


def plant(rundir: RunDir, number: int, instructions: list[str], *, responses=None, rejected=(), **parameters) -> Path:
    """A finished shard that holds these instructions."""
    folder = rundir.shard_dir(number)
    common = {"seed": 0, "shard": number, "generation": {}, "critic": {}, "code": "c", **parameters}
    identity = {**provenance().identity(), **common.pop("identity", {})}
    stage = Stage(rundir, "scale", folder, common, {**identity, "heldout": digest_of(HELDOUT)})
    stage.begin()
    kept = [example(i, instruction=text, shard=common["shard"]) for i, text in enumerate(instructions)]
    measured = responses or [generated(i) for i in range(10)]
    rounds = [round_of(measured, [critique()] * 10, [critique()] * 10, shard=number)]
    rejected = [Rejection(phase="pair", reason="judged bad", instruction="x", shard=number, item=99), *rejected]
    contents = {"dataset.jsonl": kept, "rejections.jsonl": rejected, "generation.jsonl": rounds}
    for name, records in contents.items():
        write_jsonl(folder / name, records)
    stage.finish([folder / name for name in contents], "run")
    return folder


@pytest.fixture
def rundir(tmp_path: Path) -> RunDir:
    return RunDir.open(tmp_path / "run")


def merge(rundir: RunDir, folders: list[Path], count: int = 5) -> MergedDataset:
    return merge_shards(stage_context(rundir, config(count)), folders, HELDOUT)


def two_shards(rundir: RunDir) -> list[Path]:
    """Five different instructions, one exact and one normalized repetition, and one that is held out in other words."""
    first = plant(
        rundir, 0, ["Name a blue thing.", "List two slow animals.", "What is the capital of Peru?", "Say 12."]
    )
    second = plant(rundir, 1, ["Name a blue thing.", "say 12", "Say 13.", "Write a short poem about rain."])
    return [first, second]


def instructions(rundir: RunDir) -> list[str]:
    return [example.instruction for example in read_jsonl(rundir.dataset, Example)]


@pytest.mark.fault(11, plant="shards that repeat each other", check="merging: deduplication")
def test_the_union_is_in_order_without_repetitions_and_held_out_items(rundir):
    merge(rundir, two_shards(rundir))
    assert instructions(rundir) == [
        "Name a blue thing.", "List two slow animals.", "Say 12.", "Say 13.", "Write a short poem about rain.",
    ]  # fmt: skip
    dropped = read_jsonl(rundir.path("data", "removed.jsonl"), Rejection)
    assert [(d.phase, d.reason, d.instruction, d.duplicate_of) for d in dropped] == [
        ("decontaminate", "heldout key", "What is the capital of Peru?", "Name the capital city of Peru."),
        ("dedup", "exact", "Name a blue thing.", "Name a blue thing."),
        ("dedup", "normalized", "say 12", "Say 12."),
    ]


def test_the_summary_is_over_everything_the_shards_generated(rundir):
    bad = [generated(i, faults=("runaway",) if i < 3 else ()) for i in range(10)]
    folders = [plant(rundir, 0, ["Say 1."], responses=bad), plant(rundir, 1, ["Say 2."])]
    summary = merge(rundir, folders, 2).summary
    assert (summary.rates["runaway"].k, summary.rates["runaway"].n) == (3, 20)
    assert summary.acceptance["pair"].n == 20
    assert summary.counts["rejected pair: judged bad"] == 2
    assert summary.failed_reasons == ("runaway_rate 0.15 >= 0.05",)
    assert {metric.artifact for metric in summary.thresholds} == {"data/qc_summary.json"}
    assert set(summary.inputs) >= {"stage1_sft_data.jsonl", "removed.jsonl"}


@pytest.mark.fault(16, plant="a test item that the filter of the merge lets through", check="heldout_overlap")
def test_an_overlap_that_the_filter_missed_is_counted(rundir, monkeypatch):
    class LetsAllThrough(OnlineDeduplicator):
        def add(self, instruction: str) -> None:
            return None

    monkeypatch.setattr(merging, "OnlineDeduplicator", LetsAllThrough)
    summary = merge(rundir, two_shards(rundir)).summary
    assert summary.rates["heldout_overlap"].k == 1
    assert any(reason.startswith("heldout_overlap 0.125 >") for reason in summary.failed_reasons)


def test_repetitions_are_reported_by_shard(rundir):
    summary = merge(rundir, two_shards(rundir)).summary
    assert summary.thresholds_passed
    assert {name: rate.k for name, rate in summary.rates.items() if name.startswith("removed_of")} == {
        "removed_of_union": 2, "removed_of_shard_000": 0, "removed_of_shard_001": 2,
    }  # fmt: skip


def test_repetitions_within_each_shard_are_reported(rundir):
    duplicates = [Rejection(phase="dedup", reason="exact", instruction="Say 2.", shard=1, item=i) for i in range(3)]
    folders = [plant(rundir, 0, ["Say 1."]), plant(rundir, 1, ["Say 2."], rejected=duplicates)]
    rates = merge(rundir, folders, 2).summary.rates
    repetitions = {name: (rate.k, rate.n) for name, rate in rates.items() if name.startswith("duplicates_in")}
    assert repetitions == {"duplicates_in_shard_000": (0, 180), "duplicates_in_shard_001": (3, 180)}
    assert (rates["generated_duplicates"].k, rates["generated_duplicates"].n) == (3, 360)


def test_shards_of_one_number_are_reported_apart(rundir):
    first, second = plant(rundir, 0, ["Say 1."]), plant(rundir, 1, ["Say 1.", "Say 2."], shard=0, seed=1)
    rates = merge(rundir, [first, second], 2).summary.rates
    assert (rates["removed_of_shard_000"].k, rates["removed_of_shard_000"].n) == (0, 1)
    assert (rates["removed_of_shard_001"].k, rates["removed_of_shard_001"].n) == (1, 2)


def test_too_few_unique_examples_fail(rundir):
    assert merge(rundir, two_shards(rundir), 6).summary.failed_reasons == ("unique_examples 5 < 6",)


def test_all_unique_examples_are_kept_beyond_the_count(rundir):
    merge(rundir, two_shards(rundir), 2)
    assert len(instructions(rundir)) == 5


def test_a_finished_union_is_reused_and_a_changed_shard_makes_it_anew(rundir):
    folders = two_shards(rundir)
    assert [merge(rundir, folders).reused for _ in range(2)] == [False, True]
    plant(rundir, 1, ["Say 13."], extra=1)
    remerged = merge(rundir, folders)
    assert not remerged.reused
    assert len(instructions(rundir)) == 4


def test_the_held_out_file_survives_a_new_union(rundir):
    folders = two_shards(rundir)
    write_jsonl(rundir.heldout, HELDOUT)
    merge(rundir, folders)
    merge(rundir, folders, 3)
    assert read_jsonl(rundir.heldout, HeldoutItem) == HELDOUT


def test_an_edited_shard_is_refused(rundir):
    folders = two_shards(rundir)
    write_jsonl(folders[1] / "dataset.jsonl", [example(0)])
    with pytest.raises(CtaiError, match=r"dataset\.jsonl was changed after shard shard-001 wrote it"):
        merge(rundir, folders)


def test_an_edited_union_is_refused(rundir):
    folders = two_shards(rundir)
    merge(rundir, folders)
    write_jsonl(rundir.dataset, [example(0)])
    with pytest.raises(CtaiError, match=r"stage1_sft_data\.jsonl"):
        merge(rundir, folders)


def test_an_unfinished_shard_is_refused(rundir):
    folders = two_shards(rundir)
    (folders[0] / "manifest.json").unlink()
    with pytest.raises(CtaiError, match="shard-000 is not finished"):
        merge(rundir, folders)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"identity": {"weights_digest": "other"}}, "models of different weights_digest"),
        ({"identity": {"quantization": "nf4", "device": "cuda"}}, "models of different device, quantization"),
        ({"batch_size": 3}, "different settings"),
        ({"generation": {"batch_size": 3}}, "different settings"),
        ({"code": "d"}, "different settings or code"),
        ({"shard": 0}, "same seed and number"),
    ],
)
def test_shards_that_do_not_belong_together_are_refused(rundir, parameters, message):
    folders = [plant(rundir, 0, ["Say 1."]), plant(rundir, 1, ["Say 2."], **parameters)]
    with pytest.raises(CtaiError, match=message):
        merge(rundir, folders)


def test_shards_against_another_held_out_set_are_refused(rundir):
    with pytest.raises(CtaiError, match="another held-out set"):
        merge_shards(stage_context(rundir, config()), two_shards(rundir), [])


def test_nothing_to_merge_is_refused(rundir):
    with pytest.raises(CtaiError, match="no shards"):
        merge(rundir, [])


def test_a_manifest_must_vouch_for_what_is_read(rundir):
    folder = plant(rundir, 0, ["Say 1."])
    manifest = Stage(rundir, "scale", folder, {"seed": 0, "shard": 0}, {"heldout": digest_of(HELDOUT)}).finish(
        [], "run"
    )
    write_json(folder / "manifest.json", manifest)
    with pytest.raises(CtaiError, match=r"does not list dataset\.jsonl"):
        merge(rundir, [folder])


def test_real_shards_merge(rundir):
    heldout = build_heldout(1000, 0, embedded=True)
    folders = [rundir.shard_dir(number) for number in range(2)]
    for number, folder in enumerate(folders):
        make_shard(WorldModel(), stage_context(rundir, CONFIG), ShardSpec("scale", number, 40, folder, heldout))
    merged = merge_shards(stage_context(rundir, CONFIG), folders, heldout)
    assert isinstance(merged.summary, QcSummary)
    assert merged.summary.rates["removed_of_union"].n == 80
    assert merged.summary.counts["kept"] == len(set(instructions(rundir))) >= CONFIG.scale.count
    assert merged.summary.thresholds_passed, merged.summary.failed_reasons
