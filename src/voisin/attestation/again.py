"""Judging again what enclaves showed to a vault, at the time at which it judged them, with what their makers had published then."""

from __future__ import annotations

import msgspec

from voisin.attestation.amd import SnpCollateral
from voisin.attestation.claims import Claims
from voisin.attestation.intel import IntelCollateral
from voisin.attestation.policy import EnclavePolicy, judge
from voisin.attestation.verify import Collateral, verify
from voisin.errors import InputError, TrustError
from voisin.protocol.codec import decode
from voisin.protocol.consent import VaultId
from voisin.protocol.evidence import IntelQuote, KeptEvidence, SimulatedEvidence, SnpReport, read_kept, technology_of
from voisin.protocol.ids import Address, Hash32, TaskId, from_hex
from voisin.protocol.sessions import SessionWish, evidence_binding
from voisin.protocol.signatures import message_digest, signed_by
from voisin.protocol.vault_terms import SessionEvidence, TaskEvidence, evidence_digest
from voisin.units import UnixSeconds

SIMULATED = "it is simulated, and proves nothing"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """
    What evidence of one session is worth.

    Attributes:
        worker: Whose machine it was.
        at: When the vault judged it.
        technology: Whose hardware it is.
        measurements: What ran in it, by register.
        status: What the maker says of the platform.
        is_signed: Whether the vault signed that it was shown this, for this task, worker and key.
        valid_until: When what it was verified with expires; 0 where that is not known.
        reasons: Everything that speaks against it; empty for good evidence.
    """

    worker: Address
    at: UnixSeconds
    technology: str
    measurements: dict[str, str]
    status: str
    is_signed: bool
    valid_until: UnixSeconds = UnixSeconds(0)
    reasons: tuple[str, ...]


def judge_again(found: TaskEvidence, policy: EnclavePolicy | None = None, *, at: UnixSeconds | None = None) -> tuple[Verdict, ...]:
    """
    Verify the evidence of a task again.

    Args:
        found: What the vault shows.
        policy: What is asked of enclaves; None asks that evidence is genuine, was made for this very session, and hides what is in it,
            whatever program runs there.
        at: The time of verification; when the vault judged each enclave unless given.

    Returns:
        A verdict for each session.

    Raises:
        InputError: What is kept is malformed.
        StateError: A library is missing that this kind of evidence needs.
    """
    vault = VaultId(vault=found.vault, chain_id=found.chain_id, hub=found.hub)
    return tuple(_verdict(vault, found.task_id, session, policy, at) for session in found.sessions)


def technologies_of(found: TaskEvidence) -> tuple[str, ...]:
    """
    Say whose hardware the enclaves of a task say that they are; `simulated` for none.

    Raises:
        InputError: What is kept is malformed.
    """
    kept = (read_kept(session.kept) for session in found.sessions)
    return tuple(dict.fromkeys(technology_of(each.evidence if isinstance(each, KeptEvidence) else each) for each in kept))


def _verdict(vault: VaultId, task: TaskId, session: SessionEvidence, policy: EnclavePolicy | None, at: UnixSeconds | None) -> Verdict:
    digest = message_digest(from_hex(evidence_digest(vault, task, session)))
    kept = read_kept(session.kept)
    claims, reasons = _simulated() if isinstance(kept, SimulatedEvidence) else _claims(vault, task, session, kept, policy=policy, at=at)
    return Verdict(
        worker=session.worker,
        at=session.at,
        technology="unknown" if claims is None else claims.technology.value,
        measurements={} if claims is None else dict(claims.measurements),
        status="unknown" if claims is None else claims.status.value,
        is_signed=signed_by(vault.vault, digest, session.signature),
        valid_until=(claims.valid_until if claims is not None else None) or UnixSeconds(0),
        reasons=reasons,
    )


def _simulated() -> tuple[Claims, tuple[str, ...]]:
    return verify(SimulatedEvidence(), None, UnixSeconds(0)), (SIMULATED,)


def _claims(
    vault: VaultId, task: TaskId, session: SessionEvidence, kept: KeptEvidence, *, policy: EnclavePolicy | None, at: UnixSeconds | None
) -> tuple[Claims | None, tuple[str, ...]]:
    wish = SessionWish(task_id=task, enclave=session.enclave, session_key=session.session_key, authorization="0x")
    binding = evidence_binding(wish, vault, session.worker)
    now = kept.verified_at if at is None else at
    try:
        claims = verify(kept.evidence, _collateral(kept), now)
    except TrustError as error:
        return None, (error.message,)
    asked = policy or _anything(claims)
    reasons = judge(claims, asked, from_hex(binding), now)
    return claims, reasons + _kept_otherwise(kept, binding, session)


def _kept_otherwise(kept: KeptEvidence, binding: Hash32, session: SessionEvidence) -> tuple[str, ...]:
    reasons = []
    if kept.binding != binding:
        reasons.append("the vault held it against another session")
    if abs(kept.verified_at - session.at) > 1:
        reasons.append("the vault verified it at another time than it says")
    return tuple(reasons)


def _anything(claims: Claims) -> EnclavePolicy:
    """Ask for no program and no level in particular."""
    return EnclavePolicy(
        measurements=(dict(claims.measurements),), statuses=frozenset({claims.status}), tolerated=frozenset(claims.advisories)
    )


def _collateral(kept: KeptEvidence) -> Collateral:
    match kept.evidence:
        case IntelQuote():
            return decode(bytes(kept.collateral), IntelCollateral, "the collateral")
        case SnpReport():
            return decode(bytes(kept.collateral), SnpCollateral, "the collateral")
        case _:
            if bytes(kept.collateral) != b"null":
                raise InputError("there is collateral with evidence that needs none")
            return None
