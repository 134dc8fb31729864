"""A vault's records in a database of either kind, and in memory: the same answers; and what a changed database does not get away with."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from tests.support.vault_scene import APP_SECRET, DATASET_KEY, START, Scene, fresh_nonce, wallet
from voisin.errors import InputError, StateError, TrustError
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Hash32, TaskId, as_address
from voisin.protocol.orders import OrderKind
from voisin.protocol.secrets import PUSH_ACT, Release, SecretKind, SecretRef, SecretValue, push_lines
from voisin.protocol.sessions import SessionKey
from voisin.service.databases import writing
from voisin.units import UnixSeconds
from voisin.vault.cabinet import Cabinet
from voisin.vault.database import open_database
from voisin.vault.keyring import Box, Keyring
from voisin.vault.memory import MemoryStore
from voisin.vault.records import ChallengeRecord, IdentityRecord, SecretRecord, VaultStore
from voisin.vault.schema import metadata
from voisin.vault.service import open_service
from voisin.vault.settings import VaultSettings
from voisin.vault.store import SqlStore, open_store
from voisin.vault.terms_records import ReleaseRecord
from voisin.vault.twin import TWIN_DOMAIN, TwinLedger

pytestmark = pytest.mark.anyio

KEY, NEXT = b"\1" * 32, b"\2" * 32
ALICE, BOB = wallet("alice").address, wallet("bob").address
NAMED = SecretRef(SecretKind.NAMED, ALICE, "note")


def ring(*keys: bytes) -> Keyring:
    return Keyring(keys or (KEY,), secrets.token_bytes)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[VaultStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    url = f"sqlite:///{tmp_path}/vault.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with open_store(url, TWIN_DOMAIN) as opened:
        yield opened


def secret(ref: SecretRef, data: bytes = b"box", *, by: str = ALICE, key_id: str = "k") -> SecretRecord:
    return SecretRecord(ref, as_address(by), UnixSeconds(START), Box(key_id, data))


def task(number: int) -> TaskId:
    return TaskId(Hash32(f"0x{number:064x}"))


# --- the same in memory and in a database


async def test_secrets_are_added_once_replaced_and_deleted(store: VaultStore) -> None:
    assert await store.secret(NAMED) is None
    assert not await store.replace_secret(secret(NAMED), over=secret(NAMED), mark="m")
    assert await store.add_secret(secret(NAMED, b"first"))
    assert not await store.add_secret(secret(NAMED, b"second"))
    assert await store.secret(NAMED) == secret(NAMED, b"first")
    assert not await store.replace_secret(secret(NAMED, b"third"), over=secret(NAMED, b"second"), mark="m")
    assert not await store.is_former("m")
    assert await store.replace_secret(secret(NAMED, b"third"), over=secret(NAMED, b"first"), mark="m")
    assert await store.is_former("m")
    assert await store.secret(NAMED) == secret(NAMED, b"third")
    assert await store.add_secret(secret(DATASET_KEY, by=BOB))
    assert await store.add_secret(secret(SecretRef(SecretKind.REQUESTER, ALICE, "a")))
    assert await store.add_secret(secret(SecretRef(SecretKind.REQUESTER, ALICE, "A")))  # names of requesters keep their case
    assert [record.ref.name for record in await store.secrets_of(ALICE)] == ["note", "A", "a"]
    assert not await store.delete_secret(secret(NAMED, b"first"), mark="n")
    assert await store.delete_secret(secret(NAMED, b"third"), mark="m")
    assert not await store.delete_secret(secret(NAMED, b"third"), mark="n")
    assert not await store.is_former("n")
    assert await store.secret(NAMED) is None
    assert [record.ref for record in await store.secrets_of(BOB)] == [DATASET_KEY]


async def test_first_identity_and_challenge_stay(store: VaultStore) -> None:
    assert await store.identity() is None
    first = IdentityRecord(ALICE, Box("k", b"1"))
    assert await store.add_identity(first) == first
    assert await store.add_identity(IdentityRecord(BOB, Box("k", b"2"))) == first
    assert await store.identity() == first
    challenge = ChallengeRecord(task(1), ALICE, UnixSeconds(5), Box("k", b"1"))
    assert await store.add_challenge(challenge) == challenge
    assert await store.add_challenge(ChallengeRecord(task(1), BOB, UnixSeconds(6), Box("k", b"2"))) == challenge
    assert await store.challenge(task(1)) == challenge
    assert await store.challenge(task(2)) is None


async def test_nonces_count_once_for_each_signer_until_they_end(store: VaultStore) -> None:
    nonce = fresh_nonce()
    assert await store.use_nonce(ALICE, nonce, UnixSeconds(10))
    assert not await store.use_nonce(ALICE, nonce, UnixSeconds(20))
    assert await store.use_nonce(BOB, nonce, UnixSeconds(10))
    await store.forget(wall=UnixSeconds(10), chain=UnixSeconds(0))
    assert not await store.use_nonce(ALICE, nonce, UnixSeconds(10))
    await store.forget(wall=UnixSeconds(11), chain=UnixSeconds(0))
    assert await store.use_nonce(ALICE, nonce, UnixSeconds(10))


async def test_challenges_are_forgotten_after_their_tasks(store: VaultStore) -> None:
    for number in (1, 2, 3):
        await store.add_challenge(ChallengeRecord(task(number), ALICE, UnixSeconds(number), Box("k", b"1")))
    assert await store.forget(wall=UnixSeconds(0), chain=UnixSeconds(3)) == 2
    assert await store.challenge(task(2)) is None
    assert await store.challenge(task(3)) is not None


def use(number: int, owner: str = ALICE) -> ReleaseRecord:
    release = Release(
        at=UnixSeconds(number), kind=SecretKind.DATASET, holder=DATASET_KEY.holder, name="", task_id=task(number), deal_id=task(9),
        app=APP_SECRET.holder, workerpool=BOB, requester=BOB, worker=BOB, evidence='{"kind":"simulated"}',
    )  # fmt: skip
    return ReleaseRecord(as_address(owner), release)


async def test_uses_are_listed_newest_first_in_pages(store: VaultStore) -> None:
    await store.add_releases([])
    await store.add_releases([use(1), use(2, BOB), use(3)])
    await store.add_releases([use(4)])
    page = await store.releases_of(ALICE, before=None, limit=2)
    assert [release.at for _, release in page] == [4, 3]
    assert [release for _, release in await store.releases_of(ALICE, before=page[-1][0], limit=2)] == [use(1).release]
    assert [release.at for _, release in await store.releases_of(BOB, before=None, limit=9)] == [2]


async def test_what_is_under_an_older_key_is_found_and_replaced(store: VaultStore) -> None:
    await store.add_identity(IdentityRecord(ALICE, Box("old", b"1")))
    await store.add_secret(secret(NAMED, key_id="old"))
    await store.add_secret(secret(DATASET_KEY, key_id="new"))
    await store.add_challenge(ChallengeRecord(task(1), ALICE, UnixSeconds(5), Box("old", b"1")))
    older = await store.sealed_otherwise("new")
    assert {type(record) for record in older} == {IdentityRecord, SecretRecord, ChallengeRecord}
    await store.delete_secret(secret(NAMED, key_id="old"), mark="m")
    await store.reseal(
        [
            IdentityRecord(ALICE, Box("new", b"2")),
            secret(NAMED, key_id="new"),
            ChallengeRecord(task(1), ALICE, UnixSeconds(5), Box("new", b"2")),
            ChallengeRecord(task(7), ALICE, UnixSeconds(5), Box("new", b"2")),
        ]
    )
    assert await store.sealed_otherwise("new") == []
    assert await store.secret(NAMED) is None  # what was deleted meanwhile stays deleted
    assert await store.challenge(task(7)) is None


async def test_forty_at_once(store: VaultStore) -> None:
    """Of many that push one name, use one nonce, or make one challenge, exactly one is the first."""
    added: list[bool] = []
    used: list[bool] = []
    made: list[ChallengeRecord] = []
    nonce = fresh_nonce()

    async def race(number: int) -> None:
        added.append(await store.add_secret(secret(NAMED, bytes([number]))))
        used.append(await store.use_nonce(ALICE, nonce, UnixSeconds(9)))
        made.append(await store.add_challenge(ChallengeRecord(task(1), ALICE, UnixSeconds(5), Box("k", bytes([number])))))

    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(race, number)
    assert (added.count(True), used.count(True), len(set(made))) == (1, 1, 1)


# --- databases


async def test_migrations_make_the_tables_that_the_code_uses(database_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        options = {"compare_type": True, "version_table": "vault_version"}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with open_database(database_url, TWIN_DOMAIN) as engine, engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_database_of_another_hub(database_url: str) -> None:
    async with open_store(database_url, TWIN_DOMAIN):
        pass
    for domain in (Domain(chain_id=1, hub=TWIN_DOMAIN.hub), Domain(chain_id=TWIN_DOMAIN.chain_id, hub=ALICE)):
        with pytest.raises(InputError, match="give each hub its own database"):
            async with open_store(database_url, domain):
                pass


@asynccontextmanager
async def opened(url: str, *keys: bytes) -> AsyncIterator[tuple[Cabinet, SqlStore]]:
    """Open a database with keys."""
    async with open_store(url, TWIN_DOMAIN) as store:
        cabinet = Cabinet(store, ring(*keys), TWIN_DOMAIN, secrets.token_bytes)
        await cabinet.open()
        yield cabinet, store


async def fill(cabinet: Cabinet) -> None:
    """Keep three secrets and two challenges."""
    for ref, value in ((DATASET_KEY, "the key"), (APP_SECRET, "the app's"), (NAMED, "the note")):
        assert await cabinet.put(ref, SecretValue(value), by=ALICE, at=UnixSeconds(START), replace=False)
    for number in (1, 2):
        await cabinet.challenge_of(task(number), UnixSeconds(START + 100))


async def test_wrong_key_is_noticed_at_once(database_url: str) -> None:
    async with opened(database_url, KEY) as (cabinet, _):
        await fill(cabinet)
    with pytest.raises(TrustError, match=f"sealed under key {ring(KEY).current}, and the vault was given {ring(NEXT).current}"):
        async with opened(database_url, NEXT):
            pass
    async with opened(database_url, KEY) as (cabinet, _):
        held = await cabinet.secret(DATASET_KEY)
        assert held is not None
        assert held.value.expose() == "the key"


async def test_nothing_lies_open_in_the_database(database_url: str) -> None:
    async with opened(database_url, KEY) as (cabinet, store):
        await fill(cabinet)
        key = await cabinet.challenge_key(task(1), await cabinet.challenge_of(task(1), UnixSeconds(0)))
        found: list[object] = []
        async with store.database.engine.connect() as connection:
            for table in metadata.sorted_tables:
                for row in await connection.execute(table.select()):
                    found += row
    blob = b"|".join(part if isinstance(part, bytes) else str(part).encode() for part in found)
    for clear in (b"the key", b"the app's", b"the note", key.expose_key(), key.expose_key().hex().encode()):
        assert clear not in blob
    assert DATASET_KEY.holder.encode() in blob  # the search finds what is there


async def test_keys_follow_one_another(database_url: str) -> None:
    async with opened(database_url, KEY) as (cabinet, store):
        await fill(cabinet)
        challenge = await cabinet.challenge_of(task(1), UnixSeconds(0))
        await cabinet.delete(APP_SECRET)
        identity = await store.identity()
    async with opened(database_url, NEXT, KEY) as (_, store):
        assert await store.sealed_otherwise(ring(NEXT).current) == []
    async with opened(database_url, NEXT) as (cabinet, store):
        held = await cabinet.secret(NAMED)
        assert held is not None
        assert held.value.expose() == "the note"
        assert (await cabinet.challenge_key(task(1), challenge)).address == challenge
        assert await cabinet.is_former(APP_SECRET, SecretValue("the app's"))  # what was marked before the keys changed
        now = await store.identity()
        assert identity is not None
        assert now is not None
        assert now.vault == identity.vault
    with pytest.raises(TrustError, match="and the vault was given"):
        async with opened(database_url, KEY):
            pass


TAMPERING = {
    "boxes of two secrets swapped": (
        "UPDATE secrets SET box = (SELECT box FROM secrets WHERE kind = 'named') WHERE kind = 'dataset'",
        DATASET_KEY,
    ),
    "secret given to another holder": ("UPDATE secrets SET holder = :bob WHERE kind = 'dataset'", SecretRef(SecretKind.DATASET, BOB)),
    "secret of another kind": ("UPDATE secrets SET kind = 'dataset' WHERE kind = 'app'", SecretRef(SecretKind.DATASET, APP_SECRET.holder)),
    "secret renamed": ("UPDATE secrets SET name = 'other' WHERE kind = 'named'", SecretRef(SecretKind.NAMED, ALICE, "other")),
    "pushed by somebody else": ("UPDATE secrets SET pushed_by = :bob WHERE kind = 'dataset'", DATASET_KEY),
    "pushed at another time": ("UPDATE secrets SET pushed_at = pushed_at + 1 WHERE kind = 'dataset'", DATASET_KEY),
    "challenge in a secret": ("UPDATE secrets SET box = (SELECT min(box) FROM challenges)", DATASET_KEY),
}


@pytest.mark.parametrize(("statement", "ref"), TAMPERING.values(), ids=TAMPERING)
async def test_changed_secrets_are_noticed(database_url: str, statement: str, ref: SecretRef) -> None:
    async with opened(database_url, KEY) as (cabinet, store):
        await fill(cabinet)
        async with writing(store.database.engine) as connection:
            if "min(box)" in statement and store.database.engine.dialect.name == "postgresql":
                statement = statement.replace("min(box)", "box").replace("challenges)", "challenges LIMIT 1)")
            assert (await connection.execute(text(statement), {"bob": BOB} if ":bob" in statement else {})).rowcount >= 1
        with pytest.raises(TrustError, match="was changed or moved"):
            await cabinet.secret(ref)


CHALLENGES = {
    "keys swapped": "UPDATE challenges SET box = (SELECT box FROM challenges WHERE task_id = :two) WHERE task_id = :one",
    "kept for longer": "UPDATE challenges SET expires_at = expires_at + 1 WHERE task_id = :one",
    "moved to another task": "UPDATE challenges SET task_id = :three WHERE task_id = :one",
}


@pytest.mark.parametrize("statement", CHALLENGES.values(), ids=CHALLENGES)
async def test_changed_challenges_are_noticed(database_url: str, statement: str) -> None:
    async with opened(database_url, KEY) as (cabinet, store):
        await fill(cabinet)
        challenge = await cabinet.challenge_of(task(1), UnixSeconds(0))
        names = {name: value for name, value in (("one", task(1)), ("two", task(2)), ("three", task(3))) if f":{name}" in statement}
        async with writing(store.database.engine) as connection:
            assert (await connection.execute(text(statement), names)).rowcount == 1
        with pytest.raises(TrustError, match="was changed or moved"):
            await cabinet.challenge_key(task(3 if "three" in names else 1), challenge)


async def test_two_vaults_on_one_database_are_one(database_url: str) -> None:
    async with opened(database_url, KEY) as (first, store), opened(database_url, KEY) as (second, _):
        await fill(first)
        assert await second.challenge_of(task(1), UnixSeconds(0)) == await first.challenge_of(task(1), UnixSeconds(0))
        assert not await second.put(NAMED, SecretValue("x"), by=ALICE, at=UnixSeconds(0), replace=False)
        assert (await store.identity()) is not None


async def test_session_from_a_database_after_a_restart(database_url: str) -> None:
    """The challenge, the secrets and the used consents outlive the process."""
    now = [float(START)]
    ledger = TwinLedger(lambda: now[0])
    settings = VaultSettings(allow_simulated=True)
    wall: Callable[[], float] = lambda: now[0]  # noqa: E731
    async with open_store(database_url, TWIN_DOMAIN) as store:
        scene = Scene(await open_service(settings, store, ring(), ledger, wall), ledger, now)
        ledger.owners[OrderKind.DATASET, DATASET_KEY.holder] = scene.dataset_owner.address
        value = SecretValue("the key")
        push = scene.consent(scene.dataset_owner, PUSH_ACT, push_lines(DATASET_KEY, value))
        await scene.vault.safe.push(DATASET_KEY, value, push)
        job = scene.deal()
        challenge = await scene.challenge(job)
        before = scene.vault.id
    async with open_store(database_url, TWIN_DOMAIN) as store:
        scene.vault = await open_service(settings, store, ring(), ledger, wall)
        assert scene.vault.id == before
        assert await scene.challenge(job) == challenge
        with pytest.raises(StateError, match="was used before"):
            await scene.vault.safe.push(DATASET_KEY, value, push)
        key = SessionKey(secrets.token_bytes)
        request = scene.request(job, challenge, key)
        assert key.open(await scene.vault.sessions.open(request), request, before).dataset_key == "the key"
        now[0] = ledger.tasks[job].final_deadline + 1
        assert await scene.vault.sweep() == 1
        assert await store.challenge(job) is None
