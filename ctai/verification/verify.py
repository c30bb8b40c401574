"""Verification of the evidence of a run directory: completeness, consistency, and recomputation of its numbers.

Checks, in this order: files against the attestations; the chain of verdicts with their artifacts and outcomes; stages
against their manifests; the JUnit report against the verdicts; and every record and metric against raw records. Loads no
model, so it cannot show that a model wrote the texts.
"""

from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ctai.errors import CtaiError
from ctai.evidence.attestation import (
    attestation_differences,
    is_signed,
    signature_differences,
    uncovered_files,
    write_attestations,
)
from ctai.evidence.dsse import load_signer
from ctai.evidence.junit import junit_differences, read_cases
from ctai.evidence.model_signature import (
    check_private_key,
    check_public_key,
    model_key_differences,
    model_signature_differences,
    sign_adapters,
)
from ctai.evidence.preregistration import preregister, relaxed_thresholds
from ctai.evidence.sessions import UNCOVERED, makers_of, missing_logs, session_differences, stage_manifests
from ctai.evidence.stamp import read_stamp, stamp_differences
from ctai.evidence.verdicts import key_of, read_verdict, verdict_path
from ctai.provenance import code_digest
from ctai.records import Preregistration, Verdict
from ctai.registry import GATES, GateSpec
from ctai.rundir import RunDir, digest_of, read_record
from ctai.rundir.diff import differences
from ctai.verification.metrics import metric_differences, record_differences
from ctai.verification.records import RunRecords
from ctai.verification.stages import artifact_differences, input_differences, stage_differences

# Differences shown of the records of one gate; a changed seed makes thousands.
_MAX_RECORD_DIFFERENCES = 20


class Verdicts(NamedTuple):
    """Verdicts of a run directory, by gate.

    Attributes:
        readable: verdicts that can be read.
        unreadable: error messages of the others.
    """

    readable: dict[str, Verdict]
    unreadable: dict[str, str]


def verify(folder: Path, public_key: Path | None = None) -> list[str]:
    """Return every difference between the evidence and the files of a run directory; empty if there is none.

    Args:
        folder: the run directory.
        public_key: PEM file of the key that must have signed the attestations; None skips signatures.

    Raises:
        CtaiError: the folder holds no verdicts at all, or the key is not usable.
    """
    return list(find_differences(folder, public_key))


def find_differences(
    folder: Path, public_key: Path | None = None, model_public_key: Path | None = None
) -> Iterator[str]:
    """Yield the differences of `verify` as they are found.

    Args:
        folder: the run directory.
        public_key: as in `verify`.
        model_public_key: PEM file of the elliptic-curve key that must have signed the adapters; None skips that.

    Raises:
        CtaiError: the folder holds no verdicts at all, or a key is not usable.
    """
    rundir = RunDir(folder.absolute())
    verdicts = read_verdicts(rundir)
    if model_public_key is not None:
        check_public_key(model_public_key)
        yield from _guarded("model signature", partial(model_key_differences, rundir, model_public_key))
    if public_key is not None:
        yield from _guarded("signatures", partial(signature_differences, rundir, public_key))
    yield from _guarded("attestations", partial(attestation_differences, rundir))
    yield from _guarded("model signature", partial(model_signature_differences, rundir))
    yield from evidence_differences(rundir, verdicts)


def attest(folder: Path, key: Path | None = None, model_key: Path | None = None) -> list[Path]:
    """Verify the evidence of a run directory and write its attestations, signed if there is a key.

    Args:
        folder: the run directory.
        key: PEM file of an ed25519 private key for the attestations; None leaves them unsigned.
        model_key: PEM file of an elliptic-curve private key for a model signature of each adapter; None writes none.

    Returns:
        Paths of the attestations and of the model signatures that were written.

    Raises:
        CtaiError: the evidence differs from the run directory, a key is not usable, or there is no adapter to sign.
    """
    rundir = RunDir(folder.absolute())
    if key is not None:
        load_signer(key)  # an unusable key fails before the work starts
    if model_key is not None:
        check_private_key(model_key)
    first = next(evidence_differences(rundir, read_verdicts(rundir)), None)
    if first is not None:
        raise CtaiError(f"{folder} was not attested, because its evidence does not verify: {first}")
    signatures = sign_adapters(rundir, model_key) if model_key is not None else []
    return [write_attestations(rundir, key), *signatures]  # which cover the signatures


def evidence_differences(rundir: RunDir, verdicts: Verdicts) -> Iterator[str]:
    """Yield all differences except those of the attestations."""
    yield from verdicts.unreadable.values()
    yield from _chain_differences(rundir, verdicts)
    yield from _guarded("preregistration", partial(_preregistration_differences, rundir, verdicts))
    yield from _guarded("stamp", partial(stamp_differences, rundir, verdicts.readable))
    yield from _guarded("sessions", partial(session_differences, rundir))
    for manifest in stage_manifests(rundir):
        yield from _guarded("stage", partial(stage_differences, rundir, manifest))
    yield from _guarded("JUnit report", partial(_report_differences, rundir, verdicts))
    records = RunRecords(rundir, verdicts.readable)
    for gate in GATES:
        if gate.name in verdicts.readable:
            yield from _guarded(gate.name, partial(input_differences, records, gate.name))
            yield from _guarded(
                gate.name, partial(_recomputed_differences, records, gate, verdicts.readable[gate.name])
            )


def read_verdicts(rundir: RunDir) -> Verdicts:
    """Read the verdicts of a run directory.

    Raises:
        CtaiError: there are none at all, or they are of another schema version.
    """
    rundir.check_schema_version()
    verdicts = Verdicts({}, {})
    for gate in GATES:
        try:
            verdict = read_verdict(rundir, gate)
            if verdict is not None:
                verdicts.readable[gate.name] = verdict
        except CtaiError as error:
            verdicts.unreadable[gate.name] = str(error)
    if not verdicts.readable and not verdicts.unreadable:
        raise CtaiError(
            f"{rundir.root} holds no verdicts (evidence/verdicts): it is no run directory, or no gate has run in it"
        )
    return verdicts


def outcomes(folder: Path) -> dict[str, str]:
    """Return the outcome of each gate by name; `none` without a verdict, `unreadable` where it is damaged."""
    verdicts = read_verdicts(RunDir(folder.absolute()))
    by_gate: dict[str, str] = {name: verdict.outcome for name, verdict in verdicts.readable.items()}
    by_gate |= dict.fromkeys(verdicts.unreadable, "unreadable")
    return {gate.name: by_gate.get(gate.name, "none") for gate in GATES}


def remarks(folder: Path, public_key: Path | None = None) -> list[str]:
    """Return remarks that are no differences: metrics that do not apply, unchecked files, missing signatures, other code."""
    rundir = RunDir(folder.absolute())
    verdicts = read_verdicts(rundir).readable.values()
    texts = [
        f"gate {verdict.gate}: {metric.sentence()}"
        for verdict in verdicts
        for metric in verdict.metrics
        if not metric.applicable
    ]
    if any(verdict.code_digest != code_digest() for verdict in verdicts):
        texts.append("the run was made by another version of ctai: differences may come from that")
    if remark := missing_logs(rundir):
        texts.append(remark)
    if public_key is None:
        signed = "are signed; give --public-key to check by whom" if is_signed(rundir) else "are not signed"
        texts.append(f"the attestations {signed}")
    with suppress(CtaiError):  # an unreadable record is a difference
        if stamp := read_stamp(rundir):
            texts.append(f"the preregistration has the stamp {stamp.answer}; docs/verify.md says how to check its time")
    if uncovered := uncovered_files(rundir):
        texts.append(f"{len(uncovered)} file(s) below {', '.join(UNCOVERED)} are not evidence and were not checked")
    return texts


# --------------------------------------------------------------------------------------------------------- parts


def _guarded(name: str, find: Callable[[], Iterable[str]]) -> Iterator[str]:
    """Yield differences; an unreadable record is one of them."""
    try:
        yield from find()
    except (CtaiError, OSError) as error:
        yield f"{name}: {error}"


def _chain_differences(rundir: RunDir, verdicts: Verdicts) -> Iterator[str]:
    before: Verdict | None = None
    for position, gate in enumerate(GATES):
        verdict = verdicts.readable.get(gate.name)
        if verdict is not None:
            where = verdict_path(rundir, gate)
            if position and before is None:
                last = GATES[position - 1].name
                if last not in verdicts.unreadable:  # which is a difference already
                    yield f"{where}: there is no verdict of gate {last} before it"
            elif verdict.previous != (digest_of(before) if before else None):
                yield f"{where}: the verdict before it is not the one it was bound to"
            yield from (f"{where}: {text}" for text in _verdict_problems(gate, verdict, before))
            yield from _guarded(where, partial(_maker_differences, rundir, verdict, where))
            yield from artifact_differences(rundir, verdict.artifacts, f"gate {gate.name} judged it")
        before = verdict


def _maker_differences(rundir: RunDir, verdict: Verdict, where: str) -> Iterator[str]:
    """Yield where the makers in a verdict differ from those in the manifests of its artifacts."""
    makers = makers_of(rundir, verdict.artifacts)
    if not makers:
        yield f"{where}: no stage manifest says who made its artifacts"
    yield from differences(verdict.measured_by, makers, f"{where}: measured_by")


def _verdict_problems(gate: GateSpec, verdict: Verdict, before: Verdict | None) -> Iterator[str]:
    """Yield where a verdict contradicts itself or the one before it: gate, key, digests, outcome, artifacts."""
    if verdict.gate != gate.name:
        yield f"is a verdict of gate {verdict.gate}"
    if verdict.config_digest != digest_of(verdict.config):
        yield "its configuration does not match its digest"
    if verdict.key != key_of(gate, verdict.config_digest, verdict.code_digest, verdict.previous):
        yield "its key does not match its configuration, code and the verdict before it"
    if before and (before.code_digest, before.weights_digest) != (verdict.code_digest, verdict.weights_digest):
        yield "has other code or other weights than the verdict before it"
    yield from _outcome_problems(gate, verdict, before)
    for metric in verdict.metrics:
        if metric.artifact is not None and metric.artifact not in verdict.artifacts:
            yield f"{metric.name} comes from {metric.artifact}, for which it records no digest"


def _outcome_problems(gate: GateSpec, verdict: Verdict, before: Verdict | None) -> Iterator[str]:
    names = [metric.name for metric in verdict.metrics]
    missed = [metric.failure() for metric in verdict.metrics if metric.missed]
    if sorted(names) != sorted(gate.metric_names):
        mismatched = sorted(set(names) ^ set(gate.metric_names)) or ["a duplicate metric"]
        yield f"does not judge exactly the metrics of its gate: {', '.join(mismatched)}"
    for metric in verdict.metrics:
        if not metric.applicable and metric.name not in gate.optional_metrics:
            yield f"says that {metric.name} is not applicable, but it must apply to every run"
    if verdict.passed:
        yield from (f"says passed, but {failure}" for failure in missed)
        yield from (f"says passed, but {reason}" for reason in verdict.reasons)
        if before is not None and not before.passed:
            yield f"says passed, but gate {before.gate} before it has not"
    elif not verdict.reasons:
        yield f"says {verdict.outcome} and gives no reason"
    elif verdict.outcome == "incomplete" and missed:
        yield f"says incomplete, but {missed[0]}"
    else:
        yield from (f"does not name {failure} as a reason" for failure in missed if failure not in verdict.reasons)


def _preregistration_differences(rundir: RunDir, verdicts: Verdicts) -> Iterator[str]:
    """Yield where a verdict depends on thresholds other than the preregistered ones."""
    name = rundir.relative(rundir.preregistration)
    preregistration = read_record(rundir.preregistration, Preregistration)
    for gate, verdict in verdicts.readable.items():
        if verdict.preregistration != digest_of(preregistration):
            yield f"{name}: differs from the preregistration of the verdict of gate {gate}"
    gates = [gate.name for gate in GATES if gate.name in verdicts.readable and gate.name != GATES[0].name]
    if gates:  # the first gate names too little of the configuration
        records = RunRecords(rundir, verdicts.readable)
        expected = preregister(records.config(gates[-1]))
        sections = verdicts.readable[gates[-1]].config
        yield from differences(_of_sections(preregistration, sections), _of_sections(expected, sections), name)


def _of_sections(preregistration: Preregistration, sections: Container[str]) -> Preregistration:
    """Return a preregistration with the thresholds of these sections of the configuration only."""
    thresholds = {key: value for key, value in preregistration.thresholds.items() if key.split(".")[0] in sections}
    return preregistration.model_copy(update={"thresholds": thresholds})


def _report_differences(rundir: RunDir, verdicts: Verdicts) -> Iterator[str]:
    if not rundir.junit_report.is_file():
        yield f"{rundir.relative(rundir.junit_report)}: missing; the JUnit report belongs to the evidence"
        return
    cases = read_cases(rundir)
    for gate in GATES:
        if gate.name in verdicts.readable:
            yield from junit_differences(rundir, gate, verdicts.readable[gate.name], cases)


def _recomputed_differences(records: RunRecords, gate: GateSpec, verdict: Verdict) -> Iterator[str]:
    where = verdict_path(records.rundir, gate)
    provenance = records.model_check.provenance
    if provenance is not None and provenance.weights_digest != verdict.weights_digest:
        yield f"{where}: the weights differ from those that were checked"
    if verdict.relaxed_thresholds != relaxed_thresholds(records.config(gate.name), gate):
        yield f"{where}: its relaxed thresholds differ from those of its configuration"
    differing = record_differences(records, gate.name)
    yield from islice(differing, _MAX_RECORD_DIFFERENCES)
    if more := sum(1 for _ in differing):
        yield f"{gate.name}: {more} more differences in its records"
    yield from (f"{where}: {text}" for text in metric_differences(records, gate.name, verdict.metrics))
