"""Benchmark of deduplication against a plain datasketch script, and of merging a million examples.

    python -m benchmarks.dedup                       # both; the merge of 1,000,000 records needs 4 GB of disk
    python -m benchmarks.dedup --records 10000 100000 --compare 5000

`--json` appends the results to a file from which docs/dedup.md is generated. Times are CPU seconds and wall seconds of one
process; on a busy machine only CPU seconds are reproducible. datasketch is part of the extra `bench`.
"""

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.common import Arm, Output, Row, Subject
from benchmarks.common import compare as compare_arms
from benchmarks.dedup_data import instructions
from ctai.config import RunConfig
from ctai.generate.dedup.deduplication import NEAR_JACCARD, deduplicate
from ctai.generate.merge import merge_shards
from ctai.progress import SilentProgress
from ctai.provenance import DeviceInfo, GitState, StageContext, collect_environment, git_state, made_by
from ctai.records import (
    Critique,
    Example,
    ExampleMetadata,
    GeneratedList,
    GeneratedResponse,
    GenerationRound,
    Rejection,
    Sampling,
)
from ctai.rundir import RunDir, Stage, digest_of, write_json, write_jsonl
from ctai.tasks.heldout import build_heldout

SHARDS = 8
# Instructions for the table of all benchmarks.
_TABLE = 10_000
# Responses per round, and judged instructions, rejections and lists of such a round.
_ROUND, _JUDGED, _REJECTED, _LISTS = 64, 90, 26, 8


class Timed(NamedTuple):
    """CPU seconds and wall seconds."""

    cpu: float
    wall: float


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="*", default=[1_000_000], help="number of examples to merge")
    parser.add_argument("--compare", type=int, default=20_000, help="instructions for the comparison; 0 skips it")
    parser.add_argument("--repeats", type=int, default=3, help="number of comparisons")
    parser.add_argument("--json", type=Path, help="file to append the results to")
    parser.add_argument("--merge", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.merge:
        print(json.dumps(merge_in_this_process(options.merge)))
        return 0
    console = Console()
    results: dict[str, Any] = {"compare": [], "merges": []}
    if options.compare:
        results["compare"].append({**origin(), **compare(options.compare, options.repeats)})
        console.print(_comparison_table(results["compare"][0]))
    for count in options.records:
        results["merges"].append({**origin(), **measure_merge(count)})
        console.print(_merge_table(results["merges"][-1]))
    if options.json:
        earlier = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
        write_json(options.json, {name: earlier.get(name, []) + results[name] for name in results})
    return 0


def origin() -> dict[str, Any]:
    """Return date, commit, cores and load of a measurement."""
    state = git_state()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": state.commit,
        "dirty": state.dirty,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


# ------------------------------------------------------------------------------------------- against a plain script


def plain(texts: Sequence[str]) -> list[str]:
    """Deduplicate with a MinHash of the 5-grams of each text and the LSH of datasketch, as a short script would."""
    from datasketch import MinHash, MinHashLSH

    lsh = MinHashLSH(threshold=NEAR_JACCARD, num_perm=128)
    kept = []
    for number, text in enumerate(texts):
        minhash = MinHash(num_perm=128)
        lowered = text.lower()
        minhash.update_batch([lowered[i : i + 5].encode() for i in range(max(1, len(lowered) - 4))])
        if not lsh.query(minhash):
            lsh.insert(number, minhash)
            kept.append(text)
    return kept


def compare(count: int, repeats: int) -> dict[str, Any]:
    """Time both on the same texts in turns, `repeats` times."""
    rounds: list[dict[str, Any]] = []
    ratios: list[float] = []
    for seed in range(repeats):
        texts = list(instructions(count, seed))
        product, kept = _timed(partial(_kept_by_product, texts))
        script, kept_by_script = _timed(partial(plain, texts))
        ratios.append(script.cpu / product.cpu)
        rounds.append(
            {
                "ctai": product._asdict(),
                "plain": script._asdict(),
                "ratio": ratios[-1],
                "ctai_kept": len(kept),
                "plain_kept": len(kept_by_script),
            }
        )
    ratios.sort()
    return {"records": count, "rounds": rounds, "ratio_low": ratios[0], "ratio_high": ratios[-1]}


def _kept_by_product(texts: Sequence[str]) -> Sequence[str]:
    return deduplicate(texts).kept


def run(subject: Subject, turns: int, **_sizes: object) -> list[Row]:
    """Return the rows for the table of all benchmarks, in instructions per second; no model is used."""
    if subject.name != "embedded":
        return []
    texts = list(instructions(_TABLE, 0))

    def kept_by(method: Callable[[Sequence[str]], Sequence[str]]) -> Output:
        return Output(len(texts), len(method(texts)))

    peer = Arm(
        "plain datasketch script",
        lambda: kept_by(plain),
        lambda ours, theirs: f"of {len(texts):,} instructions {theirs:,} kept, by ctai {ours:,}",
        lambda: importlib.import_module("datasketch"),
    )
    return compare_arms("dedup", subject, "instructions/s", lambda: kept_by(_kept_by_product), [peer], turns)


def _timed(work: Callable[[], Any]) -> tuple[Timed, Any]:
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return Timed(time.process_time() - cpu, time.perf_counter() - wall), result


def _comparison_table(result: dict[str, Any]) -> Table:
    table = Table(title=f"Deduplication of {result['records']:,} instructions, CPU seconds")
    for name in ("", "ctai", "plain datasketch", "ratio", "ctai kept", "plain kept"):
        table.add_column(name, justify="right")
    for number, row in enumerate(result["rounds"], start=1):
        table.add_row(
            str(number), f"{row['ctai']['cpu']:.2f}", f"{row['plain']['cpu']:.2f}", f"{row['ratio']:.1f}",
            f"{row['ctai_kept']:,}", f"{row['plain_kept']:,}",
        )  # fmt: skip
    return table


# ------------------------------------------------------------------------------------------------ merging shards


def measure_merge(count: int) -> dict[str, Any]:
    """Write shards with `count` examples, merge them in a new process, and return time and memory."""
    with tempfile.TemporaryDirectory(prefix="ctai-benchmark-") as folder:
        size = _write_shards(RunDir.open(folder), count)
        command = [sys.executable, "-m", "benchmarks.dedup", "--merge", folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return {"records": count, "shard_bytes": size, **json.loads(done.stdout)}


def merge_in_this_process(folder: Path) -> dict[str, Any]:
    """Merge the shards of a run directory and return time, peak memory in bytes, and counts."""
    rundir = RunDir.open(folder)
    folders = [rundir.shard_dir(number) for number in range(SHARDS)]
    held = build_heldout(350, 0, embedded=True)
    git = GitState("benchmark", "benchmark", dirty=True)
    maker = made_by(collect_environment(DeviceInfo("cpu")), "python -m benchmarks.dedup")
    context = StageContext(
        config=RunConfig(), rundir=rundir, run_id="benchmark", git=git, progress=SilentProgress(), made_by=maker
    )
    timed, merge_result = _timed(lambda: merge_shards(context, folders, held))
    dropped = {
        name: n for name, n in merge_result.summary.counts.items() if name.startswith(("rejected ded", "rejected dec"))
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {**timed._asdict(), "peak_bytes": peak, "kept": merge_result.summary.counts["kept"], "dropped": dropped}


def _merge_table(result: dict[str, Any]) -> Table:
    table = Table(title=f"Merge of {result['records']:,} examples in {SHARDS} shards, one process")
    for name in ("CPU s", "wall s", "peak GB", "kept", "dropped"):
        table.add_column(name, justify="right")
    dropped = sum(result["dropped"].values())
    peak = f"{result['peak_bytes'] / 1e9:.2f}"
    table.add_row(f"{result['cpu']:.0f}", f"{result['wall']:.0f}", peak, f"{result['kept']:,}", f"{dropped:,}")
    return table


def _write_shards(rundir: RunDir, count: int) -> int:
    """Write finished shards in the format of generation and return their size in bytes."""
    texts = instructions(count)
    held = digest_of(build_heldout(350, 0, embedded=True))
    size = 0
    for number in range(SHARDS):
        examples = count // SHARDS + (number < count % SHARDS)
        folder = rundir.shard_dir(number)
        stage = Stage(rundir, f"scale-{number:03d}", folder, {"seed": 0, "shard": number}, {"heldout": held})
        stage.begin()
        paths = [folder / name for name in ("dataset.jsonl", "rejections.jsonl", "generation.jsonl")]
        write_jsonl(paths[0], _examples(islice(texts, examples), number))
        rounds = -(-examples // _ROUND)
        rejection = Rejection(phase="instruction", reason="judged bad", instruction="Name.", shard=number, item=0)
        write_jsonl(paths[1], (rejection for _ in range(rounds * _REJECTED)))
        write_jsonl(paths[2], _rounds(rounds, number))
        stage.finish(paths, "benchmark")
        size += sum(path.stat().st_size for path in paths)
    return size


def _examples(texts: Iterator[str], shard: int) -> Iterator[Example]:
    sure = _critique()
    metadata = ExampleMetadata(
        git_commit="0" * 40, git_dirty=False, loader_version="0.1.0", model="embedded", weights_digest="0" * 64,
        quantization="nf4", template_disabled=True, sentinel_tests_passed=True, stage="scale", shard=shard, item=0,
        seed=1 << 60, sampling=Sampling(stop=("\nQ:", "\n###", "\nUser:")), run_id="benchmark", response_tokens=5,
    )  # fmt: skip
    shown = "Name a thing that has a handle and say what it is good for: a kettle, for tea.\n###END###\n\n" * 4
    first = Example(
        instruction="", response="A short answer that ends.", prompt="", completion=" A short answer that ends.\n###",
        finish_reason="stop", instruction_critique=sure, pair_critique=sure, metadata=metadata,
    )  # fmt: skip
    for number, text in enumerate(texts):
        own = metadata.model_copy(update={"item": number})
        yield first.model_copy(update={"instruction": text, "prompt": shown + text, "metadata": own})


def _rounds(count: int, shard: int) -> Iterator[GenerationRound]:
    response = GeneratedResponse(
        item=0, tokens=5, finish_reason="stop", delimiter_found=True, heuristic_cut=False, faults=(),
        raw_faults=("delimiter",),
    )  # fmt: skip
    a_list = GeneratedList(prompt="1. Name a thing.\n" * 8, seed=1 << 60, raw=" Name it.\n" * 12, finish_reason="eos")
    for number in range(count):
        yield GenerationRound(
            shard=shard, round=number, lists=(a_list,) * _LISTS, list_lines=130, parsed=120,
            instruction_critiques=(_critique(),) * _JUDGED, responses=(response,) * _ROUND,
            pair_critiques=(_critique(),) * _ROUND,
        )  # fmt: skip


def _critique() -> Critique:
    return Critique(
        is_good=True, predicted_label="A", logp_a=-0.0014111403821307387, logp_b=-6.578732323587271,
        margin=6.57732118320514, confident=True,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
