"""web3.py, as its users use it, against the embedded chain in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from eth_account import Account
from web3 import AsyncWeb3, Web3
from web3.contract import Contract as Web3Contract
from web3.exceptions import ContractCustomError, ContractLogicError, TransactionNotFound, Web3RPCError
from web3.middleware import SignAndSendRawMiddlewareBuilder
from web3.providers.persistent import WebSocketProvider

from tests.support.devnet import ADDRESSES, COIN, GWEI, KEYS, NodeProcess, node_process, notebook

DEADLINE_S = 120


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with node_process() as node:
        yield node


@pytest.fixture
def web3(node: NodeProcess) -> Iterator[Web3]:
    provider = Web3.HTTPProvider(node.url)
    web3 = Web3(provider)
    account = Account.from_key(KEYS[0])
    web3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(account), layer=0)
    web3.eth.default_account = account.address
    yield web3
    for session in provider._request_session_manager.session_cache._data.values():  # web3.py leaves its sockets to the collector
        session.close()


@pytest.fixture
def book(web3: Web3) -> Web3Contract:
    compiled = notebook()
    factory = web3.eth.contract(abi=compiled.abi, bytecode=compiled.bytecode)
    receipt = web3.eth.wait_for_transaction_receipt(factory.constructor(5).transact())
    assert receipt["status"] == 1
    return web3.eth.contract(receipt["contractAddress"], abi=compiled.abi)


def write(web3: Web3, book: Web3Contract, page: int, text: str, **fields: Any) -> Any:
    return web3.eth.wait_for_transaction_receipt(book.functions.write(page, (7, text)).transact(fields))


def test_deploy_send_and_wait(web3: Web3, book: Web3Contract) -> None:
    receipt = write(web3, book, 1, "hello")
    assert (receipt["status"], receipt["type"]) == (1, 2)
    assert receipt["effectiveGasPrice"] == 2 * GWEI
    legacy = write(web3, book, 2, "legacy", gasPrice=web3.eth.gas_price)
    assert legacy["type"] == 0
    assert book.functions.written().call() == 7
    assert tuple(book.functions.read(1).call()) == (7, "hello")
    transaction = web3.eth.get_transaction(receipt["transactionHash"])
    assert (transaction["from"], transaction["hash"]) == (ADDRESSES[0], receipt["transactionHash"])
    assert web3.eth.get_block(receipt["blockNumber"], full_transactions=True)["transactions"][0]["hash"] == receipt["transactionHash"]
    with pytest.raises(TransactionNotFound):
        web3.eth.get_transaction_receipt("0x" + "11" * 32)


def test_events_are_found_by_their_arguments(web3: Web3, book: Web3Contract) -> None:
    receipts = [write(web3, book, page, f"page {page}") for page in (1, 2, 3)]
    start = receipts[0]["blockNumber"]
    event = book.events.Written()
    assert event.process_receipt(receipts[1])[0]["args"]["text"] == "page 2"
    assert [found["args"]["page"] for found in event.get_logs(from_block=start)] == [1, 2, 3]
    assert [found["args"]["text"] for found in event.get_logs(from_block=start, argument_filters={"page": 3})] == ["page 3"]
    filtered = event.create_filter(from_block=start, argument_filters={"author": ADDRESSES[0]})
    assert len(filtered.get_all_entries()) == 3
    write(web3, book, 4, "page 4")
    assert [found["args"]["page"] for found in filtered.get_new_entries()] == [4]


def test_errors_are_decoded(web3: Web3, book: Web3Contract) -> None:
    with pytest.raises(ContractLogicError, match="execution reverted: a note has a weight"):
        book.functions.write(1, (0, "")).call()
    with pytest.raises(ContractLogicError, match="a note has a weight"):
        book.functions.write(1, (0, "")).transact()  # estimates first
    with pytest.raises(ContractCustomError) as caught:
        book.functions.refuse(42).call()
    assert caught.value.data is not None
    assert str(caught.value.data).startswith("0x" + Web3.keccak(text="Refused(uint256,address)")[:4].hex() + f"{42:064x}")
    receipt = web3.eth.wait_for_transaction_receipt(book.functions.refuse(42).transact({"gas": 100_000}))
    assert receipt["status"] == 0
    with pytest.raises(Web3RPCError, match="insufficient funds"):
        web3.eth.send_transaction({"to": ADDRESSES[1], "value": 10**6 * COIN, "gas": 21_000})


def test_state_of_the_past(web3: Web3, book: Web3Contract) -> None:
    receipts = [write(web3, book, page, "x") for page in (1, 2)]
    assert book.functions.written().call(block_identifier=receipts[0]["blockNumber"]) == 6
    assert book.functions.written().call(block_identifier=receipts[1]["blockHash"]) == 7
    assert web3.eth.get_storage_at(book.address, 0, receipts[0]["blockNumber"]) == (6).to_bytes(32, "big")
    before = web3.eth.get_balance(ADDRESSES[0], receipts[0]["blockNumber"])
    assert before - web3.eth.get_balance(ADDRESSES[0]) == receipts[1]["gasUsed"] * receipts[1]["effectiveGasPrice"]


def test_fees_and_other_questions(web3: Web3, node: NodeProcess) -> None:
    assert web3.is_connected()
    assert (web3.eth.chain_id, web3.net.version) == (31_337, "31337")
    assert web3.eth.gas_price == 2 * GWEI
    assert web3.eth.max_priority_fee == GWEI
    assert web3.eth.fee_history(2, "latest", [50])["baseFeePerGas"][-1] == GWEI
    assert web3.eth.accounts[:4] == list(ADDRESSES)
    assert web3.eth.syncing is False
    assert web3.eth.estimate_gas({"to": ADDRESSES[1], "value": 1}) == 21_000


def test_requests_in_one_batch(web3: Web3, book: Web3Contract) -> None:
    with web3.batch_requests() as batch:
        batch.add(web3.eth.get_block("latest"))
        batch.add(book.functions.written())
        block, written = batch.execute()
    assert written == 5
    assert block["number"] == web3.eth.block_number


def test_subscriptions_over_websocket(web3: Web3, node: NodeProcess, book: Web3Contract) -> None:
    async def listen() -> list[Any]:
        async with AsyncWeb3(WebSocketProvider(node.ws_url)) as socket:
            assert await socket.eth.chain_id == 31_337
            logs = await socket.eth.subscribe("logs", {"address": book.address})
            heads = await socket.eth.subscribe("newHeads")
            receipt = await asyncio.to_thread(write, web3, book, 9, "over the socket")
            found: dict[Any, Any] = {}
            async for message in socket.socket.process_subscriptions():
                found[message["subscription"]] = message["result"]
                if len(found) == 2:
                    break
            return [found[logs], found[heads], receipt]

    log, head, receipt = asyncio.run(asyncio.wait_for(listen(), DEADLINE_S))
    assert head["hash"] == receipt["blockHash"]
    assert book.events.Written().process_log(log)["args"]["text"] == "over the socket"
