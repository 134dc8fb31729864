"""A hub among enemies: its token, a requester, a scheduler, a group and the takers of results are contracts that attack it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.support.accounts import Signer, signer
from tests.support.compiled import deploy_double, encode_call
from tests.support.contracts import Contract
from tests.support.evm import Receipt, RevertedError
from tests.support.market import DIGEST, KITTY, RLC, Market, deploy_market
from tests.support.orders import ZERO, as_tuple, order, order_hash, result_hash, result_seal, task_id
from tests.support.quick_evm import QuickEvm
from voisin.chain.artifacts import AbiParameter, load_abi, load_artifact

MODES = {"agree": 0, "refuse": 1, "revert": 2, "silence": 3, "flood": 4, "garbage": 5, "burn": 6, "fickle": 7}
HONEST, MOVES_NOTHING, DENIES, MOVES_AND_DENIES = range(4)
CHANGING = {entry.name: entry for entry in load_abi("Hub") if entry.type == "function" and "payable" in entry.state_mutability}
"""Every function of the hub that may change something; each is tried from within."""
HALF = 2**128 - 1
UNSET, ACTIVE, REVEALING, COMPLETED, FAILED = range(5)


@dataclass
class AttackedDeal:
    """What an auditor has to know of a deal; amounts a task [nRLC]."""

    identity: bytes
    sponsor: str
    scheduler: str
    cost: int
    pledge: int
    worker_stake: int
    tasks: list[bytes] = field(default_factory=list)
    is_boost: bool = False


class AttackWorld:
    """The hub, its enemies, and an auditor who believes nobody."""

    def __init__(self) -> None:
        self.market: Market = deploy_market(QuickEvm())
        self.evm, self.hub, self.roles = self.market.evm, self.market.hub, self.market.roles
        by = self.roles.stranger.address
        self.token = deploy_double(self.evm, "EvilToken", by, ("address", self.hub.address))
        self.evm.set_storage(self.hub.address, load_artifact("Hub").layout["token"].slot, int(self.token, 16))
        self.attackers = [deploy_double(self.evm, "Attacker", by) for _ in range(3)]
        self.market.register()
        owners = [self.roles.app_owner, self.roles.scheduler]
        self.apps = [self.market.app, self.market.create_app("an enemy's", Signer("enemy", b"", self.attackers[0]))]
        self.dataset = self.market.create_dataset("an enemy's", Signer("enemy", b"", self.attackers[0]))
        self.pools = [self.market.workerpool, self.market.create_workerpool("an enemy's", Signer("enemy", b"", self.attackers[1]))]
        self.keys = {owner.address: owner for owner in (*owners, self.roles.requester, self.roles.sponsor)}
        self.people = [*self.keys, *self.attackers, *(worker.address for worker in self.roles.workers), self.roles.owner.address, by]
        self.people += [self.roles.dataset_owner.address, signer("heir").address]
        for person in self.people:
            self.send(self.token, "mint(address,uint256)", person, 2_000 * RLC)
            self.hub.send("deposit", 1_000 * RLC, by=person)
        self.accounts_slot = load_artifact("Hub").layout["accounts"].slot
        self.count = 0

    def send(self, to: str, signature: str, *arguments: Any) -> None:
        """Tell one of the enemies something."""
        self.evm.send(self.roles.stranger.address, to, encode_call(signature, *arguments))

    def account(self, account: str) -> tuple[int, int]:
        """Stake and locked money, from where the hub keeps it."""
        word = self.evm.mapping(self.hub.address, self.accounts_slot, account)
        return word & HALF, word >> 128

    # --- deals and tasks
    def orders(self, who: dict[str, int], price: int, trust: int, volume: int) -> list[tuple[Any, ...]]:
        """Orders of friends and enemies: a friend signs as one does, for an enemy anything is a signature."""
        self.count += 1
        shared = {"volume": volume, "salt": self.count.to_bytes(32, "big")}
        app, pool = self.apps[who["app"]], self.pools[who["pool"]]
        requester = (self.roles.requester.address, self.attackers[0])[who["requester"]]
        dataset = (ZERO, self.dataset)[who["dataset"]]
        callback = (ZERO, *self.attackers)[who["callback"]]
        group = (ZERO, self.attackers[2])[who["group"]]
        found = {
            "AppOrder": order("AppOrder", app=app, appprice=1, requesterrestrict=group, **shared),
            "DatasetOrder": order("DatasetOrder", dataset=dataset, datasetprice=2, **shared) if who["dataset"] else order("DatasetOrder"),
            "WorkerpoolOrder": order("WorkerpoolOrder", workerpool=pool, workerpoolprice=price, trust=trust, **shared),
            "RequestOrder": order(
                "RequestOrder",
                app=app,
                appmaxprice=1,
                dataset=dataset,
                datasetmaxprice=2 if who["dataset"] else 0,
                workerpool=ZERO if who["group"] else pool,
                workerpoolmaxprice=price,
                requester=requester,
                trust=trust,
                beneficiary=requester,
                callback=callback,
                **shared,
            ),
        }
        signers = (self.roles.app_owner, None, self.roles.scheduler, self.roles.requester)
        enemies = (who["app"], 1, who["pool"], who["requester"])
        return [
            as_tuple({**values, "sign": bytes(65) if is_enemy or key is None else key.sign(order_hash(kind, values, self.hub.address))})
            for (kind, values), key, is_enemy in zip(found.items(), signers, enemies, strict=True)
        ]

    def contribution(self, task: bytes, worker: str, scheduler: str) -> tuple[Any, ...]:
        """Arguments of `contribute`; an enemy takes anything for its signature."""
        packed = keccak(bytes.fromhex(worker[2:]) + task + bytes(20))
        key = self.keys.get(scheduler)
        word = key.sign(keccak(b"\x19Ethereum Signed Message:\n32" + packed)) if key else bytes(65)
        return task, result_hash(task, DIGEST), result_seal(worker, task, DIGEST), ZERO, b"", word

    # --- attacks from within
    def call_from_within(self, name: str, task: bytes, deal: bytes, inside: str) -> bytes:
        """Calldata of a function with arguments with which it might do something when called by an enemy."""
        everyone = {"app": 1, "pool": 1, "requester": 1, "dataset": 0, "callback": 1, "group": 0}
        contribution = self.contribution(task, inside, self.attackers[1])
        known: dict[str, tuple[Any, ...]] = {
            "deposit": (5 * RLC,),
            "depositFor": (3 * RLC, self.attackers[1]),
            "depositForArray": ([1, 2], [inside, self.attackers[0]]),
            "withdraw": (7 * RLC,),
            "withdrawTo": (2 * RLC, self.attackers[0]),
            "transfer": (self.attackers[2], RLC),
            "approve": (self.attackers[0], RLC),
            "transferFrom": (inside, self.attackers[1], 1),
            "approveAndCall": (self.attackers[2], 1, b""),
            "receiveApproval": (inside, RLC, self.token, b""),
            "initialize": (deal, 1),
            "initializeArray": ([deal], [1]),
            "initializeAndClaimArray": ([deal], [1]),
            "claim": (task,),
            "claimArray": ([task],),
            "contribute": contribution,
            "contributeAndFinalize": (task, DIGEST, b"", b"the right result", ZERO, b"", contribution[5]),
            "reveal": (task, DIGEST),
            "finalize": (task, b"", b"the right result"),
            "reopen": (task,),
            "retryCallback": (task,),
            "giveBack": (deal, [1], 2**256 - 1),
            "claimBoost": (deal, 0),
            "pushResultBoost": (deal, 1, b"", b"the right result", contribution[5], ZERO, b""),
        }
        if name in ("matchOrders", "sponsorMatchOrders", "matchOrdersBoost", "sponsorMatchOrdersBoost"):
            return self.hub.data(name, *self.orders(everyone, RLC, 1, 1))
        entry = CHANGING[name]
        arguments = known.get(name) or tuple(_nothing(item) for item in entry.inputs)
        return entry.selector + encode([item.canonical_type for item in entry.inputs], arguments)

    # --- the auditor
    def deals_of(self, receipt: Receipt) -> Iterable[AttackedDeal]:
        """Deals that a transaction has made, also those made from within."""
        for event in self.market.hub_events(receipt):
            if event[0] == "OrdersMatched":
                yield self._classic(event[1]) or self._boost(event[1])

    def _classic(self, identity: bytes) -> AttackedDeal | None:
        found = self.hub.read("viewDeal", identity)
        (_, _, app), (_, _, dataset), (_, scheduler, price) = found[:3]
        if scheduler == ZERO:
            return None
        tasks = [task_id(identity, found[11] + index) for index in range(found[12])]
        return AttackedDeal(identity, found[15], scheduler, app + dataset + price, price * 30 // 100, found[13], tasks)

    def _boost(self, identity: bytes) -> AttackedDeal:
        _, app, _, dataset, scheduler, price, _, _, _, _, _, volume, _, sponsor = self.hub.read("viewDealBoost", identity)
        tasks = [task_id(identity, index) for index in range(volume)]
        return AttackedDeal(identity, sponsor, scheduler, app + dataset + price, price * 30 // 100, 0, tasks, is_boost=True)

    def kitty_change(self, receipt: Receipt) -> int:
        """What a transaction has put into the kitty, less what it took [nRLC]."""
        change = 0
        for event in self.market.hub_events(receipt):
            if event[0] == "Lock" and event[1] == KITTY:
                change += event[2]
            if event[0] == "Seize" and event[1] == KITTY:
                change -= event[2]
        return change

    def drift(self) -> int:
        """What the token's lies have taken from the hub, or given it [nRLC]."""
        return int.from_bytes(self.evm.call(self.token, encode_call("drift()")), "big", signed=True)

    def held(self) -> int:
        """What the token says that the hub holds [nRLC]."""
        return int.from_bytes(self.evm.call(self.token, encode_call("balanceOf(address)", self.hub.address)), "big")


def _nothing(item: AbiParameter) -> Any:
    if item.type.endswith("[]"):
        return []
    if item.type == "tuple":
        return tuple(_nothing(part) for part in item.components)
    if item.type == "address":
        return ZERO
    if item.type in ("string", "bytes"):
        return "" if item.type == "string" else b""
    if item.type.startswith("bytes"):
        return bytes(int(item.type[5:]))
    return False if item.type == "bool" else 0


def attempt(contract: Contract, function: str, *arguments: Any, by: str) -> Receipt | None:
    """Send; None if it was refused."""
    try:
        return contract.send(function, *arguments, by=by)
    except RevertedError:
        return None
