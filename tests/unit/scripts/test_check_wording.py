"""The wording check: phrases it finds, uses it accepts, what it reads of a file, and the wording of the repository."""

from pathlib import Path

import pytest

from scripts import check_wording
from scripts.check_wording import check_markdown, check_python, checked_files, find_phrases, main

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("The same command goes on.", "goes on"),
        ("It can be gone\n    on with.", "gone on with"),
        ("What became of the items.", "became of"),
        ("not by the book", "by the book"),
        ("with so many layers", "so many"),
        ("Somebody has paid for it.", "Somebody"),
        ("killed for want of memory", "for want of"),
        ("base models of one kin", "kin"),
        ("in either worksheet", "worksheet"),
        ("the pilot's ladder", "ladder"),
        ("planted faults", "planted faults"),
        ("a torture test", "torture"),
        ("repeated looks at the test set", "looks at the test set"),
        ("a stranger's families", "stranger's"),
        ("a process of its own", "of its own"),
        ("no GPU was at hand", "at hand"),
        ("gates 2a and 3", "gates 2a"),
        ("a departure loosens a threshold", "departure"),
    ],
)
def test_finds_a_banned_phrase_with_a_suggestion(text, phrase):
    (match,) = find_phrases(text)
    assert match.phrase == phrase
    assert match.suggestion


@pytest.mark.parametrize(
    "text",
    [
        "a kind of instruction, asking for the skin",
        "the page and the report",
        "derive_seed(seed, worksheets/0)",
        "as many shards as workers",
        "the noise floor at its hand-written limit",
        "gate 2, instruments",
        "looks up the test set",
    ],
)
def test_accepts_legitimate_uses(text):
    assert list(find_phrases(text)) == []


def test_names_the_line_of_a_phrase():
    source = '"""Noun.\n\nIt goes on.\n"""\n\nx = 1  # at hand\ny = f"{x} of its own"\n'
    assert [(match.line, match.phrase) for match in sorted(check_python(source))] == [
        (3, "goes on"),
        (6, "at hand"),
        (7, "of its own"),
    ]


def test_reads_only_docstrings_where_literals_are_data():
    source = '"""Noun."""\n\n\ndef f():\n    """Return what is at hand."""\n    return "so many"  # goes on\n'
    assert [match.phrase for match in check_python(source, docstrings_only=True)] == ["at hand"]


def test_skips_code_in_pages_and_old_terms_in_the_changelog():
    text = "Use `at hand`.\n```sh\nls of its own\n```\n*fault injection* (*planted faults*)\n"
    assert [match.line for match in check_markdown(text)] == [5]
    assert list(check_markdown(text, skip_emphasis=True)) == []


def test_prints_matches_and_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(check_wording, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("Fine.\n\nIt is at hand.\n", encoding="utf-8")
    assert main([]) == 1
    assert capsys.readouterr().out == "docs/a.md:3: at hand -> available\n"
    (tmp_path / "docs" / "a.md").write_text("Fine.\n", encoding="utf-8")
    assert main([]) == 0


def test_covers_code_and_pages():
    names = {path.relative_to(check_wording.ROOT).as_posix() for path in checked_files()}
    assert {"ctai/cli.py", "scripts/check_wording.py", "benchmarks/common.py", "README.md", "docs/gates.md"} <= names
    assert not any(Path(name).parts[0] == "tests" for name in names)


def test_the_repository_has_no_banned_phrase(capsys):
    assert main([]) == 0, capsys.readouterr().out
