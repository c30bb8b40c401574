"""Environment variables: hub cache, offline mode, visible devices, colors and CI."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from ctai.pytest_plugin.progress import TerminalProgress

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
CTAI = "import sys; from ctai.cli import main; sys.exit(main(sys.argv[1:]))"


def ctai(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-c", CTAI, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def test_a_model_that_is_not_cached_is_refused_offline_in_one_sentence(tmp_path):
    done = ctai("preflight", "--model", "some/model", HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert f"nor in the hub cache {tmp_path}/hub, and HF_HUB_OFFLINE forbids downloads" in line
    assert done.returncode == 1
    assert done.stderr == ""


def test_a_model_in_the_cache_of_hf_home_is_found_offline(tmp_path):
    repository = tmp_path / "hub" / "models--some--model"
    snapshot = repository / "snapshots" / "0123456789012345678901234567890123456789"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}", encoding="utf-8")
    (snapshot / "model.safetensors").write_bytes(b"weights")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(snapshot.name, encoding="utf-8")
    done = ctai("preflight", "--model", "some/model", HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    assert f"some/model, on this disk: {snapshot}" in done.stdout
    assert f"HF_HOME={tmp_path}" in done.stdout


def test_gpu_with_no_visible_device_is_refused():
    done = ctai("preflight", "--gpu", CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1")
    assert "FAIL  device         no CUDA device on this machine" in done.stdout
    assert done.returncode == 1


PROJECT = """
import pytest
from ctai.pytest_plugin.progress import TerminalProgress

def test_progress(request):
    progress = TerminalProgress()
    manager = request.config.pluginmanager
    progress.attach(manager.getplugin("terminalreporter"), manager.getplugin("capturemanager"))
    progress.start("a stage", 10)
    progress.advance(10)
    progress.finish()
"""


def on_a_terminal(folder: Path, **variables: str) -> str:
    """Output of a small pytest run with progress on a terminal."""
    (folder / "test_it.py").write_text(PROJECT, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_it.py"]
    inherited = {
        key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR", "FORCE_COLOR", "PY_COLORS")
    }
    environment = inherited | {"PYTHONPATH": str(ROOT), "TERM": "xterm", **variables}
    master, slave = pty.openpty()
    process = subprocess.Popen(command, cwd=folder, stdout=slave, stderr=slave, stdin=slave, env=environment)
    os.close(slave)
    written = b""
    try:
        while chunk := os.read(master, 4096):
            written += chunk
    except OSError:  # the other end was closed
        pass
    assert process.wait(timeout=60) == 0, written
    os.close(master)
    return written.decode("utf-8", errors="replace")


def test_a_terminal_has_colors_and_a_redrawn_line(tmp_path):
    written = on_a_terminal(tmp_path)
    assert "\x1b[" in written
    assert "\ra stage: 10 done" in written


def test_no_color_means_none(tmp_path):
    assert "\x1b[" not in on_a_terminal(tmp_path, NO_COLOR="1")


def test_ci_means_plain_lines(tmp_path):
    written = on_a_terminal(tmp_path, CI="true", NO_COLOR="1")
    assert "\x1b[" not in written
    assert "\ra stage" not in written.replace("\r\n", "\n")
    assert "  a stage: 10 done" in written


def test_progress_that_nothing_is_attached_to_is_silent(capsys):
    progress = TerminalProgress()
    progress.start("a stage", 1)
    progress.advance()
    progress.finish()
    assert capsys.readouterr().out == ""
