"""The adapter as others load it, with the base model where they cannot get it elsewhere, and its card.

Owns what `adapter_config.json` calls the base. peft looks a relative name up from the working directory, not from the
adapter's folder, so a base that comes along is called `./base`: that is right wherever the export lies, as long as it is
used from inside, and it can never be mistaken for a model on the hub.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ctai.errors import PreconditionError
from ctai.evidence.attestation import BUNDLE
from ctai.evidence.verdicts import verdict_path
from ctai.export.cards import (
    COMPARISON_HEAD,
    block,
    comparison_row,
    front_matter,
    program,
    rate_text,
    said,
    table,
    warned,
)
from ctai.export.source import LAST_GATE, FinishedRun
from ctai.rundir import copy_file, sha256_file, write_json, write_text

BASE = "./base"


class BaseDescription(NamedTuple):
    """The base as the adapter names it; `note` says where it is, `is_here` whether it is part of the export."""

    name: str
    revision: str | None
    note: str
    is_here: bool


def write_base(run: FinishedRun, folder: Path, limit_bytes: float) -> BaseDescription:
    """Copy the base model unless it is on the hub or larger than the limit.

    Raises:
        CtaiError: it is not there any more, or is another one now.
    """
    from ctai.model import sources

    provenance = run.provenance
    digest = provenance.weights_digest
    if provenance.revision is not None:
        note = f"`{said(provenance.model_id)}` on the hub, at revision `{said(provenance.revision)}`"
        return BaseDescription(provenance.model_id, provenance.revision, note, is_here=False)
    source = sources.resolve(run.model.name, run.model.revision)
    files = sources.files_to_share(source)
    size = sum(path.stat().st_size for path in files)
    if size > limit_bytes:
        note = (
            f"`{said(provenance.model_id)}`, which is no part of this export ({size / 1e9:.1f} GB): put it into `base/`; "
            f"its weights have the digest `{digest}`"
        )
        return BaseDescription(BASE, None, note, is_here=False)
    run.expect_weights(sources.weights_digest(source))
    if source.gguf is not None:
        return _from_gguf(run, folder)
    for path in files:
        copy_file(path, folder / path.name)
    return BaseDescription(BASE, None, f"in `base/`: `{said(provenance.model_id)}`, its own files", is_here=True)


def _from_gguf(run: FinishedRun, folder: Path) -> BaseDescription:
    """A GGUF file is written as the weights that it stands for, since peft can load only such a folder by name."""
    from ctai.model.loader import CleanModelLoader, save_model

    clean = CleanModelLoader(run.model.name, allow_bos=run.model.allow_bos).load(sentinels=False)
    save_model(clean.module, clean.tokenizer, folder)
    name = said(run.provenance.model_id)
    return BaseDescription(BASE, None, f"in `base/`: the weights of `{name}`, a GGUF file, as float32", is_here=True)


def write_adapter(run: FinishedRun, base: BaseDescription, folder: Path) -> None:
    """Write the adapter's weights as they are, its configuration with the name of the base, and its card."""
    from ctai.model.sources import ADAPTER_CONFIG, ADAPTER_WEIGHTS

    copy_file(run.adapter / ADAPTER_WEIGHTS, folder / ADAPTER_WEIGHTS)
    try:
        values = json.loads((run.adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PreconditionError(f"{run.adapter / ADAPTER_CONFIG} cannot be read: {error}") from error
    write_json(folder / ADAPTER_CONFIG, {**values, "base_model_name_or_path": base.name, "revision": base.revision})
    write_text(folder / "README.md", "\n".join(_card(run, base)))


def _card(run: FinishedRun, base: BaseDescription) -> list[str]:
    head: dict[str, Any] = {
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "language": ["en"],
        "license": "other",
        "license_name": "not-chosen",
        "tags": ["lora", "synthetic", "self-generated"],
    }
    if base.revision is not None:
        head |= {"base_model": base.name, "base_model_relation": "adapter"}
    name = said(run.provenance.model_id)
    return [
        *front_matter(head),
        *warned(run.warnings),
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


def _use(run: FinishedRun, base: BaseDescription) -> list[str]:
    where = "base" if base.name == BASE else base.name
    nf4 = run.provenance.quantization == "nf4"
    names = "AutoTokenizer, BitsAndBytesConfig" if nf4 else "AutoTokenizer"
    options = f"dtype=torch.{run.provenance.compute_dtype}{', quantization_config=nf4' if nf4 else ''}"
    loading = f'AutoPeftModelForCausalLM.from_pretrained("adapter", {options})'
    bos = " but the beginning-of-sequence token, which the tokenizer is to add" if run.provenance.bos_allowed else ""
    return [
        "## Use",
        "",
        "Run it in the folder above this one" + (", since the base is named relative to it." if where == "base" else "."),
        f"The prompt has one form; no chat template and no special token belongs to it{bos}.",
        f"The adapter was trained on a base in {precision(run)}. Loaded in another precision it",
        "is another model, and the numbers below were not measured on it.",
        "",
        *snippet(
            run, ["from peft import AutoPeftModelForCausalLM", f"from transformers import {names}"],
            loading, where, base.revision,
        ),
    ]  # fmt: skip


def precision(run: FinishedRun) -> str:
    """In which precision the base was loaded, in words."""
    computes = f"computes in {run.provenance.compute_dtype}"
    double = ", double quantization" if run.provenance.double_quantization else ""
    return f"4 bit (NF4{double}; {computes})" if run.provenance.quantization == "nf4" else run.provenance.compute_dtype


def snippet(
    run: FinishedRun, imports: Sequence[str], loading: str, tokenizer: str, revision: str | None = None
) -> list[str]:
    """A program that asks a test item, and the answer that the run has recorded for it."""
    item = next((one for one in run.answers if one.content), run.answers[0])
    quantized = [
        "nf4 = BitsAndBytesConfig(",
        '    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,',
        f"    bnb_4bit_compute_dtype=torch.{run.provenance.compute_dtype},",
        ")",
    ]
    at = f", revision={revision!r}" if revision else ""
    budget = run.verdict.config["evaluation"]["max_new_tokens"]
    special = run.provenance.bos_allowed
    lines = [
        "import torch",
        *imports,
        "",
        *(quantized if "nf4" in loading else []),
        f"model = {loading}",
        f"tokenizer = AutoTokenizer.from_pretrained({tokenizer!r}{at})",
        f"prompt = {item.prompt!r}",
        f'ids = tokenizer(prompt, add_special_tokens={special}, return_tensors="pt").to(model.device)',
        f"end = {run.hyperparameters['end_of_text_id']}  # the token that training ended every completion with",
        f"output = model.generate(**ids, max_new_tokens={budget}, do_sample=False, eos_token_id=end, pad_token_id=end)",
        'print(tokenizer.decode(output[0, ids["input_ids"].shape[1] :], skip_special_tokens=True))',
    ]
    return [*program(lines), "The run has recorded this answer:", "", *block(item.raw)]


def evaluation(run: FinishedRun) -> list[str]:
    """The comparison of the trained model with its base, as a table."""
    summary = run.summary
    rows = [comparison_row("content", summary.overall), comparison_row("content and stopping", summary.overall_strict)]
    rows += [comparison_row(f"content, {said(kind)}", found) for kind, found in summary.by_type.items()]
    rows += [comparison_row(f"content, over {said(name)}", found) for name, found in summary.against.items()]
    return [
        f"Success on {summary.overall.n} held-out instructions (`heldout/`, greedy), with 95% intervals. *Content*: the right",
        "answer comes first; *stopping*: nothing comes after it. p is McNemar's, by type corrected for the false discovery",
        "rate. Every answer is in `evaluation/`.",
        "",
        *table(COMPARISON_HEAD, rows),
        f"The base run twice, in other batches, differs from itself on {rate_text(summary.noise_floor)} of the items.",
        "",
    ]


def _training(run: FinishedRun) -> list[str]:
    chosen = (
        "rank", "alpha", "dropout", "resolved_target_modules", "trained_parameters", "resolved_learning_rate", "warmup",
        "weight_decay", "gradient_clip", "batch_size", "epochs", "max_tokens", "optimizer", "precision", "quantization",
        "seed", "control", "left_out_too_long",
    )  # fmt: skip
    values = {name: run.hyperparameters[name] for name in chosen if name in run.hyperparameters}
    rows = [(said(name), said(", ".join(v) if isinstance(v, list) else v)) for name, v in values.items()]
    training = run.training
    rows += [
        ("steps", str(training.steps)),
        ("loss", f"{training.loss_first:.3g} at first, {training.loss_last:.3g} at last"),
    ]
    return table(("parameter", "value"), rows)


def evidence(run: FinishedRun) -> list[str]:
    """What names the evidence, so that it cannot be exchanged unnoticed."""
    rundir, gate = run.rundir, LAST_GATE
    verdict = verdict_path(rundir, gate)
    return table(
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
    """What nobody should conclude from the numbers."""
    return [
        "* Measured on short instructions of the families in `heldout/`, which the training data resembles; not on others.",
        "* The data was written and judged by the base model: where it is wrong and sure of it, so is this model.",
        "* What it refuses was measured on a few kinds of request only. It is no safeguard.",
        "* Nobody has chosen a license; the terms of the base model apply to what was made from it.",
        f"* Made by ctai {said(run.provenance.loader_version)}, run `{said(run.training.run_id)}`.",
        "",
    ]
