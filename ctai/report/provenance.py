"""Provenance of a run (code, model, environment, configuration, verdict chain), with its time and cost."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from ctai.records import BudgetEntry, BudgetLedger, Environment, ModelProvenance, Phase, SessionManifest
from ctai.registry import GATES
from ctai.report.charts import draw_bar
from ctai.report.text import format_duration, format_number, ratio
from ctai.rundir import digest_of
from ctai.rundir.reader import RunReader


class Field(NamedTuple):
    """Name and value of one provenance entry; `code` selects a fixed-width font."""

    name: str
    value: str
    code: bool = False


class ChainLink(NamedTuple):
    """Verdict in the chain."""

    number: str
    gate: str
    digest: str
    previous: str
    code: str
    config: str
    artifacts: dict[str, str]


class PhaseTime(NamedTuple):
    """Phase of a session, with its duration."""

    phase: Phase
    time: str
    bar: Markup


class PhaseTimes(NamedTuple):
    """Phases with their total duration."""

    rows: tuple[PhaseTime, ...]
    total: str


class StageCost(NamedTuple):
    """Time and cost of one stage over all sessions."""

    entry: BudgetEntry
    time: str
    cost: str
    bar: Markup


class StageCosts(NamedTuple):
    """Budget ledger by stage; costs are empty where no price is set."""

    rows: tuple[StageCost, ...]
    total: str
    cost: str
    price: str
    budget: str


class RunIdentity(NamedTuple):
    """Identity of the run in the header of the report."""

    model: str
    profile: str
    seed: int
    control: str
    run_id: str
    started: str
    evidence: str


def run_identity(reader: RunReader) -> RunIdentity:
    """Return the identity of the run.

    The control comes from the last evaluation, since a later session may have changed the configuration.
    """
    session = reader.session
    config = session.config if session else {}
    seed = config.get("seed")
    model = reader.contamination.provenance if reader.contamination else None
    chain = verdict_chain(reader)
    return RunIdentity(
        model=model.model_id if model else session.model if session else "unknown model",
        profile=str(config.get("profile", "unknown")),
        seed=seed if isinstance(seed, int) else 0,
        control=_control(reader, config),
        run_id=session.run_id if session else "unknown",
        started=f"{session.started:%Y-%m-%d %H:%M} UTC" if session else "",
        evidence=chain[-1].digest if chain else "",
    )


def _control(reader: RunReader, config: Mapping[str, Any]) -> str:
    if reader.attempts and reader.attempts[-1].summary:
        return str(reader.attempts[-1].summary.metadata.get("control", "none"))
    controls = [phase.parameters.get("control") for phase in (reader.session.phases if reader.session else ())]
    return str(next((control for control in reversed(controls) if control is not None), config.get("control", "none")))


def verdict_chain(reader: RunReader) -> tuple[ChainLink, ...]:
    """Return the recorded verdicts in order, with their digests."""
    verdicts = [(gate, reader.verdicts[gate.name]) for gate in GATES if gate.name in reader.verdicts]
    return tuple(
        ChainLink(g.number, g.name, digest_of(v), v.previous or "", v.code_digest, v.config_digest, v.artifacts)
        for g, v in verdicts
    )


def environment_fields(environment: Environment) -> tuple[Field, ...]:
    """Return code version, device and package versions."""
    memory = environment.device_memory_bytes
    packages = ", ".join(f"{name} {version}" for name, version in environment.packages.items())
    return (
        Field("commit", environment.git_commit, code=True),
        Field("working tree", "dirty: uncommitted changes" if environment.git_dirty else "clean"),
        Field("branch", environment.git_branch),
        Field("code digest", environment.code_digest, code=True),
        Field("loader", environment.loader_version, code=True),
        Field("device", environment.device + (f", {ratio(memory, 2**30):.0f} GiB" if memory else "")),
        Field("CUDA", environment.cuda or "none"),
        Field("platform", f"{environment.platform}, {environment.cpu_count} CPUs"),
        Field("Python", environment.python),
        Field("torch", environment.torch),
        Field("transformers", environment.transformers),
        Field("packages", packages),
    )


def model_fields(model: ModelProvenance) -> tuple[Field, ...]:
    """Return identity, digests and loading options of the model."""
    double = ", double quantization" if model.double_quantization else ""
    return (
        Field("model", model.model_id),
        Field("requested as", model.requested),
        Field("revision", model.revision or "none"),
        Field("weights SHA-256", model.weights_digest, code=True),
        Field("tokenizer SHA-256", model.tokenizer_digest, code=True),
        Field("architecture", f"{model.architecture}, {model.parameters:,} parameters"),
        Field("precision", f"{model.quantization}{double}, computed in {model.compute_dtype} on {model.device}"),
        Field("chat template", _describe_template(model)),
        Field("special tokens", _describe_special_tokens(model)),
        Field("control tokens", ", ".join(model.control_tokens) or "none"),
    )


def _describe_template(model: ModelProvenance) -> str:
    if not model.template_disabled:
        return "not disabled"
    return "present; disabled" if model.template_was_present else "absent; disabled"


def _describe_special_tokens(model: ModelProvenance) -> str:
    added = "added" if model.add_special_tokens else "not added"
    bos = "; BOS token allowed by the configuration" if model.bos_allowed else ""
    return f"{added}; tokenizing with them adds {model.special_token_delta}{bos}"


def config_fields(config: Mapping[str, Any], prefix: str = "") -> list[Field]:
    """Return the resolved configuration, one entry a setting."""
    fields: list[Field] = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            fields += config_fields(value, f"{prefix}{key}.")
        else:
            fields.append(Field(f"{prefix}{key}", repr(value) if isinstance(value, str) else str(value), code=True))
    return fields


def phase_times(session: SessionManifest) -> PhaseTimes | None:
    """Return the duration of each phase; None without phases."""
    if not session.phases:
        return None
    longest = max(phase.seconds for phase in session.phases) or 1.0
    rows = tuple(
        PhaseTime(phase, format_duration(s), draw_bar(f"{phase.name}: {format_duration(s)}", s / longest, 120))
        for phase in session.phases
        for s in (phase.seconds,)
    )
    return PhaseTimes(rows, format_duration(sum(phase.seconds for phase in session.phases)))


def stage_costs(ledger: BudgetLedger) -> StageCosts | None:
    """Return time and, where a price is set, cost of each stage; None for an empty ledger."""
    if not ledger.entries:
        return None
    price = ledger.cost_per_hour_usd
    longest = max(entry.seconds for entry in ledger.entries) or 1.0
    rows = tuple(
        StageCost(
            entry, format_duration(entry.seconds), _format_usd(entry.seconds / 3600 * price, price),
            draw_bar(f"{entry.stage}: {format_duration(entry.seconds)}", entry.seconds / longest, 120),
        )
        for entry in ledger.entries
    )  # fmt: skip
    return StageCosts(
        rows, format_duration(3600 * ledger.hours), _format_usd(ledger.cost_usd, price), f"{format_number(price)} USD an hour",
        f"{format_number(ledger.budget_usd)} USD",
    )  # fmt: skip


def _format_usd(amount: float, price: float) -> str:
    return f"{amount:,.2f} USD" if price > 0 else ""
