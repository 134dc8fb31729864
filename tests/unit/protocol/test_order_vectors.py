"""Orders hash and sign as the published vectors of the original protocol say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eth_account import Account
from eth_utils import keccak

from voisin.protocol.eip712 import Domain, Operation, domain_separator, operation_hash, order_hash, sign_order, struct_hash
from voisin.protocol.ids import Address, Hash32, as_address, as_hash32, deal_id, from_hex, task_id, to_hex
from voisin.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from voisin.protocol.results import authorization_digest, result_hash, result_seal, sign_authorization
from voisin.protocol.signatures import KeySigner, message_digest, recover_signer, sign_message
from voisin.protocol.tags import as_tag
from voisin.units import NRLC

VECTORS: dict[str, str] = dict(json.loads((Path(__file__).parents[2] / "vectors" / "orders.json").read_text()))
MNEMONIC = "test test test test test test test test test test test junk"
TAG = as_tag("tee,scone")
DOMAIN = Domain(chain_id=31337, hub=as_address(VECTORS["hub (verifyingContract)"]))


def signer(index: int) -> KeySigner:
    Account.enable_unaudited_hdwallet_features()
    return KeySigner(bytes(Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}").key))


def place(digits: str) -> Address:
    return as_address("0x" + digits.rjust(40, "0"))


def salt(text: str) -> Hash32:
    return as_hash32(to_hex(keccak(text=text)))


REQUESTER = as_address(VECTORS["requester (mnemonic index 1)"])
ORDERS: dict[str, tuple[Order, int]] = {
    "AppOrder": (AppOrder(app=place("a1"), appprice=NRLC(3_000_000_000), volume=1000, tag=TAG, salt=salt("app")), 4),
    "DatasetOrder": (
        DatasetOrder(
            dataset=place("d1"), datasetprice=NRLC(2_000_000_000), volume=1000, tag=TAG, apprestrict=place("a1"), salt=salt("dataset")
        ),
        5,
    ),
    "WorkerpoolOrder": (
        WorkerpoolOrder(
            workerpool=place("f1"),
            workerpoolprice=NRLC(1_000_000_007),
            volume=1000,
            tag=TAG,
            category=2,
            trust=10,
            salt=salt("workerpool"),
        ),
        6,
    ),
    "RequestOrder": (
        RequestOrder(
            app=place("a1"),
            appmaxprice=NRLC(3_000_000_000),
            dataset=place("d1"),
            datasetmaxprice=NRLC(2_000_000_000),
            workerpool=place("f1"),
            workerpoolmaxprice=NRLC(1_000_000_007),
            requester=REQUESTER,
            volume=2,
            tag=TAG,
            category=2,
            trust=10,
            beneficiary=REQUESTER,
            params='{"iexec_args":"Alice"}',
            salt=salt("request"),
        ),
        1,
    ),
}


def test_domain() -> None:
    assert to_hex(domain_separator(DOMAIN)) == VECTORS["domain separator"]


@pytest.mark.parametrize("name", ORDERS)
def test_hashes_and_signatures(name: str) -> None:
    order, owner = ORDERS[name]
    assert to_hex(struct_hash(order)) == VECTORS[f"{name} struct hash"]
    assert order_hash(order, DOMAIN) == VECTORS[f"{name} order hash (EIP-712 digest)"]
    signed = sign_order(order, DOMAIN, signer(owner))
    key = next(k for k in VECTORS if k.startswith(f"{name} signature"))
    assert signed.sign == VECTORS[key]
    assert recover_signer(from_hex(order_hash(signed, DOMAIN)), signed.sign) == signer(owner).address


@pytest.mark.parametrize("name", ORDERS)
def test_operations(name: str) -> None:
    order, owner = ORDERS[name]
    digest = operation_hash(order, Operation.CLOSE, DOMAIN)
    assert digest == VECTORS[f"{name}Operation(operation=1) digest"]
    assert signer(owner).sign_digest(from_hex(digest)) == VECTORS[f"{name}Operation(operation=1) signature"]


def test_ids_and_seals() -> None:
    request, _ = ORDERS["RequestOrder"]
    deal = deal_id(order_hash(request, DOMAIN), 0)
    assert deal == VECTORS["dealid (consumed before = 0)"]
    assert deal_id(order_hash(request, DOMAIN), 1) == VECTORS["dealid (consumed before = 1)"]
    task = task_id(deal, 0)
    assert task == VECTORS["taskid (index 0)"]
    digest = as_hash32(VECTORS['resultDigest = keccak256("hello")'])
    worker = signer(10).address
    assert result_hash(task, digest) == VECTORS["resultHash"]
    assert result_seal(worker, task, digest) == VECTORS["resultSeal (worker 10)"]


def test_authorisations() -> None:
    request, _ = ORDERS["RequestOrder"]
    task = task_id(deal_id(order_hash(request, DOMAIN), 0), 0)
    worker, enclave = signer(10).address, signer(7).address
    assert sign_authorization(signer(6), worker, task) == VECTORS["authorization signature by workerpool owner, no enclave"]
    assert sign_authorization(signer(6), worker, task, enclave) == VECTORS["authorization signature by workerpool owner, enclave 7"]
    signature = VECTORS["authorization signature by workerpool owner, enclave 7"]
    assert recover_signer(authorization_digest(worker, task, enclave), signature) == signer(6).address


def test_enclave_signature() -> None:
    message = from_hex(VECTORS["classic enclave message hash"])
    assert sign_message(signer(7), message) == VECTORS["classic enclave signature"]
    assert recover_signer(message_digest(message), VECTORS["classic enclave signature"]) == signer(7).address
