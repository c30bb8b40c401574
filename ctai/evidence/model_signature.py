"""OpenSSF model signatures of adapters: Sigstore bundles that `model_signing verify` takes, signed with a key of the user.

Owns `checkpoints/<adapter>.model.sig`, beside the folder of the adapter, and its comparison with the files. Signing and the
check of a signature are model-signing's (the extra `sign`; https://github.com/sigstore/model-transparency). The weights and the
configuration are signed, not the records of the training, so that the bundle also fits the adapter that is shared.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctai.errors import CtaiError
from ctai.evidence.dsse import load_pem
from ctai.rundir import SUCCESS_MARKER, RunDir, disk_errors, sha256_file, temporary_name

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

SUFFIX = ".model.sig"
_SIGNED_FILES = "adapter_*"
# The curves that the specification of the bundle allows.
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


def sign_adapters(rundir: RunDir, key: Path) -> list[Path]:
    """Sign every trained adapter of a run directory with an elliptic-curve key (PEM, NIST P-256, P-384 or P-521).

    Returns:
        Paths of the signatures.

    Raises:
        CtaiError: there is no adapter, it cannot be signed, or the extra `sign` is not installed.
    """
    folders = sorted(path.parent for path in rundir.path("checkpoints").glob(f"*/{SUCCESS_MARKER}"))
    if not folders:
        raise CtaiError(f"{rundir.root} holds no trained adapter to sign")
    return [_sign(folder, key) for folder in folders]


def _sign(folder: Path, key: Path) -> Path:
    hashing, signing, _ = _library()
    others = [path.name for path in folder.iterdir() if not path.match(_SIGNED_FILES)]
    config = hashing.Config().set_ignored_paths(paths=sorted(others), ignore_git_paths=False)
    signer = signing.Config().set_hashing_config(config).use_elliptic_key_signer(private_key=key)
    path = folder.with_name(folder.name + SUFFIX)
    temporary = temporary_name(path)
    with disk_errors(f"cannot write {path}"):
        signer.sign(folder, temporary)
        temporary.replace(path)
    return path


def model_signatures(rundir: RunDir) -> list[Path]:
    """Return the signatures in a run directory."""
    return sorted(rundir.path("checkpoints").glob(f"*{SUFFIX}"))


def model_signature_differences(rundir: RunDir) -> Iterator[str]:
    """Yield where the signatures name other files than the adapters beside them; who signed is not checked.

    Raises:
        CtaiError: a file cannot be read.
    """
    for path in model_signatures(rundir):
        name, folder = rundir.relative(path), path.with_name(path.name.removesuffix(SUFFIX))
        with disk_errors(f"cannot compare {name}"):
            signed = _signed_files(path.read_bytes())
            files = {file.name: sha256_file(file) for file in folder.glob(_SIGNED_FILES)}
        if signed is None:
            yield f"{name}: is no model signature"
        elif signed != files:
            yield f"{name}: signs other files than those of {rundir.relative(folder)}"


def _signed_files(bundle: bytes) -> dict[str, str] | None:
    """Return the SHA-256 of each file that a bundle signs; None if it is no bundle of model-signing."""
    try:
        payload = json.loads(base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"], validate=True))
        resources = payload["predicate"]["resources"]
        return {str(file["name"]): file["digest"] for file in resources if file["algorithm"] == "sha256"}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def model_key_differences(rundir: RunDir, public_key: Path) -> Iterator[str]:
    """Yield the adapters whose signature is missing or was not made by the owner of a public key.

    Raises:
        CtaiError: the extra `sign` is not installed.
    """
    _, _, verifying = _library()
    paths = model_signatures(rundir)
    if not paths:
        yield "checkpoints: there is no model signature; `ctai attest --model-key` writes it"
    for path in paths:
        folder = path.with_name(path.name.removesuffix(SUFFIX))
        try:
            verifying.Config().use_elliptic_key_verifier(public_key=public_key).verify(folder, path)
        except Exception:  # for a bundle from outside, the library raises errors of JSON, protobuf and cryptography
            yield f"{rundir.relative(path)}: no signature by this key over the files of {rundir.relative(folder)}"


# ---------------------------------------------------------------------------------------------------------------- keys


def check_private_key(path: Path) -> None:
    """Check that a file holds an elliptic-curve private key on an allowed curve.

    Raises:
        CtaiError: it does not, or the extra `sign` is not installed.
    """
    _library()
    key = load_pem(path, lambda data: _serialization().load_pem_private_key(data, password=None))
    _check_curve(key, path, "private")


def check_public_key(path: Path) -> None:
    """Check that a file holds an elliptic-curve public key on an allowed curve.

    Raises:
        CtaiError: it does not, or the extra `sign` is not installed.
    """
    _library()
    _check_curve(load_pem(path, _serialization().load_pem_public_key), path, "public")


def _check_curve(key: "EllipticCurvePrivateKey | EllipticCurvePublicKey | Any", path: Path, kind: str) -> None:
    if getattr(getattr(key, "curve", None), "name", None) not in _CURVES:
        advice = "openssl ecparam -name prime256v1 -genkey -noout" if kind == "private" else "openssl ec -pubout"
        raise CtaiError(f"{path} is not an elliptic-curve {kind} key in PEM ({advice})")


def _serialization() -> Any:
    from cryptography.hazmat.primitives import serialization

    return serialization


def _library() -> tuple[Any, Any, Any]:
    try:
        from model_signing import hashing, signing, verifying
    except ImportError as error:
        raise CtaiError(
            f"model signatures need the package model-signing: pip install 'ctai[sign]' ({error})"
        ) from error
    return hashing, signing, verifying
