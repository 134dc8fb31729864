"""Our signed transactions are, byte for byte, those of eth_account."""

from __future__ import annotations

from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.nights import examples
from voisin.chain.transactions import Price, Transaction, sign_transaction
from voisin.protocol.ids import Address
from voisin.protocol.signatures import KeySigner
from voisin.units import Wei

UINT64 = st.integers(0, 2**64 - 1)
FEES = st.tuples(UINT64, UINT64).map(sorted)
LENGTHS = st.sampled_from([0, 1, 2, 54, 55, 56, 57, 200, 255, 256, 257, 70_000])


@settings(max_examples=examples(30))
@given(
    key=st.integers(1, 2**255).map(lambda number: number.to_bytes(32, "big")),
    chain_id=st.integers(1, 2**53),
    nonce=UINT64,
    fees=FEES,
    gas=UINT64,
    to=st.none() | st.binary(min_size=20, max_size=20),
    value=st.integers(0, 2**200),
    data=LENGTHS.flatmap(lambda length: st.binary(min_size=1, max_size=1).map(lambda byte: byte * length)),
)
def test_same_bytes(key: bytes, chain_id: int, nonce: int, fees: list[int], gas: int, to: bytes | None, value: int, data: bytes) -> None:
    tip, max_fee = fees
    theirs = Account.sign_transaction(
        {
            "type": 2, "chainId": chain_id, "nonce": nonce, "maxPriorityFeePerGas": tip, "maxFeePerGas": max_fee, "gas": gas,
            "to": b"" if to is None else to, "value": value, "data": data,
        },
        key,
    )  # fmt: skip
    receiver = None if to is None else Address("0x" + to.hex())
    ours = sign_transaction(Transaction(chain_id, nonce, Price(Wei(max_fee), Wei(tip)), gas, receiver, Wei(value), data), KeySigner(key))
    assert ours.raw == "0x" + theirs.raw_transaction.hex()
    assert ours.hash == "0x" + theirs.hash.hex()


@given(fee=st.integers(0, 2**64), tip=st.integers(0, 2**64), percent=st.integers(1, 100))
def test_a_raised_price_satisfies_every_node(fee: int, tip: int, percent: int) -> None:
    raised = Price(Wei(fee), Wei(tip)).raised(percent)
    for old, new in ((fee, raised.max_fee), (tip, raised.tip)):
        assert new * 100 >= old * (100 + percent)
        assert new > old
