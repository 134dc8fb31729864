"""Who gets no session: each case differs in one thing from one that gets it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
import pytest
from Crypto.PublicKey import RSA

from tests.support.vault_scene import APP, DATASET, DATASET_KEY, TIME_REF_S, Scene, fresh_nonce, make_scene, wallet
from voisin.errors import InputError, StateError, TrustError, VoisinError
from voisin.protocol.codec import encode
from voisin.protocol.consent import Consent, VaultId
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId, as_address
from voisin.protocol.params import DealParams
from voisin.protocol.records import TaskStatus
from voisin.protocol.results import sign_authorization
from voisin.protocol.secrets import PUSH_ACT, RELEASES_ACT, RESULT_KEY, SecretKind, SecretRef, SecretValue, push_lines
from voisin.protocol.sessions import (
    CHALLENGE_ACT,
    SessionKey,
    SessionRequest,
    SessionWish,
    challenge_lines,
    read_request,
    request_session,
)
from voisin.protocol.signatures import KeySigner
from voisin.units import UnixSeconds
from voisin.vault.settings import VaultSettings

pytestmark = pytest.mark.anyio


@dataclass
class Case:
    """Everything of a session that would be opened."""

    scene: Scene
    task: TaskId
    challenge: Address
    key: SessionKey

    def request(self, **changes: object) -> SessionRequest:
        """Ask for the session, with changes to the wish that the worker signs."""
        return self.sign(self.wish(**changes))

    def wish(self, **changes: object) -> SessionWish:
        """Say what is asked for, with changes."""
        wish = SessionWish(
            task_id=self.task,
            enclave=self.challenge,
            session_key=self.key.public,
            authorization=sign_authorization(self.scene.scheduler, self.scene.worker.address, self.task, self.challenge),
        )
        return msgspec.structs.replace(wish, **changes)

    def sign(self, wish: SessionWish, *, by: KeySigner | None = None, vault: VaultId | None = None, ttl_s: int = 60) -> SessionRequest:
        """Sign a wish as the worker."""
        until = UnixSeconds(int(self.scene.now[0]) + ttl_s)
        return request_session(by or self.scene.worker, vault or self.scene.vault.id, wish, nonce=fresh_nonce(), until=until)


async def push(scene: Scene, owner: KeySigner, ref: SecretRef, text: str, *, replace: bool = False) -> None:
    value = SecretValue(text)
    await scene.vault.safe.push(ref, value, scene.consent(owner, PUSH_ACT, push_lines(ref, value)), replace=replace)


async def case(params: DealParams | None = None, **deal: str) -> Case:
    scene = await make_scene()
    await push(scene, scene.dataset_owner, DATASET_KEY, "the dataset's key")
    task = scene.deal(params=params, **deal)
    return Case(scene, task, await scene.challenge(task), SessionKey(secrets.token_bytes))


async def uses(scene: Scene) -> int:
    """Count the uses of the dataset's key."""
    owner = scene.dataset_owner
    return len((await scene.vault.safe.releases(owner.address, scene.consent(owner, RELEASES_ACT, {}))).releases)


async def refused(case: Case, request: SessionRequest, kind: type[VoisinError], words: str) -> None:
    """A request gets nothing, and leaves no use behind; afterwards the honest one still gets its session."""
    before = await uses(case.scene)
    with pytest.raises(kind, match=words):
        await case.scene.vault.sessions.open(read_request(encode(request)))
    assert await uses(case.scene) == before
    await case.scene.vault.sessions.open(case.request())
    assert await uses(case.scene) == before + 1


async def test_other_worker_with_a_stolen_authorization() -> None:
    given = await case()
    await refused(given, given.sign(given.wish(), by=given.scene.stranger), TrustError, "has no authorisation")


async def test_worker_that_signs_for_another() -> None:
    given = await case()
    request = given.sign(given.wish(), by=given.scene.stranger)
    posing = msgspec.structs.replace(request.consent, signer=given.scene.worker.address)
    await refused(given, msgspec.structs.replace(request, consent=posing), TrustError, "the signature is not")


async def test_authorization_of_another_task() -> None:
    given = await case()
    other = given.scene.deal(index=1)
    authorization = sign_authorization(given.scene.scheduler, given.scene.worker.address, other, given.challenge)
    await refused(given, given.request(authorization=authorization), TrustError, "has no authorisation")


async def test_session_for_another_task_than_the_authorization() -> None:
    given = await case()
    other = given.scene.deal(index=1)
    await given.scene.challenge(other)
    await refused(given, given.request(task_id=other), TrustError, "has no authorisation")


async def test_authorization_by_nobody_in_charge() -> None:
    given = await case()
    for stranger in (given.scene.stranger, given.scene.worker, given.scene.requester):
        authorization = sign_authorization(stranger, given.scene.worker.address, given.task, given.challenge)
        await refused(given, given.request(authorization=authorization), TrustError, "has no authorisation")


async def test_authorization_without_challenge() -> None:
    given = await case()
    authorization = sign_authorization(given.scene.scheduler, given.scene.worker.address, given.task)
    await refused(given, given.request(authorization=authorization), TrustError, "has no authorisation")


async def test_challenge_that_the_vault_did_not_make() -> None:
    given = await case()
    foreign = wallet("a challenge of one's own").address
    authorization = sign_authorization(given.scene.scheduler, given.scene.worker.address, given.task, foreign)
    await refused(given, given.request(enclave=foreign, authorization=authorization), TrustError, "is not the challenge of task")


async def test_challenge_of_another_task() -> None:
    given = await case()
    other = given.scene.deal(index=1)
    challenge = await given.scene.challenge(other)
    assert challenge != given.challenge
    authorization = sign_authorization(given.scene.scheduler, given.scene.worker.address, given.task, challenge)
    await refused(given, given.request(enclave=challenge, authorization=authorization), TrustError, "is not the challenge of task")


async def test_task_that_never_had_a_challenge() -> None:
    given = await case()
    other = given.scene.deal(index=1)
    authorization = sign_authorization(given.scene.scheduler, given.scene.worker.address, other, given.challenge)
    await refused(given, given.request(task_id=other, authorization=authorization), StateError, "has no challenge in this vault")


async def test_signed_request_with_another_key() -> None:
    """Whoever carries the request cannot have the secrets sealed to a key of his own."""
    given = await case()
    stolen = msgspec.structs.replace(given.request(), session_key=SessionKey(secrets.token_bytes).public)
    await refused(given, stolen, TrustError, "the signature is not")


async def test_replayed_request() -> None:
    given = await case()
    request = given.request()
    await given.scene.vault.sessions.open(request)
    with pytest.raises(StateError, match="was used before"):
        await given.scene.vault.sessions.open(request)


@pytest.mark.parametrize(("ttl_s", "words"), [(0, "ended at"), (-1, "ended at"), (301, "more than 300 s from now")])
async def test_expired_and_everlasting_requests(ttl_s: int, words: str) -> None:
    given = await case()
    await refused(given, given.sign(given.wish(), ttl_s=ttl_s), TrustError, words)


async def test_for_another_vault_chain_or_hub() -> None:
    given = await case()
    here = given.scene.vault.id
    for there in (
        msgspec.structs.replace(here, vault=as_address("0x" + "cc" * 20)),
        msgspec.structs.replace(here, chain_id=here.chain_id + 1),
        msgspec.structs.replace(here, hub=as_address("0x" + "cc" * 20)),
    ):
        await refused(given, given.sign(given.wish(), vault=there), TrustError, "sign for vault")


@pytest.mark.parametrize("field", ["authorization", "signature"])
async def test_signatures_that_are_none(field: str) -> None:
    given = await case()
    request = given.request()
    for text in ("0x", "0x" + "00" * 65, "0x" + "ff" * 65):
        consent = msgspec.structs.replace(request.consent, signature=text) if field == "signature" else request.consent
        authorization = text if field == "authorization" else request.authorization
        await refused(
            given, msgspec.structs.replace(request, consent=consent, authorization=authorization), TrustError, r"signature|authorisation"
        )


@pytest.mark.parametrize("status", [TaskStatus.REVEALING, TaskStatus.COMPLETED, TaskStatus.FAILED])
async def test_task_that_is_over(status: TaskStatus) -> None:
    given = await case()
    task = given.scene.ledger.tasks[given.task]
    given.scene.ledger.tasks[given.task] = msgspec.structs.replace(task, status=status)
    for attempt in (given.scene.vault.sessions.open(given.request()), given.scene.challenge(given.task)):
        with pytest.raises(StateError, match="takes no contributions any more"):
            await attempt


async def test_task_at_its_deadline() -> None:
    given = await case()
    deadline = given.scene.ledger.tasks[given.task].contribution_deadline
    assert deadline == given.scene.now[0] + 7 * TIME_REF_S
    given.scene.now[0] = deadline - 1
    await given.scene.vault.sessions.open(given.request())
    given.scene.now[0] = deadline
    for attempt in (given.scene.vault.sessions.open(given.request()), given.scene.challenge(given.task)):
        with pytest.raises(StateError, match="takes no contributions since"):
            await attempt


async def test_task_that_is_not_open_yet() -> None:
    given = await case()
    del given.scene.ledger.tasks[given.task]
    for attempt in (given.scene.vault.sessions.open(given.request()), given.scene.challenge(given.task)):
        with pytest.raises(StateError, match="is not open on this vault's chain"):
            await attempt


async def test_deal_without_enclave() -> None:
    given = await case()
    plain = given.scene.deal(tag="tdx")
    with pytest.raises(StateError, match="asks for no enclave"):
        await given.scene.challenge(plain)
    authorization = sign_authorization(given.scene.scheduler, given.scene.worker.address, plain, given.challenge)
    await refused(given, given.request(task_id=plain, authorization=authorization), StateError, "asks for no enclave")


async def test_simulated_enclave_where_none_is_allowed() -> None:
    scene = await make_scene(VaultSettings())
    await push(scene, scene.dataset_owner, DATASET_KEY, "the dataset's key")
    task = scene.deal()
    given = Case(scene, task, await scene.challenge(task), SessionKey(secrets.token_bytes))
    with pytest.raises(TrustError, match="gives nothing to simulated enclaves"):
        await scene.vault.sessions.open(given.request())


async def test_broker_takes_the_schedulers_place() -> None:
    given = await case()
    given.scene.ledger.broker = given.scene.stranger.address
    with pytest.raises(TrustError, match="has no authorisation"):
        await given.scene.vault.sessions.open(given.request())
    authorization = sign_authorization(given.scene.stranger, given.scene.worker.address, given.task, given.challenge)
    await given.scene.vault.sessions.open(given.request(authorization=authorization))
    consent = given.scene.consent(given.scene.stranger, CHALLENGE_ACT, challenge_lines(given.task))
    assert (await given.scene.vault.sessions.challenge(given.task, consent)).challenge == given.challenge


async def test_challenge_is_for_the_scheduler_alone_and_the_same_each_time() -> None:
    given = await case()
    for stranger in (given.scene.worker, given.scene.requester, given.scene.stranger):
        with pytest.raises(TrustError, match="may not do that"):
            await given.scene.vault.sessions.challenge(
                given.task, given.scene.consent(stranger, CHALLENGE_ACT, challenge_lines(given.task))
            )
    other = given.scene.deal(index=1)
    for consent, words in (
        (given.scene.consent(given.scene.scheduler, CHALLENGE_ACT, challenge_lines(other)), "signature is not"),
        (given.scene.consent(given.scene.scheduler, PUSH_ACT, challenge_lines(given.task)), "signature is not"),
        (given.scene.consent(given.scene.scheduler, CHALLENGE_ACT, challenge_lines(given.task), ttl_s=0), "ended at"),
    ):
        with pytest.raises(TrustError, match=words):
            await given.scene.vault.sessions.challenge(given.task, consent)
    assert await given.scene.challenge(given.task) == given.challenge
    consent = given.scene.consent(given.scene.scheduler, CHALLENGE_ACT, challenge_lines(given.task))
    await given.scene.vault.sessions.challenge(given.task, consent)
    with pytest.raises(StateError, match="was used before"):
        await given.scene.vault.sessions.challenge(given.task, consent)


Missing = Callable[[Scene], Awaitable[None]]


async def test_secrets_that_were_never_pushed() -> None:
    scene = await make_scene()
    task = scene.deal()
    given = Case(scene, task, await scene.challenge(task), SessionKey(secrets.token_bytes))
    with pytest.raises(StateError, match="needs the dataset secret of"):
        await scene.vault.sessions.open(given.request())
    named = await case(DealParams(iexec_secrets={"1": "mine"}))
    with pytest.raises(StateError, match="needs the requester secret mine of"):
        await named.scene.vault.sessions.open(named.request())
    sealed = await case(DealParams(iexec_result_encryption=True))
    with pytest.raises(StateError, match=f"needs the named secret {RESULT_KEY} of {sealed.scene.beneficiary.address}"):
        await sealed.scene.vault.sessions.open(sealed.request())


@pytest.mark.parametrize("names", [{"0": "a"}, {"x": "a"}, {"1": "no name!"}, {"01": "a"}, {"1": ""}, {"-1": "a"}])
async def test_deals_that_name_secrets_that_cannot_be(names: dict[str, str]) -> None:
    given = await case(DealParams(iexec_secrets=names))
    with pytest.raises(StateError, match="the deal cannot be served"):
        await given.scene.vault.sessions.open(given.request())


async def test_only_the_deals_own_secrets_come() -> None:
    """Secrets of others under the same names, and the parties' other secrets, stay in the vault."""
    given = await case(DealParams(iexec_secrets={"1": "token"}, iexec_result_encryption=True))
    scene = given.scene
    public = RSA.generate(2048).public_key().export_key().decode()
    for owner in (scene.requester, scene.stranger, scene.beneficiary, scene.dataset_owner):
        await push(scene, owner, SecretRef(SecretKind.REQUESTER, owner.address, "token"), f"token of {owner.address}")
        await push(scene, owner, SecretRef(SecretKind.REQUESTER, owner.address, "other"), f"other of {owner.address}")
    for owner in (scene.beneficiary, scene.requester):
        text = public if owner is scene.beneficiary else "not a key"
        await push(scene, owner, SecretRef(SecretKind.NAMED, owner.address, RESULT_KEY), base64.b64encode(text.encode()).decode())
    request = given.request()
    found = given.key.open(await scene.vault.sessions.open(request), request, scene.vault.id)
    assert found.dataset_key == "the dataset's key"
    assert found.beneficiary_key == public
    assert found.requester_secrets == {"1": f"token of {scene.requester.address}"}
    assert found.app_secret == ""


async def test_deal_without_dataset_gets_no_dataset_key() -> None:
    given = await case(dataset=ZERO_ADDRESS)
    request = given.request()
    assert given.key.open(await given.scene.vault.sessions.open(request), request, given.scene.vault.id).dataset_key == ""


async def test_result_key_that_is_none() -> None:
    given = await case(DealParams(iexec_result_encryption=True))
    ref = SecretRef(SecretKind.NAMED, given.scene.beneficiary.address, RESULT_KEY)
    await push(given.scene, given.scene.beneficiary, ref, "bm90IGEga2V5")
    with pytest.raises(StateError, match="cannot be used: the key is no RSA key"):
        await given.scene.vault.sessions.open(given.request())
    private = RSA.generate(2048).export_key().decode()
    await push(given.scene, given.scene.beneficiary, ref, base64.b64encode(private.encode()).decode()[:4096], replace=True)
    with pytest.raises(StateError, match="this is a private key"):
        await given.scene.vault.sessions.open(given.request())


async def test_uses_are_told_to_the_owner() -> None:
    given = await case()
    await given.scene.vault.sessions.open(given.request())
    owner = given.scene.dataset_owner
    page = await given.scene.vault.safe.releases(owner.address, given.scene.consent(owner, "list the uses of my secrets", {}))
    (use,) = page.releases
    assert (use.kind, use.holder, use.task_id) == (SecretKind.DATASET, DATASET, given.task)
    assert (use.app, use.requester, use.worker) == (APP, given.scene.requester.address, given.scene.worker.address)
    assert use.evidence == '{"kind":"simulated"}'
    assert use.deal_id == DealId(given.scene.ledger.tasks[given.task].deal_id)


@pytest.mark.parametrize("key", ["0x" + "00" * 32, "0x01" + "00" * 31, "0x" + "00" * 31, "0x"])
def test_session_keys_that_are_none(key: str) -> None:
    """Among them points of small order, with which every secret would be sealed under a known key."""
    consent = Consent(signer=wallet("w").address, nonce=fresh_nonce(), until=UnixSeconds(1), signature="0x" + "00" * 65)
    request = SessionRequest(
        task_id=TaskId(Hash32("0x" + "11" * 32)), enclave=wallet("e").address, session_key=Hash32(key), authorization="0x", consent=consent
    )
    with pytest.raises(InputError, match=r"no X25519 public key|not 0x-prefixed"):
        read_request(encode(request))
