"""What a file holds is there again; what does not fit together is refused; one process at a time."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.support.devnet import ADDRESSES, COIN, KEYS, signed
from tests.support.devnet_contract import Author, Book
from voisin.chain.devnet import Devnet, DevnetSettings, serve_devnet
from voisin.errors import InputError, UnavailableError, VoisinError

pytestmark = pytest.mark.anyio


async def ask(node: Devnet, method: str, *params: object) -> Any:
    return await node.request(method, list(params))  # type: ignore[arg-type]


async def everything(node: Devnet) -> list[Any]:
    head = int(await ask(node, "eth_blockNumber"), 16)
    blocks = [await ask(node, "eth_getBlockByNumber", hex(number), True) for number in range(head + 1)]
    receipts = [await ask(node, "eth_getBlockReceipts", hex(number)) for number in range(head + 1)]
    balances = [await ask(node, "eth_getBalance", address, hex(number)) for address in ADDRESSES for number in range(head + 1)]
    return [blocks, receipts, balances, await ask(node, "eth_getLogs", {"fromBlock": "0x0"})]


async def test_second_start_finds_everything(tmp_path: Path) -> None:
    settings = DevnetSettings(db=tmp_path / "chain.sqlite", is_durable=True)
    async with serve_devnet(settings) as node:
        book = await Author(node).deploy()
        for page in (1, 2, 3):
            await book.send("write", page, (page, f"page {page}"))
        early = await ask(node, "eth_sendRawTransaction", "0x" + signed(KEYS[0], 5, to=ADDRESSES[1], gas=21_000).hex())
        before = await everything(node)
    async with serve_devnet(settings) as node:
        assert await everything(node) == before
        book = Book(Author(node), book.address)
        assert await book.number("written") == 8
        assert (await ask(node, "eth_getTransactionByHash", early))["nonce"] == "0x5"
        await book.send("write", 4, (4, "page 4"))
        assert (await ask(node, "eth_getTransactionReceipt", early))["blockNumber"] == "0x6"


async def test_engines_take_over_from_each_other(tmp_path: Path) -> None:
    db = tmp_path / "chain.sqlite"
    async with serve_devnet(DevnetSettings(db=db)) as node:
        book = await Author(node).deploy()
    async with serve_devnet(DevnetSettings(db=db, engine="eels")) as node:
        assert "ethereum-execution" in await ask(node, "web3_clientVersion")
        book = Book(Author(node), book.address)
        receipt = await book.send("write", 1, (1, "by the other engine"))
        assert receipt["status"] == "0x1"
        assert int(await ask(node, "eth_estimateGas", book.call_params("write", 2, (1, "x"))), 16) > 50_000
    async with serve_devnet(DevnetSettings(db=db)) as node:
        assert await Book(Author(node), book.address).number("written") == 6


async def test_base_fee_may_change_from_one_start_to_the_next(tmp_path: Path) -> None:
    async with serve_devnet(DevnetSettings(db=tmp_path / "c", base_fee=5)) as node:
        await ask(node, "evm_mine")
    async with serve_devnet(DevnetSettings(db=tmp_path / "c", base_fee=7)) as node:
        await ask(node, "evm_mine")
        assert (await ask(node, "eth_feeHistory", 3, "latest"))["baseFeePerGas"] == ["0x5", "0x5", "0x7", "0x7"]


async def start_and_stop(settings: DevnetSettings) -> None:
    async with serve_devnet(settings):
        pass


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chain_id": 5}, "the file holds chain 31337, not chain 5"),
        ({"accounts": 9}, "began with other balances"),
        ({"allocation": {"0x" + "11" * 20: 1}}, "began with other balances"),
    ],
)
async def test_file_of_another_chain_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    db = tmp_path / "chain.sqlite"
    await start_and_stop(DevnetSettings(db=db))
    with pytest.raises(InputError, match=said):
        await start_and_stop(DevnetSettings(db=db, **change))
    await start_and_stop(DevnetSettings(db=db))


async def test_file_that_is_no_chain_is_refused_and_left_alone(tmp_path: Path) -> None:
    text, other, newer = tmp_path / "text", tmp_path / "other.sqlite", tmp_path / "newer.sqlite"
    text.write_text("not a database, but longer than a header of one would be: " * 20)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE customers (name)")
    connection.close()
    await start_and_stop(DevnetSettings(db=newer))
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    for path in (text, other, newer):
        before = path.read_bytes()
        with pytest.raises(InputError):
            await start_and_stop(DevnetSettings(db=path))
        assert path.read_bytes() == before


async def test_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose a folder that can be written"):
        await start_and_stop(DevnetSettings(db=tmp_path / "none" / "chain.sqlite"))


async def test_one_process_at_a_time(tmp_path: Path) -> None:
    settings = DevnetSettings(db=tmp_path / "chain.sqlite")
    async with serve_devnet(settings) as node:
        with pytest.raises(UnavailableError, match="in use by another chain process"):
            await start_and_stop(settings)
        assert await ask(node, "eth_blockNumber") == "0x0"
    await start_and_stop(settings)


async def test_port_that_is_taken_is_said_and_the_file_is_free_again(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(VoisinError, match=str(port)):
            await start_and_stop(DevnetSettings(db=tmp_path / "c", port=port))
    async with serve_devnet(DevnetSettings(db=tmp_path / "c", port=port)) as node:
        assert node.rpc_url == f"http://127.0.0.1:{port}"


async def test_error_of_the_user_stays_what_it_is_and_the_node_still_ends_well(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = DevnetSettings(db=tmp_path / "c")

    async def use_and_fail() -> None:
        async with serve_devnet(settings) as node:
            await ask(node, "evm_mine")
            raise InputError("mine")

    with pytest.raises(InputError, match="mine"):
        await use_and_fail()
    with anyio.move_on_after(0) as scope:
        async with serve_devnet(settings):
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    async with serve_devnet(settings) as node:
        assert await ask(node, "eth_blockNumber") == "0x1"


async def test_full_disk_loses_the_transaction_and_nothing_else(tmp_path: Path) -> None:
    db = tmp_path / "chain.sqlite"
    async with serve_devnet(DevnetSettings(db=db)) as node:
        author = Author(node)
        await author.send(to=ADDRESSES[1], value=COIN)
        # another writer holds the file, which looks to the chain as a disk that does not take a write
        blocker = sqlite3.connect(db, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        raw = "0x" + signed(KEYS[0], 1, to=ADDRESSES[1], value=COIN).hex()
        with pytest.raises(UnavailableError, match="cannot be written"):
            await ask(node, "eth_sendRawTransaction", raw)
        assert await ask(node, "eth_blockNumber") == "0x1"
        blocker.execute("ROLLBACK")
        blocker.close()
        await ask(node, "eth_sendRawTransaction", raw)
        assert await ask(node, "eth_getBalance", ADDRESSES[1]) == hex(10_002 * COIN)
