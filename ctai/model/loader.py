"""Loader of models and tokenizers, the only one: checked, without chat template, with a record of their provenance.

Owns loading and the order of the checks. Does not define the checks (`ctai.model.checks`), find files
(`ctai.model.sources`) or run the model (`ctai.model.inference`).
"""

import contextlib
import importlib.util
import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from ctai.errors import ContaminationError, CtaiError, short_error
from ctai.model import sources
from ctai.model.chat_template import disable_template, template_text
from ctai.model.checks import contamination
from ctai.model.checks.batching import check_batching
from ctai.model.checks.contamination import Finding
from ctai.model.checks.sentinels import run_sentinels, sentinel_findings
from ctai.model.clean_model import CleanModel
from ctai.model.control_tokens import InputGuard, control_tokens
from ctai.model.dequantization import dequantize_once
from ctai.model.inference.batching import BatchLimits
from ctai.model.inference.engine import Engine
from ctai.model.reference import ReferenceModel
from ctai.provenance import loader_version
from ctai.records import ModelProvenance, SentinelReport
from ctai.rundir import digest_of, disk_errors

__all__ = ["CleanModel", "CleanModelLoader", "Finding", "ModelCheck", "save_model"]

Quantization = Literal["auto", "none", "nf4"]

# Below this many parameters a second thread gains nothing (measured on the embedded model: 256 answers in 5.1 s with one
# thread and in 4.1 to 6.3 s with two), and costs up to 20 times as much once anything else runs on the machine.
_SMALL_MODEL = 20_000_000

# Exceptions of transformers for damaged, missing or unknown files.
_FILE_ERRORS = (OSError, ValueError, ImportError, struct.error, SafetensorError, StrictDataclassError)
# Configuration and tokenizer are untrusted text files, read without a device: any exception is due to their content.
_TEXT_ERRORS = (Exception,)


class ModelCheck(NamedTuple):
    """Result of all checks of a model.

    Attributes:
        model: the loaded model; None when a finding forbids loading the weights.
        findings: reasons against the model; empty when every check passed.
        provenance: record of the files and loading options; None when nothing was loaded.
        sentinels: report of the sentinel suite; None when it did not run.
    """

    model: CleanModel | None
    findings: tuple[Finding, ...]
    provenance: ModelProvenance | None
    sentinels: SentinelReport | None

    def messages(self, check: contamination.Check) -> list[str]:
        """Return the messages of one check; empty when it passed."""
        return [finding.message for finding in self.findings if finding.name == check]


class _CheckedTokenizer(NamedTuple):
    """A tokenizer with its template removed, its control tokens by id, and the number of special tokens it adds."""

    tokenizer: Any
    control: dict[int, str]
    had_template: bool
    delta: int


class CleanModelLoader:
    """Loader of a base model for completion mode.

    The chat template is removed, no special tokens are added, no custom model code is run and no pickle is read. Local
    paths are preferred over the hub.

    Args:
        name_or_path: hub id, folder of safetensors, .gguf file, or "embedded".
        quantization: "nf4" (double quantization; computes in bfloat16 on cuda and float32 on cpu, where that is
            faster), "none" (bfloat16 on cuda, float32 on cpu), or "auto": nf4, but none for a GGUF file.
        device: "cpu" or "cuda".
        allow_bos: prepend the beginning-of-sequence token to every prompt, for models that need it.
        revision: branch, tag or commit of a hub model.
        batch_size: maximum sequences per batch.
        batch_tokens: maximum tokens per batch, all sequences padded to the longest and its completion.

    Raises:
        CtaiError: `quantization` or `device` is none of these values.
    """

    def __init__(
        self,
        name_or_path: str,
        quantization: Quantization = "none",
        device: str = "cpu",
        allow_bos: bool = False,
        revision: str | None = None,
        batch_size: int = 64,
        batch_tokens: int = 32_768,
    ) -> None:
        if quantization not in ("auto", "none", "nf4"):
            raise CtaiError(f"quantization {quantization!r}: choose none, nf4 or auto")
        if device not in ("cpu", "cuda"):
            raise CtaiError(f"device {device!r}: choose cpu or cuda")
        self._requested: Quantization = quantization
        self._name = str(name_or_path)
        self._device = device
        self._allow_bos = allow_bos
        self._revision = revision
        self._limits = BatchLimits(batch_size, batch_tokens)

    def load(self, sentinels: bool = True) -> CleanModel:
        """Load the model and run every check.

        Args:
            sentinels: run the sentinel suite, the slowest check. False is for a model whose weights digest
                has passed gate contamination before; all other checks still run.

        Raises:
            ContaminationError: a check failed; the message holds every reason.
            CtaiError: the model cannot be loaded.
        """
        result = self.check(sentinels)
        if result.findings or result.model is None:
            reasons = "; ".join(finding.message for finding in result.findings)
            raise ContaminationError(f"{self._name} cannot be used as a base model: {reasons}")
        return result.model

    def load_reference(self) -> ReferenceModel:
        """Load an instruct model as a reference, never a base: no chat template; names and behaviour are not checked.

        Raises:
            CtaiError: a check failed (ContaminationError), or the model cannot be loaded.
        """
        source = sources.resolve_model(self._name, self._revision)
        findings = contamination.file_findings(source.folder, source.weight_files)
        quantization = self._resolve_quantization(source)
        _check_config(source)
        checked = self._read_tokenizer(source)
        findings += contamination.special_token_findings(checked.tokenizer, self._allow_bos, checked.control)
        if findings:
            raise ContaminationError("; ".join(finding.message for finding in findings))
        module = self._read_model(source, quantization)
        provenance = self._provenance(source, quantization, checked, module, None).model_copy(
            update={"role": "reference"}
        )
        return ReferenceModel(self._engine(source, checked, module, self._allow_bos), provenance)

    def check(self, sentinels: bool = True) -> ModelCheck:
        """Load the model, run every check and return all findings instead of raising an error.

        Args:
            sentinels: as in `load`.

        Raises:
            CtaiError: the model cannot be loaded for reasons other than contamination.
        """
        source = sources.resolve_model(self._name, self._revision)
        findings = contamination.file_findings(source.folder, source.weight_files)
        findings += contamination.name_findings(source.model_id, source.weight_files)
        if any(finding.name in ("adapter_files", "weight_files") for finding in findings):
            return ModelCheck(None, tuple(findings), None, None)
        quantization = self._resolve_quantization(source)
        _check_config(source)
        checked = self._read_tokenizer(source)
        findings += contamination.special_token_findings(checked.tokenizer, self._allow_bos, checked.control)
        module = self._read_model(source, quantization)
        if getattr(module, "peft_config", None):
            message = "an adapter is attached to the loaded weights: load the base alone"
            findings.append(Finding("attached_adapter", message))
        use_bos = self._allow_bos and all(finding.name != "special_tokens" for finding in findings)
        engine = self._engine(source, checked, module, use_bos)
        report = run_sentinels(engine, tuple(checked.control)) if sentinels else None
        findings += sentinel_findings(report) if report else []
        provenance = self._provenance(source, quantization, checked, module, report)
        return ModelCheck(
            CleanModel(module, checked.tokenizer, engine, provenance), tuple(findings), provenance, report
        )

    def _engine(self, source: sources.ModelSource, checked: _CheckedTokenizer, module: Any, use_bos: bool) -> Engine:
        with _load_errors(source.requested):
            check_batching(module, checked.control, self._device, source.requested)
        bos = checked.tokenizer.bos_token_id if use_bos else None
        return Engine(module, checked.tokenizer, InputGuard(checked.control), self._device, *self._limits, bos)

    def load_tokenizer(self) -> Any:
        """Load the tokenizer alone, without its chat template and with its special tokens checked.

        Raises:
            ContaminationError: it adds special tokens.
            CtaiError: it is missing or damaged.
        """
        checked = self._read_tokenizer(sources.resolve_model(self._name, self._revision))
        findings = contamination.special_token_findings(checked.tokenizer, self._allow_bos, checked.control)
        if findings:
            raise ContaminationError("; ".join(finding.message for finding in findings))
        return checked.tokenizer

    def _resolve_quantization(self, source: sources.ModelSource) -> Literal["none", "nf4"]:
        if self._device == "cuda" and not torch.cuda.is_available():
            raise CtaiError(
                "device cuda: torch finds no CUDA device on this machine; choose cpu, or install a CUDA build"
            )
        if self._requested == "auto":
            resolved: Literal["none", "nf4"] = "nf4" if source.gguf is None else "none"
        else:
            resolved = self._requested
        if resolved == "nf4" and source.gguf is not None:
            raise CtaiError("a GGUF file is already quantized: choose quantization none")
        if resolved == "nf4" and importlib.util.find_spec("bitsandbytes") is None:
            raise CtaiError("quantization nf4 needs bitsandbytes, which is not installed; install it or choose none")
        return resolved

    def _read_tokenizer(self, source: sources.ModelSource) -> _CheckedTokenizer:
        with _silence_transformers(), _load_errors(f"the tokenizer of {source.requested}", _TEXT_ERRORS):
            tokenizer: Any = AutoTokenizer.from_pretrained(
                source.folder, trust_remote_code=False, local_files_only=True, **_gguf(source)
            )
        had_template = bool(template_text(tokenizer))
        control = control_tokens(tokenizer)
        disable_template(tokenizer)
        return _CheckedTokenizer(tokenizer, control, had_template, contamination.special_token_delta(tokenizer))

    def _read_model(self, source: sources.ModelSource, quantization: Literal["none", "nf4"]) -> Any:
        with _silence_transformers(), _load_errors(source.requested):
            module, loading = AutoModelForCausalLM.from_pretrained(
                source.folder,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported below
                **_gguf(source),
                **from_pretrained_options(quantization, self._device),
            )
        # transformers would initialize them with random numbers
        if missing := sorted(loading["missing_keys"]):
            raise CtaiError(f"the weights of {source.requested} lack {len(missing)} tensor(s), such as {missing[0]}")
        if mismatched := sorted(name for name, *_shapes in loading["mismatched_keys"]):
            problem = f"{len(mismatched)} tensor(s) whose shape differs from config.json, such as {mismatched[0]}"
            raise CtaiError(f"the weights of {source.requested} have {problem}")
        return prepare_module(module, self._device)

    def _provenance(
        self,
        source: sources.ModelSource,
        quantization: Literal["none", "nf4"],
        checked: _CheckedTokenizer,
        module: Any,
        report: SentinelReport | None,
    ) -> ModelProvenance:
        return ModelProvenance(
            loader_version=loader_version(),
            requested=source.requested,
            model_id=source.model_id,
            revision=source.revision,
            weights_digest=sources.weights_digest(source),
            tokenizer_digest=_tokenizer_digest(checked.tokenizer),
            architecture=type(module).__name__,
            parameters=int(module.num_parameters()),
            requested_quantization=self._requested,
            quantization=quantization,
            double_quantization=quantization == "nf4",
            compute_dtype=str(_dtype(self._device)).removeprefix("torch."),
            device=self._device,
            template_disabled=checked.tokenizer.chat_template is None,
            template_was_present=checked.had_template,
            add_special_tokens=False,
            bos_allowed=self._allow_bos,
            special_token_delta=checked.delta,
            control_token_ids=tuple(checked.control),
            control_tokens=tuple(checked.control.values()),
            sentinels=report,
        )


def from_pretrained_options(quantization: Literal["none", "nf4"], device: str) -> dict[str, Any]:
    """Return the arguments of `from_pretrained` for precision, device and quantization."""
    options: dict[str, Any] = {"dtype": _dtype(device), "device_map": {"": device}}
    if quantization == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=_dtype(device),
        )
    return options


def prepare_module(module: Any, device: str) -> Any:
    """Freeze a loaded module, set evaluation mode and choose fast kernels for its size and device."""
    _freeze(module)
    if device == "cuda":
        # torch prefers cuDNN attention on H100 and B200, which builds a plan for every new shape (tens of milliseconds and
        # more), and generation has a new shape per token; on B200 it also computed wrong (pytorch issue 193893).
        torch.backends.cuda.enable_cudnn_sdp(False)
    if device == "cpu" and module.num_parameters() < _SMALL_MODEL:
        torch.set_num_threads(1)
        dequantize_once(module)
    return module.eval()


def _check_config(source: sources.ModelSource) -> None:
    """Build the model of config.json without weights; any failure here is an error of that file, not a bug."""
    if source.gguf:
        return
    with _silence_transformers(), _load_errors(source.requested, _TEXT_ERRORS), torch.device("meta"):
        no_code = {"trust_remote_code": False}
        config = AutoConfig.from_pretrained(source.folder, local_files_only=True, **no_code)
        AutoModelForCausalLM.from_config(config, **no_code)


def _freeze(module: Any) -> None:
    """Freeze the weights, so that neither training nor an adapter changes the outputs of the base.

    peft freezes the weights below an adapter, and torch computes frozen and trainable weights by different kernels:
    frozen from the start, both arms use the same ones. On CPUs with bfloat16 instructions bitsandbytes repacks NF4
    weights with rounded scales at the first inference and back, rounding again, for training; that is switched off.
    """
    module.requires_grad_(False)
    for layer in module.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False


def save_model(module: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model and its tokenizer, without chat template, as safetensors and JSON.

    Raises:
        CtaiError: writing failed, for example because the disk is full.
    """
    quantizer = getattr(module, "hf_quantizer", None)
    if quantizer is not None and quantizer.quantization_config.quant_method == "gguf":
        quantizer.remove_quantization_config(module)  # reading dequantized the weights and left the label
    with _silence_transformers(), disk_errors(f"cannot write {folder}"):
        module.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _dtype(device: str) -> torch.dtype:
    return torch.bfloat16 if device == "cuda" else torch.float32


def _gguf(source: sources.ModelSource) -> dict[str, str]:
    return {} if source.gguf is None else {"gguf_file": source.gguf}


def _tokenizer_digest(tokenizer: Any) -> str:
    """Return a SHA-256 of the tokenizer itself, not of its files: a GGUF file holds it together with the weights."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return digest_of(backend.to_str() if backend is not None else sorted(tokenizer.get_vocab().items()))


@contextlib.contextmanager
def _silence_transformers() -> Iterator[None]:
    """Disable the progress bars and warnings of transformers, and restore its settings afterwards."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # the bar of GGUF loading has no switch
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _load_errors(what: str, errors: tuple[type[Exception], ...] = _FILE_ERRORS) -> Iterator[None]:
    """Turn exceptions of transformers about unusable files into one `CtaiError`; device faults and bugs pass through."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise CtaiError(f"{what} does not fit into the memory of the device") from error
    except errors as error:
        raise CtaiError(f"{what} cannot be loaded ({short_error(error)})") from error
