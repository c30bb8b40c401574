"""Small records to write, and listings of what was written."""

from pathlib import Path

from ctai.records import HeldoutItem


def heldout_item(number: int, instruction: str = "Say hello.") -> HeldoutItem:
    return HeldoutItem(item=number, family="f", type="t", key="k", instruction=instruction)


def file_names(folder: Path) -> list[str]:
    """Paths below a folder, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
