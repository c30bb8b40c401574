"""Schema of the settings and thresholds of a run.

Owns types, defaults, bounds and descriptions. Precedence of values, lowest first: default,
profile (TOML), `--set KEY=VALUE`, named option such as `--seed`. All mistakes are
reported at once. Does not merge the sources (`ctai.config.sources`) and does not write TOML (`ctai.config.toml`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
)

from ctai.config.limits import Limits, Settings
from ctai.config.sources import BUILT_IN_PROFILES, ConfigSources, error_message, is_repeated, profile_text
from ctai.errors import ConfigError
from ctai.prompts import LIST_STOP_STRINGS, STOP_STRINGS
from ctai.records import Sampling

__all__ = ["BUILT_IN_PROFILES", "Control", "ResolvedConfig", "RunConfig", "profile_text", "resolve"]

Control = Literal["none", "shuffled", "foreign", "random-text", "seeds-only", "no-critic", "untrained", "response-only"]


class ModelSettings(Settings):
    """Base model and how it is loaded."""

    name: str = Field("embedded", description='hub id, folder of safetensors, .gguf file, or "embedded"')
    revision: str | None = Field(None, description="commit, tag or branch on the hub; the default branch if not set")
    quantization: Literal["auto", "none", "nf4"] = Field(
        "auto", description="weight quantization; auto selects nf4, or none for a GGUF file"
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="compute device; --gpu sets cuda")
    allow_bos: bool = Field(False, description="allow a tokenizer that adds a BOS token; recorded in the evidence")
    batch_size: int = Field(64, ge=1, description="maximum sequences per batch")
    batch_tokens: int = Field(
        32_768, ge=1, description="maximum tokens per batch, prompts and completions padded to the longest sequence"
    )


class GenerationSettings(Settings):
    """Generation of instructions and responses."""

    instruction_sampling: Sampling = Field(
        Sampling(temperature=0.7, top_p=0.9, repetition_penalty=1.1, max_new_tokens=200, stop=LIST_STOP_STRINGS),
        description="sampling parameters of instruction lists",
    )
    response_sampling: Sampling = Field(
        Sampling(temperature=0.4, top_p=0.9, repetition_penalty=1.1, max_new_tokens=200, stop=STOP_STRINGS),
        description="sampling parameters of responses",
    )
    list_examples: int = Field(8, ge=2, description="few-shot examples at the start of an instruction list prompt")
    few_shot_examples: int = Field(3, ge=1, description="few-shot examples before the instruction in a response prompt")
    batch_size: int = Field(64, ge=1, description="prompts per generation batch; another value generates other data")
    max_batches_per_item: float = Field(
        4.0, gt=0, description="maximum generation batches, as a multiple of the expected number"
    )
    example_rotation: int = Field(0, ge=0, description="index of the few-shot and seed rotation")
    embedded_world: bool = Field(
        False, description="draw test set, probes and labels only from the embedded model's instruction families"
    )
    filter_with_critic: bool = Field(True, description="keep only instructions and pairs that the critic accepts")
    families: tuple[str, ...] = Field(
        (),
        description="user-defined instruction families: entry points, modules or .py files (docs/own_families.md)",
    )
    families_sha256: str = Field(
        "", description="SHA-256 of the family files, filled in by ctai; if it is set, other files are refused"
    )

    @field_validator("families", mode="before")
    @classmethod
    def _wrap_single_name(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) and value else value or ()

    @model_serializer(mode="wrap")
    def _omit_unused_families(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit user-defined families where there are none, so that a run without them keeps its digest."""
        values: dict[str, Any] = serialize(self)
        optional = ("families", "families_sha256")
        return {key: value for key, value in values.items() if key not in optional or value}


class PilotSettings(Settings):
    """Gate pilot: a small dataset, with retries under changed parameters."""

    count: int = Field(120, ge=100, le=200, description="examples to keep")
    retries: int = Field(2, ge=0, le=2, description="maximum retries")


class ScaleSettings(Settings):
    """Gate scale: the full dataset, generated in shards and merged."""

    count: int = Field(15000, ge=1, description="unique examples to reach; set by --count")
    shards: int = Field(8, ge=1, description="number of shards, each with separate seeds; set by --shards")
    oversample: float = Field(
        1.3, ge=1, description="kept examples over all shards as a multiple of the count, to cover losses in the merge"
    )
    near_duplicate_jaccard: float = Field(
        0.8, gt=0, le=1, description="minimum Jaccard similarity of two instructions to count as near-duplicates"
    )


class HeldoutSettings(Settings):
    """Gate instruments: the frozen held-out test set."""

    count: int = Field(1200, ge=1, description="items to draw from families of which other keys may be asked")
    unseen_count: int = Field(
        160, ge=0, description="items to draw from families that are held out whole; the embedded model has none"
    )
    minimum: int = Field(
        300,
        ge=1,
        description="threshold: minimum effective number of items, with the design effect of families counted",
    )
    minimum_per_type: int = Field(30, ge=1, description="threshold: minimum number of items of each type")
    minimum_guarded: int = Field(300, ge=1, description="threshold: minimum number of items of types safety and format")
    minimum_guarded_families: int = Field(
        8, ge=1, description="threshold: minimum number of families of types safety and format"
    )
    minimum_unseen: int = Field(150, ge=1, description="threshold: minimum number of items of families held out whole")
    minimum_unseen_families: int = Field(8, ge=1, description="threshold: minimum number of families held out whole")
    discordance: float = Field(
        0.20, gt=0, le=1, description="preregistered share of the items on which two arms differ"
    )
    intraclass_correlation: float = Field(
        0.05,
        ge=0,
        le=1,
        description="preregistered intra-class correlation of items of one family; measured on the embedded model: 0.055",
    )
    lift_to_detect: float = Field(
        0.10, gt=0, lt=1, description="lift of the success rate that the test set must be able to detect"
    )
    power: float = Field(
        0.80, gt=0, lt=1, description="threshold: minimum power to detect that lift, and to show non-inferiority"
    )


class CriticSettings(Settings):
    """Gate instruments: the critic and its calibration on labelled probes."""

    confident_margin: float = Field(
        1.0,
        ge=0,
        description="minimum difference of the two labels' log-probabilities, in nats, for a confident judgement",
    )
    probes: int = Field(300, ge=100, description="labelled probes of instructions, and as many of pairs")
    balanced_accuracy_floor: float = Field(
        0.6, ge=0, le=1, description="threshold: minimum lower 95% bound of the balanced accuracy"
    )

    def calibration(self) -> dict[str, Any]:
        """Return the settings that the calibration depends on: all but the threshold that it is compared with."""
        return self.model_dump(mode="json", exclude={"balanced_accuracy_floor"})

    def judgement(self) -> dict[str, Any]:
        """Return the settings that a judgement depends on: those of the calibration but the number of probes."""
        return self.model_dump(mode="json", exclude={"balanced_accuracy_floor", "probes"})


class InstrumentSettings(Settings):
    """Gate instruments: agreement of scorers and detectors with labelled texts."""

    scorer_kappa: float = Field(
        0.9, ge=0, le=1, description="threshold: minimum lower 95% bound of Cohen's kappa over all families"
    )
    scorer_family_kappa: float = Field(
        0.8, ge=0, le=1, description="threshold: minimum Cohen's kappa of the weakest family"
    )
    detector_precision: float = Field(
        0.95, ge=0, le=1, description="threshold: minimum precision of the worst detector"
    )
    detector_recall: float = Field(0.95, ge=0, le=1, description="threshold: minimum recall of the worst detector")


class QcThresholds(Settings):
    """Gates pilot and scale: QC thresholds of the pilot, each shard and the merged dataset."""

    runaway: float = Field(0.05, ge=0, le=1, description="maximum rate of runaway responses, exclusive")
    token_limit: float = Field(
        0.10, ge=0, le=1, description="maximum rate of responses that reach the token limit, exclusive"
    )
    delimiter: float = Field(0.0, ge=0, le=1, description="maximum rate of responses with leaked delimiter text")
    truncated: float = Field(0.02, ge=0, le=1, description="maximum rate of truncated responses, exclusive")
    median_tokens: float = Field(40, gt=0, description="maximum median response length in tokens, exclusive")
    instruction_acceptance: float = Field(
        0.50, ge=0, le=1, description="minimum acceptance rate of instructions by the critic"
    )
    pair_acceptance: float = Field(0.50, ge=0, le=1, description="minimum acceptance rate of pairs by the critic")
    critic_gain: float = Field(
        0.0,
        ge=-1,
        le=1,
        description="minimum lower 95% bound of the pair critic's gain in right pairs, exclusive; of the merged dataset only",
    )
    duplicates: float = Field(0.0, ge=0, le=1, description="maximum duplicate rate")
    overlap: float = Field(0.0, ge=0, le=1, description="maximum rate of examples that overlap the held-out test set")


class TrainingSettings(Settings):
    """Gate evaluation: supervised fine-tuning with QLoRA."""

    rank: int = Field(16, ge=1, description="LoRA rank")
    alpha: int = Field(16, ge=1, description="LoRA alpha; the adapter is scaled by alpha / rank")
    dropout: float = Field(0.1, ge=0, lt=1, description="LoRA dropout")
    target_modules: str | tuple[str, ...] = Field(
        "all-linear", description='"all-linear" or the names of the modules to adapt'
    )
    learning_rate: float = Field(2e-4, gt=0, description="peak learning rate, decayed to 0 by a cosine schedule")
    warmup: float = Field(0.03, ge=0, lt=1, description="fraction of the steps with linear learning rate warmup")
    weight_decay: float = Field(0.01, ge=0, description="AdamW weight decay")
    gradient_clip: float = Field(1.0, gt=0, description="maximum gradient norm")
    batch_size: int = Field(16, ge=1, description="effective batch size: examples per optimizer step")
    device_batch_size: int = Field(4, ge=1, description="micro-batch size: examples per forward pass on the device")
    epochs: float = Field(3.0, gt=0, description="passes over the training data")
    max_tokens: int = Field(512, ge=16, description="maximum tokens per example; longer examples are left out")
    gradient_checkpointing: bool | None = Field(
        None, description="recompute activations to save memory; if not set, only where GPU memory requires it"
    )
    checkpoints_per_epoch: int = Field(1, ge=1, description="checkpoints kept per epoch")
    dev_fraction: float = Field(
        0.05, ge=0, lt=0.5, description="fraction of the dataset held out as development split; 0 disables it"
    )
    dev_evaluations_per_epoch: int = Field(4, ge=1, description="evaluations of the development loss per epoch")
    early_stop_patience: int = Field(
        3, ge=0, description="evaluations without a lower development loss after which training ends; 0 disables it"
    )
    retry_learning_rate_factor: float = Field(
        0.5, gt=0, description="factor on the learning rate in the retry of gate evaluation"
    )
    retry_epochs_factor: float = Field(1.5, gt=0, description="factor on the epochs in the retry of gate evaluation")

    def hyperparameters(self) -> dict[str, Any]:
        """Return the settings that one training depends on: all but the factors that make those of a retry."""
        return self.model_dump(mode="json", exclude={"retry_learning_rate_factor", "retry_epochs_factor"})


class HeadroomSettings(Settings):
    """Gate headroom: answers of the base model on the test set."""

    max_new_tokens: int = Field(64, ge=1, description="maximum new tokens per answer, for every arm")
    max_base: float = Field(
        0.30,
        gt=0,
        lt=0.60,
        description="threshold: maximum success rate of the base model on the training prompt; below 0.60 in any run",
    )
    max_base_upper: float = Field(
        0.40, gt=0, lt=1, description="threshold: maximum upper 95% bound of that rate, exclusive"
    )
    reference: str = Field(
        "", description="reference instruct model: hub id, folder of safetensors or .gguf file; none if empty"
    )
    reference_required: bool = Field(
        True, description="hold the reference model to headroom.min_reference; otherwise it is only reported"
    )
    min_reference: float = Field(
        0.70, gt=0, lt=1, description="threshold: minimum lower 95% bound of the reference model's rate, exclusive"
    )


class EvaluationSettings(Settings):
    """Gate evaluation: statistical tests and retries."""

    alpha: float = Field(0.01, gt=0, lt=1, description="threshold: significance level of McNemar's test")
    fdr: float = Field(
        0.10, gt=0, lt=1, description="false discovery rate of the comparisons by type (Benjamini-Hochberg)"
    )
    min_stop_rate: float = Field(
        0.95,
        ge=0,
        le=1,
        description="threshold: minimum lower 95% bound of the rate of answers that SFT ends by itself",
    )
    min_strict_share: float = Field(
        0.90, ge=0, le=1, description="threshold: minimum share of strict successes among the correct answers of SFT"
    )
    non_inferiority_limit: float = Field(
        -0.05,
        gt=-1,
        lt=0,
        description="threshold: minimum lower 95% bound of the success rate of SFT minus that of the few-shot base",
    )
    max_interval_width: float = Field(0.15, gt=0, description="threshold: maximum width of the lift's 95% interval")
    retries: int = Field(
        1,
        ge=0,
        le=1,
        description="maximum retries of training with tuned parameters; the second comparison has a quarter of the first's alpha",
    )


class RunConfig(Settings):
    """Complete configuration of a run, except for its run directory."""

    profile: str = Field("embedded", description="name of the profile, part of the default run directory's name")
    seed: int = Field(0, description="random seed of the run (--seed)")
    control: Control = Field(
        "none", description="negative control (--control): removes or replaces an ingredient that should matter"
    )
    control_data: str = Field("", description="dataset of another run (JSONL file), required by control foreign")
    model: ModelSettings = ModelSettings()
    generation: GenerationSettings = GenerationSettings()
    pilot: PilotSettings = PilotSettings()
    scale: ScaleSettings = ScaleSettings()
    heldout: HeldoutSettings = HeldoutSettings()
    headroom: HeadroomSettings = HeadroomSettings()
    critic: CriticSettings = CriticSettings()
    instruments: InstrumentSettings = InstrumentSettings()
    qc: QcThresholds = QcThresholds()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    limits: Limits = Limits()

    @classmethod
    def load(cls, profile: str = "embedded", settings: Sequence[str] = (), **top: Any) -> "RunConfig":
        """Load a built-in profile or a TOML file and apply settings to it.

        Args:
            profile: name of a built-in profile, or path of a TOML file.
            settings: `KEY=VALUE` each, with a dotted key.
            **top: values of top-level keys such as `seed` or `control`.

        Raises:
            ConfigError: a key is unknown, a value is invalid or the file is unreadable; lists all problems, one a line.
        """
        return resolve(profile, settings, {key: (value, "option") for key, value in top.items()}).config


class ResolvedConfig(NamedTuple):
    """A configuration with the origin of each value.

    Attributes:
        config: the configuration.
        origins: origin by dotted key, such as `profile pod` or `--set`; keys that are missing have their default.
    """

    config: RunConfig
    origins: Mapping[str, str]


def resolve(
    profile: str, settings: Sequence[str] = (), options: Mapping[str, tuple[Any, str]] | None = None
) -> ResolvedConfig:
    """Resolve a configuration from a profile, settings and options, in order of increasing precedence.

    Args:
        profile: name of a built-in profile, or path of a TOML file.
        settings: `KEY=VALUE` each; the value is TOML, or else a plain string.
        options: dotted key -> (value, name of the option); the value is None if the option was not given.

    Raises:
        ConfigError: the configuration is invalid; lists all of them, one a line.
    """
    sources = ConfigSources()
    sources.read_profile(profile)
    sources.set_default("profile", profile if profile in BUILT_IN_PROFILES else Path(profile).stem)
    for setting in settings:
        sources.read_setting(setting)
    for key, (value, origin) in (options or {}).items():
        if value is not None:
            sources.set_value(key, value, origin)
    problems = list(sources.problems)
    try:
        config = RunConfig.model_validate(sources.values)
    except ValidationError as error:
        details = [dict(detail) for detail in error.errors()]
        problems += [error_message(d, RunConfig, sources.origins) for d in details if not is_repeated(d, details)]
    if problems:
        raise ConfigError("invalid configuration:\n  " + "\n  ".join(problems))
    return ResolvedConfig(config, sources.origins)
