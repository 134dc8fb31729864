"""Every order hashes as an independent implementation of EIP-712 hashes it, and JSON loses nothing."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from voisin.protocol.codec import decode, encode
from voisin.protocol.eip712 import Domain, Operation, operation_hash, order_hash
from voisin.protocol.ids import as_address
from voisin.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder

# The types a second time, by hand, from the specification.
TYPES: dict[type, str] = {
    AppOrder: "address app,uint256 appprice,uint256 volume,bytes32 tag,address datasetrestrict,address workerpoolrestrict,"
    "address requesterrestrict,bytes32 salt",
    DatasetOrder: "address dataset,uint256 datasetprice,uint256 volume,bytes32 tag,address apprestrict,address workerpoolrestrict,"
    "address requesterrestrict,bytes32 salt",
    WorkerpoolOrder: "address workerpool,uint256 workerpoolprice,uint256 volume,bytes32 tag,uint256 category,uint256 trust,"
    "address apprestrict,address datasetrestrict,address requesterrestrict,bytes32 salt",
    RequestOrder: "address app,uint256 appmaxprice,address dataset,uint256 datasetmaxprice,address workerpool,"
    "uint256 workerpoolmaxprice,address requester,uint256 volume,bytes32 tag,uint256 category,uint256 trust,address beneficiary,"
    "address callback,string params,bytes32 salt",
}
VALUES: dict[str, st.SearchStrategy[object]] = {
    "address": st.binary(min_size=20, max_size=20).map(lambda b: "0x" + b.hex()),
    "bytes32": st.binary(min_size=32, max_size=32).map(lambda b: "0x" + b.hex()),
    "uint256": st.integers(0, 2**256 - 1) | st.integers(0, 1000),
    "string": st.text(max_size=50),
}


def fields(kind: type) -> list[tuple[str, str]]:
    return [(name, abi) for abi, name in (field.split(" ") for field in TYPES[kind].split(","))]


orders = st.sampled_from(list(TYPES)).flatmap(
    lambda kind: st.fixed_dictionaries({name: VALUES[abi] for name, abi in fields(kind)}).map(lambda values: kind(**values))
)
domains = st.builds(
    Domain, chain_id=st.integers(1, 2**32), hub=st.binary(min_size=20, max_size=20).map(lambda b: as_address("0x" + b.hex()))
)


def typed_digest(primary: str, types: Mapping[str, list[dict[str, str]]], message: Mapping[str, object], domain: Domain) -> str:
    where = {"name": "iExecODB", "version": "5.0.0", "chainId": domain.chain_id, "verifyingContract": domain.hub}
    signable = encode_typed_data(domain_data=where, message_types=dict(types), message_data=dict(message))
    assert primary in types
    return "0x" + keccak(b"\x19" + signable.version + signable.header + signable.body).hex()


def described(order: Order) -> tuple[list[dict[str, str]], dict[str, object]]:
    spec = fields(type(order))
    values = {name: bytes.fromhex(getattr(order, name)[2:]) if abi == "bytes32" else getattr(order, name) for name, abi in spec}
    return [{"name": name, "type": abi} for name, abi in spec], values


@given(orders, domains)
def test_order_hash(order: Order, domain: Domain) -> None:
    spec, values = described(order)
    name = type(order).__name__
    assert order_hash(order, domain) == typed_digest(name, {name: spec}, values, domain)


@given(orders, domains, st.sampled_from(Operation))
def test_operation_hash(order: Order, domain: Domain, operation: Operation) -> None:
    spec, values = described(order)
    name = type(order).__name__
    types = {
        f"{name}Operation": [{"name": "order", "type": name}, {"name": "operation", "type": "uint256"}],
        name: spec,
    }
    message = {"order": values, "operation": int(operation)}
    assert operation_hash(order, operation, domain) == typed_digest(f"{name}Operation", types, message, domain)


@given(orders)
def test_json_loses_nothing(order: Order) -> None:
    assert decode(encode(order), type(order), "the order") == order
    assert msgspec.json.decode(encode(order))["salt"] == order.salt
