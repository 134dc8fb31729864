"""One use is one use: whoever asks at once, in however many processes, with whatever database the vault was given."""

from __future__ import annotations

import secrets
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace
from sqlalchemy import text, update

from tests.support.terms_scene import KEY, TermsScene, terms_of, with_terms
from tests.support.vault_scene import APP, DATASET, START, Scene, wallet
from voisin.errors import InputError, StateError, TrustError
from voisin.protocol.codec import encode
from voisin.protocol.ids import TaskId
from voisin.protocol.orders import OrderKind
from voisin.protocol.records import TaskStatus
from voisin.protocol.sessions import SealedSession, SessionKey
from voisin.protocol.vault_terms import TermsEntry
from voisin.service.databases import writing
from voisin.vault import create_key_file
from voisin.vault.keys import open_keyring
from voisin.vault.machine import TermsError
from voisin.vault.schema import orders
from voisin.vault.service import open_service
from voisin.vault.settings import VaultSettings
from voisin.vault.store import open_store
from voisin.vault.twin import TwinLedger

pytestmark = pytest.mark.anyio

AT_ONCE = 100


@pytest.fixture
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder apart from the records."""
    return tmp_path_factory.mktemp("keys")


def settings_of(database_url: str, folder: Path) -> VaultSettings:
    key = folder / "keys" / "vault.key"
    if not key.exists():
        create_key_file(key)
    return VaultSettings(database_url=database_url, key_file=key, allow_simulated=True)


def chain(now: list[float]) -> TwinLedger:
    return TwinLedger(lambda: now[0])


@asynccontextmanager
async def opened(settings: VaultSettings, ledger: TwinLedger, now: list[float]) -> AsyncIterator[TermsScene]:
    """Open a vault as a process of its own would."""
    async with open_store(settings.database_url, ledger.domain) as store:
        vault = await open_service(settings, store, open_keyring(settings), ledger, lambda: now[0])
        scene = Scene(vault, ledger, now)
        ledger.owners[OrderKind.APP, APP] = scene.app_owner.address
        ledger.owners[OrderKind.DATASET, DATASET] = scene.dataset_owner.address
        yield with_terms(scene)


async def ask_all(givens: list[TermsScene], task: TaskId) -> Counter[str]:
    """Let very many workers ask at once for one task, spread over processes; count what they got."""
    got: Counter[str] = Counter()

    async def ask(number: int) -> None:
        given, key = givens[number % len(givens)], SessionKey(secrets.token_bytes)
        try:
            request = await given.request(task, key, worker=wallet(f"worker {number}"))
            answer = await given.scene.vault.sessions.open(request)
            assert isinstance(answer, SealedSession)
            got["served"] += 1
        except TermsError as error:
            got["another enclave" if "another enclave got" in error.message else error.message] += 1

    async with anyio.create_task_group() as tasks:
        for number in range(AT_ONCE):
            tasks.start_soon(ask, number)
    return got


async def test_a_hundred_at_once_for_one_use_in_two_processes(database_url: str, keys: Path) -> None:
    now = [float(START)]
    settings, ledger = settings_of(database_url, keys), chain(now)
    async with opened(settings, ledger, now) as first, opened(settings, ledger, now) as second:
        entry = await first.push(terms_of(uses=1))
        (task,) = first.deal(entry.order_hash)
        assert await ask_all([first, second], task) == {"served": 1, "another enclave": AT_ONCE - 1}
        assert len(await second.uses()) == 1


async def test_a_hundred_deals_for_one_use(database_url: str, keys: Path) -> None:
    now = [float(START)]
    settings, ledger = settings_of(database_url, keys), chain(now)
    got: Counter[bool] = Counter()
    async with opened(settings, ledger, now) as first, opened(settings, ledger, now) as second:
        entry = await first.push(terms_of(uses=1))
        tasks = [task for _ in range(AT_ONCE // 10) for task in first.deal(entry.order_hash, size=10)]

        async def ask(given: TermsScene, task: TaskId) -> None:
            try:
                await given.open(task)
                got[True] += 1
            except TermsError:
                got[False] += 1

        async with anyio.create_task_group() as group:
            for number, task in enumerate(tasks):
                group.start_soon(ask, (first, second)[number % 2], task)
    assert got == {True: 1, False: AT_ONCE - 1}


async def test_lost_answer_is_given_again_to_the_same_enclave_only(database_url: str, keys: Path) -> None:
    now = [float(START)]
    async with opened(settings_of(database_url, keys), chain(now), now) as given:
        entry = await given.push(terms_of())
        (task,) = given.deal(entry.order_hash)
        key = SessionKey(secrets.token_bytes)
        assert (await given.open(task, key=key)).dataset_key == KEY
        assert (await given.open(task, key=key)).dataset_key == KEY
        with pytest.raises(TermsError, match="another enclave"):
            await given.open(task)  # a new enclave of the same worker
        with pytest.raises(TermsError, match="another enclave"):
            await given.open(task, key=key, worker=given.scene.stranger)
        assert len(await given.uses()) == 1


async def test_revoked_while_running(database_url: str, keys: Path) -> None:
    """Another process revokes; the next task of a deal that is under way gets nothing, and the one that runs no second answer."""
    now = [float(START)]
    settings, ledger = settings_of(database_url, keys), chain(now)
    async with opened(settings, ledger, now) as first, opened(settings, ledger, now) as second:
        entry = await first.push(terms_of())
        running, waiting = first.deal(entry.order_hash, size=2)
        key = SessionKey(secrets.token_bytes)
        await first.open(running, key=key)
        await second.revoke(entry.order_hash)
        for task in (running, waiting):
            with pytest.raises(TermsError, match="the owner revoked the order"):
                await first.open(task, key=key)


# --- old backups


class Backed:
    """A vault on a SQLite file that is copied, and put back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = [float(START)]
        self.ledger = chain(self.now)
        (folder / "data").mkdir()
        self.settings = settings_of(f"sqlite:///{folder}/data/vault.sqlite", folder)

    def open(self) -> AbstractAsyncContextManager[TermsScene]:
        return opened(self.settings, self.ledger, self.now)

    def back_up(self) -> None:
        shutil.copytree(self.folder / "data", self.folder / "backup")

    def restore(self) -> None:
        shutil.rmtree(self.folder / "data")
        shutil.copytree(self.folder / "backup", self.folder / "data")


async def served_then_restored(folder: Path) -> tuple[Backed, TermsEntry, TaskId]:
    """A vault serves a task after its backup; then the backup is put back."""
    vault = Backed(folder)
    async with vault.open() as given:
        entry = await given.push(terms_of(uses=1))
        (task,) = given.deal(entry.order_hash)
    vault.back_up()
    vault.now[0] += 10
    async with vault.open() as given:
        await given.open(task)
    vault.restore()
    vault.now[0] += 10
    return vault, entry, task


async def test_vault_restored_from_an_old_backup_serves_nothing_again(tmp_path: Path) -> None:
    vault, _, task = await served_then_restored(tmp_path)
    async with vault.open() as given:
        with pytest.raises(TermsError, match="records were restored at"):
            await given.open(task, worker=given.scene.stranger)


async def test_vault_restored_counts_as_before_and_asks_owners_to_confirm(tmp_path: Path) -> None:
    vault, entry, _ = await served_then_restored(tmp_path)
    async with vault.open() as given:
        vault.now[0] += 10
        (task,) = given.deal(entry.order_hash)
        with pytest.raises(TermsError, match="has not confirmed the order since; all 1 uses are taken"):
            await given.open(task)
        with pytest.raises(StateError, match="were restored at"):
            await given.push(terms_of())  # a consent from before the restore could be played again
        vault.now[0] += 300
        other = await given.push(terms_of())
        (task,) = given.deal(other.order_hash)
        assert (await given.open(task)).dataset_key == KEY


async def test_order_revoked_after_the_backup_stays_without_effect(tmp_path: Path) -> None:
    vault = Backed(tmp_path)
    async with vault.open() as given:
        entry = await given.push(terms_of())
        (before,) = given.deal(entry.order_hash)
        await given.open(before)
    vault.back_up()
    async with vault.open() as given:
        await given.revoke()
    vault.restore()
    async with vault.open() as given:
        vault.now[0] += 10
        (task,) = given.deal(entry.order_hash)
        with pytest.raises(TermsError, match="has not confirmed the order since"):
            await given.open(task)


async def test_vault_that_was_only_restarted_goes_on(tmp_path: Path) -> None:
    vault = Backed(tmp_path)
    async with vault.open() as given:
        entry = await given.push(terms_of())
        first, second = given.deal(entry.order_hash, size=2)
        await given.open(first)
    async with vault.open() as given:
        assert (await given.open(second)).dataset_key == KEY


async def test_mark_that_is_gone_counts_as_a_restore(tmp_path: Path) -> None:
    vault = Backed(tmp_path)
    async with vault.open() as given:
        entry = await given.push(terms_of())
        first, second = given.deal(entry.order_hash, size=2)
        await given.open(first)
    (tmp_path / "keys" / "vault.key.mark").unlink()
    async with vault.open() as given:
        with pytest.raises(TermsError, match="records were restored"):
            await given.open(second)
    (tmp_path / "keys" / "vault.key.mark").write_text("nonsense")
    with pytest.raises(InputError, match=r"the mark .* is malformed"):
        async with vault.open():
            pass


async def test_mark_that_is_brought_back_with_the_records(tmp_path: Path) -> None:
    """
    Who puts both back hides the restore. What the chain knows still counts: the number of uses, and which tasks have their result. What is
    left is a task under way, which another enclave can be given once more.
    """
    vault, mark = Backed(tmp_path), tmp_path / "keys" / "vault.key.mark"
    async with vault.open() as given:
        entry = await given.push(terms_of(uses=2))
        done, underway = given.deal(entry.order_hash, size=2)
    vault.back_up()
    marked = mark.read_bytes()
    async with vault.open() as given:
        await given.open(done)
        await given.open(underway)
        vault.ledger.tasks[done] = replace(vault.ledger.tasks[done], status=TaskStatus.COMPLETED)
    vault.restore()
    mark.write_bytes(marked)
    async with vault.open() as given:
        with pytest.raises(StateError, match="takes no contributions any more"):
            await given.open(done, worker=given.scene.stranger)
        (beyond,) = given.deal(entry.order_hash)
        with pytest.raises(TermsError, match="all 2 uses are taken"):
            await given.open(beyond)
        assert (await given.open(underway, worker=given.scene.stranger)).dataset_key == KEY


async def test_records_put_back_under_a_running_vault(database_url: str, keys: Path) -> None:
    now = [float(START)]
    settings, ledger = settings_of(database_url, keys), chain(now)
    async with opened(settings, ledger, now) as given, open_store(settings.database_url, ledger.domain) as store:
        entry = await given.push(terms_of())
        first, second, third = given.deal(entry.order_hash, size=3)
        await given.open(first)
        async with writing(store.database.engine) as connection:
            await connection.execute(text("UPDATE vault SET serial = 0"))
            await connection.execute(text("DELETE FROM served"))
        with pytest.raises(StateError, match="put back to an older state"):
            await given.open(second)
        with pytest.raises(TermsError, match="records were restored"):
            await given.open(third)


async def test_terms_that_are_changed_or_taken_away_in_the_database(database_url: str, keys: Path) -> None:
    now = [float(START)]
    settings, ledger = settings_of(database_url, keys), chain(now)
    async with opened(settings, ledger, now) as given, open_store(settings.database_url, ledger.domain) as store:
        entry = await given.push(terms_of(uses=1))
        _, second = given.deal(entry.order_hash, size=2)
        for statement, words in (
            ("""UPDATE orders SET terms = replace(terms, '"uses":1', '"uses":9')""", "does not commit"),
            ("DELETE FROM orders", "under terms of use only"),
        ):
            async with writing(store.database.engine) as connection:
                await connection.execute(text(statement.replace(":9", r"\:9").replace(":1", r"\:1")))
            with pytest.raises(Exception, match=words):
                await given.open(second)


async def test_order_and_terms_that_are_changed_together_in_the_database(database_url: str, keys: Path) -> None:
    """They belong together, and not to the order that the chain names."""
    now = [float(START)]
    settings, ledger = settings_of(database_url, keys), chain(now)
    async with opened(settings, ledger, now) as given, open_store(settings.database_url, ledger.domain) as store:
        entry = await given.push(terms_of(uses=1))
        first, _ = given.deal(entry.order_hash, size=2)
        loose = terms_of(uses=9)
        changed = {"order": encode(replace(given.order(loose), sign="0x")).decode(), "terms": encode(loose).decode()}
        async with writing(store.database.engine) as connection:
            await connection.execute(update(orders).values(changed))
        with pytest.raises(TrustError, match="was changed"):
            await given.open(first)
