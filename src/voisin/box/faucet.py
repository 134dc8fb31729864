"""
The box's faucet: whoever comes with a wallet that never had anything gets coin for gas, and a stake in its account at the hub.

| method and path | answer |
| --- | --- |
| POST /v1/gifts/{address} | `Gift`; nothing for an address that has something already |

It gives away money that is worth nothing: a box is a market for development, on a chain of its own.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

import anyio
import msgspec
from litestar import Litestar, post
from litestar.datastructures import State
from litestar.params import FromPath

from voisin.box.founding import GAS_MONEY, GAS_OF_COINS, GAS_OF_DEPOSIT, GAS_OF_TOKENS
from voisin.chain import Call, Chain, Sender, calls
from voisin.errors import StateError
from voisin.protocol.ids import Address, as_address
from voisin.protocol.records import Account
from voisin.service.problems import Problems
from voisin.units import NRLC, Wei

MAX_GIFTS = 1_000
"""Addresses that are given something until the box is started again."""
_PROBLEMS = Problems("faucet", "the route is /v1/gifts/{address}", {StateError: HTTPStatus.CONFLICT})


class Gift(msgspec.Struct, frozen=True, kw_only=True):
    """What an address was given: coin for gas [wei, as a decimal string] and a stake [nRLC]."""

    address: Address
    coins: str
    stake: NRLC


class Faucet:
    """
    Gives first money.

    Args:
        chain: The box's chain.
        purse: Sends transactions of the account that holds the RLC.
        stake: What each address gets in its account [nRLC].
    """

    def __init__(self, chain: Chain, purse: Sender, stake: NRLC) -> None:
        self._chain = chain
        self._purse = purse
        self._stake = stake
        self._given = 0
        self._lock = anyio.Lock()

    async def give(self, address: Address) -> Gift:
        """
        Give an address what it lacks, if it never had anything.

        Raises:
            StateError: So many addresses have come that this can be no mistake.
        """
        async with self._lock:
            chain, coins, stake = self._chain, Wei(0), NRLC(0)
            is_new = await chain.nonce(address) == 0 and await chain.hub.account(address) == Account(stake=NRLC(0), locked=NRLC(0))
            if self._given >= MAX_GIFTS:
                raise StateError(f"the faucet has given to {MAX_GIFTS} addresses", hint="start the box again")
            if await chain.native_balance(address) == 0:
                await self._purse.send(Call(address, b"", "gas money", value=GAS_MONEY, gas=GAS_OF_COINS))
                coins = GAS_MONEY
            if is_new and self._stake:
                deposit = calls.approve_and_call(chain.token_address, chain.hub_address, self._stake, b"")
                await self._purse.send(replace(deposit, gas=GAS_OF_DEPOSIT))
                await self._purse.send(replace(calls.transfer(chain.hub_address, address, self._stake), gas=GAS_OF_TOKENS))
                stake = self._stake
            self._given += 1 if coins or stake else 0
            return Gift(address=address, coins=str(coins), stake=stake)


@post("/v1/gifts/{address:str}")
async def give(state: State, address: FromPath[str]) -> Gift:
    """Give an address its first coin and stake."""
    faucet: Faucet = state.faucet
    return await faucet.give(as_address(address))


def create_faucet_app(faucet: Faucet) -> Litestar:
    """Make the faucet's service."""
    return Litestar(
        route_handlers=[give],
        state=State({"faucet": faucet}),
        exception_handlers=_PROBLEMS.handlers(),
        openapi_config=None,
        logging_config=None,
    )
