"""
Values of the chain as the JSON that Ethereum clients read.

Source: the Ethereum JSON-RPC specification (execution-apis), schemas `Block`, `TransactionInfo`, `ReceiptInfo`, `Log`.
"""

from __future__ import annotations

from voisin.chain.devnet.records.archive import PlacedLog, placed_logs
from voisin.chain.devnet.records.headers import EMPTY_TRIE_ROOT, HEADER_NONCE, NO_REQUESTS_HASH, NO_UNCLES_HASH, block_size
from voisin.chain.devnet.values import ZERO_HASH, Authorization, Block, Header, Transaction
from voisin.chain.devnet.wire.params import Json

JsonObject = dict[str, Json]


def data_text(data: bytes) -> str:
    """Write bytes as clients read them: 0x and two hex digits a byte."""
    return "0x" + data.hex()


def word_text(number: int) -> str:
    """Write a storage slot as clients read it: 0x and 64 hex digits."""
    return f"0x{number:064x}"


def header_json(header: Header) -> JsonObject:
    """
    Write a header, as the subscription `newHeads` sends it.

    Args:
        header: The header.

    Returns:
        The JSON object.
    """
    return {
        "number": hex(header.number),
        "hash": data_text(header.hash),
        "parentHash": data_text(header.parent),
        "timestamp": hex(header.timestamp),
        "gasUsed": hex(header.gas_used),
        "gasLimit": hex(header.gas_limit),
        "baseFeePerGas": hex(header.base_fee),
        "miner": data_text(header.coinbase),
        "stateRoot": data_text(header.state_root),
        "transactionsRoot": data_text(header.transactions_root),
        "receiptsRoot": data_text(header.receipts_root),
        "logsBloom": data_text(header.bloom),
        "mixHash": data_text(header.randao),
        "nonce": data_text(HEADER_NONCE),
        "sha3Uncles": data_text(NO_UNCLES_HASH),
        "difficulty": "0x0",
        "extraData": "0x",
        "withdrawalsRoot": data_text(EMPTY_TRIE_ROOT),
        "blobGasUsed": "0x0",
        "excessBlobGas": "0x0",
        "parentBeaconBlockRoot": data_text(ZERO_HASH),
        "requestsHash": data_text(NO_REQUESTS_HASH),
    }


def block_json(block: Block, *, is_full: bool) -> JsonObject:
    """
    Write a block.

    Args:
        block: The block.
        is_full: Whether its transaction is written out, or only named.

    Returns:
        The JSON object.
    """
    transactions: list[Json] = []
    if block.transaction is not None:
        transactions.append(transaction_json(block.transaction, block) if is_full else data_text(block.transaction.hash))
    rest: JsonObject = {"transactions": transactions, "uncles": [], "withdrawals": [], "size": hex(block_size(block))}
    return header_json(block.header) | rest


def pending_json(block: Block) -> JsonObject:
    """
    Write the block that comes next, which has no hash yet.

    Args:
        block: The block as it would be sealed now.

    Returns:
        The JSON object.
    """
    return block_json(block, is_full=False) | {"hash": None, "nonce": None}


def transaction_json(tx: Transaction, block: Block | None) -> JsonObject:
    """
    Write a transaction.

    Args:
        tx: The transaction.
        block: The block that holds it; None while it waits.

    Returns:
        The JSON object.
    """
    header = block.header if block else None
    legacy_v = 27 + tx.parity if tx.chain_id is None else 35 + 2 * tx.chain_id + tx.parity
    found: JsonObject = {
        "hash": data_text(tx.hash),
        "blockHash": data_text(header.hash) if header else None,
        "blockNumber": hex(header.number) if header else None,
        "blockTimestamp": hex(header.timestamp) if header else None,
        "transactionIndex": "0x0" if header else None,
        "type": hex(tx.kind),
        "from": data_text(tx.sender),
        "to": data_text(tx.to) if tx.to else None,
        "nonce": hex(tx.nonce),
        "gas": hex(tx.gas),
        "gasPrice": hex(tx.price(header.base_fee) if header else tx.max_fee),
        "value": hex(tx.value),
        "input": data_text(tx.data),
        "v": hex(tx.parity if tx.kind else legacy_v),
        "r": hex(tx.r),
        "s": hex(tx.s),
    }
    if tx.chain_id is not None:
        found["chainId"] = hex(tx.chain_id)
    if tx.kind:
        found["yParity"] = hex(tx.parity)
        found["accessList"] = [{"address": data_text(a), "storageKeys": [word_text(key) for key in keys]} for a, keys in tx.access_list]
    if tx.kind >= 2:
        found |= {"maxFeePerGas": hex(tx.max_fee), "maxPriorityFeePerGas": hex(tx.priority_fee)}
    if tx.authorizations:
        found["authorizationList"] = [_authorization_json(one) for one in tx.authorizations]
    return found


def _authorization_json(given: Authorization) -> JsonObject:
    return {
        "chainId": hex(given.chain_id),
        "address": data_text(given.address),
        "nonce": hex(given.nonce),
        "yParity": hex(given.parity),
        "r": hex(given.r),
        "s": hex(given.s),
    }


def receipt_json(block: Block) -> JsonObject | None:
    """
    Write the receipt of a block's transaction.

    Args:
        block: The block.

    Returns:
        The JSON object; None when the block holds no transaction.
    """
    tx, receipt, header = block.transaction, block.receipt, block.header
    if tx is None or receipt is None:
        return None
    return {
        "transactionHash": data_text(tx.hash),
        "transactionIndex": "0x0",
        "blockHash": data_text(header.hash),
        "blockNumber": hex(header.number),
        "type": hex(tx.kind),
        "from": data_text(tx.sender),
        "to": data_text(tx.to) if tx.to else None,
        "contractAddress": data_text(receipt.created) if receipt.created else None,
        "status": hex(receipt.is_success),
        "gasUsed": hex(receipt.gas_used),
        "cumulativeGasUsed": hex(receipt.gas_used),
        "effectiveGasPrice": hex(receipt.price),
        "logsBloom": data_text(receipt.bloom),
        "logs": [log_json(placed) for placed in placed_logs(block)],
    }


def log_json(placed: PlacedLog) -> JsonObject:
    """
    Write a log.

    Args:
        placed: The log and where it stands.

    Returns:
        The JSON object.
    """
    return {
        "address": data_text(placed.log.address),
        "topics": [data_text(topic) for topic in placed.log.topics],
        "data": data_text(placed.log.data),
        "blockNumber": hex(placed.block_number),
        "blockHash": data_text(placed.block_hash),
        "blockTimestamp": hex(placed.timestamp),
        "transactionHash": data_text(placed.tx_hash),
        "transactionIndex": "0x0",
        "logIndex": hex(placed.index),
        "removed": False,
    }
