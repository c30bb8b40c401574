"""The commit message check: accepted subjects, each broken rule, and lines that git adds."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import check_commit_message
from scripts.check_commit_message import MAX_SUBJECT, find_problems, looks_imperative, main

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "message",
    [
        "Add a check",
        "Add a check\n",
        "Add a check\n\nThe reason, which may end with a period.\n",
        "\n\nAdd a check\n\nThe reason.\n",
        "Add a check\n# Please enter the commit message for your changes.\n",
        "# A comment above\nAdd a check\n",
        "Add a check\n# ------------------------ >8 ------------------------\ndiff --git a/x b/x\n",
        "x" * MAX_SUBJECT,
    ],
)
def test_accepts_a_message_that_keeps_the_rules(message):
    assert find_problems(message) == []


@pytest.mark.parametrize(
    "message",
    [
        f"fixup! {'x' * MAX_SUBJECT}",
        f'Revert "{"x" * MAX_SUBJECT}"',
        f"Merge branch '{'x' * MAX_SUBJECT}' into main",
    ],
)
def test_accepts_subjects_that_git_writes(message):
    assert find_problems(message) == []


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("", "the message is empty"),
        ("\n# only a comment\n", "the message is empty"),
        ("x" * (MAX_SUBJECT + 1), "the subject has 73 characters"),
        ("Add a check.", "the subject ends with a period"),
        ("Added a check", "the subject opens with 'Added'"),
        ("Adding a check", "the subject opens with 'Adding'"),
        ("Updated: a check", "the subject opens with 'Updated:'"),
        ("Add a check\nThe reason.", "the second line is not blank"),
        ("Merged shards", "the subject opens with 'Merged'"),
    ],
)
def test_names_the_rule_that_a_message_breaks(message, problem):
    (found,) = find_problems(message)
    assert found.startswith(problem)


def test_names_every_broken_rule_at_once():
    assert len(find_problems(f"Added {'x' * MAX_SUBJECT}.\nThe reason.")) == 4


@pytest.mark.parametrize("subject", ["Embed a model", "Seed the rounds", "Bring plugins", "String the parts together"])
def test_an_imperative_may_end_like_a_participle(subject):
    assert looks_imperative(subject)


def test_main_accepts_in_silence(tmp_path, capsys):
    message = tmp_path / "message"
    message.write_text("Add a check\n\nGrüße\n", encoding="utf-8")
    assert main([str(message)]) == 0
    assert capsys.readouterr() == ("", "")


def test_main_rejects_in_one_sentence(tmp_path, capsys):
    message = tmp_path / "message"
    message.write_bytes(b"Added a check.\n\xff\n")
    assert main([str(message)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("commit message: the subject ends with a period (drop it); the subject opens with")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["one", "two"], ["/no/such/file"]])
def test_main_needs_one_file_that_exists(arguments, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_hook_runs_without_the_package_on_the_path(tmp_path):
    message = tmp_path / "message"
    message.write_text("Added a check\n", encoding="utf-8")
    script = Path(check_commit_message.__file__)
    done = subprocess.run([sys.executable, "-I", str(script), str(message)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("commit message: ")
