"""Study of false passes: rates at which faulty and sound runs pass all gates, written to docs/false_passes.md.

    python -m scripts.false_passes run --seeds 20 --out runs/false-passes      # hours on one core; can be resumed;
                                                                               # started twice it uses two cores
    python -m scripts.false_passes table --out runs/false-passes               # writes docs/false_passes.md

`pytest -m gates` makes a sound run for each seed. A faulty run is a copy of it, so that it reuses the dataset, with a
control or a setting that corrupts training, or with a fault planted in the code (`scripts.faulty_training`); the
contaminated model has the adapter of the sound run merged into its weights. All runs use the command of the user, and a
run has passed if its exit status is 0. Each run has a separate ledger of comparisons.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from ctai.evaluate.arms import BASE_FEW_SHOT
from ctai.evaluate.claims import claim_sentence
from ctai.evaluate.ledger import LEDGER_VARIABLE
from ctai.provenance import code_digest, git_state
from ctai.records import EvaluationSummary, Record, VersionedRecord
from ctai.rundir import read_record, write_json, write_jsonl, write_text
from ctai.statistics import rate
from scripts.faulty_training import DATA_VARIABLE, VARIABLE

ROOT = Path(__file__).parents[1]
FAULTS = {
    "shuffled": "responses shuffled among the instructions",
    "untrained": "next to no training: a learning rate of 1e-9",
    "foreign": "responses of another seed's instructions",
    "random-text": "an adapter trained on random text",
    "contaminated": "a base model with an SFT adapter merged in",
    "epochs-0.02": "undertrained: 0.02 epochs",
    "epochs-0.03": "undertrained: 0.03 epochs",
    "epochs-0.06": "undertrained: 0.06 epochs",
    "epochs-0.075": "undertrained: 0.075 epochs",
    "epochs-0.09": "undertrained: 0.09 epochs",
    "epochs-0.12": "undertrained: 0.12 epochs",
    "wrong-end-token": "a comma in place of the end-of-text token in training",
    "one-type-spoilt": "responses of one type exchanged among its instructions",
    "half-spoilt": "responses exchanged in half of the pairs, so that examples in the prompt do better",
    "other-data": "the dataset of another seed put in place before training",
}
SOUND = "sound"
CONTROLS = ("shuffled", "untrained", "foreign", "random-text")
PLANTED = ("wrong-end-token", "one-type-spoilt", "half-spoilt", "other-data")


class Outcome(VersionedRecord):
    """Run of the study; `stopped_by` names the first gate that did not pass, `reasons` holds its reasons.

    `comparisons` counts the comparisons on the test set: gate evaluation retries once, unless `--retries 0`.
    """

    kind: str
    seed: int
    passed: bool
    exit_status: int
    stopped_by: str
    reasons: tuple[str, ...]
    base_content: float | None
    sft_content: float | None
    few_shot_content: float | None
    stop_rate: float | None
    claim: str
    p_value: float | None
    comparisons: int
    seconds: float
    code_digest: str
    git_commit: str
    git_dirty: bool


class Summary(Record):
    """Number of runs of one kind that passed, with the 95% interval of their share."""

    kind: str
    passed: int
    runs: int
    low: float
    high: float
    stopped_by: dict[str, int]
    sft_content: float | None
    few_shot_content: float | None
    stop_rate: float | None
    missed: dict[str, int]


class Job(NamedTuple):
    """Run to make, and its folder."""

    kind: str
    seed: int
    out: Path
    retries: int

    @property
    def folder(self) -> Path:
        """Run directory."""
        return self.out / f"{self.kind}-{self.seed}"

    @property
    def sound(self) -> Path:
        """Run directory of the sound run of the same seed."""
        return self.out / f"{SOUND}-{self.seed}"

    @property
    def record(self) -> Path:
        """File of its outcome, which exists when the run has ended."""
        return self.out / "outcomes" / f"{self.kind}-{self.seed}.json"


def donor(seed: int, seeds: list[int]) -> int:
    """Return the seed whose responses a foreign run gets."""
    return seeds[(seeds.index(seed) + 1) % len(seeds)]


def make(job: Job, seeds: list[int]) -> Outcome:
    """Make one run and return its outcome."""
    started = time.monotonic()
    if job.kind not in (SOUND, "contaminated"):
        copy_without_training(job.sound, job.folder)
    data = job._replace(kind=SOUND, seed=donor(job.seed, seeds)).folder / "data" / "stage1_sft_data.jsonl"
    ledger = job.out / "ledgers" / f"{job.kind}-{job.seed}.jsonl"  # the runs of the study are independent
    variables = {LEDGER_VARIABLE: str(ledger.absolute()), VARIABLE: job.kind, DATA_VARIABLE: str(data)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-m", "gates", *arguments_of(job, data)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | variables)
    if done.returncode not in (0, 1):
        raise RuntimeError(
            f"{job.kind} of seed {job.seed}: the gates could not run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    return outcome(job, done.returncode, time.monotonic() - started)


def arguments_of(job: Job, data: Path) -> list[str]:
    """Return the arguments of a run: `data` is the dataset of another seed."""
    arguments = ["--run-dir", str(job.folder), "--seed", str(job.seed)]
    if job.kind != SOUND:
        arguments += ["--set", f"evaluation.retries={job.retries}"]
    if job.kind == "contaminated":
        model = merged_model(job.sound, job.out / f"model-{job.seed}")
        arguments += ["--model", str(model), "--profile", "embedded"]
    if job.kind in CONTROLS:
        arguments += ["--control", job.kind]
    if job.kind == "foreign":
        arguments += ["--set", f"control_data={data}"]
    if job.kind.startswith("epochs-"):
        arguments += ["--set", f"training.epochs={job.kind.removeprefix('epochs-')}"]
    if job.kind in PLANTED:
        arguments += ["-p", "scripts.faulty_training"]
    return arguments


def outcome(job: Job, exit_status: int, seconds: float) -> Outcome:
    """Return the outcome by exit status and run directory."""
    verdicts = [json.loads(path.read_text()) for path in sorted((job.folder / "evidence" / "verdicts").glob("*.json"))]
    stopped = next((verdict for verdict in verdicts if verdict["outcome"] != "passed"), None)
    last = sorted((job.folder / "results").glob("sft_eval*/evaluation.json"))
    summary = read_record(last[-1], EvaluationSummary) if last else None
    state = git_state()
    return Outcome(
        kind=job.kind,
        seed=job.seed,
        passed=exit_status == 0,
        exit_status=exit_status,
        stopped_by=stopped["gate"] if stopped else "",
        reasons=tuple(stopped["reasons"]) if stopped else (),
        base_content=summary.overall.base.value if summary else None,
        sft_content=summary.overall.sft.value if summary else None,
        few_shot_content=summary.rates[BASE_FEW_SHOT].value if summary else None,
        stop_rate=summary.stop_rate.value if summary else None,
        claim=claim_sentence(summary) if summary else "",
        p_value=summary.overall.p_value if summary else None,
        comparisons=len(last),
        seconds=round(seconds, 1),
        code_digest=code_digest(),
        git_commit=state.commit,
        git_dirty=state.dirty,
    )


def copy_without_training(source: Path, target: Path) -> None:
    """Copy a run without the outputs of gate evaluation."""
    shutil.rmtree(target, ignore_errors=True)
    evaluation_outputs = shutil.ignore_patterns(
        "checkpoints",
        "sft_eval*",
        "evaluation*",
        "6-*.json",
        "test_set_comparisons.jsonl",
        "superseded",
        "logs",
        "*.lock",
    )
    shutil.copytree(source, target, ignore=evaluation_outputs)


def merged_model(run: Path, folder: Path) -> Path:
    """Return the folder of the embedded base with the adapter of a run merged in, under a neutral name."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    import ctai

    base = Path(ctai.__file__).parent / "model" / "embedded"
    if not folder.exists():
        module: Any = AutoModelForCausalLM.from_pretrained(base)
        merged = PeftModel.from_pretrained(module, run / "checkpoints" / "stage1_sft").merge_and_unload()
        merged.save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(base / name, folder / name)
    return folder


def summaries(outcomes: list[Outcome]) -> list[Summary]:
    """Return the pass rates by kind, and over all faulty runs."""
    groups = {kind: [o for o in outcomes if o.kind == kind] for kind in (SOUND, *FAULTS)}
    groups["all faulty runs"] = [o for o in outcomes if o.kind != SOUND]
    rows = []
    for kind, group in groups.items():
        if not group:
            continue
        share = rate(sum(o.passed for o in group), len(group))
        gates = [o.stopped_by or "refused without a verdict" for o in group if not o.passed]
        counts = {gate: gates.count(gate) for gate in dict.fromkeys(gates)}
        rows.append(
            Summary(
                kind=kind,
                passed=share.k,
                runs=share.n,
                low=share.interval.low,
                high=share.interval.high,
                stopped_by=counts,
                sft_content=_mean([o.sft_content for o in group]),
                few_shot_content=_mean([o.few_shot_content for o in group]),
                stop_rate=_mean([o.stop_rate for o in group]),
                missed=dict(Counter(reason.split()[0] for o in group for reason in o.reasons).most_common(4)),
            )
        )
    return rows


def _mean(values: list[float | None]) -> float | None:
    """Return the mean of the values that there are; None if there are none."""
    measured = [value for value in values if value is not None]
    return sum(measured) / len(measured) if measured else None


def _rate_cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def page(outcomes: list[Outcome]) -> str:
    """Return docs/false_passes.md."""
    rows = []
    for s in summaries(outcomes):
        gates = ", ".join(f"{gate} {count}" for gate, count in s.stopped_by.items()) or "none"
        name = FAULTS.get(s.kind, "a sound run" if s.kind == SOUND else "all faulty runs together")
        rates = " | ".join(map(_rate_cell, (s.sft_content, s.few_shot_content, s.stop_rate)))
        missed = ", ".join(f"`{metric}` {count}" for metric, count in s.missed.items())
        rows.append(f"| {name} | {s.passed} of {s.runs} | {s.low:.3f} to {s.high:.3f} | {gates} | {rates} | {missed} |")
    commits = sorted({f"{o.git_commit[:12]}{' (scripts changed)' if o.git_dirty else ''}" for o in outcomes})
    twice = sum(o.comparisons > 1 for o in outcomes if o.kind != SOUND)
    return "\n".join(
        [
            "# False passes",
            "",
            "Pass rates of faulty runs, which must not pass, and of sound runs, measured on the embedded model with whole runs",
            "of `pytest -m gates`. A faulty run starts from a copy of the sound run of its seed, so its data are sound and only",
            "the fault of the row is wrong. Intervals are Wilson's, 95%. SFT and few-shot base: mean content; stopped: mean rate",
            "of answers that the model ended by itself.",
            "",
            "| run | passed | rate, 95% interval | stopped by gate | SFT | few-shot base | stopped | metrics missed most |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            f"{len({o.seed for o in outcomes})} seeds, code at {', '.join(commits)}. {twice} of the faulty runs had the one",
            "retry of gate evaluation, whose second comparison on the test set has a smaller alpha; the others had one",
            "comparison (`--retries 0`). `docs/data/false_passes.jsonl` has a line for every run, with the reasons of the gate.",
            "To repeat the study:",
            "",
            "    python -m scripts.false_passes run --seeds 20 --out runs/false-passes",
            "    python -m scripts.false_passes table --out runs/false-passes",
            "",
            "Limits: the rates hold for these faults on this small model. A milder fault, or a model with more to learn, may be",
            "harder to detect; the interval shows how much the number of runs can prove. Seeds are those whose base meets gate",
            "headroom: with some draws of the wordings the embedded base answers 0.60 or more, which nothing relaxes.",
            "",
        ]
    )  # fmt: skip


def main() -> int:
    """Run the study, or write its page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--first", type=int, default=100, help="first seed")
    parser.add_argument("--seeds", type=int, default=20, help="number of seeds")
    parser.add_argument("--kinds", nargs="+", default=[SOUND, *FAULTS], choices=[SOUND, *FAULTS])
    parser.add_argument("--retries", type=int, default=1, choices=(0, 1), help="of faulty runs: 0 halves the time")
    options = parser.parse_args()
    out = options.out.resolve()
    if options.what == "table":
        outcomes = [read_record(path, Outcome) for path in (out / "outcomes").glob("*.json")]
        outcomes.sort(key=lambda o: ((SOUND, *FAULTS).index(o.kind), o.seed))
        write_jsonl(ROOT / "docs" / "data" / "false_passes.jsonl", outcomes)
        write_text(ROOT / "docs" / "false_passes.md", page(outcomes))
        return 0
    seeds = list(range(options.first, options.first + options.seeds))
    jobs = [Job(kind, seed, out, options.retries) for kind in options.kinds for seed in seeds]
    while pending := [job for job in jobs if not job.record.exists()]:
        if not any(run_job(job, seeds) for job in pending if is_ready(job, seeds)):
            time.sleep(5)  # another process works on the jobs that are left
    return 0


def is_ready(job: Job, seeds: list[int]) -> bool:
    """Return whether the sound runs that a job starts from exist."""
    both = [job.seed, donor(job.seed, seeds)]
    needed = {SOUND: [], "foreign": both, "other-data": both}.get(job.kind, [job.seed])
    return all(job._replace(kind="sound", seed=seed).record.exists() for seed in needed)


def run_job(job: Job, seeds: list[int]) -> bool:
    """Make a run unless another process makes or has made it; return whether it was made here."""
    job.record.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(job.record.with_suffix(".lock"), blocking=False):
            if job.record.exists():
                return False
            result = make(job, seeds)
            write_json(job.record, result)
    except Timeout:
        return False
    status = "PASSED" if result.passed else f"stopped by {result.stopped_by}"
    print(f"{job.kind} seed {job.seed}: {status}, SFT {result.sft_content}, {result.seconds:.0f} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
