"""Review of a failed gate: the packet, the review command, and archiving when the gate passes later."""

import sys

import pytest

from ctai.config import RunConfig
from ctai.evidence.result import GateResult
from ctai.evidence.review import (
    ReviewContext,
    Sample,
    archive_review,
    failed_sentinel_samples,
    misjudged_probe_samples,
    right_answer_samples,
    run_review_command,
    write_packet,
)
from ctai.records import (
    ContaminationFinding,
    ContaminationReport,
    Metric,
    ProbeJudgement,
    SentinelReport,
    SentinelResult,
)
from ctai.registry import gate_named, metric_spec
from ctai.rundir import RunDir
from ctai.statistics import rate
from tests.support.generated import critique, provenance
from tests.support.reported import answers

pytestmark = pytest.mark.unit


@pytest.fixture
def rundir(tmp_path) -> RunDir:
    return RunDir.open(tmp_path / "a run")


@pytest.fixture
def packet(rundir):
    metrics = tuple(
        Metric(name=name, value=0.2, comparison="<", threshold=0.5 if name == "token_limit_rate" else 0.05)
        for name in gate_named("pilot").metric_names
    )
    samples = (*(Sample("pair: judged bad", f"Name {n}.", "```\nx") for n in range(7)), Sample("parse: empty", "", ""))
    first = RunConfig().generation
    history = ((first,), (first.model_copy(update={"few_shot_examples": 7}),))
    return write_packet(rundir, GateResult("pilot", metrics, {}, "weights"), ReviewContext(history, samples))


def program(tmp_path, text: str) -> str:
    """A review command that runs this Python."""
    path = tmp_path / "review er.py"
    path.write_text(f"import sys, time\npacket, answer = sys.argv[1:]\n{text}\n")
    return f"{sys.executable} '{path}'"


def test_the_packet_holds_question_metrics_history_and_samples(packet):
    text = packet.read_text()
    assert text.startswith("# Review: gate pilot failed")
    assert "- FAIL runaway_rate 0.2 must be < 0.05" in text
    assert text.count("list_examples: 8") == 1  # of a later attempt only what differs
    assert "### attempt 2, where it differs from the one before\n\n```\nfew_shot_examples: 7\n```" in text
    assert "### pair: judged bad (7)" in text
    assert text.count("Name ") == 5
    assert "````\nName 0.\n-> ```\nx\n````" in text  # text of a model cannot end its block


@pytest.mark.parametrize(
    ("attempts", "sentence"),
    [
        (0, "The gate failed. It has no retry."),
        (1, "The gate failed on its only attempt."),
        (2, "The gate failed on 2 attempts, each with changed parameters"),
    ],
)
def test_the_packet_says_how_often_the_gate_was_attempted(rundir, attempts, sentence):
    config = RunConfig()
    history = tuple((config.qc, config.headroom) for _ in range(attempts))
    result = GateResult("headroom", (), {"results/headroom/base/items.jsonl": "digest"}, "weights")
    text = write_packet(rundir, result, ReviewContext(history)).read_text()
    assert sentence in text
    assert "retry" not in text.replace("It has no retry.", "").casefold()
    assert text.count("### attempt ") == attempts  # the records of one attempt are one attempt
    assert ("the gate ran as configured" in text) == (not attempts)
    assert "No texts were sampled for this gate. Its metrics were computed from:\n\n- results/headroom/base" in text


def test_a_gate_that_the_base_passes_too_easily_shows_the_right_answers_of_the_base(rundir):
    items = answers("base", range(1, 2), str, stops=False)
    samples = right_answer_samples(items)
    text = write_packet(rundir, GateResult("headroom", (), {}, "weights"), ReviewContext(samples=samples)).read_text()
    assert [sample.text for sample in samples] == [item.raw for item in items if item.content] == [items[1].raw]
    assert f"### base: right, type {items[1].type} (1)" in text
    assert items[1].instruction in text


def test_a_critic_that_misjudges_shows_the_probes_that_it_misjudged():
    good, bad = critique(2.0), critique(-2.0)
    judgements = [
        ProbeJudgement(
            kind="instructions", fault=fault, label=label, instruction=f"{fault} {judged.is_good}", response="",
            critique=judged, reverse=judged, swapped=judged,
        )
        for fault, label in (("good", "A"), ("unsafe", "B"), ("content-free", ""))
        for judged in (good, bad)
    ]  # fmt: skip
    assert misjudged_probe_samples(judgements) == (
        Sample("instructions, good: judged B", "good False", ""),
        Sample("instructions, unsafe: judged A", "unsafe True", ""),
    )


def test_a_model_that_fails_the_contamination_gate_shows_its_findings_and_failed_sentinels():
    failed = SentinelResult(
        name="capital", kind="completion", prompt="The capital of France is", response=" x", finish_reason="length",
        passed=False, value=0.0,
    )  # fmt: skip
    sentinels = SentinelReport(
        completion_rate=rate(1, 2), followed_rate=rate(0, 1), followed_and_stopped_rate=rate(0, 1), prompt_formats=(),
        control_token_mass=0.0, statistic="", instruct_weights=False, follows_instructions=False, reasons=(),
        results=(failed, failed.model_copy(update={"passed": True})),
    )  # fmt: skip
    finding = ContaminationFinding(name="files", message="the name says Instruct")
    report = ContaminationReport(findings=(finding,), provenance=provenance(sentinels=sentinels))
    assert failed_sentinel_samples(report) == (
        Sample("finding: files", "", "the name says Instruct"),
        Sample("failed sentinel: completion", "The capital of France is", " x"),
    )
    assert failed_sentinel_samples(ContaminationReport(findings=(), provenance=None)) == ()


def test_the_packet_says_what_to_try_for_each_metric_that_failed(packet):
    section = packet.read_text().split("## What to try\n\n")[1].split("\n\n## ")[0]
    failed = [name for name in gate_named("pilot").metric_names if name != "token_limit_rate"]
    assert section.splitlines() == [f"- {name}: {metric_spec(name).remedy}" for name in failed]


def test_the_answer_that_the_command_writes_is_filed(rundir, packet, tmp_path):
    command = program(tmp_path, "open(answer, 'w').write('Lower it. ' + open(packet).read()[:9])")
    message = run_review_command(rundir, packet, command, 30)
    (answer,) = rundir.path("reviews").iterdir()
    assert answer.read_text() == "Lower it. # Review:"
    assert f"reviews/{answer.name}, SHA-256 " in message


def test_what_the_command_prints_is_the_answer_if_it_writes_none(rundir, packet, tmp_path):
    run_review_command(rundir, packet, program(tmp_path, "print('Try again.')"), 30)
    (answer,) = rundir.path("reviews").iterdir()
    assert answer.read_text() == "Try again.\n"


def test_a_packet_is_reviewed_once(rundir, packet, tmp_path):
    run_review_command(rundir, packet, program(tmp_path, "print('first')"), 30)
    assert "already" in run_review_command(rundir, packet, program(tmp_path, "print('second')"), 30)
    (answer,) = rundir.path("reviews").iterdir()
    assert answer.read_text() == "first\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("time.sleep(60)", "took longer than 1 s"),
        ("sys.exit('no key')", "ended with 1 no key"),
    ],
)
def test_a_review_that_cannot_be_had_is_said_and_stops_nothing(rundir, packet, tmp_path, text, sentence):
    assert sentence in run_review_command(rundir, packet, program(tmp_path, text), 1)
    assert list(rundir.path("reviews").iterdir()) == []


def test_a_command_that_does_not_exist_is_said(rundir, packet):
    assert "cannot be run" in run_review_command(rundir, packet, "no-such-command-here", 1)


def test_the_packet_of_an_earlier_failure_is_set_aside_not_deleted(rundir, packet):
    text = packet.read_text()
    archive_review(rundir, "pilot")
    assert not rundir.review_packet("pilot").exists()
    assert rundir.path("superseded", "review-pilot-0.md").read_text() == text
    archive_review(rundir, "pilot")  # nothing there, nothing done
