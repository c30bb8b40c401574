"""The hub: what it has of a model, what of that its cache on this disk holds, and the download.

Owns everything that is asked of the hub, and the sentences for what goes wrong. Which files are a model is `sources`.
"""

import contextlib
import json
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import HfApi, constants, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from ctai.errors import CtaiError, disk_error_message, short_error

# What a model needs to be loaded, and what of that is there twice, in other forms.
WANTED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "tokenizer*"]
_NOT_WANTED = ["original/*", "*/*", "consolidated*"]
_SECONDS = 10


class Sizes(NamedTuple):
    """Bytes of a model's files on the hub, and of those among them that are not in the cache yet."""

    whole: int
    missing: int


def look_up(name: str, revision: str | None) -> Sizes:
    """How large a model is. Downloads nothing.

    Raises:
        CtaiError: the hub does not have it, or cannot be reached.
    """
    try:
        info = HfApi().model_info(name, revision=revision, timeout=_SECONDS, files_metadata=True)
    except Exception as error:  # of whichever HTTP library the hub's client is built on
        raise _not_there(name, revision, error) from error
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or [] if _is_wanted(file.rfilename)}
    cached = {file for file in sizes if isinstance(try_to_load_from_cache(name, file, revision=info.sha), str)}
    return Sizes(sum(sizes.values()), sum(size for file, size in sizes.items() if file not in cached))


def cached(name: str, revision: str | None) -> Path | None:
    """The folder of the cache that has the whole model; None if there is none. Asks nobody."""
    with contextlib.suppress(HfHubHTTPError, OSError, ValueError):
        folder = _snapshot(name, revision, local_files_only=True)
        return folder if _is_whole(folder) else None
    return None


def download(name: str, revision: str | None) -> Path:
    """The folder of the cache that has the model, after what it lacks was downloaded.

    Raises:
        CtaiError: the hub does not have it or cannot be reached, the connection broke, or the disk does not take it.
    """
    try:
        return _snapshot(name, revision)
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError) as error:
        raise _not_there(name, revision, error) from error
    except Exception as error:  # of the libraries that the hub's client downloads with: they share no class of errors
        broken = (
            f"the download of model {name!r} broke off ({short_error(error)}); run the same command again, it resumes"
        )
        raise CtaiError(disk_error_message(error) or broken) from error


def cache_folder() -> Path:
    """Where downloads go."""
    return Path(constants.HF_HUB_CACHE)


def _snapshot(name: str, revision: str | None, *, local_files_only: bool = False) -> Path:
    # the patterns belong to the question whether all of it is there, too: the hub has files that nobody asks for
    return Path(
        snapshot_download(
            name,
            revision=revision,
            allow_patterns=WANTED,
            ignore_patterns=_NOT_WANTED,
            local_files_only=local_files_only,
        )
    )


def _is_wanted(file: str) -> bool:
    """The hub's own reading of the patterns."""
    return any(fnmatch(file, p) for p in WANTED) and not any(fnmatch(file, p) for p in _NOT_WANTED)


def _is_whole(folder: Path) -> bool:
    """Whether all weights are there: an interrupted download leaves a folder with some, before or after their index."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        listed = json.loads(index.read_text("utf-8"))
        parts = listed.get("weight_map") if isinstance(listed, dict) else None
        return isinstance(parts, dict) and all((folder / str(part)).is_file() for part in parts.values())
    names = [path.name for path in folder.glob("*.safetensors")]
    return bool(names) and not any("-of-" in name for name in names)


def _not_there(name: str, revision: str | None, error: Exception) -> CtaiError:
    at = f" at revision {revision!r}" if revision else ""
    if constants.HF_HUB_OFFLINE:
        return CtaiError(
            f"model {name!r}{at} is no local folder and not in the hub's cache {constants.HF_HUB_CACHE}, and "
            "HF_HUB_OFFLINE forbids to download it: unset HF_HUB_OFFLINE, or set HF_HOME to where it is"
        )
    return CtaiError(f"model {name!r}{at} is no local folder, and the hub does not give it ({short_error(error)})")
