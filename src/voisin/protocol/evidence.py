"""
What an enclave shows for itself, as it goes over the wire and is kept with a task: a union tagged by `kind`.

Binary members are base64. What is needed to verify it is not in it, but published by the maker of the hardware.
"""

from __future__ import annotations

from typing import Final

import msgspec

from voisin.errors import InputError
from voisin.protocol.ids import Hash32
from voisin.units import UnixSeconds

_TDX: Final = (0x81).to_bytes(4, "little")


class SimulatedEvidence(msgspec.Struct, frozen=True, tag_field="kind", tag="simulated", forbid_unknown_fields=True):
    """No evidence: the enclave is a plain process. A vault takes it only if it was told to allow simulated enclaves."""


class IntelQuote(msgspec.Struct, frozen=True, tag_field="kind", tag="intel-quote", forbid_unknown_fields=True):
    """A quote of an SGX enclave or a TDX machine."""

    quote: bytes

    @property
    def is_tdx(self) -> bool:
        """Whether it is a machine's; what it says of itself, until it is verified."""
        return self.quote[4:8] == _TDX


class SnpReport(msgspec.Struct, frozen=True, tag_field="kind", tag="amd-snp-report", forbid_unknown_fields=True):
    """An attestation report of an SEV-SNP machine."""

    report: bytes


class NitroDocument(msgspec.Struct, frozen=True, tag_field="kind", tag="aws-nitro-document", forbid_unknown_fields=True):
    """An attestation document of a Nitro enclave."""

    document: bytes


Evidence = SimulatedEvidence | IntelQuote | SnpReport | NitroDocument


class KeptEvidence(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="verified"):
    """
    Real evidence as a vault keeps it with each use of a secret: anyone who has it can verify it again.

    Attributes:
        evidence: What the enclave showed.
        collateral: What its maker had published; None for evidence that brings all of it.
        binding: What it had to be made over.
        verified_at: When it was verified.
    """

    evidence: Evidence
    collateral: msgspec.Raw
    binding: Hash32
    verified_at: UnixSeconds


def technology_of(evidence: Evidence) -> str:
    """Say in one word what kind of evidence this is, as `voisin.attestation.Technology` spells it; what it says of itself."""
    match evidence:
        case IntelQuote():
            return "intel-tdx" if evidence.is_tdx else "intel-sgx"
        case SnpReport():
            return "amd-sev-snp"
        case NitroDocument():
            return "aws-nitro"
        case SimulatedEvidence():
            return "simulated"


_kept: msgspec.json.Decoder[SimulatedEvidence | KeptEvidence] = msgspec.json.Decoder(SimulatedEvidence | KeptEvidence)


def read_kept(text: str) -> SimulatedEvidence | KeptEvidence:
    """
    Read evidence as a vault keeps it.

    Raises:
        InputError: It is malformed.
    """
    try:
        return _kept.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InputError(f"the evidence is malformed: {error}") from None
