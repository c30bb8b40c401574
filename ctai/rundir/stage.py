"""TODO module docstring."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ctai.errors import CtaiError
from ctai.records import Record, StageManifest
from ctai.rundir.files import (
    disk_errors,
    first_bad_line,
    read_jsonl,
    read_record,
    remove_leftovers,
    write_json,
    write_jsonl,
    write_text,
)
from ctai.rundir.hashing import digest_of, digest_path, jsonable
from ctai.rundir.layout import RunDir

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Batches:
    """Finished batches of one phase of a stage, so that an interrupted stage goes on at the next one."""

    folder: Path

    def get(self, index: int, kind: type[R]) -> list[R] | None:
        """The records of a finished batch; None if it was not finished."""
        path = self._path(index)
        with disk_errors(f"cannot read {path}"):
            finished = path.exists()
        return read_jsonl(path, kind) if finished else None

    def put(self, index: int, records: Iterable[Record]) -> None:
        """Finish a batch; an empty one counts."""
        write_jsonl(self._path(index), records)

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:05d}.jsonl"


@dataclass(frozen=True)
class Stage:
    """A step of a run, keyed by everything it depends on: same key, same work.

    Args:
        rundir: the run directory.
        name: the stage's name, also used as a file name.
        folder: the stage's own folder; no other stage writes in it.
        parameters: what it was asked to do, with the code's digest.
        inputs: what it reads, name -> digest.
    """

    rundir: RunDir
    name: str
    folder: Path
    parameters: Mapping[str, Any]
    inputs: Mapping[str, str]

    @property
    def key(self) -> str:
        """Digest of name, parameters and inputs."""
        return digest_of([self.name, dict(self.parameters), dict(self.inputs)])

    @property
    def manifest_path(self) -> Path:
        """The file that is written last."""
        return self.folder / "manifest.json"

    def complete(self) -> StageManifest | None:
        """The manifest, if this very stage was finished and its work is unchanged; None if it has to be done.

        Raises:
            CtaiError: it was finished, but an artifact is missing or has been changed since.
        """
        with disk_errors(f"cannot read {self.folder}"):
            return self._complete()

    def _complete(self) -> StageManifest | None:
        if not self.manifest_path.exists():
            return None
        manifest = read_record(self.manifest_path, StageManifest)
        if manifest.key != self.key:
            return None
        for name, digest in manifest.artifacts.items():
            path = self.rundir.path(name)
            if not path.exists() or digest_path(path) != digest:
                what = "is not what the stage made" if path.exists() else "is missing"
                remedy = f"restore it, or remove {self.folder} to make it again"
                bad = first_bad_line(path) if path.suffix == ".jsonl" and path.exists() else ""
                raise CtaiError(f"{path} {what} (stage {self.name}){bad and f': {bad}'}; {remedy}")
        return manifest

    def begin(self) -> None:
        """Make the folder ready for this key: unfinished work of this key stays, other work is moved away."""
        remove_leftovers(self.folder)  # before the folder is looked at: a crash may have left no more than that
        with disk_errors(f"cannot prepare {self.folder}"):
            if self.folder.is_dir() and any(self.folder.iterdir()) and self._key_on_disk() != self.key:
                self._supersede()
        write_text(self._key_path, self.key + "\n")

    def batches(self, phase: str) -> Batches:
        """The batch files of one phase."""
        return Batches(self.folder / "work" / phase)

    def finish(self, artifacts: Sequence[Path], run_id: str, notes: Sequence[str] = ()) -> StageManifest:
        """Write the manifest over the artifacts (files or folders below the run directory) and return it."""
        manifest = StageManifest(
            stage=self.name,
            key=self.key,
            inputs=dict(self.inputs),
            artifacts={self.rundir.relative(path): digest_path(path) for path in artifacts},
            parameters=jsonable(dict(self.parameters)),
            notes=tuple(notes),
            run_id=run_id,
        )
        write_json(self.manifest_path, manifest)
        return manifest

    @property
    def _key_path(self) -> Path:
        return self.folder / "stage_key.txt"

    def _key_on_disk(self) -> str:
        return self._key_path.read_text(encoding="utf-8").strip() if self._key_path.exists() else "unknown"

    def _supersede(self) -> None:
        """Move another key's work, with the artifacts it had outside the folder, below `superseded/`."""
        target = self._free_name(self.rundir.path("superseded", f"{self.name}-{self._key_on_disk()[:8]}"))
        outside = []
        if self.manifest_path.exists():
            names = read_record(self.manifest_path, StageManifest).artifacts
            outside = [path for path in map(self.rundir.path, names) if not path.is_relative_to(self.folder)]
        for path in filter(Path.exists, outside):
            destination = target / "outside" / self.rundir.relative(path)
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, destination)
        target.mkdir(parents=True, exist_ok=True)
        shutil.move(self.folder, target / "work")

    @staticmethod
    def _free_name(path: Path) -> Path:
        candidates = (path.with_name(f"{path.name}-{n}") if n else path for n in range(1_000_000))
        return next(candidate for candidate in candidates if not candidate.exists())
