"""Export of the adapter merged into the unquantized base: a model that needs no peft.

Merging adds the low-rank update to full-precision weights. After training on a quantized base the merged model differs from
the evaluated one, so its answers are compared with the recorded ones.
"""

from pathlib import Path
from typing import NamedTuple

from huggingface_hub import ModelCardData

from ctai.export.adapter import evaluation, evidence, limits, precision, snippet
from ctai.export.cards import escape_inline, front_matter, warning_lines
from ctai.export.finished_run import FinishedRun
from ctai.records import Rate, Sampling
from ctai.rundir import write_text
from ctai.statistics import rate

_COMPARED_ANSWERS = 50


class MergedModel(NamedTuple):
    """Precision of the merged model and the rate of test items with an answer identical to the recorded one."""

    dtype: str
    identical: Rate


def write_merged(run: FinishedRun, folder: Path) -> MergedModel:
    """Merge base and adapter, compare some answers, and write the model with its tokenizer and card.

    Raises:
        CtaiError: the base model is missing, has changed since the run, or does not fit into memory.
    """
    from ctai.model.devices import cuda_available
    from ctai.model.loader import CleanModelLoader, save_model

    device = run.model.device if cuda_available() else "cpu"
    settings = run.model
    loader = CleanModelLoader(
        settings.name, "none", device, settings.allow_bos, settings.revision, batch_size=settings.batch_size
    )
    base = loader.load(sentinels=False)
    run.expect_weights(base.provenance.weights_digest)
    arm = base.with_adapter(run.adapter)
    module = arm.module.merge_and_unload()
    recorded = run.answers[:_COMPARED_ANSWERS]
    sampling = Sampling(max_new_tokens=run.verdict.config["headroom"]["max_new_tokens"])
    answers = base.engine.for_model(module).generate([answer.prompt for answer in recorded], sampling)
    identical = sum(a.raw == b.raw for a, b in zip(answers, recorded, strict=True))
    save_model(module, base.tokenizer, folder)
    merged = MergedModel(base.provenance.compute_dtype, rate(identical, len(recorded)))
    write_text(folder / "README.md", "\n".join(_card(run, merged)))
    return merged


def _card(run: FinishedRun, merged: MergedModel) -> list[str]:
    name = escape_inline(run.provenance.model_id)
    metadata = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-generation",
        language=["en"],
        license="other",
        license_name="not-chosen",
        tags=["merged", "synthetic", "self-generated"],
    )
    loading = f'AutoModelForCausalLM.from_pretrained("merged", dtype=torch.{merged.dtype})'
    return [
        *front_matter(metadata),
        *warning_lines(run.warnings),
        f"# {name}, with its adapter merged in",
        "",
        f"The adapter of `adapter/` was trained and evaluated on a base in {precision(run)}.",
        f"Here it is merged into the unquantized base, computed and stored in {merged.dtype}. Its answers to",
        f"{merged.identical.k} of the first {merged.identical.n} test items are identical to the recorded ones. The table",
        "below is of the adapter.",
        "",
        "## Use",
        "",
        "Run it in the parent folder. The model has no chat template.",
        "",
        *snippet(run, ["from transformers import AutoModelForCausalLM, AutoTokenizer"], loading, "merged"),
        "## Evaluation of the adapter",
        "",
        *evaluation(run),
        "## Evidence",
        "",
        *evidence(run),
        "## Limits",
        "",
        *limits(run),
    ]
