"""One shard of the pilot or scale stage: rounds of generation and judgement until enough examples are accepted.

Owns the end of a shard, its files and its resumption: each round is a file, and a killed run resumes after the last
finished one and ends in the same bytes. Does not own the course of a round (`ctai.generate.round`).
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from ctai.config import RunConfig
from ctai.generate.dedup.decontamination import overlapping
from ctai.generate.dedup.deduplication import OnlineDeduplicator
from ctai.generate.round import ExampleOrigin, RoundGenerator
from ctai.model.protocols import TextEngine
from ctai.model.reference import require_base
from ctai.provenance import StageContext, derive_seed
from ctai.qc.summary import MinimumCount, QcInput, SummaryHeader, summarize
from ctai.records import (
    BEYOND_TARGET,
    Example,
    GenerationRound,
    HeldoutItem,
    ModelProvenance,
    QcSummary,
    Record,
    Rejection,
    RoundBatch,
    StageManifest,
)
from ctai.rundir import Stage, digest_of, read_jsonl, read_record, sha256_file, write_json, write_jsonl
from ctai.tasks import plugins

__all__ = [
    "ShardModel",
    "ShardResult",
    "ShardSpec",
    "check_summary",
    "count_round_examples",
    "make_shard",
    "maximum_rounds",
    "rejection_of",
    "shard_files",
    "shard_stage",
]

DATASET, REJECTIONS, GENERATION, SUMMARY = "dataset.jsonl", "rejections.jsonl", "generation.jsonl", "qc_summary.json"
QC = "qc"
_ROUNDS = "rounds"
# Phases of rejection after deduplication: the deduplicator holds the instructions that they reject.
_AFTER_DEDUPLICATION = ("instruction", "response", "pair")


def shard_files(folder: Path) -> list[Path]:
    """Return the files that vouch for a shard: dataset, rejections, generated texts, QC summary and manifest."""
    return [folder / name for name in (DATASET, REJECTIONS, GENERATION, SUMMARY, "manifest.json")]


class ShardModel(Protocol):
    """A model that passed gate contamination, as generation needs it."""

    @property
    def engine(self) -> TextEngine:
        """The inference engine; read only when there is something to generate."""
        ...

    @property
    def provenance(self) -> ModelProvenance:
        """Identity of the model."""
        ...


class ShardResult(NamedTuple):
    """QC summary of a shard, and whether a complete shard was reused."""

    summary: QcSummary
    reused: bool


class ShardSpec(NamedTuple):
    """The shard to generate.

    Attributes:
        stage: the stage that the shard belongs to.
        number: index of the shard; its seeds depend on it.
        target: number of examples to accept; rounds end when it is reached, or at the configured limit.
        folder: destination of dataset, rejections, generated texts, QC summary and manifest.
        heldout: the frozen test set, which no example may overlap.
    """

    stage: Literal["pilot", "scale"]
    number: int
    target: int
    folder: Path
    heldout: Sequence[HeldoutItem]


def make_shard(model: ShardModel, context: StageContext, spec: ShardSpec) -> ShardResult:
    """Generate a shard, resume an interrupted one, or reuse a complete one.

    Args:
        model: the base model.
        context: of the run; its settings for generation, critic and batching are part of the key of the shard. The
            thresholds of quality control are not: with others, the summary alone is computed again.
        spec: the shard.

    Raises:
        CtaiError: files of a complete shard were changed, or generation failed.
    """
    generation = context.config.generation
    plugins.activate(generation.families, generation.families_sha256)  # a worker is a separate process
    work = shard_stage(model, context, spec)
    reused = work.complete() is not None
    if not reused:
        work.begin()
        context.progress.start(f"{spec.stage} shard {spec.number}", spec.target)
        batches = list(_rounds(work, model, context, spec))
        context.progress.finish()
        _finish(work, context, spec, batches)
    return ShardResult(_summarize(work, context, spec), reused)


def shard_stage(model: ShardModel, context: StageContext, spec: ShardSpec) -> Stage:
    """Return the stage of a shard; arguments as for `make_shard`."""
    config = context.config
    parameters = {
        "seed": config.seed,
        "shard": spec.number,
        "target": spec.target,
        "generation": config.generation,
        "critic": config.critic.judgement(),
        "near_duplicate_jaccard": config.scale.near_duplicate_jaccard,
        "batch_size": config.model.batch_size,
        "batch_tokens": config.model.batch_tokens,
    }
    require_base(model.provenance)
    inputs = {**model.provenance.identity(), "heldout": digest_of(list(spec.heldout))}
    name = spec.stage if spec.stage == "pilot" else f"{spec.stage}-{spec.number:03d}"
    return context.stage(name, spec.folder, parameters, inputs)


def count_round_examples(work: Stage, number: int) -> int | None:
    """Return the number of examples that a finished round accepted; None if it is not finished."""
    stored = work.batches(_ROUNDS).get(number, RoundBatch)
    return sum(len(batch.examples) for batch in stored) if stored is not None else None


def maximum_rounds(config: RunConfig, target: int) -> int:
    """Return the number of rounds after which a shard ends short of its target."""
    return math.ceil(config.generation.max_batches_per_item * math.ceil(target / config.generation.batch_size))


def _rounds(work: Stage, model: ShardModel, context: StageContext, spec: ShardSpec) -> Iterator[RoundBatch]:
    """Yield the finished rounds from the disk, then new ones, until enough examples are kept."""
    config = context.config
    deduplicator = OnlineDeduplicator(spec.heldout, config.scale.near_duplicate_jaccard)
    rotation = config.generation.example_rotation
    seed_of = partial(derive_seed, config.seed, spec.stage, spec.number, rotation)
    origin = ExampleOrigin(spec.stage, spec.number, context.run_id, context.git.commit, context.git.dirty)
    generator: RoundGenerator | None = None
    accepted: list[str] = []
    items = 0
    for number in range(maximum_rounds(config, spec.target)):
        stored = work.batches(_ROUNDS).get(number, RoundBatch)
        if stored:
            (batch,) = stored
            _restore_deduplicator(deduplicator, batch)
        else:
            if generator is None:
                generator = RoundGenerator(model.engine, model.provenance, config, origin, seed_of, deduplicator)
            batch = generator.generate(number, items, accepted)
            work.batches(_ROUNDS).put(number, [batch])
        items += batch.generation.parsed
        accepted += [example.instruction for example in batch.examples]
        context.progress.advance(len(batch.examples), f"round {number + 1}")
        yield batch
        if len(accepted) >= spec.target:
            return


def _restore_deduplicator(deduplicator: OnlineDeduplicator, batch: RoundBatch) -> None:
    """Restore the state of the deduplicator after a finished round."""
    instructions = [(example.metadata.item, example.instruction) for example in batch.examples]
    instructions += [(r.item, r.instruction) for r in batch.rejections if r.phase in _AFTER_DEDUPLICATION]
    for _, instruction in sorted(instructions):
        deduplicator.add(instruction)


def _finish(work: Stage, context: StageContext, spec: ShardSpec, batches: Sequence[RoundBatch]) -> None:
    """Write the generated files of the shard, the manifest last."""
    target = spec.target
    examples = [example for batch in batches for example in batch.examples]
    rejections = [rejection for batch in batches for rejection in batch.rejections]
    rejections += [rejection_of(example, "pair", BEYOND_TARGET) for example in examples[target:]]
    rounds = [batch.generation for batch in batches]
    examples = examples[:target]
    paths = _generated_files(work.folder)
    contents: tuple[Sequence[Record], ...] = (examples, rejections, rounds)
    for path, records in zip(paths, contents, strict=True):
        write_jsonl(path, records)
    work.finish(paths, context.run_id)


def _generated_files(folder: Path) -> list[Path]:
    return [folder / name for name in (DATASET, REJECTIONS, GENERATION)]


def check_summary(work: Stage) -> None:
    """Check that the QC summary of a shard is as it was written, whatever its thresholds.

    Raises:
        CtaiError: it was changed.
    """
    path = work.folder / QC / "manifest.json"
    if path.exists():
        manifest = read_record(path, StageManifest)
        Stage(work.rundir, manifest.stage, path.parent, manifest.parameters, manifest.inputs).complete()


def _summarize(work: Stage, context: StageContext, spec: ShardSpec) -> QcSummary:
    """Compute the QC summary of a finished shard from its files, or reuse one with the same thresholds."""
    config, paths = context.config, _generated_files(work.folder)
    inputs = {**work.inputs, **{path.name: sha256_file(path) for path in paths}}
    parameters = {
        "qc": config.qc,
        "minimum": spec.target,
        "near_duplicate_jaccard": config.scale.near_duplicate_jaccard,
    }
    stage = context.stage(f"{work.name}-{QC}", work.folder / QC, parameters, inputs)
    if stage.complete() is not None:
        return read_record(work.folder / SUMMARY, QcSummary)
    stage.begin()
    examples, rejections = read_jsonl(paths[0], Example), read_jsonl(paths[1], Rejection)
    rounds = read_jsonl(paths[2], GenerationRound)
    header = SummaryHeader(
        stage=spec.stage,
        run_id=context.run_id,
        inputs=inputs,
        artifact=work.rundir.relative(work.folder / SUMMARY),
        made_by=context.made_by,
    )
    overlap = overlapping(examples, spec.heldout, config.scale.near_duplicate_jaccard)
    summary = summarize(
        header, QcInput(examples, rejections, rounds, overlap), MinimumCount("kept_examples", spec.target), config.qc
    )
    write_json(work.folder / SUMMARY, summary)
    stage.finish([work.folder / SUMMARY], context.run_id)
    return summary


def rejection_of(
    example: Example, phase: Literal["pair", "dedup", "decontaminate"], reason: str, duplicate_of: str = ""
) -> Rejection:
    """Return the rejection of an example that the critic accepted.

    Args:
        example: the example.
        phase: of the rejection.
        reason: of the rejection.
        duplicate_of: the instruction that it repeats, if it is a duplicate.
    """
    return Rejection(
        phase=phase,
        reason=reason,
        instruction=example.instruction,
        response=example.response,
        completion=example.completion,
        finish_reason=example.finish_reason,
        critique=example.pair_critique,
        shard=example.metadata.shard,
        item=example.metadata.item,
        duplicate_of=duplicate_of,
        prompt=example.prompt,
        seed=example.metadata.seed,
    )
