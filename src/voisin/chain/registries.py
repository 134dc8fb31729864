"""
The three registries, read: entries, their owners, their addresses before they exist.

Source: poco-protocol.md 16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from voisin.chain.abi_codec import AbiArgument, AbiValue
from voisin.chain.functions import function
from voisin.chain.reading import Read, read, read_many, read_pair, record
from voisin.chain.rpc import Rpc
from voisin.errors import InputError, StateError
from voisin.protocol.ids import Address, Hash32, as_address
from voisin.protocol.orders import OrderKind
from voisin.protocol.records import AppInfo, DatasetInfo, WorkerpoolInfo

InfoT = TypeVar("InfoT", AppInfo, DatasetInfo, WorkerpoolInfo)

_VIEWS = {AppInfo: "viewApp", DatasetInfo: "viewDataset", WorkerpoolInfo: "viewWorkerpool"}
_KINDS = {AppInfo: OrderKind.APP, DatasetInfo: OrderKind.DATASET, WorkerpoolInfo: OrderKind.WORKERPOOL}


class Registries:
    """
    Reads the three registries.

    Args:
        rpc: The node.
        hub: The hub they belong to.
        addresses: The registry of each kind of entry.
    """

    def __init__(self, rpc: Rpc, hub: Address, addresses: Mapping[OrderKind, Address]) -> None:
        self._rpc = rpc
        self._hub = hub
        self._addresses = addresses

    def address_of(self, kind: OrderKind) -> Address:
        """
        Name the registry of a kind of entry.

        Raises:
            InputError: The kind is `request`: requests are in no registry.
        """
        if kind not in self._addresses:
            raise InputError(f"there is no registry of {kind} entries", hint="the kinds are app, dataset and workerpool")
        return self._addresses[kind]

    async def owner_of(self, entry: Address) -> Address:
        """
        Name the owner of an app, dataset or workerpool.

        Raises:
            StateError: It is in no registry.
        """

        owner_of = function("AppRegistry", "ownerOf")
        questions = [Read(registry, owner_of, (int(entry, 16),), _owner, _nothing) for registry in self._addresses.values()]
        owners = [owner for owner in await read_many(self._rpc, questions) if owner is not None]
        if not owners:
            raise _no_entry(entry, "app, dataset or workerpool")
        return owners[0]

    async def owners_of(self, entries: Sequence[tuple[OrderKind, Address]]) -> list[Address | None]:
        """
        Name the owners of several entries, each of a kind, in one go; None stands for one that is not in its kind's registry.

        Raises:
            InputError: A kind is `request`.
        """
        owner_of = function("AppRegistry", "ownerOf")
        questions = [Read(self.address_of(kind), owner_of, (int(entry, 16),), _owner, _nothing) for kind, entry in entries]
        return await read_many(self._rpc, questions)

    async def is_app(self, entry: Address) -> bool:
        """Tell whether an address is an app of the market."""
        return await read(self._rpc, self._is_registered(OrderKind.APP, entry))

    async def is_dataset(self, entry: Address) -> bool:
        """Tell whether an address is a dataset of the market."""
        return await read(self._rpc, self._is_registered(OrderKind.DATASET, entry))

    async def is_workerpool(self, entry: Address) -> bool:
        """Tell whether an address is a workerpool of the market."""
        return await read(self._rpc, self._is_registered(OrderKind.WORKERPOOL, entry))

    async def app(self, entry: Address) -> AppInfo:
        """
        Look an app up.

        Raises:
            StateError: There is no such app.
        """
        return await self._info(AppInfo, entry)

    async def dataset(self, entry: Address) -> DatasetInfo:
        """
        Look a dataset up.

        Raises:
            StateError: There is no such dataset.
        """
        return await self._info(DatasetInfo, entry)

    async def workerpool(self, entry: Address) -> WorkerpoolInfo:
        """
        Look a workerpool up.

        Raises:
            StateError: There is no such workerpool.
        """
        return await self._info(WorkerpoolInfo, entry)

    async def predict_app(
        self, owner: Address, name: str, type: str, multiaddr: bytes, checksum: Hash32, mrenclave: bytes = b""
    ) -> Address:
        """Name the address that an app with exactly this owner and content has or will have."""
        return await self._predict(OrderKind.APP, "predictApp", owner, name, type, multiaddr, checksum, mrenclave)

    async def predict_dataset(self, owner: Address, name: str, multiaddr: bytes, checksum: Hash32) -> Address:
        """Name the address that a dataset with exactly this owner and content has or will have."""
        return await self._predict(OrderKind.DATASET, "predictDataset", owner, name, multiaddr, checksum)

    async def predict_workerpool(self, owner: Address, description: str) -> Address:
        """Name the address that a workerpool with exactly this owner and description has or will have."""
        return await self._predict(OrderKind.WORKERPOOL, "predictWorkerpool", owner, description)

    async def owned(self, kind: OrderKind, owner: Address) -> list[Address]:
        """
        List what somebody owns.

        Args:
            kind: App, dataset or workerpool.
            owner: The owner.

        Raises:
            InputError: The kind is `request`.
        """
        registry = self.address_of(kind)
        count = await read(self._rpc, Read(registry, function("AppRegistry", "balanceOf"), (owner,), int))
        by_index = function("AppRegistry", "tokenOfOwnerByIndex")
        return await read_many(self._rpc, [Read(registry, by_index, (owner, index), _entry) for index in range(count)])

    def _is_registered(self, kind: OrderKind, entry: Address) -> Read[bool]:
        return Read(self._addresses[kind], function("AppRegistry", "isRegistered"), (entry,), bool)

    async def _predict(self, kind: OrderKind, name: str, *arguments: AbiArgument) -> Address:
        contract = {OrderKind.APP: "AppRegistry", OrderKind.DATASET: "DatasetRegistry", OrderKind.WORKERPOOL: "WorkerpoolRegistry"}[kind]
        return await read(self._rpc, Read(self._addresses[kind], function(contract, name), arguments, Address))

    async def _info(self, kind: type[InfoT], entry: Address) -> InfoT:
        """Ask at once whether the entry is registered and what it says: anybody can deploy a contract that looks like an app."""

        def _make(members: tuple[AbiValue, ...]) -> InfoT | None:
            return record(kind, *members)

        view: Read[InfoT | None] = Read(self._hub, function("Hub", _VIEWS[kind]), (entry,), _make, _nothing)
        is_registered, info = await read_pair(self._rpc, self._is_registered(_KINDS[kind], entry), view)
        if not is_registered or info is None:
            raise _no_entry(entry, _KINDS[kind].value)
        return info


def _nothing() -> None:
    return None


def _owner(owner: str) -> Address | None:
    return Address(owner)


def _entry(token: int) -> Address:
    return as_address(f"0x{token:040x}")


def _no_entry(entry: Address, what: str) -> StateError:
    return StateError(f"there is no {what} at {entry}", hint="check the address, and that it belongs to this chain and hub")
