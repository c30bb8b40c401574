"""Configuration: every setting and every threshold, typed, with its meaning.

A run is configured by defaults, then a profile (TOML), then `--set KEY=VALUE`, then the options that have a name of their
own. All mistakes are reported at once. Nothing here reads the environment or touches a model; how layers are read and
merged is `config_layers`', how a configuration is written down `config_text`'s.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
)

from ctai.config.sources import BUILT_IN_PROFILES, ConfigSources, explain, is_noise, profile_text
from ctai.errors import ConfigError
from ctai.prompts import LIST_STOP_STRINGS, STOP_STRINGS
from ctai.records import Record, Sampling

__all__ = ["BUILT_IN_PROFILES", "Control", "ResolvedConfig", "RunConfig", "profile_text", "resolve"]

Control = Literal["none", "shuffled", "foreign", "random-text", "seeds-only", "no-critic", "untrained"]


class Settings(Record):
    """A part of the configuration. A threshold of infinity could not fail, so numbers are finite."""

    model_config = ConfigDict(allow_inf_nan=False)


class ModelSettings(Settings):
    """Which base model, and how it is loaded."""

    name: str = Field("embedded", description='a hub id, a folder of safetensors, a .gguf file, or "embedded"')
    revision: str | None = Field(None, description="commit, tag or branch on the hub; without it the newest")
    quantization: Literal["auto", "none", "nf4"] = Field("auto", description="auto is nf4, or none for a GGUF file")
    device: Literal["cpu", "cuda"] = Field("cpu", description="--gpu sets cuda")
    allow_bos: bool = Field(False, description="allow a tokenizer to add a BOS token; the evidence says so")
    batch_size: int = Field(64, ge=1, description="texts that the model works on at once")
    batch_tokens: int = Field(
        32_768, ge=1, description="tokens of these texts and their completions, each padded to the longest, likewise"
    )


class GenerationSettings(Settings):
    """How instructions and responses are generated."""

    instruction_sampling: Sampling = Field(
        Sampling(temperature=0.7, top_p=0.9, repetition_penalty=1.1, max_new_tokens=200, stop=LIST_STOP_STRINGS),
        description="how lists of instructions are sampled",
    )
    response_sampling: Sampling = Field(
        Sampling(temperature=0.4, top_p=0.9, repetition_penalty=1.1, max_new_tokens=200, stop=STOP_STRINGS),
        description="how responses are sampled",
    )
    list_examples: int = Field(8, ge=2, description="examples at the head of a list of instructions")
    few_shot_examples: int = Field(3, ge=1, description="worked examples before an instruction")
    batch_size: int = Field(64, ge=1, description="prompts a batch; part of the data's definition")
    max_batches_per_item: float = Field(4.0, gt=0, description="gives up after this many times the expected batches")
    example_rotation: int = Field(0, ge=0, description="another number draws other examples and seeds")
    embedded_world: bool = Field(False, description="test only with the families that a tiny model can know")
    filter_with_critic: bool = Field(True, description="keep only what the critic accepts")
    families: tuple[str, ...] = Field(
        (),
        description="your own instruction families: names of entry points, modules, or .py files (docs/own_families.md)",
    )
    families_sha256: str = Field(
        "", description="digest of their files; ctai fills it in, and refuses others if it is given"
    )

    @field_validator("families", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) and value else value or ()

    @model_serializer(mode="wrap")
    def _without_what_is_not_used(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave own families out where there are none, so that a run without them keeps its digest."""
        values: dict[str, Any] = serialize(self)
        own = ("families", "families_sha256")
        return {key: value for key, value in values.items() if key not in own or value}


class PilotSettings(Settings):
    """Gate 2b: a small batch, which may be tried again with changed parameters."""

    count: int = Field(120, ge=100, le=200, description="examples to keep")
    retries: int = Field(2, ge=0, le=2, description="how often it may be tried again")


class ScaleSettings(Settings):
    """Gate 3: the dataset, made in shards and merged."""

    count: int = Field(15000, ge=1, description="unique examples to reach (--count)")
    shards: int = Field(8, ge=1, description="parts, each with seeds of its own")
    oversample: float = Field(
        1.3, ge=1, description="kept examples asked of all shards, over the count, for merging losses"
    )
    near_duplicate_jaccard: float = Field(0.8, gt=0, le=1, description="instructions at least this alike are one")


class HeldoutSettings(Settings):
    """Gate 2a: the frozen test set."""

    count: int = Field(800, ge=1, description="items to draw")
    minimum: int = Field(300, ge=300, description="threshold: items that there must be")
    lift_to_detect: float = Field(0.10, gt=0, lt=1, description="the lift of the success rate that the run is after")
    power: float = Field(0.80, gt=0, lt=1, description="threshold: chance to see that lift")


class CriticSettings(Settings):
    """Gate 2a: the critic, and what it must show on labelled probes before its acceptance counts."""

    confident_margin: float = Field(1.0, ge=0, description="least difference of the two labels' log-probabilities")
    probes: int = Field(300, ge=100, description="labelled probes of each kind")
    balanced_accuracy_floor: float = Field(0.6, ge=0, le=1, description="threshold for the lower bound")


class InstrumentSettings(Settings):
    """Gate 2a: how well checkers and detectors must agree with labelled texts."""

    scorer_kappa: float = Field(0.9, ge=0, le=1, description="threshold: Cohen's kappa over all families, lower bound")
    scorer_family_kappa: float = Field(0.8, ge=0, le=1, description="threshold: Cohen's kappa of the worst family")
    detector_precision: float = Field(0.95, ge=0, le=1, description="threshold for the worst detector")
    detector_recall: float = Field(0.95, ge=0, le=1, description="threshold for the worst detector")


class QcThresholds(Settings):
    """Gates 2b and 3: thresholds for the pilot, each shard and the merged union."""

    runaway: float = Field(0.05, ge=0, le=1, description="rate below which responses may run on")
    token_limit: float = Field(0.10, ge=0, le=1, description="rate below which responses may use up their budget")
    delimiter: float = Field(0.0, ge=0, le=1, description="largest rate of responses with a piece of the delimiter")
    truncated: float = Field(0.02, ge=0, le=1, description="rate below which responses may be cut off")
    median_tokens: float = Field(40, gt=0, description="tokens that the median response must stay below")
    instruction_acceptance: float = Field(
        0.50, ge=0, le=1, description="least share of instructions that the critic accepts"
    )
    pair_acceptance: float = Field(0.50, ge=0, le=1, description="least share of pairs that the critic accepts")
    duplicates: float = Field(0.0, ge=0, le=1, description="largest rate of instructions that are there twice")
    overlap: float = Field(0.0, ge=0, le=1, description="largest rate of examples that ask what the test set asks")


class TrainingSettings(Settings):
    """Gate 4b: QLoRA."""

    rank: int = Field(16, ge=1, description="rank of the adapter")
    alpha: int = Field(16, ge=1, description="scale of the adapter is alpha over rank")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout of the adapter's input")
    target_modules: str | tuple[str, ...] = Field("all-linear", description='"all-linear" or names of modules')
    learning_rate: float = Field(2e-4, gt=0, description="its peak; cosine decay to 0")
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the steps")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW")
    gradient_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    batch_size: int = Field(16, ge=1, description="effective batch size")
    device_batch_size: int = Field(4, ge=1, description="examples at once on the device")
    epochs: float = Field(3.0, gt=0, description="passes over the data")
    max_tokens: int = Field(512, ge=16, description="longest example")
    gradient_checkpointing: bool | None = Field(
        None, description="less memory for more time; by default where the memory of a GPU needs it"
    )
    checkpoints_per_epoch: int = Field(1, ge=1, description="how often training can be resumed from")
    retry_learning_rate_factor: float = Field(0.5, gt=0, description="for the one retry of gate 4b")
    retry_epochs_factor: float = Field(1.5, gt=0, description="for the one retry of gate 4b")


class EvaluationSettings(Settings):
    """Gates 4a and 4b: answering the test set, and what counts as better."""

    max_new_tokens: int = Field(64, ge=1, description="budget of an answer")
    alpha: float = Field(0.01, gt=0, lt=1, description="threshold for the p-value of McNemar's test")
    fdr: float = Field(0.10, gt=0, lt=1, description="false discovery rate of the comparisons by type")
    max_interval_width: float = Field(0.15, gt=0, description="threshold for the width of the lift's 95% interval")
    bootstrap_samples: int = Field(9999, ge=999, description="for that interval")
    headroom_max_base: float = Field(0.80, gt=0, le=1, description="threshold for the base's success before training")
    retries: int = Field(
        1, ge=0, le=1, description="second training with tuned parameters: another look, at half the alpha"
    )


class Limits(Settings):
    """Seconds that each stage may take in a session, what a crash may cost, and the budget. No part of what is made."""

    contamination: float = Field(1800, description="gate 1")
    instruments: float = Field(3600, description="gate 2a")
    pilot: float = Field(7200, description="gate 2b")
    scale: float = Field(86400, description="gate 3")
    headroom: float = Field(7200, description="gate 4a")
    training: float = Field(43200, description="training, in gate 4b")
    evaluation: float = Field(14400, description="gate 4b")
    review: float = Field(600, description="the program named by CTAI_REVIEW_COMMAND")
    checkpoint_seconds: float = Field(60.0, ge=0, description="seconds of training that a crash may cost")
    cost_per_hour_usd: float = Field(0.0, ge=0, description="price of the machine; 0 sets no budget")
    budget_usd: float = Field(300.0, ge=0, description="no stage is started or goes on that would pass it")
    minimum_free_gb: float = Field(2.0, ge=0, description="free disk space to ask for, less the weights that are there")


class RunConfig(Settings):
    """Everything that defines a run, apart from where it is written."""

    profile: str = Field("embedded", description="name of the profile; part of the default run directory's name")
    seed: int = Field(0, description="seed of the run (--seed)")
    control: Control = Field("none", description="a control run leaves out what should matter (--control)")
    control_data: str = Field("", description="the dataset of another run, for control foreign")
    model: ModelSettings = ModelSettings()
    generation: GenerationSettings = GenerationSettings()
    pilot: PilotSettings = PilotSettings()
    scale: ScaleSettings = ScaleSettings()
    heldout: HeldoutSettings = HeldoutSettings()
    critic: CriticSettings = CriticSettings()
    instruments: InstrumentSettings = InstrumentSettings()
    qc: QcThresholds = QcThresholds()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    limits: Limits = Limits()

    @classmethod
    def load(cls, profile: str = "embedded", settings: Sequence[str] = (), **top: Any) -> "RunConfig":
        """The configuration of a built-in profile or a TOML file, changed by `KEY=VALUE` settings.

        `top` sets top-level keys such as `seed` or `control`.

        Raises:
            ConfigError: with every unknown key, wrong value and unreadable file, one a line.
        """
        return resolve(profile, settings, {key: (value, "option") for key, value in top.items()}).config


class ResolvedConfig(NamedTuple):
    """A configuration, and where each value came from: `origins` by dotted key; what is not in it is a default."""

    config: RunConfig
    origins: Mapping[str, str]


def resolve(
    profile: str, settings: Sequence[str] = (), options: Mapping[str, tuple[Any, str]] | None = None
) -> ResolvedConfig:
    """A configuration from a profile, then settings, then options.

    Args:
        profile: the name of a built-in profile, or a TOML file.
        settings: each `KEY=VALUE`, the value in TOML or else a plain string.
        options: by dotted key the value, None if it was not given, and the option that sets it.

    Raises:
        ConfigError: with every mistake, one a line.
    """
    layers = ConfigSources()
    layers.read_profile(profile)
    layers.default("profile", profile if profile in BUILT_IN_PROFILES else Path(profile).stem)
    for setting in settings:
        layers.assign(setting)
    for key, (value, origin) in (options or {}).items():
        if value is not None:
            layers.put(key, value, origin)
    problems = list(layers.problems)
    try:
        config = RunConfig.model_validate(layers.values)
    except ValidationError as error:
        found = [dict(item) for item in error.errors() if not is_noise(dict(item), error.errors())]
        problems += [explain(item, RunConfig, layers.origins) for item in found]
    if problems:
        raise ConfigError("the configuration has mistakes:\n  " + "\n  ".join(problems))
    return ResolvedConfig(config, layers.origins)
