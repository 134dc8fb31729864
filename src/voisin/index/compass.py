"""
The directory of pools: which workerpool answers where, as its owner says.

A pool gets in by a signed statement and stays until the statement expires, a newer one replaces it, or the workerpool has
another owner. Whoever asks can check the statement again: the directory gives it out whole.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import structlog

from voisin.errors import InputError, StateError, TrustError
from voisin.index.settings import IndexSettings
from voisin.protocol.compass import PoolStatement, statement_digest
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address
from voisin.units import UnixSeconds

_log = structlog.get_logger()


class UnknownError(StateError):
    """Nothing of that name is in the index."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A statement, and who signed it."""

    statement: PoolStatement
    owner: Address


class Registrar(Protocol):
    """What the directory asks the chain; each answer is as of the latest block."""

    @property
    def domain(self) -> Domain:
        """The hub and the chain whose workerpools are listed."""
        ...

    async def is_workerpool(self, entry: Address) -> bool:
        """Tell whether an address is in the registry of workerpools."""
        ...

    async def owner_of(self, entry: Address) -> Address:
        """Name the present owner of a registered entry."""
        ...

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """Tell whether an account, by its key or as a contract (ERC-1271), signed a digest."""
        ...


class ListingWrite(Protocol):
    """One transaction on the listings; transactions run one after another."""

    async def listing(self, workerpool: Address) -> Listing | None:
        """Find the newest statement about a workerpool."""
        ...

    async def keep_listing(self, listing: Listing) -> None:
        """Keep a statement in the place of the one before."""
        ...


class ListingStore(Protocol):
    """Where the directory keeps the newest statement of each workerpool."""

    def write(self) -> AbstractAsyncContextManager[ListingWrite]:
        """Begin a transaction that is kept whole at the end of the context, or not at all when it is left by an error."""
        ...

    async def listing(self, workerpool: Address) -> Listing | None:
        """Find the newest statement about a workerpool."""
        ...


class Compass:
    """Takes statements in, and answers where a workerpool is."""

    def __init__(self, chain: Registrar, store: ListingStore, settings: IndexSettings, *, clock: Callable[[], UnixSeconds]) -> None:
        """
        Args:
            chain: Says who owns a workerpool.
            store: Keeps the statements.
            settings: How long a statement may count.
            clock: Tells the time.
        """
        self._chain = chain
        self._store = store
        self._settings = settings
        self._clock = clock

    async def take(self, statement: PoolStatement) -> PoolStatement:
        """
        List a pool where its owner says it is; the same statement twice is taken once.

        Raises:
            InputError: The address is no workerpool, or the statement's times make no sense.
            TrustError: It is for another chain or hub, has expired, comes from the future, or its owner did not sign it.
            StateError: It is not newer than the one that is listed.
        """
        self._check_place(statement)
        self._check_times(statement)
        if not await self._chain.is_workerpool(statement.workerpool):
            raise InputError(f"{statement.workerpool} is not in the workerpool registry", hint="check the address, and the chain")
        owner = await self._chain.owner_of(statement.workerpool)
        if not await self._chain.is_signed_by(owner, statement_digest(statement), statement.sign):
            raise TrustError(
                f"the statement is not signed by {owner}, who owns workerpool {statement.workerpool}", hint="use the owner's wallet"
            )
        async with self._store.write() as write:
            known = await write.listing(statement.workerpool)
            if known is not None and known.statement == statement:
                return statement
            if known is not None and known.statement.issued_at >= statement.issued_at:
                raise StateError(
                    f"the statement of {statement.issued_at} is not newer than the one that is listed, of {known.statement.issued_at}",
                    hint="issue another one",
                )
            await write.keep_listing(Listing(statement, owner))
        _log.info("pool_listed", workerpool=statement.workerpool, url=statement.api_url, expires_at=statement.expires_at)
        return statement

    async def find(self, workerpool: Address) -> PoolStatement:
        """
        Tell where a workerpool answers.

        Raises:
            UnknownError: Its owner never said, the statement has expired, or the workerpool has another owner now.
            UnavailableError: The chain does not answer.
        """
        known = await self._store.listing(workerpool)
        if known is None:
            raise UnknownError(f"where workerpool {workerpool} answers is not known here", hint="its owner must announce it")
        if known.statement.expires_at <= self._clock():
            raise UnknownError(f"the statement about workerpool {workerpool} has expired", hint="its owner must announce it again")
        if await self._owner(workerpool) != known.owner:
            raise UnknownError(f"workerpool {workerpool} has another owner now", hint="its new owner must announce it")
        return known.statement

    async def _owner(self, workerpool: Address) -> Address:
        try:
            return await self._chain.owner_of(workerpool)
        except StateError:  # a development chain that was started anew
            raise UnknownError(f"workerpool {workerpool} is in no registry") from None

    def _check_place(self, statement: PoolStatement) -> None:
        domain = self._chain.domain
        if (statement.chain_id, statement.hub) != (domain.chain_id, domain.hub):
            raise TrustError(
                f"the statement is for hub {statement.hub} on chain {statement.chain_id}, not for {domain.hub} on chain {domain.chain_id}",
                hint="announce the pool to an index of its own chain",
            )

    def _check_times(self, statement: PoolStatement) -> None:
        now = self._clock()
        if statement.expires_at <= statement.issued_at:
            raise InputError("the statement expires before it is issued")
        if statement.expires_at - statement.issued_at > self._settings.max_statement_s:
            raise InputError(f"a statement may count for {self._settings.max_statement_s} s at most", hint="renew it from time to time")
        if statement.expires_at <= now:
            raise TrustError(f"the statement expired at {statement.expires_at}, it is {now}", hint="issue another one, and check the clock")
        if statement.issued_at > now + self._settings.clock_skew_s:
            raise TrustError(f"the statement is of {statement.issued_at}, but it is {now}", hint="check the clock")
