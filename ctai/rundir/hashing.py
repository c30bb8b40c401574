"""SHA-256 digests of files, folders and values, and the canonical JSON under them."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

_CHUNK_BYTES = 1 << 20


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes in hex."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_tree(folder: Path) -> str:
    """Return the SHA-256 over names and contents of all files below a folder, independent of their order on disk."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return digest_of(sorted([path.relative_to(folder).as_posix(), sha256_file(path)] for path in files))


def digest_path(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder as in `sha256_tree`."""
    return sha256_tree(path) if path.is_dir() else sha256_file(path)


def digest_of(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of a record, dict, list or scalar."""
    return sha256_bytes(canonical_json(value))


def canonical_json(value: Any) -> bytes:
    """Encode a record, dict, list or scalar as canonical JSON: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain).encode("ascii")


def jsonable(value: Any) -> Any:
    """Convert a value with records, tuples and paths to plain JSON types (dicts, lists, scalars)."""
    return json.loads(json.dumps(value, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Path):
        return value.as_posix()
    raise TypeError(f"{type(value).__name__} has no JSON form")
