"""The built wheel: what is in it, and that `ctai` works from it, outside the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
SOURCES = ("ctai", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout, built from a copy, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    command = [sys.executable, "-m", "pip", "wheel", ".", "-q", "--no-deps", "--no-build-isolation", "-w", "dist"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """An environment with the wheel in it, which sees the other packages of this one; returns its `ctai`."""
    folder = tmp_path_factory.mktemp("elsewhere") / "environment"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    (site,) = (folder / "lib").glob("python*/site-packages")
    # a path file of a path file is not read: an editable ctai of this environment is not seen
    paths = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    (site / "others.pth").write_text("\n".join(paths) + "\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder / "bin" / "ctai"


def run(program: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    return subprocess.run([program, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def test_it_holds_the_package_with_its_data_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "ctai/config/profiles/embedded.toml",
        "ctai/config/profiles/pod.toml",
        "ctai/model/embedded/model.safetensors",
        "ctai/model/embedded/tokenizer.json",
        "ctai/model/embedded/build.json",
        "ctai/tasks/data/labelled/answers.jsonl",
        "ctai/py.typed",
    ):
        assert needed in names
    tracked = [path for path in (ROOT / "ctai").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.relative_to(ROOT).as_posix() for path in tracked} <= set(names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"ctai"}  # no tests, no scripts


def test_the_commands_work_outside_the_checkout(installed, finished, tmp_path):
    shown = run(installed, "--help", cwd=tmp_path)
    assert "pytest -m gates" in shown.stdout
    assert run(installed, "preflight", cwd=tmp_path).returncode == 0
    profile = run(installed, "config", "--set", "pilot.count=150", cwd=tmp_path)
    (tmp_path / "my.toml").write_text(profile.stdout, encoding="utf-8")
    assert "count = 150" in run(installed, "config", "--profile", "my.toml", cwd=tmp_path).stdout
    copy = shutil.copytree(finished, tmp_path / "läuft hier" / "run ü")
    verified = run(installed, "verify", str(copy), cwd=tmp_path)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    shutil.rmtree(copy / "report", ignore_errors=True)
    assert run(installed, "report", str(copy), cwd=tmp_path).returncode == 0
    assert (copy / "report" / "index.html").is_file()


def test_it_is_the_wheel_that_runs_and_not_the_checkout(installed, tmp_path):
    code = "import ctai, pathlib; print(pathlib.Path(ctai.__file__).parent)"
    where = run(installed.with_name("python"), "-c", code, cwd=tmp_path).stdout.strip()
    assert Path(where).is_relative_to(installed.parents[1])
