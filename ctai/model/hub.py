"""Hugging Face Hub access: size of a model, cached snapshots, and the download.

Owns every request to the hub and its error messages. Does not decide which local files form a model
(`ctai.model.sources`).
"""

import contextlib
import json
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import HfApi, constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from ctai.errors import CtaiError, disk_error_message, short_error

# Files that loading needs, and copies of them in other formats.
ALLOW_PATTERNS = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "tokenizer*"]
_IGNORE_PATTERNS = ["original/*", "*/*", "consolidated*"]
_TIMEOUT_SECONDS = 10


class RemoteSize(NamedTuple):
    """Bytes of the files of a model on the hub, and of those that are not in the local cache."""

    total: int
    missing: int


def remote_size(name: str, revision: str | None) -> RemoteSize:
    """Return the size of a model without downloading it.

    Raises:
        CtaiError: the hub does not have the model, or cannot be reached.
    """
    try:
        info = HfApi().model_info(name, revision=revision, timeout=_TIMEOUT_SECONDS, files_metadata=True)
    except Exception as error:  # any class of the HTTP library below the client
        raise _unavailable(name, revision, error) from error
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or [] if _is_model_file(file.rfilename)}
    in_cache = {file for file in sizes if isinstance(try_to_load_from_cache(name, file, revision=info.sha), str)}
    return RemoteSize(sum(sizes.values()), sum(size for file, size in sizes.items() if file not in in_cache))


def cached_snapshot(name: str, revision: str | None) -> Path | None:
    """Return the cache folder of a completely downloaded model, without network access; None if there is none."""
    with contextlib.suppress(HfHubHTTPError, OSError, ValueError):
        folder = _snapshot(name, revision, local_files_only=True)
        return folder if _is_complete(folder) else None
    return None


def download(name: str, revision: str | None) -> Path:
    """Download the missing files of a model and return its cache folder.

    Raises:
        CtaiError: the hub does not have the model or cannot be reached, the connection broke, or writing failed.
    """
    try:
        return _snapshot(name, revision)
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError) as error:
        raise _unavailable(name, revision, error) from error
    except Exception as error:  # the download libraries below the client share no error class
        message = (
            f"the download of model {name!r} was interrupted ({short_error(error)}). Rerun the same command to resume"
        )
        raise CtaiError(disk_error_message(error) or message) from error


def cache_folder() -> Path:
    """Return the download folder of the hub client."""
    return Path(constants.HF_HUB_CACHE)


def _snapshot(name: str, revision: str | None, *, local_files_only: bool = False) -> Path:
    # The patterns also decide completeness: a repository holds files that loading does not need.
    return Path(
        snapshot_download(
            name,
            revision=revision,
            allow_patterns=ALLOW_PATTERNS,
            ignore_patterns=_IGNORE_PATTERNS,
            local_files_only=local_files_only,
        )
    )


def _is_model_file(file: str) -> bool:
    """Match a file name against the patterns with the rules of the hub client."""
    return any(fnmatch(file, p) for p in ALLOW_PATTERNS) and not any(fnmatch(file, p) for p in _IGNORE_PATTERNS)


def _is_complete(folder: Path) -> bool:
    """Return whether all weight files exist; an interrupted download leaves some, with or without their index."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        content = json.loads(index.read_text("utf-8"))
        weight_map = content.get("weight_map") if isinstance(content, dict) else None
        return isinstance(weight_map, dict) and all((folder / str(file)).is_file() for file in weight_map.values())
    names = [path.name for path in folder.glob("*.safetensors")]
    return bool(names) and not any("-of-" in name for name in names)


def _unavailable(name: str, revision: str | None, error: Exception) -> CtaiError:
    at = f" at revision {revision!r}" if revision else ""
    if constants.HF_HUB_OFFLINE:
        return CtaiError(
            f"model {name!r}{at} is neither a local folder nor in the hub cache {constants.HF_HUB_CACHE}, and "
            "HF_HUB_OFFLINE forbids downloads. Unset HF_HUB_OFFLINE, or set HF_HOME to the cache that holds it"
        )
    return CtaiError(
        f"model {name!r}{at} is not a local folder, and cannot be fetched from the hub ({short_error(error)})"
    )
