"""
Evidence of AWS Nitro enclaves: attestation documents, verified up to Amazon's root.

A document is a COSE_Sign1 in CBOR. Its certificate lives three hours and is issued for the enclave, so a document is verified soon
after it was made or not at all. PCR0 to PCR2 of nothing but zeros mean that the enclave runs for debugging.

Source: AWS Nitro Enclaves, "Verifying the root of trust"; RFC 9052, sections 4.2 and 4.4.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.x509 import Certificate

from voisin.attestation.certificates import expiry_of, known_chain, read_der, require_chain
from voisin.attestation.claims import Claims, TcbStatus, Technology, Weakness
from voisin.attestation.extras import require_module
from voisin.errors import TrustError
from voisin.units import UnixSeconds

ES384_HEADER: Final = bytes.fromhex("a1013822")
"""The protected header {1: -35}: ECDSA with SHA-384."""
SCALAR: Final = 48
PCR: Final = 48
MAX_BYTES: Final = 32_768
MAX_DATA: Final = 1_024
_KEYS = {"module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", "public_key", "user_data", "nonce"}


def verify_nitro(document: bytes, now: UnixSeconds) -> Claims:
    """
    Verify a document.

    Args:
        document: The document.
        now: The time of verification.

    Raises:
        TrustError: A byte of it is not Amazon's, or its certificate is expired; the message says what.
    """
    if len(document) > MAX_BYTES:
        raise TrustError(f"a document has at most {MAX_BYTES} bytes, not {len(document)}")
    payload, signature = _signed(document)
    facts = _facts(payload)
    leaf = read_der(_bytes(facts, "certificate"), "the enclave's certificate")
    chain = [leaf, *reversed([read_der(each, "a certificate of the bundle") for each in _bundle(facts)])]
    require_chain(chain, known_chain("aws-nitro")[-1], now, "the chain in the document")
    _require_signature(payload, signature, leaf)
    pcrs = _pcrs(facts)
    is_debug = not any(bytes.fromhex("".join(pcrs.get(f"pcr{number}", "00") for number in range(3))))
    return Claims(
        technology=Technology.NITRO,
        measurements=pcrs,
        report_data=_data(facts, "user_data"),
        platform=_text(facts, "module_id").encode().hex(),
        status=TcbStatus.UNRATED,
        weaknesses=(Weakness.DEBUGGABLE,) if is_debug else (),
        made_at=UnixSeconds(_timestamp(facts) // 1_000),
        valid_until=expiry_of(chain),
    )


def _signed(document: bytes) -> tuple[bytes, bytes]:
    """Read the envelope: nothing in it may be unsigned."""
    envelope = _cbor(document, "the document")
    match envelope:
        case [bytes(header), dict(unprotected), bytes(payload), bytes(signature)] if len(signature) == 2 * SCALAR:
            if header == ES384_HEADER and not unprotected:
                return payload, signature
    raise TrustError("the document is not signed as Amazon's are")


def _cbor(data: bytes, what: str) -> object:
    """Read CBOR that is written in the one way in which its maker writes it."""
    library = require_module("cbor2")
    try:
        found: object = library.loads(data)
        is_canonical = library.dumps(found) == data
    except (library.CBORError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise TrustError(f"{what} is no CBOR: {error}") from None
    if not is_canonical:
        raise TrustError(f"{what} is not written as Amazon writes it")
    return found


def _facts(payload: bytes) -> dict[object, object]:
    facts = _cbor(payload, "what the document says")
    if not isinstance(facts, dict) or not set(facts) <= _KEYS or facts.get("digest") != "SHA384":
        raise TrustError("the document does not say what Amazon's say")
    return facts


def _bytes(facts: dict[object, object], name: str) -> bytes:
    found = facts.get(name)
    if not isinstance(found, bytes):
        raise TrustError(f"the document has no {name}")
    return found


def _data(facts: dict[object, object], name: str) -> bytes:
    data = b"" if facts.get(name) is None else _bytes(facts, name)
    if len(data) > MAX_DATA:
        raise TrustError(f"the document's {name} has {len(data)} bytes")
    return data


def _text(facts: dict[object, object], name: str) -> str:
    found = facts.get(name)
    if not isinstance(found, str):
        raise TrustError(f"the document has no {name}")
    return found


def _timestamp(facts: dict[object, object]) -> int:
    found = facts.get("timestamp")
    if not isinstance(found, int) or not 0 < found < 2**53:
        raise TrustError("the document does not say when it was made")
    return found


def _bundle(facts: dict[object, object]) -> list[bytes]:
    found = facts.get("cabundle")
    if not isinstance(found, list) or not 1 <= len(found) <= 8 or not all(isinstance(each, bytes) for each in found):
        raise TrustError("the document has no bundle of certificates")
    return found


def _pcrs(facts: dict[object, object]) -> dict[str, str]:
    found = facts.get("pcrs")
    if not isinstance(found, dict) or not found:
        raise TrustError("the document has no measurements")
    named = {}
    for number, value in found.items():
        if not isinstance(number, int) or not 0 <= number < 32 or not isinstance(value, bytes) or len(value) != PCR:
            raise TrustError("a measurement of the document is malformed")
        named[f"pcr{number}"] = value.hex()
    return named


def _require_signature(payload: bytes, signature: bytes, leaf: Certificate) -> None:
    key = leaf.public_key()
    if not isinstance(key, EllipticCurvePublicKey):
        raise TrustError("the enclave's certificate has no key of the right kind")
    said = require_module("cbor2").dumps(["Signature1", ES384_HEADER, b"", payload])
    r, s = int.from_bytes(signature[:SCALAR], "big"), int.from_bytes(signature[SCALAR:], "big")
    try:
        key.verify(encode_dss_signature(r, s), said, ECDSA(SHA384()))
    except InvalidSignature:
        raise TrustError("the document is not signed by the enclave's key, or was changed") from None
