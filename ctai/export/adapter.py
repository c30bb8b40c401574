"""Export of the adapter, of a base model that is not on the hub, and of the model card.

Owns the name of the base in `adapter_config.json`. peft resolves a relative name from the working directory, not from the
folder of the adapter, so an included base is named `./base`: correct for any location of the export as long as it is used
from inside, and never mistaken for a model on the hub.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import EvalResult, ModelCardData

from ctai.errors import PreconditionError, short_error
from ctai.evidence.attestation import BUNDLE
from ctai.evidence.verdicts import verdict_path
from ctai.export.cards import (
    COMPARISON_HEAD,
    code_block,
    comparison_row,
    escape_inline,
    format_rate,
    front_matter,
    markdown_table,
    plain_line,
    python_block,
    warning_lines,
)
from ctai.export.finished_run import LAST_GATE, FinishedRun
from ctai.records import PairedComparison
from ctai.rundir import copy_file, sha256_file, write_json, write_text

BASE = "./base"


class BaseDescription(NamedTuple):
    """Base model as the adapter names it; `note` is its location, `is_included` is true if the export contains it."""

    name: str
    revision: str | None
    note: str
    is_included: bool


def write_base(run: FinishedRun, folder: Path, limit_bytes: float) -> BaseDescription:
    """Copy the base model unless it is on the hub or larger than the limit.

    Raises:
        CtaiError: the base model is missing or has changed since the run.
    """
    from ctai.model import sources

    provenance = run.provenance
    digest = provenance.weights_digest
    if provenance.revision is not None:
        note = f"`{escape_inline(provenance.model_id)}` on the hub, at revision `{escape_inline(provenance.revision)}`"
        return BaseDescription(provenance.model_id, provenance.revision, note, is_included=False)
    source = sources.resolve_model(run.model.name, run.model.revision)
    files = sources.files_to_share(source)
    size = sum(path.stat().st_size for path in files)
    if size > limit_bytes:
        note = (
            f"`{escape_inline(provenance.model_id)}`, not included in this export ({size / 1e9:.1f} GB): "
            f"put it into `base/`; SHA-256 of its weights `{digest}`"
        )
        return BaseDescription(BASE, None, note, is_included=False)
    run.expect_weights(sources.weights_digest(source))
    if source.gguf is not None:
        return _from_gguf(run, folder)
    for path in files:
        copy_file(path, folder / path.name)
    return BaseDescription(
        BASE, None, f"in `base/`: `{escape_inline(provenance.model_id)}`, original files", is_included=True
    )


def _from_gguf(run: FinishedRun, folder: Path) -> BaseDescription:
    """Write a GGUF file as a folder of dequantized weights, since peft loads only such a folder by name."""
    from ctai.model.loader import CleanModelLoader, save_model

    clean = CleanModelLoader(run.model.name, allow_bos=run.model.allow_bos).load(sentinels=False)
    save_model(clean.module, clean.tokenizer, folder)
    name = escape_inline(run.provenance.model_id)
    return BaseDescription(
        BASE, None, f"in `base/`: the weights of `{name}`, a GGUF file, as float32", is_included=True
    )


def write_adapter(run: FinishedRun, base: BaseDescription, folder: Path) -> None:
    """Write the unchanged adapter weights, the configuration with the name of the base, and the model card."""
    from ctai.model.sources import ADAPTER_CONFIG, ADAPTER_WEIGHTS

    copy_file(run.adapter / ADAPTER_WEIGHTS, folder / ADAPTER_WEIGHTS)
    try:
        values = json.loads((run.adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PreconditionError(f"{run.adapter / ADAPTER_CONFIG} cannot be read: {short_error(error)}") from error
    write_json(folder / ADAPTER_CONFIG, {**values, "base_model_name_or_path": base.name, "revision": base.revision})
    write_text(folder / "README.md", "\n".join(_card(run, base)))


def _card(run: FinishedRun, base: BaseDescription) -> list[str]:
    name = escape_inline(run.provenance.model_id)
    return [
        *front_matter(_metadata(run, base)),
        *warning_lines(run.warnings),
        f"# A LoRA adapter that makes {name} follow instructions",
        "",
        f"Trained on {run.training.examples:,} pairs that the base model wrote and judged itself. Base model: {base.note}.",
        "",
        *_use(run, base),
        "## Evaluation",
        "",
        *evaluation(run),
        "## Training",
        "",
        *_training(run),
        "## Evidence",
        "",
        *evidence(run),
        "## Limits",
        "",
        *limits(run),
    ]


def _metadata(run: FinishedRun, base: BaseDescription) -> ModelCardData:
    on_hub = base.revision is not None
    return ModelCardData(
        library_name="peft",
        pipeline_tag="text-generation",
        language=["en"],
        license="other",
        license_name="not-chosen",
        tags=["lora", "synthetic", "self-generated"],
        model_name=f"LoRA adapter of {plain_line(run.provenance.model_id)}",
        eval_results=[
            _eval_result(run, "content success", run.summary.overall),
            _eval_result(run, "strict success", run.summary.overall_strict),
        ],
        base_model=plain_line(base.name) if on_hub else None,
        base_model_relation="adapter" if on_hub else None,
    )


def _eval_result(run: FinishedRun, name: str, comparison: PairedComparison) -> EvalResult:
    """Return the success rate of the trained model on the test set for the model index of the hub."""
    return EvalResult(
        task_type="text-generation",
        dataset_type="heldout",
        dataset_name=f"Test set of run {plain_line(run.training.run_id)}",
        dataset_split="test",
        metric_type="accuracy",
        metric_name=name,
        metric_value=comparison.sft.value,
    )


def _use(run: FinishedRun, base: BaseDescription) -> list[str]:
    folder = "base" if base.name == BASE else base.name
    nf4 = run.provenance.quantization == "nf4"
    names = "AutoTokenizer, BitsAndBytesConfig" if nf4 else "AutoTokenizer"
    options = f"dtype=torch.{run.provenance.compute_dtype}{', quantization_config=nf4' if nf4 else ''}"
    loading = f'AutoPeftModelForCausalLM.from_pretrained("adapter", {options})'
    bos = " except for the beginning-of-sequence token, which the tokenizer adds" if run.provenance.bos_allowed else ""
    return [
        "## Use",
        "",
        "Run it in the folder above this one" + (", since the base is named relative to it." if folder == "base" else "."),
        f"The prompt has a fixed format without chat template and special tokens{bos}.",
        f"The adapter was trained on a base in {precision(run)}. The numbers below hold for",
        "this precision only.",
        "",
        *snippet(
            run, ["from peft import AutoPeftModelForCausalLM", f"from transformers import {names}"],
            loading, folder, base.revision,
        ),
    ]  # fmt: skip


def precision(run: FinishedRun) -> str:
    """Describe the precision in which the base was loaded."""
    computes = f"computes in {run.provenance.compute_dtype}"
    double = ", double quantization" if run.provenance.double_quantization else ""
    return f"4 bit (NF4{double}; {computes})" if run.provenance.quantization == "nf4" else run.provenance.compute_dtype


def snippet(
    run: FinishedRun, imports: Sequence[str], loading: str, tokenizer: str, revision: str | None = None
) -> list[str]:
    """Return a program that runs one test item, followed by the recorded answer."""
    item = next((answer for answer in run.answers if answer.content), run.answers[0])
    quantized = [
        "nf4 = BitsAndBytesConfig(",
        '    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,',
        f"    bnb_4bit_compute_dtype=torch.{run.provenance.compute_dtype},",
        ")",
    ]
    revision_argument = f", revision={revision!r}" if revision else ""
    budget = run.verdict.config["headroom"]["max_new_tokens"]
    special = run.provenance.bos_allowed
    lines = [
        "import torch",
        *imports,
        "",
        *(quantized if "nf4" in loading else []),
        f"model = {loading}",
        f"tokenizer = AutoTokenizer.from_pretrained({tokenizer!r}{revision_argument})",
        f"prompt = {item.prompt!r}",
        f'ids = tokenizer(prompt, add_special_tokens={special}, return_tensors="pt").to(model.device)',
        f"end = {run.hyperparameters['end_of_text_id']}  # the token that training ended every completion with",
        f"output = model.generate(**ids, max_new_tokens={budget}, do_sample=False, eos_token_id=end, pad_token_id=end)",
        'print(tokenizer.decode(output[0, ids["input_ids"].shape[1] :], skip_special_tokens=True))',
    ]
    return [*python_block(lines), "Recorded answer of the run:", "", *code_block(item.raw)]


def evaluation(run: FinishedRun) -> list[str]:
    """Return the comparison of the trained model with its base as a table."""
    summary = run.summary
    rows = [comparison_row("content", summary.overall), comparison_row("content and stopping", summary.overall_strict)]
    rows += [comparison_row(f"content, {escape_inline(kind)}", result) for kind, result in summary.by_type.items()]
    rows += [
        comparison_row(f"content, over {escape_inline(name)}", rival.comparison)
        for name, rival in summary.rivals.items()
    ]
    return [
        f"Success on {summary.overall.n} held-out instructions (`heldout/`, greedy), with 95% intervals. *Content*: the correct",
        "answer comes first; *stopping*: nothing follows it. p: McNemar test, by type with Benjamini-Hochberg correction.",
        "Every answer is in `evaluation/`.",
        "",
        *markdown_table(COMPARISON_HEAD, rows),
        f"Noise floor (the base against itself in other batches): {format_rate(summary.noise_floor)} of the items.",
        "",
    ]


def _training(run: FinishedRun) -> list[str]:
    names = (
        "rank", "alpha", "dropout", "resolved_target_modules", "trained_parameters", "resolved_learning_rate", "warmup",
        "weight_decay", "gradient_clip", "batch_size", "epochs", "max_tokens", "optimizer", "precision", "quantization",
        "seed", "control", "left_out_too_long",
    )  # fmt: skip
    values = {name: run.hyperparameters[name] for name in names if name in run.hyperparameters}
    rows = [
        (escape_inline(name), escape_inline(", ".join(value) if isinstance(value, list) else value))
        for name, value in values.items()
    ]
    training = run.training
    rows += [
        ("steps", str(training.steps)),
        ("loss", f"first {training.loss_first:.3g}, last {training.loss_last:.3g}"),
    ]
    return markdown_table(("parameter", "value"), rows)


def evidence(run: FinishedRun) -> list[str]:
    """Return the digests of the evidence, so that a replacement is noticed."""
    rundir, gate = run.rundir, LAST_GATE
    verdict = verdict_path(rundir, gate)
    return markdown_table(
        ("evidence", "SHA-256"),
        [
            (
                f"verdict of the last gate ({run.verdict.outcome}): `{verdict}`",
                f"`{sha256_file(rundir.path(verdict))}`",
            ),
            (f"statements on every file of the run: `{BUNDLE}`", f"`{sha256_file(rundir.path(BUNDLE))}`"),
            ("weights of the base", f"`{run.provenance.weights_digest}`"),
            ("adapter, as the run has recorded it", f"`{run.training.adapter_digest}`"),
        ],
    )


def limits(run: FinishedRun) -> list[str]:
    """Return the limits of the evaluation and of the license."""
    return [
        "* Measured on short instructions of the families in `heldout/`, which the training data resembles; not on others.",
        "* The data was written and judged by the base model, so confident errors of the base model remain.",
        "* Refusals were measured on a few kinds of request only. The model is not a safeguard.",
        "* No license has been chosen; the terms of the base model apply to derived works.",
        f"* Created by ctai {escape_inline(run.provenance.loader_version)}, run `{escape_inline(run.training.run_id)}`.",
        "",
    ]
