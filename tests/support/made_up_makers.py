"""
Makers that we made up: roots, chains and evidence of our own, laid out as the real ones'.

Real evidence cannot be wrong in one respect only: whatever is changed breaks a signature first. Here everything is signed again after the
change, so that each check has to stand for itself.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from voisin.units import UnixSeconds

NOW = UnixSeconds(1_750_000_000)
_DAY = datetime.timedelta(days=1)
_AT = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
_OID = "1.3.6.1.4.1.3704.1."


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a key on P-384."""
    return ec.generate_private_key(ec.SECP384R1())


def name(text: str) -> x509.Name:
    """Name somebody."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Issuer:
    """
    Somebody who issues certificates.

    Attributes:
        title: Its name.
        key: Its key.
        chain: Its certificate and those above it, the root last.
    """

    title: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    chain: list[x509.Certificate] = field(default_factory=list)

    def issue(
        self,
        title: str,
        key: ec.EllipticCurvePrivateKey,
        *,
        limits: x509.BasicConstraints | None = None,
        extensions: Mapping[str, bytes] | None = None,
        days: tuple[int, int] = (-10, 10),
    ) -> x509.Certificate:
        """Issue a certificate."""
        builder = x509.CertificateBuilder().subject_name(name(title)).issuer_name(name(self.title)).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(_AT + days[0] * _DAY).not_valid_after(_AT + days[1] * _DAY)
        if limits is not None:
            builder = builder.add_extension(limits, critical=True)
        for oid, value in (extensions or {}).items():
            builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), critical=False)
        return builder.sign(self.key, hashes.SHA384())


def make_root(title: str = "root") -> Issuer:
    """Make a root that vouches for itself."""
    root = Issuer(title)
    root.chain = [root.issue(title, root.key, limits=x509.BasicConstraints(ca=True, path_length=None))]
    return root


def make_below(above: Issuer, title: str, limits: x509.BasicConstraints | None, **changes: Any) -> Issuer:
    """Make an issuer below another; `limits` are what its certificate lets it do."""
    found = Issuer(title)
    found.chain = [above.issue(title, found.key, limits=limits, **changes), *above.chain]
    return found


# --- a maker of processors like AMD ----------------------------------------------------------------------------------


def der_integer(value: int) -> bytes:
    """Write a small number in DER."""
    body = value.to_bytes(1 + (value >= 0x80), "big")
    return bytes((2, len(body))) + body


@dataclass
class Chip:
    """A chip whose reports are good unless something is changed; `certified` is what its certificate says."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    number: bytes = bytes(range(64))
    versions: dict[str, int] = field(default_factory=lambda: {"boot_loader": 3, "tee": 1, "snp": 8, "microcode": 200})
    certified: dict[str, bytes] = field(default_factory=dict)

    def certificate(self, issuer: Issuer) -> bytes:
        """Have the maker issue the chip's certificate, DER."""
        oids = {"boot_loader": "3.1", "tee": "3.2", "snp": "3.3", "microcode": "3.8"}
        said = {oid: der_integer(self.versions[part]) for part, oid in oids.items()} | {"4": self.number} | self.certified
        extensions = {_OID + oid: value for oid, value in said.items() if value}
        return issuer.issue("chip", self.key, extensions=extensions).public_bytes(Encoding.DER)

    def report(self, changes: Mapping[int, bytes] | None = None) -> bytes:
        """Make a report, with bytes changed at some places before it is signed."""
        body = bytearray(0x2A0)
        body[0:4] = (2).to_bytes(4, "little")
        body[0x34:0x38] = (1).to_bytes(4, "little")
        body[0x50:0x90] = bytes(64)
        for part, place in {"boot_loader": 0, "tee": 1, "snp": 6, "microcode": 7}.items():
            body[0x180 + place] = self.versions[part]
        body[0x1A0:0x1E0] = self.number
        for at, data in (changes or {}).items():
            body[at : at + len(data)] = data
        r, s = decode_dss_signature(self.key.sign(bytes(body), ec.ECDSA(hashes.SHA384())))
        room = bytearray(0x200)
        room[:48], room[72:120] = r.to_bytes(48, "little"), s.to_bytes(48, "little")
        return bytes(body + room)


# --- a maker of documents like AWS -----------------------------------------------------------------------------------


@dataclass
class Hypervisor:
    """Makes documents that are good unless something is changed."""

    root: Issuer
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    header: bytes = bytes.fromhex("a1013822")
    unprotected: dict[object, object] = field(default_factory=dict)

    def facts(self, **changes: object) -> dict[str, object]:
        """What a document says; None leaves a fact out."""
        facts: dict[str, object] = {
            "module_id": "i-1-enc1",
            "digest": "SHA384",
            "timestamp": NOW * 1_000,
            "pcrs": {number: bytes([number + 1]) * 48 for number in range(3)},
            "certificate": self.root.issue("enclave", self.key).public_bytes(Encoding.DER),
            "cabundle": [self.root.chain[-1].public_bytes(Encoding.DER)],
            "public_key": b"",
            "user_data": bytes(32),
            "nonce": b"",
        }
        return {what: value for what, value in (facts | changes).items() if value is not None}

    def document(self, **changes: object) -> bytes:
        """Make a document."""
        payload = cbor2.dumps(self.facts(**changes))
        said = cbor2.dumps(["Signature1", self.header, b"", payload])
        r, s = decode_dss_signature(self.key.sign(said, ec.ECDSA(hashes.SHA384())))
        return cbor2.dumps([self.header, self.unprotected, payload, r.to_bytes(48, "big") + s.to_bytes(48, "big")])
