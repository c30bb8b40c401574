"""The report as one sound file: complete, self-contained, accessible, and safe against hostile text."""

import re
import subprocess
import sys
from itertools import pairwise

import pytest

from ctai.cli import main
from ctai.records import Verdict
from ctai.registry import GATES
from ctai.report import text, write_report
from ctai.rundir import read_record
from tests.support.html_report import HOSTILE, SVG, kind_of, parsed, text_of, written_report
from tests.support.reported import finished_run

pytestmark = pytest.mark.unit


def test_every_metric_is_there_with_value_interval_threshold_and_digest(finished):
    html = parsed(written_report(finished))
    for gate in GATES:
        (section,) = (element for element in html.iter("section") if element.get("id") == f"gate-{gate.name}")
        words = text_of(section)
        for metric in gate.metric_names:
            assert metric.replace("_", " ") in words
        verdict = read_record(finished.verdict(gate), Verdict)
        artifact = verdict.metrics[0].artifact
        assert artifact is not None
        assert artifact in words
        assert verdict.artifacts[artifact][:12] in words
        assert "0.010" in words
        assert "0 to 0.030, n 100" in words
        assert "below 0.05" in words
        assert len(section.findall(f".//table[@class='metrics']//{SVG}svg")) == len(gate.metric_names)


def test_the_report_needs_nothing_else(finished):
    report = written_report(finished)
    html = parsed(report)
    policy = [meta.get("content") for meta in html.iter("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert not [
        element
        for element in html.iter()
        if kind_of(element) in ("script", "link", "img", "image", "iframe", "form", "use")
    ]
    targets = [element.get("href") for element in html.iter("a")]
    names = {element.get("id") for element in html.iter()}
    assert all(target and target.startswith("#") and target[1:] in names for target in targets)
    assert "url(" not in report
    assert "@import" not in report


def test_the_report_can_be_read_without_seeing_it(finished):
    html = parsed(written_report(finished))
    names = [element.get("id") for element in html.iter() if element.get("id")]
    assert len(names) == len(set(names))
    assert html.get("lang") == "en"
    assert next(html.iter("a")).get("href") == "#content"
    levels = [int(element.tag[1]) for element in html.iter() if re.fullmatch("h[1-6]", str(element.tag))]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert all(th.get("scope") for th in html.iter("th"))
    drawings = list(html.iter(f"{SVG}svg"))
    assert len(drawings) > 60
    for drawing in drawings:
        named = drawing.get("role") == "img" and drawing.get("aria-label") == drawing.findtext(f"{SVG}title")
        assert drawing.get("aria-hidden") == "true" or named


def test_equal_runs_give_equal_reports(finished):
    assert written_report(finished) == written_report(finished)


def test_the_report_is_written_without_torch(finished):
    code = (
        "import sys; from pathlib import Path; from ctai.report import write_report;"
        "write_report(Path(sys.argv[1])); print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(finished.root)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_says_where_the_report_is(finished, capsys):
    assert main(["report", str(finished.root)]) == 0
    assert capsys.readouterr().out.strip() == str(finished.report / "index.html")


def test_every_instrument_is_shown_with_how_right_it_is(finished):
    (section,) = (
        element
        for element in parsed(written_report(finished)).iter("section")
        if element.get("id") == "gate-instruments"
    )
    words = text_of(section)
    assert "hedge90.0%" in words  # a scorer
    assert "False passes: 1 of 20 wrong answers" in words
    assert "about Paris" in words
    assert words.count("runaway95.0%") == words.count("runaway90.0%") == 1  # a detector
    assert words.count("good94.0%") == 2  # the critic on instructions and on pairs
    (section,) = (
        element
        for element in parsed(written_report(finished)).iter("section")
        if element.get("id") == "gate-contamination"
    )
    assert "question page: answered correctly5.0%" in text_of(section)  # a sentinel


def test_a_price_gives_costs(tmp_path):
    words = text_of(parsed(written_report(finished_run(tmp_path / "priced", price=1.5))))
    assert "Time and cost" in words
    assert (
        "Machine time including loading: 2 h 00 min; cost 3.00 USD of a budget of 300 USD at 1.500 USD an hour" in words
    )


def test_a_control_run_says_so(copied):
    path = copied.results_dir / "evaluation.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"control": "none"', '"control": "shuffled"'), encoding="utf-8"
    )
    assert "This is a control run: shuffled." in text_of(parsed(written_report(copied)))


def test_another_folder_is_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "is not a run directory" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_cannot_break_the_report(tmp_path, name):
    """Everything a model can write is hostile at once; the html stays as it is, and says what was there."""
    rundir = finished_run(tmp_path / "run", lambda words: f"{words} {HOSTILE[name]}")
    html = write_report(rundir.root).read_text(encoding="utf-8")
    tree = parsed(html)
    assert not [element for element in tree.iter() if kind_of(element) in ("script", "img", "image", "iframe")]
    assert len(list(tree.iter("h1"))) == 1
    assert len(list(tree.iter("style"))) == 1
    assert not [element for element in tree.iter() if any(key.startswith("on") for key in element.attrib)]
    assert not any(text.is_hidden(character) for character in html)
    assert len(html) < 1_500_000
    if name in ("bidi", "ansi", "nul"):
        assert {"bidi": "U+202E", "ansi": "U+001B", "nul": "U+0000 ×2"}[name] in text_of(tree)
    if name == "template":
        assert "{{ 7 * 7 }}" in text_of(tree)
    if name == "long":
        assert re.search(r"… [\d,]+ more characters", text_of(tree))


def test_a_line_of_megabytes_is_cut(tmp_path):
    rundir = finished_run(tmp_path / "run")
    path = rundir.results_dir / "sft_items.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[0] = lines[0].replace(" sft says 0", "x" * 3_000_000)
    path.write_text("\n".join(lines), encoding="utf-8")
    html = write_report(rundir.root).read_text(encoding="utf-8")
    assert "… 2,999,600 more characters" in text_of(parsed(html))
    assert len(html) < 1_500_000
