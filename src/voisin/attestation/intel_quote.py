"""
The layout of Intel's quotes (versions 3, 4 and 5), read so that every byte of a quote is accounted for.

A quote is a header and a report, signed; behind them a length, the signature and what it is verified with: the report of the quoting
enclave, its signature, and the chain of the platform's certificate. Verifiers look at what they need; here the rest must be as
it is always written, so that evidence has one form only. Padding behind the end must be zero.

Source: Intel SGX ECDSA Quote Library Reference, appendix A; Intel TDX DCAP Quoting Library API, appendix 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.x509 import Certificate

from voisin.attestation.certificates import read_chain
from voisin.errors import TrustError

HEADER: Final = 48
SGX_REPORT: Final = 384
TD_REPORTS: Final = {2: 584, 3: 648}
"""Length of a TD's report by the type of body that version 5 names: TDX 1.0 and 1.5."""
SIGNATURE: Final = 64
KEY: Final = 64
QE_REPORT: Final = 384
QE_CERTIFICATION: Final = 6
"""Type of what follows the key in version 4 and later: report and certificates of the quoting enclave."""
PCK_CHAIN: Final = 5
"""Type of certification: a PEM chain from the platform's certificate to Intel's root."""
SGX, TDX = 0x00, 0x81


@dataclass(frozen=True, slots=True)
class QuoteParts:
    """What we need of a quote: whether it is a TD's, the report, and the chain of the platform's certificate."""

    is_tdx: bool
    report: bytes
    chain: tuple[Certificate, ...]


class _Reader:
    """Takes bytes off a quote, front to back."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """Take so many bytes."""
        if count > len(self._data) - self._at:
            raise TrustError(f"the quote ends after {len(self._data)} bytes, in the middle")
        found = self._data[self._at : self._at + count]
        self._at += count
        return found

    def number(self, count: int) -> int:
        """Take a number of so many bytes, the little end first."""
        return int.from_bytes(self.take(count), "little")

    def rest(self) -> bytes:
        """Give what was not taken."""
        return self._data[self._at :]


def read_parts(quote: bytes) -> QuoteParts:
    """
    Take a quote apart.

    Raises:
        TrustError: It is not laid out as a quote is.
    """
    reader = _Reader(quote)
    header = reader.take(HEADER)
    version, kind = int.from_bytes(header[:2], "little"), int.from_bytes(header[4:8], "little")
    if version not in (3, 4, 5) or kind not in (SGX, TDX) or (version == 3 and kind != SGX):
        raise TrustError(f"a quote of version {version} and kind {kind:#x} is not known here")
    report = reader.take(_report_length(reader, version, kind))
    signed = _Reader(reader.take(reader.number(4)))
    if any(reader.rest()):
        raise TrustError("there is something behind the end of the quote")
    signed.take(SIGNATURE + KEY)
    if version > 3:
        _require_type(signed, QE_CERTIFICATION)
        signed = _only(signed, signed.number(4))
    signed.take(QE_REPORT + SIGNATURE)
    signed.take(signed.number(2))
    _require_type(signed, PCK_CHAIN)
    chain = _only(signed, signed.number(4)).rest()
    return QuoteParts(kind == TDX, report, tuple(read_chain(_without_end(chain), "the chain in the quote")))


def _report_length(reader: _Reader, version: int, kind: int) -> int:
    if version < 5:
        return SGX_REPORT if kind == SGX else TD_REPORTS[2]
    body = reader.number(2)
    expected = SGX_REPORT if body == 1 else TD_REPORTS.get(body)
    if expected is None or reader.number(4) != expected or (body == 1) != (kind == SGX):
        raise TrustError(f"a report of type {body} is not known here")
    return expected


def _require_type(reader: _Reader, wanted: int) -> None:
    found = reader.number(2)
    if found != wanted:
        raise TrustError(f"the quote is certified by data of type {found}, not {wanted}")


def _only(reader: _Reader, count: int) -> _Reader:
    """Take the last part of something."""
    part = _Reader(reader.take(count))
    if reader.rest():
        raise TrustError("there is something behind the certificates of the quote")
    return part


def _without_end(text: bytes) -> bytes:
    """Take the NUL off that ends a chain in some quotes."""
    return text[:-1] if text.endswith(b"\0") else text
