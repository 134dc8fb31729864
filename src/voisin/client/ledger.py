"""
All the money there is: wallets, free stakes and locked stakes, so that "nothing was lost" can be shown to the nRLC.

RLC is either in a wallet (the token's balance) or in an account of the hub; what the hub's own wallet holds is the sum of
the accounts, and is not counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable

import anyio
import msgspec

from voisin.chain import Chain, events_of
from voisin.errors import UnavailableError
from voisin.protocol.events import Transferred
from voisin.protocol.ids import ZERO_ADDRESS, Address
from voisin.protocol.rules import KITTY_ADDRESS
from voisin.service.together import each
from voisin.units import NRLC

_TRIES = 50


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What one owner has [nRLC]: in the wallet, free in the hub, locked in the hub."""

    owner: Address
    wallet: NRLC
    stake: NRLC
    locked: NRLC

    @property
    def total(self) -> NRLC:
        """All of it [nRLC]."""
        return NRLC(self.wallet + self.stake + self.locked)


class BalanceSheet(msgspec.Struct, frozen=True, kw_only=True):
    """What a set of owners had at one block."""

    block: int
    holdings: tuple[Holding, ...]

    @property
    def total(self) -> NRLC:
        """All of it together [nRLC]."""
        return NRLC(sum(holding.total for holding in self.holdings))

    def changes(self, later: BalanceSheet) -> dict[Address, NRLC]:
        """Tell by how much each owner's total changed until a later sheet [nRLC]; owners without change are left out."""
        before = {holding.owner: holding.total for holding in self.holdings}
        after = {holding.owner: holding.total for holding in later.holdings}
        owners = sorted(before.keys() | after.keys())
        changed = {owner: NRLC(after.get(owner, NRLC(0)) - before.get(owner, NRLC(0))) for owner in owners}
        return {owner: change for owner, change in changed.items() if change}


async def balance_sheet(chain: Chain, owners: Iterable[Address]) -> BalanceSheet:
    """
    Read what owners have, all at the same block.

    Args:
        chain: The chain.
        owners: Whose money; the hub itself is left out, the kitty is always in.

    Raises:
        UnavailableError: Blocks come too fast to read all balances between two of them.
    """
    wanted = sorted({*owners, KITTY_ADDRESS} - {chain.hub_address, ZERO_ADDRESS})
    for _ in range(_TRIES):
        block = await chain.block_number()
        holdings = await each(wanted, lambda owner: _holding(chain, owner))
        if await chain.block_number() == block:
            return BalanceSheet(block=block, holdings=tuple(holdings))
        await anyio.sleep(0.05)
    raise UnavailableError("the balances change faster than they can be read", hint="try again when fewer deals run")


async def _holding(chain: Chain, owner: Address) -> Holding:
    account = await chain.hub.account(owner)
    return Holding(owner=owner, wallet=await chain.token.balance(owner), stake=account.stake, locked=account.locked)


async def holders(chain: Chain, first_block: int) -> set[Address]:
    """
    Find everybody who ever held RLC, from the token's and the hub's transfers.

    Args:
        chain: The chain.
        first_block: Block in which the market was deployed.
    """
    last = await chain.block_number()
    transfers = (logged.event for logged in await events_of(chain, first_block, last, with_token=True))
    found = {owner for event in transfers if isinstance(event, Transferred) for owner in (event.sender, event.recipient)}
    return found - {ZERO_ADDRESS}
