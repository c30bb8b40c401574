"""Where results come from: code and environment, derived seeds, the run's id, and the log of its sessions.

Owns the session manifest, the one record with times and host names. It loads no model, and imports torch only
when asked about a CUDA device.
"""

import os
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from ctai.records import Environment
from ctai.rundir import digest_of, sha256_file
from ctai.version import __version__

UNKNOWN = "unknown"
_PACKAGE = Path(__file__).parents[1]
_PACKAGES = (
    "accelerate", "bitsandbytes", "gguf", "numpy", "peft", "pydantic", "pytest", "pytest-order",
    "safetensors", "scipy", "statsmodels", "tokenizers",
)  # fmt: skip


class DeviceInfo(NamedTuple):
    """A compute device.

    Attributes:
        name: such as `cpu` or `cuda: NVIDIA H100`.
        cuda: version of CUDA; None without it.
        memory_bytes: size of its memory; None for a CPU.
    """

    name: str
    cuda: str | None = None
    memory_bytes: int | None = None


class GitState(NamedTuple):
    """The commit of the code. Outside a clone commit and branch are `unknown`, dirty: nobody can vouch."""

    commit: str
    branch: str
    dirty: bool


@lru_cache(maxsize=1)
def code_digest() -> str:
    """SHA-256 over the names and contents of ctai's Python files, profiles and labels."""
    files = sorted(path for kind in ("py", "toml", "jsonl") for path in _PACKAGE.rglob(f"*.{kind}"))
    return digest_of([[path.relative_to(_PACKAGE).as_posix(), sha256_file(path)] for path in files])


@lru_cache(maxsize=8)
def git_state(folder: Path = _PACKAGE) -> GitState:
    """Commit, branch and dirty flag of the clone that a folder belongs to.

    A folder that the clone ignores (an environment inside somebody's repository) does not belong to it.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None or _git(folder, "check-ignore", "--quiet", ".") is not None:
        return GitState(UNKNOWN, UNKNOWN, dirty=True)
    branch = _git(folder, "branch", "--show-current") or "detached"
    return GitState(commit, branch, dirty=_git(folder, "status", "--porcelain") != "")


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command; None if it failed or there is no git."""
    # GIT_DIR and the like would make git speak of another repository (they are set inside hooks)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def loader_version() -> str:
    """Version with commit, such as `0.1.0+1a2b3c4d5e6f.dirty`; outside a clone with the code's digest."""
    state = git_state()
    if state.commit == UNKNOWN:
        return f"{__version__}+code.{code_digest()[:12]}"
    return f"{__version__}+{state.commit[:12]}{'.dirty' if state.dirty else ''}"


def version_warnings(version: str) -> tuple[str, ...]:
    """What a `loader_version` leaves open about the code that ran; empty when a commit holds all of it."""
    if "+code." in version:
        return (f"the code's commit is unknown: {version} names a digest only, and nobody can check that code out",)
    if version.endswith(".dirty"):
        return (f"the code was changed after its commit: {version} cannot be checked out",)
    return ()


def collect_environment(device: DeviceInfo) -> Environment:
    """Collect what the code runs on: commit, versions, device and platform; neither times nor host names."""
    state = git_state()
    return Environment(
        git_commit=state.commit,
        git_branch=state.branch,
        git_dirty=state.dirty,
        code_digest=code_digest(),
        loader_version=loader_version(),
        python=platform.python_version(),
        torch=_installed("torch"),
        transformers=_installed("transformers"),
        packages={package: _installed(package) for package in _PACKAGES},
        cuda=device.cuda,
        device=device.name,
        device_memory_bytes=device.memory_bytes,
        platform=platform.platform(),
        cpu_count=os.cpu_count() or 1,
    )


def installed_version(package: str) -> str | None:
    """The version of a package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _installed(package: str) -> str:
    return installed_version(package) or "not installed"
