"""The gates: which there are, in which order, and which metrics each must have judged to pass.

The registry is the reason why a gate cannot pass with a test left out: a verdict is `passed` only when every metric
listed here was asserted by a test that ran and passed.
"""

from typing import NamedTuple


class GateSpec(NamedTuple):
    """A gate.

    Attributes:
        number: its place in the order of the run.
        name: as in verdicts and JUnit.
        title: what it proves.
        metrics: what it judges; all of them, or it has not passed.
        sections: the parts of the configuration that it depends on, besides those of the gates before it.
        outputs: patterns of what it leaves in the run directory.
    """

    number: str
    name: str
    title: str
    metrics: tuple[str, ...]
    sections: tuple[str, ...]
    outputs: tuple[str, ...]


_QC_METRICS = (
    "runaway_rate",
    "token_limit_rate",
    "delimiter_rate",
    "truncated_rate",
    "median_tokens",
    "instruction_acceptance",
    "pair_acceptance",
    "duplicate_rate",
    "heldout_overlap",
    "kept_faults",
)

GATES: tuple[GateSpec, ...] = (
    GateSpec(
        "1",
        "contamination",
        "the weights are a clean base model in completion mode",
        (
            "template_disabled",
            "special_tokens_findings",
            "names_findings",
            "adapter_files_findings",
            "attached_adapter_findings",
            "weight_files_findings",
            "instruct_weights_findings",
            "sentinel_completion_rate",
            "sentinel_control_token_mass",
            "sentinel_followed_and_stopped_rate",
            "sentinel_worksheet_stopped_rate",
        ),
        ("model",),
        ("evidence/contamination",),
    ),
    GateSpec(
        "2a",
        "instruments",
        "the test set is large enough, and checkers, detectors and critic agree with labels",
        (
            "heldout_items",
            "heldout_power",
            "scorer_kappa",
            "scorer_family_kappa",
            "detector_precision",
            "detector_recall",
            "instruction_critic_balanced_accuracy",
            "pair_critic_balanced_accuracy",
        ),
        ("seed", "critic", "heldout", "generation", "instruments"),
        ("evidence/instruments", "artifacts/heldout", "data/heldout.jsonl"),
    ),
    GateSpec(
        "2b",
        "pilot",
        "a small batch of self-made data meets every quality threshold",
        (
            "kept_examples",
            *_QC_METRICS,
        ),
        ("pilot", "qc"),
        ("artifacts/pilot*", "evidence/pilot_ladder.json"),
    ),
    GateSpec(
        "3",
        "scale",
        "the merged dataset is large, unique, clean and free of test items",
        (
            "unique_examples",
            "failed_shards",
            *_QC_METRICS,
        ),
        ("scale",),
        (
            "artifacts/shards",
            "artifacts/merge",
            "data/stage1_sft_data.jsonl",
            "data/dropped.jsonl",
            "data/qc_summary.json",
        ),
    ),
    GateSpec(
        "4a",
        "headroom",
        "the base model leaves room to improve, measured before training",
        ("base_zero_shot_content",),
        ("evaluation",),
        ("results/headroom",),
    ),
    GateSpec(
        "4b",
        "evaluation",
        "the trained model answers better than its base, on content",
        (
            "supervised_tokens",
            "arm_difference",
            "content_lift",
            "content_p_value",
            "lift_interval_width",
            "safety_regressions",
            "format_regressions",
        ),
        ("training", "control", "control_data"),
        ("checkpoints/*", "results/sft_eval*", "evidence/evaluation*"),
    ),
)

GATE_NAMES = tuple(gate.name for gate in GATES)


def gate_named(name: str) -> GateSpec:
    """The gate of that name."""
    return GATES[GATE_NAMES.index(name)]


def gates_before(name: str) -> tuple[GateSpec, ...]:
    """All gates that must have passed before the named one may start."""
    return GATES[: GATE_NAMES.index(name)]


def gates_after(name: str) -> tuple[GateSpec, ...]:
    """All gates that may start only when the named one has passed."""
    return GATES[GATE_NAMES.index(name) + 1 :]
