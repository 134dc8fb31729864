"""Terms of use over HTTP beside the real contracts: uses counted from the chain's own events, a real gate, an order closed there."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from tests.support.chain_rig import RLC, SALT
from tests.support.vault_rig import Scene, open_scene
from tests.support.vault_scene import fresh_nonce
from voisin.chain import calls
from voisin.chain.gates import GateTerms, deploy_gate, grant, revoke
from voisin.client.vault_terms import TermsDesk
from voisin.errors import StateError, TrustError
from voisin.protocol.codec import decode, encode
from voisin.protocol.data_terms import DataTerms, EnclaveLevel, Review
from voisin.protocol.eip712 import Operation, order_hash
from voisin.protocol.ids import TaskId
from voisin.protocol.orders import DatasetOrder
from voisin.protocol.params import DealParams
from voisin.protocol.sessions import SealedSession, SessionKey, TaskSecrets
from voisin.units import UnixSeconds

pytestmark = pytest.mark.anyio

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.fixture
async def scene(tmp_path: Path, new_database: Callable[[], str]) -> AsyncIterator[Scene]:
    (tmp_path / "data").mkdir()
    made = new_database()
    url = made if made.startswith("postgresql") else f"sqlite:///{tmp_path}/data/vault.sqlite"
    async with open_scene(tmp_path, url) as opened:
        yield opened


def terms_of(scene: Scene, **changes: object) -> DataTerms:
    terms = DataTerms(dataset=scene.dataset, nonce=fresh_nonce(), min_enclave=EnclaveLevel.SIMULATED)
    return msgspec.structs.replace(terms, **changes)


async def offer(scene: Scene, terms: DataTerms) -> tuple[TermsDesk, DatasetOrder]:
    """Push an order with its terms as a client does."""
    desk = TermsDesk(scene.desk, scene.rig.chain.domain)
    order = scene.data_order(salt=terms.id, requesterrestrict=terms.gate)
    entry = await desk.push(scene.dataset_owner, order, terms, key=KEY)
    assert entry.order_hash == order_hash(order, scene.rig.chain.domain)
    return desk, order


async def ask(scene: Scene, task: TaskId, key: SessionKey | None = None) -> TaskSecrets:
    """Ask for the session of a task as its worker."""
    own = key or SessionKey(secrets.token_bytes)
    request = await scene.request(task, await scene.challenge(task), own)
    sealed = decode(await scene.post("/v1/sessions", content=encode(request)), SealedSession, "the session")
    return own.open(sealed, request, await scene.vault())


async def test_uses_are_counted_from_the_deals_of_the_chain(scene: Scene) -> None:
    terms = terms_of(scene, uses=2, purposes=("research",), apps=(SALT,), pools=(scene.pool,))
    desk, order = await offer(scene, terms)
    params = DealParams(voisin_purpose="research")
    tasks = [await scene.deal(params, order=order) for _ in range(3)]
    for task in tasks[:2]:
        opened = await ask(scene, task)
        assert (opened.dataset_key, opened.terms, opened.app_checksum, opened.purpose) == (KEY, terms, SALT, "research")
    with pytest.raises(TrustError, match="all 2 uses are taken: this would be number 3"):
        await ask(scene, tasks[2])
    with pytest.raises(TrustError, match="another enclave got the keys"):
        await ask(scene, tasks[0])
    uses = [use async for use in desk.uses(scene.dataset_owner, scene.dataset)]
    assert [(use.task_id, use.number, use.price) for use in uses] == [(tasks[1], 1, RLC), (tasks[0], 0, RLC)]
    with pytest.raises(TrustError, match="may not do that"):
        assert [use async for use in desk.uses(scene.rig.requester, scene.dataset)]
    (shown,) = (await desk.evidence(tasks[0])).sessions
    assert shown.worker == scene.rig.workers[0].address


async def test_everything_is_shown_that_may_be(scene: Scene) -> None:
    desk, order = await offer(scene, terms_of(scene, until=UnixSeconds(2**40)))
    name = order_hash(order, scene.rig.chain.domain)
    (entry,) = await desk.of_dataset(scene.dataset)
    assert await desk.of_order(name) == entry
    assert (entry.order.sign, entry.terms.until) == ("0x", 2**40)
    assert await desk.of_order(type(name)("0x" + "00" * 32)) is None
    (gone,) = await desk.revoke(scene.dataset_owner, scene.dataset, name)
    assert gone.revoked_at > 0


async def test_revoked_at_the_vault_at_the_gate_and_on_the_chain(scene: Scene) -> None:
    """Each of the three ways takes effect before the next key goes out, for deals that are made already."""
    rig = scene.rig
    deployed = await rig.send(scene.dataset_owner, deploy_gate(GateTerms(entry=scene.dataset, token=rig.chain.token_address)))
    gate = deployed.contract
    assert gate is not None
    await rig.send(scene.dataset_owner, grant(gate, [rig.requester.address], UnixSeconds(0), UnixSeconds(0)))
    desk, gated = await offer(scene, terms_of(scene, gate=gate))
    _, closed = await offer(scene, terms_of(scene))
    _, revoked = await offer(scene, terms_of(scene))
    tasks = {name: [await scene.deal(DealParams(), order=order) for _ in range(2)] for name, order in
             (("gate", gated), ("chain", closed), ("vault", revoked))}  # fmt: skip
    for first, _ in tasks.values():
        assert (await ask(scene, first)).dataset_key == KEY
    await rig.send(scene.dataset_owner, revoke(gate, rig.requester.address))
    await rig.send(scene.dataset_owner, calls.manage_order(rig.chain.hub_address, closed, Operation.CLOSE))
    await desk.revoke(scene.dataset_owner, scene.dataset, order_hash(revoked, rig.chain.domain))
    for name, words in (("gate", "does not let in"), ("chain", "the owner revoked"), ("vault", "the owner revoked")):
        with pytest.raises(TrustError, match=words):
            await ask(scene, tasks[name][1])


async def test_order_that_is_in_a_deal_before_its_terms_come(scene: Scene) -> None:
    terms = terms_of(scene)
    order = scene.data_order(salt=terms.id)
    await scene.deal(DealParams(), order=order)
    desk = TermsDesk(scene.desk, scene.rig.chain.domain)
    with pytest.raises(StateError, match="was used, or closed, before"):
        await desk.push(scene.dataset_owner, order, terms, key=KEY)


async def test_held_result_is_released_over_the_wire(scene: Scene) -> None:
    desk, order = await offer(scene, terms_of(scene, review=Review.OWNER))
    task = await scene.deal(DealParams(), order=order)
    inside = bytes.fromhex((await ask(scene, task)).hold_key[2:])
    assert (await desk.result(task)).is_held
    with pytest.raises(StateError, match="waits for its release"):
        await desk.result_key(scene.rig.stranger, task)  # the beneficiary
    assert await desk.result_key(scene.dataset_owner, task) == inside
    await desk.release(scene.dataset_owner, task)
    assert await desk.result_key(scene.rig.stranger, task) == inside
