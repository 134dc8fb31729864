"""Load for a market: wallets with entries and money on a chain, orders that they sign, a book's worth of orders, and questions about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import anyio
from eth_utils import keccak

from voisin.chain import Call, Chain, Sender, calls
from voisin.chain.functions import function
from voisin.market.machine import Entry, stake_needed
from voisin.protocol.eip712 import Domain, order_hash, sign_order
from voisin.protocol.events import EntryTransferred
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, to_hex
from voisin.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from voisin.protocol.records import AppInfo, DatasetInfo
from voisin.protocol.signatures import KeySigner
from voisin.protocol.tags import NO_TAG, tag_of
from voisin.units import NRLC, UnixSeconds

RLC = 10**9
TAGS = (NO_TAG, NO_TAG, NO_TAG, tag_of(["tee", "tdx"]), tag_of(["gpu"]))
CATEGORIES = 5
TRUSTS = (0, 1, 3, 5)
DEAREST = RLC
AT_ONCE = 16
_MANY = 100
_CHECKSUM = Hash32("0x" + "5a" * 32)


@dataclass(frozen=True)
class Trader:
    """A wallet, and what it owns on the chain."""

    wallet: KeySigner
    app: Address
    dataset: Address
    workerpool: Address


async def found_traders(chain: Chain, founder: Sender, count: int) -> list[Trader]:
    """Give wallets 1,000 RLC each inside the hub, and an app, a dataset and a workerpool."""
    wallets = [KeySigner(keccak(text=f"voisin market load: {number}")) for number in range(count)]
    for first in range(0, count, _MANY):
        part = [wallet.address for wallet in wallets[first : first + _MANY]]
        data = function("Hub", "depositForArray").encode([1000 * RLC] * len(part), part)
        await founder.send(calls.approve(chain.token_address, chain.hub_address, NRLC(1000 * RLC * len(part))))
        await founder.send(Call(chain.hub_address, data, "deposit for many"))
    traders: dict[int, Trader] = {}
    limit = anyio.Semaphore(AT_ONCE)

    async def settle(number: int, wallet: KeySigner) -> None:
        async with limit:
            traders[number] = await _settle(chain, founder, wallet.address, wallet)

    async with anyio.create_task_group() as settling:
        for number, wallet in enumerate(wallets):
            settling.start_soon(settle, number, wallet)
    return [traders[number] for number in range(count)]


async def _settle(chain: Chain, founder: Sender, owner: Address, wallet: KeySigner) -> Trader:
    app = AppInfo(owner=owner, name="app", type="WASM", multiaddr=b"/ipfs/x", checksum=_CHECKSUM, mrenclave=b"")
    data = DatasetInfo(owner=owner, name="data", multiaddr=b"/ipfs/x", checksum=_CHECKSUM)
    made = []
    for call in (
        calls.create_app(chain.app_registry, app),
        calls.create_dataset(chain.dataset_registry, data),
        calls.create_workerpool(chain.workerpool_registry, owner, "pool"),
    ):
        receipt = await founder.send(call)
        made += [logged.event.entry for logged in receipt.events if isinstance(logged.event, EntryTransferred)]
    return Trader(wallet, *made)


class Orders:
    """
    Draws orders of all kinds: four requests and three offers of workerpools on two of apps and one of a dataset.

    Args:
        traders: Who offers and asks.
        seed: What the draws begin with.
    """

    def __init__(self, traders: Sequence[Trader], seed: int) -> None:
        self._traders = traders
        self._random = Random(seed)
        self._numbers = 0
        self._seed = seed

    def draw(self) -> tuple[Order, KeySigner]:
        """Draw an order without signature, and who must sign it."""
        self._numbers += 1
        trader = self._traders[self._numbers % len(self._traders)]
        kind = self._random.choices((self._request, self._workerpool, self._app, self._dataset), (4, 3, 2, 1))[0]
        return kind(trader), trader.wallet

    def _app(self, trader: Trader) -> Order:
        return AppOrder(app=trader.app, appprice=self._price(), requesterrestrict=self._somebody(), **self._shared())

    def _dataset(self, trader: Trader) -> Order:
        return DatasetOrder(dataset=trader.dataset, datasetprice=self._price(), requesterrestrict=self._somebody(), **self._shared())

    def _workerpool(self, trader: Trader) -> Order:
        price, who = self._price(), self._somebody()
        return WorkerpoolOrder(
            workerpool=trader.workerpool, workerpoolprice=price, requesterrestrict=who, **self._classed(), **self._shared()
        )

    def _request(self, trader: Trader) -> Order:
        requester = trader.wallet.address
        return RequestOrder(
            app=self._random.choice(self._traders).app,
            appmaxprice=self._price(),
            workerpoolmaxprice=self._price(),
            requester=requester,
            beneficiary=requester,
            params='{"iexec_args":"--frame 3","iexec_result_storage_provider":"ipfs"}',
            **self._classed(),
            **self._shared(),
        )

    def _price(self) -> NRLC:
        return NRLC(self._random.randint(1, DEAREST))

    def _somebody(self) -> Address:
        """Restrict one offer in ten to one requester."""
        return self._random.choice(self._traders).wallet.address if self._random.random() < 0.1 else ZERO_ADDRESS

    def _classed(self) -> dict[str, int]:
        return {"category": self._random.randrange(CATEGORIES), "trust": self._random.choice(TRUSTS)}

    def _shared(self) -> dict[str, object]:
        salt = Hash32(to_hex(keccak(text=f"{self._seed} {self._numbers}")))
        return {"volume": self._random.randint(1, 1000), "tag": self._random.choice(TAGS), "salt": salt}


def signed_orders(traders: Sequence[Trader], domain: Domain, count: int, *, seed: int) -> Iterator[Order]:
    """Draw orders that are signed by whom they must be."""
    orders = Orders(traders, seed)
    for _ in range(count):
        order, wallet = orders.draw()
        yield sign_order(order, domain, wallet)


def book_entries(traders: Sequence[Trader], domain: Domain, count: int, *, now: UnixSeconds) -> Iterator[Entry]:
    """Draw the entries of a book as the market writes them; nobody looks at their signatures any more, so there are none."""
    orders = Orders(traders, seed=0)
    for number in range(count):
        order, wallet = orders.draw()
        signer = wallet.address
        stake = NRLC(max(1000 * RLC, stake_needed(order)))
        at = UnixSeconds(now - count + number)
        facts = {"remaining": order.volume, "published_at": at, "owner": signer, "stake": stake, "number": number}
        yield Entry(hash=order_hash(order, domain), order=order, signer=signer, **facts)


def questions(traders: Sequence[Trader], chain_id: int, seed: int) -> Iterator[tuple[str, str]]:
    """Draw filtered reads of the book without end: what is asked, in words, and the path with its query."""
    random = Random(seed)
    tee = tag_of(["tee", "tdx"])

    def one() -> Trader:
        return random.choice(traders)

    def category() -> int:
        return random.randrange(CATEGORIES)

    ecosystem = f"chainId={chain_id}"
    while True:
        who = one().wallet.address
        yield from (
            ("workerpools of a category", f"/v1/orders?kind=workerpool&category={category()}&limit=20"),
            (
                "workerpools for a requester, trust, tag",
                f"/v1/orders?kind=workerpool&category={category()}&requester={who}&min_trust=3&tag=tee,tdx&limit=20",
            ),
            (
                "workerpools below a price, with volume",
                f"/v1/orders?kind=workerpool&max_price={random.randint(1, DEAREST)}&min_volume=500&limit=20",
            ),
            ("requests of a category, for trust and tag", f"/v1/orders?kind=request&category={category()}&max_trust=1&tag=gpu&limit=20"),
            ("requests for an app", f"/v1/orders?kind=request&app={one().app}&limit=20"),
            ("offers of an app", f"/v1/orders?kind=app&app={one().app}&limit=20"),
            ("orders of a signer", f"/v1/orders?owner={who}&limit=20"),
            (
                "/workerpoolorders of a category, tee",
                f"/workerpoolorders?{ecosystem}&category={category()}&minTag={tee}&minVolume=1&pageIndex=0&pageSize=20",
            ),
            (
                "/workerpoolorders for a requester",
                f"/workerpoolorders?{ecosystem}&category={category()}&requester={who}&minTrust=3&pageIndex=0&pageSize=20",
            ),
            ("/workerpoolorders, page 20", f"/workerpoolorders?{ecosystem}&pageIndex=20&pageSize=20"),
            ("/apporders of any app, untagged", f"/apporders?{ecosystem}&app=any&maxTag={NO_TAG}&pageIndex=0&pageSize=20"),
            ("/datasetorders of a dataset", f"/datasetorders?{ecosystem}&dataset={one().dataset}&requester={who}&pageIndex=0&pageSize=20"),
            (
                "/requestorders of a category",
                f"/requestorders?{ecosystem}&category={category()}&workerpool=any&maxTrust=3&pageIndex=0&pageSize=20",
            ),
        )
