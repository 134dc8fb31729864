"""Both hubs with people, entries, contracts that sign badly or well, and deals in every stage: where each sequence begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.support.accounts import Signer, signer
from tests.support.compiled import deploy_double, encode_call
from tests.support.evm import Receipt
from tests.support.market import RLC, Market, furnish
from tests.support.orders import TEE_TAG, ZERO, as_tuple, order, sign_order, task_id
from tests.support.pair import Pair
from tests.support.quick_evm import QuickEvm
from tests.support.twin import twin_market

SCORES = (0, 12, 30, 17, 100)
DIGESTS_OF = (b"the right result", b"a wrong result", b"")
KEEP, REFUSE, BURN = 0, 1, 2
DEALS: tuple[dict[str, Any], ...] = (
    {"volume": 3},
    {"volume": 3, "trust": 4, "category": 1, "dataset": 0},
    {"volume": 2, "tag": TEE_TAG},
    {"volume": 3, "callback": 0},
    {"volume": 2, "trust": 4, "price": 1_000_000_007, "is_sponsored": True},
    {"volume": 2, "trust": 3, "app": 1, "dataset": 1, "pool": 1, "requester": 1, "category": 1},
    {"volume": 2, "callback": 1},
    {"volume": 2, "callback": 2, "trust": 0, "category": 1},
    {"volume": 2, "trust": 9, "price": 0, "app_price": 0, "category": 2},
)
"""What the first deals have that is not usual."""


@dataclass(frozen=True)
class Party:
    """Somebody who acts: the account that sends, and the key that signs for it; they differ if the account is a wallet contract."""

    address: str
    key: Signer


@dataclass(frozen=True)
class Deal:
    """What a step has to know of a deal."""

    identity: bytes
    scheduler: Party
    first: int
    volume: int
    start: int
    time_ref: int


@dataclass
class Task:
    """What a step has to know of a task; statuses as the hub's."""

    deal: Deal
    index: int
    status: int = 0
    votes: dict[str, bytes] = field(default_factory=dict)
    reveal_deadline: int = 0

    @property
    def identity(self) -> bytes:
        """Its id."""
        return task_id(self.deal.identity, self.index)


class World:
    """Both hubs, and who and what is there."""

    def __init__(self) -> None:
        self.market: Market = furnish(twin_market(chain=QuickEvm))
        self.pair = Pair(self.market)
        roles = self.market.roles
        self.wallet = self._wallet()
        self.requesters = [_party(roles.requester), self.wallet]
        self.people = [
            *map(_party, (roles.requester, roles.sponsor, roles.app_owner, roles.dataset_owner, roles.scheduler, roles.stranger)),
            self.wallet,
            *map(_party, roles.workers),
        ]
        self.workers = roles.workers
        self.apps = [self.market.app, self.market.create_app("the wallet's", Signer("wallet", b"", self.wallet.address))]
        wallet = Signer("wallet", b"", self.wallet.address)
        self.datasets = [self.market.dataset, self.market.create_dataset("the wallet's", wallet)]
        self.pools = [self.market.workerpool, self.market.create_workerpool("the wallet's", wallet)]
        self.owners = {
            **dict(zip((*self.apps, *self.datasets, *self.pools), self._owners(), strict=True)),
            **{party.address: party for party in self.requesters},
        }
        self.odd = self._odd_contracts()
        self.consumers = [self._consumer(mode) for mode in (KEEP, REFUSE, BURN)]
        self.count = 0
        self.deals: list[Deal] = []
        self.tasks: list[Task] = []
        self._people_have_money()
        self.pair.accounts += [party.address for party in self.people]
        self.pair.accounts += [roles.owner.address, *self.apps, *self.pools, *self.consumers]
        self._first_deals()

    @property
    def restrictions(self) -> list[str]:
        """Whom a restriction may name: entries, people, groups of one, contracts that answer nonsense."""
        return [*self.apps, *self.datasets, *self.pools, *(party.address for party in self.requesters), *self.odd]

    def owner_of(self, entry: str) -> Party:
        """Who owns an entry, or is a requester; somebody whom nobody knows otherwise."""
        return self.owners.get(entry) or _party(self.market.roles.stranger)

    def fresh_salt(self) -> bytes:
        """A salt that no order had before."""
        self.count += 1
        return self.count.to_bytes(32, "big")

    def note_deal(self, identity: bytes) -> Deal:
        """Read a new deal, compare it, and remember it with its tasks."""
        found = self.pair.ask("viewDeal", identity)
        scheduler = next((party for party in self.people if party.address == found[2][1]), self.people[0])
        time_ref = self.pair.ask("viewCategory", found[4])[2]
        deal = Deal(identity, scheduler, found[11], found[12], found[10], time_ref)
        self.deals.append(deal)
        self.tasks += [Task(deal, deal.first + index) for index in range(min(deal.volume, 3))]
        return deal

    def _owners(self) -> list[Party]:
        roles = self.market.roles
        return [_party(roles.app_owner), self.wallet, _party(roles.dataset_owner), self.wallet, _party(roles.scheduler), self.wallet]

    def _wallet(self) -> Party:
        key = signer("key of the wallet")
        return Party(deploy_double(self.market.evm, "Wallet", self.market.roles.stranger.address, ("address", key.address)), key)

    def _odd_contracts(self) -> list[str]:
        """Groups with one member each, a broken one, a contract that says nothing, one that says nonsense, and nobody."""
        evm, by = self.market.evm, self.market.roles.stranger.address
        members = (self.apps[0], self.datasets[0], self.pools[0], self.requesters[0].address, by)
        groups = [deploy_double(evm, "Group", by, ("address", member)) for member in members]
        broken = deploy_double(evm, "Group", by, ("address", self.apps[0]))
        evm.send(by, broken, encode_call("setBroken(bool)", True))
        return [*groups, broken, *(deploy_double(evm, name, by) for name in ("Mute", "Untidy")), by, ZERO]

    def _consumer(self, mode: int) -> str:
        evm, by = self.market.evm, self.market.roles.stranger.address
        consumer = deploy_double(evm, "Consumer", by)
        evm.send(by, consumer, encode_call("setMode(uint256)", mode))
        return consumer

    def _people_have_money(self) -> None:
        for party in self.people:
            self.market.token.send("transfer", party.address, 50 * RLC, by=self.market.roles.owner.address)
            self.market.token.send("approve", self.market.hub.address, 10**18, by=party.address)
        self.market.hub.send("deposit", 40 * RLC, by=self.wallet.address)
        for worker, score in zip(self.workers, SCORES, strict=True):
            self.pair.set_score(worker.address, score)

    def _first_deals(self) -> None:
        """One deal that fails, for the kitty; then one of each kind."""
        self._match({"volume": 3})
        self.market.evm.warp(10 * 300)
        failed = self.deals.pop()
        self.tasks.clear()
        ids, indices = [failed.identity] * 3, list(range(3))
        assert isinstance(self.pair.do("initializeAndClaimArray", ids, indices, by=self.people[0].address), Receipt)
        self.market.workerpool_contract.send("changePolicy", 35, 5, by=self.market.roles.scheduler.address)
        for terms in DEALS:
            self._match(terms)

    def _match(self, terms: dict[str, Any]) -> None:
        orders = {kind: dict(values) for kind, values in self.plain_orders(**terms).items()}
        names = {"AppOrder": "app", "DatasetOrder": "dataset", "WorkerpoolOrder": "workerpool", "RequestOrder": "requester"}
        signed = {
            kind: values
            if kind == "DatasetOrder" and values["dataset"] == ZERO
            else sign_order(kind, values, self.owner_of(values[names[kind]]).key, self.market.hub.address)
            for kind, values in orders.items()
        }
        function = "sponsorMatchOrders" if terms.get("is_sponsored") else "matchOrders"
        outcome = self.pair.do(function, *map(as_tuple, signed.values()), by=self.market.roles.sponsor.address)
        assert isinstance(outcome, Receipt), outcome
        self.note_deal(outcome.output)

    def plain_orders(
        self,
        *,
        app: int = 0,
        dataset: int | None = None,
        pool: int = 0,
        requester: int = 0,
        app_price: int = RLC,
        dataset_price: int = 7,
        price: int = 3 * RLC,
        volume: int = 1,
        trust: int = 1,
        category: int = 0,
        tag: bytes = bytes(32),
        callback: int | None = None,
        params: str = "",
        is_sponsored: bool = False,
    ) -> dict[str, dict[str, Any]]:
        """Write four orders that fit each other, unsigned."""
        shared = {"volume": volume, "tag": tag, "salt": self.fresh_salt()}
        which = ZERO if dataset is None else self.datasets[dataset]
        dataset_price = 0 if dataset is None else dataset_price
        person = self.requesters[requester].address
        return {
            "AppOrder": order("AppOrder", app=self.apps[app], appprice=app_price, **shared),
            "DatasetOrder": order("DatasetOrder")
            if dataset is None
            else order("DatasetOrder", dataset=which, datasetprice=dataset_price, **shared),
            "WorkerpoolOrder": order(
                "WorkerpoolOrder", workerpool=self.pools[pool], workerpoolprice=price, category=category, trust=trust, **shared
            ),
            "RequestOrder": order(
                "RequestOrder",
                app=self.apps[app],
                appmaxprice=app_price,
                dataset=which,
                datasetmaxprice=dataset_price,
                workerpool=self.pools[pool],
                workerpoolmaxprice=price,
                requester=person,
                category=category,
                trust=trust,
                beneficiary=person,
                callback=ZERO if callback is None else self.consumers[callback],
                params=params,
                **shared,
            ),
        }


def _party(who: Signer) -> Party:
    return Party(who.address, who)
