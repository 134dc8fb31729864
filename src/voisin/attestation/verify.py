"""Evidence of any kind, verified."""

from __future__ import annotations

from voisin.attestation.amd import SnpCollateral, verify_snp
from voisin.attestation.claims import Claims, TcbStatus, Technology
from voisin.attestation.intel import IntelCollateral, verify_intel
from voisin.attestation.nitro import verify_nitro
from voisin.errors import InputError
from voisin.protocol.evidence import Evidence, IntelQuote, NitroDocument, SimulatedEvidence, SnpReport
from voisin.units import UnixSeconds

Collateral = IntelCollateral | SnpCollateral | None
"""What a maker publishes to verify its evidence with; nothing for evidence that brings all of it."""


def verify(evidence: Evidence, collateral: Collateral, now: UnixSeconds) -> Claims:
    """
    Verify what an enclave shows for itself.

    Simulated evidence is verified to be that: its claims hold nothing, and no policy takes it that was not told to.

    Args:
        evidence: What it shows.
        collateral: What its maker publishes about its machine.
        now: The time of verification.

    Raises:
        InputError: The collateral is another maker's.
        StateError: A library is missing that only this kind of evidence needs.
        TrustError: It is not the maker's as it stands, or is expired or revoked.
    """
    match evidence, collateral:
        case IntelQuote(), IntelCollateral():
            return verify_intel(evidence.quote, collateral, now)
        case SnpReport(), SnpCollateral():
            return verify_snp(evidence.report, collateral, now)
        case NitroDocument(), None:
            return verify_nitro(evidence.document, now)
        case SimulatedEvidence(), None:
            return Claims(technology=Technology.SIMULATED, measurements={}, report_data=b"", platform="", status=TcbStatus.UNRATED)
        case _:
            raise InputError(f"evidence of kind {type(evidence).__name__} is not verified with this collateral")
