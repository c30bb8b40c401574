"""Stamp of the preregistration: the command is run on the file, its answer is filed, and the verdicts must name it."""

import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ctai.cli import main
from ctai.config import RunConfig
from ctai.errors import CtaiError, PreconditionError
from ctai.evidence.attestation import covered_files
from ctai.evidence.preregistration import preregister
from ctai.evidence.stamp import (
    MAX_ANSWER_BYTES,
    StampCommand,
    read_stamp,
    stamp_command,
    stamp_differences,
    stamp_notes,
    stamp_preregistration,
    write_preregistration,
)
from ctai.evidence.verdicts import record_verdict
from ctai.records import Preregistration, Verdict
from ctai.registry import gate_named
from ctai.rundir import RunDir, read_record, sha256_bytes, sha256_file, write_json
from tests.unit.evidence.test_verdicts import measured

pytestmark = pytest.mark.unit

CONFIG = RunConfig.load("embedded")


def python(code: str, *arguments: str) -> str:
    """Command line that runs Python code."""
    return shlex.join([sys.executable, "-c", code, *arguments])


STAND_IN = python("import sys; print('stamped', sys.argv[1])", "{sha256}")


@pytest.fixture
def preregistered(tmp_path) -> RunDir:
    """A run directory with a preregistration and nothing else."""
    rundir = RunDir.open(tmp_path / "run with space é")
    write_preregistration(rundir, preregister(CONFIG))
    return rundir


def decided(rundir: RunDir, *gates: str) -> dict[str, Verdict]:
    """Verdicts of gates, all passed."""
    return {
        gate: record_verdict(
            rundir, CONFIG, measured(rundir, gate), dict.fromkeys(gate_named(gate).metric_names, "passed")
        )
        for gate in gates
    }


# ------------------------------------------------------------------------------------------------------------- command


def test_the_answer_is_filed_and_recorded(preregistered):
    stamp = stamp_preregistration(preregistered, StampCommand(STAND_IN))
    digest = sha256_file(preregistered.preregistration)
    answer = f"stamped {digest}\n".encode()
    assert preregistered.path("evidence", "preregistration.tsr").read_bytes() == answer
    assert read_stamp(preregistered) == stamp
    assert (stamp.sha256, stamp.answer_sha256) == (digest, sha256_bytes(answer))
    assert {"evidence/preregistration.tsr", "evidence/preregistration_stamp.json"} <= covered_files(
        preregistered
    ).keys()


def test_the_command_may_write_a_file(preregistered):
    code = "import sys; open(sys.argv[2], 'wb').write(open(sys.argv[1], 'rb').read()[::-1]); print('done')"
    stamp = stamp_preregistration(preregistered, StampCommand(python(code, "{file}", "{answer}"), suffix="ots"))
    assert stamp.answer == "evidence/preregistration.ots"
    assert preregistered.path(stamp.answer).read_bytes() == preregistered.preregistration.read_bytes()[::-1]


def test_no_shell_reads_the_command(preregistered, tmp_path):
    stamp_preregistration(
        preregistered, StampCommand(f"echo {{sha256}} ; touch {tmp_path}/made $(touch {tmp_path}/made)")
    )
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("true", "names neither {file} nor {sha256}"),
        ("true {file}", "the answer of the stamp command is empty"),
        ("echo 'unclosed {file}", "is not a command line"),
        ("no-such-program-here {file}", "cannot be run"),
        (python("import sys; print('no network', file=sys.stderr); sys.exit(3)", "{file}"), "status 3: no network"),
        ("true {file} {answer}", "wrote no answer"),
        (python("while True: print('x' * 9999)", "{file}"), f"more than {MAX_ANSWER_BYTES} bytes"),
        (python("import sys; open(sys.argv[1], 'wb').write(bytes(2**20 + 1))", "{answer}", "{file}"), "more than"),
    ],
)
def test_a_command_that_gives_no_stamp_leaves_nothing(preregistered, command, message):
    with pytest.raises(CtaiError) as caught:
        stamp_preregistration(preregistered, StampCommand(command))
    assert message in str(caught.value)
    assert sorted(path.name for path in preregistered.evidence.iterdir()) == ["preregistration.json"]


def test_a_command_that_hangs_is_stopped_with_its_children(preregistered):
    code = "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"
    start = time.monotonic()
    with pytest.raises(CtaiError, match="longer than 1 s"):
        stamp_preregistration(preregistered, StampCommand(python(code, "{file}"), limit_seconds=1))
    assert time.monotonic() - start < 30


def test_the_command_comes_from_the_option_or_the_environment(monkeypatch):
    monkeypatch.delenv("CTAI_STAMP_COMMAND", raising=False)
    assert stamp_command(None) is None
    monkeypatch.setenv("CTAI_STAMP_COMMAND", "one {file}")
    assert stamp_command(None) == StampCommand("one {file}")
    assert stamp_command("other {file}", "ots") == StampCommand("other {file}", "ots")
    for suffix in ("json", "../tsr", "", "a b"):
        with pytest.raises(CtaiError, match="--stamp-suffix"):
            stamp_command("one {file}", suffix)


# ---------------------------------------------------------------------------------------------------------------- run


def test_a_run_keeps_a_stamped_preregistration(preregistered):
    stamp_preregistration(preregistered, StampCommand(STAND_IN))
    before = preregistered.preregistration.read_bytes()
    write_preregistration(preregistered, preregister(CONFIG))
    assert preregistered.preregistration.read_bytes() == before
    other = preregister(RunConfig.load("embedded", ["qc.runaway=0.2"]))
    with pytest.raises(PreconditionError, match=r"stamped for another run: qc\.runaway was 0\.05 and is 0\.2"):
        write_preregistration(preregistered, other)
    preregistered.preregistration.write_bytes(before + b" ")
    with pytest.raises(PreconditionError, match="changed after it was stamped"):
        write_preregistration(preregistered, preregister(CONFIG))


def test_without_a_stamp_the_preregistration_follows_the_run(preregistered):
    other = preregister(RunConfig.load("embedded", ["qc.runaway=0.2"]))
    write_preregistration(preregistered, other)
    assert read_record(preregistered.preregistration, Preregistration) == other


def test_verdicts_name_the_stamp(preregistered):
    assert stamp_notes(preregistered) == ()
    stamp = stamp_preregistration(preregistered, StampCommand(STAND_IN))
    verdicts = decided(preregistered, "contamination", "instruments")
    for verdict in verdicts.values():
        assert verdict.notes[-1].endswith(f"evidence/preregistration.tsr, SHA-256 {stamp.answer_sha256}")
    assert list(stamp_differences(preregistered, verdicts)) == []


def test_a_stamp_made_after_the_verdicts_is_a_difference(preregistered):
    verdicts = decided(preregistered, "contamination", "instruments")
    stamp_preregistration(preregistered, StampCommand(STAND_IN))
    (difference,) = stamp_differences(preregistered, verdicts)
    assert "the verdict of gate instruments does not name it" in difference


def test_a_changed_stamp_is_a_difference(preregistered):
    stamp = stamp_preregistration(preregistered, StampCommand(STAND_IN))
    verdicts = decided(preregistered, "contamination", "instruments")
    answer, record = preregistered.path(stamp.answer), preregistered.preregistration_stamp
    sound = answer.read_bytes()
    answer.write_bytes(sound + b" ")
    assert list(stamp_differences(preregistered, verdicts)) == [f"{stamp.answer}: is not the stamp that was recorded"]
    answer.write_bytes(sound)
    write_json(record, stamp.model_copy(update={"sha256": "0" * 64}))
    assert next(stamp_differences(preregistered, verdicts)).endswith("changed since it was stamped")
    for name in (
        "../elsewhere",
        "data/preregistration.tsr",
        "evidence/gates.xml",
        "evidence/preregistration.\0",
        "/etc/hosts",
    ):
        write_json(record, stamp.model_copy(update={"answer": name}))
        (difference,) = stamp_differences(preregistered, verdicts)
        assert "is no stamp of the preregistration" in difference
    write_json(record, stamp)
    answer.unlink()
    with pytest.raises(CtaiError, match="cannot compare the stamped files"):
        list(stamp_differences(preregistered, verdicts))
    record.unlink()
    assert [text.split(":")[0] for text in stamp_differences(preregistered, verdicts)] == [
        "evidence/preregistration_stamp.json"
    ] * 2


# ----------------------------------------------------------------------------------------------------- RFC 3161, openssl

OPENSSL_CONFIG = """
[tsa]
default_tsa = tsa_config
[tsa_config]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_alg = sha256
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = time stamps of a test
[extensions]
basicConstraints = critical,CA:TRUE
extendedKeyUsage = critical,timeStamping
"""


def openssl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_time_stamp_of_an_rfc_3161_authority_verifies_with_openssl(tmp_path, capsys):
    folder = tmp_path / "authority"
    folder.mkdir()
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(OPENSSL_CONFIG.format(folder=folder))
    new = ("-new", "-x509", "-nodes", "-newkey", "rsa:2048", "-keyout", "tsa.key", "-out", "tsa.pem", "-days", "2")
    assert openssl(folder, "req", "-config", "tsa.cnf", *new).returncode == 0
    script = folder / "stamp.sh"
    script.write_text(
        'set -e\nquery=$(mktemp)\nopenssl ts -query -data "$1" -sha256 -cert -out "$query" 2>/dev/null\n'
        f'openssl ts -reply -config {folder}/tsa.cnf -section tsa_config -queryfile "$query" -out "$2" 2>/dev/null\n'
    )
    run = tmp_path / "run"
    assert main(["preregister", str(run), "--stamp", f"sh {script} {{file}} {{answer}}"]) == 0
    assert f"{sha256_file(run / 'evidence/preregistration.json')}  " in capsys.readouterr().out
    evidence = run / "evidence"
    verify = ("ts", "-verify", "-data", "preregistration.json", "-in", "preregistration.tsr")
    assert openssl(evidence, *verify, "-CAfile", str(folder / "tsa.pem")).returncode == 0
    (evidence / "preregistration.json").write_text("{}")
    assert openssl(evidence, *verify, "-CAfile", str(folder / "tsa.pem")).returncode != 0
