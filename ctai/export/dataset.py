"""Export of the dataset and of the test set: JSONL with flat, typed columns, each with a card.

Owns the columns. Separate folders, so that loading one never loads the other.
"""

import math
from pathlib import Path

from huggingface_hub import DatasetCardData

from ctai.export.cards import (
    bracket_interval,
    code_block,
    escape_inline,
    format_rate,
    front_matter,
    markdown_table,
    plain_line,
    python_block,
    warning_lines,
)
from ctai.export.finished_run import FinishedRun
from ctai.prompts import CompletionStylePrompts
from ctai.records import Example, FinishReason, PurityLedger, Record
from ctai.rundir import digest_of, write_jsonl, write_text

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_SAMPLES = 3
_LICENSE_NOTE = "No license has been chosen. The base model wrote these texts, so its terms may restrict their use."


class DatasetRow(Record):
    """Row of the dataset: training pair, critic margins, and the inputs that reproduce it."""

    prompt: str
    completion: str
    instruction: str
    response: str
    finish_reason: FinishReason
    response_tokens: int
    instruction_margin: float | None
    pair_margin: float | None
    stage: str
    shard: int
    item: int
    seed: int
    temperature: float
    top_p: float
    repetition_penalty: float
    max_new_tokens: int
    generation_prompt: str
    model: str
    weights_digest: str
    quantization: str
    git_commit: str
    git_dirty: bool
    ctai_version: str
    run_id: str


_COLUMNS = (
    ("prompt, completion", "training text; the end-of-text token of the tokenizer followed the completion"),
    ("instruction, response", "the same without the prompt format"),
    ("finish_reason, response_tokens", "finish reason and length of the response"),
    (
        "instruction_margin, pair_margin",
        "confidence of the critic, in nats (log-probability of A minus B)",
    ),
    ("generation_prompt, seed, temperature, ...", "inputs of the base model, sufficient to reproduce the row"),
    ("stage, shard, item, run_id", "origin in the run"),
    ("model, weights_digest, quantization", "base model that generated it"),
    ("git_commit, git_dirty, ctai_version", "code version"),
)


class HeldoutRow(Record):
    """Row of the test set."""

    item: int
    family: str
    type: str
    key: str
    instruction: str
    prompt: str
    canary: str


def to_row(example: Example) -> DatasetRow:
    """Convert an example to a row of the dataset."""
    metadata, sampling = example.metadata, example.metadata.sampling
    return DatasetRow(
        prompt=CompletionStylePrompts.zero_shot(example.instruction),
        completion=CompletionStylePrompts.completion(example.response),
        instruction=example.instruction,
        response=example.response,
        finish_reason=example.finish_reason,
        response_tokens=metadata.response_tokens,
        instruction_margin=_finite(example.instruction_critique.margin),
        pair_margin=_finite(example.pair_critique.margin),
        stage=metadata.stage,
        shard=metadata.shard,
        item=metadata.item,
        seed=metadata.seed,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        repetition_penalty=sampling.repetition_penalty,
        max_new_tokens=sampling.max_new_tokens,
        generation_prompt=example.prompt,
        model=metadata.model,
        weights_digest=metadata.weights_digest,
        quantization=metadata.quantization,
        git_commit=metadata.git_commit,
        git_dirty=metadata.git_dirty,
        ctai_version=metadata.loader_version,
        run_id=metadata.run_id,
    )


def _finite(value: float) -> float | None:
    """Return None for infinity and nan, which JSON does not have."""
    return value if math.isfinite(value) else None


def write_dataset(run: FinishedRun, folder: Path) -> None:
    """Write `train.jsonl` with its card."""
    write_jsonl(folder / "train.jsonl", map(to_row, run.examples))
    write_text(folder / "README.md", "\n".join(_card(run)))


def write_heldout(run: FinishedRun, folder: Path) -> None:
    """Write `test.jsonl` with its card, which forbids training on it."""
    canary = f"ctai-test-set-{digest_of(run.heldout)[:32]}"
    prompt = CompletionStylePrompts.zero_shot
    rows = (
        HeldoutRow(
            item=item.item, family=item.family, type=item.type, key=item.key, instruction=item.instruction,
            prompt=prompt(item.instruction), canary=canary,
        )
        for item in run.heldout
    )  # fmt: skip
    write_jsonl(folder / "test.jsonl", rows)
    write_text(folder / "README.md", "\n".join(_heldout_card(run, canary)))


def _metadata(name: str, rows: int, split: str, file: str, tags: list[str]) -> DatasetCardData:
    return DatasetCardData(
        language=["en"],
        license="other",
        license_name="not-chosen",
        pretty_name=name,
        size_categories=[next((size for limit, size in _SIZES if rows < limit), "n>1M")],
        task_categories=["text-generation"],
        tags=tags,
        configs=[{"config_name": "default", "data_files": [{"split": split, "path": file}]}],
    )


def _card(run: FinishedRun) -> list[str]:
    count, model = len(run.examples), run.provenance.model_id
    name = f"Instructions written and judged by {plain_line(model)}"
    tags = ["synthetic", "self-generated", "instruction-tuning"]
    return [
        *front_matter(_metadata(name, count, "train", "train.jsonl", tags)),
        *warning_lines(run.warnings),
        f"# Instructions written and judged by {escape_inline(model)}",
        "",
        f"{count:,} pairs. The base model wrote and judged every instruction and response itself, in completion mode: no chat",
        "template, no stronger model, no human annotation. Duplicates and overlaps with the test set are removed.",
        *_trained_on(run),
        "",
        *python_block(["from datasets import load_dataset", "", 'train = load_dataset("dataset", split="train")']),
        "Run it in the parent folder.",
        "",
        *markdown_table(("columns", "content"), _COLUMNS),
        *_purity(run.purity),
        "## Samples",
        "",
        *(line for example in run.examples[:_SAMPLES] for line in _sample(example)),
        "## Limits",
        "",
        "The texts are only as correct as the base model and its critic; see Purity above, `evaluation/` and the report.",
        _LICENSE_NOTE,
        "",
    ]


def _purity(ledger: PurityLedger) -> list[str]:
    """Return the section on right and wrong pairs, as the scorers of the instruction families see them."""
    pairs, estimate = ledger.pairs, ledger.pairs.unparsed_estimate
    rows = [
        (escape_inline(phase), f"{share.k:,} of {share.n:,}", format_rate(share) if share.n else "unknown")
        for phase, share in pairs.phases.items()
    ]
    unparsed = f"{pairs.unparsed.get('kept', 0):,} kept pairs have an instruction that no family parses; their purity is unknown"
    if not estimate.reason:
        share = f"{estimate.accepted_value:.3f} {bracket_interval(estimate.accepted_interval)}"
        unparsed = f"{unparsed}, and estimated from the critic's error at {share}"
    return [
        "## Purity",
        "",
        "Right pairs among those whose instruction a family of `ctai` parses. The scorer of the family judges them and selects",
        "no data.",
        "",
        *markdown_table(("pairs", "right", "share [95% interval, clustered by family]"), rows),
        f"{escape_inline(ledger.sentence().capitalize())}. {unparsed}.",
        "",
    ]


def _sample(example: Example) -> list[str]:
    return code_block(f"{example.instruction}\n-> {example.response}")


def _trained_on(run: FinishedRun) -> list[str]:
    omitted = run.hyperparameters.get("left_out_too_long", 0)
    if run.control != "none":
        return []  # a warning above states that the training data differs
    return [f"Training omitted {omitted} of them as too long." if omitted else "Training used all of them."]


def _heldout_card(run: FinishedRun, canary: str) -> list[str]:
    count = len(run.heldout)
    name = f"Test set of run {plain_line(run.training.run_id)}"
    return [
        *front_matter(_metadata(name, count, "test", "test.jsonl", ["test-set", "do-not-train"])),
        "> **Do not train on this.** It is the test set of the evaluation.",
        "",
        *warning_lines(run.warnings),
        f"# Test set: {count:,} instructions",
        "",
        "Drawn from instruction families whose answers `ctai` checks by rule, so there are no reference answers.",
        f"To keep it out of training data, filter texts that contain the canary `{canary}`.",
        "",
        *python_block(["from datasets import load_dataset", "", 'test = load_dataset("heldout", split="test")']),
    ]
