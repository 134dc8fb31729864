"""A dataset whose key several vaults keep together, results that wait for their owner, and evidence that anybody can judge again."""

from __future__ import annotations

import secrets

import msgspec
import pytest

from tests.support.terms_scene import KEY, TermsScene, make_terms_scene, terms_of, with_terms
from tests.support.vault_scene import APP, DATASET, START, Scene
from voisin.attestation.again import judge_again
from voisin.errors import InputError, StateError, TrustError
from voisin.protocol.data_terms import DataTerms, Keeper, Review
from voisin.protocol.ids import from_hex
from voisin.protocol.orders import OrderKind
from voisin.protocol.sessions import SessionKey
from voisin.protocol.shamir import is_share, join_key, split_key
from voisin.protocol.signatures import KeySigner
from voisin.protocol.vault_terms import RELEASE_ACT, RESULT_KEY_ACT, ReaderKey, ResultKeyRequest, release_lines, result_key_lines
from voisin.vault.machine import TermsError
from voisin.vault.settings import VaultSettings
from voisin.vault.twin import TwinLedger, twin_vault

pytestmark = pytest.mark.anyio


async def vaults(count: int) -> list[TermsScene]:
    """Make vaults of different operators on one chain."""
    now = [float(START)]
    ledger = TwinLedger(lambda: now[0])
    made = []
    for _ in range(count):
        scene = Scene(await twin_vault(ledger, lambda: now[0], VaultSettings(allow_simulated=True)), ledger, now)
        ledger.owners[OrderKind.APP, APP] = scene.app_owner.address
        ledger.owners[OrderKind.DATASET, DATASET] = scene.dataset_owner.address
        made.append(with_terms(scene))
    return made


def shared_terms(keepers: list[TermsScene], threshold: int, **changes: object) -> DataTerms:
    named = tuple(Keeper(vault=each.scene.vault.id.vault, url=f"http://vault{number}.example") for number, each in enumerate(keepers))
    return terms_of(keepers=named, threshold=threshold, **changes)


async def test_two_of_three_vaults_open_a_dataset_that_none_can_alone() -> None:
    first, second, third = keepers = await vaults(3)
    terms = shared_terms(keepers, 2, uses=1)
    for given, share in zip(keepers, split_key(KEY, shares=3, threshold=2, random_bytes=secrets.token_bytes), strict=True):
        entry = await given.push(terms, key=share)
    task, beyond = first.deal(entry.order_hash, size=2)
    enclave = SessionKey(secrets.token_bytes)
    challenge = await first.scene.challenge(task)
    opened = await first.open(task, key=enclave)
    assert opened.terms == terms
    assert is_share(opened.dataset_key)
    request = await third.request(task, enclave, challenge=challenge)
    shares = enclave.open_shares(await third.scene.vault.sessions.shares(request), request, third.scene.vault.id)
    assert join_key([opened.dataset_key, shares.shares[DATASET]]) == KEY
    with pytest.raises(TrustError, match="more are needed"):
        join_key([opened.dataset_key])
    assert shares.terms == {DATASET: terms}
    told = (shares.app_checksum, shares.dataset_checksum, shares.purpose)
    assert told == (opened.app_checksum, opened.dataset_checksum, opened.purpose)
    assert all(told[:2])
    assert KEY not in opened.dataset_key + shares.shares[DATASET] + repr(shares)
    assert [use.task_id for use in await third.uses()] == [task]
    request = await second.request(beyond, enclave, challenge=challenge)
    with pytest.raises(TermsError, match="all 1 uses are taken"):
        await second.scene.vault.sessions.shares(request)


async def test_each_keeper_judges_for_itself() -> None:
    """What one vault lets pass, by error or malice, another does not: it was revoked there, or went to another enclave."""
    first, second = keepers = await vaults(2)
    terms = shared_terms(keepers, 2)
    for given, share in zip(keepers, split_key(KEY, shares=2, threshold=2, random_bytes=secrets.token_bytes), strict=True):
        entry = await given.push(terms, key=share)
    task, other = first.deal(entry.order_hash, size=2)
    challenge, key = await first.scene.challenge(task), SessionKey(secrets.token_bytes)
    await second.scene.vault.sessions.shares(await second.request(task, key, challenge=challenge))
    stolen = await second.request(task, SessionKey(secrets.token_bytes), challenge=challenge)
    with pytest.raises(TermsError, match="another enclave"):
        await second.scene.vault.sessions.shares(stolen)
    await second.revoke()
    await first.open(other)
    late = await second.request(other, key, challenge=await first.scene.challenge(other))
    with pytest.raises(TermsError, match="the owner revoked"):
        await second.scene.vault.sessions.shares(late)


async def test_request_for_a_session_is_none_for_shares() -> None:
    first, second = keepers = await vaults(2)
    terms = shared_terms(keepers, 2)
    for given, share in zip(keepers, split_key(KEY, shares=2, threshold=2, random_bytes=secrets.token_bytes), strict=True):
        entry = await given.push(terms, key=share)
    (task,) = first.deal(entry.order_hash)
    key = SessionKey(secrets.token_bytes)
    request = await first.request(task, key)
    with pytest.raises(TrustError, match="the signature is not"):
        await first.scene.vault.sessions.shares(request)
    asked = await second.request(task, key, challenge=request.enclave)
    with pytest.raises(TrustError, match="sealed for another key or request"):
        key.open(await second.scene.vault.sessions.shares(asked), asked, second.scene.vault.id)


async def test_shares_go_where_the_terms_say() -> None:
    first, second = keepers = await vaults(2)
    one, _ = split_key(KEY, shares=2, threshold=2, random_bytes=secrets.token_bytes)
    with pytest.raises(InputError, match="do not name"):
        await second.push(shared_terms([first], 1), key=one)
    with pytest.raises(InputError, match="no share of 2"):
        await first.push(shared_terms(keepers, 2), key=KEY)
    with pytest.raises(InputError, match="no share of 1"):
        await first.push(shared_terms(keepers, 1), key=one)
    with pytest.raises(InputError, match="is a share"):
        await first.push(terms_of(), key=one)
    entry = await first.push(terms_of())
    (task,) = first.deal(entry.order_hash)
    request = await first.request(task, SessionKey(secrets.token_bytes), challenge=await first.scene.challenge(task))
    with pytest.raises(StateError, match="has no share"):
        await first.scene.vault.sessions.shares(request)


# --- results that wait


async def result_key(given: TermsScene, task: str, wallet: KeySigner) -> bytes:
    """Ask for the key of a result."""
    key = ReaderKey(secrets.token_bytes)
    request = ResultKeyRequest(reader_key=key.public)
    consent = given.scene.consent(wallet, RESULT_KEY_ACT, dict(result_key_lines(task, request)))  # type: ignore[arg-type]
    return key.open(await given.scene.vault.held.key(task, request, consent), given.scene.vault.id)  # type: ignore[arg-type]


async def test_result_waits_until_the_owner_releases_it() -> None:
    given = await make_terms_scene()
    scene = given.scene
    entry = await given.push(terms_of(review=Review.OWNER))
    task, other = given.deal(entry.order_hash, size=2)
    inside = from_hex((await given.open(task)).hold_key)
    assert (await scene.vault.held.show(task)).is_held
    assert await result_key(given, task, scene.dataset_owner) == inside
    with pytest.raises(StateError, match="waits for its release"):
        await result_key(given, task, scene.beneficiary)
    with pytest.raises(TrustError, match="may not do that"):
        await scene.vault.held.release(task, scene.consent(scene.requester, RELEASE_ACT, release_lines(task)))
    await scene.vault.held.release(task, scene.consent(scene.dataset_owner, RELEASE_ACT, release_lines(task)))
    assert await result_key(given, task, scene.beneficiary) == inside
    for stranger in (scene.requester, scene.worker, scene.scheduler):
        with pytest.raises(TrustError, match="may not do that"):
            await result_key(given, task, stranger)
    assert await result_key(given, other, scene.dataset_owner) != inside
    with pytest.raises(StateError, match="waits for its release"):
        await result_key(given, other, scene.beneficiary)
    assert not (await scene.vault.held.show(task)).is_held


async def test_consent_to_one_release_is_none_to_another() -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of(review=Review.OWNER))
    task, other = given.deal(entry.order_hash, size=2)
    consent = given.scene.consent(given.scene.dataset_owner, RELEASE_ACT, release_lines(task))
    with pytest.raises(TrustError, match="the signature is not"):
        await given.scene.vault.held.release(other, consent)


async def test_result_without_review_does_not_wait() -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of())
    (task,) = given.deal(entry.order_hash)
    assert (await given.open(task)).hold_key == ""
    assert not (await given.scene.vault.held.show(task)).is_held
    with pytest.raises(StateError, match="does not wait"):
        await given.scene.vault.held.release(task, given.scene.consent(given.scene.dataset_owner, RELEASE_ACT, release_lines(task)))


# --- evidence


async def test_evidence_of_a_task_is_there_for_everybody() -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of())
    (task,) = given.deal(entry.order_hash)
    await given.open(task)
    found = await given.scene.vault.sessions.evidence(task)
    (verdict,) = judge_again(found)
    assert (verdict.technology, verdict.is_signed, verdict.worker) == ("simulated", True, given.scene.worker.address)
    assert verdict.reasons == ("it is simulated, and proves nothing",)
    (session,) = found.sessions
    for changes in ({"worker": given.scene.stranger.address}, {"at": START + 1}, {"session_key": "0x" + "22" * 32}):
        posing = msgspec.structs.replace(found, sessions=(msgspec.structs.replace(session, **changes),))
        assert not judge_again(posing)[0].is_signed
    assert not judge_again(msgspec.structs.replace(found, task_id="0x" + "33" * 32))[0].is_signed
