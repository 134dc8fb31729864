"""Receipts of tasks that ran in enclaves: fetched from chain and vault once, and checked from the file alone ever after."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import msgspec

from voisin.chain import Chain
from voisin.chain.abi_codec import DecodingError
from voisin.chain.functions import decode_values, function
from voisin.client.history import deal_events
from voisin.client.results import require_completed
from voisin.client.services import Service
from voisin.errors import InputError
from voisin.protocol.events import Logged, TaskContributed
from voisin.protocol.ids import Address, Hash32, TaskId, as_address, from_hex, to_hex
from voisin.protocol.records import Task
from voisin.protocol.results import decode_link, result_hash
from voisin.protocol.tags import needs_enclave
from voisin.protocol.task_receipt import FORM, Signature, TaskReceipt, seal_receipt
from voisin.protocol.vault_terms import TaskEvidence
from voisin.units import NRLC, UnixSeconds


class _RawTransaction(msgspec.Struct, frozen=True):
    """The part of a transaction that is asked for here."""

    input: str


async def fetch_receipt(chain: Chain, task: TaskId, *, vault_url: str, wall: Callable[[], float] = time.time) -> TaskReceipt:
    """
    Put the receipt of a finished task together.

    Args:
        chain: The chain.
        task: The task.
        vault_url: The vault that served it.
        wall: This machine's clock [Unix s].

    Raises:
        InputError: It asked for no enclave, or no vault is known.
        StateError: It is unknown, or not finished.
        UnavailableError: Chain or vault do not answer.
    """
    found = await chain.hub.task(task)
    require_completed(task, found)
    deal = await chain.hub.deal(found.deal_id)
    if not needs_enclave(deal.tag):
        raise InputError(f"task {task} asked for no enclave: nothing was attested", hint="see the deal's invoice: voisin deal show")
    events = await deal_events(chain, found.deal_id, deal)
    return seal_receipt(
        TaskReceipt(
            form=FORM,
            chain_id=chain.domain.chain_id,
            hub=chain.hub_address,
            deal_id=found.deal_id,
            index=found.index,
            task_id=task,
            app=deal.app.pointer,
            dataset=deal.dataset.pointer,
            workerpool=deal.workerpool.pointer,
            requester=deal.requester,
            beneficiary=deal.beneficiary,
            price=NRLC(deal.app.price + deal.dataset.price + deal.workerpool.price),
            digest=found.result_digest,
            result=decode_link(found.results),
            signatures=await _signatures(chain, task, found, events),
            evidence=await _evidence(task, vault_url),
            made_at=UnixSeconds(int(wall())),
        )
    )


async def _evidence(task: TaskId, vault_url: str) -> TaskEvidence:
    if not vault_url:
        raise InputError("this network has no vault", hint="name the one that served the task with --vault URL")
    async with Service("vault", vault_url) as vault:
        return await vault.read(f"/v1/tasks/{task}/evidence", TaskEvidence)


async def _signatures(chain: Chain, task: TaskId, found: Task, events: Iterable[Logged]) -> tuple[Signature, ...]:
    """Read the enclave's word out of the transactions of those workers that agreed on the result."""
    sent = {each.event.worker: each.tx_hash for each in events if isinstance(each.event, TaskContributed) and each.event.task_id == task}
    words = []
    for worker, tx_hash in sent.items():
        transaction = await chain.rpc.fetch(_RawTransaction, "eth_getTransactionByHash", tx_hash)
        if (word := read_word(from_hex(transaction.input), task, found.result_digest, worker)) is not None:
            words.append(word)
    return tuple(words)


def read_word(calldata: bytes, task: TaskId, digest: Hash32, worker: Address) -> Signature | None:
    """
    Read the enclave's word for a result out of a worker's transaction.

    Args:
        calldata: The transaction's.
        task: The task.
        digest: The result that counts.
        worker: The worker.

    Returns:
        The word; None when the transaction has none for this result, or was sent to the hub by another contract.
    """
    places: Mapping[str, tuple[Hash32, int]] = {"contribute": (result_hash(task, digest), 3), "contributeAndFinalize": (digest, 4)}
    for name, (shown, place) in places.items():
        call = function("Hub", name)
        if calldata[:4] != call.selector:
            continue
        try:
            values = decode_values(call.inputs, calldata[4:])
        except DecodingError:
            return None
        enclave, signature = values[place], values[place + 1]
        if not isinstance(enclave, str) or not isinstance(signature, bytes) or [_hex(each) for each in values[:2]] != [task, shown]:
            return None
        return Signature(worker=worker, enclave=as_address(enclave), signature=to_hex(signature))
    return None


def _hex(value: object) -> str:
    return to_hex(value) if isinstance(value, bytes) else str(value)
