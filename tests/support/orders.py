"""Orders and their signatures, hashed by eth_account's typed data: a second opinion on what the contracts compute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from eth_account.messages import encode_typed_data
from eth_hash.auto import keccak

from tests.support.accounts import Signer

ZERO: Final = "0x" + 40 * "0"
NO_TAG: Final = bytes(32)
TEE_TAG: Final = (1).to_bytes(32, "big")
SIGN, CLOSE = 0, 1

Order = Mapping[str, Any]

FIELDS: Final = {
    "AppOrder": "address app,uint256 appprice,uint256 volume,bytes32 tag,address datasetrestrict,address workerpoolrestrict,"
    "address requesterrestrict,bytes32 salt",
    "DatasetOrder": "address dataset,uint256 datasetprice,uint256 volume,bytes32 tag,address apprestrict,address workerpoolrestrict,"
    "address requesterrestrict,bytes32 salt",
    "WorkerpoolOrder": "address workerpool,uint256 workerpoolprice,uint256 volume,bytes32 tag,uint256 category,uint256 trust,"
    "address apprestrict,address datasetrestrict,address requesterrestrict,bytes32 salt",
    "RequestOrder": "address app,uint256 appmaxprice,address dataset,uint256 datasetmaxprice,address workerpool,"
    "uint256 workerpoolmaxprice,address requester,uint256 volume,bytes32 tag,uint256 category,uint256 trust,address beneficiary,"
    "address callback,string params,bytes32 salt",
}
_EMPTY: Final = {"address": ZERO, "uint256": 0, "bytes32": NO_TAG, "string": ""}
_DOMAIN: Final = "string name,string version,uint256 chainId,address verifyingContract"


def order(kind: str, **fields: Any) -> dict[str, Any]:
    """Make an unsigned order of a kind; what is not given is zero."""
    names = {name: _EMPTY[typ] for typ, name in _members(FIELDS[kind])}
    unknown = fields.keys() - names.keys()
    assert not unknown, f"{kind} has no {unknown}"
    return {**names, **fields, "sign": b""}


def as_tuple(values: Order) -> tuple[Any, ...]:
    """The order as the ABI wants it."""
    return tuple(values.values())


def order_hash(kind: str, values: Order, hub: str, chain_id: int = 31337) -> bytes:
    """The digest that is signed, and by which the hub knows the order."""
    return _digest(kind, {kind: FIELDS[kind]}, {name: values[name] for _, name in _members(FIELDS[kind])}, (hub, chain_id))


def operation_hash(kind: str, values: Order, operation: int, hub: str, chain_id: int = 31337) -> bytes:
    """The digest by which somebody lets another sign (0) or close (1) an order on the chain."""
    types = {f"{kind}Operation": f"{kind} order,uint256 operation", kind: FIELDS[kind]}
    message = {"order": {name: values[name] for _, name in _members(FIELDS[kind])}, "operation": operation}
    return _digest(f"{kind}Operation", types, message, (hub, chain_id))


def sign_order(kind: str, values: Order, by: Signer, hub: str, chain_id: int = 31337) -> dict[str, Any]:
    """The order with its owner's signature."""
    return {**values, "sign": by.sign(order_hash(kind, values, hub, chain_id))}


def typed_digest(kind: str, fields: str, message: Order, hub: str, chain_id: int = 31337) -> bytes:
    """The digest of any other typed data of the hub's domain."""
    return _digest(kind, {kind: fields}, message, (hub, chain_id))


def deal_id(request_hash: bytes, consumed: int) -> bytes:
    """Id of the deal that a match makes when `consumed` tasks of the request were matched before."""
    return keccak(request_hash + consumed.to_bytes(32, "big"))


def task_id(deal: bytes, index: int) -> bytes:
    """Id of a task of a deal."""
    return keccak(deal + index.to_bytes(32, "big"))


def result_hash(task: bytes, digest: bytes) -> bytes:
    """What a worker commits to."""
    return keccak(task + digest)


def result_seal(worker: str, task: bytes, digest: bytes) -> bytes:
    """What shows that a worker knew the digest itself."""
    return keccak(bytes.fromhex(worker[2:]) + task + digest)


def _members(text: str) -> list[tuple[str, str]]:
    return [(typ, name) for typ, name in (item.split(" ") for item in text.split(","))]


def _digest(primary: str, types: Mapping[str, str], message: Mapping[str, Any], domain: tuple[str, int]) -> bytes:
    full = {
        "types": {
            name: [{"type": typ, "name": member} for typ, member in _members(text)]
            for name, text in {"EIP712Domain": _DOMAIN, **types}.items()
        },
        "primaryType": primary,
        "domain": {"name": "iExecODB", "version": "5.0.0", "chainId": domain[1], "verifyingContract": domain[0]},
        "message": message,
    }
    signable = encode_typed_data(full_message=full)
    return keccak(b"\x19" + signable.version + signable.header + signable.body)
