"""
Evidence of Intel's enclaves: SGX and TDX quotes, verified against Intel's collateral.

The signatures, the platform's level and the revocation lists are judged by the library `dcap_qvl`; what it passes over is
checked here: the layout of the quote, the root and form of every chain, the issuer of the list of revoked certificates. It answers an
outdated or debuggable platform as a success; that is judged by the policy.
"""

from __future__ import annotations

from types import ModuleType

import msgspec

from voisin.attestation.certificates import known_chain, read_chain, require_chain
from voisin.attestation.claims import Claims, TcbStatus, Technology, Weakness
from voisin.attestation.extras import require_module
from voisin.attestation.intel_quote import QuoteParts, read_parts
from voisin.errors import TrustError
from voisin.units import UnixSeconds

SGX_FIELDS = {"mr_enclave": (64, 32), "mr_signer": (128, 32), "isv_prod_id": (256, 2), "isv_svn": (258, 2)}
"""Where an enclave's report has what measures it: offset and length [bytes]; source: Intel SDM volume 3D, table 39-21."""
SGX_ATTRIBUTES, SGX_DEBUG, SGX_DATA = 48, 0x02, 320
TDX_FIELDS = {
    "mr_td": (136, 48),
    "mr_config_id": (184, 48),
    "mr_owner": (232, 48),
    "mr_owner_config": (280, 48),
    "rt_mr0": (328, 48),
    "rt_mr1": (376, 48),
    "rt_mr2": (424, 48),
    "rt_mr3": (472, 48),
}
"""The same of a TD's report; source: Intel TDX Module ABI, TDREPORT; TDX DCAP Quoting Library API, A.3.2."""
TDX_ATTRIBUTES, TDX_DATA = 120, 520
DATA = 64


class IntelCollateral(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What Intel publishes to verify a quote with: chains in PEM, lists and signatures in hex, signed JSON as text."""

    pck_crl_issuer_chain: str
    root_ca_crl: str
    pck_crl: str
    tcb_info_issuer_chain: str
    tcb_info: str
    tcb_info_signature: str
    qe_identity_issuer_chain: str
    qe_identity: str
    qe_identity_signature: str


class _Tcb(msgspec.Struct, frozen=True):
    status: TcbStatus
    advisory_ids: tuple[str, ...]
    eval_data_number: int


class _Pck(msgspec.Struct, frozen=True):
    ppid: tuple[int, ...]
    platform_instance_id: tuple[int, ...] | None = None


class _Platform(msgspec.Struct, frozen=True):
    pck: _Pck


class _Verdict(msgspec.Struct, frozen=True):
    """What we read of the library's answer."""

    tcb: _Tcb
    platform: _Platform
    earliest_issue_date: int
    earliest_expiration_date: int
    qe_iden_earliest_expiration_date: int


def verify_intel(quote: bytes, collateral: IntelCollateral, now: UnixSeconds) -> Claims:
    """
    Verify a quote.

    Args:
        quote: The quote.
        collateral: What Intel publishes about its platform, not expired.
        now: The time of verification.

    Raises:
        TrustError: A byte of the quote or the collateral is not Intel's, or something is expired or revoked; the message says what.
    """
    library = require_module("dcap_qvl")
    parts = read_parts(quote)
    root = known_chain("intel-sgx")[-1]
    require_chain(parts.chain, root, now, "the chain in the quote")
    for name in ("pck_crl_issuer_chain", "tcb_info_issuer_chain", "qe_identity_issuer_chain"):
        chain: str = getattr(collateral, name)
        require_chain(read_chain(chain.encode(), name), root, now, name)
    verdict = _verdict(library, quote, collateral, now)
    pck = verdict.platform.pck
    return Claims(
        technology=Technology.TDX if parts.is_tdx else Technology.SGX,
        measurements=_measurements(parts),
        report_data=parts.report[TDX_DATA if parts.is_tdx else SGX_DATA :][:DATA],
        platform=bytes(pck.platform_instance_id or pck.ppid).hex(),
        status=verdict.tcb.status,
        advisories=verdict.tcb.advisory_ids,
        versions={"tcb_evaluation": verdict.tcb.eval_data_number},
        weaknesses=(Weakness.DEBUGGABLE,) if _is_debuggable(parts) else (),
        valid_until=UnixSeconds(min(verdict.earliest_expiration_date, verdict.qe_iden_earliest_expiration_date)),
    )


def platform_of(quote: bytes) -> tuple[str, str]:
    """
    Say what collateral a quote needs: the platform's FMSPC (12 hex digits), and whose certificates it has (`processor` or `platform`).

    Raises:
        TrustError: It is no quote.
    """
    library = require_module("dcap_qvl")
    read_parts(quote)
    try:
        parsed = library.parse_quote(quote)
        return parsed.fmspc(), parsed.ca()
    except ValueError as error:
        raise TrustError(f"the quote does not say which platform it is of: {error}") from None


def _verdict(library: ModuleType, quote: bytes, collateral: IntelCollateral, now: UnixSeconds) -> _Verdict:
    try:
        read = library.QuoteCollateralV3.from_json(msgspec.json.encode(collateral).decode())
        policy = library.QuotePolicy.claims_only(now)
        answer = library.QuoteVerifier().verify_with_policy(quote, read, now, policy).to_json()
    except ValueError as error:
        raise TrustError(f"the quote is not verified: {error}") from None
    return msgspec.json.decode(answer, type=_Verdict)


def _measurements(parts: QuoteParts) -> dict[str, str]:
    fields = TDX_FIELDS if parts.is_tdx else SGX_FIELDS
    return {name: parts.report[at : at + length].hex() for name, (at, length) in fields.items()}


def _is_debuggable(parts: QuoteParts) -> bool:
    """Tell whether an enclave is for debugging; of a TD the whole first byte says that it is not to be trusted."""
    if parts.is_tdx:
        return parts.report[TDX_ATTRIBUTES] != 0
    return bool(parts.report[SGX_ATTRIBUTES] & SGX_DEBUG)
