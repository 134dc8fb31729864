"""
Evidence of AMD's SEV-SNP: attestation reports, verified up to the root keys of Milan, Genoa and Turin.

A report is signed by the chip's own key (VCEK), whose certificate names the chip and the versions of its firmware; AMD issues it. Reports
under keys of cloud providers (VLEK) are read, and count as weak. AMD's lists of revoked certificates are not asked for.

Source: AMD SEV-SNP Firmware ABI (56860), tables 23 and 134; AMD VCEK certificate and KDS interface (57230), tables 8 and 9.
"""

from __future__ import annotations

from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from voisin.attestation.certificates import expiry_of, known_chain, read_der, require_chain
from voisin.attestation.claims import Claims, TcbStatus, Technology, Weakness
from voisin.errors import TrustError
from voisin.units import UnixSeconds

LENGTH: Final = 0x4A0
SIGNED: Final = 0x2A0
SCALAR, SCALAR_ROOM = 48, 72
"""Bytes of a number of a signature, and the room it has, little end first."""
ECDSA_P384_SHA384: Final = 1
PRODUCTS: Final = ("milan", "genoa", "turin")

_POLICY_MIGRATABLE, _POLICY_DEBUG = 1 << 18, 1 << 19
_SIGNING_KEY, _BY_VCEK = 0b111 << 2, 0
_TCB_OLD = {"boot_loader": 0, "tee": 1, "snp": 6, "microcode": 7}
_TCB_TURIN = {"fmc": 0, "boot_loader": 1, "tee": 2, "snp": 3, "microcode": 7}
"""Where the eight bytes of a version have its parts."""
_OID = "1.3.6.1.4.1.3704.1."
_TCB_OIDS = {"boot_loader": "3.1", "tee": "3.2", "snp": "3.3", "microcode": "3.8", "fmc": "3.9"}
_CHIP_OID = "4"
_TCB_QUERY = {"boot_loader": "blSPL", "tee": "teeSPL", "snp": "snpSPL", "microcode": "ucodeSPL", "fmc": "fmcSPL"}
WITH_CPUID: Final = 3
"""Version of reports from which on they name the processor."""
_FAMILIES = {(0x19, 0x0): "milan", (0x19, 0x1): "genoa", (0x19, 0xA): "genoa", (0x1A, 0x0): "turin", (0x1A, 0x1): "turin"}
"""Products by family and extended model."""


class SnpCollateral(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The certificate of the chip's key, DER, as AMD's service gives it for the chip and versions that a report names."""

    vcek: bytes


def verify_snp(report: bytes, collateral: SnpCollateral, now: UnixSeconds) -> Claims:
    """
    Verify a report.

    Args:
        report: The report, 1,184 bytes.
        collateral: The certificate of the key that signed it.
        now: The time of verification.

    Raises:
        TrustError: A byte of the report or the certificate is not AMD's, or it is expired; the message says what.
    """
    _require_length(report)
    vcek = read_der(collateral.vcek, "the chip's certificate")
    product, chain = _issued_by(vcek)
    require_chain(chain, chain[-1], now, "the chain of the chip's certificate")
    _require_signature(report, vcek)
    versions = _versions(report[0x180:0x188], product)
    _require_same_chip(report, vcek, versions)
    return Claims(
        technology=Technology.SNP,
        measurements={"measurement": report[0x90:0xC0].hex(), "host_data": report[0xC0:0xE0].hex(), "id_key": report[0xE0:0x110].hex()},
        report_data=report[0x50:0x90],
        platform=report[0x1A0:0x1E0].hex(),
        status=TcbStatus.UNRATED,
        versions={**versions, "guest": _number(report, 4, 4)},
        weaknesses=_weaknesses(report),
        valid_until=expiry_of(chain),
    )


def platform_of(report: bytes) -> tuple[str, str, tuple[tuple[str, int], ...]]:
    """
    Say which certificate a report needs: the product if it names it (reports of version 3 and later), the chip's number in hex, and
    the versions of its firmware as AMD's service is asked for them.

    Raises:
        TrustError: It is no report.

    Source: AMD VCEK certificate and KDS interface (57230), section 4.1; CPUID Fn0000_0001.
    """
    _require_length(report)
    product = _FAMILIES.get((report[0x188], report[0x189] >> 4), "") if _number(report, 0, 4) >= WITH_CPUID else ""
    chip = report[0x1A0:0x1E0]
    versions = _versions(report[0x180:0x188], product)
    query = tuple((_TCB_QUERY[name], version) for name, version in versions.items())
    return product, (chip[:8] if product == "turin" else chip).hex(), query


def _require_length(report: bytes) -> None:
    if len(report) != LENGTH:
        raise TrustError(f"a report has {LENGTH} bytes, not {len(report)}")


def _issued_by(vcek: x509.Certificate) -> tuple[str, list[x509.Certificate]]:
    """Find the product whose key issued a chip's certificate, by the name of the issuer."""
    for product in PRODUCTS:
        chain = known_chain(f"amd-{product}")
        if vcek.issuer == chain[0].subject:
            return product, [vcek, *chain]
    raise TrustError(f"the chip's certificate is issued by {vcek.issuer.rfc4514_string()}, which is none of AMD's that we know")


def _require_signature(report: bytes, vcek: x509.Certificate) -> None:
    key = vcek.public_key()
    if not isinstance(key, EllipticCurvePublicKey) or _number(report, 0x34, 4) != ECDSA_P384_SHA384:
        raise TrustError("the report is not signed as AMD's are")
    r, s = report[SIGNED:][:SCALAR_ROOM], report[SIGNED + SCALAR_ROOM :][:SCALAR_ROOM]
    if any(r[SCALAR:]) or any(s[SCALAR:]) or any(report[SIGNED + 2 * SCALAR_ROOM :]):
        raise TrustError("there is something behind the signature of the report")
    signature = encode_dss_signature(int.from_bytes(r, "little"), int.from_bytes(s, "little"))
    try:
        key.verify(signature, report[:SIGNED], ECDSA(SHA384()))
    except InvalidSignature:
        raise TrustError("the report is not signed by the chip's key, or was changed") from None


def _require_same_chip(report: bytes, vcek: x509.Certificate, versions: dict[str, int]) -> None:
    """Require that a certificate is for the chip and the versions that the report names: AMD gives each its own."""
    extensions = {extension.oid.dotted_string: extension.value for extension in vcek.extensions}

    def value(oid: str) -> bytes:
        """Read one of AMD's extensions."""
        found = extensions.get(_OID + oid)
        if not isinstance(found, x509.UnrecognizedExtension):
            raise TrustError(f"the chip's certificate has no extension {_OID}{oid}")
        return found.value

    chip = value(_CHIP_OID)
    if not chip or chip.ljust(64, b"\0") != report[0x1A0:0x1E0]:  # Turin's numbers are shorter
        raise TrustError("the chip's certificate is for another chip than the report")
    for name, version in versions.items():
        if value(_TCB_OIDS[name]) != _der_integer(version):
            raise TrustError(f"the chip's certificate is for another {name.replace('_', ' ')} than version {version} of the report")


def _versions(tcb: bytes, product: str) -> dict[str, int]:
    places = _TCB_TURIN if product == "turin" else _TCB_OLD
    return {name: tcb[place] for name, place in places.items()}


def _weaknesses(report: bytes) -> tuple[Weakness, ...]:
    policy = _number(report, 8, 8)
    found = {
        Weakness.DEBUGGABLE: policy & _POLICY_DEBUG,
        Weakness.MIGRATABLE: policy & _POLICY_MIGRATABLE,
        Weakness.SHARED_KEY: _number(report, 0x48, 4) & _SIGNING_KEY != _BY_VCEK,
        Weakness.INNER_LEVEL: _number(report, 0x30, 4),
    }
    return tuple(weakness for weakness, is_there in found.items() if is_there)


def _number(report: bytes, at: int, length: int) -> int:
    return int.from_bytes(report[at : at + length], "little")


def _der_integer(value: int) -> bytes:
    """Write a byte as a DER integer."""
    body = value.to_bytes(1 + (value >= 0x80), "big")
    return bytes((2, len(body))) + body
