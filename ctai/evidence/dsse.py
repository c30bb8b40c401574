"""DSSE envelopes (v1) with ed25519 signatures around in-toto statements.

Owns keys and bytes; signing and verification are securesystemslib's (the extra `sign`). Does not know what the
statements say (`ctai.evidence.attestation`). Specification: https://github.com/secure-systems-lab/dsse.
"""

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ctai.errors import CtaiError
from ctai.rundir import canonical_json, sha256_bytes

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner, SSlibKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class BundleLine(NamedTuple):
    """One line of a bundle.

    Attributes:
        statement: the bytes of the statement.
        signatures: key id and signature for each signature of the envelope; empty for a bare statement.
    """

    statement: bytes
    signatures: tuple[tuple[str, bytes], ...]

    def is_signed_by(self, key: "SSlibKey") -> bool:
        """Return whether one of the signatures names this key and verifies with it."""
        # compared here first: the key id of an envelope may be any JSON value, and the library takes hashable ones only
        own = (signature for keyid, signature in self.signatures if keyid == key.keyid)
        return any(_verifies(key, self.statement, signature) for signature in own)


# By hand, and not by securesystemslib: an unsigned bundle is no envelope, reading must work without the extra, and one
# line has exactly one spelling (the library also takes URL-safe base64).
def parse_line(line: bytes) -> BundleLine:
    """Parse a statement or an envelope in canonical JSON.

    Raises:
        ValueError: the line is neither, or is not in canonical form.
    """
    value = json.loads(line)
    if not isinstance(value, dict) or canonical_json(value) != line:
        raise ValueError("not in canonical form")
    if "payloadType" not in value:
        return BundleLine(line, ())
    try:
        signatures = tuple((s["keyid"], base64.b64decode(s["sig"], validate=True)) for s in value["signatures"])
        payload = base64.b64decode(value["payload"], validate=True)
    except (KeyError, TypeError) as error:
        raise ValueError("an envelope without payload or signatures") from error
    if _encode(payload, signatures) != line:
        raise ValueError("no envelope of an in-toto statement")
    return BundleLine(payload, signatures)


def _encode(payload: bytes, signatures: tuple[tuple[str, bytes], ...]) -> bytes:
    entries = [{"keyid": keyid, "sig": base64.b64encode(signature).decode()} for keyid, signature in signatures]
    value = {"payloadType": PAYLOAD_TYPE, "payload": base64.b64encode(payload).decode(), "signatures": entries}
    return canonical_json(value)


def sign(statement: bytes, signer: "CryptoSigner") -> bytes:
    """Return a signed envelope around a statement, as canonical JSON."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope(statement, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return canonical_json(envelope.to_dict())


def _verifies(key: "SSlibKey", statement: bytes, signature: bytes) -> bool:
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import Signature

    # one envelope for each signature: the library's holds one signature for a key id
    envelope = Envelope(statement, PAYLOAD_TYPE, {key.keyid: Signature(key.keyid, signature.hex())})
    try:
        envelope.verify([key], threshold=1)
    except VerificationError:
        return False
    return True


# ---------------------------------------------------------------------------------------------------------------- keys


def load_signer(path: Path) -> "CryptoSigner":
    """Load an ed25519 private key from a PEM file.

    Raises:
        CtaiError: the file is not readable, holds no such key, or the extra `sign` is not installed.
    """
    serialization, ed25519, signer = _libraries()
    key = load_pem(path, lambda data: serialization.load_pem_private_key(data, password=None))
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise CtaiError(f"{path} is not an ed25519 private key in PEM (openssl genpkey -algorithm ed25519)")
    loaded: CryptoSigner = signer.CryptoSigner(key, _with_key_id(key.public_key(), signer))
    return loaded


def load_public_key(path: Path) -> "SSlibKey":
    """Load an ed25519 public key from a PEM file.

    Raises:
        CtaiError: the file is not readable, holds no such key, or the extra `sign` is not installed.
    """
    serialization, ed25519, signer = _libraries()
    key = load_pem(path, serialization.load_pem_public_key)
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise CtaiError(f"{path} is not an ed25519 public key in PEM (openssl pkey -pubout)")
    return _with_key_id(key, signer)


def _with_key_id(key: Any, signer: Any) -> "SSlibKey":
    """Return securesystemslib's key with the SHA-256 of the raw public key as its id, which is a hint and no proof."""
    named: SSlibKey = signer.SSlibKey.from_crypto(key, keyid=sha256_bytes(key.public_bytes_raw()))
    return named


def load_pem(path: Path, load: Any) -> Any:
    """Read a key in PEM without a password; `load` is a function of cryptography on its bytes.

    Raises:
        CtaiError: the file is not readable or holds no key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return load(path.read_bytes())
    except OSError as error:
        raise CtaiError(f"cannot read the key {path}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CtaiError(f"{path} is not a key in PEM without a password: {error}") from error


def _libraries() -> tuple[Any, Any, Any]:
    """Import the libraries of the extra `sign`; keys are read by cryptography, since securesystemslib reads no PEM."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
        from securesystemslib import signer
    except ImportError as error:
        raise CtaiError("signatures need the package securesystemslib: pip install 'ctai[sign]'") from error
    return serialization, ed25519, signer
