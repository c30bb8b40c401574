"""One shard, of the pilot or of the scale run: rounds of generation and judgement until enough examples are kept.

Owns when a shard ends, what it leaves on the disk and how it resumes: a round is a file, and a run that was killed goes
on after the last finished one and ends in the same bytes. What happens within a round is `rounds`'.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from ctai.config import RunConfig
from ctai.generate.dedup import OnlineDeduplicator
from ctai.generate.ladder import pilot_ladder
from ctai.generate.overlap import overlapping
from ctai.generate.rounds import Origin, RoundMaker
from ctai.model.text_engine import TextEngine
from ctai.provenance import Progress, code_digest, derive_seed
from ctai.qc import Material, Wanted, summarize
from ctai.records import Example, HeldoutItem, ModelProvenance, QcSummary, Record, Rejection, RoundBatch
from ctai.rundir import RunDir, Stage, digest_of, read_record, sha256_file, write_json, write_jsonl
from ctai.tasks import own

__all__ = [
    "MadeShard",
    "ShardModel",
    "kept_in_round",
    "make_shard",
    "maximum_rounds",
    "pilot_ladder",
    "rejection_of",
    "shard_stage",
]

DATASET, REJECTIONS, GENERATION, SUMMARY = "dataset.jsonl", "rejections.jsonl", "generation.jsonl", "qc_summary.json"
_ROUNDS = "rounds"
BEYOND_TARGET = "beyond the target"
# Phases of a rejection that leave the instruction taken: the deduplicator had let it in.
_TAKEN = ("instruction", "response", "pair")


class ShardModel(Protocol):
    """What a shard needs of a model that passed gate 1."""

    @property
    def engine(self) -> TextEngine:
        """The model itself; asked for only when something is left to generate."""
        ...

    @property
    def provenance(self) -> ModelProvenance:
        """Which model it is."""
        ...


class MadeShard(NamedTuple):
    """A shard's quality control, and whether the shard was already there."""

    summary: QcSummary
    reused: bool


def make_shard(
    *,
    model: ShardModel,
    config: RunConfig,
    rundir: RunDir,
    folder: Path,
    stage: Literal["pilot", "scale"],
    shard: int,
    target: int,
    heldout: Sequence[HeldoutItem],
    run_id: str,
    progress: Progress,
    git: tuple[str, bool],
) -> MadeShard:
    """Make a shard, or go on with one, or say that it is there.

    Args:
        model: the base model.
        config: the run's configuration; what matters here is part of the shard's key.
        rundir: the run directory.
        folder: where the shard goes: dataset, rejections, what was generated, QC summary and manifest.
        stage: which stage the shard belongs to.
        shard: its number, which its seeds depend on.
        target: how many examples to keep; the rounds end when they are reached, or at the configured limit.
        heldout: the frozen test set, which no example may overlap.
        run_id: the run that examples name.
        progress: told of kept examples.
        git: commit of the code, and whether the tree was dirty.
    """
    own.activate(config.generation.families, config.generation.families_sha256)  # a worker is a process of its own
    work = shard_stage(model, config, rundir, folder, stage, shard, target, heldout)
    if work.complete() is not None:
        return MadeShard(read_record(folder / SUMMARY, QcSummary), reused=True)
    work.begin()
    origin = Origin(stage, shard, run_id, *git)
    progress.start(f"{stage} shard {shard}", target)
    batches = list(_rounds(work, model, config, origin, target, heldout, progress))
    progress.finish()
    return MadeShard(_finish(work, config, origin, target, heldout, batches), reused=False)


def shard_stage(
    model: ShardModel,
    config: RunConfig,
    rundir: RunDir,
    folder: Path,
    stage: str,
    shard: int,
    target: int,
    heldout: Sequence[HeldoutItem],
) -> Stage:
    """What a shard depends on, and whether it is there; arguments as of `make_shard`."""
    parameters = {
        "seed": config.seed,
        "shard": shard,
        "target": target,
        "generation": config.generation,
        "critic": config.critic,
        "qc": config.qc,
        "near_duplicate_jaccard": config.scale.near_duplicate_jaccard,
        "batch_size": config.model.batch_size,
        "batch_tokens": config.model.batch_tokens,
        "code": code_digest(),
    }
    inputs = {**model.provenance.identity(), "heldout": digest_of(list(heldout))}
    return Stage(rundir, stage if stage == "pilot" else f"{stage}-{shard:03d}", folder, parameters, inputs)


def kept_in_round(work: Stage, number: int) -> int | None:
    """How many examples a finished round has kept; None if it is not finished."""
    stored = work.batches(_ROUNDS).get(number, RoundBatch)
    return sum(len(batch.examples) for batch in stored) if stored is not None else None


def maximum_rounds(config: RunConfig, target: int) -> int:
    """After how many rounds a shard gives up."""
    return math.ceil(config.generation.max_batches_per_item * math.ceil(target / config.generation.batch_size))


def _rounds(
    work: Stage,
    model: ShardModel,
    config: RunConfig,
    origin: Origin,
    target: int,
    heldout: Sequence[HeldoutItem],
    progress: Progress,
) -> Iterator[RoundBatch]:
    """The finished rounds from the disk, then new ones, until enough is kept."""
    seen: OnlineDeduplicator = OnlineDeduplicator(heldout, config.scale.near_duplicate_jaccard)
    rotation = config.generation.example_rotation
    seed_of = partial(derive_seed, config.seed, origin.stage, origin.shard, rotation)
    maker: RoundMaker | None = None
    kept: list[str] = []
    items = 0
    for number in range(maximum_rounds(config, target)):
        stored = work.batches(_ROUNDS).get(number, RoundBatch)
        if stored:
            (batch,) = stored
            _remember(seen, batch)
        else:
            maker = maker or RoundMaker(model.engine, model.provenance, config, origin, seed_of, seen)
            batch = maker.make(number, items, kept)
            work.batches(_ROUNDS).put(number, [batch])
        items += batch.generation.parsed
        kept += [example.instruction for example in batch.examples]
        progress.advance(len(batch.examples), f"round {number + 1}")
        yield batch
        if len(kept) >= target:
            return


def _remember(seen: OnlineDeduplicator, batch: RoundBatch) -> None:
    """Bring the deduplicator to where it was after this round."""
    taken = [(example.metadata.item, example.instruction) for example in batch.examples]
    taken += [(r.item, r.instruction) for r in batch.rejections if r.phase in _TAKEN]
    for _, instruction in sorted(taken):
        seen.add(instruction)


def _finish(
    work: Stage,
    config: RunConfig,
    origin: Origin,
    target: int,
    heldout: Sequence[HeldoutItem],
    batches: Sequence[RoundBatch],
) -> QcSummary:
    """Write the shard's files, the manifest last."""
    examples = [example for batch in batches for example in batch.examples]
    rejections = [rejection for batch in batches for rejection in batch.rejections]
    rejections += [rejection_of(example, "pair", BEYOND_TARGET) for example in examples[target:]]
    rounds = [batch.generation for batch in batches]
    examples = examples[:target]
    paths = [work.folder / name for name in (DATASET, REJECTIONS, GENERATION)]
    contents: tuple[Sequence[Record], ...] = (examples, rejections, rounds)
    for path, records in zip(paths, contents, strict=True):
        write_jsonl(path, records)
    summary = summarize(
        origin.stage,
        Material(examples, rejections, rounds, overlapping(examples, heldout, config.scale.near_duplicate_jaccard)),
        wanted=Wanted("kept_examples", target),
        thresholds=config.qc,
        inputs={**work.inputs, **{path.name: sha256_file(path) for path in paths}},
        run_id=origin.run_id,
        artifact=work.rundir.relative(work.folder / SUMMARY),
    )
    write_json(work.folder / SUMMARY, summary)
    work.finish([*paths, work.folder / SUMMARY], origin.run_id)
    return summary


def rejection_of(
    example: Example, phase: Literal["pair", "dedup", "decontaminate"], reason: str, repeats: str = ""
) -> Rejection:
    """The record of an example that was good enough and is left out all the same."""
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
        repeats=repeats,
        prompt=example.prompt,
        seed=example.metadata.seed,
    )
