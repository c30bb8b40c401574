"""Stages that resume, and artifacts whose changes are detected."""

import pytest

from ctai.errors import CtaiError
from ctai.records import HeldoutItem, StageManifest
from ctai.rundir import RunDir, Stage, read_jsonl, read_record, sha256_bytes, write_text
from tests.support.files import file_names, heldout_item

pytestmark = pytest.mark.unit


def stage(rundir: RunDir, **parameters: object) -> Stage:
    return Stage(rundir, "pilot", rundir.pilot_dir, {"n": 1, **parameters}, {"heldout": "abc"})


def finished(rundir: RunDir) -> Stage:
    """A finished stage with an artifact in its folder, one outside and a folder."""
    made = stage(rundir)
    made.begin()
    made.batches("responses").put(0, [heldout_item(0)])
    write_text(made.folder / "dataset.jsonl", "data")
    write_text(rundir.dataset, "merged")
    write_text(rundir.adapter_dir / "weights", "w")
    made.finish([made.folder / "dataset.jsonl", rundir.dataset, rundir.adapter_dir], "run", ["a note"])
    return made


@pytest.mark.parametrize(
    ("content", "said"), [('{"a": 1}\n{"a": \n', r"dataset\.jsonl line 2: "), ('{"a": 2}\n', r"pilot\); restore")]
)
def test_the_first_line_that_is_no_json_is_named(rundir: RunDir, content: str, said: str) -> None:
    made = stage(rundir)
    made.begin()
    write_text(made.folder / "dataset.jsonl", '{"a": 1}\n{"a": 2}\n')
    made.finish([made.folder / "dataset.jsonl"], "run")
    write_text(made.folder / "dataset.jsonl", content)
    with pytest.raises(CtaiError, match=said):
        made.complete()


def test_the_key_depends_on_everything(rundir: RunDir) -> None:
    one = stage(rundir)
    others = [
        stage(rundir, n=2),
        Stage(rundir, "other", one.folder, one.parameters, one.inputs),
        Stage(rundir, one.name, one.folder, one.parameters, {"heldout": "abd"}),
    ]
    assert len({one.key, *(other.key for other in others)}) == 4
    assert one.key == Stage(rundir, one.name, rundir.path("elsewhere"), {"n": 1}, {"heldout": "abc"}).key


def test_a_finished_stage_is_complete_for_its_key_only(rundir: RunDir) -> None:
    assert stage(rundir).complete() is None
    manifest = finished(rundir).complete()
    assert manifest == read_record(rundir.pilot_dir / "manifest.json", StageManifest)
    assert manifest.artifacts["data/stage1_sft_data.jsonl"] == sha256_bytes(b"merged")
    assert (manifest.run_id, manifest.notes, manifest.parameters) == ("run", ("a note",), {"n": 1})
    assert stage(rundir, n=2).complete() is None


@pytest.mark.parametrize("name", ["artifacts/pilot/dataset.jsonl", "checkpoints/stage1_sft/weights"])
@pytest.mark.parametrize("change", ["edited", "removed"])
def test_a_changed_artifact_is_refused_by_name(rundir: RunDir, name: str, change: str) -> None:
    made, path = finished(rundir), rundir.path(*name.split("/"))
    path.unlink()
    if change == "edited":
        path.write_text("other")
    with pytest.raises(
        CtaiError,
        match=r"(dataset\.jsonl|stage1_sft) (was changed after the stage|is missing) \(stage pilot\)",
    ):
        made.complete()


def test_an_interrupted_stage_resumes_after_the_last_batch(rundir: RunDir) -> None:
    first = stage(rundir)
    first.begin()
    first.batches("responses").put(0, [heldout_item(0), heldout_item(1)])
    first.batches("responses").put(1, [])
    (first.folder / "work" / "responses" / ".00002.jsonl.0a1b2c3d.tmp").write_text("cut sho")
    again = stage(rundir)
    assert again.complete() is None
    again.begin()
    batches = again.batches("responses")
    assert [batches.get(index, HeldoutItem) for index in range(3)] == [[heldout_item(0), heldout_item(1)], [], None]
    assert again.batches("pairs").get(0, HeldoutItem) is None
    assert not list(again.folder.rglob("*.tmp"))


def test_a_corrupt_batch_is_reported_and_not_taken_for_missing(rundir: RunDir) -> None:
    one = stage(rundir)
    one.begin()
    one.batches("responses").put(0, [heldout_item(0)])
    (one.folder / "work" / "responses" / "00000.jsonl").write_text("{")
    with pytest.raises(CtaiError, match=r"00000\.jsonl line 1"):
        one.batches("responses").get(0, HeldoutItem)


def test_another_key_moves_the_old_work_away_whole(rundir: RunDir) -> None:
    old = finished(rundir)
    new = stage(rundir, n=2)
    new.begin()
    kept = rundir.path("superseded", f"pilot-{old.key[:8]}")
    assert (kept / "work" / "dataset.jsonl").read_text() == "data"
    assert read_jsonl(kept / "work" / "work" / "responses" / "00000.jsonl", HeldoutItem) == [heldout_item(0)]
    assert (kept / "outside" / "data" / "stage1_sft_data.jsonl").read_text() == "merged"
    assert (kept / "outside" / "checkpoints" / "stage1_sft" / "weights").read_text() == "w"
    assert not rundir.dataset.exists()
    assert file_names(new.folder) == ["stage_key.txt"]
    assert (new.folder / "stage_key.txt").read_text().strip() == new.key


def test_work_that_is_superseded_twice_is_kept_twice(rundir: RunDir) -> None:
    for parameters in ({}, {"n": 2}, {}, {"n": 2}):
        one = stage(rundir, **parameters)
        one.begin()
        write_text(one.folder / "made", "x")
    moved = sorted(path.name for path in rundir.path("superseded").iterdir())
    first, second = stage(rundir).key[:8], stage(rundir, n=2).key[:8]
    assert moved == sorted([f"pilot-{first}", f"pilot-{first}-1", f"pilot-{second}"])


def test_files_of_unknown_origin_are_moved_away_too(rundir: RunDir) -> None:
    write_text(rundir.pilot_dir / "mine.txt", "x")
    stage(rundir).begin()
    assert rundir.path("superseded", "pilot-unknown", "work", "mine.txt").read_text() == "x"
