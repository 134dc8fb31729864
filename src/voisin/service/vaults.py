"""
A vault as pools and workers see it: the challenge of a task for the pool, a session for the enclave that a worker runs.

The vault makes a fresh key for each task, tells its address to the workerpool's owner alone, and the key to the task's enclave
alone. Whoever asks signs a consent, which counts for this vault, once and for a short time.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Protocol

import httpx
import msgspec

from voisin.errors import TrustError, UnavailableError, VoisinError
from voisin.protocol.api import Problem, error_of
from voisin.protocol.codec import decode, encode
from voisin.protocol.consent import CONSENT_HEADER, VaultId, give_consent, write_consent
from voisin.protocol.data_terms import Keeper
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, Hash32, TaskId, as_address, to_hex
from voisin.protocol.secrets import VaultView
from voisin.protocol.sessions import (
    CHALLENGE_ACT,
    SESSION_ACT,
    SHARE_ACT,
    SealedSession,
    SessionRequest,
    SessionWish,
    TaskChallenge,
    challenge_lines,
    request_session,
)
from voisin.protocol.signatures import Signer
from voisin.protocol.vault_terms import TermsPage
from voisin.units import UnixSeconds

CONSENT_S = 120
"""How long a signature for the vault counts [s]."""


class Challenges(Protocol):
    """A vault as a pool sees it."""

    async def challenge(self, task_id: TaskId) -> Address:
        """
        Ask for a task's challenge; the same each time.

        Raises:
            UnavailableError: The vault does not answer.
            VoisinError: It refuses.
        """
        ...


@dataclass(frozen=True)
class Session:
    """A session as its enclave needs it: what was asked of which vault, and what it answered, sealed."""

    request: SessionRequest
    vault: VaultId
    sealed: SealedSession


class Sessions(Protocol):
    """A vault as a worker sees it."""

    async def identity(self) -> VaultId:
        """
        Ask which vault it is.

        Raises:
            TrustError: It serves another market.
            UnavailableError: The vault does not answer.
        """
        ...

    async def session(self, wish: SessionWish) -> Session:
        """
        Ask for the secrets of a task, sealed to its enclave's key.

        Raises:
            UnavailableError: The vault does not answer.
            VoisinError: It refuses.
        """
        ...

    async def shares(self, wish: SessionWish) -> Session:
        """Ask for this vault's shares of keys that several keep together, sealed likewise; raises as `session`."""
        ...

    async def keepers(self, dataset: Address) -> tuple[Keeper, ...]:
        """Ask which vaults keep shares of a dataset's key; none where one vault keeps it whole. Raises as `session`."""
        ...


class HttpVault:
    """A vault behind its HTTP API; see `Challenges` and `Sessions`."""

    def __init__(self, http: httpx.AsyncClient, vault_url: str, domain: Domain, wallet: Signer) -> None:
        """
        Args:
            http: The client; it stays the caller's.
            vault_url: The vault's address.
            domain: The hub that the tasks are of.
            wallet: Who asks: the workerpool's owner for challenges, the worker for sessions.
        """
        self._http = http
        self._url = vault_url.rstrip("/")
        self._domain = domain
        self._wallet = wallet
        self._known: VaultId | None = None

    async def challenge(self, task_id: TaskId) -> Address:
        """Ask for a task's challenge."""
        vault = await self.identity()
        consent = give_consent(self._wallet, vault, CHALLENGE_ACT, challenge_lines(task_id), nonce=_nonce(), until=_until())
        answer = await self._ask("POST", f"/v1/tasks/{task_id}/challenge", headers={CONSENT_HEADER: write_consent(consent)})
        found = decode(answer, TaskChallenge, "the vault's answer")
        if found.task_id != task_id:
            raise TrustError(f"the vault at {self._url} answered for another task", hint="use another vault")
        return as_address(found.challenge)

    async def session(self, wish: SessionWish) -> Session:
        """Ask for the secrets of a task, sealed to its enclave's key."""
        return await self._sealed("/v1/sessions", wish, SESSION_ACT)

    async def shares(self, wish: SessionWish) -> Session:
        """Ask for this vault's shares of keys that several keep together."""
        return await self._sealed("/v1/shares", wish, SHARE_ACT)

    async def keepers(self, dataset: Address) -> tuple[Keeper, ...]:
        """Ask which vaults keep shares of a dataset's key."""
        page = decode(await self._ask("GET", f"/v1/datasets/{dataset}/terms"), TermsPage, "the dataset's terms of use")
        named = [keeper for entry in page.entries if not entry.revoked_at for keeper in entry.terms.keepers]
        return tuple({keeper.vault: keeper for keeper in named}.values())

    async def _sealed(self, path: str, wish: SessionWish, act: str) -> Session:
        vault = await self.identity()
        request = request_session(self._wallet, vault, wish, nonce=_nonce(), until=_until(), act=act)
        answer = await self._ask("POST", path, body=encode(request))
        return Session(request, vault, decode(answer, SealedSession, "the vault's answer"))

    async def identity(self) -> VaultId:
        """Ask which vault it is; once."""
        if self._known is None:
            view = decode(await self._ask("GET", "/v1/vault"), VaultView, "the vault's view")
            if (view.chain_id, as_address(view.hub)) != (self._domain.chain_id, self._domain.hub):
                raise TrustError(f"the vault serves hub {view.hub} on chain {view.chain_id}", hint="set vault_url to one of this market")
            self._known = VaultId(vault=as_address(view.vault), chain_id=view.chain_id, hub=as_address(view.hub))
        return self._known

    async def _ask(self, method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes | None = None) -> bytes:
        try:
            answer = await self._http.request(method, f"{self._url}{path}", headers=headers, content=body)
        except httpx.HTTPError as error:
            raise UnavailableError(f"the vault at {self._url} does not answer: {error or type(error).__name__}") from None
        if not answer.is_success:
            raise _refusal(answer)
        return answer.content


def _refusal(answer: httpx.Response) -> VoisinError:
    try:
        return error_of(msgspec.json.decode(answer.content, type=Problem))
    except msgspec.MsgspecError:
        return UnavailableError(f"the vault answers {answer.status_code}")


def _nonce() -> Hash32:
    return Hash32(to_hex(secrets.token_bytes(32)))


def _until() -> UnixSeconds:
    return UnixSeconds(int(time.time()) + CONSENT_S)
