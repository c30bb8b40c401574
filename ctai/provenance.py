"""Where results come from: code and environment, derived seeds, the run's id, and the log of its sessions.

Owns the session manifest, the one record with times and host names. It loads no model, and imports torch only
when asked about a CUDA device.
"""

import os
import platform
import secrets
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import ctai
from ctai.config import RunConfig
from ctai.records import Environment, Phase, SessionManifest, utc_now
from ctai.rundir import PLANNED_ARTIFACTS, RunDir, digest_of, jsonable, read_record, sha256_file, write_json

UNKNOWN = "unknown"
_PACKAGE = Path(ctai.__file__).parent
_PACKAGES = (
    "accelerate", "bitsandbytes", "gguf", "numpy", "peft", "pydantic", "pytest", "pytest-order",
    "safetensors", "scipy", "statsmodels", "tokenizers",
)  # fmt: skip


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
        return f"{ctai.__version__}+code.{code_digest()[:12]}"
    return f"{ctai.__version__}+{state.commit[:12]}{'.dirty' if state.dirty else ''}"


def doubts_about(version: str) -> tuple[str, ...]:
    """What a `loader_version` leaves open about the code that ran; empty when a commit holds all of it."""
    if "+code." in version:
        return (f"the code's commit is unknown: {version} names a digest only, and nobody can check that code out",)
    if version.endswith(".dirty"):
        return (f"the code was changed after its commit: {version} cannot be checked out",)
    return ()


def environment(device: str) -> Environment:
    """What the code runs on. `device` is `cpu` or a CUDA device; only for CUDA is torch imported."""
    state = git_state()
    cuda, name, memory = _cuda(device) if device.startswith("cuda") else (None, device, None)
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
        cuda=cuda,
        device=name,
        device_memory_bytes=memory,
        platform=platform.platform(),
        cpu_count=os.cpu_count() or 1,
    )


@lru_cache(maxsize=8)
def stack(device: str) -> Mapping[str, str]:
    """Device and libraries that a model computes with. Answers are compared only where these are the same."""
    name = _cuda(device)[1] if device.startswith("cuda") else device
    libraries = ("torch", "transformers", "peft", "bitsandbytes")
    return MappingProxyType({"device": name, **{library: _installed(library) for library in libraries}})


def installed_version(package: str) -> str | None:
    """The version of a package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _installed(package: str) -> str:
    return installed_version(package) or "not installed"


def _cuda(device: str) -> tuple[str | None, str, int]:
    import torch

    properties = torch.cuda.get_device_properties(torch.device(device))
    return torch.version.cuda, f"{device}: {properties.name}", properties.total_memory


def derive_seed(run_seed: int, *parts: str | int) -> int:
    """A seed of 63 bits for one item, from the run's seed and what names the item (stage, shard, index)."""
    return int(digest_of([run_seed, *parts])[:16], 16) >> 1


def run_id(*digests: str) -> str:
    """12 hex digits that name a run by the digests it depends on (configuration, code, ...), not by time."""
    return digest_of(list(digests))[:12]


class Progress(Protocol):
    """Shows how far a stage is; implemented by whoever has a screen."""

    def start(self, stage: str, total: int) -> None:
        """A stage of `total` steps begins."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """`n` steps are done."""

    def finish(self) -> None:
        """The stage has ended."""


class SilentProgress:
    """A `Progress` without a screen."""

    def start(self, stage: str, total: int) -> None:
        """Show nothing."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """Show nothing."""

    def finish(self) -> None:
        """Show nothing."""


@dataclass
class OpenPhase:
    """A phase that goes on; what is set here is written when it ends."""

    name: str
    parameters: dict[str, Any]
    commands: tuple[str, ...]
    outcome: str = "completed"
    reasons: list[str] = field(default_factory=list)
    artifacts: dict[str, str] = field(default_factory=dict)


class Session:
    """Appends to `logs/session_manifest.json`, which is whole and valid after every append.

    The first session of a run directory writes the manifest; each later one adds a note that says what
    differs in configuration and environment, then its phases. The caller holds the run directory's lock.

    Args:
        rundir: the run directory.
        config: the run's configuration.
        environment: what it runs on.
        run_id: the id that records carry.
        planned: paths of the artifacts that the run is going to make.
    """

    def __init__(
        self,
        rundir: RunDir,
        config: RunConfig,
        environment: Environment,
        run_id: str,
        planned: Sequence[str] = PLANNED_ARTIFACTS,
    ) -> None:
        self.path = rundir.logs / "session_manifest.json"
        self.session_id = f"{utc_now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        fresh = _new_manifest(self.session_id, config, environment, run_id, planned)
        if self.path.exists():
            self.manifest = _continued(read_record(self.path, SessionManifest), fresh)
        else:
            self.manifest = fresh
        write_json(self.path, self.manifest)

    def note(self, text: str) -> None:
        """Append a note."""
        self._write(notes=(*self.manifest.notes, text))

    def knows(self, run_id: str) -> bool:
        """Whether any session of this run directory had this run id: the first one's, or one that a note changed it to."""
        return any(run_id in text for text in (self.manifest.run_id, *self.manifest.notes))

    @contextmanager
    def phase(self, name: str, parameters: Mapping[str, Any]) -> Iterator[OpenPhase]:
        """Record a phase: `running` at once, then how it ended; an exception is recorded and goes on."""
        opened = OpenPhase(name, dict(parameters), (shlex.join(sys.argv),))
        index, started, clock = len(self.manifest.phases), utc_now(), time.monotonic()
        running = Phase(
            name=name, started=started, ended=None, seconds=0.0, commands=opened.commands,
            parameters=jsonable(opened.parameters), outcome="running",
        )  # fmt: skip
        self._write(phases=(*self.manifest.phases, running))
        try:
            yield opened
        except BaseException as error:
            opened.outcome = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            opened.reasons.append(f"{type(error).__name__}: {error}")
            raise
        finally:
            self._end(index, running, opened, time.monotonic() - clock)

    def _end(self, index: int, running: Phase, opened: OpenPhase, seconds: float) -> None:
        update = {
            "ended": utc_now(),
            "seconds": seconds,
            "commands": opened.commands,
            "parameters": jsonable(opened.parameters),
            "outcome": opened.outcome,
            "reasons": tuple(opened.reasons),
            "artifacts": opened.artifacts,
        }
        phases = list(self.manifest.phases)
        phases[index] = running.model_copy(update=update)
        self._write(phases=tuple(phases))

    def _write(self, **update: Any) -> None:
        self.manifest = self.manifest.model_copy(update=update)
        write_json(self.path, self.manifest)


def _new_manifest(
    session_id: str, config: RunConfig, environment: Environment, run_id: str, planned: Sequence[str]
) -> SessionManifest:
    limits = config.limits.model_dump()
    budgets = {key: limits.pop(key) for key in ("cost_per_hour_usd", "budget_usd")}
    del limits["minimum_free_gb"], limits["checkpoint_seconds"]
    return SessionManifest(
        session_id=session_id,
        run_id=run_id,
        started=utc_now(),
        host=socket.gethostname(),
        environment=environment,
        model=config.model.name,
        config=jsonable(config),
        planned=tuple(planned),
        budgets=budgets,
        timeouts=limits,
    )


def _continued(old: SessionManifest, new: SessionManifest) -> SessionManifest:
    """The old manifest with phases that a dead process left open closed, and a note on the new session."""
    phases = tuple(_closed(phase) if phase.outcome == "running" else phase for phase in old.phases)
    differences = _differences(_comparable(old), _comparable(new)) or ["nothing"]
    note = f"session {new.session_id} began {new.started.isoformat()} on {new.host}; changed: "
    return old.model_copy(update={"phases": phases, "notes": (*old.notes, note + "; ".join(differences))})


def _closed(phase: Phase) -> Phase:
    reasons = (*phase.reasons, "the process ended before the phase did")
    return phase.model_copy(update={"outcome": "interrupted", "reasons": reasons})


def _comparable(manifest: SessionManifest) -> dict[str, Any]:
    environment = jsonable(manifest.environment)
    return {"run_id": manifest.run_id, "config": manifest.config, "environment": environment}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """`key: old -> new` for each leaf that differs."""
    found: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += _differences(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append(f"{prefix}{key}: {before!r} -> {after!r}")
    return found
