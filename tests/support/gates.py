"""Gates on a test's market: deployed, paid at, and asked through the hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode

from tests.support.accounts import Signer
from tests.support.contracts import Contract
from tests.support.evm import Receipt
from tests.support.market import RLC, Market, Terms
from voisin.chain.artifacts import load_artifact

HOUR = 3_600
PRICE = 3 * RLC + 1
TERMS = Terms(with_dataset=True, dataset_price=RLC, volume=1)


@dataclass(frozen=True)
class GateTerms:
    """What a gate's constructor is told, behind the entry and the token."""

    begins: int = 0
    ends: int = 0
    is_public: bool = False
    price: int = 0
    period: int = 0
    renewals: int = 0


def deploy_gate(market: Market, terms: GateTerms) -> Contract:
    """Deploy a gate of the market's dataset, as anybody may."""
    artifact = load_artifact("Gate")
    values = (market.dataset, market.token.address, terms.begins, terms.ends, terms.is_public, terms.price, terms.period, terms.renewals)
    creation = artifact.init_code + encode([item.canonical_type for item in artifact.constructor_inputs], values)
    return Contract(market.evm, "gate", market.evm.send(market.roles.stranger.address, None, creation).contract, "Gate")


def give(market: Market, account: Signer, amount: int, spender: str) -> None:
    """Put RLC into somebody's wallet, and let a contract take it."""
    market.token.send("transfer", account.address, amount, by=market.roles.owner.address)
    market.token.send("approve", spender, amount, by=account.address)


def rent(market: Market, *, salt: int = 0, volume: int = 1, **restrictions: str) -> Receipt:
    """Match a deal about the dataset, whose order has these restrictions; the salt makes the request another one."""
    orders: dict[str, dict[str, Any]] = market.orders(TERMS)
    orders["DatasetOrder"] |= restrictions
    orders["DatasetOrder"]["volume"] = volume
    orders["AppOrder"]["volume"] = orders["WorkerpoolOrder"]["volume"] = 1_000
    orders["RequestOrder"]["salt"] = salt.to_bytes(32, "big")
    return market.match_orders(market.sign(orders), by=market.roles.stranger.address)[1]
