"""Model signatures of adapters: they verify with model-signing's own verifier, and fail for another key or other files."""

import json
import shutil
from pathlib import Path

import pytest

from ctai.cli import main
from ctai.errors import CtaiError
from ctai.evidence.attestation import write_attestations
from ctai.evidence.model_signature import (
    check_private_key,
    check_public_key,
    model_key_differences,
    model_signature_differences,
    sign_adapters,
)
from ctai.rundir import RunDir
from tests.support.finished import first_difference

pytestmark = pytest.mark.unit


@pytest.fixture
def keys(tmp_path) -> dict[str, Path]:
    """Key pairs in PEM: two on P-256, one on P-384, one on a curve that is not allowed, and one of ed25519."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    private: dict[str, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey] = {
        "own": ec.generate_private_key(ec.SECP256R1()),
        "other": ec.generate_private_key(ec.SECP256R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "k1": ec.generate_private_key(ec.SECP256K1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    pem, made = serialization.Encoding.PEM, {}
    for name, key in private.items():
        made[f"{name} private"] = key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        made[f"{name} public"] = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    paths = {name: tmp_path / f"{name.replace(' ', '-')}.pem" for name in made}
    for name, data in made.items():
        paths[name].write_bytes(data)
    return paths


@pytest.fixture
def adapters(tmp_path) -> RunDir:
    """A run directory with one trained adapter, a retry and an unfinished one."""
    rundir = RunDir(tmp_path / "run with space é")
    for name in ("stage1_sft", "stage1_sft-retry-1", "stage1_sft-retry-2"):
        folder = rundir.path("checkpoints", name)
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text("{}")
        (folder / "adapter_model.safetensors").write_bytes(name.encode())
        (folder / "loss.jsonl").write_text("{}\n")
        (folder / "work").mkdir()
        (folder / "work" / "step-000001.safetensors").write_bytes(b"state")
        if name != "stage1_sft-retry-2":
            (folder / "TRAINING_SUCCESS").write_text("{}")
    return rundir


def test_without_the_extra_the_message_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "model_signing", None)
    with pytest.raises(CtaiError, match=r"need the package model-signing: pip install 'ctai\[sign\]'"):
        check_private_key(tmp_path / "key.pem")


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"dsseEnvelope": {"payload": "e30="}}', "[" * 99_999])
def test_a_file_that_is_no_bundle_is_a_difference(adapters, content):
    adapters.path("checkpoints", "stage1_sft.model.sig").write_text(content)
    expected = "checkpoints/stage1_sft.model.sig: is no model signature"
    assert list(model_signature_differences(adapters)) == [expected]


class TestWithTheLibrary:
    """What needs the package model-signing."""

    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("model_signing", reason="model-signing is not installed: pip install 'ctai[sign]'")

    @pytest.mark.parametrize("name", ["own", "p384"])
    def test_each_finished_adapter_is_signed_and_verifies_with_the_right_key_only(self, adapters, keys, name):
        paths = sign_adapters(adapters, keys[f"{name} private"])
        assert [path.name for path in paths] == ["stage1_sft.model.sig", "stage1_sft-retry-1.model.sig"]
        assert list(model_signature_differences(adapters)) == []
        assert list(model_key_differences(adapters, keys[f"{name} public"])) == []
        differences = list(model_key_differences(adapters, keys["other public"]))
        assert len(differences) == 2
        assert all("no signature by this key" in text for text in differences)

    def test_the_library_verifies_the_adapter_where_it_is_shared(self, adapters, keys, tmp_path):
        from model_signing import verifying

        path = sign_adapters(adapters, keys["own private"])[0]
        shared = tmp_path / "shared" / "adapter"
        shared.mkdir(parents=True)
        for file in adapters.adapter_dir.glob("adapter_*"):
            shutil.copy(file, shared)
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=keys["own public"])
        verifier.verify(adapters.adapter_dir, path)
        (shared / "README.md").write_text("a card")
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=keys["own public"])
        verifier.set_ignore_unsigned_files(True).verify(shared, path)
        (shared / "adapter_model.safetensors").write_bytes(b"other")
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=keys["own public"])
        with pytest.raises(ValueError, match="Hash mismatch"):
            verifier.set_ignore_unsigned_files(True).verify(shared, path)

    def test_a_signature_holds_no_path_of_the_machine(self, adapters, keys):
        import base64

        path = sign_adapters(adapters, keys["own private"])[0]
        payload = base64.b64decode(json.loads(path.read_bytes())["dsseEnvelope"]["payload"]).decode()
        assert str(adapters.root) not in payload
        assert '"adapter_model.safetensors"' in payload

    def test_changed_weights_are_found_with_and_without_a_key(self, adapters, keys):
        sign_adapters(adapters, keys["own private"])
        (adapters.adapter_dir / "adapter_model.safetensors").write_bytes(b"other")
        expected = "checkpoints/stage1_sft.model.sig: signs other files than those of checkpoints/stage1_sft"
        assert list(model_signature_differences(adapters)) == [expected]
        (difference,) = model_key_differences(adapters, keys["own public"])
        assert "no signature by this key over the files of checkpoints/stage1_sft" in difference

    def test_a_folder_without_signature_or_adapter_is_said(self, adapters, keys, tmp_path):
        (difference,) = model_key_differences(adapters, keys["own public"])
        assert "there is no model signature" in difference
        with pytest.raises(CtaiError, match="holds no trained adapter to sign"):
            sign_adapters(RunDir(tmp_path / "empty"), keys["own private"])

    @pytest.mark.parametrize("name", ["k1 private", "ed25519 private", "own public", "missing"])
    def test_a_key_of_another_kind_is_one_sentence(self, keys, name, tmp_path):
        path = keys.get(name, tmp_path / "missing.pem")
        with pytest.raises(CtaiError):
            check_private_key(path)
        with pytest.raises(CtaiError):
            check_public_key(keys["own private"])

    def test_the_command_line_signs_covers_and_verifies(self, rundir, keys, capsys):
        write_attestations(rundir)
        assert main(["attest", str(rundir.root), "--model-key", str(keys["own private"])]) == 0
        signature = rundir.path("checkpoints", "stage1_sft.model.sig")
        assert str(signature) in capsys.readouterr().out
        assert main(["verify", str(rundir.root), "--model-public-key", str(keys["own public"])]) == 0
        assert main(["verify", str(rundir.root), "--model-public-key", str(keys["other public"])]) == 1
        assert main(["verify", str(rundir.root), "--model-public-key", str(keys["ed25519 public"])]) == 2
        signature.unlink()
        assert "model.sig: missing, but the attestations list it" in first_difference(rundir)
