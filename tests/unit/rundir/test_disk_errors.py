"""Disk errors in mid-run (full, read-only, permission revoked): one sentence, no torn file, equal bytes after resuming."""

import multiprocessing
import signal
from pathlib import Path

import pytest

from ctai.errors import CtaiError
from ctai.records import HeldoutItem
from ctai.rundir import RunDir, Stage, sha256_file, write_text
from tests.crash.crash import MOMENTS, Point, install, read_trace
from tests.support.disks import After, largest_file, mounted, plain_user, remount
from tests.support.generated import make_pilot

pytestmark = pytest.mark.unit


def files_of(root: Path) -> dict[str, str]:
    """SHA-256 by name, without the temporary files of a crash, which the next run removes."""
    paths = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): sha256_file(path) for path in paths if path.suffix != ".tmp"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of an undisturbed shard."""
    root = tmp_path_factory.mktemp("whole")
    make_pilot(root)
    return files_of(root)


def assert_resumes_to(root: Path, whole: dict[str, str]) -> None:
    """Assert that existing files are complete, some are missing, and resuming gives the bytes of the undisturbed run."""
    before = files_of(root)
    assert before.items() < whole.items()
    assert not list(root.rglob("*.tmp"))
    make_pilot(root)
    assert files_of(root) == whole


@pytest.mark.parametrize("kib", [8, 60, 120, 180, 220])
def test_a_full_disk(tmp_path, whole, kib):
    with mounted(tmp_path / "disk", f"size={kib}k") as disk:
        with pytest.raises(CtaiError, match=r"^cannot write \S+: No space left on device$"):
            make_pilot(disk)
        with pytest.raises(CtaiError, match=r"No space left on device$"):
            make_pilot(disk)
        remount(disk, "size=64m")
        assert_resumes_to(disk, whole)


@pytest.mark.parametrize("size", [1 << 6, 1 << 10, 1 << 15])
def test_a_quota(tmp_path, whole, size):
    with largest_file(size), pytest.raises(CtaiError, match=r"^cannot write \S+: File too large$"):
        make_pilot(tmp_path)
    assert_resumes_to(tmp_path, whole)


def test_a_disk_that_becomes_read_only(tmp_path, whole):
    with mounted(tmp_path / "disk", "size=64m") as disk:
        with pytest.raises(CtaiError, match=r"^cannot write \S+: Read-only file system$"):
            make_pilot(disk, progress=After(lambda: remount(disk, "ro")))
        with pytest.raises(CtaiError, match=r"cannot be written .*: Read-only file system$"):
            RunDir.open(disk)
        remount(disk, "rw")
        assert_resumes_to(disk, whole)


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_permission_that_is_revoked(whole, mode):
    with plain_user() as root:
        rounds = root / "artifacts" / "pilot" / "work" / "rounds"
        with pytest.raises(CtaiError, match=r"^cannot (read|write) \S+: Permission denied$"):
            make_pilot(root, progress=After(lambda: rounds.chmod(mode)))
        with pytest.raises(CtaiError, match=r"^cannot \w+ \S+: Permission denied$"):
            make_pilot(root)
        rounds.chmod(0o700)
        assert_resumes_to(root, whole)


def test_a_manifest_that_may_not_be_read(whole):
    with plain_user() as root:
        make_pilot(root)
        folder = root / "artifacts" / "pilot"
        folder.chmod(0o000)
        with pytest.raises(CtaiError, match=r"^cannot read \S+: Permission denied$"):
            make_pilot(root)
        folder.chmod(0o700)
        assert make_pilot(root).reused


def test_a_lock_that_may_not_be_written():
    with plain_user() as root:
        rundir = RunDir.open(root)
        rundir.logs.mkdir(mode=0o500)
        with pytest.raises(CtaiError, match=r"^cannot write \S+/logs: Permission denied$"), rundir.lock():
            pytest.fail("locked without a lock file")


# ------------------------------------------------------------------------------------------------ death and power loss


def small_stage(root: Path) -> None:
    """Write in every way of a run: lock, key, batches in a new folder, artifacts inside and outside, manifest, verdict."""
    rundir = RunDir.open(root)
    with rundir.lock():
        stage = Stage(rundir, "pilot", rundir.pilot_dir, {"n": 1}, {})
        if stage.complete() is None:
            stage.begin()
            for index in range(2):
                if stage.batches("rounds").get(index, HeldoutItem) is None:
                    item = HeldoutItem(item=index, family="f", type="t", key="k", instruction="Say hello.")
                    stage.batches("rounds").put(index, [item])
            write_text(stage.folder / "dataset.jsonl", "{}\n" * 100)
            write_text(rundir.dataset, "{}\n" * 100)
            stage.finish([stage.folder / "dataset.jsonl", rundir.dataset], "run")
        write_text(rundir.evidence / "verdict.json", "{}")


def _killed_at(target: Point | None, root: Path, trace: Path) -> int | None:
    """Exit status of a process that runs the small stage and is killed at a point."""

    def in_the_child() -> None:
        install(root, trace, target)
        small_stage(root)

    child = multiprocessing.get_context("fork").Process(target=in_the_child)
    child.start()
    child.join()
    return child.exitcode


def test_death_and_power_loss_at_any_moment_of_any_write(tmp_path):
    assert _killed_at(None, tmp_path / "whole", tmp_path / "trace") == 0
    trace, whole = read_trace(tmp_path / "trace"), files_of(tmp_path / "whole")
    names = list(dict.fromkeys(point.name for point in trace))
    assert len(names) == 7
    for number, target in enumerate(Point(moment, name) for name in names for moment in MOMENTS):
        root, log = tmp_path / str(number), tmp_path / f"{number}.trace"
        assert _killed_at(target, root, log) == -signal.SIGKILL, target
        assert files_of(root).items() <= whole.items(), target
        small_stage(root)
        assert files_of(root) == whole, target
        assert not list(root.rglob("*.tmp")), target


def test_what_was_finished_before_a_death_is_not_made_again(tmp_path):
    _killed_at(None, tmp_path / "whole", tmp_path / "whole.trace")
    _killed_at(Point("durable", "artifacts/pilot/work/rounds/00000.jsonl"), tmp_path / "run", tmp_path / "first.trace")
    assert _killed_at(None, tmp_path / "run", tmp_path / "second.trace") == 0
    written = {point.name for point in read_trace(tmp_path / "second.trace")}
    assert "artifacts/pilot/work/rounds/00000.jsonl" not in written
    assert "artifacts/pilot/work/rounds/00001.jsonl" in written


def test_a_folder_that_was_only_half_filled_goes_too(tmp_path):
    rundir = RunDir.open(tmp_path / "run")
    half = rundir.root / "artifacts" / ".shard-000.0a1b2c3d.tmp"
    write_text(half / "work" / "file", "half")
    with rundir.lock():
        assert not half.exists()
