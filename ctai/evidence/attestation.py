"""The evidence as in-toto statements: one for each verdict, and one for the run that names every file with its SHA-256.

Owns `evidence/attestations.intoto.jsonl`. Each line is a Statement v1 in canonical JSON, or, where a key signed it, a
DSSE envelope (v1) around the same bytes. The statements follow from the run directory alone, so that checking them is
making them again (https://github.com/in-toto/attestation).
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ctai.errors import CtaiError
from ctai.evidence.dsse import Envelope, private_key, public_key, read_line, sign
from ctai.evidence.verdicts import read_verdict, verdict_path
from ctai.records import Verdict
from ctai.registry import GATES
from ctai.rundir import RunDir, canonical_json, disk_errors, jsonable, sha256_bytes, sha256_file, write_bytes

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
VERDICT_TYPE = "urn:ctai:gate-verdict:v1"
RUN_TYPE = "urn:ctai:run:v1"
BUNDLE = "evidence/attestations.intoto.jsonl"
# What is no evidence: times and host names; what was made from the evidence, or is an opinion on it; what was replaced.
UNCOVERED = ("logs", "report", "reviews", "superseded")


# ------------------------------------------------------------------------------------------------------- statements


def covered_files(rundir: RunDir) -> dict[str, str]:
    """SHA-256 of every file of the run directory that is evidence, by name; the bundle itself cannot be among them.

    A link is not followed: it has the digest of where it points to, which no file of a run has.
    """
    paths = sorted(path for path in rundir.root.rglob("*") if path.is_symlink() or not path.is_dir())
    names = {rundir.relative(path): path for path in paths}
    return {
        name: sha256_bytes(str(path.readlink()).encode()) if path.is_symlink() else sha256_file(path)
        for name, path in names.items()
        if name != BUNDLE and name.split("/")[0] not in UNCOVERED
    }


def uncovered_files(rundir: RunDir) -> list[str]:
    """The files that no evidence speaks of, by name."""
    found = (path for folder in UNCOVERED for path in rundir.path(folder).rglob("*") if path.is_file())
    return sorted(map(rundir.relative, found))


def statements(rundir: RunDir) -> list[bytes]:
    """The statements that the run directory as it is makes: the verdicts in the order of the gates, then the run.

    Raises:
        CtaiError: a verdict cannot be read.
    """
    verdicts = {gate: verdict for gate in GATES if (verdict := read_verdict(rundir, gate))}
    lines = [_statement(verdict.artifacts, VERDICT_TYPE, verdict) for verdict in verdicts.values()]
    outcomes = {gate.name: verdict.outcome for gate, verdict in verdicts.items()}
    files = covered_files(rundir)
    digests = {gate.name: files[verdict_path(rundir, gate)] for gate in verdicts}
    predicate = {"outcomes": outcomes, "verdicts": digests, "uncovered": list(UNCOVERED)}
    return [*lines, _statement(files, RUN_TYPE, predicate)]


def _statement(subjects: Mapping[str, str], kind: str, predicate: Verdict | dict[str, Any]) -> bytes:
    named = [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subjects.items())]
    value = {"_type": STATEMENT_TYPE, "subject": named, "predicateType": kind, "predicate": jsonable(predicate)}
    return canonical_json(_finite(value))


def _finite(value: Any) -> Any:
    """JSON has no nan and no infinity: they become strings."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def write_attestations(rundir: RunDir, key: Path | None = None) -> Path:
    """Write the bundle, signed with an ed25519 key (PEM) if there is one.

    A bundle that says all this already, signed or not, is left as it is when there is no key.

    Raises:
        CtaiError: the key is not usable, or a verdict cannot be read.
    """
    made, path = statements(rundir), rundir.path(BUNDLE)
    if key is not None:
        signer = private_key(key)
        made = [sign(statement, signer) for statement in made]
    elif path.exists() and [line.statement for line in _lines_or_none(rundir)] == made:
        return path
    write_bytes(path, b"".join(line + b"\n" for line in made))
    return path


# -------------------------------------------------------------------------------------------------------- comparison


def attestation_differences(rundir: RunDir) -> Iterator[str]:
    """Where the bundle and the run directory disagree: files first, since a changed file changes statements too."""
    if not rundir.path(BUNDLE).is_file():
        yield f"{BUNDLE}: missing; `ctai attest` writes it"
        return
    lines = read_bundle(rundir)
    differing = list(_file_differences(rundir, lines[-1].statement if lines else b""))
    yield from differing
    try:
        made = statements(rundir)
    except CtaiError:  # a verdict that cannot be read is a difference in itself
        return
    if len(lines) != len(made):
        yield f"{BUNDLE}: holds {len(lines)} statements, the run directory makes {len(made)}"
    # statements name files: where files differ, so do they
    for number, (line, statement) in enumerate(zip(lines, made, strict=False), start=1):
        if line.statement != statement and not differing:
            yield f"{BUNDLE} line {number}: is not the statement that the run directory makes"


def _file_differences(rundir: RunDir, statement: bytes) -> Iterator[str]:
    try:
        subjects = json.loads(statement)["subject"]
        stated = {subject["name"]: subject["digest"]["sha256"] for subject in subjects}
    except (ValueError, KeyError, TypeError):
        yield f"{BUNDLE}: its last line is no statement about files"
        return
    found = covered_files(rundir)
    for name in sorted(stated.keys() | found.keys()):
        if name not in found:
            yield f"{name}: missing; it was there when the evidence was stated"
        elif name not in stated:
            yield f"{name}: not covered by the evidence; it was not there when the evidence was stated"
        elif found[name] != stated[name]:
            yield f"{name}: changed since the evidence was stated"


def read_bundle(rundir: RunDir) -> list[Envelope]:
    """The lines of the bundle.

    Raises:
        CtaiError: it cannot be read, or a line is neither a statement nor an envelope, byte for byte as ctai writes them.
    """
    with disk_errors(f"cannot read {rundir.path(BUNDLE)}"):
        data = rundir.path(BUNDLE).read_bytes()
    if not data.endswith(b"\n"):
        raise CtaiError(f"{BUNDLE}: its last line is not complete")
    lines = []
    for number, line in enumerate(data[:-1].split(b"\n"), start=1):
        try:
            lines.append(read_line(line))
        except ValueError as error:
            raise CtaiError(f"{BUNDLE} line {number} is neither a statement nor an envelope: {error}") from error
    return lines


def _lines_or_none(rundir: RunDir) -> list[Envelope]:
    try:
        return read_bundle(rundir)
    except CtaiError:
        return []


# ---------------------------------------------------------------------------------------------------------- signatures


def signature_differences(rundir: RunDir, key: Path) -> Iterator[str]:
    """The lines of the bundle that the key did not sign.

    Raises:
        CtaiError: the key is not usable.
    """
    public = public_key(key)
    for number, line in enumerate(read_bundle(rundir), start=1):
        if not line.signed_by(public):
            what = "no signature by this key" if line.signatures else "not signed"
            yield f"{BUNDLE} line {number}: {what}"


def is_signed(rundir: RunDir) -> bool:
    """Whether the bundle carries signatures, by whomever."""
    return any(line.signatures for line in _lines_or_none(rundir)) if rundir.path(BUNDLE).is_file() else False
