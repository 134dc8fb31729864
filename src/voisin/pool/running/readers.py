"""
Who may read what an app printed: the requester of its deal, who proves it anew each time.

A client of the ecosystem signs a challenge of ours, which is for one address, counts for a while and is used up by one reading. Our
own clients sign a text with a nonce, which is remembered, and an end.
"""

from __future__ import annotations

import base64
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from voisin.errors import StateError, TrustError
from voisin.pool.chain.ledger import Ledger
from voisin.pool.database.logs import LogStore
from voisin.protocol.challenges import challenge_data, challenge_digest, read_challenge_proof
from voisin.protocol.consent import Consent
from voisin.protocol.ids import Address, Hash32, TaskId, from_hex
from voisin.protocol.log_access import MAX_VALID_S, log_access_digest
from voisin.units import UnixSeconds

SERVICE: Final = "iExec Core"
MAX_CHALLENGES: Final = 10_000
MAX_CHALLENGES_OF_ONE: Final = 16


class ForbiddenError(TrustError):
    """The signature is good, and whoever made it is not the requester."""


@dataclass(frozen=True, slots=True)
class _Challenge:
    reader: Address
    text: str
    until: float


class Readers:
    """Lets requesters in."""

    def __init__(self, ledger: Ledger, store: LogStore, workerpool: Address, *, challenge_s: float) -> None:
        """
        Args:
            ledger: The chain, whose hub is part of what is signed, and which knows contracts' signatures too.
            store: Remembers the nonces.
            workerpool: The pool, likewise part of what is signed.
            challenge_s: How long a challenge may be signed [s].
        """
        self._ledger = ledger
        self._store = store
        self._workerpool = workerpool
        self._challenge_s = challenge_s
        self._challenges: OrderedDict[Hash32, _Challenge] = OrderedDict()

    def challenge(self, reader: Address, chain_id: int, *, now: float) -> dict[str, object]:
        """
        Give an address a text to sign.

        Raises:
            TrustError: It asks for another chain.
            StateError: Too many are waiting to be signed.
        """
        if chain_id != self._ledger.domain.chain_id:
            raise TrustError(f"this pool works on chain {self._ledger.domain.chain_id}, not {chain_id}", hint="ask a pool of that chain")
        self._forget(now)
        own = [digest for digest, each in self._challenges.items() if each.reader == reader]
        if len(own) >= MAX_CHALLENGES_OF_ONE:
            return challenge_data(SERVICE, self._challenges[own[-1]].text, chain_id)
        if len(self._challenges) >= MAX_CHALLENGES:
            raise StateError("too many challenges are waiting to be signed", hint="try again later")
        text = base64.b64encode(secrets.token_bytes(32)).decode()
        self._challenges[challenge_digest(SERVICE, text, chain_id)] = _Challenge(reader, text, now + self._challenge_s)
        return challenge_data(SERVICE, text, chain_id)

    async def by_challenge(self, header: str | None, requester: Address, *, now: float) -> None:
        """
        Let a requester read once, by a signed challenge, which is used up.

        Raises:
            TrustError: The challenge is unknown, expired, used, of another chain, or signed by somebody else.
            ForbiddenError: The signer is not the requester.
        """
        proof = read_challenge_proof(header)
        self._forget(now)
        known = self._challenges.get(proof.digest)
        if known is None or known.reader != proof.signer:
            raise TrustError("the challenge is unknown, expired or used", hint="ask for another and sign that")
        if not await self._ledger.is_signed_by(proof.signer, from_hex(proof.digest), proof.signature):
            raise TrustError("the challenge is not signed by that address", hint="sign with the wallet whose address you send")
        if self._challenges.pop(proof.digest, None) is None:
            raise TrustError("the challenge is used", hint="ask for another and sign that")
        _require_requester(proof.signer, requester)

    async def by_consent(self, task: TaskId, consent: Consent, requester: Address, *, now: UnixSeconds) -> None:
        """
        Let a requester read once, by a text that it signed of its own accord.

        Raises:
            TrustError: It has expired, counts for too long, was used, is for another pool, chain or task, or is signed by somebody else.
            ForbiddenError: The signer is not the requester.
        """
        if not now < consent.until <= now + MAX_VALID_S:
            raise TrustError(f"the signature counts until {consent.until}, and it is {now}", hint=f"sign for at most {MAX_VALID_S} s ahead")
        digest = log_access_digest(self._workerpool, self._ledger.domain, task, consent)
        if not await self._ledger.is_signed_by(consent.signer, digest, consent.signature):
            raise TrustError("the signature is not one for this pool, chain and task", hint="sign for the pool that runs the task")
        _require_requester(consent.signer, requester)
        if not await self._store.use_nonce(consent.signer, consent.nonce, consent.until):
            raise TrustError("the signature was used before", hint="sign again with another nonce")

    def _forget(self, now: float) -> None:
        while self._challenges and next(iter(self._challenges.values())).until <= now:
            self._challenges.popitem(last=False)


def _require_requester(signer: Address, requester: Address) -> None:
    if signer != requester:
        raise ForbiddenError(f"{signer} did not buy this task", hint="only its requester reads what it printed")
