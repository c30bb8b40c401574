"""Attestations of a run: they cover every file, and their signatures tell who made them."""

import json
import random
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from ctai.cli import main
from ctai.errors import CtaiError
from ctai.evidence.attestation import BUNDLE, VERDICT_TYPE, covered_files, write_attestations
from ctai.records import Verdict
from ctai.registry import GATES
from ctai.rundir import RunDir, digest_of, read_record
from ctai.verification.verify import attest, find_differences, remarks
from tests.docs.pages import blocks
from tests.support.finished import edit_verdict, first_difference, with_metric

pytestmark = pytest.mark.unit


def statements(rundir: RunDir) -> list[dict]:
    return [json.loads(line) for line in rundir.path(BUNDLE).read_text().splitlines()]


def test_the_bundle_holds_a_statement_of_each_verdict_and_one_of_all_files(rundir):
    found = statements(rundir)
    assert {statement["_type"] for statement in found} == {"https://in-toto.io/Statement/v1"}
    verdicts = [line for line in found if line["predicateType"] == VERDICT_TYPE]
    assert [statement["predicate"]["gate"] for statement in verdicts] == [gate.name for gate in GATES]
    assert found[: len(verdicts)] == verdicts
    subjects = {subject["name"]: subject["digest"]["sha256"] for subject in found[-1]["subject"]}
    assert subjects == covered_files(rundir)
    verdict = read_record(rundir.verdict(GATES[0]), Verdict)
    assert digest_of(found[0]["predicate"]) == digest_of(verdict)


def test_a_statement_is_json_also_where_a_metric_is_not_a_number(rundir):
    metrics = with_metric(rundir, "contamination", "sentinel_completion_rate", value=float("nan"))
    edit_verdict(rundir, "contamination", metrics=metrics)
    write_attestations(rundir)
    assert "NaN" not in rundir.path(BUNDLE).read_text().replace('"nan"', "")
    values = {metric["name"]: metric["value"] for metric in statements(rundir)[0]["predicate"]["metrics"]}
    assert values["sentinel_completion_rate"] == "nan"


def test_evidence_that_does_not_hold_is_not_attested(rundir):
    edit_verdict(rundir, "pilot", notes=("edited",))
    with pytest.raises(CtaiError, match=r"was not attested, because its evidence does not verify: .*5-scale\.json"):
        attest(rundir.root)


@pytest.fixture
def keys(tmp_path) -> dict[str, Path]:
    """Two key pairs in PEM, and a key of another kind."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    made = {}
    for name in ("own", "other", "ec"):
        key = ec.generate_private_key(ec.SECP256R1()) if name == "ec" else ed25519.Ed25519PrivateKey.generate()
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        for kind, data in (("private", private), ("public", public)):
            made[f"{name} {kind}"] = tmp_path / f"{name}-{kind}.pem"
            made[f"{name} {kind}"].write_bytes(data)
    return made


def test_a_signed_run_verifies_with_the_right_key_only(rundir, keys, capsys):
    assert main(["attest", str(rundir.root), "--key", str(keys["own private"])]) == 0
    assert main(["verify", str(rundir.root), "--public-key", str(keys["own public"])]) == 0
    assert main(["verify", str(rundir.root), "--public-key", str(keys["other public"])]) == 1
    assert f"DIFFERS  {BUNDLE} line 1: no signature by this key" in capsys.readouterr().out
    assert "the attestations are signed; give --public-key to check by whom" in remarks(rundir.root)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_stranger_verifies_a_line_with_python_and_openssl_as_documented(rundir, keys, tmp_path):
    write_attestations(rundir, keys["own private"])
    page = (Path(__file__).parents[3] / "docs" / "verify.md").read_text(encoding="utf-8")
    (tmp_path / "open.py").write_text(blocks(page, "python")[0], encoding="utf-8")

    def opened(key: str) -> int:
        run = partial(subprocess.run, cwd=tmp_path, capture_output=True, timeout=60)
        run([sys.executable, "-I", "open.py", str(rundir.path(BUNDLE)), "7"], check=True)
        (line,) = [line for block in blocks(page, "text") for line in block.splitlines() if "pkeyutl" in line]
        return run([word.replace("key.pub.pem", str(keys[key])) for word in line.split()]).returncode

    assert opened("own public") == 0
    assert json.loads((tmp_path / "statement.json").read_bytes())["predicateType"].startswith("https://in-toto.io/")
    assert opened("other public") != 0


def test_a_run_that_is_not_signed_does_not_verify_with_a_key(rundir, keys):
    assert next(find_differences(rundir.root, keys["own public"])) == f"{BUNDLE} line 1: not signed"


def test_a_changed_run_that_is_attested_again_loses_its_signature(rundir, keys):
    write_attestations(rundir, keys["own private"])
    signed = rundir.path(BUNDLE).read_bytes()
    write_attestations(rundir)
    assert rundir.path(BUNDLE).read_bytes() == signed  # nothing has changed, so the signature stays
    rundir.path("data", "more.jsonl").write_text("{}")
    write_attestations(rundir)
    assert first_difference(rundir) == ""
    assert next(find_differences(rundir.root, keys["own public"])) == f"{BUNDLE} line 1: not signed"


def test_every_changed_byte_of_a_signed_bundle_is_found(rundir, keys):
    write_attestations(rundir, keys["own private"])
    path = rundir.path(BUNDLE)
    sound = path.read_bytes()
    rng = random.Random(0)
    in_signatures = [sound.index(b'"sig":"') + 10, sound.index(b'"keyid":"') + 10]
    for place in (*in_signatures, *(rng.randrange(len(sound)) for _ in range(30))):
        changed = bytearray(sound)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert BUNDLE in next(find_differences(rundir.root, keys["own public"]), ""), place


@pytest.mark.parametrize("name", ["ec private", "own public", "missing"])
def test_a_key_that_is_none_is_one_sentence(rundir, keys, name, capsys):
    key = keys.get(name, rundir.root / "none.pem")
    assert main(["attest", str(rundir.root), "--key", str(key)]) == 2
    assert "ctai: " in capsys.readouterr().err
