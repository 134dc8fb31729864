"""The test contract on a running embedded chain, driven through the node's door for programs in the same process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from eth_utils.address import to_checksum_address

from tests.support.devnet import ADDRESSES, KEYS, Contract, notebook, signed
from voisin.chain.devnet import Devnet


@dataclass
class Author:
    """One account that sends transactions to a node."""

    node: Devnet
    key: str = KEYS[0]
    address: str = ADDRESSES[0]

    async def send(self, **fields: Any) -> dict[str, Any]:
        """Send a transaction that is sealed at once; give its receipt."""
        tx_hash = await self.node.request("eth_sendRawTransaction", ["0x" + signed(self.key, await self.nonce(), **fields).hex()])
        receipt = await self.node.request("eth_getTransactionReceipt", [tx_hash])
        assert isinstance(receipt, dict)
        return receipt

    async def nonce(self) -> int:
        """The account's transaction count."""
        return int(str(await self.node.request("eth_getTransactionCount", [self.address, "latest"])), 16)

    async def deploy(self, first: int = 5) -> Book:
        """Deploy the contract."""
        receipt = await self.send(data=notebook().init_code(first))
        return Book(self, to_checksum_address(receipt["contractAddress"]))


@dataclass
class Book:
    """The contract, as its author uses it."""

    author: Author
    address: str
    contract: Contract = field(default_factory=notebook)

    async def send(self, function: str, *arguments: object, **fields: Any) -> dict[str, Any]:
        """Send a transaction to it; give the receipt."""
        return await self.author.send(to=self.address, data=self.contract.data(function, *arguments), **fields)

    def call_params(self, function: str, *arguments: object, **fields: object) -> dict[str, Any]:
        """The first parameter of eth_call."""
        return {"from": self.author.address, "to": self.address, "data": "0x" + self.contract.data(function, *arguments).hex(), **fields}

    async def call(self, function: str, *arguments: object, block: object = "latest", **fields: object) -> bytes:
        """Call it; give the returned bytes."""
        result = await self.author.node.request("eth_call", [self.call_params(function, *arguments, **fields), block])  # type: ignore[list-item]
        return bytes.fromhex(str(result)[2:])

    async def number(self, function: str, *arguments: object, block: object = "latest") -> int:
        """Call a function that returns one number."""
        return int.from_bytes((await self.call(function, *arguments, block=block))[:32], "big")
