"""Every command of the documentation works: a shell runs the blocks of each page in order, in one folder.

`ctai` and programs of the system are run; a stand-in checks expensive commands, and `READ_ONLY` lists these with the reason.
"""

import os
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, commands, shell_blocks
from tests.docs.stand_in import COLLECTED, READ_ONLY, how

pytestmark = pytest.mark.docs
# Durable disk of a pod in the documentation.
DURABLE = "/workspace"
# Programs of the shell and the system, which are run.
SYSTEM = ("export", "openssl")


@pytest.fixture(scope="session")
def shell(tmp_path_factory):
    """Function that runs a script in bash, with the stand-ins of a workspace first on the PATH."""
    collected = tmp_path_factory.mktemp("collected")

    def run(script: str, workspace: Path) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "PATH": f"{workspace / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1",
            COLLECTED: str(collected),
        }  # fmt: skip
        command = ["bash", "-euo", "pipefail", "-c", script]
        return subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True, timeout=600)

    return run


@pytest.mark.parametrize("page", [page for page in PAGES if shell_blocks(page)], ids=lambda page: page.name)
def test_the_commands_of_a_page_work(page, workspace, shell):
    durable = workspace / "durable"
    durable.mkdir()
    (durable / "run-1").symlink_to(workspace / "runs" / "embedded-embedded-seed0")
    for block in shell_blocks(page):
        done = shell(block.replace(DURABLE, str(durable)), workspace)
        assert done.returncode == 0, f"{page.name}:\n{block}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


def test_every_command_is_run_or_in_the_table_of_those_that_are_read():
    read = set()
    for page in PAGES:
        for words in commands(page):
            row = how(words)
            read |= {row} - {""}
            assert row in READ_ONLY or words[0] in ("ctai", *SYSTEM), f"{page.name}: {' '.join(words)}"
    assert read == set(READ_ONLY), "a row of the table is not used by any page"


@pytest.mark.parametrize(
    "wrong", ["ctai verifi x", "pytest -m gates --set pilot.cuont=3", "pip install -e '.[tets]'", "ctai report nowhere"]
)
def test_a_wrong_command_is_found(wrong, workspace, shell):
    assert shell(wrong, workspace).returncode != 0


def test_the_first_two_blocks_of_the_readme_are_the_two_commands():
    gates, tests = shell_blocks(Path(ROOT / "README.md"))[:2]
    assert gates.rstrip().endswith(".venv/bin/pytest -m gates")
    assert tests.rstrip().endswith(".venv/bin/pytest")
