"""Records of a model: environment, provenance, sentinel results and contamination findings."""

from typing import Literal

from ctai.records.core import FinishReason, Rate, Record, VersionedRecord


class SentinelResult(Record):
    """Prompt of the sentinel suite with the model's response and its result."""

    name: str
    kind: Literal["completion", "bare_instruction", "control_token", "prompt_format"]
    prompt: str
    response: str
    finish_reason: FinishReason | None
    passed: bool
    value: float
    detail: str = ""


class PromptFormatRates(Record):
    """Rates of the sentinel suite on instructions in one prompt format.

    Attributes:
        form: name of the prompt format.
        followed: rate of correct answers.
        stopped: rate of non-empty answers, correct or not, after which the model stopped by itself.
    """

    form: str
    followed: Rate
    stopped: Rate


class SentinelReport(Record):
    """Result of the sentinel suite: instruct weights (stops the run) and instruction-following (reported), kept apart."""

    completion_rate: Rate
    followed_rate: Rate
    followed_and_stopped_rate: Rate
    prompt_formats: tuple[PromptFormatRates, ...]
    control_token_mass: float
    statistic: str
    instruct_weights: bool
    follows_instructions: bool
    reasons: tuple[str, ...]
    results: tuple[SentinelResult, ...]


class Environment(Record):
    """Code version, package versions and device; times and host names belong to the `SessionManifest`."""

    git_commit: str
    git_branch: str
    git_dirty: bool
    code_digest: str
    loader_version: str
    python: str
    torch: str
    transformers: str
    packages: dict[str, str]
    cuda: str | None
    device: str
    device_memory_bytes: int | None
    platform: str
    cpu_count: int


class ModelProvenance(Record):
    """Provenance of a loaded model: identity, loading parameters and sentinel results; `requested*` are the arguments.

    Attributes:
        role: `reference` if the model was loaded without the checks that a base has to pass.
    """

    loader_version: str
    requested: str
    model_id: str
    revision: str | None
    weights_digest: str
    tokenizer_digest: str
    architecture: str
    parameters: int
    requested_quantization: str
    quantization: Literal["none", "nf4"]
    double_quantization: bool
    compute_dtype: str
    device: str
    template_disabled: bool
    template_was_present: bool
    add_special_tokens: bool
    bos_allowed: bool
    special_token_delta: int
    control_token_ids: tuple[int, ...]
    control_tokens: tuple[str, ...]
    role: Literal["base", "reference"] = "base"
    adapter_digest: str | None = None
    sentinels: SentinelReport | None = None

    def identity(self) -> dict[str, str]:
        """Return the stage inputs that determine the outputs of the base; an adapter is not included."""
        return {
            "weights_digest": self.weights_digest,
            "tokenizer_digest": self.tokenizer_digest,
            "quantization": self.quantization,
            "compute_dtype": self.compute_dtype,
            "device": self.device,
            "bos_allowed": str(self.bos_allowed),
        }


class ContaminationFinding(Record):
    """Reason why a model must not be used as a base model."""

    name: str
    message: str


class ContaminationReport(VersionedRecord):
    """Result of the contamination checks; `provenance` is None if a finding ruled out loading the weights."""

    findings: tuple[ContaminationFinding, ...]
    provenance: ModelProvenance | None
