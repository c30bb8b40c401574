"""How often does a run pass that must not, and how often does a sound one? The study behind docs/false_passes.md.

    python -m scripts.false_passes run --seeds 20 --out runs/false-passes      # hours on one core; goes on where it was;
                                                                               # started twice it uses two cores
    python -m scripts.false_passes table --out runs/false-passes               # writes docs/false_passes.md

Each seed's sound run is made by `pytest -m gates`. Each faulty run is a copy of it whose training is spoilt by a control,
so that it reuses the dataset and passes or fails by what it is; the contaminated model has the seed's own adapter merged
into its weights. Everything goes through the command that users run, and what passed is what exits with 0.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filelock import FileLock, Timeout

from ctai.provenance import code_digest, git_state
from ctai.records import EvaluationSummary, Record, VersionedRecord
from ctai.rundir import read_record, write_json, write_jsonl, write_text
from ctai.statistics import rate

ROOT = Path(__file__).parents[1]
FAULTS = {
    "shuffled": "responses shuffled among the instructions",
    "untrained": "next to no training: a learning rate of 1e-9",
    "foreign": "responses of another seed's instructions",
    "random-text": "an adapter trained on random text",
    "contaminated": "a base model with an SFT adapter merged in",
}
SOUND = "sound"
Kind = Literal["sound", "shuffled", "untrained", "foreign", "random-text", "contaminated"]


class Outcome(VersionedRecord):
    """One run of the study; `stopped_by` names the first gate that did not pass, `reasons` what it said.

    `looks` counts the looks at the test set: training may be tried again once, unless the study leaves that out.
    """

    kind: Kind
    seed: int
    passed: bool
    exit_status: int
    stopped_by: str
    reasons: tuple[str, ...]
    base_content: float | None
    sft_content: float | None
    p_value: float | None
    looks: int
    seconds: float
    code_digest: str
    git_commit: str
    git_dirty: bool


class Summary(Record):
    """A kind of run: how many of them passed."""

    kind: str
    passed: int
    runs: int
    low: float
    high: float
    stopped_by: dict[str, int]


class Job(NamedTuple):
    """One run that is to be made, and where."""

    kind: Kind
    seed: int
    out: Path
    retries: int

    @property
    def folder(self) -> Path:
        return self.out / f"{self.kind}-{self.seed}"

    @property
    def sound(self) -> Path:
        """The sound run that it starts from."""
        return self.out / f"{SOUND}-{self.seed}"

    @property
    def record(self) -> Path:
        """Its outcome; there when it is done."""
        return self.out / "outcomes" / f"{self.kind}-{self.seed}.json"


def donor(seed: int, seeds: list[int]) -> int:
    """The seed whose responses a foreign run is given."""
    return seeds[(seeds.index(seed) + 1) % len(seeds)]


def make(job: Job, seeds: list[int]) -> Outcome:
    """Make one run and say how it ended."""
    started = time.monotonic()
    arguments = ["--run-dir", str(job.folder), "--seed", str(job.seed)]
    if job.kind != SOUND:
        arguments += ["--set", f"evaluation.retries={job.retries}"]
    if job.kind == "contaminated":
        model = merged_model(job.sound, job.out / f"model-{job.seed}")
        arguments += ["--model", str(model), "--profile", "embedded"]
    elif job.kind != SOUND:
        copy_without_training(job.sound, job.folder)
        arguments += ["--control", job.kind]
        if job.kind == "foreign":
            data = job._replace(kind="sound", seed=donor(job.seed, seeds)).folder / "data" / "stage1_sft_data.jsonl"
            arguments += ["--set", f"control_data={data}"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-m", "gates", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(
            f"{job.kind} of seed {job.seed} could not be run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    return outcome(job, done.returncode, time.monotonic() - started)


def outcome(job: Job, exit_status: int, seconds: float) -> Outcome:
    """What the run directory says, and the exit status."""
    verdicts = [json.loads(path.read_text()) for path in sorted((job.folder / "evidence" / "verdicts").glob("*.json"))]
    stopped = next((verdict for verdict in verdicts if verdict["outcome"] != "passed"), None)
    last = sorted((job.folder / "results").glob("sft_eval*/evaluation.json"))
    summary = read_record(last[-1], EvaluationSummary).overall if last else None
    state = git_state()
    return Outcome(
        kind=job.kind,
        seed=job.seed,
        passed=exit_status == 0,
        exit_status=exit_status,
        stopped_by=stopped["gate"] if stopped else "",
        reasons=tuple(stopped["reasons"]) if stopped else (),
        base_content=summary.base.value if summary else None,
        sft_content=summary.sft.value if summary else None,
        p_value=summary.mcnemar.p_value if summary else None,
        looks=len(last),
        seconds=round(seconds, 1),
        code_digest=code_digest(),
        git_commit=state.commit,
        git_dirty=state.dirty,
    )


def copy_without_training(source: Path, target: Path) -> None:
    """A run as it was before gate 4b."""
    shutil.rmtree(target, ignore_errors=True)
    skipped = shutil.ignore_patterns(
        "checkpoints", "sft_eval*", "evaluation*", "4b-*.json", "superseded", "logs", "*.lock"
    )
    shutil.copytree(source, target, ignore=skipped)


def merged_model(run: Path, folder: Path) -> Path:
    """The embedded base with a run's adapter merged into its weights, under a name that does not say so."""
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
    """The rates by kind, and over all faulty runs."""
    groups = {kind: [o for o in outcomes if o.kind == kind] for kind in (SOUND, *FAULTS)}
    groups["all faulty runs"] = [o for o in outcomes if o.kind != SOUND]
    found = []
    for kind, group in groups.items():
        share = rate(sum(o.passed for o in group), len(group))
        gates = [o.stopped_by for o in group if o.stopped_by]
        counts = {gate: gates.count(gate) for gate in dict.fromkeys(gates)}
        low, high = share.interval.low, share.interval.high
        found.append(Summary(kind=kind, passed=share.k, runs=share.n, low=low, high=high, stopped_by=counts))
    return found


def page(outcomes: list[Outcome]) -> str:
    """The Markdown page."""
    rows = []
    for s in summaries(outcomes):
        gates = ", ".join(f"{gate} {count}" for gate, count in s.stopped_by.items()) or "none"
        what = FAULTS.get(s.kind, "a sound run" if s.kind == SOUND else "all faulty runs together")
        rows.append(f"| {what} | {s.passed} of {s.runs} | {s.low:.3f} to {s.high:.3f} | {gates} |")
    commits = sorted({f"{o.git_commit[:12]}{' (changed)' if o.git_dirty else ''}" for o in outcomes})
    twice = sum(o.looks > 1 for o in outcomes if o.kind != SOUND)
    return "\n".join(
        [
            "# False passes",
            "",
            "How often does a run pass that must not, and how often does a sound run pass? Measured on the embedded model",
            "with whole runs of `pytest -m gates`. A faulty run starts from a copy of the seed's sound run, so its data are",
            "sound and only what the row names is wrong. Intervals are Wilson's, 95%.",
            "",
            "| what was run | passed | rate, 95% interval | stopped by gate |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            f"{len({o.seed for o in outcomes})} seeds, code at {', '.join(commits)}. {twice} of the faulty runs were given the",
            "evaluation's one retry, whose second look has half the alpha; the others had one look (`--retries 0`).",
            "Every run is a line of `docs/data/false_passes.jsonl`, with what the gate said. The same again:",
            "",
            "    python -m scripts.false_passes run --seeds 20 --out runs/false-passes",
            "    python -m scripts.false_passes table --out runs/false-passes",
            "",
            "What this shows and what not: the rates are of these faults on this small model. A fault that spoils a run less,",
            "on a model that has more to learn, may be harder to see; the interval says how much the number of runs can show.",
            "",
        ]
    )  # fmt: skip


def main() -> int:
    """Run the study, or write its page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("--out", type=Path, required=True, help="where the runs go")
    parser.add_argument("--first", type=int, default=100, help="first seed")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
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
    work = [Job(kind, seed, out, options.retries) for kind in options.kinds for seed in seeds]
    while waiting := [job for job in work if not job.record.exists()]:
        if not any(worked(job, seeds) for job in waiting if ready(job, seeds)):
            time.sleep(5)  # what is left waits for another process
    return 0


def ready(job: Job, seeds: list[int]) -> bool:
    """Whether the sound runs that a job starts from are there."""
    needed = {SOUND: [], "foreign": [job.seed, donor(job.seed, seeds)]}.get(job.kind, [job.seed])
    return all(job._replace(kind="sound", seed=seed).record.exists() for seed in needed)


def worked(job: Job, seeds: list[int]) -> bool:
    """Make a run unless another process makes it or has made it."""
    job.record.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(job.record.with_suffix(".lock"), blocking=False):
            if job.record.exists():
                return False
            found = make(job, seeds)
            write_json(job.record, found)
    except Timeout:
        return False
    said = "PASSED" if found.passed else f"stopped by {found.stopped_by}"
    print(f"{job.kind} seed {job.seed}: {said}, SFT {found.sft_content}, {found.seconds:.0f} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
