"""Who wants data without the owner's leave: worker, requester and pool, alone and together, with evidence that is not theirs."""

from __future__ import annotations

import io
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import msgspec
import pytest

from tests.support.evidence import SAMPLES, Sample
from tests.support.terms_scene import KEY, TermsScene, make_terms_scene, terms_of, with_terms
from tests.support.vault_scene import APP, DATASET, Scene, fresh_nonce, wallet
from voisin.attestation import EnclavePolicy, TcbStatus
from voisin.attestation.verify import Collateral
from voisin.errors import StateError, TrustError
from voisin.protocol.data_terms import DataTerms, EnclaveLevel, Keeper, Privacy, Review
from voisin.protocol.datasets import decrypt_dataset, seal_dataset
from voisin.protocol.eip712 import order_hash
from voisin.protocol.evidence import Evidence
from voisin.protocol.ids import ZERO_ADDRESS, Hash32, TaskId, as_hash32
from voisin.protocol.orders import OrderKind
from voisin.protocol.params import DealParams
from voisin.protocol.records import Resource
from voisin.protocol.results import sign_authorization
from voisin.protocol.sessions import MIN_BULK_VOLUME, SessionKey, SessionWish, TaskSecrets, evidence_binding, request_session
from voisin.protocol.shamir import split_key
from voisin.protocol.vault_terms import TermsPush
from voisin.service.collateral import Collector, Sources
from voisin.service.enclaves import RealEnclaves
from voisin.units import NRLC, UnixSeconds
from voisin.vault.keyring import Keyring
from voisin.vault.machine import TermsError
from voisin.vault.memory import MemoryStore
from voisin.vault.service import open_service
from voisin.vault.settings import VaultSettings
from voisin.vault.twin import TwinLedger

pytestmark = pytest.mark.anyio


# --- workers


async def test_worker_with_a_stolen_authorisation() -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of())
    (task,) = given.deal(entry.order_hash)
    scene, key = given.scene, SessionKey(secrets.token_bytes)
    challenge = await scene.challenge(task)
    stolen = sign_authorization(scene.scheduler, scene.worker.address, task, challenge)
    wish = SessionWish(task_id=task, enclave=challenge, session_key=key.public, authorization=stolen)
    until = UnixSeconds(int(scene.now[0]) + 60)
    request = request_session(scene.stranger, scene.vault.id, wish, nonce=fresh_nonce(), until=until)
    with pytest.raises(TrustError, match="has no authorisation"):
        await scene.vault.sessions.open(request)
    with pytest.raises(TrustError, match="has no authorisation"):
        await scene.vault.sessions.shares(msgspec.structs.replace(request, bulk=()))
    assert await given.uses() == ()
    await given.open(task)


async def test_worker_that_copies_the_encrypted_file() -> None:
    """He has the file and all that passes him: without the enclave's key there is nothing to try but guesses."""
    given = await make_terms_scene()
    entry = await given.push(terms_of())
    (task,) = given.deal(entry.order_hash)
    clear, file = b"what nobody else may see" * 1_000, io.BytesIO()
    seal_dataset(io.BytesIO(clear), file, KEY, secrets.token_bytes)
    enclave = SessionKey(secrets.token_bytes)
    request = await given.request(task, enclave)
    sealed = await given.scene.vault.sessions.open(request)
    passed = msgspec.json.encode((request, sealed)) + file.getvalue()
    assert KEY.encode() not in passed
    assert clear[:16] not in passed
    own = SessionKey(secrets.token_bytes)
    for posing in (request, msgspec.structs.replace(request, session_key=own.public)):
        with pytest.raises(TrustError):
            own.open(sealed, posing, given.scene.vault.id)
    with pytest.raises(TermsError, match="another enclave"):
        await given.open(task, key=own)
    out = io.BytesIO()
    decrypt_dataset(io.BytesIO(file.getvalue()), out, enclave.open(sealed, request, given.scene.vault.id).dataset_key)
    assert out.getvalue() == clear


# --- requesters and pools together


async def test_colluders_whose_deal_is_of_no_order_of_the_owner() -> None:
    """Requester, pool and workers are one: whatever deal they make on the chain, the owner's order is not in it."""
    given = await make_terms_scene()
    entry = await given.push(terms_of())
    (task,) = given.deal(None)
    with pytest.raises(TermsError, match="an order that has none here"):
        await given.open(task)
    (bare,) = given.deal(None, dataset=Resource(ZERO_ADDRESS, ZERO_ADDRESS, NRLC(0)))
    assert (await given.open(bare)).dataset_key == ""
    (right,) = given.deal(entry.order_hash)
    assert (await given.open(right)).dataset_key == KEY


async def test_colluders_who_order_loosely_and_take_strict_data() -> None:
    """A deal is judged by the terms of its own order, whichever of them is looser."""
    given = await make_terms_scene()
    strict, loose = await given.push(terms_of(uses_per_renter=1)), await given.push(terms_of())
    first, second = given.deal(strict.order_hash, size=2)
    await given.open(first)
    with pytest.raises(TermsError, match="number 2 of theirs"):
        await given.open(second)
    (third,) = given.deal(loose.order_hash)
    await given.open(third)


async def test_colluders_with_workers_and_app_of_their_own() -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of(apps=(Hash32("0x" + "c0" * 32),), pools=(wallet("good pool").address,)))
    (task,) = given.deal(entry.order_hash)
    given.scene.ledger.checksums[OrderKind.APP, APP] = Hash32("0x" + "66" * 32)
    with pytest.raises(TermsError, match=r"the app's code .* the workerpool"):
        await given.open(task)


async def listed(
    given: TermsScene, terms: DataTerms, *, price: NRLC = NRLC(0), volume: int = MIN_BULK_VOLUME, key_text: str = KEY
) -> TaskSecrets:
    """Open the session of a task that lists a dataset under these terms."""
    order = msgspec.structs.replace(given.order(terms), datasetprice=price, volume=volume, sign="0x")
    pushed = TermsPush(order=order, terms=terms, key=key_text)
    entry = await given.scene.vault.terms.push(DATASET, pushed, given.consent_to(pushed))
    assert entry.order_hash == order_hash(order, given.scene.ledger.domain)
    bare = Resource(ZERO_ADDRESS, ZERO_ADDRESS, NRLC(0))
    (task,) = given.deal(None, dataset=bare, params=DealParams(bulk_cid="bafkqaaa"))
    given.scene.ledger.openable.add((DATASET, given.scene.ledger.tasks[task].deal_id))
    key = SessionKey(secrets.token_bytes)
    request = msgspec.structs.replace(await given.request(task, key), bulk=(order,))
    wish = SessionWish(**{name: getattr(request, name) for name in SessionWish.__struct_fields__})
    until = UnixSeconds(int(given.scene.now[0]) + 60)
    signed = request_session(given.scene.worker, given.scene.vault.id, wish, nonce=fresh_nonce(), until=until)
    return key.open(await given.scene.vault.sessions.open(signed), signed, given.scene.vault.id)


async def test_colluders_who_list_data_that_counts_its_uses() -> None:
    """Uses out of a list have no number on the chain: data whose uses are counted is left out, and other data comes."""
    given = await make_terms_scene()
    opened = await listed(given, terms := terms_of())
    assert (opened.bulk_keys, opened.bulk_terms) == ({DATASET: KEY}, {DATASET: terms})
    assert opened.bulk_checksums == {DATASET: given.scene.ledger.checksums[OrderKind.DATASET, DATASET]}
    for changes in ({"uses": 5}, {"uses_per_renter": 5}, {"privacy": Privacy(query_micro=1, renter_micro=9)}, {"review": Review.OWNER}):
        opened = await listed(given, terms_of(**changes))
        assert (opened.bulk_keys, opened.bulk_terms, opened.bulk_checksums) == ({}, {}, {}), changes


async def test_colluders_who_list_data_that_has_a_price_or_an_end_of_uses() -> None:
    """The hub takes no money for what a list names, and counts no uses of it: only what is free and without end comes out of one."""
    given = await make_terms_scene()
    assert (await listed(given, terms_of(), price=NRLC(1))).bulk_keys == {}
    assert (await listed(given, terms_of(), volume=MIN_BULK_VOLUME - 1)).bulk_keys == {}
    assert (await listed(given, terms_of())).bulk_keys == {DATASET: KEY}


async def test_colluders_who_list_data_whose_key_vaults_share() -> None:
    """The other keepers judge deals of the dataset, and no lists: a share is not given out of one."""
    given = await make_terms_scene()
    keeper = Keeper(vault=given.scene.vault.id.vault, url="http://vault.example")
    (share,) = split_key(KEY, shares=1, threshold=1, random_bytes=secrets.token_bytes)
    assert (await listed(given, terms_of(keepers=(keeper,), threshold=1), key_text=share)).bulk_keys == {}


async def test_renter_who_revokes_or_reads_the_owners_ledger() -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of())
    with pytest.raises(TrustError, match="may not do that"):
        await given.revoke(entry.order_hash, by=given.scene.requester)
    (task,) = given.deal(entry.order_hash)
    assert (await given.open(task)).dataset_key == KEY


# --- enclaves


@dataclass
class Hardware:
    """A vault that asks for real enclaves, at the time of a sample, and would take its measurements and platform."""

    given: TermsScene
    sample: Sample
    task: TaskId

    async def ask(self, evidence: Evidence | None = None) -> None:
        """Ask for the session of the task with evidence."""
        scene, key = self.given.scene, SessionKey(secrets.token_bytes)
        challenge = await scene.challenge(self.task)
        authorization = sign_authorization(scene.scheduler, scene.worker.address, self.task, challenge)
        wish = SessionWish(
            task_id=self.task,
            enclave=challenge,
            session_key=key.public,
            authorization=authorization,
            evidence=evidence or self.sample.evidence,
        )
        until = UnixSeconds(int(scene.now[0]) + 60)
        await scene.vault.sessions.open(request_session(scene.worker, scene.vault.id, wish, nonce=fresh_nonce(), until=until))


class KnownCollateral(Collector):
    """Gives what was published at the sample's time."""

    def __init__(self, http: httpx.AsyncClient, collateral: Collateral) -> None:
        super().__init__(http, Sources("", "", ""), keep_s=0)
        self._collateral = collateral

    async def collateral_of(self, evidence: Evidence, now: UnixSeconds) -> Collateral:
        """Give it."""
        return self._collateral


@asynccontextmanager
async def hardware(name: str) -> AsyncIterator[Hardware]:
    sample = SAMPLES[name]
    claims = sample.verify()
    policy = EnclavePolicy(
        measurements=(dict(claims.measurements),), statuses=frozenset(TcbStatus), tolerated=frozenset(claims.advisories), max_age_s=300
    )
    now = [float(sample.now)]
    ledger = TwinLedger(lambda: now[0])
    async with httpx.AsyncClient() as http:
        real = RealEnclaves(policy, KnownCollateral(http, sample.collateral))
        keyring = Keyring([secrets.token_bytes(32)], secrets.token_bytes)
        vault = await open_service(VaultSettings(), MemoryStore(), keyring, ledger, lambda: now[0], real)
        scene = Scene(vault, ledger, now)
        ledger.owners[OrderKind.APP, APP] = scene.app_owner.address
        ledger.owners[OrderKind.DATASET, DATASET] = scene.dataset_owner.address
        given = with_terms(scene)
        entry = await given.push(terms_of(min_enclave=EnclaveLevel.HARDWARE))
        (task,) = given.deal(entry.order_hash)
        yield Hardware(given, sample, task)


@pytest.mark.parametrize("name", ["sgx", "tdx", "snp", "nitro"])
async def test_replayed_evidence(name: str) -> None:
    """Genuine evidence of a good enclave, made for something else: that alone is said against it."""
    async with hardware(name) as given:
        with pytest.raises(TrustError) as refused:
            await given.ask()
        assert refused.value.message.endswith("not good enough: it was not made for this session")
        assert await given.given.uses() == ()


async def test_debug_enclave() -> None:
    async with hardware("nitro-debug") as given:
        with pytest.raises(TrustError, match="its host may read its memory"):
            await given.ask()


@pytest.mark.parametrize(("name", "later_s"), [("sgx", 86_400 * 365), ("tdx", 86_400 * 365), ("nitro", 86_400)])
async def test_expired_collateral(name: str, later_s: int) -> None:
    async with hardware(name) as given:
        given.given.scene.now[0] += later_s
        entry = await given.given.push(terms_of())
        (given.task,) = given.given.deal(entry.order_hash)
        with pytest.raises(TrustError, match=r"Expired|not valid at"):
            await given.ask()


async def test_evidence_of_another_task_worker_key_or_vault() -> None:
    """What evidence is made over names all of them: evidence for one is none for another."""
    given = await make_terms_scene()
    entry = await given.push(terms_of())
    one, other = given.deal(entry.order_hash, size=2)
    vault, worker = given.scene.vault.id, given.scene.worker.address
    key, second = SessionKey(secrets.token_bytes).public, SessionKey(secrets.token_bytes).public
    wish = SessionWish(task_id=one, enclave=worker, session_key=key, authorization="0x")
    made = evidence_binding(wish, vault, worker)
    changes: list[Callable[[], Hash32]] = [
        lambda: evidence_binding(msgspec.structs.replace(wish, task_id=other), vault, worker),
        lambda: evidence_binding(msgspec.structs.replace(wish, session_key=second), vault, worker),
        lambda: evidence_binding(msgspec.structs.replace(wish, enclave=given.scene.stranger.address), vault, worker),
        lambda: evidence_binding(wish, vault, given.scene.stranger.address),
        lambda: evidence_binding(wish, msgspec.structs.replace(vault, vault=worker), worker),
        lambda: evidence_binding(wish, msgspec.structs.replace(vault, chain_id=1), worker),
        lambda: evidence_binding(wish, msgspec.structs.replace(vault, hub=worker), worker),
    ]
    assert len({made, *(change() for change in changes)}) == 1 + len(changes)
    assert evidence_binding(wish, vault, worker) == as_hash32(made)


async def test_played_enclave_where_hardware_is_asked_for() -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of(min_enclave=EnclaveLevel.HARDWARE))
    (task,) = given.deal(entry.order_hash)
    with pytest.raises(TermsError, match="the enclave is simulated, and a hardware one is asked for"):
        await given.open(task)


async def test_challenge_of_data_under_terms_is_no_key() -> None:
    given = await make_terms_scene()
    await given.push(terms_of())
    with pytest.raises(StateError, match="is not open"):
        await given.scene.challenge(TaskId(Hash32("0x" + "01" * 32)))
