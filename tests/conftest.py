"""What several kinds of tests share: a tiny model, a finished run on it, and the mark `fault` in the JUnit report.

Listing the gates reads this file and takes no torch: what needs it is imported where it is used.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ctai.model.clean_model import CleanModel


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Write number, plant and check of every `fault` mark into the properties of its test, for `scripts.fault_table`."""
    for item in items:
        for mark in item.iter_markers("fault"):
            properties = {"fault": mark.args[0], **mark.kwargs}
            item.user_properties += [(name, str(value)) for name, value in properties.items()]


@pytest.fixture(scope="session", autouse=True)
def _ledger_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A ledger of comparisons for the fixtures of the session: tests never read or change that of the user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CTAI_LEDGER", str(tmp_path_factory.mktemp("session_ledger") / "comparisons.jsonl"))
        yield


@pytest.fixture(autouse=True)
def _ledger_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of its own for each test, so that no test counts the comparisons of another."""
    monkeypatch.setenv("CTAI_LEDGER", str(tmp_path / ".ledger" / "comparisons.jsonl"))


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two small layers with random weights, context 256, and a byte-level BPE tokenizer with a chat template."""
    from tests.support import tiny

    return tiny.write_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def tiny_model(tiny_model_folder: Path) -> "CleanModel":
    """The tiny model, loaded without sentinels: random weights complete nothing."""
    from ctai.model.loader import CleanModelLoader

    return CleanModelLoader(str(tiny_model_folder), batch_size=8).load(sentinels=False)


@pytest.fixture(scope="session")
def finished(tiny_model: "CleanModel", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of all gates, on a scripted model that is said to be of the hub; no test changes it."""
    from tests.support.finished import make_finished_run

    folder = tmp_path_factory.mktemp("finished") / "run"
    return make_finished_run(folder, tiny_model, model_id="someone/base", revision="abc123")
