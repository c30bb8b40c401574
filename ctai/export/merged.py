"""The adapter merged into an unquantized base: a model that needs no peft, and what the merging changed.

Merging adds the adapter's product to weights of full precision. Where training saw a quantized base, the merged model is
another one than was evaluated, so its answers are held against the recorded ones.
"""

from pathlib import Path
from typing import NamedTuple

from ctai.export.adapter import evaluation, evidence, limits, precision, snippet
from ctai.export.cards import front_matter, said, warned
from ctai.export.source import FinishedRun
from ctai.records import Rate, Sampling
from ctai.rundir import write_text
from ctai.statistics import rate

_COMPARED = 50


class MergedModel(NamedTuple):
    """The precision of the merged model, and on how many test items it answers, to the letter, as the run recorded."""

    dtype: str
    equal: Rate


def write_merged(run: FinishedRun, folder: Path) -> MergedModel:
    """Load base and adapter, merge, compare some answers, and write a model with its tokenizer and card.

    Raises:
        CtaiError: the base is not there, is another one now, or does not fit into memory.
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
    asked = run.answers[:_COMPARED]
    sampling = Sampling(max_new_tokens=run.verdict.config["evaluation"]["max_new_tokens"])
    now = base.engine.on(module).generate([one.prompt for one in asked], sampling)
    equal = sum(a.raw == b.raw for a, b in zip(now, asked, strict=True))
    save_model(module, base.tokenizer, folder)
    made = MergedModel(base.provenance.compute_dtype, rate(equal, len(asked)))
    write_text(folder / "README.md", "\n".join(_card(run, made)))
    return made


def _card(run: FinishedRun, made: MergedModel) -> list[str]:
    name = said(run.provenance.model_id)
    head = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "language": ["en"],
        "license": "other",
        "license_name": "not-chosen",
        "tags": ["merged", "synthetic", "self-generated"],
    }
    loading = f'AutoModelForCausalLM.from_pretrained("merged", dtype=torch.{made.dtype})'
    return [
        *front_matter(head),
        *warned(run.warnings),
        f"# {name}, with its adapter merged in",
        "",
        f"The adapter of `adapter/` was trained and evaluated on a base in {precision(run)}.",
        f"Here it is merged into the unquantized base, computed and stored in {made.dtype}. It answers {made.equal.k} of the",
        f"first {made.equal.n} test items with the very text that the run has recorded. The table below is the adapter's.",
        "",
        "## Use",
        "",
        "Run it in the folder above this one. The tokenizer has no chat template, and none belongs to this model.",
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
