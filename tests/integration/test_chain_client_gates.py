"""Gates through the chain client alone: deployed, granted, paid at, revoked, and asked by the hub's own question."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.support.chain_rig import RLC, SALT, Rig, _entry, open_rig
from voisin.chain import calls, gates
from voisin.chain.gates import FOREVER, GateTerms, Membership
from voisin.errors import InputError, RevertError
from voisin.protocol.ids import Address
from voisin.protocol.records import DatasetInfo
from voisin.units import NRLC, UnixSeconds

pytestmark = pytest.mark.anyio
NOW, DAY = UnixSeconds(0), 86_400
PRICE = NRLC(2 * RLC)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A chain with a market."""
    async with open_rig() as rig:
        yield rig


async def deployed(rig: Rig, **terms: object) -> tuple[Address, GateTerms]:
    """A gate of a dataset of the app's owner."""
    info = DatasetInfo(owner=rig.app_owner.address, name="data", multiaddr=b"/ipfs/x", checksum=SALT)
    entry = _entry(await rig.send(rig.stranger, calls.create_dataset(rig.chain.dataset_registry, info)))
    wanted = replace(GateTerms(entry=entry, token=rig.chain.token_address), **terms)  # type: ignore[arg-type]
    receipt = await rig.send(rig.stranger, gates.deploy_gate(wanted))
    assert receipt.contract is not None
    return receipt.contract, wanted


async def test_grants_come_and_go(rig: Rig) -> None:
    gate, terms = await deployed(rig)
    owner, one, two = rig.app_owner, rig.requester.address, rig.stranger.address
    assert await gates.read_gate(rig.chain.rpc, gate) == (terms, False)
    await rig.send(owner, gates.grant(gate, [one, two], NOW, NOW))
    assert await gates.read_member(rig.chain.rpc, gate, one) == Membership(
        one, True, False, (UnixSeconds(0), UnixSeconds(FOREVER)), None, 0, NRLC(0)
    )
    await rig.send(owner, gates.revoke(gate, one))
    assert [await rig.chain.is_authorized(gate, account) for account in (one, two)] == [False, True]
    await rig.send(owner, gates.revoke_all(gate))
    assert not await rig.chain.is_authorized(gate, two)
    assert await gates.find_accounts(rig.chain, gate, since_block=0) == (one, two)
    with pytest.raises(RevertError, match="not-the-owner"):
        await rig.send(rig.stranger, gates.grant(gate, [two], NOW, NOW))


async def test_a_subscription_is_paid_and_given_back(rig: Rig) -> None:
    gate, terms = await deployed(rig, price=PRICE, period_s=DAY, renewals=3)
    owner, renter, token = rig.app_owner, rig.requester, rig.chain.token_address
    assert await gates.read_gate(rig.chain.rpc, gate) == (terms, True)
    await rig.send(rig.owner, calls.transfer(token, renter.address, NRLC(3 * PRICE)))
    await rig.send(renter, gates.subscribe(gate, terms, 2))
    assert await rig.chain.token.balance(owner.address) == 2 * PRICE
    held = await gates.read_member(rig.chain.rpc, gate, renter.address)
    assert (held.is_member, held.periods, held.grant) == (True, 2, None)
    assert held.paid is not None
    assert held.paid[1] - held.paid[0] == 2 * DAY
    await rig.send(owner, gates.revoke(gate, renter.address, token=token, refund=NRLC(2 * PRICE)))
    after = await gates.read_member(rig.chain.rpc, gate, renter.address)
    assert (after.is_member, after.is_revoked, after.paid) == (False, True, None)
    kept = await rig.chain.token.balance(owner.address)
    assert kept + await rig.chain.token.balance(renter.address) == 3 * PRICE
    assert kept < PRICE // 100, "no more than the seconds of this test"


async def test_a_sale_can_be_closed(rig: Rig) -> None:
    gate, terms = await deployed(rig, period_s=DAY)
    await rig.send(rig.app_owner, gates.set_selling(gate, is_selling=False))
    with pytest.raises(RevertError, match="not-selling"):
        await rig.send(rig.requester, gates.subscribe(gate, terms, 1))
    await rig.send(rig.app_owner, gates.set_selling(gate, is_selling=True))
    await rig.send(rig.requester, gates.subscribe(gate, terms, 1))


async def test_what_is_no_gate_is_not_read_as_one(rig: Rig) -> None:
    for address in (rig.chain.hub_address, rig.stranger.address):
        with pytest.raises(InputError, match="no gate"):
            await gates.read_gate(rig.chain.rpc, address)
    with pytest.raises(InputError, match="at most 256"):
        gates.grant(rig.chain.hub_address, [rig.stranger.address] * 257, NOW, NOW)
