"""Records about a model: what it ran on, how it was loaded, and what the contamination checks found."""

from typing import Literal

from ctai.records.core import FinishReason, Rate, Record, VersionedRecord


class SentinelResult(Record):
    """One prompt of the sentinel suite and what the model did with it."""

    name: str
    kind: Literal["completion", "bare_instruction", "control_token", "worksheet"]
    prompt: str
    response: str
    finish_reason: FinishReason | None
    passed: bool
    value: float
    detail: str = ""


class WorksheetRates(Record):
    """Instructions in one form of worksheet: how many were answered rightly, and after how many the text just ended.

    `stopped` is of the answers, right or wrong, empty ones left out: those that the model ended itself, with nothing
    after them.
    """

    form: str
    followed: Rate
    stopped: Rate


class SentinelReport(Record):
    """The suite's two findings, kept apart: instruct weights (stops everything) and instruction-following (reported)."""

    completion_rate: Rate
    followed_rate: Rate
    followed_and_stopped_rate: Rate
    worksheets: tuple[WorksheetRates, ...]
    control_token_mass: float
    statistic: str
    instruct_weights: bool
    follows_instructions: bool
    reasons: tuple[str, ...]
    results: tuple[SentinelResult, ...]


class Environment(Record):
    """What the code ran on. Times and host names are not here: they belong to the session manifest."""

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
    """Which model was loaded, how, and what the checks said. `requested_*` is what was asked for."""

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
    adapter_digest: str | None = None
    sentinels: SentinelReport | None = None

    def identity(self) -> dict[str, str]:
        """All that was resolved and changes what the base computes, as inputs of a stage; an adapter comes on top."""
        return {
            "weights_digest": self.weights_digest,
            "tokenizer_digest": self.tokenizer_digest,
            "quantization": self.quantization,
            "compute_dtype": self.compute_dtype,
            "device": self.device,
            "bos_allowed": str(self.bos_allowed),
        }


class ContaminationFinding(Record):
    """One reason why a model must not be used as a base model."""

    name: str
    message: str


class ContaminationReport(VersionedRecord):
    """What gate 1 found; `provenance` is None when a finding forbade even to load the weights."""

    findings: tuple[ContaminationFinding, ...]
    provenance: ModelProvenance | None
