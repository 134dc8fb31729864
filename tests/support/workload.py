"""Signed transactions from a seed, of every kind that a chain must treat as every other chain does."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from eth_account import Account
from eth_utils.address import to_canonical_address, to_checksum_address

from tests.support.devnet import ADDRESSES, CHAIN_ID, GWEI, KEYS, signed
from tests.support.programs import deployer, padded, program

OWNERS = [bytes.fromhex(address[2:]) for address in ADDRESSES]
PRECOMPILES = [number.to_bytes(20, "big") for number in range(1, 0x12)]
_MAX_CONTRACTS = 40

NonceOf = Callable[[bytes], int]
"""Tells an account's transaction count now."""


class Workload:
    """
    Writes one transaction after another.

    Args:
        seed: Where chance comes from.
        nonce_of: Tells an account's transaction count now; asked right before each transaction is signed.
        without: Opcodes that random code must not use, for chains that answer them each in its own way.
        tip: Most that the author is given [wei per gas].
        has_strangers: Whether accounts that were never used authorize too; anvil believes that they exist, and refunds wrongly.
    """

    def __init__(self, seed: int, nonce_of: NonceOf, *, without: bytes = b"", tip: int = GWEI, has_strangers: bool = True) -> None:
        self.rng = random.Random(seed)
        self.kinds: dict[str, int] = {}
        self.contracts: list[bytes] = []
        self.signers = list(OWNERS)
        self._nonce_of = nonce_of
        self._without = without
        self._tip = tip
        self._has_strangers = has_strangers
        self._makers: list[tuple[int, Callable[[], dict[str, Any]]]] = [
            (20, self._random_creation),
            (10, self._deployment),
            (34, self._call),
            (10, self._precompile),
            (8, self._transfer),
            (5, self._much_data),
            (13, self._authorization),
        ]

    def next(self) -> bytes:
        """Write the next transaction."""
        (maker,) = self.rng.choices([maker for _, maker in self._makers], [weight for weight, _ in self._makers])
        fields = maker()
        kind = maker.__name__.strip("_")
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        who = self.rng.randrange(len(KEYS))
        return signed(KEYS[who], self._nonce_of(OWNERS[who]), **{**self._fees(fields), **fields})

    def was_created(self, address: bytes) -> None:
        """Note a contract that later transactions may call."""
        self.contracts = [*self.contracts, address][-_MAX_CONTRACTS:]

    def _fees(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Types 0, 1 and 2 in turn; authorizations make it type 4, as an access list alone makes it type 1 or 2."""
        if "authorizationList" in fields or self.rng.random() < 0.4:
            return {"maxFeePerGas": 3 * GWEI, "maxPriorityFeePerGas": self.rng.choice((0, self._tip))}
        return {"gasPrice": GWEI + self._tip}

    def _program(self, length: int) -> bytes:
        return padded(program(self.rng, length, addresses=OWNERS + self.contracts * 2 + PRECOMPILES, without=self._without))

    def _random_creation(self) -> dict[str, Any]:
        code = self._program(self.rng.choice((6, 12, 25, 50, 90)))
        return {"data": code, "value": self.rng.choice((0, 0, 3)), "gas": self.rng.choice((120_000, 200_000, 900_000))}

    def _deployment(self) -> dict[str, Any]:
        return {"data": deployer(self._program(self.rng.choice((20, 40, 80)))), "gas": 8_000_000}

    def _call(self) -> dict[str, Any]:
        targets = self.contracts or OWNERS
        target = self.rng.choice(targets)
        listed = [self.rng.choice(targets), *self.rng.sample(OWNERS, 1)][: self.rng.randrange(3)]
        fields: dict[str, Any] = {
            "to": target,
            "data": self.rng.randbytes(self.rng.choice((0, 4, 36, 100))),
            "value": self.rng.choice((0, 0, 1)),
            "gas": self.rng.choice((60_000, 300_000, 1_000_000)),
        }
        if listed:
            fields["accessList"] = [
                {"address": to_checksum_address(each), "storageKeys": [f"0x{slot:064x}" for slot in range(self.rng.randrange(4))]}
                for each in listed
            ]
        return fields

    def _precompile(self) -> dict[str, Any]:
        data = self.rng.choice((b"", bytes(range(128)), bytes(213), self.rng.randbytes(192), self.rng.randbytes(self.rng.randrange(400))))
        return {"to": self.rng.choice(PRECOMPILES), "data": data, "gas": self.rng.choice((40_000, 700_000))}

    def _transfer(self) -> dict[str, Any]:
        to = self.rng.choice((*OWNERS, self.rng.randbytes(20), b"\x77" * 20))
        return {"to": to, "value": self.rng.randrange(10**9), "gas": 400_000}

    def _much_data(self) -> dict[str, Any]:
        data = bytes(self.rng.choices((0, 0, 1), k=self.rng.randrange(500, 6000)))
        return {"to": self.rng.choice((*OWNERS, *self.contracts)), "data": data, "gas": 600_000}

    def _authorization(self) -> dict[str, Any]:
        given = [self._authorized() for _ in range(self.rng.choice((1, 1, 2, 4)))]
        to = self.rng.choice((*OWNERS, *self.contracts))
        return {"to": to, "authorizationList": given, "data": self.rng.randbytes(32), "gas": self.rng.choice((250_000, 900_000))}

    def _authorized(self) -> Any:
        """An authorization: of the four owners or of a fresh key; good, or for another chain, or of another nonce."""
        who = self.rng.randrange(len(KEYS) + self._has_strangers)
        key = KEYS[who] if who < len(KEYS) else "0x" + self.rng.randbytes(32).hex()
        authority = OWNERS[who] if who < len(KEYS) else to_canonical_address(Account.from_key(key).address)
        targets = [*self.contracts, *OWNERS, *PRECOMPILES[:4], bytes(20)]
        given = {
            "chainId": self.rng.choice((CHAIN_ID, CHAIN_ID, CHAIN_ID, 0, 5)),
            "address": to_checksum_address(self.rng.choice(targets)),
            "nonce": self._nonce_of(authority) + self.rng.choice((0, 0, 0, 1)),
        }
        return Account.sign_authorization(given, key)
