"""Resumable stages keyed by everything they depend on, and the batches of an unfinished one.

Owns the definition of a complete stage: its manifest exists, and all artifacts have the recorded digests. The caller
provides parameters and input digests.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ctai.errors import CtaiError
from ctai.records import MadeBy, Record, StageManifest
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
    """Finished batches of one phase of a stage, after which an interrupted stage resumes."""

    folder: Path

    def get(self, index: int, kind: type[R]) -> list[R] | None:
        """Read the records of a batch; None if it is not finished."""
        path = self._path(index)
        with disk_errors(f"cannot read {path}"):
            finished = path.exists()
        return read_jsonl(path, kind) if finished else None

    def put(self, index: int, records: Iterable[Record]) -> None:
        """Write a finished batch, which may be empty."""
        write_jsonl(self._path(index), records)

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:05d}.jsonl"


@dataclass(frozen=True)
class Stage:
    """Step of a run, keyed by everything it depends on: equal keys mean equal results.

    Attributes:
        rundir: run directory.
        name: name of the stage, also used as a file name.
        folder: folder in which no other stage writes.
        parameters: parameters, including the digest of the code.
        inputs: name of each input -> digest.
        made_by: maker for the manifest; no part of the key.
    """

    rundir: RunDir
    name: str
    folder: Path
    parameters: Mapping[str, Any]
    inputs: Mapping[str, str]
    made_by: MadeBy | None = None

    @property
    def key(self) -> str:
        """Digest of name, parameters and inputs."""
        return digest_of([self.name, dict(self.parameters), dict(self.inputs)])

    @property
    def manifest_path(self) -> Path:
        """Manifest file, which is written last."""
        return self.folder / "manifest.json"

    def complete(self) -> StageManifest | None:
        """Return the manifest if the stage is complete for this key; None if it has to run.

        Raises:
            CtaiError: the stage was finished, but an artifact is missing or has been changed since.
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
                problem = "was changed after the stage" if path.exists() else "is missing"
                remedy = f"restore it, or remove {self.folder} to make it again"
                bad = first_bad_line(path) if path.suffix == ".jsonl" and path.exists() else ""
                raise CtaiError(f"{path} {problem} (stage {self.name}){bad and f': {bad}'}; {remedy}")
        return manifest

    def begin(self) -> None:
        """Prepare the folder for this key: keep unfinished work of this key, move other work to `superseded/`."""
        remove_leftovers(self.folder)  # first, because a crash may have left nothing but temporary files
        with disk_errors(f"cannot prepare {self.folder}"):
            if self.folder.is_dir() and any(self.folder.iterdir()) and self._key_on_disk() != self.key:
                self._supersede()
        write_text(self._key_path, self.key + "\n")

    def batches(self, phase: str) -> Batches:
        """Return the batches of one phase."""
        return Batches(self.folder / "work" / phase)

    def finish(self, artifacts: Sequence[Path], run_id: str, notes: Sequence[str] = ()) -> StageManifest:
        """Write and return the manifest with the digests of the artifacts (files or folders below the run directory)."""
        manifest = StageManifest(
            stage=self.name,
            key=self.key,
            inputs=dict(self.inputs),
            artifacts={self.rundir.relative(path): digest_path(path) for path in artifacts},
            parameters=jsonable(dict(self.parameters)),
            notes=tuple(notes),
            run_id=run_id,
            made_by=self.made_by,
        )
        write_json(self.manifest_path, manifest)
        return manifest

    @property
    def _key_path(self) -> Path:
        return self.folder / "stage_key.txt"

    def _key_on_disk(self) -> str:
        return self._key_path.read_text(encoding="utf-8").strip() if self._key_path.exists() else "unknown"

    def _supersede(self) -> None:
        """Move the work of another key, including its artifacts outside the folder, to `superseded/`."""
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
