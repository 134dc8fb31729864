"""
Methods that show how a transaction or a call ran: geth's `debug_trace...` with the call tracer or instruction by instruction, and
`trace_transaction` and `trace_block` as OpenEthereum named them. They run on the archive's thread, on the state before the block.

Sources: geth's documentation, "Built-in EVM tracing", `callTracer` and the struct logger; OpenEthereum's "trace module".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from voisin.chain.devnet.engines.engine import BlockContext, Call, Outcome, RunOutOfTimeError, StateReader
from voisin.chain.devnet.ledger import context_of
from voisin.chain.devnet.pretended import Place, PretendedState
from voisin.chain.devnet.records.archive import Archive
from voisin.chain.devnet.settings import DevnetSettings
from voisin.chain.devnet.values import Block, Header, Transaction
from voisin.chain.devnet.wire.chain_reads import ChainReads
from voisin.chain.devnet.wire.chain_runs import needed_by
from voisin.chain.devnet.wire.errors import BadParamsError, LimitError, RpcError
from voisin.chain.devnet.wire.override_params import pretend_given
from voisin.chain.devnet.wire.params import LATEST, Json, Params, block_ref, boolean, call_params, hash32, members, quantity
from voisin.chain.devnet.wire.trace_json import call_json, flat_json, steps_json

T = TypeVar("T")
Handler = Callable[[Params], Json]

MAX_STEPS = 50_000
_PRECOMPILES = 17
_MAX_KEPT_BYTES = 64 * 2**20
_WORD_BYTES = 70
"""What a word of the stack takes in JSON."""
_CALL_TRACER = "callTracer"


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """
    What a client wants to see.

    Attributes:
        is_tree: Whether the tree of calls is wanted, and not each instruction.
        with_logs: Whether calls show their events.
        only_top: Whether only the outermost call is wanted.
        with_memory: Whether instructions show the memory.
        with_stack: Whether instructions show the stack.
        with_storage: Whether instructions show the slots of their contract.
        limit: Most instructions to give; 0 for all.
    """

    is_tree: bool
    with_logs: bool
    only_top: bool
    with_memory: bool
    with_stack: bool
    with_storage: bool
    limit: int


class TraceMethods:
    """
    Runs what was sealed once more.

    Args:
        archive: Where it is read.
        reads: Knows which block is meant.
        settings: Chain id and limits.
        is_closing: Tells whether the node is shutting down.
    """

    def __init__(self, archive: Archive, reads: ChainReads, *, settings: DevnetSettings, is_closing: Callable[[], bool]) -> None:
        self._archive = archive
        self._reads = reads
        self._settings = settings
        self._is_closing = is_closing

    def table(self) -> dict[str, tuple[Handler, int]]:
        """
        List the methods.

        Returns:
            By name: what carries the method out, and the most parameters it takes.
        """
        return {
            "debug_traceTransaction": (self._transaction, 2),
            "debug_traceCall": (self._call, 3),
            "eth_createAccessList": (self._access_list, 3),
            "debug_traceBlockByNumber": (self._block, 2),
            "debug_traceBlockByHash": (self._block_by_hash, 2),
            "trace_transaction": (lambda params: self._flat(self._sealed(params)), 1),
            "trace_block": (self._flat_block, 1),
        }

    def _transaction(self, params: Params) -> Json:
        options = params.read_or(1, _options, default=_options({}, "1"))
        return self._shown(self._sealed(params), options)

    def _block(self, params: Params) -> Json:
        return self._traced_block(self._named(params), params)

    def _block_by_hash(self, params: Params) -> Json:
        number = self._archive.number_of(params.read(0, hash32))
        return self._traced_block(None if number is None else self._archive.block(number), params)

    def _traced_block(self, block: Block | None, params: Params) -> Json:
        if block is None:
            raise RpcError("block not found")
        options = params.read_or(1, _options, default=_options({}, "1"))
        tx = block.transaction
        return [] if tx is None else [{"txHash": "0x" + tx.hash.hex(), "result": self._shown(block, options)}]

    def _flat_block(self, params: Params) -> Json:
        block = self._named(params)
        return None if block is None else self._flat(block) if block.transaction else []

    def _call(self, params: Params) -> Json:
        given: dict[str, Json] = params.read_or(2, members, default={})
        options = _options({key: part for key, part in given.items() if key not in ("stateOverrides", "blockOverrides")}, "2")
        call, context, state = self._prepared(params, given.get("stateOverrides"), given.get("blockOverrides"))
        return self._traced(call, context, state, options)[1]

    def _access_list(self, params: Params) -> Json:
        """
        Say what a call uses: run it, announce that, and run it again, because announcing changes the gas and with it the run.

        Source: geth's documentation of `eth_createAccessList`; sender, receiver and precompiles are left out, being warm already.
        """
        from voisin.chain.devnet.tracing import TracingEngine

        accounts: dict[str, Json] = params.read_or(2, members, default={})
        call, context, state = self._prepared(params, accounts, None)
        is_expired = self._deadline()  # for all runs together: a contract may look at its gas and never come to rest
        known = {call.sender, call.to, context.coinbase, *(number.to_bytes(20, "big") for number in range(1, _PRECOMPILES + 1))}
        while True:
            engine = TracingEngine(is_expired)
            outcome, _ = self._in_time(lambda run=call, engine=engine: engine.trace(run, context, state=state))  # type: ignore[misc]
            addresses, slots = engine.used()
            created = {outcome.created} if outcome.created else set()
            listed = (addresses - known - created) | {who for who, _ in slots}
            found = tuple((who, tuple(sorted(slot for owner, slot in slots if owner == who))) for who in sorted(listed))
            if found == call.access_list:
                break
            call = replace(call, access_list=found)
        answer: dict[str, Json] = {
            "accessList": [{"address": "0x" + who.hex(), "storageKeys": [f"0x{slot:064x}" for slot in keys]} for who, keys in found],
            "gasUsed": hex(outcome.gas_used),
        }
        return answer | ({"error": outcome.error} if outcome.error else {})

    def _prepared(self, params: Params, accounts: Json, block: Json) -> tuple[Call, BlockContext, StateReader]:
        """Read a call that was never sent: with where it runs, and what it pretends."""
        asked, ref = params.read(0, call_params), params.read_or(1, block_ref, default=LATEST)
        number = self._reads.height(ref)
        header = None if number is None else self._header(number)
        if header is None or number is None:
            raise RpcError("header not found")
        gas = min(asked.gas or self._settings.gas_limit, self._settings.gas_limit)
        if gas < needed_by(asked).intrinsic:
            raise RpcError(f"intrinsic gas too low: have {gas}, want {needed_by(asked).intrinsic}")
        place = pretend_given(Place(), accounts, block)
        state = PretendedState(self._archive.state_after(number), place.pretended)
        if state.account(asked.sender).balance < asked.value:
            raise RpcError(f"insufficient funds for transfer: address 0x{asked.sender.hex()}")
        call = Call(asked.sender, asked.to, asked.data, asked.value, gas, asked.price, asked.access_list, asked.authorizations)
        if not asked.price and place.base_fee is None:
            place = pretend_given(place, None, {"baseFeePerGas": "0x0"})
        return call, place.pretend(self._context(header)), state

    # Running.

    def _sealed(self, params: Params) -> Block:
        block = self._archive.block_of(params.read(0, hash32))
        if block is None:
            raise RpcError("transaction not found", hint="it may still wait for an earlier nonce, or be of another chain")
        return block

    def _named(self, params: Params) -> Block | None:
        number = self._reads.height(params.read(0, block_ref))
        return None if number is None else self._archive.block(number)

    def _shown(self, block: Block, options: TraceOptions) -> Json:
        outcome, shown = self._traced(*self._before(block), options)
        self._require_same(block, outcome)
        return shown

    def _flat(self, block: Block) -> Json:
        from voisin.chain.devnet.tracing import TracingEngine

        tx, context, state = self._before(block)
        outcome, frame = self._in_time(lambda: TracingEngine(self._deadline()).trace(tx, context, state=state))
        self._require_same(block, outcome)
        return flat_json(frame, block)

    def _traced(self, run: Transaction | Call, context: BlockContext, state: StateReader, options: TraceOptions) -> tuple[Outcome, Json]:
        from voisin.chain.devnet.tracing import Step, TracingEngine  # py-evm is imported when somebody traces

        steps: list[Step] = []
        kept_bytes = 0

        def keep(step: Step) -> None:
            nonlocal kept_bytes
            if options.limit and len(steps) >= options.limit:
                return
            kept_bytes += _WORD_BYTES * len(step.stack) + 2 * len(step.memory)
            if len(steps) >= MAX_STEPS or kept_bytes > _MAX_KEPT_BYTES:
                text = f"the run has more than {MAX_STEPS} instructions, or they hold too much"
                raise LimitError(text, hint=f"use {_CALL_TRACER}, or a limit")
            steps.append(step)

        engine = TracingEngine(self._deadline(), on_step=None if options.is_tree else keep, with_memory=options.with_memory)
        outcome, frame = self._in_time(lambda: engine.trace(run, context, state=state))
        if options.is_tree:
            return outcome, call_json(frame, with_logs=options.with_logs, only_top=options.only_top)
        return outcome, steps_json(outcome, steps, with_stack=options.with_stack, with_storage=options.with_storage)

    def _in_time(self, run: Callable[[], T]) -> T:
        try:
            return run()
        except RunOutOfTimeError as error:
            raise RpcError("execution aborted: the trace took too long", hint="raise the call timeout") from error

    def _before(self, block: Block) -> tuple[Transaction, BlockContext, StateReader]:
        assert block.transaction is not None
        return block.transaction, self._context(block.header), self._archive.state_after(block.header.number - 1)

    def _context(self, header: Header) -> BlockContext:
        before = self._archive.headers(header.number - 256, header.number - 1)
        return context_of(header, self._settings.chain_id, tuple(each.hash for each in reversed(before)))

    def _header(self, number: int) -> Header | None:
        return next(iter(self._archive.headers(number, number)), None)

    def _deadline(self) -> Callable[[], bool]:
        end = time.monotonic() + self._settings.call_timeout_s
        return lambda: time.monotonic() > end or self._is_closing()

    def _require_same(self, block: Block, outcome: Outcome) -> None:
        """The trace is worthless unless it is of what happened."""
        receipt = block.receipt
        assert receipt is not None
        if (outcome.gas_used, outcome.error is None) != (receipt.gas_used, receipt.is_success):
            raise RpcError("the run cannot be repeated: it now ends otherwise", hint="the chain was sealed by another engine; report this")


def _options(value: Json, name: str) -> TraceOptions:
    given = members(value, name)
    tracer = given.get("tracer")
    if tracer not in (None, "", _CALL_TRACER):
        raise BadParamsError(f"invalid argument {name}: there is no such tracer", hint=f"use {_CALL_TRACER}, or none for each instruction")
    config = members(given.get("tracerConfig") or {}, f"{name}.tracerConfig")

    def flag(fields: Mapping[str, Json], key: str) -> bool:
        found = fields.get(key)
        return False if found is None else boolean(found, f"{name}.{key}")

    limit = given.get("limit")
    return TraceOptions(
        is_tree=tracer == _CALL_TRACER, with_logs=flag(config, "withLog"), only_top=flag(config, "onlyTopCall"),
        with_memory=flag(given, "enableMemory"), with_stack=not flag(given, "disableStack"),
        with_storage=not flag(given, "disableStorage"), limit=0 if limit is None else quantity(limit, f"{name}.limit"),
    )  # fmt: skip
