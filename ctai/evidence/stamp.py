"""Outside time stamp of the preregistration, made before gate instruments measures anything.

Owns the command of the user that makes the stamp, the stamp's record, and what a stamped preregistration forbids. Does not
judge the stamp itself: that takes the tool and the certificates of the authority that made it (docs/verify.md).
"""

import os
import re
import shlex
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ctai.errors import CtaiError, PreconditionError
from ctai.evidence.preregistration import describe_changes
from ctai.records import Preregistration, PreregistrationStamp, Verdict
from ctai.registry import GATES
from ctai.rundir import RunDir, disk_errors, read_record, sha256_bytes, sha256_file, write_bytes, write_json

COMMAND_VARIABLE = "CTAI_STAMP_COMMAND"
DEFAULT_SUFFIX = "tsr"
LIMIT_SECONDS = 120.0
MAX_ANSWER_BYTES = 1 << 20
_SUFFIX = r"[A-Za-z0-9]+(\.[A-Za-z0-9]+){0,2}"
_NOTE = "the preregistration was stamped before the run"


class StampCommand(NamedTuple):
    """Command that makes a stamp.

    Attributes:
        text: command line, split as a shell would, but run without one. `{file}` stands for the preregistration,
            `{sha256}` for its SHA-256 in hex, `{answer}` for the file to write; without it, standard output is the answer.
        suffix: suffix of the file of the answer.
        limit_seconds: time after which the command is stopped.
    """

    text: str
    suffix: str = DEFAULT_SUFFIX
    limit_seconds: float = LIMIT_SECONDS


def stamp_command(text: str | None, suffix: str = DEFAULT_SUFFIX) -> StampCommand | None:
    """Return the command of the user, from the option or the environment variable; None without one.

    Raises:
        CtaiError: the suffix is not one to three words of a file name.
    """
    text = text or os.environ.get(COMMAND_VARIABLE, "").strip()
    if not re.fullmatch(_SUFFIX, suffix) or suffix == "json":
        raise CtaiError(
            f"--stamp-suffix {suffix!r}: letters and digits only, such as tsr; json is the preregistration's"
        )
    return StampCommand(text, suffix) if text else None


# ------------------------------------------------------------------------------------------------------ preregistration


def write_preregistration(rundir: RunDir, preregistration: Preregistration) -> None:
    """Write the preregistration; one that was stamped stays as it is.

    Raises:
        PreconditionError: it was stamped, and this one differs.
    """
    stamp = read_stamp(rundir)
    if stamp is None:
        write_json(rundir.preregistration, preregistration)
        return
    name = rundir.relative(rundir.preregistration)
    if sha256_file(rundir.preregistration) != stamp.sha256:
        raise PreconditionError(f"{name} was changed after it was stamped; restore it, or use another --run-dir")
    require_same(rundir, preregistration, f"{name} was stamped for another run")


def require_same(rundir: RunDir, preregistration: Preregistration, problem: str) -> None:
    """Check that the preregistration on disk is this one.

    Raises:
        PreconditionError: it differs; begins with `problem` and names the differences.
    """
    before = read_record(rundir.preregistration, Preregistration)
    if before != preregistration:
        changes = describe_changes(before, preregistration)
        raise PreconditionError(f"{problem}: {changes}. Use the same options, or another --run-dir")


# --------------------------------------------------------------------------------------------------------------- stamp


def read_stamp(rundir: RunDir) -> PreregistrationStamp | None:
    """Return the record of the stamp; None without one.

    Raises:
        CtaiError: the record is not readable.
    """
    path = rundir.preregistration_stamp
    return read_record(path, PreregistrationStamp) if path.is_file() else None


def stamp_preregistration(rundir: RunDir, command: StampCommand) -> PreregistrationStamp:
    """Run a command on the preregistration, and file its answer and the record of both.

    Raises:
        CtaiError: the command cannot be run, fails, takes too long, or gives no answer or more than 1 MiB.
    """
    digest = sha256_file(rundir.preregistration)
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / f"answer.{command.suffix}"
        values = {"{file}": str(rundir.preregistration), "{sha256}": digest, "{answer}": str(answer)}
        output = _run(_arguments(command.text, values), command.limit_seconds)
        if "{answer}" in command.text:
            with disk_errors("the stamp command wrote no answer"):
                output = answer.open("rb").read(MAX_ANSWER_BYTES + 1)
    if not output or len(output) > MAX_ANSWER_BYTES:
        problem = "is empty" if not output else f"has more than {MAX_ANSWER_BYTES} bytes"
        raise CtaiError(f"the answer of the stamp command {problem}; run it by hand to see why")
    path = rundir.preregistration.with_suffix(f".{command.suffix}")
    stamp = PreregistrationStamp(
        preregistration=rundir.relative(rundir.preregistration),
        sha256=digest,
        answer=rundir.relative(path),
        answer_sha256=sha256_bytes(output),
    )
    write_bytes(path, output)
    write_json(rundir.preregistration_stamp, stamp)
    return stamp


def _arguments(text: str, values: Mapping[str, str]) -> list[str]:
    """Split a command line and fill in its placeholders."""
    if "{file}" not in text and "{sha256}" not in text:
        raise CtaiError("the stamp command names neither {file} nor {sha256}, so it cannot stamp the preregistration")
    try:
        arguments = shlex.split(text)
    except ValueError as error:
        raise CtaiError(f"the stamp command is not a command line: {error}") from error
    for placeholder, value in values.items():
        arguments = [argument.replace(placeholder, value) for argument in arguments]
    return arguments


def _run(arguments: list[str], limit_seconds: float) -> bytes:
    """Run a command without a shell; return its standard output, at most one byte more than is allowed."""
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise CtaiError(f"the stamp command cannot be run: {error}") from error
    expired = threading.Event()

    def stop() -> None:
        expired.set()
        _kill(process)

    timer = threading.Timer(limit_seconds, stop)
    tail: deque[bytes] = deque(maxlen=2000)
    assert process.stdout is not None
    reader = threading.Thread(target=_keep_tail, args=(process, tail), daemon=True)
    timer.start()
    reader.start()
    try:
        output = process.stdout.read(MAX_ANSWER_BYTES + 1)
        if len(output) > MAX_ANSWER_BYTES:
            _kill(process)
        status = process.wait()
    finally:
        timer.cancel()
        reader.join(timeout=1)  # a process that the command left behind may hold it open
        process.stdout.close()
    if expired.is_set():
        raise CtaiError(f"the stamp command took longer than {limit_seconds:g} s")
    if status != 0 and len(output) <= MAX_ANSWER_BYTES:
        lines = b"".join(tail).decode(errors="replace").strip().splitlines() or [""]
        raise CtaiError(f"the stamp command ended with status {status}: {lines[-1]}".rstrip(": "))
    return output


def _keep_tail(process: "subprocess.Popen[bytes]", tail: "deque[bytes]") -> None:
    """Read standard error to its end, so that the command never waits for it, and keep the last bytes."""
    assert process.stderr is not None
    with process.stderr as stream:
        while chunk := os.read(stream.fileno(), 4096):
            tail.extend(bytes([byte]) for byte in chunk)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill the command with everything it started; until it is waited for, its group keeps its number."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


# ------------------------------------------------------------------------------------------------ verdicts, verification


def stamp_notes(rundir: RunDir) -> tuple[str, ...]:
    """Return the note of a verdict on the stamp; empty without a stamp."""
    stamp = read_stamp(rundir)
    return (f"{_NOTE}: {stamp.answer}, SHA-256 {stamp.answer_sha256}",) if stamp is not None else ()


def stamp_differences(rundir: RunDir, verdicts: Mapping[str, Verdict]) -> Iterator[str]:
    """Yield where stamp, preregistration and verdicts differ.

    A verdict of gate instruments or a later one that does not name the stamp was decided before it was made.

    Raises:
        CtaiError: the record of the stamp, or a file that it names, is not readable.
    """
    record = rundir.relative(rundir.preregistration_stamp)
    stamp = read_stamp(rundir)
    if stamp is None:
        claims = [gate for gate, verdict in verdicts.items() if any(note.startswith(_NOTE) for note in verdict.notes)]
        yield from (f"{record}: missing, but the verdict of gate {gate} says that there is a stamp" for gate in claims)
        return
    answer = rundir.path(stamp.answer)
    stem = rundir.relative(rundir.preregistration.with_suffix(""))
    if not re.fullmatch(rf"{re.escape(stem)}\.{_SUFFIX}", stamp.answer) or answer.is_symlink():
        yield f"{record}: names {stamp.answer}, which is no stamp of the preregistration"
        return
    with disk_errors(f"{record}: cannot compare the stamped files"):
        if sha256_file(rundir.preregistration) != stamp.sha256:
            yield f"{stamp.preregistration}: changed since it was stamped"
        if sha256_file(answer) != stamp.answer_sha256:
            yield f"{stamp.answer}: is not the stamp that was recorded"
    for gate in GATES[1:]:
        verdict = verdicts.get(gate.name)
        if verdict is not None and not set(stamp_notes(rundir)) <= set(verdict.notes):
            yield f"{stamp.answer}: the verdict of gate {gate.name} does not name it, so it was made afterwards"
