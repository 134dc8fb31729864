"""The development accounts that every Ethereum tool knows: keys that anybody can have, so never a place for money of worth."""

from __future__ import annotations

from functools import lru_cache
from hashlib import pbkdf2_hmac
from hmac import digest

from coincurve import PrivateKey

from voisin.chain.devnet.settings import WEI_PER_COIN
from voisin.protocol.signatures import KeySigner

TEST_MNEMONIC = "test test test test test test test test test test test junk"
DEVELOPMENT_BALANCE = 10_000 * WEI_PER_COIN
"""What each development account holds in the genesis block [wei]."""


_HARDENED = 2**31
_BRANCH = (44 + _HARDENED, 60 + _HARDENED, _HARDENED, 0)
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


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
    node = digest(b"Bitcoin seed", pbkdf2_hmac("sha512", TEST_MNEMONIC.encode(), b"mnemonic", 2048), "sha512")
    for index in _BRANCH:
        node = _child(node, index)
    return tuple(KeySigner(_child(node, index)[:32]) for index in range(count))


def _child(node: bytes, index: int) -> bytes:
    """
    A private key and its chain code below another: 32 bytes each.

    Written here because eth_account, which has it too, takes a second to load and this module is loaded wherever a box starts.

    Source: BIP-32, "Private parent key to private child key".
    """
    key, code = node[:32], node[32:]
    public = b"\0" + key if index >= _HARDENED else PrivateKey(key).public_key.format()
    found = digest(code, public + index.to_bytes(4, "big"), "sha512")
    number = (int.from_bytes(found[:32], "big") + int.from_bytes(key, "big")) % _ORDER
    return number.to_bytes(32, "big") + found[32:]
