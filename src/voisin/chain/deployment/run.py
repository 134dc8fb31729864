"""
Carries the plan of a market out, on any chain, so that it can be interrupted at any moment.

The steps go out in waves. Each transaction is signed with a nonce of its own and written into the journal before it is sent;
then all that is in the journal is sent, again if need be, until the chain has it. To take an interrupted run up is to do just
the same: there is no other way through this code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import anyio
import msgspec

from voisin.chain.calls import Call
from voisin.chain.deployment.journal import Journal, Sent
from voisin.chain.deployment.place import Deployment, code_hashes
from voisin.chain.deployment.plan import Step, contract_address
from voisin.chain.deployment.standing import Standing, survey
from voisin.chain.fees import FeeMeter
from voisin.chain.flights import Flight, Flights, SenderSettings
from voisin.chain.node_values import quantity
from voisin.chain.refusals import KNOWN, NONCE_TAKEN, OTHER_NONCE, TOO_CHEAP, in_words, says
from voisin.chain.rpc import Backoff, Json, NodeError, Rpc
from voisin.chain.transactions import Price, Transaction, sign_transaction
from voisin.errors import FundsError, RevertError, UnavailableError
from voisin.protocol.ids import Address, Hash32, to_hex
from voisin.protocol.signatures import Signer
from voisin.units import Wei

_ATTEMPTS = 12
_RAISE_PERCENT = 13
_AGAIN = "run the command again: what is there is kept, and only this step is tried anew"


@dataclass(frozen=True)
class Quote:
    """
    What it costs to do what is left of a plan.

    Attributes:
        steps: What is left.
        gas: Gas limits of all steps together.
        price: What gas costs now, with headroom.
        balance: What the owner holds [wei].
    """

    steps: Sequence[Step]
    gas: int
    price: Price
    balance: Wei

    @property
    def most(self) -> Wei:
        """The most that it can cost [wei]; the chain wants to see it in the account."""
        return Wei(self.gas * self.price.max_fee)

    def require_funds(self, owner: Address) -> None:
        """
        Check that the owner can pay.

        Raises:
            FundsError: It holds too little; the message says by how much.
        """
        if self.balance < self.most:
            raise FundsError(
                f"the wallet {owner} holds {self.balance} wei, but the deployment may cost {self.most} wei",
                hint=f"send it at least {self.most - self.balance} wei of the chain's native coin, which pays for gas",
            )


@dataclass(frozen=True)
class StepDone:
    """A step that the chain has carried out: what it created, if anything, the gas it used, and what that cost [wei]."""

    name: str
    creates: Address | None
    gas_used: int
    fee: Wei


Tell = Callable[[StepDone], None]
Planner = Callable[[Standing], Awaitable[Sequence[Step]]]
"""Says what is left to do, by what stands; asked again after every wave."""


async def whole_market(standing: Standing) -> Sequence[Step]:
    """Plan what is missing of a market."""
    return standing.plan().steps


class Bringup:
    """
    A market on its way.

    Args:
        rpc: The node, of the chain that the journal names.
        journal: What was sent so far.
        planner: Says what is left to do.
        settings: How long to wait, and when to send again or pay more.
    """

    def __init__(self, rpc: Rpc, journal: Journal, planner: Planner = whole_market, *, settings: SenderSettings | None = None) -> None:
        self._rpc = rpc
        self._journal = journal
        self._planner = planner
        self._settings = settings or SenderSettings()
        self._fees = FeeMeter(rpc, ttl_s=self._settings.fee_ttl_s)

    @property
    def owner(self) -> Address:
        """Who brings the market up."""
        return self._journal.heading.owner

    async def quote(self) -> Quote:
        """
        Tell what is left to do, and what that costs; nothing is spent.

        Raises:
            RevertError: A step would fail.
            UnavailableError: The node does not answer.
        """
        standing = await survey(self._rpc, self._journal)
        steps = await self._planner(standing)
        bounds = [step.call.gas or 0 for step in steps]
        # what needs something that is still on its way cannot be tried
        known = [] if standing.pending else await self._estimates(_first_wave(steps))
        # a chain that counts otherwise than the plan (for data that it keeps elsewhere, say) will do so for the other steps too
        dearer = max([1, *(gas / bound for gas, bound in zip(known, bounds, strict=False))])
        gas = sum(known) + sum(int(bound * dearer) for bound in bounds[len(known) :])
        balance = quantity(await self._rpc.fetch(str, "eth_getBalance", self.owner, "latest"))
        return Quote(steps, gas, await self._fees.price(), Wei(balance))

    async def carry_out(self, signer: Signer, tell: Tell) -> Standing:
        """
        Do all that is left.

        Args:
            signer: The owner's wallet.
            tell: Hears of every step that is done.

        Returns:
            What stands then.

        Raises:
            RevertError: A step failed; the others are kept.
            FundsError: The owner cannot pay the gas.
            StateError: Somebody else used the account meanwhile.
            UnavailableError: The node does not answer, or the chain does not go on.
        """
        while True:
            standing = await survey(self._rpc, self._journal)
            if standing.pending:
                await self._settle(signer, standing.pending, tell)
                continue
            steps = await self._planner(standing)
            if not steps:
                return standing
            await self._sign(signer, _first_wave(steps), standing.next_nonce)

    async def _estimates(self, steps: Sequence[Step]) -> list[int]:
        """Have the node try the steps; gas limits with a margin."""
        answers = await self._rpc.ask([("eth_estimateGas", (_message(self.owner, step.call),)) for step in steps])
        limits = []
        for step, answer in zip(steps, answers, strict=True):
            try:
                limits.append(quantity(answer.read(str)) * (100 + self._settings.gas_margin_percent) // 100)
            except (RevertError, NodeError) as error:
                raise await in_words(error, step.call, self._held) from None
        return limits

    async def _sign(self, signer: Signer, steps: Sequence[Step], nonce: int) -> None:
        """Write transactions into the journal, from where they are sent."""
        price = await self._fees.price()
        limits = await self._estimates(steps)
        self._journal.note(
            *(
                _signed(self._journal.heading.chain_id, signer, step, nonce + place, gas=gas, price=price)
                for place, (step, gas) in enumerate(zip(steps, limits, strict=True))
            )
        )

    # --- what is in the journal ---------------------------------------------------------------------------------------

    async def _settle(self, signer: Signer, pending: Sequence[Sequence[Sent]], tell: Tell) -> None:
        """Send what is in the journal, and wait until the chain has carried it out."""
        flights = Flights(self._rpc, signer, self._fees, self._settings, note=self._note)
        waiting = [(versions[-1], self._flight(signer, versions)) for versions in pending]
        for _, flight in waiting:
            flights.add(flight)
            await self._launch(signer, flight)
        for sent, flight in waiting:
            await flights.landing(flight)
            assert flight.landed is not None
            if not flight.landed.is_success:
                raise RevertError(f"the chain refused to {flight.call.label}", hint=_AGAIN)
            address = contract_address(self.owner, sent.nonce) if sent.to is None else None
            gas = quantity(flight.landed.gas_used)
            tell(StepDone(sent.step, address, gas, Wei(gas * quantity(flight.landed.effective_gas_price))))

    def _flight(self, signer: Signer, versions: Sequence[Sent]) -> Flight:
        newest, now = versions[-1], anyio.current_time()
        signed = [sign_transaction(sent.transaction(self._journal.heading.chain_id), signer) for sent in versions]
        label = newest.step if newest.to else f"create {newest.step}"
        call = Call(newest.to, newest.data, label, gas=newest.gas)
        return Flight(call, newest.transaction(self._journal.heading.chain_id), signed, touched_at=now, priced_at=now)

    async def _launch(self, signer: Signer, flight: Flight) -> None:
        """Send a transaction; pay more where that is asked for, and be patient with a node that lags behind."""
        pause = Backoff(self._settings.poll_s)
        for _ in range(_ATTEMPTS):
            (answer,) = await self._rpc.ask([("eth_sendRawTransaction", (flight.versions[-1].raw,))])
            error = answer.error
            if error is None or says(error, KNOWN) or says(error, NONCE_TAKEN):
                return
            if says(error, TOO_CHEAP):
                self._fees.forget()
                price = flight.transaction.price.raised(_RAISE_PERCENT).at_least(await self._fees.price())
                flight.transaction = replace(flight.transaction, price=price)
                flight.versions.append(sign_transaction(flight.transaction, signer))
                self._note(flight)
            elif not says(error, OTHER_NONCE):
                raise await in_words(error, flight.call, self._held, flight.transaction)
            await anyio.sleep(pause.next_s())
        assert error is not None
        raise error

    def _note(self, flight: Flight) -> None:
        """Write a dearer version of a transaction down before it is sent."""
        step = next(sent.step for sent in self._journal.sent if sent.nonce == flight.nonce)
        self._journal.note(_sent(step, flight.transaction, flight.tx_hash))

    async def _held(self) -> tuple[Address, Wei]:
        return self.owner, Wei(quantity(await self._rpc.fetch(str, "eth_getBalance", self.owner, "latest")))


async def deployment_of(rpc: Rpc, standing: Standing) -> Deployment:
    """
    Say where a whole market stands, with the hashes of its codes.

    Args:
        rpc: The node.
        standing: What stands; nothing is missing.

    Raises:
        UnavailableError: The node does not answer, or has forgotten when the contracts were created.
    """
    if not standing.receipts:
        raise UnavailableError("the node does not know any more when the contracts were created", hint="use a node that keeps receipts")
    plan = standing.plan()
    found = Deployment(
        chain_id=standing.heading.chain_id,
        hub=plan.hub,
        token=plan.token,
        app_registry=plan.app_registry,
        dataset_registry=plan.dataset_registry,
        workerpool_registry=plan.workerpool_registry,
        block=min(quantity(receipt.block_number) for receipt in standing.receipts),
        owner=standing.heading.owner,
        facets=plan.facets,
    )
    return msgspec.structs.replace(found, code_hashes=await code_hashes(rpc, found))


def _first_wave(steps: Sequence[Step]) -> Sequence[Step]:
    return [step for step in steps if step.wave == steps[0].wave]


def _message(owner: Address, call: Call) -> dict[str, Json]:
    receiver: dict[str, Json] = {"to": call.to} if call.to else {}
    return receiver | {"from": owner, "data": to_hex(call.data)}


def _signed(chain_id: int, signer: Signer, step: Step, nonce: int, *, gas: int, price: Price) -> Sent:
    transaction = Transaction(chain_id, nonce, price, gas, step.call.to, Wei(0), step.call.data)
    return _sent(step.name, transaction, sign_transaction(transaction, signer).hash)


def _sent(step: str, transaction: Transaction, tx_hash: Hash32) -> Sent:
    price = transaction.price
    return Sent(
        step=step, nonce=transaction.nonce, hash=tx_hash, gas=transaction.gas, max_fee=price.max_fee, tip=price.tip,
        to=transaction.to, data=transaction.data,
    )  # fmt: skip
