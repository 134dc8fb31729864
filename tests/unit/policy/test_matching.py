"""Every condition of a match is named, in words that say by how much it fails."""

from __future__ import annotations

import msgspec
import pytest

from voisin.policy import mismatches, nearest, price_of
from voisin.protocol.ids import ZERO_HASH, Address, as_address
from voisin.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.tags import as_tag
from voisin.units import NRLC


def place(digits: str) -> Address:
    return as_address("0x" + digits.rjust(40, "0"))


APP, DATA, POOL, ALICE, BOB = (place(digits) for digits in ("a1", "d1", "f1", "a11ce", "b0b"))
app = AppOrder(app=APP, appprice=NRLC(10), volume=5, salt=ZERO_HASH)
data = DatasetOrder(dataset=DATA, datasetprice=NRLC(20), volume=5, salt=ZERO_HASH)
pool = WorkerpoolOrder(workerpool=POOL, workerpoolprice=NRLC(30), volume=5, category=1, trust=8, salt=ZERO_HASH)
request = RequestOrder(
    app=APP,
    appmaxprice=NRLC(10),
    dataset=DATA,
    datasetmaxprice=NRLC(20),
    workerpoolmaxprice=NRLC(30),
    requester=ALICE,
    volume=5,
    category=1,
    trust=8,
    beneficiary=ALICE,
    params="",
    salt=ZERO_HASH,
)
ORDERS = {"app": app, "dataset": data, "workerpool": pool, "request": request}


def judge(**changes: dict[str, object]) -> list[tuple[str, str]]:
    made = {name: msgspec.structs.replace(order, **changes.get(name, {})) for name, order in ORDERS.items()}
    return [(m.code, m.message) for m in mismatches(made["app"], made["dataset"], made["workerpool"], made["request"])]


def test_orders_that_fit() -> None:
    assert judge() == []
    assert price_of(app, data, pool) == 60
    assert price_of(app, None, pool) == 40


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"request": {"category": 2}}, "0x00", "category 1, the request wants 2"),
        ({"request": {"trust": 9}}, "0x02", "up to 8, the request wants 9"),
        ({"request": {"appmaxprice": 9}}, "0x03", "0.000000001 RLC too little"),
        ({"request": {"datasetmaxprice": 0}}, "0x04", "0.00000002 RLC too little"),
        ({"workerpool": {"workerpoolprice": 1_000_000_030}}, "0x05", "1 RLC too little"),
        ({"app": {"tag": as_tag("gpu")}}, "0x06", "lacks gpu"),
        ({"request": {"tag": as_tag("tee")}, "workerpool": {"tag": as_tag("tee")}}, "0x07", "enclave"),
        ({"request": {"app": BOB}}, "0x10", BOB),
        ({"request": {"dataset": BOB}}, "0x11", BOB),
        ({"request": {"workerpool": BOB}}, "0x12", BOB),
        ({"app": {"datasetrestrict": BOB}}, "0x13", BOB),
        ({"app": {"workerpoolrestrict": BOB}}, "0x14", BOB),
        ({"app": {"requesterrestrict": BOB}}, "0x15", BOB),
        ({"dataset": {"apprestrict": BOB}}, "0x16", BOB),
        ({"dataset": {"workerpoolrestrict": BOB}}, "0x17", BOB),
        ({"dataset": {"requesterrestrict": BOB}}, "0x18", BOB),
        ({"workerpool": {"apprestrict": BOB}}, "0x19", BOB),
        ({"workerpool": {"datasetrestrict": BOB}}, "0x1a", BOB),
        ({"workerpool": {"requesterrestrict": BOB}}, "0x1b", BOB),
    ],
)
def test_each_condition(changes: dict[str, dict[str, object]], code: str, words: str) -> None:
    found = judge(**changes)
    assert [one for one, _ in found] == [code]
    assert words in found[0][1]


def test_dataset_framework_bits_do_not_count() -> None:
    assert judge(dataset={"tag": as_tag("scone,gramine,tdx")}) == []
    assert [code for code, _ in judge(dataset={"tag": as_tag("gpu")})] == ["0x06"]


def test_a_group_lets_its_members_in() -> None:
    only_group = msgspec.structs.replace(pool, requesterrestrict=BOB)
    assert mismatches(app, data, only_group, request, is_member=lambda group, who: (group, who) == (BOB, ALICE)) == []


def test_the_nearest_offer_is_the_one_with_least_against_it() -> None:
    dear = msgspec.structs.replace(pool, workerpoolprice=NRLC(35))
    dearer = msgspec.structs.replace(pool, workerpoolprice=NRLC(90))
    foreign = msgspec.structs.replace(pool, category=3, trust=1)
    found = nearest([foreign, dearer, dear], lambda offer: mismatches(app, data, offer, request))
    assert found is not None
    assert found[0] is dear
    assert [m.gap for m in found[1]] == [5]
    assert nearest([], lambda offer: []) is None
