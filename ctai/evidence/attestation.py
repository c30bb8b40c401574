"""In-toto attestations of a run: statements on verdicts, tests and provenance, and one on the SHA-256 of every file.

Owns `evidence/attestations.intoto.jsonl`. Each line is a Statement v1 in canonical JSON or, where a key signed it, a
DSSE envelope (v1) around the same bytes. The statements follow from the run directory alone, so a check makes them
again and compares (https://github.com/in-toto/attestation). Does not sign (`ctai.evidence.dsse`).
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ctai.errors import CtaiError
from ctai.evidence.dsse import BundleLine, load_public_key, load_signer, parse_line, sign
from ctai.evidence.sessions import UNCOVERED
from ctai.evidence.statements import RunFiles, Statement, gate_test_result, provenance_statements
from ctai.evidence.verdicts import read_verdict, verdict_path
from ctai.records import Verdict
from ctai.registry import GATES, GateSpec
from ctai.rundir import RunDir, canonical_json, disk_errors, jsonable, sha256_bytes, sha256_file, write_bytes

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
VERDICT_TYPE = "urn:ctai:gate-verdict:v2"
RUN_TYPE = "urn:ctai:run:v1"
BUNDLE = "evidence/attestations.intoto.jsonl"


# ------------------------------------------------------------------------------------------------------- statements


def covered_files(rundir: RunDir) -> dict[str, str]:
    """Return the SHA-256 of every evidence file of the run directory, by name; the bundle itself is not among them.

    A link is not followed: its digest is that of its target's path, which no file of a run has.
    """
    paths = sorted(path for path in rundir.root.rglob("*") if path.is_symlink() or not path.is_dir())
    names = {rundir.relative(path): path for path in paths}
    return {
        name: sha256_bytes(str(path.readlink()).encode()) if path.is_symlink() else sha256_file(path)
        for name, path in names.items()
        if name != BUNDLE and name.split("/")[0] not in UNCOVERED
    }


def uncovered_files(rundir: RunDir) -> list[str]:
    """Return the names of the files that no evidence covers."""
    files = (path for folder in UNCOVERED for path in rundir.path(folder).rglob("*") if path.is_file())
    return sorted(map(rundir.relative, files))


def read_verdicts(rundir: RunDir) -> dict[GateSpec, Verdict]:
    """Read the verdicts of a run directory, in the order of the gates.

    Raises:
        CtaiError: a verdict cannot be read.
    """
    return {gate: verdict for gate in GATES if (verdict := read_verdict(rundir, gate))}


def statements(rundir: RunDir, verdicts: Mapping[GateSpec, Verdict]) -> list[Statement]:
    """Make the statements of a run directory: verdicts and Test Results in the order of the gates, provenance, the run.

    Raises:
        CtaiError: a manifest cannot be read.
    """
    files = RunFiles(rundir, covered_files(rundir))
    digests = {gate.name: files.digests[verdict_path(rundir, gate)] for gate in verdicts}
    outcomes = {gate.name: verdict.outcome for gate, verdict in verdicts.items()}
    predicate = {"outcomes": outcomes, "verdicts": digests, "uncovered": list(UNCOVERED)}
    return [
        *(
            Statement(f"verdict of gate {gate.name}", verdict.artifacts, VERDICT_TYPE, jsonable(verdict))
            for gate, verdict in verdicts.items()
        ),
        *(gate_test_result(files, gate, verdict) for gate, verdict in verdicts.items()),
        *provenance_statements(files, {gate.name: verdict for gate, verdict in verdicts.items()}),
        Statement("run", files.digests, RUN_TYPE, predicate),
    ]


def encode_statement(statement: Statement) -> bytes:
    """Encode a statement as an in-toto Statement v1 in canonical JSON."""
    subject = [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(statement.subjects.items())]
    kind, predicate = statement.predicate_type, jsonable(statement.predicate)
    value = {"_type": STATEMENT_TYPE, "subject": subject, "predicateType": kind, "predicate": predicate}
    return canonical_json(_finite(value))


def _finite(value: Any) -> Any:
    """Replace nan and infinity by strings, since JSON has neither."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def write_attestations(rundir: RunDir, key: Path | None = None) -> Path:
    """Write the bundle, signed with an ed25519 key (PEM) if there is one.

    Without a key, a bundle that already holds these statements, signed or not, is left as it is.

    Raises:
        CtaiError: the key is not usable, or a verdict or a manifest cannot be read.
    """
    path = rundir.path(BUNDLE)
    lines = [encode_statement(statement) for statement in statements(rundir, read_verdicts(rundir))]
    if key is not None:
        signer = load_signer(key)
        lines = [sign(statement, signer) for statement in lines]
    elif path.exists() and [line.statement for line in _lines_or_empty(rundir)] == lines:
        return path
    write_bytes(path, b"".join(line + b"\n" for line in lines))
    return path


# -------------------------------------------------------------------------------------------------------- comparison


def attestation_differences(rundir: RunDir) -> Iterator[str]:
    """Yield where the bundle and the run directory differ: files first, since a changed file changes statements too."""
    if not rundir.path(BUNDLE).is_file():
        yield f"{BUNDLE}: missing; `ctai attest` writes it"
        return
    lines = read_bundle(rundir)
    differing = list(_file_differences(rundir, lines[-1].statement if lines else b""))
    yield from differing
    try:
        verdicts = read_verdicts(rundir)
    except CtaiError:  # a verdict that cannot be read is a difference in itself
        return
    try:
        expected = statements(rundir, verdicts)
    except CtaiError as error:
        yield f"{BUNDLE}: cannot be compared: {error}"
        return
    if len(lines) != len(expected):
        yield f"{BUNDLE}: has {len(lines)} statements, but {len(expected)} follow from the run directory"
    # statements name files: where files differ, so do they
    for number, (line, statement) in enumerate(zip(lines, expected, strict=False), start=1):
        if line.statement != encode_statement(statement) and not differing:
            yield f"{BUNDLE} line {number} ({statement.title}): does not match what follows from the run directory"


def _file_differences(rundir: RunDir, statement: bytes) -> Iterator[str]:
    try:
        subjects = json.loads(statement)["subject"]
        stated = {subject["name"]: subject["digest"]["sha256"] for subject in subjects}
    except (ValueError, KeyError, TypeError):
        yield f"{BUNDLE}: its last line is no statement about files"
        return
    files = covered_files(rundir)
    for name in sorted(stated.keys() | files.keys()):
        if name not in files:
            yield f"{name}: missing, but the attestations list it"
        elif name not in stated:
            yield f"{name}: not covered by the attestations"
        elif files[name] != stated[name]:
            yield f"{name}: changed since the attestations were written"


def read_bundle(rundir: RunDir) -> list[BundleLine]:
    """Read the lines of the bundle.

    Raises:
        CtaiError: the file cannot be read, or a line is neither a statement nor an envelope in canonical form.
    """
    with disk_errors(f"cannot read {rundir.path(BUNDLE)}"):
        data = rundir.path(BUNDLE).read_bytes()
    if not data.endswith(b"\n"):
        raise CtaiError(f"{BUNDLE}: its last line is not complete")
    lines = []
    for number, line in enumerate(data[:-1].split(b"\n"), start=1):
        try:
            lines.append(parse_line(line))
        except ValueError as error:
            raise CtaiError(f"{BUNDLE} line {number} is neither a statement nor an envelope: {error}") from error
    return lines


def _lines_or_empty(rundir: RunDir) -> list[BundleLine]:
    try:
        return read_bundle(rundir)
    except CtaiError:
        return []


# ---------------------------------------------------------------------------------------------------------- signatures


def signature_differences(rundir: RunDir, key: Path) -> Iterator[str]:
    """Yield the lines of the bundle that the key did not sign.

    Raises:
        CtaiError: the key is not usable.
    """
    public = load_public_key(key)
    for number, line in enumerate(read_bundle(rundir), start=1):
        if not line.is_signed_by(public):
            problem = "no signature by this key" if line.signatures else "not signed"
            yield f"{BUNDLE} line {number}: {problem}"


def is_signed(rundir: RunDir) -> bool:
    """Return whether the bundle carries a signature by any key."""
    return rundir.path(BUNDLE).is_file() and any(line.signatures for line in _lines_or_empty(rundir))
