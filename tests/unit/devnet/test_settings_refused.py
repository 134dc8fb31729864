"""Settings that no chain can have are refused with a remedy; the development accounts are the ones that everybody knows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.devnet import ADDRESSES, KEYS
from voisin.chain.devnet import DEVELOPMENT_BALANCE, DevnetSettings, development_keys
from voisin.errors import InputError


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"engine": "revm"}, "use one of jit, pyevm, eels, anvil"),
        ({"port": -1}, "use 0 to 65535"),
        ({"port": 65_536}, "use 0 to 65535"),
        ({"chain_id": 0}, "chain id 0"),
        ({"chain_id": 2**53}, "which JavaScript can hold"),
        ({"base_fee": -1}, "base fee -1"),
        ({"gas_limit": 1000}, "gas limit 1000"),
        ({"accounts": -1}, "-1 development accounts"),
        ({"accounts": 101}, "use 0 to 100"),
        ({"allocation": {"0x12": 5}}, "'0x12' is not an address"),
        ({"allocation": {ADDRESSES[0]: -1}}, "balance -1"),
        ({"allocation": {ADDRESSES[0]: 2**256}}, "use 0 to 2**256 - 1 wei"),
        ({"nonce_settle_ms": -1}, "nonce_settle_ms is below zero"),
        ({"max_batch": -1}, "max_batch is below zero"),
    ],
)
def test_impossible_settings(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        DevnetSettings(**fields)
    assert said in str(caught.value)


def test_development_accounts_are_those_of_anvil_and_hardhat() -> None:
    keys = development_keys(20)
    assert [key.address for key in keys[:4]] == list(ADDRESSES)
    assert ["0x" + key.expose_key().hex() for key in keys[:4]] == list(KEYS)
    assert keys[19].address == "0x8626f6940E2eb28930eFb4CeF49B2d1F2C9C1199"
    assert development_keys() == keys[:10] or [key.address for key in development_keys()] == [key.address for key in keys[:10]]
    assert DEVELOPMENT_BALANCE == 10_000 * 10**18


def test_development_key_does_not_show_itself() -> None:
    assert KEYS[0][2:] not in repr(development_keys()[0])
