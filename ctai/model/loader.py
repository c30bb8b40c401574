"""The only way to load a model or a tokenizer: clean, checked, and with a record of how.

Owns loading and the order of the checks. What each check looks at is in `contamination` and `sentinels`; running the
model is `engine`; finding its files is `sources`.
"""

import contextlib
import importlib.util
import io
import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from ctai.errors import ContaminationError, CtaiError, short_error
from ctai.model import sources
from ctai.model.checks import contamination
from ctai.model.checks.batching import check_batching
from ctai.model.checks.contamination import Finding
from ctai.model.checks.sentinels import run_sentinels, sentinel_findings
from ctai.model.clean_model import CleanModel
from ctai.model.control_tokens import InputGuard, control_tokens, template_text
from ctai.model.inference.batching import BatchLimits
from ctai.model.inference.engine import Engine
from ctai.provenance import loader_version
from ctai.records import ModelProvenance, SentinelReport
from ctai.rundir import digest_of, disk_errors

__all__ = ["CleanModel", "CleanModelLoader", "Finding", "ModelCheck", "save_model"]

Quantization = Literal["auto", "none", "nf4"]

# Below this many parameters a second thread gains nothing (measured on the embedded model: 256 answers in 5.1 s with one
# thread and in 4.1 to 6.3 s with two), and costs up to 20 times as much once anything else runs on the machine.
_SMALL_MODEL = 20_000_000

# What transformers raises about files that are damaged, missing, or of a kind that it does not know.
_FILE_ERRORS = (OSError, ValueError, ImportError, struct.error, SafetensorError, StrictDataclassError)
# Of configuration and tokenizer, which are texts of somebody else's that no device takes part in reading: all that fails.
_TEXT_ERRORS = (Exception,)


class ModelCheck(NamedTuple):
    """What the checks found. `model` is None when a finding forbids even to load the weights."""

    model: CleanModel | None
    findings: tuple[Finding, ...]
    provenance: ModelProvenance | None
    sentinels: SentinelReport | None

    def messages(self, check: contamination.Check) -> list[str]:
        """The sentences of one check; empty when it passed."""
        return [finding.message for finding in self.findings if finding.name == check]


class _Tokenizer(NamedTuple):
    """A tokenizer whose template was taken away, and what was learned from it before."""

    tokenizer: Any
    control: dict[int, str]
    had_template: bool
    delta: int


class CleanModelLoader:
    """Loads a base model for completion mode.

    The chat template is removed, no special tokens are added, no code of the model's authors is run and no pickle is
    read. Local folders are preferred over the hub.

    Args:
        name_or_path: a hub id, a folder of safetensors, a .gguf file, or "embedded".
        quantization: "nf4" (double quantization; computes in bfloat16 on cuda and float32 on cpu, where that is
            faster), "none" (bfloat16 on cuda, float32 on cpu), or "auto": nf4, but none for a GGUF file.
        device: "cpu" or "cuda".
        allow_bos: puts the tokenizer's beginning-of-sequence token before every prompt, for models that need it.
        revision: of a hub model.
        batch_size: of the engine.
        batch_tokens: likewise.

    Raises:
        CtaiError: an argument is not one of these values.
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
        self._room = BatchLimits(batch_size, batch_tokens)

    def load(self, sentinels: bool = True) -> CleanModel:
        """Load the model and run every check.

        Args:
            sentinels: False leaves out the behavioural suite, the slowest check, for loading again a model whose
                contamination gate has passed for the same weights digest; all other checks still run.

        Raises:
            ContaminationError: with every reason, when a check found something.
            CtaiError: the model cannot be loaded.
        """
        examination = self.examine(sentinels)
        if examination.findings or examination.model is None:
            reasons = "; ".join(finding.message for finding in examination.findings)
            raise ContaminationError(f"{self._name} cannot be used as a base model: {reasons}")
        return examination.model

    def examine(self, sentinels: bool = True) -> ModelCheck:
        """Run every check and return all that they find, instead of raising at the first.

        Args:
            sentinels: as in `load`.

        Raises:
            CtaiError: the model cannot be loaded, for other reasons than contamination.
        """
        source = sources.resolve(self._name, self._revision)
        findings = contamination.file_findings(source.folder, source.weight_files)
        findings += contamination.name_findings(source.model_id, source.weight_files)
        if any(finding.name in ("adapter_files", "weight_files") for finding in findings):
            return ModelCheck(None, tuple(findings), None, None)
        quantization = self._resolve_quantization(source)
        _try_config(source)
        read = self._read_tokenizer(source)
        findings += contamination.special_token_findings(read.tokenizer, self._allow_bos, read.control)
        module = self._read_model(source, quantization)
        with _load_errors(source.requested):
            check_batching(module, read.control, self._device, source.requested)
        if getattr(module, "peft_config", None):
            message = "an adapter is attached to the loaded weights: load the base alone"
            findings.append(Finding("attached_adapter", message))
        bos = read.tokenizer.bos_token_id if self._allow_bos and not _stopped(findings, "special_tokens") else None
        engine = Engine(module, read.tokenizer, InputGuard(read.control), self._device, *self._room, bos)
        report = run_sentinels(engine, tuple(read.control)) if sentinels else None
        findings += sentinel_findings(report) if report else []
        provenance = self._provenance(source, quantization, read, module, report)
        return ModelCheck(CleanModel(module, read.tokenizer, engine, provenance), tuple(findings), provenance, report)

    def load_tokenizer(self) -> Any:
        """The tokenizer alone, its chat template removed and its special tokens checked.

        Raises:
            ContaminationError: it adds special tokens.
            CtaiError: there is none.
        """
        read = self._read_tokenizer(sources.resolve(self._name, self._revision))
        findings = contamination.special_token_findings(read.tokenizer, self._allow_bos, read.control)
        if findings:
            raise ContaminationError("; ".join(finding.message for finding in findings))
        return read.tokenizer

    def _resolve_quantization(self, source: sources.ModelSource) -> Literal["none", "nf4"]:
        if self._device == "cuda" and not torch.cuda.is_available():
            raise CtaiError("device cuda was asked for, but this machine offers no CUDA device to torch")
        if self._requested == "auto":
            resolved: Literal["none", "nf4"] = "nf4" if source.gguf is None else "none"
        else:
            resolved = self._requested
        if resolved == "nf4" and source.gguf is not None:
            raise CtaiError("a GGUF file is quantized in its own way: load it with quantization none")
        if resolved == "nf4" and importlib.util.find_spec("bitsandbytes") is None:
            raise CtaiError("quantization nf4 needs bitsandbytes, which is not installed; install it or choose none")
        return resolved

    def _read_tokenizer(self, source: sources.ModelSource) -> _Tokenizer:
        with _quiet(), _load_errors(f"the tokenizer of {source.requested}", _TEXT_ERRORS):
            tokenizer: Any = AutoTokenizer.from_pretrained(
                source.folder, trust_remote_code=False, local_files_only=True, **_gguf(source)
            )
        had_template = bool(template_text(tokenizer))
        control = control_tokens(tokenizer)
        contamination.disable_template(tokenizer)
        return _Tokenizer(tokenizer, control, had_template, contamination.special_token_delta(tokenizer))

    def _read_model(self, source: sources.ModelSource, quantization: Literal["none", "nf4"]) -> Any:
        with _quiet(), _load_errors(source.requested):
            module, loading = AutoModelForCausalLM.from_pretrained(
                source.folder,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are found below
                **_gguf(source),
                **reading_options(quantization, self._device),
            )
        # transformers would fill them with random numbers and go on
        if missing := sorted(loading["missing_keys"]):
            raise CtaiError(f"the weights of {source.requested} lack {len(missing)} tensor(s), such as {missing[0]}")
        if other := sorted(name for name, *_shapes in loading["mismatched_keys"]):
            problem = f"{len(other)} tensor(s) of another shape than its config.json says, such as {other[0]}"
            raise CtaiError(f"the weights of {source.requested} have {problem}")
        return as_loaded(module, self._device)

    def _provenance(
        self,
        source: sources.ModelSource,
        quantization: Literal["none", "nf4"],
        read: _Tokenizer,
        module: Any,
        report: SentinelReport | None,
    ) -> ModelProvenance:
        return ModelProvenance(
            loader_version=loader_version(),
            requested=source.requested,
            model_id=source.model_id,
            revision=source.revision,
            weights_digest=sources.weights_digest(source),
            tokenizer_digest=_tokenizer_digest(read.tokenizer),
            architecture=type(module).__name__,
            parameters=int(module.num_parameters()),
            requested_quantization=self._requested,
            quantization=quantization,
            double_quantization=quantization == "nf4",
            compute_dtype=str(_dtype(self._device)).removeprefix("torch."),
            device=self._device,
            template_disabled=read.tokenizer.chat_template is None,
            template_was_present=read.had_template,
            add_special_tokens=False,
            bos_allowed=self._allow_bos,
            special_token_delta=read.delta,
            control_token_ids=tuple(read.control),
            control_tokens=tuple(read.control.values()),
            sentinels=report,
        )


def reading_options(quantization: Literal["none", "nf4"], device: str) -> dict[str, Any]:
    """How `from_pretrained` reads a model: in which precision, to which device, quantized or not."""
    options: dict[str, Any] = {"dtype": _dtype(device), "device_map": {"": device}}
    if quantization == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=_dtype(device),
        )
    return options


def as_loaded(module: Any, device: str) -> Any:
    """A module that was just read, as all parts of ctai expect it: frozen, in evaluation mode, small ones fast on a CPU."""
    _keep_as_loaded(module)
    if device == "cuda":
        # torch prefers cuDNN's attention on H100 and B200, which builds a plan for every new shape (tens of milliseconds and
        # more), and while texts are written each token is one; on B200 it also computed wrong (pytorch issue 193893).
        torch.backends.cuda.enable_cudnn_sdp(False)
    if device == "cpu" and module.num_parameters() < _SMALL_MODEL:
        torch.set_num_threads(1)
        _dequantize_once(module)
    return module.eval()


def _try_config(source: sources.ModelSource) -> None:
    """Make the model that config.json describes, without weights: whatever fails here is that file's mistake, not a bug."""
    if source.gguf:
        return
    with _quiet(), _load_errors(source.requested, _TEXT_ERRORS), torch.device("meta"):
        own_code = {"trust_remote_code": False}
        config = AutoConfig.from_pretrained(source.folder, local_files_only=True, **own_code)
        AutoModelForCausalLM.from_config(config, **own_code)


def _keep_as_loaded(module: Any) -> None:
    """See to it that neither training nor an adapter changes what the base computes.

    peft freezes the weights below an adapter, and torch computes frozen and trainable weights by different kernels:
    frozen from the start, both arms use the same ones. On CPUs with bfloat16 instructions bitsandbytes repacks NF4
    weights with rounded scales at the first inference and back, rounding again, for training; that is switched off.
    """
    module.requires_grad_(False)
    for layer in module.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False


def save_model(module: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model and its tokenizer, without its chat template, as others load them: safetensors and JSON.

    Raises:
        CtaiError: the disk does not allow it.
    """
    quantizer = getattr(module, "hf_quantizer", None)
    if quantizer is not None and quantizer.quantization_config.quant_method == "gguf":
        quantizer.remove_quantization_config(module)  # its weights were made plain when they were read; a label is left
    with _quiet(), disk_errors(f"cannot write {folder}"):
        module.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _dequantize_once(module: Any) -> None:
    """Let NF4 layers keep the numbers that their 4-bit weights stand for.

    bitsandbytes computes them again at every call, on the CPU in a quarter of the time of generation. The results are the same
    to the bit; what is stored, and what the digests are of, stays in 4 bit.
    """
    for layer in module.modules():
        if state := getattr(getattr(layer, "weight", None), "quant_state", None):
            from bitsandbytes.functional import dequantize_4bit  # slow to import

            weight = dequantize_4bit(layer.weight.data, state).to(torch.float32)
            layer.forward = partial(torch.nn.functional.linear, weight=weight, bias=layer.bias)


def _stopped(findings: list[Finding], check: contamination.Check) -> bool:
    return any(finding.name == check for finding in findings)


def _dtype(device: str) -> torch.dtype:
    return torch.bfloat16 if device == "cuda" else torch.float32


def _gguf(source: sources.ModelSource) -> dict[str, str]:
    return {} if source.gguf is None else {"gguf_file": source.gguf}


def _tokenizer_digest(tokenizer: Any) -> str:
    """SHA-256 of what the tokenizer does, wherever its files lie: a GGUF file holds it beside the weights."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return digest_of(backend.to_str() if backend is not None else sorted(tokenizer.get_vocab().items()))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no warnings of transformers while loading; the settings are put back afterwards."""
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
    """Turn what transformers raises about unusable files into one sentence; faults of a device and bugs are left alone."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise CtaiError(f"{what} does not fit into the memory of the device") from error
    except errors as error:
        raise CtaiError(f"{what} cannot be loaded ({short_error(error)})") from error
