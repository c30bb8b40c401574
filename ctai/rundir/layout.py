"""Layout and lock of a run directory.

Owns the paths below a run directory. Does not know the contents of the files or when a stage is complete
(`ctai.rundir.stage`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from ctai.errors import CtaiError
from ctai.rundir.files import disk_errors, remove_leftovers, temporary_name

PLANNED_ARTIFACTS = (
    "artifacts/pilot",
    "artifacts/shards",
    "data/stage1_sft_data.jsonl",
    "data/heldout.jsonl",
    "checkpoints/stage1_sft",
    "results/sft_eval",
    "evidence",
    "report",
)


@dataclass(frozen=True)
class RunDir:
    """Run directory with its layout; `root` is absolute."""

    root: Path

    @classmethod
    def open(cls, path: str | Path) -> "RunDir":
        """Create the directory if it is missing and check that it is writeable.

        Raises:
            CtaiError: The directory cannot be created or written.
        """
        root = Path(path).expanduser().absolute()
        probe = temporary_name(root / "writeable")
        with disk_errors(f"run directory {root} cannot be written (choose another with --run-dir)"):
            root.mkdir(parents=True, exist_ok=True)
            probe.touch(exist_ok=False)
            probe.unlink(missing_ok=True)  # the process with the lock may have removed it
        return cls(root)

    def path(self, *parts: str) -> Path:
        """Return a path below the root."""
        return self.root.joinpath(*parts)

    def relative(self, path: Path) -> str:
        """Return a path below the root as records store it: relative, with forward slashes."""
        return path.absolute().relative_to(self.root).as_posix()

    @contextmanager
    def lock(self, name: str = "run", wait: float = 0) -> Iterator[None]:
        """Hold the run directory, or a named part of it, for this process.

        The operating system releases the lock when the process ends, however it ends. The holder of the whole
        directory first removes temporary files that a crashed process has left behind.

        Args:
            name: Name of the lock; `run` is the whole directory.
            wait: Seconds to wait while another process holds the lock.

        Raises:
            CtaiError: Another process, or another part of this one, holds the lock, or it cannot be written.
        """
        lock = filelock.FileLock(self.logs / f"{name}.lock", timeout=wait)
        with disk_errors(f"cannot write {self.logs}"):
            self.logs.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except filelock.Timeout as error:
                raise CtaiError(
                    f"another process is at work in {self.root}; wait until it ends or choose another --run-dir"
                ) from error
        try:
            if name == "run":  # under any other lock, other processes may be writing
                remove_leftovers(self.root)
            yield
        finally:
            lock.release()

    def shard_dir(self, shard: int) -> Path:
        """Return the folder of one shard."""
        return self.path("artifacts", "shards", f"shard-{shard:03d}")

    @property
    def pilot_dir(self) -> Path:
        """Folder of the pilot: dataset, QC summary and manifest."""
        return self.path("artifacts", "pilot")

    @property
    def dataset(self) -> Path:
        """Merged training dataset."""
        return self.path("data", "stage1_sft_data.jsonl")

    @property
    def heldout(self) -> Path:
        """Frozen held-out test set."""
        return self.path("data", "heldout.jsonl")

    @property
    def adapter_dir(self) -> Path:
        """Folder of the trained adapter."""
        return self.path("checkpoints", "stage1_sft")

    @property
    def results_dir(self) -> Path:
        """Folder of the evaluation."""
        return self.path("results", "sft_eval")

    @property
    def logs(self) -> Path:
        """Folder of logs and session manifest: the only place for times and host names."""
        return self.path("logs")

    @property
    def evidence(self) -> Path:
        """Folder of verdicts and JUnit report."""
        return self.path("evidence")

    @property
    def report(self) -> Path:
        """Folder of the HTML report."""
        return self.path("report")
