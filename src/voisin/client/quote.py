"""What a run would cost, before anything is spent or changed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from voisin.client.apps import AppReference, TargetApp, find_app
from voisin.client.bags.asking import TASK_BY_TASK, Plan, choose_window
from voisin.client.data.bulk import Bulk, find_bulk
from voisin.client.data.renting import DataNeeds, find_data
from voisin.client.links import Links
from voisin.client.offers import Lot, Wish, choose_lots
from voisin.client.secrets import require_secrets
from voisin.client.terms import TaskSpec, Terms, choose_category
from voisin.errors import FundsError, InputError, NoMatchError
from voisin.policy.matching import Offer
from voisin.policy.replication import reachable_trust, trust_for
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, Address, OrderHash
from voisin.protocol.orders import AppOrder, WorkerpoolOrder
from voisin.protocol.params import RunLimits
from voisin.protocol.tags import is_simulated, needs_enclave
from voisin.protocol.trust import worker_weight
from voisin.units import NRLC, format_amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """
    What a run would cost. Amounts are in nRLC.

    Attributes:
        requester: Who would pay.
        app: The app.
        is_own: Whether the app is the requester's own and offered to nobody else.
        tasks: The tasks.
        terms: The terms.
        wish: The terms in the protocol's words.
        lots: The offers that cover the tasks; each becomes a deal.
        deposited: What is free in the requester's account at the hub.
        in_wallet: What is in the requester's wallet; moved to the account when a deal needs it.
        window_s: How long the tasks' bag may be challenged before it is paid [s]; 0 when they are settled one by one.
        bulk: The data that each task opens together; None for none.
    """

    requester: Address
    app: TargetApp
    is_own: bool
    tasks: tuple[TaskSpec, ...]
    terms: Terms
    wish: Wish
    lots: tuple[Lot, ...]
    deposited: NRLC
    in_wallet: NRLC
    window_s: int = TASK_BY_TASK
    bulk: Bulk | None = None

    @property
    def is_simulated(self) -> bool:
        """Whether tasks would run in enclaves that hide nothing from whoever runs the worker."""
        return any(is_simulated(lot.workerpool.tag) for lot in self.lots if needs_enclave(self.wish.tag))

    @property
    def total(self) -> NRLC:
        """What all tasks cost together [nRLC]."""
        return NRLC(sum(lot.total for lot in self.lots))

    @property
    def dearest(self) -> NRLC:
        """What the dearest task costs [nRLC]."""
        return max(lot.price for lot in self.lots)

    @property
    def missing(self) -> NRLC:
        """What account and wallet together lack [nRLC]."""
        return NRLC(max(self.total - self.deposited - self.in_wallet, 0))

    def require_funds(self) -> None:
        """
        Refuse a run that cannot be paid.

        Raises:
            FundsError: Account and wallet together hold too little; the message says by how much.
        """
        if self.missing:
            held = f"account and wallet of {self.requester} hold {format_amount(NRLC(self.deposited + self.in_wallet))}"
            words = f"{format_amount(self.missing)} is missing: the tasks cost {format_amount(self.total)}, and {held}"
            raise FundsError(words, hint=f"send at least {format_amount(self.missing)} to the wallet, or run fewer tasks")


async def make_quote(links: Links, requester: Address, reference: AppReference, tasks: Sequence[TaskSpec], terms: Terms) -> Quote:
    """
    Find the cheapest offers for some tasks.

    Args:
        links: The network.
        requester: Who would pay.
        reference: The app: a path, or an address.
        tasks: The tasks.
        terms: The terms.

    Raises:
        InputError: App, tasks or terms cannot be used, or a secret that they name is not in the vault.
        NoMatchError: No offers fit; the message names the nearest one, what excludes it and by how much.
        StateError: A window is wanted, and the hub or a workerpool does not settle bags.
    """
    app = await find_app(links.chain, requester, reference)
    terms = replace(terms, limits=app_limits(app, terms.limits))
    await require_secrets(links, requester, terms)
    likely = terms.workerpool if terms.workerpool != ZERO_ADDRESS else links.network.workerpool
    plan = Plan(len(tasks), terms.tag, frozenset({likely} if likely is not None else ()), terms.window_s)
    window_s = await choose_window(links, plan)
    bulk = await _find_bulk(links, requester, app, len(tasks), terms) if terms.bulk else None
    needs = DataNeeds(terms.purpose, app.info.checksum) if bulk is None else DataNeeds(terms.purpose, app.info.checksum, bulk.suits)
    wish, lots = await _find(links, requester, app, len(tasks), terms, window_s=window_s, needs=needs)
    if window_s != TASK_BY_TASK and await choose_window(links, replace(plan, workerpools=pools_of(lots))) != window_s:
        window_s = TASK_BY_TASK
        wish, lots = await _find(links, requester, app, len(tasks), terms, window_s=window_s, needs=needs)
    account = await links.chain.hub.account(requester)
    return Quote(
        requester=requester,
        app=app,
        is_own=app.info.owner == requester,
        tasks=tuple(tasks),
        terms=terms,
        wish=wish,
        lots=lots,
        deposited=account.stake,
        in_wallet=await links.chain.token.balance(requester),
        window_s=window_s,
        bulk=bulk,
    )


async def _find_bulk(links: Links, requester: Address, app: TargetApp, volume: int, terms: Terms) -> Bulk:
    """Choose the orders under which tasks open data together."""
    if len(terms.bulk) != volume:
        raise InputError(f"there are {len(terms.bulk)} lists of datasets for {volume} tasks", hint="give one for each")
    wish = Wish(app=app.address, requester=requester, volume=volume, tag=terms.tag, workerpool=terms.workerpool)
    pools = [pool for pool in await _pool_offers(links, wish, None) if terms.workerpool in (ZERO_ADDRESS, pool.order.workerpool)]
    return await find_bulk(links, wish, terms.bulk, pools, DataNeeds(terms.purpose, app.info.checksum))


async def _find(  # noqa: PLR0913 (a wish is put together from all that was said)
    links: Links, requester: Address, app: TargetApp, volume: int, terms: Terms, *, window_s: int, needs: DataNeeds
) -> tuple[Wish, tuple[Lot, ...]]:
    """Say in the protocol's words what is wanted, and find the offers that cover it."""
    is_bag = window_s != TASK_BY_TASK
    wish = Wish(
        app=app.address,
        requester=requester,
        volume=volume,
        category=choose_category(await links.chain.hub.categories(), terms.category, terms.limits.time_s),
        trust=terms.trust if terms.trust is not None else await wanted_trust(links, terms.replicas, volume, is_bag=is_bag),
        tag=terms.tag,
        max_price=terms.max_price,
        workerpool=terms.workerpool,
        dataset=terms.dataset,
    )
    apps = await app_offers(links, wish, is_own=app.info.owner == requester)
    return wish, await find_lots(links, wish, apps, needs)


def app_limits(app: TargetApp, given: RunLimits) -> RunLimits:
    """Fill in what the app's manifest says about its needs where the terms say nothing."""
    if app.file is None or app.file.manifest is None:
        return given
    hint = app.file.manifest.limits
    return RunLimits(
        time_s=given.time_s or hint.time_s,
        memory_bytes=given.memory_bytes or hint.memory_bytes,
        instructions=given.instructions or hint.instructions,
        output_bytes=given.output_bytes or hint.output_bytes,
    )


async def app_offers(links: Links, wish: Wish, *, is_own: bool) -> list[Offer[AppOrder]]:
    """Find the offers of an app; its own owner needs none, and offers it to himself for nothing, unsigned as yet."""
    if is_own:
        order = AppOrder(app=wish.app, appprice=NRLC(0), volume=wish.volume, tag=wish.tag, requesterrestrict=wish.requester, salt=ZERO_HASH)
        return [Offer(order, OrderHash(ZERO_HASH), wish.volume)]
    found = await links.book.app_offers({"app": wish.app, "requester": wish.requester, "workerpool": "any", "dataset": "any"})
    return [Offer(offer.order, offer.hash, offer.remaining) for offer in found]


async def find_lots(links: Links, wish: Wish, apps: Sequence[Offer[AppOrder]], needs: DataNeeds) -> tuple[Lot, ...]:
    """
    Cover a wish with the market's workerpool orders, and those of the dataset that it names.

    The market is asked for the category first; only to explain a refusal it is asked for everything.

    Args:
        links: The network.
        wish: What is wanted.
        apps: The app's offers.
        needs: What terms of use are judged by.

    Raises:
        NoMatchError: The offers do not cover it, or the dataset's terms of use do not allow it.
    """
    with contextlib.suppress(NoMatchError):
        return await _choose(links, wish, apps, await _pool_offers(links, wish, wish.category), needs)
    return await _choose(links, wish, apps, await _pool_offers(links, wish, None), needs)


async def _choose(
    links: Links, wish: Wish, apps: Sequence[Offer[AppOrder]], pools: list[Offer[WorkerpoolOrder]], needs: DataNeeds
) -> tuple[Lot, ...]:
    if wish.dataset == ZERO_ADDRESS:
        return choose_lots(wish, apps, [pool for pool in pools if needs.suits(pool.order)])
    allowed = await find_data(links, wish, pools, needs)
    return choose_lots(wish, apps, allowed.pools, allowed.data)


def pools_of(lots: Sequence[Lot]) -> frozenset[Address]:
    """Name the workerpools of some offers."""
    return frozenset(lot.workerpool.workerpool for lot in lots)


async def wanted_trust(links: Links, replicas: int, volume: int, *, is_bag: bool = False) -> int:
    """
    Turn a number of replicas into the trust to ask for, knowing the workers of the default pool.

    In a bag every worker weighs as one without score does, and keeps that weight (contracts/SPEC.md 18.3).

    Raises:
        NoMatchError: The pool's workers cannot reach it; the message says what they can.
    """
    growing = 1 if is_bag else volume
    if replicas <= 1 or links.pool is None:
        return trust_for(replicas, [0] * replicas, growing)
    online = [worker for worker in (await links.pool.pool()).workers if worker.online]
    scores = [0 if is_bag else worker.score for worker in online]
    wanted = trust_for(replicas, [*scores, *[0] * (replicas - len(scores))], growing)
    reach = reachable_trust([worker_weight(score) for score in scores])
    if len(online) >= replicas and wanted <= reach:
        return wanted
    there = f"the workerpool has {len(online)} worker{'' if len(online) == 1 else 's'} online"
    if len(online) < replicas:
        words = f"{replicas} replicas need {replicas} workers, and {there}"
        raise NoMatchError(words, hint=f"ask for {max(len(online), 1)}, or let more workers join with `voisin worker join`")
    fewer = _largest_volume(replicas, scores, reach)
    words = f"{replicas} replicas for each of {volume} tasks need trust {wanted}, and {there}, who reach {reach} together"
    raise NoMatchError(words, hint=f"run at most {fewer} tasks at a time, or ask for trust {reach}")


def _largest_volume(replicas: int, scores: Sequence[int], reach: int) -> int:
    volume = 1
    while trust_for(replicas, scores, volume + 1) <= reach:
        volume += 1
    return volume


async def _pool_offers(links: Links, wish: Wish, category: int | None) -> list[Offer[WorkerpoolOrder]]:
    found = await links.book.workerpool_offers({"category": category, "app": wish.app, "requester": wish.requester})
    return [Offer(offer.order, offer.hash, offer.remaining) for offer in found]
