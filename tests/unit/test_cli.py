"""Command line: help, exit status and the printed configuration."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctai.cli import build_parser, main
from ctai.config import RunConfig
from ctai.rundir import digest_of

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]


def commands() -> dict[str, str]:
    """Help text by command."""
    (action,) = (action for action in build_parser()._actions if action.dest == "==SUPPRESS==" or action.choices)
    assert isinstance(action.choices, dict)
    return {name: parser.format_help() for name, parser in action.choices.items()}


def test_help_shows_the_usual_sequence(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    positions = [
        shown.index(f"  {text}", shown.index("the usual sequence"))
        for text in (
            "ctai preflight  ",
            "pytest -m gates  ",
            "ctai report runs",
            "ctai verify runs",
            "ctai export runs",
        )
    ]
    assert positions == sorted(positions)
    for name in commands():
        assert f"e.g. ctai {name}" in " ".join(shown.split())


@pytest.mark.parametrize("name", commands())
def test_each_command_has_an_example_and_its_exit_codes(name):
    shown = commands()[name]
    assert f"examples:\n  ctai {name}" in shown
    assert "exit status:\n  0: " in shown
    assert "2: " in shown


def test_the_configuration_that_is_printed_is_that_of_the_run(tmp_path, monkeypatch, capsys):
    assert main(["config", "--set", "pilot.count=150", "--seed", "3", "--count", "500", "--control", "no-critic"]) == 0
    path = tmp_path / "my.toml"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    settings = ["pilot.count=150", "scale.count=500", "generation.filter_with_critic=false"]
    expected = RunConfig.load("embedded", settings, seed=3, control="no-critic")
    assert digest_of(RunConfig.load(str(path))) == digest_of(expected)
    assert main(["config", "--profile", str(path), "--gpu"]) == 0
    assert 'device = "cuda"  # from --gpu' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("config", "--profile", "emeded"), "did you mean embedded?"),
        (("preflight", "--set", "pilot.cuont=3"), "pilot.cuont: unknown setting; did you mean count?"),
        (("report", "nowhere"), "is not a run directory"),
        (("verify", "nowhere"), "holds no verdicts"),
    ],
)
def test_invalid_usage_prints_one_sentence_and_returns_2(arguments, sentence, capsys):
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert sentence in output.err
    assert output.err.startswith("ctai: ")
    assert output.out == ""


@pytest.mark.parametrize("module", ["ctai", "ctai.cli"])
def test_module_runs_the_command_line(module):
    command = [sys.executable, "-m", module, "verify", "nowhere"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "holds no verdicts" in done.stderr


def test_gates_run_in_any_folder_and_into_a_path_with_spaces_and_letters(tmp_path):
    folder = tmp_path / "läuft hier"
    folder.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    options = ["-p", "no:cacheprovider", "-q", "-m", "gates", "-k", "contamination", "--run-dir", "mein lauf ü"]
    for cwd, gates in ((folder, [str(ROOT / "tests" / "gates")]), (ROOT / "docs", [])):
        command = [sys.executable, "-m", "pytest", *options, *gates]
        if cwd != folder:
            command[command.index("mein lauf ü")] = str(folder / "mein lauf ü")
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1  contamination PASSED" in done.stdout
    assert "(reused)" in done.stdout  # the second was the same run
    assert (folder / "mein lauf ü" / "report" / "index.html").is_file()


def test_preflight_says_what_is_missing(tmp_path, capsys):
    assert main(["preflight", "--model", "none/here.gguf", "--run-dir", str(tmp_path / "run")]) == 1
    out = capsys.readouterr().out
    assert "FAIL  model" in out
    assert not (tmp_path / "run").exists()
