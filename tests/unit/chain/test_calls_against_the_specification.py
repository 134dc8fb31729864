"""Every call spells the selector and the arguments that the specification names; its types are written here a second time."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import decode

from voisin.chain import Admission, Call, calls
from voisin.chain.functions import function
from voisin.errors import InputError
from voisin.protocol.eip712 import Operation
from voisin.protocol.ids import Address, DealId, Hash32, TaskId
from voisin.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.records import AppInfo, DatasetInfo
from voisin.protocol.tags import Tag
from voisin.units import NRLC

HUB = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
WHO = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
APP = Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
POOL = Address("0x90F79bf6EB2c4f870365E785982E1f101E93b906")
ZERO = "0x" + "00" * 20
A, B, C = (Hash32("0x" + digit * 64) for digit in "abc")
RAW_A, RAW_B, RAW_C = (bytes.fromhex(digit * 64) for digit in "abc")
TAG = Tag("0x" + "00" * 31 + "03")
RAW_TAG = bytes(31) + b"\3"
SIGN = "0x" + "5e" * 65
RAW_SIGN = b"\x5e" * 65
PASS = Admission(authorization=SIGN, enclave=WHO, enclave_sign="0x0102")

APP_ORDER = AppOrder(
    app=APP, appprice=NRLC(1), volume=2, tag=TAG, datasetrestrict=WHO, workerpoolrestrict=POOL, requesterrestrict=HUB, salt=A, sign=SIGN
)
DATASET_ORDER = DatasetOrder(dataset=WHO, datasetprice=NRLC(3), volume=4, apprestrict=APP, salt=B, sign=SIGN)
POOL_ORDER = WorkerpoolOrder(workerpool=POOL, workerpoolprice=NRLC(5), volume=6, tag=TAG, category=7, trust=8, salt=C, sign=SIGN)
REQUEST_ORDER = RequestOrder(
    app=APP, appmaxprice=NRLC(9), dataset=WHO, datasetmaxprice=NRLC(10), workerpool=POOL, workerpoolmaxprice=NRLC(11), requester=WHO,
    volume=12, tag=TAG, category=13, trust=14, beneficiary=HUB, callback=APP, params='{"iexec_args":"ü"}', salt=A, sign=SIGN,
)  # fmt: skip

APP_TYPE = "(address,uint256,uint256,bytes32,address,address,address,bytes32,bytes)"
DATASET_TYPE = APP_TYPE
POOL_TYPE = "(address,uint256,uint256,bytes32,uint256,uint256,address,address,address,bytes32,bytes)"
REQUEST_TYPE = (
    "(address,uint256,address,uint256,address,uint256,address,uint256,bytes32,uint256,uint256,address,address,string,bytes32,bytes)"
)


def low(address: str) -> str:
    return address.lower()


APP_TUPLE = (low(APP), 1, 2, RAW_TAG, low(WHO), low(POOL), low(HUB), RAW_A, RAW_SIGN)
DATASET_TUPLE = (low(WHO), 3, 4, bytes(32), low(APP), ZERO, ZERO, RAW_B, RAW_SIGN)
NO_DATASET = (ZERO, 0, 0, bytes(32), ZERO, ZERO, ZERO, bytes(32), b"")
POOL_TUPLE = (low(POOL), 5, 6, RAW_TAG, 7, 8, ZERO, ZERO, ZERO, RAW_C, RAW_SIGN)
REQUEST_TUPLE = (
    low(APP), 9, low(WHO), 10, low(POOL), 11, low(WHO), 12, RAW_TAG, 13, 14, low(HUB), low(APP), '{"iexec_args":"ü"}', RAW_A, RAW_SIGN,
)  # fmt: skip
DEAL, TASK, OTHER_TASK = DealId(A), TaskId(B), TaskId(C)

# poco-protocol.md 7 to 9, 16, 17
CASES: list[tuple[Call, str, list[str], tuple[Any, ...]]] = [
    (calls.transfer(HUB, WHO, NRLC(5)), "a9059cbb", ["address", "uint256"], (low(WHO), 5)),
    (calls.approve(HUB, WHO, NRLC(5)), "095ea7b3", ["address", "uint256"], (low(WHO), 5)),
    (calls.approve_and_call(HUB, WHO, NRLC(5), b"\1"), "cae9ca51", ["address", "uint256", "bytes"], (low(WHO), 5, b"\1")),
    (calls.approve_and_call(HUB, WHO, NRLC(5)), "cae9ca51", ["address", "uint256", "bytes"], (low(WHO), 5, b"")),
    (calls.deposit(HUB, NRLC(5)), "b6b55f25", ["uint256"], (5,)),
    (calls.withdraw(HUB, NRLC(5)), "2e1a7d4d", ["uint256"], (5,)),
    (
        calls.match_orders(HUB, APP_ORDER, DATASET_ORDER, POOL_ORDER, REQUEST_ORDER),
        "156194d4", [APP_TYPE, DATASET_TYPE, POOL_TYPE, REQUEST_TYPE], (APP_TUPLE, DATASET_TUPLE, POOL_TUPLE, REQUEST_TUPLE),
    ),
    (
        calls.sponsor_match_orders(HUB, APP_ORDER, None, POOL_ORDER, REQUEST_ORDER),
        "2f391533", [APP_TYPE, DATASET_TYPE, POOL_TYPE, REQUEST_TYPE], (APP_TUPLE, NO_DATASET, POOL_TUPLE, REQUEST_TUPLE),
    ),
    (calls.manage_order(HUB, APP_ORDER, Operation.SIGN), "b2b07e66", [f"({APP_TYPE},uint8,bytes)"], ((APP_TUPLE, 0, b""),)),
    (calls.manage_order(HUB, DATASET_ORDER, Operation.CLOSE), "4b747106", [f"({DATASET_TYPE},uint8,bytes)"], ((DATASET_TUPLE, 1, b""),)),
    (calls.manage_order(HUB, POOL_ORDER, Operation.CLOSE), "7e34a077", [f"({POOL_TYPE},uint8,bytes)"], ((POOL_TUPLE, 1, b""),)),
    (
        calls.manage_order(HUB, REQUEST_ORDER, Operation.CLOSE, SIGN), "8dd971d5",
        [f"({REQUEST_TYPE},uint8,bytes)"], ((REQUEST_TUPLE, 1, RAW_SIGN),),
    ),
    (calls.initialize(HUB, DEAL, 3), "5b36c66b", ["bytes32", "uint256"], (RAW_A, 3)),
    (calls.initialize_array(HUB, [(DEAL, 3), (DEAL, 4)]), "b504681d", ["bytes32[]", "uint256[]"], ((RAW_A, RAW_A), (3, 4))),
    (
        calls.contribute(HUB, TASK, result_hash=A, result_seal=C, admission=PASS),
        "34623484", ["bytes32", "bytes32", "bytes32", "address", "bytes", "bytes"], (RAW_B, RAW_A, RAW_C, low(WHO), b"\1\2", RAW_SIGN),
    ),
    (calls.reveal(HUB, TASK, A), "fc334e8c", ["bytes32", "bytes32"], (RAW_B, RAW_A)),
    (calls.finalize(HUB, TASK, b"here", b"back"), "8fc375e5", ["bytes32", "bytes", "bytes"], (RAW_B, b"here", b"back")),
    (
        calls.contribute_and_finalize(HUB, TASK, digest=A, results=b"here", admission=Admission(SIGN)),
        "5facd761", ["bytes32", "bytes32", "bytes", "bytes", "address", "bytes", "bytes"],
        (RAW_B, RAW_A, b"here", b"", ZERO, b"", RAW_SIGN),
    ),
    (calls.reopen(HUB, TASK), "f6c68e10", ["bytes32"], (RAW_B,)),
    (calls.claim(HUB, TASK), "bd66528a", ["bytes32"], (RAW_B,)),
    (calls.claim_array(HUB, [TASK, OTHER_TASK]), "fa055d7e", ["bytes32[]"], ((RAW_B, RAW_C),)),
    (calls.initialize_and_claim_array(HUB, [(DEAL, 1)]), "f722cb32", ["bytes32[]", "uint256[]"], ((RAW_A,), (1,))),
    (calls.give_back(HUB, DEAL, [3, 5], most=NRLC(7)), "f99b960b", ["bytes32", "uint256[]", "uint256"], (RAW_A, (3, 5), 7)),
    (
        calls.create_app(HUB, AppInfo(owner=WHO, name="n", type="WASM", multiaddr=b"m", checksum=A, mrenclave=b"e")),
        "3f7868ff", ["address", "string", "string", "bytes", "bytes32", "bytes"], (low(WHO), "n", "WASM", b"m", RAW_A, b"e"),
    ),
    (
        calls.create_dataset(HUB, DatasetInfo(owner=WHO, name="n", multiaddr=b"m", checksum=A)),
        "3354bcdb", ["address", "string", "bytes", "bytes32"], (low(WHO), "n", b"m", RAW_A),
    ),
    (calls.create_workerpool(HUB, WHO, "ours"), "e40238f4", ["address", "string"], (low(WHO), "ours")),
    (calls.change_policy(HUB, 35, 5), "f199413c", ["uint256", "uint256"], (35, 5)),
    (
        calls.transfer_entry(HUB, APP, owner=WHO, recipient=POOL),
        "42842e0e", ["address", "address", "uint256"], (low(WHO), low(POOL), int(APP, 16)),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "selector", "types", "values"), CASES, ids=[f"{n}-{case[0].label[:20]}" for n, case in enumerate(CASES)])
def test_calldata(call: Call, selector: str, types: list[str], values: tuple[Any, ...]) -> None:
    assert call.data[:4].hex() == selector
    assert decode(types, call.data[4:]) == values
    assert (call.to, call.value, call.gas) == (HUB, 0, None)
    assert call.label


def test_values_that_do_not_fit_are_refused() -> None:
    for bad in ((-1,), (2**256,), ("x",), (), (1, 2)):
        with pytest.raises(InputError, match="deposit"):
            function("Hub", "deposit").encode(*bad)
    with pytest.raises(InputError):
        function("Hub", "claim").encode("0x1234")
    with pytest.raises(InputError):
        function("Hub", "claim").encode("zz")
    with pytest.raises(InputError, match="needs several values"):
        function("Hub", "claimArray").encode("0x" + "ab" * 32)
    with pytest.raises(InputError):
        function("Rlc", "transfer").encode("0x1234", 5)


def test_a_function_that_is_not_there() -> None:
    with pytest.raises(InputError, match="Hub has no function fly"):
        function("Hub", "fly")


@pytest.mark.parametrize("data", [b"", b"\1", b"\xff" * 32, b"\xff" * 64, b"\0" * 31])
def test_answers_of_another_contract_are_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="another contract is at this address, or none"):
        function("Hub", "viewTask").decode(data)
