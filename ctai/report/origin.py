"""Where the run comes from and what it took: code, model, environment, configuration, digests; time and cost."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from ctai.records import BudgetEntry, BudgetLedger, Environment, ModelProvenance, Phase, SessionManifest
from ctai.registry import GATES
from ctai.report.charts import bar
from ctai.report.source import RunReader
from ctai.report.text import duration, number, share
from ctai.rundir import digest_of


class Field(NamedTuple):
    """One line of the provenance; digests and versions are set in a fixed width."""

    name: str
    value: str
    code: bool = False


class Link(NamedTuple):
    """One verdict in the chain."""

    number: str
    gate: str
    digest: str
    previous: str
    code: str
    config: str
    artifacts: dict[str, str]


class TimeRow(NamedTuple):
    """One phase of a session: a gate's work."""

    phase: Phase
    time: str
    bar: Markup


class Times(NamedTuple):
    """All phases, and their sum."""

    rows: tuple[TimeRow, ...]
    total: str


class CostRow(NamedTuple):
    """What one stage has used over all sessions."""

    entry: BudgetEntry
    time: str
    cost: str
    bar: Markup


class Costs(NamedTuple):
    """The ledger by stage; costs are empty where no price is set."""

    rows: tuple[CostRow, ...]
    total: str
    cost: str
    price: str
    budget: str


class RunOrigin(NamedTuple):
    """What identifies the run on the first screen."""

    model: str
    profile: str
    seed: int
    control: str
    run_id: str
    started: str
    evidence: str


def run_facts(source: RunReader) -> RunOrigin:
    """The run in one line. The control is what the last evaluation says: a later session may have changed it."""
    session = source.session
    config = session.config if session else {}
    seed = config.get("seed")
    model = source.examination.provenance if source.examination else None
    chain = chain_of(source)
    return RunOrigin(
        model=model.model_id if model else session.model if session else "unknown model",
        profile=str(config.get("profile", "unknown")),
        seed=seed if isinstance(seed, int) else 0,
        control=_control(source, config),
        run_id=session.run_id if session else "unknown",
        started=f"{session.started:%Y-%m-%d %H:%M} UTC" if session else "",
        evidence=chain[-1].digest if chain else "",
    )


def _control(source: RunReader, config: Mapping[str, Any]) -> str:
    if source.attempts and source.attempts[-1].summary:
        return str(source.attempts[-1].summary.metadata.get("control", "none"))
    said = [p.parameters.get("control") for p in (source.session.phases if source.session else ())]
    return str(next((one for one in reversed(said) if one is not None), config.get("control", "none")))


def chain_of(source: RunReader) -> tuple[Link, ...]:
    """The recorded verdicts in order, with their digests."""
    verdicts = [(gate, source.verdicts[gate.name]) for gate in GATES if gate.name in source.verdicts]
    return tuple(
        Link(g.number, g.name, digest_of(v), v.previous or "", v.code_digest, v.config_digest, v.artifacts)
        for g, v in verdicts
    )


def code_facts(environment: Environment) -> tuple[Field, ...]:
    """The code and what it ran on."""
    memory = environment.device_memory_bytes
    packages = ", ".join(f"{name} {version}" for name, version in environment.packages.items())
    return (
        Field("commit", environment.git_commit, code=True),
        Field("working tree", "dirty: it held changes that are in no commit" if environment.git_dirty else "clean"),
        Field("branch", environment.git_branch),
        Field("code digest", environment.code_digest, code=True),
        Field("loader", environment.loader_version, code=True),
        Field("device", environment.device + (f", {share(memory, 2**30):.0f} GiB" if memory else "")),
        Field("CUDA", environment.cuda or "none"),
        Field("platform", f"{environment.platform}, {environment.cpu_count} CPUs"),
        Field("Python", environment.python),
        Field("torch", environment.torch),
        Field("transformers", environment.transformers),
        Field("packages", packages),
    )


def model_facts(model: ModelProvenance) -> tuple[Field, ...]:
    """Which model was loaded, and how."""
    double = ", double quantization" if model.double_quantization else ""
    return (
        Field("model", model.model_id),
        Field("asked for as", model.requested),
        Field("revision", model.revision or "none"),
        Field("weights SHA-256", model.weights_digest, code=True),
        Field("tokenizer SHA-256", model.tokenizer_digest, code=True),
        Field("architecture", f"{model.architecture}, {model.parameters:,} parameters"),
        Field("precision", f"{model.quantization}{double}, computed in {model.compute_dtype} on {model.device}"),
        Field("chat template", _template(model)),
        Field("special tokens", _special(model)),
        Field("control tokens", ", ".join(model.control_tokens) or "none"),
    )


def _template(model: ModelProvenance) -> str:
    if not model.template_disabled:
        return "not disabled"
    return "there was one; disabled" if model.template_was_present else "there was none; disabled"


def _special(model: ModelProvenance) -> str:
    added = "added" if model.add_special_tokens else "not added"
    bos = "; a BOS token is allowed by the configuration" if model.bos_allowed else ""
    return f"{added}; tokenizing with them gives {model.special_token_delta} more{bos}"


def config_facts(config: Mapping[str, Any], prefix: str = "") -> list[Field]:
    """The resolved configuration, one setting a line."""
    facts: list[Field] = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            facts += config_facts(value, f"{prefix}{key}.")
        else:
            facts.append(Field(f"{prefix}{key}", repr(value) if isinstance(value, str) else str(value), code=True))
    return facts


def times(session: SessionManifest) -> Times | None:
    """How long each phase took."""
    if not session.phases:
        return None
    longest = max(phase.seconds for phase in session.phases) or 1.0
    rows = tuple(
        TimeRow(phase, duration(s), bar(f"{phase.name}: {duration(s)}", s / longest, 120))
        for phase in session.phases
        for s in (phase.seconds,)
    )
    return Times(rows, duration(sum(phase.seconds for phase in session.phases)))


def costs(ledger: BudgetLedger) -> Costs | None:
    """What each stage has used, and what it cost where a price is set."""
    if not ledger.entries:
        return None
    price = ledger.cost_per_hour_usd
    longest = max(entry.seconds for entry in ledger.entries) or 1.0
    rows = tuple(
        CostRow(
            entry, duration(entry.seconds), _usd(entry.seconds / 3600 * price, price),
            bar(f"{entry.stage}: {duration(entry.seconds)}", entry.seconds / longest, 120),
        )
        for entry in ledger.entries
    )  # fmt: skip
    return Costs(
        rows, duration(3600 * ledger.hours), _usd(ledger.cost_usd, price), f"{number(price)} USD an hour",
        f"{number(ledger.budget_usd)} USD",
    )  # fmt: skip


def _usd(amount: float, price: float) -> str:
    return f"{amount:,.2f} USD" if price > 0 else ""
