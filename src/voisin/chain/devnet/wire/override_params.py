"""
Reading what a call shall pretend: the overrides of accounts and of the block that eth_call takes after its block.

Source: geth's documentation of `eth_call`, "State override set" and "Block overrides"; execution-apis, `BlockOverrides`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from voisin.chain.devnet.pretended import Place, PretendedAccount
from voisin.chain.devnet.wire.errors import BadParamsError
from voisin.chain.devnet.wire.params import Json, Params, address, data, hash32, members, quantity

_BLOCK_FIELDS = {
    "number": "number",
    "time": "timestamp",
    "gasLimit": "gas_limit",
    "baseFeePerGas": "base_fee",
    "baseFee": "base_fee",
}
_ACCOUNT_FIELDS = {"balance", "nonce", "code", "state", "stateDiff"}


def pretend(place: Place, params: Params, accounts_at: int, block_at: int | None = None) -> Place:
    """
    Read what a call shall pretend.

    Args:
        place: Where the call is, as it is.
        params: The call's parameters.
        accounts_at: Position of the overrides of accounts.
        block_at: Position of the overrides of the block; None where the method takes none.

    Returns:
        The place as the call pretends it.

    Raises:
        BadParamsError: An override is malformed or not supported.
    """
    place = replace(place, pretended=params.read_or(accounts_at, _accounts, default={}))
    if block_at is None:
        return place
    block: dict[str, Any] = params.read_or(block_at, _block, default={})
    return replace(place, **block)


def pretend_given(place: Place, accounts: Json, block: Json) -> Place:
    """
    Read what a traced call shall pretend.

    Args:
        place: Where the call is, as it is.
        accounts: The overrides of accounts; None for none.
        block: The overrides of the block; None for none.

    Returns:
        The place as the call pretends it.

    Raises:
        BadParamsError: An override is malformed or not supported.
    """
    return pretend(place, Params([accounts, block], most=2), 0, 1)


def _accounts(value: Json, name: str) -> Mapping[bytes, PretendedAccount]:
    found = members(value, name)
    return {address(key, f"{name}.{key}"): _account(given, f"{name}.{key}") for key, given in found.items()}


def _account(value: Json, name: str) -> PretendedAccount:
    given = {key: part for key, part in members(value, name).items() if part is not None}
    _refuse_others(given, _ACCOUNT_FIELDS, name)
    if "state" in given and "stateDiff" in given:
        raise BadParamsError(f"invalid argument {name}: both state and stateDiff are set")
    slots = _slots(given.get("state", given.get("stateDiff", {})), name)
    balance, nonce = (quantity(given[key], f"{name}.{key}") if key in given else None for key in ("balance", "nonce"))
    code = data(given["code"], f"{name}.code") if "code" in given else None
    return PretendedAccount(balance, nonce, code, slots, is_all="state" in given)


def _slots(value: Json, name: str) -> Mapping[int, int]:
    words = {hash32(key, f"{name}.{key}"): hash32(word, f"{name}.{key}") for key, word in members(value, name).items()}
    return {int.from_bytes(key, "big"): int.from_bytes(word, "big") for key, word in words.items()}


def _block(value: Json, name: str) -> dict[str, Any]:
    given = {key: part for key, part in members(value, name).items() if part is not None}
    _refuse_others(given, {*_BLOCK_FIELDS, "coinbase", "feeRecipient", "random", "prevRandao"}, name)
    found: dict[str, Any] = {}
    for key, part in given.items():
        if key in _BLOCK_FIELDS:
            found[_BLOCK_FIELDS[key]] = quantity(part, f"{name}.{key}")
        elif key in ("coinbase", "feeRecipient"):
            found["coinbase"] = address(part, f"{name}.{key}")
        else:
            found["randao"] = hash32(part, f"{name}.{key}")
    return found


def _refuse_others(given: Mapping[str, Json], known: set[str], name: str) -> None:
    for key in given.keys() - known:
        raise BadParamsError(f"invalid argument {name}: {key} is not supported", hint=f"use {', '.join(sorted(known))}")
