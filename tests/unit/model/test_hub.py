"""Hub access: a failed download is one message."""

import errno

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from ctai.errors import CtaiError
from ctai.model import sources

pytestmark = pytest.mark.unit


class BrokenConnectionError(Exception):
    """An exception of an HTTP library, which shares no base class with those of Python."""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            BrokenConnectionError("peer closed connection\nwithout the rest"),
            "the download of model 'some/model' was interrupted (BrokenConnectionError: peer closed connection). "
            "Rerun the same command to resume",
        ),
        (
            TimeoutError("read timed out"),
            "the download of model 'some/model' was interrupted (TimeoutError: read timed out). "
            "Rerun the same command to resume",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/hub/blobs/abc"),
            "/hub/blobs/abc: no space left on device. Free space and rerun the same command to resume.",
        ),
        (
            LocalEntryNotFoundError("the hub cannot be reached"),
            "model 'some/model' is not a local folder, and cannot be fetched from the hub "
            "(LocalEntryNotFoundError: the hub cannot be reached)",
        ),
    ],
)
def test_a_download_that_fails_is_one_sentence(
    error: Exception, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("ctai.model.hub.snapshot_download", fail)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(CtaiError) as caught:
        sources.resolve_model("some/model")
    assert str(caught.value) == sentence
    assert caught.value.__cause__ is error
