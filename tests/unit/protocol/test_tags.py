"""Tags: the bit of simulated enclaves stands in the pool's order, and asks nothing of a request."""

from __future__ import annotations

import pytest

from voisin.errors import InputError
from voisin.protocol.tags import NO_TAG, as_tag, deal_tag, is_simulated, missing_bits, needs_enclave, tag_bits, tag_names

TEE_TDX = as_tag("0x" + "00" * 31 + "09")
"""What the protocol's own client puts on every order."""


def test_the_bits_are_where_the_protocol_and_we_put_them() -> None:
    assert tag_bits(as_tag("tee,scone,gramine,tdx,gpu,simulated")) == 1 | 2 | 4 | 8 | 256 | 65_536


def test_a_simulated_pool_has_what_an_enclave_order_asks_for() -> None:
    pool = as_tag("tee,tdx,simulated")
    wanted = deal_tag(TEE_TDX, NO_TAG, TEE_TDX)
    assert missing_bits(wanted, pool) == []
    assert not is_simulated(wanted)
    assert (is_simulated(pool), needs_enclave(pool)) == (True, True)


def test_a_request_may_ask_for_the_simulation() -> None:
    assert missing_bits(as_tag("simulated"), TEE_TDX) == ["simulated"]


def test_names_are_told_lowest_first() -> None:
    assert tag_names(as_tag("simulated,tdx,tee")) == ["tee", "tdx", "simulated"]


@pytest.mark.parametrize("text", ["simulate", "tee;tdx", "bit16"])
def test_unknown_names_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        as_tag(text)
