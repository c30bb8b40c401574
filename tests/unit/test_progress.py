"""Silent progress."""

import pytest

from ctai.progress import Progress, SilentProgress

pytestmark = pytest.mark.unit


def test_silent_progress_is_a_progress(capsys: pytest.CaptureFixture[str]) -> None:
    progress: Progress = SilentProgress()
    progress.start("pilot", 2)
    progress.advance(note="half")
    progress.finish()
    assert capsys.readouterr() == ("", "")
