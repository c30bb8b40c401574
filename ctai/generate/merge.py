"""Merge of shards into one dataset without duplicates and held-out items, and quality control over the union.

Owns the compatibility of shards and the rates of the union, whose denominators are everything that the shards
generated. The files of the shards are not changed; they are streamed, so that memory holds the instructions and a few
numbers for each.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import NamedTuple

from ctai.errors import CtaiError
from ctai.generate.dedup.decontamination import HeldoutOverlap
from ctai.generate.dedup.deduplication import DuplicateMatch, OnlineDeduplicator
from ctai.generate.shard import DATASET, GENERATION, REJECTIONS, rejection_of
from ctai.progress import Progress
from ctai.provenance import StageContext
from ctai.qc.summary import MinimumCount, QcCounter, SummaryHeader, summarize
from ctai.records import Example, GenerationRound, HeldoutItem, QcSummary, Rate, Rejection, StageManifest
from ctai.rundir import (
    RunDir,
    Stage,
    digest_of,
    digest_path,
    read_record,
    sha256_file,
    stream_jsonl,
    write_json,
    write_jsonl,
)
from ctai.statistics import rate

# Parameters that shards of one dataset have in common; seeds and shard numbers differ by design.
_COMMON_PARAMETERS = ("generation", "critic", "batch_size", "batch_tokens", "code")


class MergedDataset(NamedTuple):
    """QC summary of the union, its file, and whether a complete merge was reused."""

    summary: QcSummary
    qc_path: Path
    reused: bool


def merge_shards(context: StageContext, folders: Sequence[Path], heldout: Sequence[HeldoutItem]) -> MergedDataset:
    """Merge finished shards into the training data, or reuse a complete merge.

    All unique examples are kept, also beyond the configured count.

    Args:
        context: of the run.
        folders: of the shards, in order; of duplicates the one in the earliest folder is kept.
        heldout: the frozen test set.

    Raises:
        CtaiError: a shard is not finished, was changed, or does not belong to the same dataset.
    """
    rundir = context.rundir
    manifests = [_checked_manifest(rundir, folder) for folder in folders]
    _check_common(folders, manifests, digest_of(list(heldout)))
    work = _stage(context, folders, manifests, heldout)
    paths = [rundir.dataset, rundir.removed, rundir.dataset_qc]
    if work.complete() is not None:
        return MergedDataset(read_record(paths[2], QcSummary), paths[2], reused=True)
    work.begin()
    summary = _write(work, context, folders, heldout, paths)
    work.finish(paths, context.run_id)
    return MergedDataset(summary, paths[2], reused=False)


def _checked_manifest(rundir: RunDir, folder: Path) -> StageManifest:
    """Return the manifest of a shard after checking the digests of its files.

    Raises:
        CtaiError: the manifest is missing, a file was changed, or the manifest does not list a required file.
    """
    path = folder / "manifest.json"
    if not path.exists():
        raise CtaiError(f"shard {folder.name} is not finished: it has no manifest.json. Generate it before merging")
    manifest = read_record(path, StageManifest)
    for name, digest in manifest.artifacts.items():
        file = rundir.path(name)
        if not file.exists() or digest_path(file) != digest:
            raise CtaiError(
                f"{file} was changed after shard {folder.name} wrote it. Restore it or generate the shard again"
            )
    listed = {rundir.path(name) for name in manifest.artifacts}
    if missing := [name for name in (DATASET, REJECTIONS, GENERATION) if folder / name not in listed]:
        raise CtaiError(f"the manifest of shard {folder.name} does not list {', '.join(missing)}")
    return manifest


def _check_common(folders: Sequence[Path], manifests: Sequence[StageManifest], heldout: str) -> None:
    if not folders:
        raise CtaiError("there are no shards to merge")
    first = manifests[0]
    for folder, manifest in zip(folders, manifests, strict=True):
        if manifest.inputs.get("heldout") != heldout:
            raise CtaiError(f"shard {folder.name} was generated against another held-out set. Generate it again")
        if names := _differing_inputs(first.inputs, manifest.inputs):
            raise CtaiError(f"shards {folders[0].name} and {folder.name} come from models of different {names}")
        if [manifest.parameters.get(name) for name in _COMMON_PARAMETERS] != [
            first.parameters.get(name) for name in _COMMON_PARAMETERS
        ]:
            raise CtaiError(
                f"shards {folders[0].name} and {folder.name} were generated with different settings or code"
            )
    numbers = [(manifest.parameters.get("seed"), manifest.parameters.get("shard")) for manifest in manifests]
    if len(set(numbers)) < len(numbers):
        raise CtaiError("two shards have the same seed and number, so they hold the same examples")


def _differing_inputs(a: Mapping[str, str], b: Mapping[str, str]) -> str:
    """Return the names of the inputs in which two shards differ; but for the held-out set, inputs identify the model."""
    return ", ".join(sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name)))


def _stage(
    context: StageContext, folders: Sequence[Path], manifests: Sequence[StageManifest], heldout: Sequence[HeldoutItem]
) -> Stage:
    config, rundir = context.config, context.rundir
    parameters = {
        "count": config.scale.count,
        "near_duplicate_jaccard": config.scale.near_duplicate_jaccard,
        "qc": config.qc,
        "shards": [rundir.relative(folder) for folder in folders],
    }
    inputs = {rundir.relative(folder): digest_of(m) for folder, m in zip(folders, manifests, strict=True)}
    inputs["heldout"] = digest_of(list(heldout))
    return context.stage("merge", rundir.merge_stage_dir, parameters, inputs)


class Decision(NamedTuple):
    """An example, the position of its shard, and the duplicate that it matches; None for an example that is kept."""

    shard: int
    example: Example
    match: DuplicateMatch | None


def decisions(
    shards: Sequence[Iterable[Example]], heldout: Sequence[HeldoutItem], threshold: float
) -> Iterator[Decision]:
    """Decide for each example of each shard, in order, whether the merge keeps it.

    Args:
        shards: the examples of each shard.
        heldout: the frozen test set.
        threshold: minimum Jaccard similarity of near-duplicates.
    """
    online = OnlineDeduplicator(heldout, threshold)
    for position, examples in enumerate(shards):
        for example in examples:
            yield Decision(position, example, online.add(example.instruction))


class _Union:
    """Counters of a merge, and the positions of the examples that it drops."""

    def __init__(self, folders: Sequence[Path], heldout: Sequence[HeldoutItem], threshold: float) -> None:
        self.counter = QcCounter()
        self.rates = MergeRates(len(folders))
        self._folders = folders
        self._heldout = heldout
        self._threshold = threshold
        self._dropped = bytearray()
        self._matches: list[DuplicateMatch] = []

    def kept_examples(self, progress: Progress) -> Iterator[Example]:
        """Yield the examples that are kept; reads the shards once."""
        overlap = HeldoutOverlap(self._heldout, self._threshold)
        progress.start("merge", len(self._folders))
        streams = [self._shard(position, folder, progress) for position, folder in enumerate(self._folders)]
        for decision in decisions(streams, self._heldout, self._threshold):
            self.rates.decide(decision)
            self._dropped.append(decision.match is not None)
            if decision.match is None:
                self.counter.keep(decision.example)
                self.counter.overlapping += overlap.contains(decision.example.instruction)
                yield decision.example
            else:
                self._matches.append(decision.match)
        progress.finish()

    def _shard(self, position: int, folder: Path, progress: Progress) -> Iterator[Example]:
        """Yield the examples of a shard, then count its rejections and rounds."""
        yield from stream_jsonl(folder / DATASET, Example)
        for rejection in stream_jsonl(folder / REJECTIONS, Rejection):
            self.counter.reject(rejection)
            self.rates.reject(position, rejection)
        for generation in stream_jsonl(folder / GENERATION, GenerationRound):
            self.counter.generate(generation)
            self.rates.generate(position, generation)
        progress.advance(1, folder.name)

    def rejections(self) -> Iterator[Rejection]:
        """Yield the examples that are dropped, as rejections; reads the shards a second time."""
        examples = (example for folder in self._folders for example in stream_jsonl(folder / DATASET, Example))
        for example, match in zip(compress(examples, self._dropped), self._matches, strict=True):
            rejection = rejection_of_dropped(example, match)
            self.counter.reject(rejection)
            yield rejection


def _write(
    work: Stage,
    context: StageContext,
    folders: Sequence[Path],
    heldout: Sequence[HeldoutItem],
    paths: Sequence[Path],
) -> QcSummary:
    """Write the dataset, the removed examples and the QC summary of the union."""
    config = context.config
    union = _Union(folders, heldout, config.scale.near_duplicate_jaccard)
    write_jsonl(paths[0], union.kept_examples(context.progress))
    write_jsonl(paths[1], union.rejections())
    header = SummaryHeader(
        stage="merged",
        run_id=context.run_id,
        inputs={**work.inputs, **{path.name: sha256_file(path) for path in paths[:2]}},
        artifact=work.rundir.relative(paths[2]),
        made_by=context.made_by,
    )
    minimum = MinimumCount("unique_examples", config.scale.count)
    summary = summarize(
        header, union.counter, minimum, config.qc, union.rates.rates(), filters=config.generation.filter_with_critic
    )
    write_json(paths[2], summary)
    return summary


class MergeRates:
    """Duplicate rates within and across shards, by position of the shard, since shard numbers may repeat across seeds.

    Duplicates within a shard were rejected when they were generated; the merge drops duplicates of earlier shards.
    """

    def __init__(self, shards: int) -> None:
        self._parsed = [0] * shards
        self._duplicates = [0] * shards
        self._sizes = [0] * shards
        self._dropped = [0] * shards

    def generate(self, shard: int, generation: GenerationRound) -> None:
        """Count the instructions of a round of a shard."""
        self._parsed[shard] += generation.parsed

    def reject(self, shard: int, rejection: Rejection) -> None:
        """Count a rejection within a shard."""
        self._duplicates[shard] += rejection.phase == "dedup"

    def decide(self, decision: Decision) -> None:
        """Count an example of a shard."""
        self._sizes[decision.shard] += 1
        self._dropped[decision.shard] += decision.match is not None and decision.match.phase == "dedup"

    def rates(self) -> dict[str, Rate]:
        """Return the rates by name; they are reported and have no threshold.

        Denominators: all examples, the examples of a shard, and the instructions that a shard generated.
        """
        positions = range(len(self._sizes))
        return {
            "removed_of_union": rate(sum(self._dropped), sum(self._sizes)),
            **{f"removed_of_shard_{i:03d}": rate(self._dropped[i], self._sizes[i]) for i in positions},
            **{f"duplicates_in_shard_{i:03d}": rate(self._duplicates[i], self._parsed[i]) for i in positions},
        }


def rejection_of_dropped(example: Example, match: DuplicateMatch) -> Rejection:
    """Return the rejection of an example that the merge dropped."""
    return rejection_of(example, match.phase, match.reason, match.repeated_instruction)
