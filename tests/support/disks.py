"""Disks that are small, become read-only or are taken away: real ones, where the machine lets a test have them."""

import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ctai.progress import SilentProgress

_NOBODY = 65534


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A disk of its own in a folder; skips the test where mounting is not permitted."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if shutil.which("mount") is None or (done := subprocess.run(command, capture_output=True, text=True)).returncode:
        pytest.skip(f"a disk cannot be mounted here: {done.stderr.strip() if shutil.which('mount') else 'no mount'}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Change a mounted disk: `size=...`, `ro`, `rw`."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may become larger, as under a quota (`RLIMIT_FSIZE`)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@contextmanager
def plain_user() -> Iterator[Path]:
    """A folder of a user for whom modes hold: root, who may write anywhere, becomes another for the time being."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(folder, _NOBODY, _NOBODY)
        os.setegid(_NOBODY)
        os.seteuid(_NOBODY)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
            os.setegid(0)
        subprocess.run(["chmod", "-R", "u+rwx", str(folder)], check=True)
        shutil.rmtree(folder)


class After(SilentProgress):
    """Does something to the disk when a stage has told of its first finished batch."""

    def __init__(self, action) -> None:
        self._action = action

    def advance(self, n: int = 1, note: str = "") -> None:
        if self._action is not None:
            action, self._action = self._action, None
            action()
