"""Reader of a run directory: strict or lenient, and never out of the directory."""

import pytest

from ctai.errors import CtaiError
from ctai.records import HeldoutItem, PilotAttempt, PilotHistory
from ctai.rundir import RunDir, write_json, write_jsonl
from ctai.rundir.reader import RunReader, require

pytestmark = pytest.mark.unit

ITEM = HeldoutItem(item=0, family="capital", type="fact", key="Peru", instruction="What is the capital of Peru?")


def history(folder: str) -> PilotHistory:
    """A history of one attempt in that folder."""
    return PilotHistory(attempts=(PilotAttempt(folder=folder, generation={}, passed=True, reasons=()),))


def test_both_read_what_is_sound(rundir: RunDir) -> None:
    write_jsonl(rundir.heldout, [ITEM])
    write_json(rundir.pilot_history, history("artifacts/pilot"))
    for strict in (False, True):
        reader = RunReader(rundir, strict=strict)
        assert reader.heldout == [ITEM]
        assert require(reader.pilot_history).attempts[0].folder == "artifacts/pilot"
        assert reader.problems == []


def test_a_missing_file_is_none_for_the_lenient_reader_and_an_error_for_the_strict_one(rundir: RunDir) -> None:
    lenient, strict = RunReader(rundir), RunReader(rundir, strict=True)
    assert (lenient.pilot_history, lenient.heldout, lenient.problems) == (None, [], [])
    with pytest.raises(CtaiError, match=r"pilot_history\.json"):
        _ = strict.pilot_history
    with pytest.raises(CtaiError, match=r"heldout\.jsonl"):
        _ = strict.heldout


def test_a_damaged_line_is_counted_or_an_error(rundir: RunDir) -> None:
    write_jsonl(rundir.heldout, [ITEM])
    rundir.heldout.write_bytes(rundir.heldout.read_bytes() + b"{\n")
    lenient = RunReader(rundir)
    assert lenient.heldout == [ITEM]
    assert lenient.problems == [
        "data/heldout.jsonl could not be read and is left out: "
        "1 of 2 lines are not valid HeldoutItem records (first: line 2)"
    ]
    with pytest.raises(CtaiError, match=r"heldout\.jsonl line 2"):
        _ = RunReader(rundir, strict=True).heldout


@pytest.mark.parametrize("folder", ["../outside", "/etc", "artifacts/../../outside", "a\0b"])
def test_a_folder_that_leads_out_of_the_run_directory_is_not_read(rundir: RunDir, folder: str) -> None:
    (rundir.root.parent / "outside").mkdir()
    write_jsonl(rundir.root.parent / "outside" / "dataset.jsonl", [])
    write_json(rundir.pilot_history, history(folder))
    assert RunReader(rundir).pilot is None


def test_a_folder_that_leads_into_the_run_directory_by_a_link_is_not_read(rundir: RunDir) -> None:
    rundir.pilot_dir.mkdir(parents=True)
    link = rundir.root.parent / "link"
    link.symlink_to(rundir.root)
    write_json(rundir.pilot_history, history(str(link / "artifacts" / "pilot")))
    pilot = RunReader(rundir).pilot
    assert pilot is not None
    assert pilot.folders == ("artifacts/pilot",)
