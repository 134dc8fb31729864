"""
Sends transactions from one wallet.

A call is first tried by the node (the estimate of its gas), so that what would fail is refused before it costs anything. Then
it gets the wallet's next nonce, one at a time, and is sent; many may be in flight. To send the same signed bytes again is
harmless, and that is what happens when the node does not answer. After every refusal, and whenever nothing is in flight, the
nonce is read from the chain anew: the node may have been restarted or set back meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio

from voisin.chain.calls import Call
from voisin.chain.connection import Chain
from voisin.chain.fees import QUESTIONS, FeeMeter
from voisin.chain.flights import Flight, Flights, SenderSettings
from voisin.chain.logs import decode_logs
from voisin.chain.node_values import RawReceipt, quantity
from voisin.chain.refusals import KNOWN, OTHER_NONCE, TOO_CHEAP, in_words, says
from voisin.chain.reverts import relabelled, revert_error
from voisin.chain.rpc import Backoff, Json, NodeError, Request, Rpc
from voisin.chain.transactions import Price, Transaction, sign_transaction
from voisin.chain.turns import OwnTurns, Turns
from voisin.errors import RevertError, UnavailableError, VoisinError
from voisin.protocol.events import Logged
from voisin.protocol.ids import Address, Hash32, to_hex
from voisin.protocol.signatures import Signer
from voisin.units import Wei

T = TypeVar("T")

_ATTEMPTS = 12
_LOOKS = 7


@dataclass(frozen=True, slots=True)
class Receipt:
    """
    A transaction that was carried out.

    Attributes:
        tx_hash: Its hash.
        block: The number of its block.
        gas_used: Gas it used.
        gas_price: What each unit of gas cost [wei].
        events: The market's events that it caused.
        contract: The contract it created.
    """

    tx_hash: Hash32
    block: int
    gas_used: int
    gas_price: Wei
    events: tuple[Logged, ...]
    contract: Address | None

    @property
    def fee(self) -> Wei:
        """What the transaction cost its sender [wei]."""
        return Wei(self.gas_used * self.gas_price)


class Submitted:
    """A transaction that the node has accepted."""

    def __init__(self, sender: Sender, flight: Flight) -> None:
        self._sender = sender
        self._flight = flight

    @property
    def tx_hash(self) -> Hash32:
        """Hash of its newest version: a stuck transaction is replaced."""
        return self._flight.landed.tx_hash if self._flight.landed else self._flight.tx_hash

    async def receipt(self) -> Receipt:
        """
        Wait until it is mined.

        Raises:
            RevertError: A contract refused it; the fee is spent.
            StateError: It can never be mined: another transaction of the wallet took its nonce, or the chain went back.
            UnavailableError: It was not mined in time; it may still be.
        """
        return await self._sender.receipt_of(self._flight)


class Sender:
    """
    Sends the transactions of one wallet; make one per wallet and process, with turns if other processes send from it too.

    Args:
        chain: The chain; a bare node will do, but then any contract's look-alike events count as the market's.
        signer: The wallet.
        settings: How to behave.
        turns: Says when this process may number and send a transaction; always, unless given.

    Attributes:
        fees_paid: What the transactions that were waited for have cost, those included that failed [wei].
    """

    def __init__(self, chain: Chain | Rpc, signer: Signer, settings: SenderSettings | None = None, *, turns: Turns | None = None) -> None:
        self.rpc = chain.rpc if isinstance(chain, Chain) else chain
        self._sources = chain.contracts if isinstance(chain, Chain) else None
        self._chain_id = chain.chain_id if isinstance(chain, Chain) else None
        self._signer = signer
        self._settings = settings or SenderSettings()
        self._fees = FeeMeter(self.rpc, ttl_s=self._settings.fee_ttl_s)
        self._flights = Flights(self.rpc, signer, self._fees, self._settings)
        self.fees_paid = Wei(0)
        self._turn = anyio.Lock()
        self._turns = turns or OwnTurns()
        self._launches = 0
        self._next: int | None = None
        self._is_burst = False
        self._reading: tuple[int, int] | None = None

    @property
    def address(self) -> Address:
        """The wallet's address."""
        return self._signer.address

    async def send(self, call: Call) -> Receipt:
        """
        Carry a call out and wait for it.

        Args:
            call: The call.

        Returns:
            What became of it.

        Raises:
            RevertError: A contract refuses it; unless the call brought its own gas limit, nothing was spent.
            FundsError: The wallet cannot pay the gas.
            StateError: It can never be mined: another transaction of the wallet took its nonce, or the chain went back.
            UnavailableError: The node does not answer, or the chain does not mine it in time.
        """
        return await (await self.submit(call)).receipt()

    async def submit(self, call: Call) -> Submitted:
        """
        Hand a call to the node.

        Transactions of calls submitted one after the other are carried out in that order. One that depends on another that is not
        mined yet needs its own gas limit, for the node cannot try it.

        Args:
            call: The call.

        Returns:
            The transaction, when the node has accepted it.

        Raises:
            RevertError: A contract refuses the call; nothing was spent.
            FundsError: The wallet cannot pay the gas.
            UnavailableError: The node does not answer; the transaction may have reached it.
        """
        deadline = anyio.current_time() + self._settings.patience_s
        gas = await self._patiently(lambda: self._prepare(call), deadline)
        async with self._turn:
            await self._patiently(self._flights.tidy, deadline)
            await self._flights.make_room()
            async with self._turns.take() as turn:
                if not turn.is_in_a_row:
                    self._next = self._reading = None
                return Submitted(self, await self._launch(call, gas, deadline))

    async def receipt_of(self, flight: Flight) -> Receipt:
        """Wait for a transaction; see `Submitted.receipt`."""
        await self._flights.landing(flight)
        landed = flight.landed
        assert landed is not None
        self.fees_paid = Wei(self.fees_paid + quantity(landed.gas_used) * quantity(landed.effective_gas_price))
        if not landed.is_success:
            raise await self._why(flight, landed)
        return Receipt(
            tx_hash=landed.tx_hash,
            block=quantity(landed.block_number),
            gas_used=quantity(landed.gas_used),
            gas_price=Wei(quantity(landed.effective_gas_price)),
            events=tuple(decode_logs(landed.logs, sources=self._sources)),
            contract=landed.created,
        )

    # --- before sending ----------------------------------------------------------------------------------------------

    async def _prepare(self, call: Call) -> int:
        """Try the call, which yields its gas limit; the same request reads the nonce and the fees where they are not known."""
        launches, needs_nonce, needs_fees = self._launches, not self._is_counting, self._fees.is_stale
        estimate: list[Request] = [("eth_estimateGas", (self._message(call),))] if call.gas is None else []
        count = [self._count_request()] if needs_nonce else []
        requests = [*estimate, *count, *(QUESTIONS if needs_fees else ())]
        answers = await self.rpc.ask(requests) if requests else []
        if needs_fees:
            self._fees.hear(answers[len(estimate) + len(count) :])
        if needs_nonce:
            self._reading = (launches, quantity(answers[len(estimate)].read(str)))
        if call.gas is not None:
            return call.gas
        try:
            gas = quantity(answers[0].read(str))
        except (RevertError, NodeError) as error:
            raise await in_words(error, call, self._held) from None
        return gas * (100 + self._settings.gas_margin_percent) // 100

    def _message(self, call: Call) -> dict[str, Json]:
        receiver: dict[str, Json] = {"to": call.to} if call.to else {}
        return receiver | {"from": self.address, "data": to_hex(call.data), "value": hex(call.value)}

    def _count_request(self) -> Request:
        return "eth_getTransactionCount", (self.address, "pending")

    @property
    def _is_counting(self) -> bool:
        """Whether the next nonce follows from the last: something is in flight, or was sent just before this."""
        return self._next is not None and (len(self._flights) > 0 or self._is_burst)

    async def _next_nonce(self) -> int:
        """The next nonce: counted on from the last one sent, else as the chain says."""
        if self._next is None or not self._is_counting:
            launches, count = self._reading or (-1, 0)
            if launches != self._launches:
                count = await self.next_nonce()
            self._reading, self._next = None, count
        while self._next in self._flights:
            self._next += 1
        return self._next

    async def _price(self, raises: int) -> Price:
        price = await self._fees.price()
        for _ in range(raises):
            price = price.raised(self._settings.raise_percent)
        cap = self._settings.max_fee
        return price if cap is None else Price(min(price.max_fee, cap), min(price.tip, cap))

    # --- sending -----------------------------------------------------------------------------------------------------

    async def _launch(self, call: Call, gas: int, deadline: float) -> Flight:
        """Send a call with the next nonce; when that is not the next, or the price too low, with another."""
        pause, raises = Backoff(self._settings.poll_s), 0
        refusal: VoisinError | None = None
        for _ in range(_ATTEMPTS):
            flight = await self._board(call, gas, raises, deadline)
            is_accepted = False
            try:
                refusal = await self._broadcast(flight, deadline)
                is_accepted = refusal is None
            finally:
                if not is_accepted:
                    self._flights.drop(flight)
                    self._next = None
            if refusal is None:
                self._next = flight.nonce + 1
                self._launches += 1
                self._is_burst = self._turn.statistics().tasks_waiting > 0
                if flight.is_over:
                    self._flights.drop(flight)
                return flight
            if not says(refusal, OTHER_NONCE):
                self._fees.forget()
                raises += 1
            await anyio.sleep(pause.next_s())
        assert refusal is not None
        raise refusal

    async def _board(self, call: Call, gas: int, raises: int, deadline: float) -> Flight:
        """Number, price and sign a call."""
        chain_id = await self._patiently(self.chain_id, deadline)
        nonce = await self._patiently(self._next_nonce, deadline)
        price = await self._patiently(lambda: self._price(raises), deadline)
        transaction = Transaction(chain_id, nonce, price, gas, call.to, call.value, call.data)
        now = anyio.current_time()
        flight = Flight(call, transaction, [sign_transaction(transaction, self._signer)], touched_at=now, priced_at=now)
        self._flights.add(flight)
        return flight

    async def next_nonce(self) -> int:
        """Tell the wallet's next nonce: how many transactions it has sent, those not yet mined included."""
        (answer,) = await self.rpc.ask([self._count_request()])
        return quantity(answer.read(str))

    async def chain_id(self) -> int:
        """Tell which chain the transactions are signed for (EIP-155)."""
        if self._chain_id is None:
            self._chain_id = quantity(await self.rpc.fetch(str, "eth_chainId"))
        return self._chain_id

    async def _broadcast(self, flight: Flight, deadline: float) -> VoisinError | None:
        """
        Send a transaction, the same bytes again and again while the node does not answer, and ask for its receipt in the same
        request: a chain that mines at once has it already.

        Returns:
            None when the node has it; otherwise a refusal that another nonce or price may mend.
        """
        version = flight.versions[-1]
        requests: list[Request] = [("eth_sendRawTransaction", (version.raw,)), ("eth_getTransactionReceipt", (version.hash,))]
        pause, is_doubtful = Backoff(self._settings.poll_s), False
        while True:
            try:
                sent, mined = await self.rpc.ask(requests, attempts=1)
                break
            except UnavailableError:
                is_doubtful = True
                if anyio.current_time() >= deadline:
                    raise
                await anyio.sleep(pause.next_s())
        if mined.error is None:
            flight.landed = mined.read_optional(RawReceipt)
        if sent.error is None or flight.landed is not None or says(sent.error, KNOWN):
            return None
        if says(sent.error, OTHER_NONCE):
            return None if is_doubtful and await self._has_arrived(flight) else sent.error
        if says(sent.error, TOO_CHEAP):
            return sent.error
        raise await in_words(sent.error, flight.call, self._held, flight.transaction)

    async def _has_arrived(self, flight: Flight) -> bool:
        """After a lost answer a used nonce may be this very transaction's; a node behind a balancer may learn it late."""
        pause = Backoff(self._settings.poll_s)
        for _ in range(_LOOKS):
            known, mined = await self.rpc.ask(
                [("eth_getTransactionByHash", (flight.tx_hash,)), ("eth_getTransactionReceipt", (flight.tx_hash,))]
            )
            flight.landed = mined.read_optional(RawReceipt)
            if flight.landed is not None or known.read_optional(object) is not None:
                return True
            await anyio.sleep(pause.next_s())
        return False

    async def _held(self) -> tuple[Address, Wei]:
        """The wallet and what it holds for gas."""
        return self.address, Wei(quantity(await self.rpc.fetch(str, "eth_getBalance", self.address, "latest")))

    async def _why(self, flight: Flight, landed: RawReceipt) -> RevertError:
        """Run a failed transaction again, on the state before its block and on the one after, to hear the reason."""
        block, label, selector = quantity(landed.block_number), flight.call.label, flight.call.data[:4]
        message = self._message(flight.call) | {"gas": hex(flight.transaction.gas)}
        for answer in await self.rpc.ask([("eth_call", (message, hex(at))) for at in (block - 1, block)]):
            if isinstance(answer.error, RevertError) and answer.error.reason:
                return relabelled(answer.error, label, selector)
        if quantity(landed.gas_used) * 64 >= flight.transaction.gas * 62:  # a callee that eats its 63/64 (EIP-150), or all of it
            return RevertError(f"the chain refused to {label}: out of gas", reason="out of gas", hint="give the call a higher gas limit")
        return revert_error(b"", label=label, selector=selector)

    async def _patiently(self, ask: Callable[[], Awaitable[T]], deadline: float) -> T:
        """Ask until the node answers, or the deadline [s, loop time] has passed."""
        pause = Backoff(self._settings.poll_s)
        while True:
            try:
                return await ask()
            except UnavailableError:
                if anyio.current_time() >= deadline:
                    raise
                await anyio.sleep(pause.next_s())
