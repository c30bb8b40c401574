"""DSSE envelopes (v1) with ed25519 signatures: how a statement is wrapped, signed, unwrapped and checked.

Owns keys and bytes; what the statements say is `attestation`'s. Needs `cryptography` (the extra `sign`) for keys only
(https://github.com/secure-systems-lab/dsse).
"""

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ctai.errors import CtaiError
from ctai.rundir import canonical_json, sha256_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Envelope(NamedTuple):
    """One line of a bundle: the statement's bytes, and, if it is an envelope, the signatures on them by key."""

    statement: bytes
    signatures: tuple[tuple[str, bytes], ...]

    def signed_by(self, key: "Ed25519PublicKey") -> bool:
        """Whether one of the signatures names this key and is by it."""
        own = [signature for name, signature in self.signatures if name == _key_id(key)]
        return any(_verifies(key, self.statement, signature) for signature in own)


def read_line(line: bytes) -> Envelope:
    """A statement or an envelope, byte for byte as ctai writes them.

    Raises:
        ValueError: it is neither.
    """
    value = json.loads(line)
    if not isinstance(value, dict) or canonical_json(value) != line:
        raise ValueError("not in canonical form")
    if "payloadType" not in value:
        return Envelope(line, ())
    try:
        signatures = tuple((s["keyid"], base64.b64decode(s["sig"], validate=True)) for s in value["signatures"])
        payload = base64.b64decode(value["payload"], validate=True)
    except (KeyError, TypeError) as error:
        raise ValueError("an envelope without payload or signatures") from error
    if _envelope(payload, signatures) != line:
        raise ValueError("no envelope of an in-toto statement")
    return Envelope(payload, signatures)


def sign(statement: bytes, key: "Ed25519PrivateKey") -> bytes:
    """An envelope around a statement."""
    return _envelope(statement, ((_key_id(key.public_key()), key.sign(_pae(statement))),))


def _pae(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    return b" ".join((b"DSSEv1", b"%d" % len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), b"%d" % len(payload), payload))


def _envelope(payload: bytes, signatures: tuple[tuple[str, bytes], ...]) -> bytes:
    signed = [{"keyid": name, "sig": base64.b64encode(signature).decode()} for name, signature in signatures]
    value = {"payloadType": PAYLOAD_TYPE, "payload": base64.b64encode(payload).decode(), "signatures": signed}
    return canonical_json(value)


def _verifies(key: "Ed25519PublicKey", payload: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, _pae(payload))
    except InvalidSignature:
        return False
    return True


def _key_id(key: "Ed25519PublicKey") -> str:
    """SHA-256 of the raw public key: says which key to look for, proves nothing."""
    return sha256_bytes(key.public_bytes_raw())


def private_key(path: Path) -> "Ed25519PrivateKey":
    """The key in a PEM file.

    Raises:
        CtaiError: the file is not readable, or holds no such key.
    """
    serialization, ed25519 = _cryptography()
    key = _load(path, lambda data: serialization.load_pem_private_key(data, password=None))
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise CtaiError(f"{path} is not an ed25519 private key in PEM (openssl genpkey -algorithm ed25519)")
    return cast("Ed25519PrivateKey", key)


def public_key(path: Path) -> "Ed25519PublicKey":
    """The key in a PEM file.

    Raises:
        CtaiError: the file is not readable, or holds no such key.
    """
    serialization, ed25519 = _cryptography()
    key = _load(path, serialization.load_pem_public_key)
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise CtaiError(f"{path} is not an ed25519 public key in PEM (openssl pkey -pubout)")
    return cast("Ed25519PublicKey", key)


def _load(path: Path, load: Any) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return load(path.read_bytes())
    except OSError as error:
        raise CtaiError(f"cannot read the key {path}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CtaiError(f"{path} is not a key in PEM without a password: {error}") from error


def _cryptography() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise CtaiError("signatures need the package cryptography: pip install 'ctai[sign]'") from error
    return serialization, ed25519
