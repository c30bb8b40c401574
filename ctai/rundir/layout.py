"""Layout and lock of a run directory.

Owns the paths below a run directory. Does not know the contents of the files or when a stage is complete
(`ctai.rundir.stage`).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from ctai.errors import CtaiError
from ctai.records import SCHEMA_VERSION
from ctai.registry import GateSpec
from ctai.rundir.files import disk_errors, remove_leftovers, temporary_name

SUCCESS_MARKER = "TRAINING_SUCCESS"
"""File in the folder of an adapter that is written last."""

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
            CtaiError: the directory cannot be created or written.
        """
        root = Path(path).expanduser().absolute()
        probe = temporary_name(root / "writeable")
        with disk_errors(f"run directory {root} cannot be written (choose another with --run-dir)"):
            root.mkdir(parents=True, exist_ok=True)
            probe.touch(exist_ok=False)
            probe.unlink(missing_ok=True)  # the process with the lock may have removed it
        return cls(root)

    def check_schema_version(self) -> None:
        """Refuse the run directory of another version of ctai.

        The first verdict or the session manifest tells the version; a directory without either, or with a damaged
        one, is accepted here and judged by whoever reads it.

        Raises:
            CtaiError: its records have another schema version.
        """
        for path in (*sorted(self.path("evidence", "verdicts").glob("*.json")), self.session_manifest):
            version = _schema_version(path)
            if version is not None and version != SCHEMA_VERSION:
                raise CtaiError(
                    f"{self.root}: records of schema version {version}, but this ctai reads version {SCHEMA_VERSION}. "
                    "Use the ctai that made the run, or choose another --run-dir"
                )

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
            name: name of the lock; `run` is the whole directory.
            wait: seconds to wait while another process holds the lock.

        Raises:
            CtaiError: another process, or another part of this one, holds the lock, or it cannot be written.
        """
        lock = filelock.FileLock(self.logs / f"{name}.lock", timeout=wait)
        with disk_errors(f"cannot write {self.logs}"):
            self.logs.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except filelock.Timeout as error:
                raise CtaiError(
                    f"{self.root} is in use by another process. Wait until it ends or choose another --run-dir"
                ) from error
        try:
            if name == "run":  # under any other lock, other processes may be writing
                remove_leftovers(self.root)
            yield
        finally:
            lock.release()

    # -- evidence ----------------------------------------------------------------------------------------------------

    @property
    def evidence(self) -> Path:
        """Folder of verdicts, calibrations and the JUnit report."""
        return self.path("evidence")

    def verdict(self, gate: GateSpec) -> Path:
        """Return the file of the verdict of a gate."""
        return self.path("evidence", "verdicts", f"{gate.number}-{gate.name}.json")

    @property
    def preregistration(self) -> Path:
        """Thresholds, families and hypothesis that the run committed itself to."""
        return self.path("evidence", "preregistration.json")

    @property
    def preregistration_stamp(self) -> Path:
        """Record of the outside time stamp of the preregistration, if there is one."""
        return self.path("evidence", "preregistration_stamp.json")

    @property
    def junit_report(self) -> Path:
        """JUnit report of a session that selected every gate."""
        return self.path("evidence", "gates.xml")

    @property
    def session_log(self) -> Path:
        """Log of the sessions without times and host names, bound to the session manifest by a digest."""
        return self.path("evidence", "sessions.json")

    @property
    def attestations(self) -> Path:
        """DSSE envelopes over verdicts and files."""
        return self.path("evidence", "attestations.intoto.jsonl")

    @property
    def model_check(self) -> Path:
        """Record of gate contamination."""
        return self.path("evidence", "contamination", "model_check.json")

    def instrument_dir(self, instrument: str) -> Path:
        """Return the folder of one calibrated instrument, such as `scorers` or `critic_pairs`."""
        return self.path("evidence", "instruments", instrument)

    def calibration(self, instrument: str) -> Path:
        """Return the file of the calibration of one instrument."""
        return self.instrument_dir(instrument) / "calibration.json"

    def probes(self, kind: str) -> Path:
        """Return the file of the critic's judgements of labelled probes; `kind` is `instructions` or `pairs`."""
        return self.instrument_dir(f"critic_{kind}") / "probes.jsonl"

    @property
    def pilot_history(self) -> Path:
        """Attempts of the pilot, in order."""
        return self.path("evidence", "pilot_history.json")

    @property
    def comparisons(self) -> Path:
        """Log of the adapters compared on the test set of this run."""
        return self.path("evidence", "test_set_comparisons.jsonl")

    def evaluation_stage_dir(self, attempt: int = 0) -> Path:
        """Return the folder of the evaluation stage of one attempt."""
        return self.path("evidence", f"evaluation{_retry_suffix(attempt)}")

    # -- data --------------------------------------------------------------------------------------------------------

    @property
    def heldout(self) -> Path:
        """Frozen held-out test set."""
        return self.path("data", "heldout.jsonl")

    @property
    def heldout_stage_dir(self) -> Path:
        """Folder of the stage that draws the test set."""
        return self.path("artifacts", "heldout")

    def pilot_dir_of(self, attempt: int) -> Path:
        """Return the folder of one attempt of the pilot, from 0: dataset, QC summary and manifest."""
        return self.path("artifacts", f"pilot{_retry_suffix(attempt)}")

    @property
    def pilot_dir(self) -> Path:
        """Folder of the first attempt of the pilot."""
        return self.pilot_dir_of(0)

    @property
    def shards_dir(self) -> Path:
        """Folder of all shards."""
        return self.path("artifacts", "shards")

    def shard_dir(self, shard: int) -> Path:
        """Return the folder of one shard."""
        return self.shards_dir / f"shard-{shard:03d}"

    @property
    def merge_stage_dir(self) -> Path:
        """Folder of the stage that merges the shards."""
        return self.path("artifacts", "merge")

    @property
    def dataset(self) -> Path:
        """Merged training dataset."""
        return self.path("data", "stage1_sft_data.jsonl")

    @property
    def removed(self) -> Path:
        """Examples that the merge removed, with the reasons."""
        return self.path("data", "removed.jsonl")

    @property
    def dataset_qc(self) -> Path:
        """QC summary of the merged dataset."""
        return self.path("data", "qc_summary.json")

    # -- training and evaluation -------------------------------------------------------------------------------------

    def adapter_dir_of(self, attempt: int) -> Path:
        """Return the folder of the adapter of one attempt, from 0."""
        return self.path("checkpoints", f"stage1_sft{_retry_suffix(attempt)}")

    @property
    def adapter_dir(self) -> Path:
        """Folder of the adapter of the first attempt."""
        return self.adapter_dir_of(0)

    def base_arm_dir(self, arm: str) -> Path:
        """Return the folder with the answers of one arm of the base model."""
        return self.path("results", "headroom", arm)

    @property
    def reference_stage_dir(self) -> Path:
        """Folder of the record of the reference model."""
        return self.path("results", "headroom", "reference_model")

    @property
    def reference_model(self) -> Path:
        """Provenance of the reference model."""
        return self.reference_stage_dir / "model.json"

    def base_answers(self, arm: str) -> Path:
        """Return the file of the answers of one arm of the base model."""
        return self.base_arm_dir(arm) / "items.jsonl"

    def results_dir_of(self, attempt: int) -> Path:
        """Return the folder of the evaluation of one attempt, from 0."""
        return self.path("results", f"sft_eval{_retry_suffix(attempt)}")

    @property
    def results_dir(self) -> Path:
        """Folder of the evaluation of the first attempt."""
        return self.results_dir_of(0)

    def arm_check(self, results: Path) -> Path:
        """Return the file with the difference of the two arms in a folder of the evaluation of one attempt."""
        return results / "arm_check" / "difference.json"

    # -- logs, report, reviews ---------------------------------------------------------------------------------------

    @property
    def logs(self) -> Path:
        """Folder of logs and session manifest: the only place for times and host names."""
        return self.path("logs")

    @property
    def session_manifest(self) -> Path:
        """Log of all sessions."""
        return self.path("logs", "session_manifest.json")

    @property
    def budget_ledger(self) -> Path:
        """Time and money used so far, by stage."""
        return self.path("logs", "budget_ledger.json")

    @property
    def report(self) -> Path:
        """Folder of the HTML report."""
        return self.path("report")

    def review_packet(self, gate: str) -> Path:
        """Return the file of the review packet of a gate."""
        return self.report / f"review-{gate}.md"

    @property
    def reviews(self) -> Path:
        """Folder of the answers to review packets."""
        return self.path("reviews")

    @property
    def superseded(self) -> Path:
        """Folder of outputs that no longer count."""
        return self.path("superseded")


def _schema_version(path: Path) -> int | None:
    """Return the schema version of a JSON record; None if there is none that can be read."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    version = record.get("schema_version") if isinstance(record, dict) else None
    is_plausible = type(version) is int and 0 < version < 1000  # any other value is damage, which readers report
    return version if is_plausible else None


def _retry_suffix(attempt: int) -> str:
    return f"-retry-{attempt}" if attempt else ""
