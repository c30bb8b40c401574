"""Configuration: every setting and every threshold, typed, with where each value came from.

A run is configured by defaults, then a profile (TOML), then `--set KEY=VALUE`. All mistakes are reported at once.
Nothing here reads the environment or touches a model.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from ctai.errors import ConfigError
from ctai.prompts import LIST_STOP_STRINGS, STOP_STRINGS
from ctai.records import Record, Sampling

Control = Literal["none", "shuffled", "foreign", "random-text", "seeds-only", "no-critic", "untrained"]
BUILT_IN_PROFILES = ("embedded", "pod")


class ModelSettings(Record):
    """Which base model, and how it is loaded. `auto` is nf4, or none for a GGUF file."""

    name: str = "embedded"
    revision: str | None = None
    quantization: Literal["auto", "none", "nf4"] = "auto"
    device: Literal["cpu", "cuda"] = "cpu"
    allow_bos: bool = False
    batch_size: int = Field(64, ge=1)


class GenerationSettings(Record):
    """How instructions and responses are generated. `embedded_world` keeps to families a tiny model can know."""

    instruction_sampling: Sampling = Sampling(
        temperature=0.7, top_p=0.9, repetition_penalty=1.1, max_new_tokens=200, stop=LIST_STOP_STRINGS
    )
    response_sampling: Sampling = Sampling(
        temperature=0.4, top_p=0.9, repetition_penalty=1.1, max_new_tokens=200, stop=STOP_STRINGS
    )
    list_examples: int = Field(8, ge=2)
    few_shot_examples: int = Field(3, ge=1)
    batch_size: int = Field(64, ge=1, description="prompts a batch; part of the data's definition")
    max_batches_per_item: float = Field(4.0, gt=0, description="gives up after this many times the expected batches")
    example_rotation: int = Field(0, ge=0, description="another number draws other examples and seeds")
    embedded_world: bool = False
    filter_with_critic: bool = True


class PilotSettings(Record):
    """Gate 2: how many kept examples, and how often it may be tried again with changed parameters."""

    count: int = Field(120, ge=100, le=200)
    retries: int = Field(2, ge=0, le=2)


class ScaleSettings(Record):
    """Gate 3: how many unique examples, over how many shards."""

    count: int = Field(15000, ge=1)
    shards: int = Field(8, ge=1)
    oversample: float = Field(
        1.3, ge=1, description="kept examples asked of all shards, over the count, for merging losses"
    )
    near_duplicate_jaccard: float = Field(0.8, gt=0, le=1)


class HeldoutSettings(Record):
    """The frozen test set."""

    count: int = Field(800, ge=1)
    minimum: int = Field(300, ge=300)
    lift_to_detect: float = Field(0.10, gt=0, lt=1)
    power: float = Field(0.80, gt=0, lt=1)


class CriticSettings(Record):
    """The critic and the calibration it must show on labelled probes before its acceptance counts."""

    confident_margin: float = Field(1.0, ge=0)
    probes: int = Field(300, ge=100)
    balanced_accuracy_floor: float = Field(0.6, ge=0, le=1)


class InstrumentSettings(Record):
    """How well checkers and detectors must agree with the labelled texts of the package.

    `scorer_kappa` is a floor for the lower bound of Cohen's kappa over all families, `scorer_family_kappa` for the kappa
    of the worst family; `detector_*` are floors for the worst detector.
    """

    scorer_kappa: float = Field(0.9, ge=0, le=1)
    scorer_family_kappa: float = Field(0.8, ge=0, le=1)
    detector_precision: float = Field(0.95, ge=0, le=1)
    detector_recall: float = Field(0.95, ge=0, le=1)


class QcThresholds(Record):
    """Thresholds of MISSION for the pilot, each shard and the merged union."""

    runaway: float = 0.05
    token_limit: float = 0.10
    delimiter: float = 0.0
    truncated: float = 0.02
    median_tokens: float = 40
    instruction_acceptance: float = 0.50
    pair_acceptance: float = 0.50
    duplicates: float = 0.0
    overlap: float = 0.0


class TrainingSettings(Record):
    """QLoRA SFT. `target_modules` is `all-linear` or module names."""

    rank: int = Field(16, ge=1)
    alpha: int = Field(16, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    target_modules: str | tuple[str, ...] = "all-linear"
    learning_rate: float = Field(2e-4, gt=0)
    warmup: float = Field(0.03, ge=0, lt=1)
    weight_decay: float = Field(0.01, ge=0)
    gradient_clip: float = Field(1.0, gt=0)
    batch_size: int = Field(16, ge=1, description="effective batch size")
    device_batch_size: int = Field(4, ge=1)
    epochs: float = Field(3.0, gt=0)
    max_tokens: int = Field(512, ge=16)
    gradient_checkpointing: bool = True
    checkpoints_per_epoch: int = Field(1, ge=1)
    retry_learning_rate_factor: float = Field(0.5, gt=0)
    retry_epochs_factor: float = Field(1.5, gt=0)


class EvaluationSettings(Record):
    """Gate 4."""

    max_new_tokens: int = Field(64, ge=1)
    alpha: float = Field(0.01, gt=0, lt=1)
    fdr: float = Field(0.10, gt=0, lt=1)
    max_interval_width: float = Field(0.15, gt=0)
    bootstrap_samples: int = Field(9999, ge=999)
    headroom_max_base: float = Field(0.80, gt=0, le=1)
    retries: int = Field(1, ge=0, le=1)


class Limits(Record):
    """Time limits of the stages in seconds, what a crash may cost, and the budget. No result depends on them."""

    contamination: float = 1800
    instruments: float = 3600
    pilot: float = 7200
    scale: float = 86400
    headroom: float = 7200
    training: float = 43200
    evaluation: float = 14400
    review: float = 600
    checkpoint_seconds: float = Field(60.0, ge=0, description="training that a crash may cost")
    cost_per_hour_usd: float = Field(0.0, ge=0)
    budget_usd: float = Field(300.0, ge=0)
    minimum_free_gb: float = Field(2.0, ge=0)


class RunConfig(Record):
    """Everything that defines a run, apart from where it is written."""

    profile: str = "embedded"
    seed: int = 0
    control: Control = "none"
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
        values = _read_profile(profile)
        values["profile"] = profile if profile in BUILT_IN_PROFILES else Path(profile).stem
        problems: list[str] = []
        for setting in settings:
            try:
                _assign(values, setting)
            except ConfigError as error:
                problems.append(str(error))
        values.update({key: value for key, value in top.items() if value is not None})
        try:
            config = cls.model_validate(values)
        except ValidationError as error:
            problems += [_explain(dict(item)) for item in error.errors()]
        if problems:
            raise ConfigError("the configuration has mistakes:\n  " + "\n  ".join(problems))
        return config


def profile_text(name: str) -> str:
    """The TOML text of a built-in profile."""
    return resources.files("ctai").joinpath("profiles", f"{name}.toml").read_text(encoding="utf-8")


def _read_profile(profile: str) -> dict[str, Any]:
    if profile in BUILT_IN_PROFILES:
        return tomllib.loads(profile_text(profile))
    path = Path(profile)
    if not path.is_file():
        raise ConfigError(
            f"profile {profile!r} is neither {' nor '.join(BUILT_IN_PROFILES)} nor a TOML file that exists"
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"profile {profile}: not valid TOML: {error}") from error


def _assign(values: dict[str, Any], setting: str) -> None:
    """Apply one `section.key=value`; the value is read as TOML, else taken as a string."""
    key, separator, text = setting.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"--set {setting}: write KEY=VALUE, such as pilot.count=150")
    *sections, last = key.strip().split(".")
    target = values
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise ConfigError(f"--set {setting}: {section} is not a section")
    try:
        target[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        target[last] = text


def _explain(problem: Mapping[str, Any]) -> str:
    """One sentence for one pydantic error: the key, what is wrong, and the nearest spelling of an unknown key."""
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    if problem["type"] != "extra_forbidden":
        return f"{key}: {problem['msg']} (got {problem.get('input')!r})"
    model: Any = RunConfig
    for part in location[:-1]:
        model = model.model_fields[part].annotation
    names = list(model.model_fields)
    nearest = difflib.get_close_matches(location[-1], names, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"known here: {', '.join(names)}"
    return f"{key}: unknown; {hint}"
