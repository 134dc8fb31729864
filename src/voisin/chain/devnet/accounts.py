"""The development accounts that every Ethereum tool knows: keys that anybody can have, so never a place for money of worth."""

from __future__ import annotations

from functools import lru_cache

from eth_account.hdaccount import key_from_seed, seed_from_mnemonic

from voisin.chain.devnet.settings import WEI_PER_COIN
from voisin.protocol.signatures import KeySigner

TEST_MNEMONIC = "test test test test test test test test test test test junk"
DEVELOPMENT_BALANCE = 10_000 * WEI_PER_COIN
"""What each development account holds in the genesis block [wei]."""


@lru_cache(maxsize=8)
def development_keys(count: int = 10) -> tuple[KeySigner, ...]:
    """
    Derive the development accounts.

    Args:
        count: How many.

    Returns:
        A signer for each, in the order in which anvil and Hardhat list them.

    Source: BIP-39, and BIP-44 path m/44'/60'/0'/0/i, of the mnemonic "test test ... junk".
    """
    seed = seed_from_mnemonic(TEST_MNEMONIC, "")
    return tuple(KeySigner(key_from_seed(seed, f"m/44'/60'/0'/0/{index}")) for index in range(count))
