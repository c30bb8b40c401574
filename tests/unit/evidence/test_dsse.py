"""DSSE envelopes: fixed vectors, refusals, and reading without the extra `sign`."""

import base64
import json
import sys

import pytest

from ctai.errors import CtaiError
from ctai.evidence.dsse import load_public_key, load_signer, parse_line, sign
from ctai.rundir import canonical_json

pytestmark = pytest.mark.unit

# Made for this test, from the private bytes 0, 1, ... 31.
PRIVATE = """\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
-----END PRIVATE KEY-----
"""
PUBLIC = """\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=
-----END PUBLIC KEY-----
"""
# Signed by ctai's own implementation of DSSE, before securesystemslib replaced it.
LINE = (
    b'{"payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJwcmVkaWNhdGUiOnsibm90ZSI6Ilx1MDBlNCJ9LC'
    b"JwcmVkaWNhdGVUeXBlIjoidXJuOmN0YWk6cnVuOnYxIiwic3ViamVjdCI6W3siZGlnZXN0Ijp7InNoYTI1NiI6IjAwMDAwMDAwMDAwMDAwMDAw"
    b'MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAifSwibmFtZSI6ImRhdGEvaGVsZG91dC5qc29ubCJ9XX0=",'
    b'"payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"56475aa75463474c0285df5dbf2bcab73da651358'
    b'839e9b77481b2eab107708c","sig":"g9HJSx899k1q3quGGDbNIYMSRUbIEwLRrn9Tr1JMtqGwA+CXw9gWrqbPraHA2M+OaaKFt+6+g+4Dz1'
    b'kmjPzoAw=="}]}'
)


@pytest.fixture
def signer(tmp_path):
    (tmp_path / "private.pem").write_text(PRIVATE)
    return load_signer(tmp_path / "private.pem")


@pytest.fixture
def public(tmp_path):
    (tmp_path / "public.pem").write_text(PUBLIC)
    return load_public_key(tmp_path / "public.pem")


def test_an_envelope_of_the_former_implementation_verifies(public):
    line = parse_line(LINE)
    assert line.is_signed_by(public)
    assert json.loads(line.statement)["predicateType"] == "urn:ctai:run:v1"


def test_the_same_statement_and_key_make_the_same_bytes(signer):
    assert sign(parse_line(LINE).statement, signer) == LINE


def test_the_key_id_is_the_digest_of_the_raw_public_key(signer, public):
    assert signer.public_key == public
    assert public.keyid == json.loads(LINE)["signatures"][0]["keyid"]


def test_a_second_signature_under_the_same_key_id_hides_no_valid_one(public):
    value = json.loads(LINE)
    forged = {**value["signatures"][0], "sig": base64.b64encode(bytes(64)).decode()}
    for signatures in ([forged, *value["signatures"]], [*value["signatures"], forged]):
        assert parse_line(canonical_json({**value, "signatures": signatures})).is_signed_by(public)
    assert not parse_line(canonical_json({**value, "signatures": [forged]})).is_signed_by(public)


@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_a_signature_of_the_wrong_length_does_not_verify(public, signature):
    value = json.loads(LINE)
    value["signatures"][0]["sig"] = signature
    assert not parse_line(canonical_json(value)).is_signed_by(public)


@pytest.mark.parametrize("keyid", ["0" * 64, "", None, 7, ["0"], {"0": "0"}])
def test_a_valid_signature_under_another_key_id_does_not_verify(public, keyid):
    value = json.loads(LINE)
    value["signatures"][0]["keyid"] = keyid
    assert not parse_line(canonical_json(value)).is_signed_by(public)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"payloadType": "text/plain"}, "no envelope of an in-toto statement"),
        ({"more": 1}, "no envelope of an in-toto statement"),
        ({"signatures": None}, "an envelope without payload or signatures"),
        ({"signatures": [{"keyid": "k"}]}, "an envelope without payload or signatures"),
        ({"payload": "e30"}, "Incorrect padding"),
    ],
)
def test_another_envelope_is_refused(change, problem):
    with pytest.raises(ValueError, match=problem):
        parse_line(canonical_json({**json.loads(LINE), **change}))


@pytest.mark.parametrize("line", [b"[]", b'{"a": 1}', b'{"b":1,"a":1}'])
def test_a_line_that_is_not_canonical_is_refused(line):
    with pytest.raises(ValueError, match="not in canonical form"):
        parse_line(line)


def test_without_the_extra_a_signed_line_is_read_and_a_key_is_refused(monkeypatch, tmp_path):
    for name in ("securesystemslib", "securesystemslib.signer", "cryptography.hazmat.primitives"):
        monkeypatch.setitem(sys.modules, name, None)
    assert parse_line(LINE).signatures
    for load in (load_signer, load_public_key):
        with pytest.raises(CtaiError, match=r"securesystemslib: pip install 'ctai\[sign\]'"):
            load(tmp_path / "key.pem")
