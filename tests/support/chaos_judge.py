"""
What has to be true after chaos, judged by the chain and by what lies in storage, and never by what a pool says.

Every task has ended once, with the result that it should have; nobody honest was fined; all money is where it belongs, and none is locked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from tests.support.chaos_market import APP_PRICE, DEPOSIT, POOL_PRICE, Market
from voisin.chain import Sender, bags, events_of
from voisin.chain.bags import BagStatus, posted_bag
from voisin.chain.devnet import development_keys
from voisin.client.bags.audit import audit
from voisin.errors import VoisinError
from voisin.protocol.archive import open_archive, unpack_files
from voisin.protocol.bag_api import decode_leaves
from voisin.protocol.bag_settlement import NO_RESULT, Leaf, PostedBag, tree_of, unpack_payouts, window_of
from voisin.protocol.cid import Cid, cid_from_digest
from voisin.protocol.events import (
    BagClaimed,
    BagPosted,
    BagSettled,
    BagSlashed,
    DealGivenBack,
    Event,
    FaultyContribution,
    TaskClaimed,
    TaskFinalized,
)
from voisin.protocol.ids import Address, DealId, Hash32, TaskId, from_hex, task_id
from voisin.protocol.records import Deal, TaskStatus
from voisin.protocol.results import decode_link
from voisin.protocol.rules import KITTY_ADDRESS
from voisin.storage import StorageClient
from voisin.units import NRLC

PLACES = re.compile(rb"0x[0-9a-f]{64}|(?<==)\d+$", re.MULTILINE)
"""What differs between the results of tasks of one deal: ids and indexes."""
MAX_BYTES = 16 << 20
SAMPLES = 3
"""Results of each bag that are proven on the chain one by one."""


class Judge:
    """Looks at what a market has come to; `wrong` lists what should not be, in words."""

    def __init__(self, market: Market, deals: Mapping[DealId, Deal]) -> None:
        """
        Args:
            market: The market, at rest.
            deals: All its deals.
        """
        self._market = market
        self._chain = market.chain
        self._deals = deals
        self._bags = [name for name, deal in deals.items() if window_of(deal.params, deal.tag) is not None]
        self.wrong: list[str] = []
        self._texts: dict[TaskId, bytes] = {}

    async def judge(self) -> list[str]:
        """List what is wrong; nothing should be."""
        events = [each.event for each in await events_of(self._chain, self._market.deployment.block, await self._chain.block_number())]
        async with StorageClient(self._market.storage_url) as storage:
            for name in self._deals:
                if name in self._bags:
                    await self._judge_bag(name, events, storage)
                else:
                    await self._judge_tasks(name, events, storage)
        self._judge_texts()
        await self._judge_money()
        fined = {event.worker for event in events if isinstance(event, FaultyContribution)}
        self.wrong += [f"honest {worker} was fined" for worker in sorted(fined - self._market.liars)]
        return self.wrong

    # --- tasks that are settled one by one ---

    async def _judge_tasks(self, name: DealId, events: Sequence[Event], storage: StorageClient) -> None:
        tasks = [task_id(name, index) for index in range(self._deals[name].bot_size)]
        finalized = Counter(event.task_id for event in events if isinstance(event, TaskFinalized))
        claimed = {event.task_id for event in events if isinstance(event, TaskClaimed)}
        self.wrong += [f"{task} ended {finalized[task]} times" for task in tasks if finalized[task] != 1]
        self.wrong += [f"{task} was refunded" for task in tasks if task in claimed]
        for known, task in zip(tasks, await self._chain.hub.tasks(tasks), strict=True):
            if task is None or task.status is not TaskStatus.COMPLETED:
                self.wrong.append(f"{known} is not completed")
            else:
                await self._read(storage, known, Cid(decode_link(task.results)), None)

    # --- bags ---

    async def _judge_bag(self, name: DealId, events: Sequence[Event], storage: StorageClient) -> None:
        own = [event for event in events if isinstance(event, BagPosted | BagSettled | BagSlashed | BagClaimed | DealGivenBack)]
        story = [event for event in own if event.deal_id == name]
        kinds = [type(event).__name__ for event in story]
        posted = next((event for event in story if isinstance(event, BagPosted)), None)
        if kinds != ["BagPosted", "BagSettled"] or posted is None:
            self.wrong.append(f"the story of bag {name} is {kinds}")
            return
        state = await bags.view_bag(self._chain.rpc, self._chain.hub_address, name)
        if state.status is not BagStatus.SETTLED or state.demands:
            self.wrong.append(f"bag {name} is {state.status.name}, and {state.demands} leaves of it are asked for")
        deal = self._deals[name]
        bag = posted_bag(posted, window_of(deal.params, deal.tag) or 0)
        leaves = decode_leaves(await storage.get_bytes(cid_from_digest(from_hex(bag.leaves)), max_bytes=MAX_BYTES), name, bag.root)
        if not (found := audit(self._chain.hub_address, deal, bag, leaves, {})).is_clean:
            self.wrong.append(f"the leaves of bag {name} are not in order: {found}")
        if [leaf.index for leaf in leaves] != list(range(deal.bot_size)) or bag.done != deal.bot_size:
            self.wrong.append(f"bag {name} has {bag.done} results in {len(leaves)} leaves, of {deal.bot_size} tasks")
        for leaf in leaves:
            await self._judge_leaf(name, leaf, storage)
        self._judge_payouts(deal, bag, leaves)
        await self._prove_some(bag, leaves)

    async def _judge_leaf(self, name: DealId, leaf: Leaf, storage: StorageClient) -> None:
        known = task_id(name, leaf.index)
        if leaf.digest == NO_RESULT:
            self.wrong.append(f"{known} has no result")
            return
        if believed := set(leaf.agreed) & self._market.liars:
            self.wrong.append(f"{sorted(believed)} lied, and is believed of {known}")
        await self._read(storage, known, cid_from_digest(from_hex(leaf.location)), leaf.digest)

    def _judge_payouts(self, deal: Deal, bag: PostedBag, leaves: Sequence[Leaf]) -> None:
        """Everybody is paid for what he did, as contracts/SPEC.md 18.4 shares it."""
        due: Counter[Address] = Counter()
        for leaf in leaves:
            for worker in leaf.agreed:
                due[worker] += deal.workerpool.price * (100 - deal.scheduler_reward_ratio) // (100 * len(leaf.agreed))
        if dict(due) != unpack_payouts(bag.payouts):
            self.wrong.append(f"bag {bag.deal_id} pays {unpack_payouts(bag.payouts)}, and should pay {dict(due)}")

    async def _prove_some(self, bag: PostedBag, leaves: Sequence[Leaf]) -> None:
        """Any single result can be put on the chain, once."""
        tree, sender = tree_of(leaves), Sender(self._chain, self._market.people["stranger"])
        places = sorted({0, len(leaves) // 2, len(leaves) - 1})[:SAMPLES]
        for place in places:
            call = bags.prove_result(self._chain.hub_address, bag, bags.show(leaves, tree, place))
            try:
                await sender.send(call)
            except VoisinError as error:
                self.wrong.append(f"the result of task {place} of bag {bag.deal_id} cannot be proven: {error.message}")
        for place, task in zip(places, await self._chain.hub.tasks([task_id(bag.deal_id, place) for place in places]), strict=True):
            if task is None or task.status is not TaskStatus.COMPLETED or task.result_digest != leaves[place].digest:
                self.wrong.append(f"the proven result of task {place} of bag {bag.deal_id} is not on the chain")

    # --- results and money ---

    async def _read(self, storage: StorageClient, known: TaskId, cid: Cid, digest: Hash32 | None) -> None:
        """Read a result, and see whether it is this task's."""
        data = await storage.get_bytes(cid, max_bytes=MAX_BYTES)
        if digest is not None and open_archive(data).digest(has_callback=False) != digest:
            self.wrong.append(f"{known} has another result in storage than on the chain")
        files = unpack_files(data)
        text = b"".join(files[name] for name in sorted(files) if name != "computed.json")
        if f"IEXEC_TASK_ID={known}".encode() not in text:
            self.wrong.append(f"{known} has the result of another task")
        self._texts[known] = PLACES.sub(b"", text)

    def _judge_texts(self) -> None:
        """All tasks are alike but for ids and indexes; the results of those of one kind of deal must be, too."""
        for is_bag in (True, False):
            names = [
                task_id(name, index)
                for name, deal in self._deals.items()
                if (name in self._bags) is is_bag
                for index in range(deal.bot_size)
            ]
            shapes = Counter(self._texts[name] for name in names if name in self._texts)
            usual = shapes.most_common(1)[0][0] if shapes else b""
            self.wrong += [f"{name} has a wrong result" for name in names if self._texts.get(name, usual) != usual]

    async def _judge_money(self) -> None:
        hub = self._chain.hub
        everybody = sorted({wallet.address for wallet in [*self._market.people.values(), *development_keys(10)]})
        accounts = dict(zip(everybody, await hub.accounts(everybody), strict=True))
        self.wrong += [f"{account.locked} nRLC of {owner} are locked" for owner, account in accounts.items() if account.locked]
        inside = sum(account.stake + account.locked for account in accounts.values())
        kitty = await hub.account(KITTY_ADDRESS)
        held = await self._chain.token.balance(self._chain.hub_address)
        if inside + kitty.stake + kitty.locked != held:
            self.wrong.append(f"the hub holds {held} nRLC, and owes {inside} and a kitty of {kitty.stake + kitty.locked}")
        paid = NRLC((APP_PRICE + POOL_PRICE) * sum(deal.bot_size for deal in self._deals.values()))
        requester = accounts[self._market.people["requester"].address]
        if requester.stake != DEPOSIT - paid:
            self.wrong.append(f"the requester has {requester.stake} nRLC and should have {DEPOSIT - paid}")
