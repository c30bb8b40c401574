"""A run directory: layout, lock, and stages that resume. Hands on the file functions of `ctai.rundir`.

Owns where things lie below a run directory and what "complete" means for a stage. It knows nothing of what
the files say: what a stage depends on is told to it as parameters and digests.
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
    """A run directory and its layout. `root` is absolute."""

    root: Path

    @classmethod
    def open(cls, path: str | Path) -> "RunDir":
        """Make the directory if need be and check that it can be written.

        Raises:
            CtaiError: it cannot be made or written.
        """
        root = Path(path).expanduser().absolute()
        probe = temporary_name(root / "writeable")
        with disk_errors(f"run directory {root} cannot be written (choose another with --run-dir)"):
            root.mkdir(parents=True, exist_ok=True)
            probe.touch(exist_ok=False)
            probe.unlink(missing_ok=True)  # whoever holds the lock may have cleaned up
        return cls(root)

    def path(self, *parts: str) -> Path:
        """A path below the root."""
        return self.root.joinpath(*parts)

    def relative(self, path: Path) -> str:
        """A path below the root as records name it: relative, with forward slashes."""
        return path.absolute().relative_to(self.root).as_posix()

    @contextmanager
    def lock(self, name: str = "run", wait: float = 0) -> Iterator[None]:
        """Hold the run directory, or what is named of it, for this process. The lock dies with the process, however
        that ends.

        Args:
            name: of the lock.
            wait: for so many seconds while another process holds it.

        What a crashed process had only half written is removed first by the one who holds the whole directory.

        Raises:
            CtaiError: another process, or another part of this one, holds it, or it cannot be written.
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
            if name == "run":  # whoever holds another lock is not alone
                remove_leftovers(self.root)
            yield
        finally:
            lock.release()

    def shard_dir(self, shard: int) -> Path:
        """The folder of one shard."""
        return self.path("artifacts", "shards", f"shard-{shard:03d}")

    @property
    def pilot_dir(self) -> Path:
        """The pilot's dataset, QC summary and manifest."""
        return self.path("artifacts", "pilot")

    @property
    def dataset(self) -> Path:
        """The merged training data."""
        return self.path("data", "stage1_sft_data.jsonl")

    @property
    def heldout(self) -> Path:
        """The frozen test set."""
        return self.path("data", "heldout.jsonl")

    @property
    def adapter_dir(self) -> Path:
        """The trained adapter."""
        return self.path("checkpoints", "stage1_sft")

    @property
    def results_dir(self) -> Path:
        """The evaluation."""
        return self.path("results", "sft_eval")

    @property
    def logs(self) -> Path:
        """Logs and the session manifest: the only place for times and host names."""
        return self.path("logs")

    @property
    def evidence(self) -> Path:
        """Verdicts and the JUnit report."""
        return self.path("evidence")

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.path("report")
