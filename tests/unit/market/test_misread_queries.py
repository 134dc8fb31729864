"""Questions to the book that must be refused, and what a question means for each kind of order."""

from __future__ import annotations

import base64

import pytest

from tests.support.order_book import somewhere
from voisin.errors import InputError
from voisin.market.query import DealQuery, OrderPlace, OrderQuery, TaskQuery, read_query, write_cursor
from voisin.protocol.ids import ZERO_ADDRESS, Hash32, OrderHash
from voisin.protocol.orders import OrderKind
from voisin.units import UnixSeconds

ME, OTHER = somewhere(0xA1), somewhere(0xA2)
MOST = 2**256 - 1
PLACE = OrderPlace(OrderKind.APP, str(MOST), UnixSeconds(5), OrderHash(Hash32("0x" + "ab" * 32)))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kynd": ["app"]}, "parameter 'kynd' is unknown: known parameters are kind, app,"),
        ({"kind": ["apps"]}, "Invalid enum value 'apps'"),
        ({"kind": ["app", "app"]}, "parameter 'kind' is given 2 times"),
        ({"app": ["0x12"]}, "'0x12' is not an address"),
        ({"app": ["0x" + "aA" * 20]}, "checksum"),
        ({"owner": [""]}, "'' is not an address"),
        ({"app": [ME] * 21}, "parameter 'app' is given 21 times"),
        ({"status": ["closed"]}, "'closed' is not a status: choose open, filled, cancelled, removed, dead or any"),
        ({"tag": ["fpga"]}, "'fpga' is not a tag"),
        ({"tag": ["0x01"]}, "not a 32-byte hash"),
        ({"category": ["-1"]}, "not a whole number: write digits only, without sign or fraction"),
        ({"min_trust": ["1.0"]}, "not a whole number"),
        ({"max_price": ["1e9"]}, "not a whole number: write digits only, without sign or fraction; amounts are in nRLC"),
        ({"min_price": ["0x10"]}, "not a whole number"),
        ({"min_volume": [" 1"]}, "not a whole number"),
        ({"min_volume": ["٣"]}, "not a whole number"),
        ({"max_price": ["9" * 5000]}, "not a whole number"),
        ({"max_price": [str(MOST + 1)]}, "out of range"),
        ({"limit": ["0"]}, "limit 0 is out of range: ask for 1 to 1000"),
        ({"limit": ["1001"]}, "limit 1001 is out of range"),
        ({"kind": ["app"], "category": ["0"]}, "app orders have no category"),
        ({"kind": ["dataset"], "min_trust": ["2"]}, "dataset orders have no trust"),
    ],
)
def test_refused(given: dict[str, list[str]], words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_query(given, OrderQuery)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "%", "é", "bnVsbA", base64.urlsafe_b64encode(b'["app","1e3",5,"0x12"]').decode(), write_cursor(PLACE)[:-3], "A" * 10_000],
)
def test_malformed_cursor(cursor: str) -> None:
    with pytest.raises(InputError, match="the cursor is malformed"):
        _ = OrderQuery(cursor=cursor).place
    with pytest.raises(InputError, match="the cursor is malformed"):
        _ = DealQuery(cursor=cursor).place


def test_cursor_comes_back_as_it_went() -> None:
    assert OrderQuery(cursor=write_cursor(PLACE)).place == PLACE


def test_other_queries_are_as_strict() -> None:
    with pytest.raises(InputError, match="parameter 'kind' is unknown"):
        read_query({"kind": ["app"]}, DealQuery)
    with pytest.raises(InputError, match="limit 10001 is out of range"):
        read_query({"limit": ["10001"]}, TaskQuery)
    assert read_query({"first": [str(MOST)]}, TaskQuery).first == MOST


def test_everything_at_once() -> None:
    given = {
        "kind": ["workerpool"],
        "app": [ME.lower(), OTHER],
        "requester": ["any"],
        "owner": [ME],
        "category": ["3"],
        "tag": ["tee,gpu"],
        "min_trust": ["1"],
        "max_trust": [str(MOST)],
        "min_price": ["0"],
        "max_price": ["1000000000"],
        "min_volume": ["7"],
        "status": ["any"],
        "limit": ["1000"],
        "cursor": [write_cursor(PLACE)],
    }
    query = read_query(given, OrderQuery)
    assert (query.kind, query.app, query.requester, query.category) == (OrderKind.WORKERPOOL, (ME, OTHER), ("any",), 3)
    assert (query.bits, query.max_trust, query.max_price, query.limit) == (0x101, MOST, 10**9, 1000)


@pytest.mark.parametrize("kind", list(OrderKind))
def test_who_is_named_and_who_is_meant(kind: OrderKind) -> None:
    # by hand: an order's own resource and requester are compared as they are; the others are restrictions, open to all when zero
    own = {
        OrderKind.APP: {"app"},
        OrderKind.DATASET: {"dataset"},
        OrderKind.WORKERPOOL: {"workerpool"},
        OrderKind.REQUEST: {"app", "dataset", "requester"},
    }[kind]
    for account in ("app", "dataset", "workerpool", "requester"):
        silent, named = OrderQuery(), read_query({account: [ME, OTHER]}, OrderQuery)
        assert read_query({account: ["any"]}, OrderQuery).allowed(account, kind) is None
        if account in own:
            assert silent.allowed(account, kind) is None
            assert named.allowed(account, kind) == {ME, OTHER}
        else:
            assert silent.allowed(account, kind) == {ZERO_ADDRESS}
            assert named.allowed(account, kind) == {ZERO_ADDRESS, ME, OTHER}
