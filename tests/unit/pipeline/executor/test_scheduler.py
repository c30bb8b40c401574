"""Scheduling of shards: generated in parts, copied in from another run directory, refused when modified."""

import shutil
from pathlib import Path

import pytest

from ctai.config import GenerationSettings, QcThresholds, RunConfig
from ctai.errors import CtaiError, IncompleteError
from ctai.gates.scale import make_scale_dataset
from ctai.pipeline.executor.options import ExecutionOptions
from ctai.pipeline.run import Run
from ctai.provenance import code_digest
from ctai.records import Example, PilotAttempt, PilotHistory, SessionManifest, StageManifest
from ctai.rundir import RunDir, digest_of, read_jsonl, read_record, sha256_tree, write_json, write_jsonl
from ctai.tasks.heldout import build_heldout
from tests.support.generated import CONFIG, WorldModel

pytestmark = pytest.mark.unit
HELDOUT = build_heldout(1000, 0, embedded=True)


class Base(WorldModel):
    """A scripted base model that a run takes for its own."""

    weights_digest = "w"


def scale(
    root: Path,
    only: frozenset[int] = frozenset(),
    *,
    config: RunConfig = CONFIG,
    model: Base | None = None,
    retried: GenerationSettings | None = None,
) -> Base:
    """Run gate scale in a run directory with a passed pilot; returns the model, which counts its calls.

    With the settings of a retry the pilot has passed with those, at its second attempt.
    """
    run = Run(config, RunDir.open(root), ExecutionOptions(only=only))
    run.base = model or Base()  # type: ignore[assignment]
    attempts = [attempt(config.generation, passed=not retried), *([attempt(retried, passed=True)] if retried else [])]
    write_json(root / "evidence" / "pilot_history.json", PilotHistory(attempts=tuple(attempts)))
    write_jsonl(run.rundir.heldout, HELDOUT)
    try:
        make_scale_dataset(run)
    finally:
        run.close()
    return run.base  # type: ignore[return-value]


def attempt(generation: GenerationSettings, *, passed: bool) -> PilotAttempt:
    """An attempt of the pilot with these settings."""
    reasons = () if passed else ("token_limit_rate 0.2 >= 0.1",)
    return PilotAttempt(folder="artifacts/pilot", generation=generation.model_dump(), passed=passed, reasons=reasons)


def part(root: Path, number: int, **more) -> Path:
    """One of two shards, made in a run directory of its own; returns its folder."""
    with pytest.raises(IncompleteError):
        scale(root, frozenset({number}), **more)
    return RunDir(root).shard_dir(number)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shard 1, made in another run directory."""
    return part(tmp_path_factory.mktemp("b"), 1)


def copy_in(shard: Path, root: Path) -> Path:
    """Copy a shard to the same place of another run directory."""
    there = RunDir(root).shard_dir(int(shard.name[-3:]))
    shutil.copytree(shard, there)
    return there


def seed(number: int) -> RunConfig:
    return CONFIG.model_copy(update={"seed": number})


def notes(root: Path) -> str:
    return "\n".join(read_record(root / "logs" / "session_manifest.json", SessionManifest).notes)


# ------------------------------------------------------------------------------------------------------------- parts


def test_a_part_of_the_shards_is_not_the_gate(tmp_path):
    with pytest.raises(IncompleteError, match=r"shard\(s\) 0 are missing: .*copy them into .*artifacts/shards"):
        scale(tmp_path, frozenset({1}))
    assert (RunDir(tmp_path).shard_dir(1) / "manifest.json").exists()
    assert not RunDir(tmp_path).shard_dir(0).exists()
    assert not RunDir(tmp_path).dataset.exists()
    (phase,) = read_record(tmp_path / "logs" / "session_manifest.json", SessionManifest).phases
    assert (phase.outcome, phase.reasons) == ("incomplete", ("shard(s) 0 are missing",))
    assert phase.parameters["only"] == [1]


def test_a_shard_made_elsewhere_is_merged_as_if_made_here(tmp_path, elsewhere):
    made_here = part(tmp_path / "a", 0)
    copy_in(elsewhere, tmp_path / "a")
    assert scale(tmp_path / "a").calls == 0
    scale(tmp_path / "whole")
    whole = RunDir(tmp_path / "whole")
    assert sha256_tree(made_here.parent) == sha256_tree(whole.shard_dir(0).parent)
    assert RunDir(tmp_path / "a").dataset.read_bytes() == whole.dataset.read_bytes()


@pytest.mark.parametrize("name", ["dataset.jsonl", "rejections.jsonl", "generation.jsonl", "qc_summary.json"])
def test_a_copied_shard_with_a_changed_byte_is_refused(tmp_path, elsewhere, name):
    file = copy_in(elsewhere, tmp_path / "a") / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(CtaiError, match=rf"shard-001/{name} was changed after the stage"):
        scale(tmp_path / "a")
    assert not RunDir(tmp_path / "a").shard_dir(0).exists(), "the refusal comes before any work"


def test_a_copied_manifest_that_was_changed_is_refused(tmp_path, elsewhere):
    path = copy_in(elsewhere, tmp_path / "a") / "manifest.json"
    path.write_text(path.read_text().replace('"weights_digest": "w"', '"weights_digest": "v"'))
    with pytest.raises(CtaiError, match=r"manifest\.json was changed: its key does not match"):
        scale(tmp_path / "a")


def test_a_copied_shard_that_lacks_a_file_is_refused(tmp_path, elsewhere):
    folder = copy_in(elsewhere, tmp_path / "a")
    (folder / "rejections.jsonl").unlink()
    with pytest.raises(CtaiError, match=r"rejections\.jsonl is missing"):
        scale(tmp_path / "a")


def test_a_shard_of_another_seed_is_refused_with_the_reason(tmp_path):
    folder = copy_in(part(tmp_path / "b", 1, config=seed(1)), tmp_path / "a")
    before = sha256_tree(folder)
    with pytest.raises(
        CtaiError, match=r"shard-001 was generated elsewhere.*: seed is 1 there and 0 here\. Generate it there with"
    ):
        scale(tmp_path / "a")
    assert sha256_tree(folder) == before


def test_a_shard_of_other_code_is_refused_with_the_reason(tmp_path, elsewhere):
    folder = copy_in(elsewhere, tmp_path / "a")
    old = read_record(folder / "manifest.json", StageManifest)
    parameters = {**old.parameters, "code": "0" * 64}
    forged = {"parameters": parameters, "key": digest_of([old.stage, parameters, old.inputs]), "run_id": "another-run"}
    write_json(folder / "manifest.json", old.model_copy(update=forged))
    with pytest.raises(
        CtaiError, match=f"generated elsewhere.*: code is 000000000000... there and {code_digest()[:12]}"
    ):
        scale(tmp_path / "a")


def test_a_shard_by_another_model_is_not_merged_and_the_reason_is_said(tmp_path):
    folder = copy_in(part(tmp_path / "b", 1, model=Base(weights_digest="other")), tmp_path / "a")
    digest = sha256_tree(folder)
    scale(tmp_path / "a")
    assert "shard-001: inputs have changed, so it is generated again" in notes(tmp_path / "a")
    assert "weights_digest is other there and w here" in notes(tmp_path / "a")
    assert digest in [sha256_tree(path) for path in (tmp_path / "a" / "superseded").glob("scale-001-*/work")]
    made_by = {example.metadata.weights_digest for example in read_jsonl(RunDir(tmp_path / "a").dataset, Example)}
    assert made_by == {"w"}


def test_own_shards_of_older_settings_are_made_again(tmp_path):
    scale(tmp_path)
    scale(tmp_path, config=seed(1))
    assert "shard-000: inputs have changed, so it is generated again" in notes(tmp_path)
    assert "seed is 0 there and 1 here" in notes(tmp_path)
    scale(tmp_path, config=seed(2))  # those of the session before are its own as well
    assert "seed is 1 there and 2 here" in notes(tmp_path)


def test_a_shard_under_another_number_is_not_merged(tmp_path, elsewhere):
    shutil.copytree(elsewhere, RunDir(tmp_path / "a").shard_dir(0))
    scale(tmp_path / "a")
    assert "shard is 1 there and 0 here" in notes(tmp_path / "a")


# ------------------------------------------------------------------------------------------------------ quality control


class CutsOff(Base):
    """Breaks off half of its answers."""

    cut_off = 0.5


def test_a_shard_that_fails_its_own_quality_control_fails_the_gate_though_the_union_passes(tmp_path):
    config = CONFIG.model_copy(
        update={"qc": QcThresholds(truncated=0.52, pair_acceptance=0.2)}
    )  # union 0.44, shard 0.61
    part(tmp_path, 1, config=config, model=CutsOff())
    scale(tmp_path, config=config)
    phase = read_record(tmp_path / "logs" / "session_manifest.json", SessionManifest).phases[-1]
    assert phase.parameters["failed_shards"] == ["shard-001"]
    assert phase.reasons == ("failed_shards 1 != 0",)


def test_shards_are_made_with_what_the_retry_of_the_pilot_changed(tmp_path):
    sampling = CONFIG.generation.response_sampling.model_copy(update={"max_new_tokens": 45})
    scale(tmp_path, retried=CONFIG.generation.model_copy(update={"response_sampling": sampling}))
    assert {example.metadata.sampling for example in read_jsonl(RunDir(tmp_path).dataset, Example)} == {sampling}
