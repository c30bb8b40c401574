"""Stand-in for the programs in the documentation: runs cheap commands and only checks the arguments of expensive ones.

A test puts it on the PATH under the names of these programs. It exits with 0 if the command would work; `READ_ONLY` lists
the commands that it does not run, with the reason.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

# Environment variable with the folder of finished collections, for the whole test session.
COLLECTED = "CTAI_DOCS_COLLECTED"
# Command -> why it is not run, and what is done instead.
READ_ONLY = {
    "pip install": "needs the network; the extras and the constraints file it names must exist",
    "python -m venv": "would need pip next; the folder is made, with stand-ins in it",
    "python -m scripts": "takes minutes to hours; the module must show help that names each of the options",
    "pytest -m gates": "takes minutes; its options are read, the configuration is resolved and its tests are collected",
    "pytest": "would run these tests again; the tests it selects are collected",
    "ctai preflight --gpu": "there may be no GPU here; the only refusals are of device, memory, model, disks and cache",
}


def how(words: list[str]) -> str:
    """Return the key of `READ_ONLY` that a command belongs to; empty if it is run."""
    program, arguments = Path(words[0]).name, words[1:]
    if program == "pip":
        return "pip install"
    if program in ("python", "python3"):
        return "python -m venv" if arguments[:2] == ["-m", "venv"] else "python -m scripts"
    if program == "pytest":
        return "pytest -m gates" if arguments[:2] == ["-m", "gates"] else "pytest"
    return "ctai preflight --gpu" if program == "ctai" and "--gpu" in arguments else ""


def main(words: list[str]) -> int:
    """Run or check one command and return its exit status."""
    program, arguments = Path(words[0]).name, words[1:]
    readers = {
        "pip install": _pip,
        "python -m venv": _venv,
        "python -m scripts": _script,
        "pytest -m gates": _gates,
        "pytest": _collect,
        "ctai preflight --gpu": _preflight,
    }
    reader = readers.get(how(words))
    if reader is not None:
        return reader(arguments)
    assert program == "ctai", f"{program} has no stand-in"
    from ctai.cli import main as ctai

    return ctai(arguments)


def _pip(arguments: list[str]) -> int:
    assert arguments[0] == "install"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for word in arguments[1:]:
        if "[" in word:
            name, _, extra = word.partition("]")[0].partition("[")
            assert name in (".", project["name"]), word
            assert extra in project["optional-dependencies"], word
    if "-c" in arguments:
        assert (ROOT / arguments[arguments.index("-c") + 1]).is_file()
    return 0


def _venv(arguments: list[str]) -> int:
    folder = Path(arguments[2]) / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("pip", "pytest", "python", "ctai"):
        write(folder / name)
    return 0


def _script(arguments: list[str]) -> int:
    assert arguments[0] == "-m"
    assert arguments[1].split(".")[0] in ("scripts", "benchmarks"), arguments
    options = [word for word in arguments[2:] if word.startswith("--")]
    subcommand = [word for word in arguments[2:3] if not word.startswith("-")]
    command = [sys.executable, "-m", arguments[1], *subcommand, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(not all(option in done.stdout for option in options))


def _gates(arguments: list[str]) -> int:
    from ctai.pipeline.options import add_options, resolve_options

    parser = argparse.ArgumentParser()
    add_options(parser.add_argument)
    for option in ("-m", "-k", "--run-dir", "--workers", "--only-shards"):
        parser.add_argument(option)
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args(arguments)
    resolve_options(options)
    return _collect(["-m", options.m, *(["-k", options.k] if options.k else [])])


def _collect(arguments: list[str]) -> int:
    """Collect the tests that the arguments select, once per test session."""
    marker = Path(os.environ[COLLECTED]) / hashlib.sha256("\0".join(arguments).encode()).hexdigest()
    if marker.exists():
        return 0
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q", *arguments]
    code = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode
    if code == 0:
        marker.touch()
    return code


def _preflight(arguments: list[str]) -> int:
    from ctai.pipeline.options import add_options, resolve_options
    from ctai.pipeline.preflight.checks import preflight

    parser = argparse.ArgumentParser()
    add_options(parser.add_argument)
    parser.add_argument("--run-dir")
    assert arguments.pop(0) == "preflight"
    options = parser.parse_args(arguments)
    refused = {check.name for check in preflight(resolve_options(options).config, Path.cwd()) if not check.ok}
    return int(not refused <= {"device", "model", "disk", "caches", "durable", "memory"})


def write(path: Path) -> None:
    """Write an executable stand-in."""
    path.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "{path.name}" "$@"\n', encoding="utf-8"
    )
    path.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
