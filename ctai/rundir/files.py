"""Atomic writing of files, validated reading of records, and messages for files that cannot be used.

Does not know the layout of a run directory (`ctai.rundir.layout`).
"""

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ctai.errors import CtaiError
from ctai.records import Record
from ctai.rundir.hashing import _plain

R = TypeVar("R", bound=Record)


def write_text(path: Path, text: str) -> None:
    """Write a file atomically: after a crash either the old or the new file exists, never a part of one.

    Raises:
        CtaiError: the file cannot be written (disk full, read-only, no permission).
    """
    _write_atomic(path, (text.encode("utf-8"),))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a binary file atomically; see `write_text`."""
    _write_atomic(path, (data,))


def write_json(path: Path, value: Record | Mapping[str, Any]) -> None:
    """Write a record or a dict as indented JSON, atomically; see `write_text`."""
    write_text(path, json_text(value))


def json_text(value: Record | Mapping[str, Any]) -> str:
    """Return the text that `write_json` writes."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n"


def write_jsonl(path: Path, records: Iterable[Record]) -> None:
    """Write one record per line, atomically and as a stream; see `write_text`."""
    _write_atomic(path, jsonl_lines(records))


def jsonl_lines(records: Iterable[Record]) -> Iterator[bytes]:
    """Yield the lines that `write_jsonl` writes."""
    return (record.model_dump_json().encode("utf-8") + b"\n" for record in records)


def copy_file(source: Path, target: Path) -> None:
    """Copy the bytes of a file or of the target of a link; missing folders are created.

    Raises:
        CtaiError: the source cannot be read or the target cannot be written.
    """
    with disk_errors(f"cannot copy {source} to {target}"):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Provide a temporary folder that is renamed to `path` when the block ends, and removed when the block fails.

    Raises:
        CtaiError: `path` exists and is not an empty folder, or it cannot be written.
    """
    with disk_errors(f"cannot read {path}"):
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise CtaiError(f"{path} already exists and is not an empty folder; choose another")
    temporary = temporary_name(path.absolute())
    with disk_errors(f"cannot write {path}"):
        temporary.mkdir(parents=True)
    try:
        yield temporary
        with disk_errors(f"cannot write {path}"):
            temporary.replace(path.absolute())
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def read_record(path: Path, kind: type[R]) -> R:
    """Read the record in a JSON file.

    Raises:
        CtaiError: the file is missing or is not a valid record of this kind.
    """
    with disk_errors(f"cannot read {path}"):
        data = path.read_bytes()
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise CtaiError(f"{path} is not a {kind.__name__}: {_first_problem(error)}") from error


def read_jsonl(path: Path, kind: type[R]) -> list[R]:
    """Read the records of a JSONL file, in order.

    Raises:
        CtaiError: the file is missing, or a line is not a valid record; names the file and the line.
    """
    return list(stream_jsonl(path, kind))


def stream_jsonl(path: Path, kind: type[R]) -> Iterator[R]:
    """Yield the records of a JSONL file one at a time, for files larger than memory; see `read_jsonl`."""
    with disk_errors(f"cannot read {path}"), path.open("rb") as lines:
        # bytes, not text: only b"\n" ends a line, while a text may contain U+2028 and similar separators
        for number, line in enumerate(lines, start=1):
            yield _parse_line(path, number, line.removesuffix(b"\n"), kind)


def _parse_line(path: Path, number: int, line: bytes, kind: type[R]) -> R:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        raise CtaiError(f"{path} line {number}: {_first_problem(error)}") from error


def first_bad_line(path: Path) -> str:
    """Return the first invalid line of a JSONL file as `FILE line N: reason`; empty if all lines are JSON."""
    for number, line in enumerate(path.read_bytes().rstrip(b"\n").split(b"\n"), start=1):
        try:
            json.loads(line)
        except ValueError as error:  # includes UnicodeDecodeError
            return f"{path} line {number}: {error}"
    return ""


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


@contextmanager
def disk_errors(problem: str) -> Iterator[None]:
    """Turn disk errors (full, read-only, no permission) into a `CtaiError` that begins with `problem`."""
    try:
        yield
    except OSError as error:
        raise CtaiError(f"{problem}: {error.strerror or error}") from error


def temporary_name(path: Path) -> Path:
    """Return a new temporary name beside a file, in the pattern that `remove_leftovers` removes."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files below a folder that a crash has left behind; no process may be writing there."""
    with disk_errors(f"cannot clean {folder}"):
        for leftover in sorted(folder.rglob(".*.????????.tmp")):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink(missing_ok=True)


def _write_atomic(path: Path, chunks: Iterable[bytes]) -> None:
    temporary = temporary_name(path)
    with disk_errors(f"cannot write {path}"):
        _make_folder(path.parent)
        try:
            with temporary.open("xb") as handle:
                handle.writelines(chunks)
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    """Make a folder durable against power loss: its directory entry is data of the parent folder."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable: a directory entry is data of the folder, not of the file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
