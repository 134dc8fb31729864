"""
Chains of certificates, read so that no byte of them is without meaning, and checked up to a root that we know.

Verifiers tend to skip what they do not need: a chain whose root is replaced, or with letters between its certificates, passes.
Here a chain is accepted only in the one form in which its certificates are written, and only under the root itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib import resources

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from voisin.errors import TrustError
from voisin.units import UnixSeconds


def read_der(data: bytes, what: str) -> x509.Certificate:
    """
    Read a certificate in DER.

    Raises:
        TrustError: It is none, or not in the one form in which it is written.
    """
    with _reading(what):
        found = x509.load_der_x509_certificate(data)
        _read_all(found)
        if found.public_bytes(Encoding.DER) == data:
            return found
    raise TrustError(f"{what} is not written as a certificate is")


def read_chain(text: bytes, what: str) -> list[x509.Certificate]:
    """
    Read a chain in PEM, its leaf first.

    Raises:
        TrustError: It is none, or has anything in it but its certificates.
    """
    with _reading(what):
        chain = x509.load_pem_x509_certificates(text)
        for certificate in chain:
            _read_all(certificate)
        written = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
        if text in (written, written.rstrip(b"\n")):
            return chain
    raise TrustError(f"{what} has more in it than its certificates, or is not written as they are")


@cache
def known_chain(name: str) -> tuple[x509.Certificate, ...]:
    """Read certificates of a maker that come with this package, the root last."""
    text = resources.files("voisin.attestation").joinpath("roots", f"{name}.pem").read_bytes()
    return tuple(x509.load_pem_x509_certificates(text))


def require_chain(chain: Sequence[x509.Certificate], root: x509.Certificate, now: UnixSeconds, what: str) -> None:
    """
    Require that each certificate is issued by the next, the last is a known root, and all are valid.

    Args:
        chain: The leaf first.
        root: The known root.
        now: The time of verification.
        what: What it is, for the error.

    Raises:
        TrustError: It is not so; the message says where.
    """
    if not chain or chain[-1] != root:
        raise TrustError(f"{what} does not end at {root.subject.rfc4514_string()} as we know it")
    at = datetime.fromtimestamp(now, UTC)
    for place, certificate in enumerate(chain):
        name = certificate.subject.rfc4514_string()
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            raise TrustError(f"{what}: the certificate of {name} is not valid at {at:%Y-%m-%d %H:%M:%S} UTC")
        issuer = chain[min(place + 1, len(chain) - 1)]
        _require_issued(certificate, issuer, what)
        if place and not _may_issue(certificate, place):
            raise TrustError(f"{what}: {name} may not issue certificates here")


def expiry_of(chain: Sequence[x509.Certificate]) -> UnixSeconds:
    """When the first certificate of a chain expires."""
    return UnixSeconds(int(min(certificate.not_valid_after_utc.timestamp() for certificate in chain)))


def _require_issued(certificate: x509.Certificate, issuer: x509.Certificate, what: str) -> None:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        name = certificate.subject.rfc4514_string()
        raise TrustError(f"{what}: the certificate of {name} is not issued by {issuer.subject.rfc4514_string()}") from None


def _may_issue(certificate: x509.Certificate, below: int) -> bool:
    """Tell whether a certificate may stand above `below` others, the leaf among them."""
    try:
        limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    return limits.ca and (limits.path_length is None or limits.path_length >= below - 1)


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Say what is wrong with a certificate; the library has many ways to say it, some of them late."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # AMD gives all its chips' certificates the number 0; the rest is said by the signature
            yield
    except (ValueError, TypeError, KeyError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension) as error:
        raise TrustError(f"{what} is no certificate: {error}") from None


def _read_all(certificate: x509.Certificate) -> None:
    """
    Read every part of a certificate now, and not when it is used.

    Raises:
        ValueError: Its signature does not end where the certificate does, on a whole byte.
    """
    for part in ("subject", "issuer", "extensions", "not_valid_before_utc", "not_valid_after_utc", "signature_hash_algorithm"):
        getattr(certificate, part)
    certificate.public_key()
    if not certificate.public_bytes(Encoding.DER).endswith(b"\0" + certificate.signature):
        raise ValueError("its signature has bits that are not used")
