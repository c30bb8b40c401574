"""Merging shards: one dataset without duplicates and without the held-out set, and quality control over the union.

Owns what may be merged with what, and that rates of the union are over everything that the shards generated. The
shards' own files stay as they are, and are read line by line: what is kept in memory is the text of the instructions
and a few numbers for each.
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

# What shards must agree in to belong to one dataset; seeds and shard numbers differ by their nature.
_COMMON = ("generation", "critic", "batch_size", "batch_tokens", "code")


class MergedDataset(NamedTuple):
    """The union's quality control, its file, and whether the union was already there."""

    summary: QcSummary
    qc_path: Path
    reused: bool


def merge_shards(context: StageContext, folders: Sequence[Path], heldout: Sequence[HeldoutItem]) -> MergedDataset:
    """Merge finished shards into the training data, or reuse a complete merge.

    All unique examples are kept, also beyond the configured count.

    Args:
        context: of the run.
        folders: the shards' folders; the first occurrence of an instruction is in the first of them.
        heldout: the frozen test set.

    Raises:
        CtaiError: a shard is not finished, was changed, or does not belong to the same dataset.
    """
    rundir = context.rundir
    manifests = [_checked_manifest(rundir, folder) for folder in folders]
    _check_common(folders, manifests, digest_of(list(heldout)))
    work = _stage(context, folders, manifests, heldout)
    paths = [rundir.dataset, rundir.dataset.with_name("dropped.jsonl"), rundir.dataset.with_name("qc_summary.json")]
    if work.complete() is not None:
        return MergedDataset(read_record(paths[2], QcSummary), paths[2], reused=True)
    work.begin()
    summary = _write(work, context, folders, heldout, paths)
    work.finish(paths, context.run_id)
    return MergedDataset(summary, paths[2], reused=False)


def _checked_manifest(rundir: RunDir, folder: Path) -> StageManifest:
    """The manifest of a shard whose files are what it made."""
    path = folder / "manifest.json"
    if not path.exists():
        raise CtaiError(f"shard {folder.name} is not finished: it has no manifest.json; make it before merging")
    manifest = read_record(path, StageManifest)
    for name, digest in manifest.artifacts.items():
        file = rundir.path(name)
        if not file.exists() or digest_path(file) != digest:
            raise CtaiError(f"{file} is not what shard {folder.name} made: restore it, or make the shard again")
    made = {rundir.path(name) for name in manifest.artifacts}
    if missing := [name for name in (DATASET, REJECTIONS, GENERATION) if folder / name not in made]:
        raise CtaiError(f"the manifest of shard {folder.name} does not vouch for {', '.join(missing)}")
    return manifest


def _check_common(folders: Sequence[Path], manifests: Sequence[StageManifest], heldout: str) -> None:
    if not folders:
        raise CtaiError("there are no shards to merge")
    first = manifests[0]
    for folder, manifest in zip(folders, manifests, strict=True):
        if manifest.inputs.get("heldout") != heldout:
            raise CtaiError(f"shard {folder.name} was made against another held-out set; make it again")
        if different := _different(first.inputs, manifest.inputs):
            raise CtaiError(f"shards {folders[0].name} and {folder.name} were made by models of different {different}")
        if [manifest.parameters.get(name) for name in _COMMON] != [first.parameters.get(name) for name in _COMMON]:
            raise CtaiError(f"shards {folders[0].name} and {folder.name} were made with different settings or code")
    numbers = [(manifest.parameters.get("seed"), manifest.parameters.get("shard")) for manifest in manifests]
    if len(set(numbers)) < len(numbers):
        raise CtaiError("two of the shards have the same seed and number: one would only repeat the other")


def _different(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """The names of the inputs in which two shards differ; beside the held-out set all of them say which model it was."""
    return ", ".join(sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name)))


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
    return context.stage("merge", rundir.path("artifacts", "merge"), parameters, inputs)


class Decision(NamedTuple):
    """An example, the place of its shard, and what it repeats; None says that it is kept."""

    shard: int
    example: Example
    found: DuplicateMatch | None


def decisions(
    shards: Sequence[Iterable[Example]], heldout: Sequence[HeldoutItem], threshold: float
) -> Iterator[Decision]:
    """What the merge keeps of each shard's examples and what not, in order."""
    online = OnlineDeduplicator(heldout, threshold)
    for place, examples in enumerate(shards):
        for example in examples:
            yield Decision(place, example, online.add(example.instruction))


class _Union:
    """What a merge has counted, and what of the shards' examples it drops."""

    def __init__(self, folders: Sequence[Path], heldout: Sequence[HeldoutItem], threshold: float) -> None:
        self.tally = QcCounter()
        self.repetitions = MergeRates(len(folders))
        self._folders = folders
        self._heldout = heldout
        self._threshold = threshold
        self._dropped = bytearray()
        self._found: list[DuplicateMatch] = []

    def kept(self, progress: Progress) -> Iterator[Example]:
        """The examples that are kept; reads the shards once."""
        overlap = HeldoutOverlap(self._heldout, self._threshold)
        progress.start("merge", len(self._folders))
        streams = [self._shard(place, folder, progress) for place, folder in enumerate(self._folders)]
        for decision in decisions(streams, self._heldout, self._threshold):
            self.repetitions.decide(decision)
            self._dropped.append(decision.found is not None)
            if decision.found is None:
                self.tally.keep(decision.example)
                self.tally.overlapping += overlap.has(decision.example.instruction)
                yield decision.example
            else:
                self._found.append(decision.found)
        progress.finish()

    def _shard(self, place: int, folder: Path, progress: Progress) -> Iterator[Example]:
        """The shard's examples; what else it has is counted when they are read."""
        yield from stream_jsonl(folder / DATASET, Example)
        for rejection in stream_jsonl(folder / REJECTIONS, Rejection):
            self.tally.reject(rejection)
            self.repetitions.reject(place, rejection)
        for one in stream_jsonl(folder / GENERATION, GenerationRound):
            self.tally.generate(one)
            self.repetitions.generate(place, one)
        progress.advance(1, folder.name)

    def rejected(self) -> Iterator[Rejection]:
        """The examples that are dropped, as rejections; reads the shards a second time."""
        examples = (example for folder in self._folders for example in stream_jsonl(folder / DATASET, Example))
        for example, found in zip(compress(examples, self._dropped), self._found, strict=True):
            rejection = rejection_of_dropped(example, found)
            self.tally.reject(rejection)
            yield rejection


def _write(
    work: Stage,
    context: StageContext,
    folders: Sequence[Path],
    heldout: Sequence[HeldoutItem],
    paths: Sequence[Path],
) -> QcSummary:
    """Write dataset, removed examples and the summary of the union."""
    config = context.config
    union = _Union(folders, heldout, config.scale.near_duplicate_jaccard)
    write_jsonl(paths[0], union.kept(context.progress))
    write_jsonl(paths[1], union.rejected())
    header = SummaryHeader(
        stage="merged",
        run_id=context.run_id,
        inputs={**work.inputs, **{path.name: sha256_file(path) for path in paths[:2]}},
        artifact=work.rundir.relative(paths[2]),
    )
    wanted = MinimumCount("unique_examples", config.scale.count)
    summary = summarize(header, union.tally, wanted, config.qc, union.repetitions.rates())
    write_json(paths[2], summary)
    return summary


class MergeRates:
    """How much of each shard was there before; by place, as shards of different seeds may have the same number.

    What repeats an instruction of its own shard was dropped when it was generated, what repeats one of an earlier shard
    is dropped by the merge.
    """

    def __init__(self, shards: int) -> None:
        self._parsed = [0] * shards
        self._repeated = [0] * shards
        self._sizes = [0] * shards
        self._lost = [0] * shards

    def generate(self, shard: int, one: GenerationRound) -> None:
        """Count the instructions of a round of a shard."""
        self._parsed[shard] += one.parsed

    def reject(self, shard: int, rejection: Rejection) -> None:
        """Count what a shard itself did not keep."""
        self._repeated[shard] += rejection.phase == "dedup"

    def decide(self, decision: Decision) -> None:
        """Count an example of a shard."""
        self._sizes[decision.shard] += 1
        self._lost[decision.shard] += decision.found is not None and decision.found.phase == "dedup"

    def rates(self) -> dict[str, Rate]:
        """Of all examples, of each shard's, and of all instructions that each generated; reported, not judged."""
        each = range(len(self._sizes))
        return {
            "dropped_of_union": rate(sum(self._lost), sum(self._sizes)),
            **{f"dropped_of_shard_{at:03d}": rate(self._lost[at], self._sizes[at]) for at in each},
            **{f"repetitions_in_shard_{at:03d}": rate(self._repeated[at], self._parsed[at]) for at in each},
        }


def rejection_of_dropped(example: Example, found: DuplicateMatch) -> Rejection:
    """The record of an example that the merge left out."""
    return rejection_of(example, found.phase, found.reason, found.repeated_instruction)
