"""
Buying: from a quote to deals on the chain.

What workers need is uploaded first; then the app is registered and offered if it is the requester's own, one request for all
tasks is signed, and it is matched with each chosen offer. Money that is missing in the requester's account at the hub is
deposited by the same transaction that makes the deal.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from voisin.chain import Receipt, Sender, calls
from voisin.client.apps import TargetApp
from voisin.client.bags.asking import TASK_BY_TASK, Plan, choose_window
from voisin.client.data.bulk import Bulk
from voisin.client.data.renting import DataNeeds
from voisin.client.links import Links
from voisin.client.offers import Lot
from voisin.client.quote import Quote, app_offers, find_lots, pools_of
from voisin.client.terms import TaskSpec, Terms
from voisin.errors import FundsError, InputError, RevertError, StateError
from voisin.protocol.bag_settlement import spell_window
from voisin.protocol.cid import Cid
from voisin.protocol.codec import encode
from voisin.protocol.eip712 import order_hash, sign_order
from voisin.protocol.events import OrdersMatched
from voisin.protocol.ids import Address, DealId, Hash32, to_hex
from voisin.protocol.orders import AppOrder, RequestOrder
from voisin.protocol.params import Bag, BagEntry, DealParams, RunLimits, encode_bag, encode_params, join_args
from voisin.protocol.signatures import KeySigner
from voisin.service.together import each
from voisin.units import NRLC, format_amount

_ATTEMPTS = 3
"""How often offers are looked for anew when others take them first."""


@dataclass(frozen=True, slots=True)
class Bought:
    """A deal that was made: its tasks are `volume` indexes from `first` on, matched in `block`."""

    deal_id: DealId
    first: int
    volume: int
    block: int


class Requester:
    """Buys in the name of one wallet."""

    def __init__(self, links: Links, signer: KeySigner) -> None:
        """
        Args:
            links: The network.
            signer: The wallet.
        """
        self.links = links
        self.signer = signer
        self.sender = Sender(links.chain, signer)

    @property
    def address(self) -> Address:
        """The wallet's address."""
        return self.signer.address

    async def register(self, app: TargetApp) -> bool:
        """
        Upload an app and enter it into the registry, unless both is done already.

        Returns:
            Whether it had to be registered.
        """
        if app.file is not None:
            await self.links.storage.put_bytes(app.file.module)
        if app.is_registered:
            return False
        await self.sender.send(calls.create_app(self.links.chain.app_registry, app.info))
        return True

    async def buy(self, quote: Quote) -> AsyncGenerator[Bought, None]:
        """
        Make the deals of a quote, one by one.

        Args:
            quote: What to buy.

        Yields:
            Each deal as soon as it is made.

        Raises:
            FundsError: The money does not suffice; nothing was spent.
            NoMatchError: Others took the offers, and none is left that fits.
            RevertError: The hub refused a match.
        """
        quote.require_funds()
        await self.register(quote.app)
        params = await self._params(quote)
        app_order = self._own_order(quote) if quote.is_own else None
        request = self._request(quote, params)
        first, attempts = 0, 0
        lots: Sequence[Lot] = quote.lots
        while first < quote.wish.volume:
            made = 0
            for lot in lots:
                bought = await self._match(replace(lot, app=app_order or lot.app), request, first)
                if bought is None:
                    break
                yield bought
                first, made = first + bought.volume, made + 1
                if bought.volume < lot.volume:
                    break
            attempts = 0 if made else attempts + 1
            if first < quote.wish.volume:
                lots = await self._look_again(quote, request, first, attempts)

    async def deposit(self, amount: NRLC) -> Receipt:
        """
        Move money from the wallet into the account at the hub.

        Args:
            amount: How much [nRLC].

        Raises:
            FundsError: The wallet holds too little; the message says by how much.
        """
        held = await self.links.chain.token.balance(self.address)
        if held < amount:
            raise missing(amount, held, f"the wallet {self.address}")
        chain = self.links.chain
        return await self.sender.send(calls.approve_and_call(chain.token_address, chain.hub_address, amount))

    async def withdraw(self, amount: NRLC) -> Receipt:
        """
        Move money from the account at the hub into the wallet.

        Args:
            amount: How much [nRLC].

        Raises:
            FundsError: The account has too little that is not locked; the message says by how much.
        """
        account = await self.links.chain.hub.account(self.address)
        if account.stake < amount:
            locked = f", beside {format_amount(account.locked)} locked in open deals" if account.locked else ""
            raise missing(amount, account.stake, f"the account of {self.address}", locked)
        return await self.sender.send(calls.withdraw(self.links.chain.hub_address, amount))

    async def _match(self, lot: Lot, request: RequestOrder, first: int) -> Bought | None:
        """Make one deal, depositing what it lacks; None when the offer is gone."""
        chain = self.links.chain
        call = calls.match_orders(chain.hub_address, lot.app, lot.dataset, lot.workerpool, request)
        lacking = lot.total - (await chain.hub.account(self.address)).stake
        if lacking > 0:
            call = calls.approve_and_call(chain.token_address, chain.hub_address, NRLC(lacking), call.data)
        try:
            receipt = await self.sender.send(call)
        except RevertError as error:
            if error.reason.endswith("0x60"):
                return None
            raise
        name = order_hash(request, chain.domain)
        for logged in receipt.events:
            if isinstance(logged.event, OrdersMatched) and logged.event.request_hash == name:
                return Bought(logged.event.deal_id, first, logged.event.volume, receipt.block)
        raise StateError(f"the transaction {receipt.tx_hash} made no deal", hint="look at it on the chain")

    async def _look_again(self, quote: Quote, request: RequestOrder, first: int, attempts: int) -> Sequence[Lot]:
        """Find offers for what is left, within what the signed request pays."""
        limit = NRLC(request.appmaxprice + request.datasetmaxprice + request.workerpoolmaxprice)
        wish = replace(quote.wish, volume=quote.wish.volume - first, max_price=limit)
        if attempts >= _ATTEMPTS:
            raise StateError(
                f"the offers were taken by others before {wish.volume} tasks were bought", hint="run the remaining tasks again"
            )
        needs = DataNeeds(quote.terms.purpose, quote.app.info.checksum)
        if quote.bulk is not None:
            needs = replace(needs, suits=quote.bulk.suits)
        lots = await find_lots(self.links, wish, await app_offers(self.links, wish, is_own=quote.is_own), needs)
        if quote.window_s != TASK_BY_TASK:
            await choose_window(self.links, Plan(wish.volume, wish.tag, pools_of(lots), quote.window_s))
        return lots

    def _own_order(self, quote: Quote) -> AppOrder:
        order = msgspec.structs.replace(quote.lots[0].app, salt=new_salt(), volume=quote.wish.volume)
        return sign_order(order, self.links.chain.domain, self.signer)

    def _request(self, quote: Quote, params: str) -> RequestOrder:
        wish = quote.wish
        request = RequestOrder(
            app=wish.app,
            appmaxprice=NRLC(max(lot.app.appprice for lot in quote.lots)),
            dataset=wish.dataset,
            datasetmaxprice=NRLC(max(lot.dataset.datasetprice if lot.dataset is not None else 0 for lot in quote.lots)),
            workerpool=wish.workerpool,
            workerpoolmaxprice=NRLC(max(lot.workerpool.workerpoolprice for lot in quote.lots)),
            requester=wish.requester,
            volume=wish.volume,
            tag=wish.tag,
            category=wish.category,
            trust=wish.trust,
            beneficiary=wish.requester,
            params=params,
            salt=new_salt(),
        )
        return sign_order(request, self.links.chain.domain, self.signer)

    async def _params(self, quote: Quote) -> str:
        """Upload the inputs, and for several tasks the list of what each gets; answers the request's parameters."""
        sources = _sources(quote.tasks, quote.terms.inputs)
        cids = dict(zip(sources, await each(sources.values(), self._upload), strict=True))
        entries = [_entry(task, quote.terms.inputs, cids) for task in quote.tasks]
        limits = quote.terms.limits
        if len(entries) == 1:
            params = single_params(entries[0], limits)
        else:
            bag = await self.links.storage.put_bytes(encode_bag(Bag(tuple(entries))))
            params = DealParams(voisin_bag=bag, voisin_limits=limits)
        if quote.bulk is not None:
            params = msgspec.structs.replace(params, bulk_cid=await self._upload_lists(quote.bulk))
        return encode_params(_with_enclave(with_window(params, quote.window_s), quote.terms))

    async def _upload_lists(self, bulk: Bulk) -> str:
        """Upload the lists of orders that tasks open together, and the list of them; answers where that lies."""
        storage = self.links.storage
        names = [await storage.put_bytes(encode(orders)) for orders in bulk.lists]
        return await storage.put_bytes(encode(names))

    async def _upload(self, source: bytes | Path) -> Cid:
        if isinstance(source, bytes):
            return await self.links.storage.put_bytes(source)
        return await self.links.storage.put_file(source)


def single_params(entry: BagEntry, limits: RunLimits) -> DealParams:
    """Spell the parameters of a deal with one task."""
    return DealParams(iexec_args=join_args(entry.args), voisin_inputs=dict(entry.inputs), voisin_limits=limits)


def with_window(params: DealParams, window_s: int) -> DealParams:
    """Ask for a deal to be settled as a bag that may be challenged so long [s]; `TASK_BY_TASK` asks for nothing."""
    return params if window_s == TASK_BY_TASK else msgspec.structs.replace(params, voisin_window=spell_window(window_s))


def _with_enclave(params: DealParams, terms: Terms) -> DealParams:
    named = {str(number): name for number, name in terms.secrets.items()}
    return msgspec.structs.replace(params, iexec_secrets=named, iexec_result_encryption=terms.sealed, voisin_purpose=terms.purpose)


def new_salt() -> Hash32:
    """Draw the salt that makes an order unlike any other."""
    return Hash32(to_hex(secrets.token_bytes(32)))


def missing(wanted: NRLC, held: NRLC, whose: str, beside: str = "") -> FundsError:
    """Say how much is missing."""
    lacking = format_amount(NRLC(wanted - held))
    return FundsError(
        f"{lacking} is missing: {format_amount(wanted)} is wanted, and {whose} holds {format_amount(held)}{beside}",
        hint=f"take at most {format_amount(held)}" if held else f"send it {lacking} first",
    )


def _sources(tasks: Sequence[TaskSpec], common: Mapping[str, bytes | Path]) -> dict[bytes | Path, bytes | Path]:
    """List every different input once."""
    return {source: source for inputs in (common, *(task.inputs for task in tasks)) for source in inputs.values()}


def _entry(task: TaskSpec, common: Mapping[str, bytes | Path], cids: Mapping[bytes | Path, Cid]) -> BagEntry:
    twice = common.keys() & task.inputs.keys()
    if twice:
        raise InputError(f"the input {min(twice)!r} is given for all tasks and for one", hint="rename one of them")
    named = {**common, **task.inputs}
    return BagEntry(task.args, {name: str(cids[source]) for name, source in named.items()})
