"""A vault: its safe and its sessions, over one cabinet and one chain."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from importlib.metadata import version

import msgspec

from voisin.errors import UnavailableError
from voisin.protocol.consent import VaultId
from voisin.protocol.ids import Address
from voisin.protocol.secrets import VaultView
from voisin.service.enclaves import RealEnclaves
from voisin.vault.book import Book
from voisin.vault.cabinet import Cabinet
from voisin.vault.conditions import Conditions
from voisin.vault.consents import Consents
from voisin.vault.evidence import Attestor
from voisin.vault.held import HeldResults
from voisin.vault.keyring import Keyring
from voisin.vault.ledger import Ledger
from voisin.vault.mark import open_mark
from voisin.vault.metrics import VaultMetrics
from voisin.vault.records import VaultStore
from voisin.vault.safe import Safe
from voisin.vault.sessions import Sessions
from voisin.vault.settings import VaultSettings
from voisin.vault.standing import Memory
from voisin.vault.terms import TermsDesk


class VaultHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How a vault is."""

    status: str
    chain_id: int


class VaultService:
    """
    A vault.

    Attributes:
        settings: How it is set up.
        safe: Its secrets, as their owners deal with them.
        sessions: The vault as pools and workers deal with it.
        terms: Terms of use, as owners deal with them.
        held: Results that wait for a release.
        memory: What must never be forgotten.
        metrics: What it counts.
    """

    def __init__(
        self,
        settings: VaultSettings,
        cabinet: Cabinet,
        ledger: Ledger,
        address: Address,
        wall: Callable[[], float],
        real: RealEnclaves | None,
    ) -> None:
        """
        Args:
            settings: How it is set up.
            cabinet: Its sealed records; `open_service` opens them first.
            ledger: The chain.
            address: The address of the vault's own key.
            wall: This machine's clock [Unix s].
            real: Judges real enclaves; None refuses them.
        """
        domain = ledger.domain
        self.settings = settings
        self.id = VaultId(vault=address, chain_id=domain.chain_id, hub=domain.hub)
        self.metrics = VaultMetrics()
        self._cabinet = cabinet
        self._ledger = ledger
        consents = Consents(self.id, ledger, cabinet.store, wall=wall, ttl_s=settings.consent_ttl_s)
        self._consents = consents
        self.safe = Safe(cabinet, ledger, consents)
        attestor = Attestor(self.id, allow_simulated=settings.allow_simulated, real=real, now=consents.now)
        terms = cabinet.store.terms
        self.memory = Memory(terms, open_mark(settings, address), ledger)
        self._book = Book(terms, ledger)
        conditions = Conditions(terms, ledger, self._book, self.memory)
        self.terms = TermsDesk(cabinet, ledger, consents, self.memory)
        self.held = HeldResults(cabinet, ledger, consents, conditions)
        self.sessions = Sessions(cabinet, ledger, consents, attestor, conditions=conditions, memory=self.memory)

    def view(self) -> VaultView:
        """Present the vault."""
        return VaultView(
            vault=self.id.vault,
            chain_id=self.id.chain_id,
            hub=self.id.hub,
            allow_simulated=self.settings.allow_simulated,
            version=version("voisin"),
        )

    async def health(self) -> VaultHealth:
        """
        Tell how the vault is.

        Raises:
            UnavailableError: The chain or the database does not answer.
        """
        await self._ledger.now()
        if await self._cabinet.store.identity() is None:
            raise UnavailableError("the vault's records are gone", hint="bring the database back from a backup")
        return VaultHealth(status="ok", chain_id=self.id.chain_id)

    async def sweep(self) -> int:
        """Delete challenges of ended tasks and spent nonces, and read new deals; answers how many challenges."""
        await self._book.catch_up()
        return await self._cabinet.store.forget(wall=self._consents.now(), chain=await self._ledger.now())


async def open_service(
    settings: VaultSettings,
    store: VaultStore,
    keyring: Keyring,
    ledger: Ledger,
    wall: Callable[[], float],
    real: RealEnclaves | None = None,
) -> VaultService:
    """
    Open a vault's records and make it ready.

    Args:
        settings: How it is set up.
        store: Its records.
        keyring: What they are sealed under.
        ledger: The chain.
        wall: This machine's clock [Unix s].
        real: Judges real enclaves; None refuses them.

    Raises:
        TrustError: The keyring does not open the records.
        UnavailableError: The chain or the mark does not answer.
    """
    cabinet = Cabinet(store, keyring, ledger.domain, secrets.token_bytes)
    address = await cabinet.open()
    service = VaultService(settings, cabinet, ledger, address, wall, real)
    await service.memory.open()
    return service
