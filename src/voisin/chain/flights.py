"""
Transactions that are sent and not yet mined: wait for them, send them again to a node that forgot them, and raise their fees
when they are stuck.

Whoever waits for a receipt asks for everybody's in one batch; there is no task in the background. All versions of a transaction
carry one nonce, so at most one of them is ever mined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
import structlog

from voisin.chain.calls import Call
from voisin.chain.fees import FeeMeter
from voisin.chain.node_values import RawReceipt, quantity
from voisin.chain.refusals import NONCE_TAKEN, says
from voisin.chain.rpc import Backoff, Request, Rpc
from voisin.chain.transactions import Price, SignedTransaction, Transaction, sign_transaction
from voisin.errors import StateError, UnavailableError
from voisin.protocol.ids import Hash32
from voisin.protocol.signatures import Signer
from voisin.units import Wei

_log = structlog.get_logger()
_SIGNS_OF_LOSS = 3
_MOST_ABOVE_MARKET = 3
_TAKEN = "another transaction of the wallet took its place: let one program at a time use the wallet, and send again"
_BEHIND = "the chain went back and lacks earlier transactions of the wallet: look what it holds now, and send again"


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderSettings:
    """
    How a sender behaves.

    Attributes:
        gas_margin_percent: What is added to the node's estimate of gas [%].
        fee_ttl_s: How long a quote of fees is good [s].
        max_fee: The most paid for gas, whatever the market asks [wei per gas]; None for no limit.
        patience_s: How long a node that does not answer is tried before a call is given up [s].
        mine_within_s: How long a receipt is waited for [s].
        poll_s: First pause between two looks for receipts, and before anything is tried again; it doubles up to a second [s].
        resend_s: Age after which the same transaction is sent again, in case the node has forgotten it [s].
        stuck_s: Age after which it is replaced by one with higher fees [s].
        raise_percent: How much higher [%]; nodes insist on 10 to 12.5.
        max_in_flight: Most transactions sent and not yet mined.
    """

    gas_margin_percent: int = 20
    fee_ttl_s: float = 5
    max_fee: Wei | None = None
    patience_s: float = 60
    mine_within_s: float = 300
    poll_s: float = 0.05
    resend_s: float = 10
    stuck_s: float = 45
    raise_percent: int = 13
    max_in_flight: int = 256


@dataclass(slots=True)
class Flight:
    """
    One transaction on its way.

    Attributes:
        call: What it does.
        transaction: Its newest version, unsigned.
        versions: All versions that were sent, the newest last.
        touched_at: When it was last sent [s, loop time].
        priced_at: When its newest version was made [s, loop time].
        landed: Its receipt.
        loss: Why it can never be mined; empty while it can.
        signs_of_loss: How often in a row it looked lost.
    """

    call: Call
    transaction: Transaction
    versions: list[SignedTransaction]
    touched_at: float
    priced_at: float
    landed: RawReceipt | None = None
    loss: str = ""
    signs_of_loss: int = 0

    @property
    def nonce(self) -> int:
        """Its nonce."""
        return self.transaction.nonce

    @property
    def tx_hash(self) -> Hash32:
        """Hash of the newest version."""
        return self.versions[-1].hash

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.landed is not None or bool(self.loss)


class Flights:
    """
    All transactions of one wallet that are on their way.

    Args:
        rpc: The node.
        signer: The wallet.
        fees: Quotes prices for replacements.
        settings: How to behave.
        note: Takes note of a replacement before it is sent.
    """

    def __init__(
        self, rpc: Rpc, signer: Signer, fees: FeeMeter, settings: SenderSettings, *, note: Callable[[Flight], None] | None = None
    ) -> None:
        self._rpc = rpc
        self._signer = signer
        self._fees = fees
        self._settings = settings
        self._note = note
        self._by_nonce: dict[int, Flight] = {}
        self._is_led = False
        self._news = anyio.Event()

    def __len__(self) -> int:
        return len(self._by_nonce)

    def __contains__(self, nonce: int) -> bool:
        return nonce in self._by_nonce

    def add(self, flight: Flight) -> None:
        """Take note of a transaction before it is sent."""
        self._by_nonce[flight.nonce] = flight

    def drop(self, flight: Flight) -> None:
        """Forget a transaction that landed, or was never accepted."""
        if self._by_nonce.get(flight.nonce) is flight:
            del self._by_nonce[flight.nonce]

    async def tidy(self) -> None:
        """Look after transactions whose receipts nobody waits for."""
        now = anyio.current_time()
        if not self._is_led and any(now - flight.touched_at >= self._settings.resend_s for flight in self._by_nonce.values()):
            await self.look()

    async def make_room(self) -> None:
        """
        Wait until fewer than the most allowed are in flight.

        Raises:
            UnavailableError: None of them was mined in time.
        """
        while len(self) >= self._settings.max_in_flight:
            first = self._by_nonce[min(self._by_nonce)]
            await self._wait(first)
            if not first.is_over:
                raise UnavailableError(f"{len(self)} transactions of the wallet wait to be mined", hint="try again later")

    async def landing(self, flight: Flight) -> None:
        """
        Wait until a transaction is over.

        Raises:
            UnavailableError: It was not mined in time.
            StateError: It can never be mined: another transaction of the wallet took its nonce, or the chain went back.
        """
        await self._wait(flight)
        if flight.loss:
            raise StateError(f"a transaction is lost: {flight.call.label}", hint=flight.loss)
        if not flight.is_over:
            raise UnavailableError(
                f"the chain did not mine a transaction within {self._settings.mine_within_s:g} s: {flight.call.label}",
                hint=f"it may still be mined: look for {flight.tx_hash} before you send it again",
            )

    async def look(self) -> None:
        """Ask once what became of all transactions in flight, and attend to those that take long."""
        flights = list(self._by_nonce.values())
        hashes = [(flight, version.hash) for flight in flights for version in flight.versions]
        answers = await self._rpc.ask([("eth_getTransactionReceipt", (each,)) for _, each in hashes])
        for (flight, _), answer in zip(hashes, answers, strict=True):
            receipt = answer.read_optional(RawReceipt) if answer.error is None else None
            if receipt is not None:
                flight.landed = receipt
                self.drop(flight)
        if any(flight.is_over for flight in flights):
            self._tell()
        await self._attend([flight for flight in flights if not flight.is_over])

    async def _wait(self, flight: Flight) -> None:
        with anyio.move_on_after(self._settings.mine_within_s):
            while not flight.is_over:
                if self._is_led:
                    await self._news.wait()
                else:
                    await self._lead(flight)

    async def _lead(self, flight: Flight) -> None:
        """Look for everybody's receipts until this one is there, then leave the lead to whoever still waits."""
        self._is_led = True
        pause = Backoff(self._settings.poll_s, 1.0)
        try:
            while not flight.is_over:
                try:
                    await self.look()
                except UnavailableError as error:
                    _log.warning("node_away", reason=error.message, waiting_for=len(self))
                if not flight.is_over:
                    await anyio.sleep(pause.next_s())
        finally:
            self._is_led = False
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    async def _attend(self, flights: Sequence[Flight]) -> None:
        """Send those again that the node may have forgotten; replace those that are stuck."""
        now = anyio.current_time()
        late = [flight for flight in flights if now - flight.touched_at >= self._settings.resend_s]
        if not late:
            return
        stuck = [flight for flight in late if now - flight.priced_at >= self._settings.stuck_s]
        if stuck:
            await self._replace(stuck)
        count, *answers = await self._rpc.ask([("eth_getTransactionCount", (self._signer.address, "pending")), *map(_send_request, late)])
        is_behind = quantity(count.read(str)) < min(self._by_nonce, default=0)
        for flight, answer in zip(late, answers, strict=True):
            flight.touched_at = now
            self._judge(flight, _TAKEN if says(answer.error, NONCE_TAKEN) else _BEHIND if is_behind else "")

    async def _replace(self, stuck: Sequence[Flight]) -> None:
        """Make dearer versions: of the first in line, which holds up the rest, and of all that pay less than the market asks."""
        self._fees.forget()
        quote = await self._fees.price()
        first = min(stuck, key=lambda flight: flight.nonce)
        for flight in stuck:
            old = flight.transaction.price
            if flight is first or old.max_fee < quote.max_fee:
                self._reprice(flight, old.raised(self._settings.raise_percent).at_least(quote), quote.max_fee * _MOST_ABOVE_MARKET)

    def _reprice(self, flight: Flight, price: Price, most: int) -> None:
        """Make a dearer version, unless that were more than anybody has to pay: then the chain stands still, and no fee moves it."""
        flight.priced_at = anyio.current_time()
        if price.max_fee > min(most, self._settings.max_fee or most):
            _log.warning("transaction_stuck", label=flight.call.label, nonce=flight.nonce, wei_per_gas=flight.transaction.price.max_fee)
            return
        old = flight.transaction
        flight.transaction = Transaction(old.chain_id, old.nonce, price, old.gas, old.to, old.value, old.data)
        flight.versions.append(sign_transaction(flight.transaction, self._signer))
        if self._note is not None:
            self._note(flight)
        _log.info("transaction_replaced", label=flight.call.label, nonce=flight.nonce, tx_hash=flight.tx_hash)

    def _judge(self, flight: Flight, sign: str) -> None:
        """
        Give a transaction up once it has looked lost several times in a row: its nonce is used while no version has a receipt, or
        earlier nonces are free. Once proves nothing, for behind one address there may be several nodes that are not equally quick.
        """
        flight.signs_of_loss = flight.signs_of_loss + 1 if sign else 0
        if flight.signs_of_loss >= _SIGNS_OF_LOSS:
            flight.loss = sign
            self.drop(flight)
            self._tell()


def _send_request(flight: Flight) -> Request:
    return "eth_sendRawTransaction", (flight.versions[-1].raw,)
