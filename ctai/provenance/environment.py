"""Code version and environment: git state, code digest, package versions and platform.

Does not import torch: the caller describes the device.
"""

import os
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from ctai.records import Environment, MadeBy
from ctai.rundir import digest_of, sha256_file
from ctai.version import __version__

UNKNOWN = "unknown"
_PACKAGE = Path(__file__).parents[1]
_PACKAGES = (
    "accelerate", "bitsandbytes", "gguf", "numpy", "peft", "pydantic", "pytest", "pytest-order",
    "safetensors", "scipy", "statsmodels", "tokenizers",
)  # fmt: skip


class DeviceInfo(NamedTuple):
    """Compute device.

    Attributes:
        name: name such as `cpu` or `cuda: NVIDIA H100`.
        cuda: CUDA version; None for a CPU.
        memory_bytes: size of the device memory in bytes; None for a CPU.
    """

    name: str
    cuda: str | None = None
    memory_bytes: int | None = None


class GitState(NamedTuple):
    """Git state of the code; outside a clone, commit and branch are `unknown` and `dirty` is True."""

    commit: str
    branch: str
    dirty: bool


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return the SHA-256 over names and contents of the Python files, profiles and labels of ctai."""
    files = sorted(path for kind in ("py", "toml", "jsonl") for path in _PACKAGE.rglob(f"*.{kind}"))
    return digest_of([[path.relative_to(_PACKAGE).as_posix(), sha256_file(path)] for path in files])


@lru_cache(maxsize=8)
def git_state(folder: Path = _PACKAGE) -> GitState:
    """Return commit, branch and dirty flag of the clone to which a folder belongs.

    A folder that the clone ignores, such as a virtual environment inside another repository, does not belong to it.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None or _git(folder, "check-ignore", "--quiet", ".") is not None:
        return GitState(UNKNOWN, UNKNOWN, dirty=True)
    branch = _git(folder, "branch", "--show-current") or "detached"
    return GitState(commit, branch, dirty=_git(folder, "status", "--porcelain") != "")


def _git(folder: Path, *arguments: str) -> str | None:
    """Return the output of a git command; None if it fails or git is not installed."""
    # GIT_DIR and similar variables, which are set inside hooks, would select another repository
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def loader_version() -> str:
    """Return the version with the commit, such as `0.1.0+1a2b3c4d5e6f.dirty`, or with the code digest outside a clone."""
    state = git_state()
    if state.commit == UNKNOWN:
        return f"{__version__}+code.{code_digest()[:12]}"
    return f"{__version__}+{state.commit[:12]}{'.dirty' if state.dirty else ''}"


def version_warnings(version: str) -> tuple[str, ...]:
    """Return warnings for a `loader_version` whose code cannot be checked out from a commit."""
    if "+code." in version:
        return (
            f"the code's commit is unknown: {version} holds only a digest of the code, which cannot be checked out",
        )
    if version.endswith(".dirty"):
        return (f"the code was changed after its commit: {version} cannot be checked out",)
    return ()


def collect_environment(device: DeviceInfo) -> Environment:
    """Collect commit, versions, device and platform; neither times nor host names."""
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


def made_by(environment: Environment, *commands: str) -> MadeBy:
    """Return the maker of what a process makes in an environment.

    Args:
        environment: code version, package versions and device.
        commands: normalized commands, without paths.
    """
    return MadeBy(
        git_commit=environment.git_commit,
        git_dirty=environment.git_dirty,
        code_digest=environment.code_digest,
        loader_version=environment.loader_version,
        python=environment.python,
        torch=environment.torch,
        transformers=environment.transformers,
        cuda=environment.cuda,
        device=environment.device,
        commands=commands,
    )


def installed_version(package: str) -> str | None:
    """Return the version of a package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _installed(package: str) -> str:
    return installed_version(package) or "not installed"
