"""The dataset and the test set as others load them: JSONL with flat, typed columns, each beside its card.

Owns the columns. The two lie in folders of their own, so that loading one never brings the other.
"""

import math
from pathlib import Path

from ctai.export.cards import block, front_matter, program, said, table, warned
from ctai.export.source import FinishedRun
from ctai.prompts import CompletionStylePrompts
from ctai.records import Example, FinishReason, Record
from ctai.report.text import plain
from ctai.rundir import digest_of, write_jsonl, write_text

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_SAMPLES = 3
_LICENSE = {"license": "other", "license_name": "not-chosen"}
_LICENSE_NOTE = (
    "Nobody has chosen a license. The base model wrote these texts: its terms may say what may be done with them."
)


class Row(Record):
    """One line of the dataset: what was trained on, how it was judged, and all that is needed to make it again."""

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
    ("prompt, completion", "exactly what was trained on; the tokenizer's end-of-text token followed the completion"),
    ("instruction, response", "the same without the prompt's frame"),
    ("finish_reason, response_tokens", "how the generation ended, and how long the response is"),
    (
        "instruction_margin, pair_margin",
        "how sure the critic was that they are good, in nats (log-probability of A over B)",
    ),
    ("generation_prompt, seed, temperature, ...", "what the base model was given: enough to make the line again"),
    ("stage, shard, item, run_id", "where in the run it was made"),
    ("model, weights_digest, quantization", "the base model that wrote it"),
    ("git_commit, git_dirty, ctai_version", "the code that made it"),
)


class TestRow(Record):
    """One line of the test set."""

    item: int
    family: str
    type: str
    key: str
    instruction: str
    prompt: str
    canary: str


def row(example: Example) -> Row:
    """An example as a line of the dataset."""
    metadata, sampling = example.metadata, example.metadata.sampling
    return Row(
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
    """JSON has no infinity, and a reader of JSONL would stop at one."""
    return value if math.isfinite(value) else None


def write_dataset(run: FinishedRun, folder: Path) -> None:
    """Write `train.jsonl` and its card."""
    write_jsonl(folder / "train.jsonl", map(row, run.examples))
    write_text(folder / "README.md", "\n".join(_card(run)))


def write_heldout(run: FinishedRun, folder: Path) -> None:
    """Write `test.jsonl` and its card, which says not to train on it."""
    canary = f"ctai-test-set-{digest_of(run.heldout)[:32]}"
    prompt = CompletionStylePrompts.zero_shot
    rows = (
        TestRow(
            item=one.item, family=one.family, type=one.type, key=one.key, instruction=one.instruction,
            prompt=prompt(one.instruction), canary=canary,
        )
        for one in run.heldout
    )  # fmt: skip
    write_jsonl(folder / "test.jsonl", rows)
    write_text(folder / "README.md", "\n".join(_heldout_card(run, canary)))


def _head(name: str, rows: int, split: str, file: str, tags: list[str]) -> list[str]:
    size = next((size for limit, size in _SIZES if rows < limit), "n>1M")
    return front_matter(
        {
            **_LICENSE,
            "language": ["en"],
            "pretty_name": name,
            "size_categories": [size],
            "task_categories": ["text-generation"],
            "tags": tags,
            "configs": [{"config_name": "default", "data_files": [{"split": split, "path": file}]}],
        }
    )


def _card(run: FinishedRun) -> list[str]:
    count, model = len(run.examples), run.provenance.model_id
    pretty = f"Instructions written and judged by {' '.join(plain(model, 100).split())}"
    name = f"Instructions written and judged by {said(model)}"
    return [
        *_head(pretty, count, "train", "train.jsonl", ["synthetic", "self-generated", "instruction-tuning"]),
        *warned(run.warnings),
        f"# {name}",
        "",
        f"{count:,} pairs. A base model wrote every instruction and every response and judged them itself, in completion",
        "mode: no chat template, no stronger model, no person. Duplicates are removed, and no test item is among them.",
        *_trained_on(run),
        "",
        *program(["from datasets import load_dataset", "", 'train = load_dataset("dataset", split="train")']),
        "Run it in the folder above this one.",
        "",
        *table(("columns", "what"), _COLUMNS),
        "## Samples",
        "",
        *(line for one in run.examples[:_SAMPLES] for line in block(f"{one.instruction}\n-> {one.response}")),
        "## Limits",
        "",
        "The texts are as right as the base model and its critic are: `evaluation/` and the report say how far that goes.",
        _LICENSE_NOTE,
        "",
    ]


def _trained_on(run: FinishedRun) -> list[str]:
    left_out = run.hyperparameters.get("left_out_too_long", 0)
    if run.control != "none":
        return []  # the first lines say that training saw something else
    return [f"Training left out {left_out} of them as too long." if left_out else "All of them were trained on."]


def _heldout_card(run: FinishedRun, canary: str) -> list[str]:
    count = len(run.heldout)
    return [
        *_head(
            f"Test set of run {said(run.training.run_id)}", count, "test", "test.jsonl", ["test-set", "do-not-train"]
        ),
        "> **Do not train on this.** It is the test set that the evaluation rests on.",
        "",
        *warned(run.warnings),
        f"# Test set: {count:,} instructions",
        "",
        "Drawn from families with rules that check an answer, so there is no reference answer in it; `ctai` has the checkers.",
        f"Whoever collects texts for training can leave out all that hold the canary `{canary}`.",
        "",
        *program(["from datasets import load_dataset", "", 'test = load_dataset("heldout", split="test")']),
    ]
