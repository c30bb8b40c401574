"""Ledger of comparisons on test sets, kept outside the run directory so that another run directory is no fresh start.

Owns the file, its lock and its messages. Does not own the numbering of comparisons (`ctai.evaluate.attempts`). The ledger
knows only this machine and this user: what was compared elsewhere, or before the file was deleted, it cannot know.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from ctai.errors import CtaiError
from ctai.records import TestSetComparison
from ctai.rundir import disk_errors, read_jsonl, write_jsonl

LEDGER_VARIABLE = "CTAI_LEDGER"
_LOCK_SECONDS = 60.0


@dataclass(frozen=True)
class ComparisonLedger:
    """File that lists the comparisons on test sets of every run of this user.

    Attributes:
        path: the file; it may not exist yet.
        origin: `default`, or the environment variable that names the file.
    """

    path: Path
    origin: str

    @classmethod
    def locate(cls) -> "ComparisonLedger":
        """Return the ledger that `CTAI_LEDGER` names, or else the one in the user's state folder.

        The state folder is `$XDG_STATE_HOME`, or `~/.local/state` (XDG Base Directory Specification 0.8).

        Raises:
            CtaiError: the user has no home folder.
        """
        named = os.environ.get(LEDGER_VARIABLE, "").strip()
        try:
            if named:
                path = Path(named).expanduser().absolute()
                if not path.name:
                    raise CtaiError(f"{LEDGER_VARIABLE}={named} names no file. Set it to a file in a writeable folder")
                return cls(path, LEDGER_VARIABLE)
            default, state = Path.home() / ".local" / "state", Path(os.environ.get("XDG_STATE_HOME", ""))
            state = state if state.is_absolute() else default  # a relative path is ignored
        except RuntimeError as error:
            raise CtaiError(
                f"the ledger of test set comparisons has no place: there is no home folder. Set {LEDGER_VARIABLE}=FILE"
            ) from error
        return cls(state / "ctai" / "test_set_comparisons.jsonl", "default" if state == default else "XDG_STATE_HOME")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the ledger for this process, so that two runs do not give out the same number.

        Raises:
            CtaiError: its folder cannot be written, or another process holds the lock for a minute.
        """
        target = Path(os.path.realpath(self.path))  # one lock for all links to one file
        lock = filelock.FileLock(target.with_name(f"{target.name}.lock"), timeout=_LOCK_SECONDS)
        with disk_errors(f"{self._name} cannot be written (set {LEDGER_VARIABLE} to a file in a writeable folder)"):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                lock.acquire()
            except (filelock.Timeout, NotImplementedError) as error:
                raise CtaiError(
                    f"{self._name} cannot be locked within {_LOCK_SECONDS:g} seconds. Wait for the other run, or set "
                    f"{LEDGER_VARIABLE} to a file on a disk with file locks"
                ) from error
        try:
            yield
        finally:
            lock.release()

    def read(self) -> list[TestSetComparison]:
        """Return all comparisons, in order; none where there is no file yet.

        Raises:
            CtaiError: the file cannot be read or is damaged, so that the number of comparisons is not known.
        """
        try:
            with disk_errors(f"cannot read {self.path}"):
                exists = self.path.exists() or self.path.is_symlink()
            comparisons = read_jsonl(self.path, TestSetComparison) if exists else []
            if exists and not comparisons:  # it is written with its first comparison
                raise CtaiError("it is empty")
            return comparisons
        except CtaiError as error:
            raise CtaiError(
                f"{self._name} is not readable, so the number of earlier comparisons is not known ({error}). Restore the "
                f"file from a copy"
            ) from error

    def write(self, comparisons: Sequence[TestSetComparison]) -> None:
        """Replace the content atomically; the lock must be held.

        Raises:
            CtaiError: the file cannot be written.
        """
        with disk_errors(f"{self._name} cannot be written"):
            target = self.path.resolve()  # a link stays a link
        write_jsonl(target, comparisons)

    def check(self) -> None:
        """Read the ledger under its lock, before a training is paid for whose comparison could not be counted.

        Raises:
            CtaiError: the ledger cannot be locked, read or written.
        """
        with self.lock():
            self.read()

    @property
    def _name(self) -> str:
        return f"the ledger of test set comparisons {self.path}"
