"""A market on an EVM: the contracts, the roles, and the steps that most tests begin with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from eth_hash.auto import keccak

from tests.support.accounts import Signer, signer
from tests.support.contracts import Contract, Event, decode_logs
from tests.support.evm import Evm, Receipt
from tests.support.orders import ZERO, as_tuple, order, order_hash, result_hash, result_seal, sign_order
from voisin.chain.artifacts import load_artifact
from voisin.chain.deployment.plan import DeploymentTerms, deployment_plan
from voisin.protocol.ids import Address

RLC: Final = 10**9
WEI: Final = 10**9
"""What 1 nRLC is where money is native coin."""
TIME_REF: Final = (300, 1200, 3600, 10800, 36000)
KITTY: Final = "0x99c2268479b93fDe36232351229815DF80837e23"
ORIGINAL_SCORES: Final = 0x5862653C6982C162832160CF30593645E8487B257E44D77CDD6B51EEE2651B00 + 18
"""Where the original keeps its workers' scores. Source: poco-protocol.md 3."""
DIGEST: Final = keccak(b"the right result")


@dataclass(frozen=True)
class Roles:
    """Who is who."""

    owner: Signer = field(default_factory=lambda: signer("owner"))
    requester: Signer = field(default_factory=lambda: signer("requester"))
    sponsor: Signer = field(default_factory=lambda: signer("sponsor"))
    app_owner: Signer = field(default_factory=lambda: signer("app owner"))
    dataset_owner: Signer = field(default_factory=lambda: signer("dataset owner"))
    scheduler: Signer = field(default_factory=lambda: signer("scheduler"))
    stranger: Signer = field(default_factory=lambda: signer("stranger"))
    enclave: Signer = field(default_factory=lambda: signer("enclave"))
    workers: tuple[Signer, ...] = field(default_factory=lambda: tuple(signer(f"worker {n}") for n in range(5)))


@dataclass(frozen=True)
class Terms:
    """What the orders of a deal say."""

    app_price: int = 3 * RLC
    dataset_price: int = 0
    price: int = 10 * RLC
    volume: int = 1
    trust: int = 1
    category: int = 0
    tag: bytes = bytes(32)
    callback: str = ZERO
    params: str = ""
    beneficiary: str | None = None
    with_dataset: bool = False
    salt: bytes = bytes(32)


@dataclass
class Market:
    """One hub with its registries and token."""

    evm: Evm
    hub: Contract
    token: Contract
    app_registry: Contract
    dataset_registry: Contract
    workerpool_registry: Contract
    roles: Roles = field(default_factory=Roles)
    app: str = ""
    dataset: str = ""
    workerpool: str = ""
    is_original: bool = False
    is_native: bool = False

    @property
    def contracts(self) -> list[Contract]:
        """All contracts whose events count."""
        return [self.hub, self.token, self.app_registry, self.dataset_registry, self.workerpool_registry]

    def events(self, receipt: Receipt) -> list[Event]:
        """Decode the events of all contracts, in order."""
        return decode_logs(receipt.logs, self.contracts)

    def hub_events(self, receipt: Receipt) -> list[tuple[Any, ...]]:
        """Decode the hub's events, in order: name, then values."""
        return [(event.name, *event.values) for event in self.hub.events(receipt)]

    def set_score(self, worker: str, score: int) -> None:
        """Give a worker a past."""
        if self.is_original:
            place = int.from_bytes(keccak(bytes.fromhex(worker[2:]).rjust(32, b"\0") + ORIGINAL_SCORES.to_bytes(32, "big")), "big")
            self.evm.set_storage(self.hub.address, place, score)
        else:
            self.evm.set_mapping(self.hub.address, load_artifact("Hub").layout["scores"].slot, worker, score)

    # --- what everything begins with
    def fund(self, account: Signer, amount: int) -> None:
        """Give an account money inside the hub [nRLC]."""
        if self.is_native:
            self.evm.fund(account.address, self.evm.balance(account.address) + amount * WEI)
            self.hub.send("deposit", by=account.address, value=amount * WEI)
            return
        self.token.send("transfer", account.address, amount, by=self.roles.owner.address)
        self.token.send("approve", self.hub.address, amount, by=account.address)
        self.hub.send("deposit", amount, by=account.address)

    def register(self) -> None:
        """Create the app, the dataset and the workerpool of the roles."""
        roles = self.roles
        self.app = self.create_app("an app", roles.app_owner)
        self.dataset = self.create_dataset("a dataset", roles.dataset_owner)
        self.workerpool = self.create_workerpool("a pool", roles.scheduler)

    def create_app(self, name: str, owner: Signer) -> str:
        """Create an app."""
        receipt = self.app_registry.send(
            "createApp", owner.address, name, "DOCKER", b"registry/image:1", keccak(b"image"), b"", by=owner.address
        )
        return str(self.app_registry.answer("createApp", receipt.output)[0])

    def create_dataset(self, name: str, owner: Signer) -> str:
        """Create a dataset."""
        receipt = self.dataset_registry.send("createDataset", owner.address, name, b"ipfs", keccak(b"data"), by=owner.address)
        return str(self.dataset_registry.answer("createDataset", receipt.output)[0])

    def create_workerpool(self, name: str, owner: Signer) -> str:
        """Create a workerpool."""
        receipt = self.workerpool_registry.send("createWorkerpool", owner.address, name, by=owner.address)
        return str(self.workerpool_registry.answer("createWorkerpool", receipt.output)[0])

    @property
    def workerpool_contract(self) -> Contract:
        """The workerpool itself."""
        return Contract(self.evm, "workerpool", self.workerpool, "Workerpool")

    # --- orders
    def orders(self, terms: Terms) -> dict[str, dict[str, Any]]:
        """Write the four orders of a deal, unsigned, in the order in which `matchOrders` takes them."""
        shared = {"volume": terms.volume, "tag": terms.tag, "salt": terms.salt}
        requester = self.roles.requester.address
        dataset = self.dataset if terms.with_dataset else ZERO
        beneficiary = requester if terms.beneficiary is None else terms.beneficiary
        bounds = {"appmaxprice": terms.app_price, "datasetmaxprice": terms.dataset_price, "workerpoolmaxprice": terms.price}
        return {
            "AppOrder": order("AppOrder", app=self.app, appprice=terms.app_price, **shared),
            "DatasetOrder": order("DatasetOrder", dataset=self.dataset, datasetprice=terms.dataset_price, **shared)
            if terms.with_dataset
            else order("DatasetOrder"),
            "WorkerpoolOrder": order(
                "WorkerpoolOrder",
                workerpool=self.workerpool,
                workerpoolprice=terms.price,
                category=terms.category,
                trust=terms.trust,
                **shared,
            ),
            "RequestOrder": order(
                "RequestOrder",
                app=self.app,
                dataset=dataset,
                workerpool=self.workerpool,
                requester=requester,
                category=terms.category,
                trust=terms.trust,
                beneficiary=beneficiary,
                callback=terms.callback,
                params=terms.params,
                **bounds,
                **shared,
            ),
        }

    def owners(self) -> dict[str, Signer]:
        """Who signs which order."""
        roles = self.roles
        return {
            "AppOrder": roles.app_owner,
            "DatasetOrder": roles.dataset_owner,
            "WorkerpoolOrder": roles.scheduler,
            "RequestOrder": roles.requester,
        }

    def sign(self, orders: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Have every owner sign."""
        owners = self.owners()
        return {
            kind: values
            if kind == "DatasetOrder" and values["dataset"] == ZERO
            else sign_order(kind, values, owners[kind], self.hub.address)
            for kind, values in orders.items()
        }

    def hash(self, kind: str, values: dict[str, Any]) -> bytes:
        """The hash by which the hub knows an order."""
        return order_hash(kind, values, self.hub.address)

    def match(self, terms: Terms, *, by: str | None = None) -> tuple[bytes, Receipt]:
        """Sign and match the orders of a deal for the first time; gives its id."""
        return self.match_orders(self.sign(self.orders(terms)), by=by or self.roles.stranger.address)

    def match_orders(self, orders: dict[str, dict[str, Any]], *, by: str, function: str = "matchOrders") -> tuple[bytes, Receipt]:
        """Match orders; gives the id that the hub returned."""
        receipt = self.hub.send(function, *map(as_tuple, orders.values()), by=by)
        return receipt.output, receipt

    # --- tasks
    def initialize(self, deal: bytes, index: int = 0) -> bytes:
        """Open a task."""
        return self.hub.send("initialize", deal, index, by=self.roles.stranger.address).output

    def authorize(self, worker: Signer, task: bytes, enclave: str = ZERO, *, by: Signer | None = None) -> bytes:
        """The scheduler's word that a worker may contribute."""
        broker = by or self.roles.scheduler
        return broker.sign_message(bytes.fromhex(worker.address[2:]), task, bytes.fromhex(enclave[2:]))

    def contribute(self, task: bytes, worker: Signer, digest: bytes = DIGEST, *, enclave: Signer | None = None) -> Receipt:
        """Contribute with everything as it should be."""
        hashed, seal = result_hash(task, digest), result_seal(worker.address, task, digest)
        challenge = enclave.address if enclave else ZERO
        sealed = enclave.sign_message(hashed, seal) if enclave else b""
        return self.hub.send(
            "contribute", task, hashed, seal, challenge, sealed, self.authorize(worker, task, challenge), by=worker.address
        )

    def reveal(self, task: bytes, worker: Signer, digest: bytes = DIGEST) -> Receipt:
        """Reveal a digest."""
        return self.hub.send("reveal", task, digest, by=worker.address)

    def finalize(self, task: bytes, results: bytes = b"", callback: bytes = b"") -> Receipt:
        """Settle as the scheduler."""
        return self.hub.send("finalize", task, results, callback, by=self.roles.scheduler.address)

    def accounts(self, *accounts: str) -> list[tuple[int, int]]:
        """Stake and locked money of some accounts [nRLC]."""
        return [self.hub.read("viewAccount", account) for account in accounts]


def deploy_market(evm: Evm | None = None, *, is_native: bool = False) -> Market:
    """Bring up our market, by the plan that everybody uses; of tokens or of native coin."""
    evm = evm or Evm()
    roles = Roles()
    terms = DeploymentTerms(is_native=is_native)
    plan = deployment_plan(Address(roles.owner.address), evm.chain_id, nonce=evm.nonce(roles.owner.address), terms=terms)
    for transaction in plan.transactions:
        evm.send(roles.owner.address, transaction.to, transaction.data, gas=transaction.gas or 0)
    return Market(
        evm=evm,
        hub=Contract(evm, "hub", plan.hub, "HubNative" if is_native else "Hub"),
        token=Contract(evm, "token", plan.token, "Rlc"),
        app_registry=Contract(evm, "apps", plan.app_registry, "AppRegistry"),
        dataset_registry=Contract(evm, "datasets", plan.dataset_registry, "DatasetRegistry"),
        workerpool_registry=Contract(evm, "workerpools", plan.workerpool_registry, "WorkerpoolRegistry"),
        roles=roles,
        is_native=is_native,
    )


def open_market(evm: Evm | None = None) -> Market:
    """Bring up our market with entries, and 1,000 RLC in everybody's account."""
    return furnish(deploy_market(evm))


def furnish(market: Market) -> Market:
    """Create the entries of the roles, and give everybody who needs it 1,000 RLC."""
    market.register()
    roles = market.roles
    for account in (roles.requester, roles.sponsor, roles.scheduler, *roles.workers):
        market.fund(account, 1_000 * RLC)
    return market
