"""The report: what it says of finished, failed, blocked, damaged and tampered runs, and that it is one sound page."""

import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

import html5lib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctai.cli import main
from ctai.config import RunConfig
from ctai.errors import CtaiError
from ctai.evidence.advice import ADVICE
from ctai.evidence.verdicts import verdict_path
from ctai.provenance import DeviceInfo, Session, collect_environment
from ctai.records import Verdict
from ctai.registry import GATES
from ctai.report import data, evaluation, write_report
from ctai.report.source import RunReader
from ctai.rundir import RunDir, read_record, write_json, write_text
from tests.support.reported import LOSS, finished_run

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A finished run; only read."""
    return finished_run(tmp_path_factory.mktemp("runs") / "finished")


@pytest.fixture
def copied(finished: RunDir, tmp_path: Path) -> RunDir:
    """A finished run to change."""
    shutil.copytree(finished.root, tmp_path / "run")
    return RunDir(tmp_path / "run")


def page_of(rundir: RunDir) -> str:
    """The page as a file says it."""
    return write_report(rundir.root).read_text(encoding="utf-8")


def parsed(page: str) -> Element:
    """The page as a browser reads it; an error of syntax raises."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)


SVG = "{http://www.w3.org/2000/svg}"


def kind_of(element: Element) -> str:
    """The name of an element, wherever it stands; empty for a comment."""
    return element.tag.removeprefix(SVG) if isinstance(element.tag, str) else ""


def text_of(element: Element) -> str:
    """All text of an element, with single spaces."""
    return " ".join("".join(element.itertext()).split())


def heading(page: str) -> str:
    """The verdict of the page."""
    (found,) = parsed(page).iter("h1")
    return text_of(found)


def strip_of(page: str) -> list[str]:
    """The gates as the strip shows them."""
    return [text_of(item) for item in parsed(page).iter("li") if item.find("a/span[@class='number serif']") is not None]


# ---------------------------------------------------------------------------------------------------- a finished run


def test_a_finished_run_is_said_to_have_passed(finished):
    page = page_of(finished)
    assert heading(page) == "All six gates passed: the trained model answers better than its base."
    strip = strip_of(page)
    assert [entry.split()[:2] for entry in strip] == [[gate.number, gate.name] for gate in GATES]
    assert all("✓ passed" in entry for entry in strip)
    assert "could not be read" not in page


def test_every_metric_is_there_with_value_interval_threshold_and_digest(finished):
    page = parsed(page_of(finished))
    for gate in GATES:
        (section,) = (one for one in page.iter("section") if one.get("id") == f"gate-{gate.name}")
        words = text_of(section)
        for metric in gate.metrics:
            assert metric.replace("_", " ") in words
        verdict = read_record(finished.path(verdict_path(finished, gate)), Verdict)
        assert verdict.metrics[0].artifact in words
        assert verdict.artifacts[verdict.metrics[0].artifact][:12] in words
        assert "0.010" in words
        assert "0 to 0.030, n 100" in words
        assert "below 0.05" in words
        assert len(section.findall(f".//table[@class='metrics']//{SVG}svg")) == len(gate.metrics)


def test_the_page_needs_nothing_else(finished):
    page = parsed(page_of(finished))
    policy = [meta.get("content") for meta in page.iter("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert not [
        one for one in page.iter() if kind_of(one) in ("script", "link", "img", "image", "iframe", "form", "use")
    ]
    targets = [one.get("href") for one in page.iter("a")]
    names = {one.get("id") for one in page.iter()}
    assert all(target.startswith("#") and target[1:] in names for target in targets)
    assert "url(" not in page
    assert "@import" not in page


def test_the_page_can_be_read_without_seeing_it(finished):
    page = parsed(page_of(finished))
    names = [one.get("id") for one in page.iter() if one.get("id")]
    assert len(names) == len(set(names))
    assert page.get("lang") == "en"
    assert next(page.iter("a")).get("href") == "#content"
    levels = [int(one.tag[1]) for one in page.iter() if re.fullmatch("h[1-6]", str(one.tag))]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert all(th.get("scope") for th in page.iter("th"))
    drawings = list(page.iter(f"{SVG}svg"))
    assert len(drawings) > 60
    for drawing in drawings:
        named = drawing.get("role") == "img" and drawing.get("aria-label") == drawing.findtext(f"{SVG}title")
        assert drawing.get("aria-hidden") == "true" or named


def test_equal_runs_give_equal_pages(finished):
    assert page_of(finished) == page_of(finished)


def test_the_page_is_written_without_torch_and_statistics(finished):
    code = (
        "import sys; from pathlib import Path; from ctai.report import write_report;"
        "write_report(Path(sys.argv[1])); print([m for m in ('torch', 'scipy', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(finished.root)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_says_where_the_page_is(finished, capsys):
    assert main(["report", str(finished.root)]) == 0
    assert capsys.readouterr().out.strip() == str(finished.report / "index.html")


def test_every_instrument_is_shown_with_how_right_it_is(finished):
    (section,) = (one for one in parsed(page_of(finished)).iter("section") if one.get("id") == "gate-instruments")
    words = text_of(section)
    assert "hedge90.0%" in words  # a checker
    assert "1 of 20 wrong answers pass" in words
    assert "about Paris" in words
    assert words.count("runaway95.0%") == words.count("runaway90.0%") == 1  # a detector
    assert words.count("good94.0%") == 2  # the critic on instructions and on pairs
    (section,) = (one for one in parsed(page_of(finished)).iter("section") if one.get("id") == "gate-contamination")
    assert "question page: answered rightly5.0%" in text_of(section)  # a sentinel


# ---------------------------------------------------------------------------------------------------------- the data


def test_the_funnel_accounts_for_every_loss(finished):
    batch = RunReader(finished).scale
    steps = data.funnel(batch)
    assert [step.n for step in steps] == [60, 54, 48, 40, 40, 38, 34, 32, 29]
    for before, step in pairwise(steps):
        assert before.n - step.n == sum(loss.n for loss in step.losses)
    assert not [loss for step in steps for loss in step.losses if "not explained" in loss.reason]
    assert [loss.reason for loss in steps[2].losses] == ["came before (exact)", "overlaps the test set (heldout key)"]


def test_what_the_records_do_not_explain_is_said(copied):
    write_text(copied.shard_dir(0) / "rejections.jsonl", "")
    steps = data.funnel(RunReader(copied).scale)
    assert ("not explained by the records", 3) in [tuple(loss) for loss in steps[2].losses]


def test_repetitions_are_counted_by_what_they_repeat(finished):
    found = data.repetitions(RunReader(finished).scale)
    assert (found.total, found.distinct) == (7, 1)
    assert [(cluster.instruction, cluster.again) for cluster in found.shown] == [("Name thing 0.", 7)]


def test_the_paired_table_adds_up(finished):
    attempt = RunReader(finished).attempts[-1]
    table = evaluation.paired(attempt.summary.overall)
    assert (table.both, table.only_base, table.only_sft, table.neither, table.n) == (7, 1, 10, 2, 20)


def test_every_failed_answer_is_on_the_page_beside_the_other(finished):
    page = parsed(page_of(finished))
    items = [text_of(one) for one in page.iter("li") if one.find("div[@class='asked said']") is not None]
    numbers = [int(re.search(r"item (\d+),", one).group(1)) for one in items]
    assert numbers == [0, 18, 19, *range(8, 18)]  # where SFT failed, then where only the base did
    assert all(f"base says {n}" in one and f"sft says {n}" in one for n, one in zip(numbers, items, strict=True))


def test_a_price_gives_costs(tmp_path):
    words = text_of(parsed(page_of(finished_run(tmp_path / "priced", price=1.5))))
    assert "Time and cost" in words
    assert "2 h 00 min of the machine in all, loading included: 3.00 USD of 300 USD at 1.500 USD an hour" in words


# --------------------------------------------------------------------------------------------------- runs that ended


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_a_failed_gate_is_named_with_what_it_missed(tmp_path, gate):
    page = page_of(finished_run(tmp_path / "run", failed=gate.name))
    assert heading(page) == f"Stopped at gate {gate.number}, {gate.name}: a threshold was missed."
    (verdict,) = (one for one in parsed(page).iter("div") if one.get("class") == "verdict bad")
    assert f"{gate.metrics[0].replace('_', ' ')} is 0.200 and must be below 0.05: as measured" in text_of(verdict)
    assert f"Try next: {ADVICE[gate.metrics[0]]}." in text_of(verdict)
    signs = ["✓ passed"] * GATES.index(gate) + ["✕ failed"] + ["– blocked"] * (5 - GATES.index(gate))
    assert all(sign in entry for sign, entry in zip(signs, strip_of(page), strict=True))


def started(root: Path) -> tuple[RunDir, Session]:
    """A run directory in which nothing has been done yet."""
    rundir = RunDir.open(root)
    return rundir, Session(rundir, RunConfig(), collect_environment(DeviceInfo("cpu")), "run")


def test_a_gate_that_could_not_be_measured_says_why(tmp_path):
    rundir, session = started(tmp_path / "run")
    with pytest.raises(CtaiError), session.phase("contamination", {}):
        raise CtaiError("the weights are gone")
    page = page_of(rundir)
    assert heading(page) == "Stopped at gate 1, contamination: it could not be measured."
    assert "the weights are gone" in page
    assert "blocked by gate 1, contamination" in page


def test_an_old_verdict_does_not_hide_a_later_failure(copied):
    session = Session(copied, RunConfig(), collect_environment(DeviceInfo("cpu")), "run")
    with pytest.raises(CtaiError), session.phase("scale", {}):
        raise CtaiError("disk full")
    page = page_of(copied)
    assert heading(page) == "Stopped at gate 3, scale: it could not be measured."
    assert "its verdict is from an earlier attempt" in page


def test_the_strip_keeps_time_and_reason_apart(copied):
    copied.path("evidence", "verdicts", "3-scale.json").write_text("{")
    (entry,) = (one for one in strip_of(page_of(copied)) if "not measured" in one)
    assert re.search(r"\d s · evidence/verdicts/3-scale.json", entry), entry


def test_a_run_that_has_only_begun(tmp_path):
    rundir, _ = started(tmp_path / "run")
    page = page_of(rundir)
    assert heading(page) == "No gate has run yet."
    assert "no such" not in page.lower()


def test_a_run_that_was_left_between_gates(copied):
    copied.path(verdict_path(copied, GATES[-1])).unlink()
    session = copied.logs / "session_manifest.json"
    session.unlink()
    assert heading(page_of(copied)) == "Not finished: gate 4b, evaluation, has not been run."


def test_a_control_run_says_so(copied):
    path = copied.results_dir / "evaluation.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"control": "none"', '"control": "shuffled"'), encoding="utf-8"
    )
    assert "This is a control run: shuffled." in text_of(parsed(page_of(copied)))


def test_another_folder_is_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "is no run directory" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


# --------------------------------------------------------------------------------------------------------- tampering


def test_looser_thresholds_are_not_called_a_plain_pass(copied):
    path = copied.path(verdict_path(copied, GATES[-1]))
    write_json(path, read_record(path, Verdict).model_copy(update={"departures": ("evaluation.alpha is 0.5",)}))
    page = page_of(copied)
    assert heading(page) == "All six gates passed, but not by the book: their thresholds are looser than ctai's own."
    assert "not by the book: evaluation.alpha is 0.5" in page
    assert "! passed, not by the book" in strip_of(page)[-1]


def test_a_changed_artifact_takes_the_verdict_back(copied):
    with copied.dataset.open("a", encoding="utf-8") as file:
        file.write("\n")
    page = page_of(copied)
    assert heading(page) == "All six gates passed, but the evidence has changed since."
    assert "gate 3: data/stage1_sft_data.jsonl was changed since the gate judged it" in text_of(parsed(page))


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"notes": ("nothing to see",)}, "the verdict before it is not the one that it stands on"),
        ({"metrics": ()}, "the verdict says passed without heldout_items"),
    ],
)
def test_an_edited_verdict_is_not_believed(copied, update, words):
    path = copied.path(verdict_path(copied, GATES[1]))
    write_json(path, read_record(path, Verdict).model_copy(update=update))
    page = page_of(copied)
    assert heading(page) == "All six gates passed, but the evidence has changed since."
    assert words in page


def test_a_verdict_that_names_a_file_elsewhere_does_not_make_the_page_read_it(copied):
    path = copied.path(verdict_path(copied, GATES[0]))
    write_json(path, read_record(path, Verdict).model_copy(update={"artifacts": {"/dev/zero": "0", "../../..": "1"}}))
    assert "/dev/zero is missing since the gate judged it" in page_of(copied)


# ------------------------------------------------------------------------------------------------------------ damage

FILES = sorted(
    {
        "logs/session_manifest.json", "logs/budget_ledger.json", "evidence/preregistration.json",
        "data/heldout.jsonl", "data/stage1_sft_data.jsonl", "data/dropped.jsonl",
        "data/qc_summary.json", "evidence/pilot_ladder.json", "evidence/contamination/examination.json",
        "evidence/instruments/critic_pairs/calibration.json",
        "evidence/instruments/scorers/calibration.json", "evidence/instruments/detectors/calibration.json",
        "artifacts/pilot/dataset.jsonl",
        "artifacts/pilot/rejections.jsonl", "artifacts/pilot/generation.jsonl", "artifacts/pilot/qc_summary.json",
        "artifacts/shards/shard-000/dataset.jsonl", "artifacts/shards/shard-001/generation.jsonl", LOSS,
        "checkpoints/stage1_sft/training_manifest.json", "results/headroom/base/items.jsonl",
        "results/sft_eval/evaluation.json", "results/sft_eval/sft_items.jsonl", "results/sft_eval/base_items.jsonl",
        *(f"evidence/verdicts/{gate.number}-{gate.name}.json" for gate in GATES),
    }
)  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_no_obstacle(copied, name):
    copied.path(name).unlink()
    page = page_of(copied)
    parsed(page)
    assert "could not be read" not in page  # missing is not unreadable


@pytest.mark.parametrize("name", FILES)
def test_an_unreadable_file_is_said_and_left_out(copied, name):
    copied.path(name).write_bytes(b'{"schema_version":1,\xff\x00')
    page = page_of(copied)
    assert f"{name} could not be read and is left out:" in text_of(parsed(page))


def test_lines_that_can_be_read_are_shown(copied):
    path = copied.results_dir / "sft_items.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:9], b'{"raw": "\\ud800"}', *lines[10:]]))
    page = text_of(parsed(page_of(copied)))
    assert "1 of 20 lines are no EvaluationItem (first: line 10)" in page
    assert "SFT: no answer is recorded" in page


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(FILES),
    at=st.floats(0, 1),
    put=st.sampled_from([b"NaN", b"1e999", b"-1", b"null", b"[]", b'""', b"0", b"9" * 400, b"true"]),
)
def test_odd_values_never_stop_the_page(finished, tmp_path_factory, name, at, put):
    """Replace one value somewhere in one file by an odd one."""
    root = tmp_path_factory.mktemp("odd") / "run"
    shutil.copytree(finished.root, root)
    content = (root / name).read_bytes()
    values = list(re.finditer(rb"(?<=[:\[, ])(-?[0-9][0-9.eE+-]*|true|false|null)(?=[,}\]\n])", content))
    chosen = values[round(at * (len(values) - 1))]
    (root / name).write_bytes(content[: chosen.start()] + put + content[chosen.end() :])
    parsed(page_of(RunDir(root)))
    shutil.rmtree(root)
