"""Git state, code digest, versions and environment."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ctai import provenance
from ctai.provenance import environment as environment_module

pytestmark = pytest.mark.unit


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "code.py").write_text("1")
    (folder / ".gitignore").write_text("venv/\n")
    git(folder, "init", "--initial-branch=trunk")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return folder


@pytest.fixture(autouse=True)
def _forget_git_state() -> None:
    provenance.git_state.cache_clear()


@pytest.mark.fault(24, plant="a clone with changes that no commit holds", check="provenance")
def test_git_state_of_a_clean_and_a_dirty_clone(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(clone / "nowhere"))  # as inside a hook of another repository
    state = provenance.git_state(clone / "package")
    monkeypatch.delenv("GIT_DIR")
    assert state == (git(clone, "rev-parse", "HEAD"), "trunk", False)
    (clone / "package" / "code.py").write_text("2")
    provenance.git_state.cache_clear()
    assert provenance.git_state(clone / "package").dirty


def test_git_state_of_a_detached_head(clone: Path) -> None:
    git(clone, "checkout", "--detach")
    assert provenance.git_state(clone).branch == "detached"


@pytest.mark.fault(24, plant="code outside any clone", check="provenance")
def test_git_state_outside_a_clone_and_of_an_ignored_folder_is_unknown(tmp_path: Path, clone: Path) -> None:
    installed = clone / "venv" / "package"
    installed.mkdir(parents=True)
    for folder in (tmp_path, installed):
        assert provenance.git_state(folder) == ("unknown", "unknown", True)


def test_loader_version_names_the_commit_or_else_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    state = provenance.GitState("a" * 40, "main", dirty=True)
    monkeypatch.setattr(environment_module, "git_state", lambda: state)
    assert provenance.loader_version().endswith("+aaaaaaaaaaaa.dirty")
    state = provenance.GitState("unknown", "unknown", dirty=True)
    assert provenance.loader_version().endswith(f"+code.{provenance.code_digest()[:12]}")


def test_code_digest_changes_with_code_and_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = set()
    for name, text in [("a.py", "1"), ("a.py", "2"), ("profiles/p.toml", "x"), ("profiles/p.toml", "y")]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(environment_module, "_PACKAGE", tmp_path)
        provenance.code_digest.cache_clear()
        digests.add(provenance.code_digest())
    provenance.code_digest.cache_clear()
    assert len(digests) == 4


def test_environment_has_versions_and_no_host_name() -> None:
    environment = provenance.collect_environment(provenance.DeviceInfo("cpu"))
    assert environment.python == ".".join(map(str, sys.version_info[:3]))
    assert re.match(r"\d+\.\d+", environment.torch)
    assert re.match(r"\d+\.\d+", environment.packages["pydantic"])
    assert (environment.device, environment.cuda, environment.device_memory_bytes) == ("cpu", None, None)
    assert "host" not in environment.model_dump()


def test_provenance_does_not_import_torch() -> None:
    code = (
        "import sys; from ctai.provenance import DeviceInfo, collect_environment as e; "
        "e(DeviceInfo('cpu')); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
