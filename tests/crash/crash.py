"""Crash points within a write: a process records every point that it reaches, and kills itself at a given one.

Wraps `os.fsync` and `os.replace` of the process, which every atomic write of ctai calls.
"""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# In the order of a write. `torn` is a power loss before the data was synced, `unrenamed` one before the folder was.
MOMENTS = ("written", "torn", "synced", "renamed", "unrenamed", "durable")
_PLAIN_MOMENTS = ("written", "synced", "renamed", "durable")
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp")


class Point(NamedTuple):
    """Moment in the write of one file; `name` is relative to the run directory."""

    moment: str
    name: str

    def __str__(self) -> str:
        return f"{self.moment} {self.name}"


def read_trace(path: Path) -> list[Point]:
    """Return the points that a process has recorded, in order."""
    return [Point(*line.split(" ", 1)) for line in path.read_text().splitlines()] if path.exists() else []


def install(root: Path, trace: Path, target: Point | None) -> None:
    """Record every point of a write below `root` from now on, and kill the process at the target."""
    _Crash(root, trace, target).install()


class _Crash:
    def __init__(self, root: Path, trace: Path, target: Point | None) -> None:
        self._root, self._target = root, target
        self._log = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._fsync, self._replace = os.fsync, os.replace
        self._renamed: tuple[Path, Path, bool] | None = None

    def install(self) -> None:
        setattr(os, "fsync", self._on_fsync)  # noqa: B010  # an assignment would have to repeat the whole signature
        setattr(os, "replace", self._on_replace)  # noqa: B010

    def _on_fsync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        final = _final(path)
        if final is not None:
            self._reach("written", final)
            self._reach("torn", final, lambda: os.truncate(path, path.stat().st_size // 2))
        self._fsync(descriptor)
        if self._renamed is not None and path == self._renamed[1].parent:
            (_, written, _), self._renamed = self._renamed, None
            self._reach("durable", written)

    def _on_replace(self, source: str | Path, destination: str | Path) -> None:
        source, destination = Path(source), Path(destination)
        is_write = _final(source) == destination
        if is_write:
            self._reach("synced", destination)
        was_new = not destination.exists()
        self._replace(source, destination)
        if is_write:
            self._renamed = (source, destination, was_new)
            self._reach("renamed", destination)
            if was_new:
                self._reach("unrenamed", destination, lambda: self._replace(destination, source))

    def _reach(self, moment: str, path: Path, before_death: Callable[[], None] = lambda: None) -> None:
        if not path.is_relative_to(self._root):
            return
        point = Point(moment, path.relative_to(self._root).as_posix())
        if moment in _PLAIN_MOMENTS:
            os.write(self._log, f"{point}\n".encode())
        if point == self._target:
            before_death()
            os.kill(os.getpid(), signal.SIGKILL)


def _final(path: Path) -> Path | None:
    """Return the final path of a temporary file; None for any other file."""
    match = _TEMPORARY.fullmatch(path.name)
    return path.with_name(match[1]) if match else None
