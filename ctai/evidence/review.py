"""Review of a failed gate: the review packet, and the configured review command.

Owns the packet, one Markdown file with question, metrics against thresholds, remedies, parameter history and samples, and
the execution of the review command on it. A review never changes a verdict.
"""

import json
import shlex
import subprocess
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from ctai.evidence.result import GateResult
from ctai.nested import leaves
from ctai.records import ContaminationReport, EvaluationItem, Metric, ProbeJudgement, Record, Rejection
from ctai.registry import metric_spec
from ctai.rundir import RunDir, sha256_file, write_text

COMMAND_VARIABLE = "CTAI_REVIEW_COMMAND"
# Fields that are shown for every attempt, also when they are the same as in the attempt before.
_OUTCOME_FIELDS = ("passed", "reasons")
_SAMPLES_PER_REASON = 5
_SAMPLE_CHARS = 300


class Sample(NamedTuple):
    """Text of a model that counts against a gate.

    Attributes:
        reason: reason for which it counts.
        instruction: instruction that was given; empty where there is none.
        text: text that the model wrote.
    """

    reason: str
    instruction: str
    text: str


class ReviewContext(NamedTuple):
    """Background of a failed gate for its review packet.

    Attributes:
        history: for each attempt the records of its parameters and results; empty for a gate that has no retry.
        samples: samples of the texts that count against the gate.
    """

    history: tuple[tuple[Record, ...], ...] = ()
    samples: tuple[Sample, ...] = ()


def rejection_samples(rejections: Sequence[Rejection]) -> tuple[Sample, ...]:
    """Return the rejections of a shard as samples."""
    return tuple(Sample(f"{r.phase}: {r.reason}", r.instruction, r.completion or r.response) for r in rejections)


def right_answer_samples(items: Sequence[EvaluationItem]) -> tuple[Sample, ...]:
    """Return the answers of an arm of the base that are right before any training as samples, by type."""
    return tuple(Sample(f"{i.arm}: right, type {i.type}", i.instruction, i.raw) for i in items if i.content)


def misjudged_probe_samples(judgements: Sequence[ProbeJudgement]) -> tuple[Sample, ...]:
    """Return the labelled probes that the critic judged wrongly as samples, by kind and fault."""
    wrong = [j for j in judgements if j.label and (j.label == "A") != j.critique.is_good]
    return tuple(
        Sample(f"{j.kind}, {j.fault}: judged {j.critique.predicted_label}", j.instruction, j.response) for j in wrong
    )


def failed_sentinel_samples(report: ContaminationReport) -> tuple[Sample, ...]:
    """Return the findings on code and model, and the sentinels that failed, as samples."""
    sentinels = report.provenance.sentinels if report.provenance else None
    findings = [Sample(f"finding: {finding.name}", "", finding.message) for finding in report.findings]
    failed = [result for result in (sentinels.results if sentinels else ()) if not result.passed]
    return (
        *findings,
        *(Sample(f"failed sentinel: {result.kind}", result.prompt, result.response) for result in failed),
    )


def failed_answer_samples(items: Sequence[EvaluationItem]) -> tuple[Sample, ...]:
    """Return the answers of an arm that fail the strict score as samples."""
    return tuple(Sample(f"{i.arm}: {i.failure_reason}", i.instruction, i.raw) for i in items if not i.strict)


def write_packet(rundir: RunDir, result: GateResult, context: ReviewContext) -> Path:
    """Write the review packet of a failed gate, and return its path."""
    lines = [
        f"# Review: gate {result.gate} failed",
        "",
        f"{_attempts_sentence(len(context.history))} Is the model unfit, are the parameters wrong, or is an instrument",
        "mistaken? Thresholds are not to be loosened; say what to change before the next run.",
        "",
        "## Metrics against thresholds",
        "",
        *(f"- {_result_of(metric)} {metric.sentence()}" for metric in result.metrics),
        "",
        "## What to try",
        "",
        *(f"- {metric.name}: {metric_spec(metric.name).remedy}" for metric in result.metrics if metric.missed),
        "",
        "## Parameter history",
        "",
        *(_history_lines(context.history) or ["No attempt changed a parameter: the gate ran as configured."]),
        "",
        "## Samples that count against the gate",
        "",
        *(_sample_lines(context.samples) or _artifact_lines(result)),
    ]
    path = rundir.review_packet(result.gate)
    write_text(path, "\n".join(lines) + "\n")
    return path


def _result_of(metric: Metric) -> str:
    return "FAIL" if metric.missed else "ok  " if metric.passed else "n/a "


def archive_review(rundir: RunDir, gate: str) -> None:
    """Move the packet of an earlier failure, if there is one, to `superseded/`."""
    path = rundir.review_packet(gate)
    if path.exists():
        target = next(t for n in count() if not (t := rundir.superseded / f"review-{gate}-{n}.md").exists())
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


def run_review_command(rundir: RunDir, packet: Path, command: str, limit_seconds: float) -> str:
    """Run the review command on a packet, once for each content of the packet, and file its answer.

    The command is started without a shell, as `COMMAND... PACKET ANSWER`: it reads the first file and writes the second.
    If it writes none, its standard output is the answer.

    Args:
        rundir: the run directory.
        packet: path of the review packet.
        command: the command with its arguments.
        limit_seconds: time after which the command is stopped.

    Returns:
        One sentence for the log. A command that fails raises no error, since no verdict depends on the review.
    """
    answer = rundir.reviews / f"{packet.stem}-{sha256_file(packet)[:12]}.md"
    name = rundir.relative(answer)
    if answer.exists():
        return f"the review of {packet.name} is at {name} already"
    answer.parent.mkdir(parents=True, exist_ok=True)
    try:
        arguments = [*shlex.split(command), str(packet), str(answer)]
        done = subprocess.run(arguments, capture_output=True, text=True, errors="replace", timeout=limit_seconds)
    except subprocess.TimeoutExpired:
        return f"no review of {packet.name}: the command took longer than {limit_seconds:g} s"
    except (OSError, ValueError) as error:
        return f"no review of {packet.name}: {COMMAND_VARIABLE} cannot be run: {error}"
    if done.returncode != 0:
        last_line = (done.stderr.strip().splitlines() or [""])[-1]
        return f"no review of {packet.name}: the command ended with {done.returncode} {last_line}".rstrip()
    if not answer.exists():
        write_text(answer, done.stdout)
    return f"the review of {packet.name} is at {name}, SHA-256 {sha256_file(answer)}"


def _attempts_sentence(attempts: int) -> str:
    """Return the sentence on the number of attempts; a gate without a history has no retry."""
    if not attempts:
        return "The gate failed. It has no retry."
    if attempts == 1:
        return "The gate failed on its only attempt."
    return f"The gate failed on {attempts} attempts, each with changed parameters; the metrics are those of the last."


def _history_lines(history: Sequence[Sequence[Record]]) -> list[str]:
    """Return the first attempt in full, then the differences of each attempt from the one before, with its outcome."""
    attempts = [
        {key: value for record in records for key, value in leaves(record.model_dump(mode="json"))}
        for records in history
    ]
    lines: list[str] = []
    for number, attempt in enumerate(attempts):
        before = attempts[number - 1] if number else {}
        fields = {
            key: value for key, value in attempt.items() if key in _OUTCOME_FIELDS or before.get(key, ...) != value
        }
        title = f"### attempt {number + 1}" + (", where it differs from the one before" if number else "")
        lines += [title, "", fenced("\n".join(f"{key}: {json.dumps(value)}" for key, value in fields.items()))]
    return lines


def _sample_lines(samples: Sequence[Sample]) -> list[str]:
    lines: list[str] = []
    for reason, number in Counter(sample.reason for sample in samples).most_common():
        lines += [f"### {reason} ({number})", ""]
        chosen = [sample for sample in samples if sample.reason == reason][:_SAMPLES_PER_REASON]
        lines += [fenced(f"{sample.instruction}\n-> {sample.text}"[:_SAMPLE_CHARS]) for sample in chosen]
    return lines


def _artifact_lines(result: GateResult) -> list[str]:
    """Return the files that the metrics were computed from, in place of samples."""
    return [
        "No texts were sampled for this gate. Its metrics were computed from:",
        "",
        *(f"- {path}" for path in result.artifacts),
    ]


def fenced(text: str) -> str:
    """Return text of a model as a Markdown code block, with a fence longer than any run of backticks in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}\n"
