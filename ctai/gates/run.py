"""One gates run: configuration, directory, session, the base model, and the verdicts that gates leave behind.

The stages themselves are `ctai.gates.contamination`, `data` and `evaluation`; this module gives them what they share.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ctai.config import RunConfig
from ctai.errors import CtaiError, RefusedError
from ctai.gates import GATES, gate_named
from ctai.gates.base import BaseModel
from ctai.gates.evidence import Measured, first_problem, record_verdict, standing, verdict_path
from ctai.gates.progress import TerminalProgress
from ctai.provenance import OpenPhase, Session, code_digest, environment, run_id
from ctai.records import Metric, Verdict, utc_now
from ctai.rundir import RunDir, Stage, digest_of


class Run:
    """Everything the gates of one run share. Holds the run directory's lock until `close`."""

    def __init__(self, config: RunConfig, rundir: RunDir) -> None:
        self.config = config
        self.rundir = rundir
        self.progress = TerminalProgress()
        self.base = BaseModel(config.model)
        self.environment = environment(config.model.device)
        self.run_id = run_id(digest_of(config), code_digest())
        self.measured: dict[str, Measured] = {}
        self.seconds: dict[str, float] = {}
        self.reused: set[str] = set()
        self._open = ExitStack()
        self._open.enter_context(rundir.lock())
        self.session = Session(rundir, config, self.environment, self.run_id)

    # -- stages ------------------------------------------------------------------------------------------------------

    def stage(self, name: str, folder: Path, parameters: Mapping[str, Any], inputs: Mapping[str, str]) -> Stage:
        """A stage of this run, keyed by its parameters, its inputs and the code."""
        return Stage(self.rundir, name, folder, {**parameters, "code": code_digest()}, inputs)

    @contextmanager
    def phase(self, gate: str, **parameters: Any) -> Iterator[OpenPhase]:
        """A gate's work: logged in the session manifest and held to the gate's time limit."""
        started = utc_now()
        self.progress.limit(gate, getattr(self.config.limits, gate))
        with self.session.phase(gate, parameters) as opened:
            try:
                yield opened
            finally:
                self.seconds[gate] = self.seconds.get(gate, 0.0) + (utc_now() - started).total_seconds()

    def finish_gate(self, measured: Measured, *, reused: bool) -> Measured:
        """Keep what a gate measured, for its tests and its verdict."""
        self.measured[measured.gate] = measured
        if reused:
            self.reused.add(measured.gate)
            self.progress.say(f"{measured.gate}: reused, nothing it depends on has changed")
        return measured

    # -- verdicts ----------------------------------------------------------------------------------------------------

    def require_passed(self, gate: str) -> Verdict:
        """The standing verdict of a gate.

        Raises:
            RefusedError: it has none, or one that no longer counts; says which evidence is missing or stale.
        """
        found = standing(self.rundir, self.config, gate_named(gate))
        if found.verdict is None:
            raise RefusedError(f"{found.problem}; run gate {gate} first")
        return found.verdict

    def problem_before(self, gate: str) -> str:
        """Why a gate may not start on the evidence in the run directory; empty if it may."""
        return first_problem(self.rundir, self.config, gate_named(gate))

    def decide(self, gate: str, outcomes: Mapping[str, str], troubles: tuple[str, ...]) -> Verdict | None:
        """Write the verdict of a gate that was measured; None when there was nothing to judge."""
        measured = self.measured.get(gate)
        return record_verdict(self.rundir, self.config, measured, outcomes, troubles) if measured else None

    def close(self, how: str) -> None:
        """End the session and let the run directory go."""
        self.session.note(f"session {self.session.session_id} {how}")
        self._open.close()

    # -- what people see ---------------------------------------------------------------------------------------------

    def suite_properties(self) -> dict[str, str]:
        """The properties of the JUnit suite: what ran, on what, from which code."""
        env, model = self.environment, self.config.model
        return {
            "run_id": self.run_id,
            "git_commit": env.git_commit,
            "git_dirty": str(env.git_dirty).lower(),
            "code_digest": env.code_digest,
            "config_digest": digest_of(self.config),
            "profile": self.config.profile,
            "control": self.config.control,
            "seed": str(self.config.seed),
            "model": model.name,
            "weights_digest": self.base.weights_digest,
            "python": env.python,
            "torch": env.torch,
            "transformers": env.transformers,
            "device": env.device,
            "platform": env.platform,
            "cpu_count": str(env.cpu_count),
        }

    def metric_properties(self, measured: Measured, metric: Metric) -> dict[str, str]:
        """The JUnit properties of one test: metric, value, threshold, interval, artifact and its SHA-256."""
        properties = {
            "gate": measured.gate,
            "metric": metric.name,
            "value": repr(metric.value),
            "threshold": f"{metric.comparison} {metric.threshold:g}",
        }
        if metric.interval is not None:
            properties["interval"] = f"[{metric.interval.low:.6g}, {metric.interval.high:.6g}]"
        if metric.n is not None:
            properties["n"] = str(metric.n)
        if metric.artifact is not None:
            properties["artifact"] = metric.artifact
            properties["artifact_sha256"] = measured.artifacts[metric.artifact]
        return properties

    def header(self) -> list[str]:
        """What the run is and what of it already stands, for the head of the report."""
        done = [gate.name for gate in GATES if standing(self.rundir, self.config, gate).verdict]
        control = f", control {self.config.control}" if self.config.control != "none" else ""
        lines = [
            f"ctai: profile {self.config.profile}, model {self.config.model.name}, seed {self.config.seed}{control}",
            f"ctai: run directory {self.rundir.root}",
        ]
        return lines + ([f"ctai: already passed: {', '.join(done)}"] if done else [])

    def table(
        self, selected: Iterable[str], verdicts: Mapping[str, Verdict | None], why_not: Callable[[str], str]
    ) -> list[str]:
        """The lines of the table of gates."""
        lines = []
        for gate in (gate_named(name) for name in selected):
            verdict = verdicts.get(gate.name)
            word = verdict.outcome if verdict else "blocked" if "blocked by" in why_not(gate.name) else "not measured"
            seconds = f"{self.seconds[gate.name]:.0f} s" if gate.name in self.seconds else ""
            reused = "(reused)" if gate.name in self.reused else ""
            lines.append(f"{gate.number:>3}  {gate.name:<14}{word.upper():<13}{seconds:>6} {reused}".rstrip())
            if verdict and verdict.passed:
                lines += [f"       {m.sentence()}" for m in verdict.metrics if m.name in _KEY_NUMBERS]
            else:
                lines.append(f"       {why_not(gate.name)}")
            if verdict:
                lines.append(f"       {self.rundir.path(verdict_path(self.rundir, gate))}")
        return lines


_KEY_NUMBERS = frozenset(
    {
        "sentinel_completion_rate",
        "sentinel_followed_and_stopped_rate",
        "heldout_items",
        "pair_critic_balanced_accuracy",
        "kept_examples",
        "pair_acceptance",
        "unique_examples",
        "base_zero_shot_content",
        "content_lift",
        "content_p_value",
    }
)


def options_to_run(option: Any) -> Run:
    """The run that command-line options ask for.

    Raises:
        CtaiError: an option, the profile, the model's path or the run directory is not usable.
    """
    if option.gpu:
        _require_cuda()
    settings = list(option.settings)
    if option.model is not None:
        settings.insert(0, f"model.name={_toml_string(option.model)}")
    if option.gpu:
        settings.insert(0, "model.device='cuda'")
    if option.count is not None:
        settings.append(f"scale.count={option.count}")
    if option.control == "no-critic":
        settings.append("generation.filter_with_critic=false")
    profile = option.profile or ("pod" if option.gpu and option.model != "embedded" else "embedded")
    config = RunConfig.load(profile, settings, seed=option.seed, control=option.control)
    root = Path(option.run_dir) if option.run_dir else default_run_dir(config, fresh=option.fresh)
    BaseModel(config.model).locate()
    return Run(config, RunDir.open(root))


def default_run_dir(config: RunConfig, *, fresh: bool = False) -> Path:
    """`runs/<profile>-<model>-seed<N>[-<control>]`, so that the same command resumes; `fresh` adds the time."""
    model = re.sub(r"[^A-Za-z0-9._-]+", "-", config.model.name).strip("-.") or "model"
    control = f"-{config.control}" if config.control != "none" else ""
    dated = f"-{utc_now():%Y%m%dT%H%M%S}" if fresh else ""
    return Path("runs") / f"{config.profile}-{model}-seed{config.seed}{control}{dated}"


def _toml_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _require_cuda() -> None:
    import torch

    if not torch.cuda.is_available():
        raise CtaiError("--gpu needs a CUDA device and there is none here; leave --gpu out to run on the CPU")
