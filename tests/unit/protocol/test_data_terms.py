"""Terms of use: one spelling, one id, an order that commits to them, and nothing in them that this program does not know."""

from __future__ import annotations

import json

import msgspec
import pytest
from eth_utils import keccak

from voisin.errors import InputError, TrustError
from voisin.protocol.data_schema import Column, ColumnType, DataForm, DataSchema
from voisin.protocol.data_terms import (
    MAX_LISTED,
    MAX_TERMS_BYTES,
    DataTerms,
    EnclaveLevel,
    Keeper,
    Privacy,
    Review,
    Subscription,
    encode_terms,
    read_terms,
    require_commitment,
)
from voisin.protocol.ids import Address, Hash32, as_address
from voisin.protocol.orders import DatasetOrder
from voisin.protocol.params import DealParams, encode_params, parse_params
from voisin.protocol.tags import NO_TAG, as_tag
from voisin.units import NRLC, UnixSeconds

DATASET = Address("0x" + "d1" * 20)
ONE, TWO = Address("0x" + "11" * 20), Address("0x" + "22" * 20)
CODE, OTHER = Hash32("0x" + "aa" * 32), Hash32("0x" + "bb" * 32)
FULL = DataTerms(
    dataset=DATASET,
    nonce=Hash32("0x" + "01" * 32),
    not_before=UnixSeconds(1_000),
    until=UnixSeconds(2_000),
    uses=10,
    uses_per_renter=3,
    apps=(OTHER, CODE),
    pools=(ONE,),
    requesters=(TWO, ONE),
    gate=TWO,
    purposes=("research", "audit"),
    max_output_bytes=1_000_000,
    min_enclave=EnclaveLevel.SIMULATED,
    privacy=Privacy(query_micro=500_000, renter_micro=5_000_000),
    subscription=Subscription(price=NRLC(7), period_s=86_400, renewals=2),
    review=Review.OWNER,
    schema=DataSchema(form=DataForm.TABLE, size_bytes=9, media="text/csv", rows=1, columns=(Column("a", ColumnType.INT64),), count=1),
)
SPELLED = (
    '{"apps":["0x' + "aa" * 32 + '","0x' + "bb" * 32 + '"],"dataset":"0xD1d1d1D1d1d1D1d1D1D1D1d1d1D1D1D1d1D1d1d1",'
    '"gate":"0x' + "22" * 20 + '","max_output_bytes":1000000,"min_enclave":"simulated","nonce":"0x' + "01" * 32 + '",'
    '"not_before":1000,"pools":["0x' + "11" * 20 + '"],"privacy":{"query_micro":500000,"renter_micro":5000000},'
    '"purposes":["audit","research"],"requesters":["0x' + "11" * 20 + '","0x' + "22" * 20 + '"],"review":"owner",'
    '"schema":{"columns":[{"name":"a","type":"int64"}],"count":1,"form":"table","media":"text/csv","rows":1,"size_bytes":9},'
    '"subscription":{"period_s":86400,"price":7,"renewals":2},"until":2000,"uses":10,"uses_per_renter":3}'
)


def order_for(terms: DataTerms, **changes: object) -> DatasetOrder:
    order = DatasetOrder(
        dataset=terms.dataset, datasetprice=NRLC(1), volume=10, tag=as_tag("tee"), requesterrestrict=terms.gate, salt=terms.id
    )
    return msgspec.structs.replace(order, **changes)


def test_the_spelling_is_the_canonical_one() -> None:
    text = encode_terms(FULL).decode()
    assert text == SPELLED
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


def test_the_id_is_the_hash_of_the_spelling() -> None:
    assert FULL.id == "0x" + keccak(encode_terms(FULL)).hex()


def test_what_does_not_restrict_is_not_spelled() -> None:
    assert json.loads(encode_terms(DataTerms(dataset=ONE))) == {"dataset": ONE}


def test_another_spelling_of_the_same_terms_has_the_same_id() -> None:
    raw = json.loads(encode_terms(FULL))
    raw["apps"] = [app.upper().replace("0X", "0x") for app in reversed(raw["apps"])] * 2
    raw["dataset"] = raw["dataset"].lower()
    raw["allow_network"] = False
    assert read_terms(json.dumps(raw, indent=1).encode()) == FULL


@pytest.mark.parametrize(
    "change",
    [
        {"expiry": 5},
        {"schema": {"form": "table", "size_bytes": 1, "secret": 1}},
        {"min_enclave": "none"},
        {"review": "maybe"},
        {"until": 999},
        {"uses": -1},
        {"uses": 2**53},
        {"uses": 1.5},
        {"apps": ["0x12"]},
        {"pools": ["0x12"]},
        {"purposes": [""]},
        {"purposes": [" x"]},
        {"purposes": ["a\nb"]},
        {"purposes": ["x" * 201]},
        {"privacy": {"query_micro": 2, "renter_micro": 1}},
        {"privacy": {"query_micro": 0, "renter_micro": 1}},
        {"subscription": {"price": 1, "period_s": 0}},
        {"gate": "0x" + "00" * 20},
        {"purposes": [f"purpose {number}" for number in range(MAX_LISTED + 1)]},
        {"schema": {"form": "folder", "size_bytes": 1, "files": [{"path": "a", "size_bytes": 1}], "count": 0}},
    ],
    ids=str,
)
def test_terms_that_make_no_sense_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError):
        read_terms(json.dumps({**json.loads(encode_terms(FULL)), **change}).encode())


def test_terms_without_end_are_not_read() -> None:
    with pytest.raises(InputError, match="are not read"):
        read_terms(b" " * (MAX_TERMS_BYTES + 1))
    with pytest.raises(InputError):
        read_terms(b'{"dataset": "\xff"}')


def test_an_order_commits_to_its_terms() -> None:
    require_commitment(FULL, order_for(FULL))
    require_commitment(DataTerms(dataset=ONE), order_for(DataTerms(dataset=ONE), requesterrestrict=TWO))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataset": ONE}, "another dataset"),
        ({"salt": CODE}, "its salt is not their id"),
        ({"tag": NO_TAG}, "no tee"),
        ({"tag": as_tag("gpu")}, "no tee"),
        ({"requesterrestrict": ONE}, "gate"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_order_that_does_not_commit_to_them_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(TrustError, match=reason):
        require_commitment(FULL, order_for(FULL, **change))


def test_levels_of_enclaves_are_ordered() -> None:
    hardware, simulated = EnclaveLevel.HARDWARE, EnclaveLevel.SIMULATED
    assert [(a.suffices_for(b)) for a in (hardware, simulated) for b in (hardware, simulated)] == [True, True, False, True]


def test_the_purpose_is_among_what_the_requester_signs() -> None:
    text = encode_params(DealParams(voisin_window="w", voisin_purpose="research"))
    assert text.startswith('{"voisin_window"')
    assert parse_params(text).voisin_purpose == "research"


@pytest.mark.parametrize(("count", "threshold"), [(0, 1), (2, 0), (2, 3), (17, 2)])
def test_keepers_that_cannot_keep_a_key_together(count: int, threshold: int) -> None:
    keepers = tuple(Keeper(vault=as_address(f"0x{number:040x}"), url="http://vault.example") for number in range(1, count + 1))
    with pytest.raises(InputError):
        DataTerms(dataset=as_address("0x" + "d1" * 20), keepers=keepers, threshold=threshold)


def test_keeper_is_named_once_and_reachable() -> None:
    keeper = Keeper(vault=as_address("0x" + "a1" * 20), url="http://vault.example")
    with pytest.raises(InputError, match="twice"):
        DataTerms(dataset=as_address("0x" + "d1" * 20), keepers=(keeper, keeper), threshold=2)
    with pytest.raises(InputError, match="not the address of a vault"):
        Keeper(vault=as_address("0x" + "a1" * 20), url="file:///etc/passwd")
