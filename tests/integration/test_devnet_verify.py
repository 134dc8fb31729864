"""A chain's file is checked by doing everything again: a right one is right, whatever was done; a wrong one is named with its block."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.devnet import ADDRESSES, COIN, KEYS, signed
from tests.support.devnet_contract import Author
from voisin.chain.devnet import Devnet, DevnetSettings, serve_devnet
from voisin.chain.devnet.node import make_engine
from voisin.chain.devnet.records.audit_reads import open_audit
from voisin.chain.devnet.records.store import ChainStore
from voisin.chain.devnet.settings import EngineName
from voisin.chain.devnet.verify import Difference, Replay
from voisin.cli.main import main
from voisin.errors import InputError, UnavailableError

pytestmark = pytest.mark.anyio

WHO = "0x" + "99" * 20
WORD = "0x" + f"{7:064x}"
RETURNS_SLOT_0 = "0x5f545f5260205ff3"


async def ask(node: Devnet, method: str, *params: object) -> Any:
    return await node.request(method, list(params))  # type: ignore[arg-type]


async def live(node: Devnet) -> None:
    """Everything that a chain can hold: transfers, contracts, refusals, changes by hand, blocks without anything, ways back."""
    author = Author(node)
    book = await author.deploy()  # block 1
    await book.send("write", 1, (1, "first"))  # block 2
    assert (await book.send("refuse", 3))["status"] == "0x0"  # block 3
    await author.send(to=WHO, value=COIN)  # block 4
    await ask(node, "anvil_setBalance", WHO, hex(5 * COIN))  # block 5
    await ask(node, "anvil_setCode", WHO, RETURNS_SLOT_0)  # block 6
    await ask(node, "anvil_setStorageAt", WHO, "0x0", WORD)  # block 7
    await ask(node, "evm_increaseTime", 1000)
    await ask(node, "evm_mine")  # block 8
    point = await ask(node, "evm_snapshot")
    await book.send("write", 1, (2, "taken back"))
    await ask(node, "anvil_setBalance", WHO, "0x0")
    assert await ask(node, "evm_revert", point) is True
    await book.send("nest", 3, False)  # block 9


async def live_unsigned(node: Devnet) -> None:
    """A transaction that a contract sends, which nobody signed."""
    await ask(node, "anvil_impersonateAccount", WHO)
    await ask(node, "eth_sendTransaction", {"from": WHO, "to": ADDRESSES[1], "value": "0x1"})  # block 10


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain's file in which everything has happened."""
    path = tmp_path_factory.mktemp("lived") / "chain.sqlite"

    async def run() -> None:
        async with serve_devnet(DevnetSettings(db=path)) as node:
            await live(node)
            await live_unsigned(node)

    anyio.run(run)
    return path


@pytest.fixture
def file(lived: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(lived, tmp_path / "chain.sqlite"))


def check(path: Path, engine: EngineName = "pyevm") -> tuple[Difference | None, Replay]:
    replay = Replay(make_engine(DevnetSettings(engine=engine)))
    with open_audit(path) as archive:
        assert archive.damage() is None
        return replay.follow(archive), replay


@pytest.mark.parametrize("engine", ["pyevm", "jit"])
def test_a_right_chain_is_right_with_every_engine(file: Path, engine: EngineName) -> None:
    difference, replay = check(file, engine)
    assert difference is None
    assert replay.head is not None
    assert (replay.head.number, replay.transactions, replay.by_hand) == (10, 6, 4)


async def test_the_specification_finds_a_chain_right_up_to_what_nobody_signed(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"
    async with serve_devnet(DevnetSettings(db=path)) as node:
        await live(node)
        difference, replay = check(path, "eels")
        assert difference is None
        assert replay.transactions == 5
        await live_unsigned(node)
    with pytest.raises(InputError, match="nobody signed transaction 0x"):
        check(path, "eels")


async def test_a_chain_in_use_is_followed_from_where_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "chain.sqlite"
    async with serve_devnet(DevnetSettings(db=path)) as node:
        await live(node)
        difference, replay = check(path)
        assert difference is None
        await Author(node).send(to=WHO, value=COIN)
        with open_audit(path) as archive:
            assert replay.follow(archive) is None
        assert replay.head is not None
        assert replay.head.hash.hex() == (await ask(node, "eth_getBlockByNumber", "latest", False))["hash"][2:]


WRONGS = [
    ("UPDATE block SET state_root=zeroblob(32) WHERE number=4", 4, "state root"),
    ("UPDATE block SET timestamp=timestamp+1 WHERE number=4", 4, "block hash"),
    ("UPDATE block SET timestamp=0 WHERE number=4", 4, "time"),
    ("UPDATE block SET gas_used=gas_used+1 WHERE number=2", 2, "gas used"),
    ("UPDATE block SET parent=zeroblob(32) WHERE number=8", 8, "parent"),
    ("DELETE FROM block WHERE number=3", 3, "block"),
    ("UPDATE tx SET raw=(SELECT raw FROM tx WHERE block=4) WHERE block=9", 9, None),
    ("UPDATE tx SET sender=zeroblob(20) WHERE block=4", 4, "transaction"),
    ("UPDATE tx SET hash=zeroblob(32) WHERE block=4", 4, "transaction hash"),
    ("UPDATE tx SET is_success=1 WHERE block=3", 3, "receipt"),
    ("UPDATE tx SET created=NULL WHERE block=1", 1, "receipt"),
    ("UPDATE log SET data=x'00' WHERE block=2", 2, "receipt"),
    ("DELETE FROM log WHERE block=2", 2, "receipt"),
    ("UPDATE account SET balance=x'01' WHERE address=x'" + "99" * 20 + "'", 10, "account 0x" + "99" * 20),
    ("INSERT INTO account SELECT x'aabb', nonce, balance, code_hash FROM account WHERE address=x'" + "99" * 20 + "'", 10, None),
    ("UPDATE account SET nonce=nonce+1 WHERE address=x'" + ADDRESSES[2][2:] + "'", 0, "state root"),
    ("UPDATE slot SET value=x'08' WHERE address=x'" + "99" * 20 + "'", 7, "state root"),
    ("UPDATE slot SET value=x'09' WHERE address!=x'" + "99" * 20 + "'", 10, None),
    ("UPDATE code SET code=x'00' WHERE code=x'" + RETURNS_SLOT_0[2:] + "'", 6, "code"),
    ("UPDATE undo_account SET balance=x'01' WHERE block=4", 4, None),
    ("DELETE FROM undo_slot WHERE block=2", 2, None),
    ("UPDATE undo_account SET balance=x'07' WHERE block=10 AND address=x'" + "99" * 20 + "'", 6, "state root"),
]


@pytest.mark.parametrize(("statement", "block", "what"), WRONGS, ids=[statement for statement, _, _ in WRONGS])
def test_the_first_block_that_differs_is_named(file: Path, statement: str, block: int, what: str | None) -> None:
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute(statement).rowcount > 0
        connection.commit()
    difference, _ = check(file)
    assert difference is not None
    assert (difference.block, difference.what if what is not None else None) == (block, what)
    assert difference.stored != difference.recomputed


def test_the_command_says_it_and_ends_with_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chain", "verify", str(file)]) == 0
    assert "is right: 11 blocks, 6 transactions, 4 changes by hand; state root 0x" in capsys.readouterr().out
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE block SET state_root=zeroblob(32) WHERE number=4")
        connection.commit()
    assert main(["chain", "verify", str(file)]) == 1
    assert "is wrong at block 4: another state root" in capsys.readouterr().out
    assert main(["chain", "verify", str(file), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["is_right"], document["blocks"]) == (False, 4)
    assert document["difference"]["block"] == 4
    assert document["difference"]["stored"] == "0x" + "00" * 32


@pytest.mark.parametrize("name", ["none", "text", "empty", "other"])
def test_what_is_no_chain_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text").write_text("a letter, longer than the header of a database would be: " * 20)
    (tmp_path / "empty").touch()
    with closing(sqlite3.connect(tmp_path / "other")) as connection:
        connection.execute("CREATE TABLE customers (name)")
    assert main(["chain", "verify", str(tmp_path / name)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") <= 2
    assert str(tmp_path / name) in said.replace("\n", "")


@asynccontextmanager
async def copied(tmp_path: Path) -> AsyncIterator[tuple[Path, Callable[[], Path]]]:
    """A running chain's file with its log, and a way to copy both as they are."""
    path = tmp_path / "chain.sqlite"
    async with serve_devnet(DevnetSettings(db=path)) as node:
        await live(node)

        def copy() -> Path:
            folder = tmp_path / "copy"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for part in ("chain.sqlite", "chain.sqlite-wal"):
                shutil.copy(tmp_path / part, folder / part)
            return folder / "chain.sqlite"

        yield path, copy


async def test_a_log_that_is_cut_off_loses_the_last_blocks_and_nothing_else(tmp_path: Path) -> None:
    async with copied(tmp_path) as (path, copy):
        size = path.with_name("chain.sqlite-wal").stat().st_size
        heads = []
        for left in range(16):
            cut = copy()
            with cut.with_name("chain.sqlite-wal").open("rb+") as log:
                log.truncate(size * left // 15)
            async with serve_devnet(DevnetSettings(db=cut)) as node:
                heads.append(int(await ask(node, "eth_blockNumber"), 16))
                difference, _ = check(cut)
                assert difference is None
                assert (await Author(node).send(to=WHO, value=1))["status"] == "0x1"
    assert (heads[0], heads[-1], max(heads)) == (0, 9, 10), "two of the blocks were taken back in the end"
    assert len(set(heads)) > 5


def cut_off(file: Path, kept: float) -> bytes:
    """Leave the first part of a file; answers what is left."""
    with file.open("rb+") as stream:
        stream.truncate(int(file.stat().st_size * kept))
    return file.read_bytes()


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.9])
async def test_a_file_that_is_cut_off_is_refused(file: Path, kept: float) -> None:
    before = cut_off(file, kept)
    with pytest.raises(InputError, match="cannot be opened as a chain: database disk image is malformed"):
        async with serve_devnet(DevnetSettings(db=file)):
            pass
    with pytest.raises(InputError, match="malformed"):
        check(file)
    assert cut_off(file, 1.0) == before


async def test_way_back_that_cannot_be_written_can_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve_devnet(DevnetSettings(db=tmp_path / "c")) as node:
        point = await ask(node, "evm_snapshot")
        await ask(node, "evm_increaseTime", 1000)
        await Author(node).send(to=WHO, value=1)

        def fail(_store: ChainStore, _number: int) -> None:
            raise UnavailableError("the disk is full")

        with monkeypatch.context() as patched:
            patched.setattr(ChainStore, "rewind", fail)
            with pytest.raises(UnavailableError):
                await ask(node, "evm_revert", point)
        assert await ask(node, "eth_blockNumber") == "0x1"
        assert await ask(node, "evm_revert", point) is True
        assert await ask(node, "eth_blockNumber") == "0x0"


async def test_keys_of_the_test_are_those_of_the_chain(file: Path) -> None:
    async with serve_devnet(DevnetSettings(db=file)) as node:
        assert await ask(node, "eth_sendRawTransaction", "0x" + signed(KEYS[1], 0, to=WHO, gas=21_000).hex())
    assert check(file)[0] is None
