"""
The specification's state, filled lazily.

`ethereum-execution` keeps accounts in a dictionary and slots in a dictionary for each contract, copies them at the start of each
nested call, and puts the copies back when the call fails. The dictionaries here look up what they do not hold, and survive copying.
The outer dictionary of storages is rebuilt by the specification as a plain one, so a contract's storage must be put into it, and
into all copies that are waiting, when its account is first looked up, which always happens before its first slot is.
"""

from __future__ import annotations

from eth_hash.auto import keccak
from ethereum.forks.prague.fork_types import Account as SpecAccount
from ethereum.forks.prague.fork_types import Address
from ethereum.forks.prague.state import State
from ethereum.forks.prague.trie import Trie
from ethereum_types.bytes import Bytes, Bytes32
from ethereum_types.numeric import U256, Uint

from voisin.chain.devnet.engines.engine import StateReader
from voisin.chain.devnet.values import EMPTY_ACCOUNT, EMPTY_CODE_HASH, Account, Changes


class LazyState:
    """
    A state for one execution by the specification.

    Args:
        reader: The state before.
    """

    def __init__(self, reader: StateReader) -> None:
        self._reader = reader
        self._accounts = _Accounts(self)
        self._seen: set[bytes] = set()
        self.spec = State(_main_trie=Trie(secured=True, default=None, _data=self._accounts))

    def changes(self) -> Changes:
        """
        Read out what differs from the state before.

        Returns:
            New values only.
        """
        accounts: dict[bytes, Account] = {}
        codes: dict[bytes, bytes] = {}
        for address, spec in self.spec._main_trie._data.items():
            now = EMPTY_ACCOUNT if spec is None else Account(int(spec.nonce), int(spec.balance), keccak(spec.code))
            before = self._reader.account(bytes(address))
            if now != before:
                accounts[bytes(address)] = now
            if spec is not None and now.code_hash not in (before.code_hash, EMPTY_CODE_HASH):
                codes[now.code_hash] = bytes(spec.code)
        slots = {
            (bytes(address), int.from_bytes(key, "big")): int(value)
            for address, trie in self.spec._storage_tries.items()
            for key, value in trie._data.items()
            if int(value) != self._reader.slot(bytes(address), int.from_bytes(key, "big"))
        }
        return Changes(accounts, slots, codes)

    def load_account(self, address: Address) -> SpecAccount | None:
        """
        Look an account up, and make its storage known.

        Args:
            address: 20 bytes.

        Returns:
            The account; None where there is none.
        """
        account = self._reader.account(bytes(address))
        if account == EMPTY_ACCOUNT:
            return None
        if account.code_hash != EMPTY_CODE_HASH and bytes(address) not in self._seen:
            self._seen.add(bytes(address))
            for storages in [self.spec._storage_tries, *(copy for _, copy in self.spec._snapshots)]:
                storages[address] = Trie(secured=True, default=U256(0), _data=_Slots(self._reader, bytes(address)))
        return SpecAccount(Uint(account.nonce), U256(account.balance), Bytes(self._reader.code(account.code_hash)))


class _Accounts(dict[Address, SpecAccount | None]):
    """Accounts by address; None marks one that was removed."""

    def __init__(self, lazy: LazyState) -> None:
        super().__init__()
        self._lazy = lazy

    def get(self, key: Address, default: object = None) -> SpecAccount | None:
        del default
        if not super().__contains__(key):
            super().__setitem__(key, self._lazy.load_account(key))
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        return True  # so that `trie_set` removes what may not have been looked up yet

    def __delitem__(self, key: Address) -> None:
        super().__setitem__(key, None)

    def __copy__(self) -> _Accounts:
        copy = _Accounts(self._lazy)
        copy.update(self)
        return copy


class _Slots(dict[Bytes32, U256]):
    """Slots of one contract; zero marks one that was cleared."""

    def __init__(self, reader: StateReader, address: bytes) -> None:
        super().__init__()
        self._reader = reader
        self._address = address

    def get(self, key: Bytes32, default: object = None) -> U256:
        del default
        if not super().__contains__(key):
            super().__setitem__(key, U256(self._reader.slot(self._address, int.from_bytes(key, "big"))))
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        return True

    def __delitem__(self, key: Bytes32) -> None:
        super().__setitem__(key, U256(0))

    def __eq__(self, other: object) -> bool:
        return self is other  # the specification drops a storage that equals {}; this one only looks empty

    __hash__ = None

    def __copy__(self) -> _Slots:
        copy = _Slots(self._reader, self._address)
        copy.update(self)
        return copy
