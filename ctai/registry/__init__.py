"""The gates and their metrics, one row each: the single source of every threshold, its meaning and its remedy.

A gate cannot pass with a test left out, because a verdict is `passed` only when every metric listed here was asserted by
a test that ran and passed. Gate tests, preregistration, advice, verification and docs/gates.md follow from these rows.
Beside a row a metric needs one function from records to its value, and where useful a rule that finds offending samples
(`ctai.explain.offenders`).
"""

from ctai.registry.metrics import (
    CONTAMINATION,
    CRITIC_GAIN,
    EVALUATION,
    FAILED_SHARDS,
    HEADROOM,
    INSTRUMENTS,
    KEPT_EXAMPLES,
    QC_METRICS,
    UNIQUE_EXAMPLES,
)
from ctai.registry.specs import Bound, Comparison, GateSpec, MetricSpec, RelaxableSetting

__all__ = [
    "CLAIM_SETTINGS",
    "CRITIC_GAIN",
    "GATES",
    "GATE_NAMES",
    "KEPT_EXAMPLES",
    "METRICS",
    "QC_METRICS",
    "RELAXABLE_SETTINGS",
    "UNIQUE_EXAMPLES",
    "Bound",
    "Comparison",
    "GateSpec",
    "MetricSpec",
    "RelaxableSetting",
    "fixed_threshold",
    "gate_named",
    "gates_after",
    "gates_before",
    "metric_spec",
    "relaxable_settings",
]

GATES: tuple[GateSpec, ...] = (
    GateSpec(
        "1",
        "contamination",
        "the weights are a clean base model in completion mode",
        CONTAMINATION,
        ("model",),
        ("evidence/contamination",),
    ),
    GateSpec(
        "2",
        "instruments",
        "the test set is large enough, and scorers, detectors and critic agree with labels",
        INSTRUMENTS,
        ("profile", "seed", "critic", "heldout", "generation", "instruments"),
        ("evidence/instruments", "artifacts/heldout", "data/heldout.jsonl"),
    ),
    GateSpec(
        "3",
        "headroom",
        "the base model leaves room to improve, measured before any data is generated",
        HEADROOM,
        ("headroom",),
        ("results/headroom",),
    ),
    GateSpec(
        "4",
        "pilot",
        "a small self-generated batch meets every quality threshold",
        (KEPT_EXAMPLES, *QC_METRICS),
        ("pilot", "qc"),
        ("artifacts/pilot*", "evidence/pilot_history.json"),
    ),
    GateSpec(
        "5",
        "scale",
        "the merged dataset is large, unique, clean and free of test items",
        (UNIQUE_EXAMPLES, FAILED_SHARDS, CRITIC_GAIN, *QC_METRICS),
        ("scale",),
        (
            "artifacts/shards",
            "artifacts/merge",
            "data/stage1_sft_data.jsonl",
            "data/removed.jsonl",
            "data/qc_summary.json",
        ),
    ),
    GateSpec(
        "6",
        "evaluation",
        "the trained model answers better than its base, on content",
        EVALUATION,
        ("training", "evaluation", "control", "control_data"),
        ("checkpoints/*", "results/sft_eval*", "evidence/evaluation*"),
    ),
)
GATE_NAMES = tuple(gate.name for gate in GATES)
METRICS = {metric.name: metric for gate in GATES for metric in gate.metrics}

RIVALS = ("base_raw", "base", "base_few_shot", "base_restyled")
"""Arms of the base that the trained model is compared with: bare instruction, training prompt, few-shot, restyled prompt."""

RELAXABLE_SETTINGS = (
    RelaxableSetting("scale.near_duplicate_jaccard", "higher", "filter and check of overlap with the test set use it"),
    RelaxableSetting("critic.confident_margin", "lower", "the critic accepts what it is unsure of"),
    RelaxableSetting(
        "headroom.reference_required", "different", "the reference model does not have to answer the items"
    ),
    RelaxableSetting("generation.filter_with_critic", "different", "the critic filters nothing"),
    RelaxableSetting("heldout.lift_to_detect", "higher", "the power of the test set is that for a larger lift"),
    RelaxableSetting("heldout.discordance", "lower", "the power of the test set is that for less noise"),
    RelaxableSetting("heldout.intraclass_correlation", "lower", "items of one family count as more independent"),
    RelaxableSetting(
        "evaluation.fdr",
        "different",
        "a higher one calls more types different by chance, a lower one misses regressions",
    ),
)

CLAIM_SETTINGS = (
    RelaxableSetting("generation.few_shot_examples", "different", "the few-shot base may be a weaker rival"),
    RelaxableSetting("heldout.count", "lower", "the test set is smaller"),
    RelaxableSetting("critic.probes", "lower", "the critic is calibrated on fewer probes"),
    RelaxableSetting("headroom.max_new_tokens", "lower", "answers of every arm are cut off earlier"),
    RelaxableSetting("pilot.count", "lower", "the quality of the pilot is measured on fewer examples"),
    RelaxableSetting("scale.count", "lower", "the training dataset is smaller"),
    RelaxableSetting("scale.shards", "lower", "fewer independent seeds generate the dataset"),
    RelaxableSetting("training.epochs", "lower", "the model is trained for fewer steps"),
    RelaxableSetting("training.batch_size", "higher", "the model is trained for fewer steps"),
    RelaxableSetting("training.max_tokens", "lower", "longer examples are left out of training"),
)
"""Settings that weaken the claim of a run that falls short of its built-in profile; they are sizes, not thresholds."""


def gate_named(name: str) -> GateSpec:
    """Return the gate of that name."""
    return GATES[GATE_NAMES.index(name)]


def gates_before(name: str) -> tuple[GateSpec, ...]:
    """Return all gates that must have passed before the named one may start."""
    return GATES[: GATE_NAMES.index(name)]


def gates_after(name: str) -> tuple[GateSpec, ...]:
    """Return all gates that may start only when the named one has passed."""
    return GATES[GATE_NAMES.index(name) + 1 :]


def metric_spec(name: str) -> MetricSpec:
    """Return the row of a metric; metrics that several gates judge have one row."""
    return METRICS[name]


def fixed_threshold(name: str) -> float:
    """Return the threshold of a metric that no setting holds."""
    spec = metric_spec(name)
    assert not spec.setting, f"the threshold of {name} is the setting {spec.setting}"
    return spec.threshold


def relaxable_settings() -> tuple[RelaxableSetting, ...]:
    """Return every setting that a run preregisters: thresholds of metrics, then other settings, without duplicates."""
    thresholds = (
        RelaxableSetting(metric.setting, "higher" if metric.comparison in ("<", "<=") else "lower")
        for gate in GATES
        for metric in gate.metrics
        if metric.setting and metric.is_preregistered
    )
    return tuple(dict.fromkeys((*thresholds, *RELAXABLE_SETTINGS)))
