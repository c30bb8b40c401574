"""Session manifest: the log of a run directory, and the only record with times and host names."""

import secrets
import shlex
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ctai.config import RunConfig
from ctai.nested import changed_leaves
from ctai.records import Environment, Phase, SessionManifest, utc_now
from ctai.rundir import PLANNED_ARTIFACTS, RunDir, digest_of, jsonable, read_record, write_json


@dataclass
class OpenPhase:
    """Running phase; its attributes are written to the manifest when it ends."""

    name: str
    parameters: dict[str, Any]
    commands: tuple[str, ...]
    outcome: str = "completed"
    reasons: list[str] = field(default_factory=list)
    artifacts: dict[str, str] = field(default_factory=dict)


class Session:
    """Writer of `logs/session_manifest.json`, which is complete and valid after every update.

    The first session of a run directory creates the manifest. Each later one adds a note on the differences in
    configuration and environment, then its phases. The caller holds the lock of the run directory.

    Args:
        rundir: run directory.
        config: configuration of the run.
        environment: code version and environment.
        run_id: run id for the records.
        planned: planned artifacts, relative to the run directory.
    """

    def __init__(
        self,
        rundir: RunDir,
        config: RunConfig,
        environment: Environment,
        run_id: str,
        planned: Sequence[str] = PLANNED_ARTIFACTS,
    ) -> None:
        self.path = rundir.session_manifest
        self.session_id = f"{utc_now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        fresh = _new_manifest(self.session_id, config, environment, run_id, planned)
        if self.path.exists():
            self.manifest = _continue_manifest(read_record(self.path, SessionManifest), fresh)
        else:
            self.manifest = fresh
        self._first_phase = len(self.manifest.phases)
        write_json(self.path, self.manifest)

    def note(self, text: str) -> None:
        """Append a note to the manifest."""
        self._write(notes=(*self.manifest.notes, text))

    def has_run_id(self, run_id: str) -> bool:
        """Return True if any session of this run directory had this run id, in the manifest or in a note on a change."""
        return any(run_id in text for text in (self.manifest.run_id, *self.manifest.notes))

    @property
    def own_phases(self) -> tuple[Phase, ...]:
        """Phases of this session, without those of earlier ones."""
        return self.manifest.phases[self._first_phase :]

    @contextmanager
    def phase(self, name: str, parameters: Mapping[str, Any]) -> Iterator[OpenPhase]:
        """Record a phase as `running`, then its outcome; an exception is recorded and raised again."""
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


def manifest_digest(manifest: SessionManifest, phases: int, notes: int) -> str:
    """Return the digest of a session manifest as it was when it had only its first phases and notes."""
    return digest_of(manifest.model_copy(update={"phases": manifest.phases[:phases], "notes": manifest.notes[:notes]}))


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


def _continue_manifest(old: SessionManifest, new: SessionManifest) -> SessionManifest:
    """Return the old manifest with phases of dead processes closed and a note on the new session."""
    phases = tuple(_close(phase) if phase.outcome == "running" else phase for phase in old.phases)
    changes = changed_leaves(_comparable(old), _comparable(new))
    differences = [f"{c.key}: {c.before!r} -> {c.after!r}" for c in changes] or ["nothing"]
    note = f"session {new.session_id} began {new.started.isoformat()} on {new.host}; changed: "
    return old.model_copy(update={"phases": phases, "notes": (*old.notes, note + "; ".join(differences))})


def _close(phase: Phase) -> Phase:
    reasons = (*phase.reasons, "the process ended before the phase did")
    return phase.model_copy(update={"outcome": "interrupted", "reasons": reasons})


def _comparable(manifest: SessionManifest) -> dict[str, Any]:
    environment = jsonable(manifest.environment)
    return {"run_id": manifest.run_id, "config": manifest.config, "environment": environment}
