"""Our registries and the original's in step. The entries of the two have other addresses, so each is known by its number."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.support.accounts import signer
from tests.support.compiled import deploy_double, encode_call
from tests.support.contracts import Contract
from tests.support.evm import NOBODY, Evm, Receipt, RevertedError
from tests.support.orders import ZERO
from tests.support.original import registry_code
from tests.support.quick_evm import QuickEvm
from voisin.chain.artifacts import load_artifact

KINDS = ("App", "Dataset", "Workerpool")
CONTENTS: dict[str, tuple[tuple[Any, ...], ...]] = {
    "App": tuple((name, "DOCKER", b"image:1", keccak(name.encode()), more) for name, more in (("a", b""), ("b", b"{}"), ("", b"m" * 200))),
    "Dataset": tuple((name, place, keccak(place)) for name, place in (("a", b"/ipfs/Qm"), ("b", b""), ("", b"p" * 300))),
    "Workerpool": (("a pool",), ("",), ("p" * 100,)),
}
GETTERS = {
    "App": ("m_appName", "m_appType", "m_appMultiaddr", "m_appChecksum", "m_appMREnclave"),
    "Dataset": ("m_datasetName", "m_datasetMultiaddr", "m_datasetChecksum"),
    "Workerpool": ("m_workerpoolDescription", "m_workerStakeRatioPolicy", "m_schedulerRewardRatioPolicy"),
}
ENTRY_CALLS = ("changePolicy", "initialize", "setName")
NUMBERS = st.integers(0, 999)
PEOPLE = [signer(name).address for name in ("owner", "requester", "scheduler", "stranger")]
ALL_KINDS = st.sampled_from(KINDS)
APPROVAL = keccak(b"Approval(address,address,uint256)")


class Side(NamedTuple):
    """One of the two: a chain, its registries, and the entries made so far."""

    evm: Evm
    registries: dict[str, Contract]
    receivers: list[str]


@cache
def both_sides() -> tuple[Side, Side]:
    """Both, with registries at the same addresses."""
    return _side(is_original=False), _side(is_original=True)


def _side(*, is_original: bool) -> Side:
    evm, registries = QuickEvm(), {}
    for kind in KINDS:
        if is_original:
            code = registry_code(kind)
        else:
            code = load_artifact(f"{kind}Registry").init_code + encode(["bytes", "string"], [load_artifact(kind).init_code, ""])
        address = evm.send(PEOPLE[0], None, code).contract
        registries[kind] = Contract(evm, kind, address, f"{kind}Registry")
    receivers = [deploy_double(evm, "NftReceiver", PEOPLE[1]) for _ in range(3)]
    for mode, receiver in enumerate(receivers):
        evm.send(PEOPLE[1], receiver, encode_call("setMode(uint256)", mode))
    return Side(evm, registries, receivers)


class EntriesMachine(RuleBasedStateMachine):
    """Entries are made, given away and asked; registries get owners and forerunners."""

    def __init__(self) -> None:
        super().__init__()
        self.sides = both_sides()
        self.marks = [side.evm.mark() for side in self.sides]
        self.entries: list[tuple[str, tuple[str, str]]] = []

    def teardown(self) -> None:
        """Compare the lists, then undo all."""
        try:
            for kind in KINDS:
                count = self.ask(kind, "totalSupply")
                for place in range((count or 0) + 1):
                    self.ask(kind, "tokenByIndex", place)
                for person in PEOPLE:
                    for place in range((self.ask(kind, "balanceOf", person) or 0) + 1):
                        self.ask(kind, "tokenOfOwnerByIndex", person, place)
            for number in range(len(self.entries)):
                self._look(number)
        finally:
            for side, mark in zip(self.sides, self.marks, strict=True):
                side.evm.rewind(mark)

    # --- entries
    @rule(kind=ALL_KINDS, content=st.integers(0, 2), owner=NUMBERS, by=NUMBERS)
    def create(self, kind: str, content: int, owner: int, by: int) -> None:
        """Make an entry, at the address that was foretold; the same again is refused."""
        who = (*PEOPLE, ZERO)[owner % 5]
        arguments = (who, *CONTENTS[kind][content])
        foretold = [side.registries[kind].read(f"predict{kind}", *arguments) for side in self.sides]
        known = (kind, (foretold[0], foretold[1]))
        is_new = known not in self.entries
        if is_new:
            self.entries.append(known)
        done = self.do(kind, f"create{kind}", *arguments, by=PEOPLE[by % 4])
        assert done == (is_new and who != ZERO)
        if is_new and not done:
            self.entries.remove(known)

    @initialize(kind=ALL_KINDS, owner=st.integers(0, 3))
    def first_entry(self, kind: str, owner: int) -> None:
        """Something for the other steps to be about."""
        self.create(kind=kind, content=0, owner=owner, by=0)

    @rule(which=NUMBERS)
    def look(self, which: int) -> None:
        """Everything about an entry."""
        self._look(which)

    def _look(self, which: int) -> None:
        if not self.entries:
            return
        kind, addresses = self.entries[which % len(self.entries)]
        for view in ("ownerOf", "getApproved", "tokenURI"):
            self.ask(kind, view, which)
        for registry in KINDS:
            self.ask(registry, "isRegistered", which)
        for getter in (*GETTERS[kind], "owner", "registry"):
            self._compare(getter, [self._call(side, addresses[n], kind, getter) for n, side in enumerate(self.sides)])

    @rule(
        which=NUMBERS, by=NUMBERS, what=st.sampled_from(["changePolicy", "initialize", "setName"]), stake=NUMBERS, ratio=st.integers(0, 101)
    )
    def use_an_entry(self, which: int, by: int, what: str, stake: int, ratio: int) -> None:
        """What only its owner may do, and what nobody may."""
        if not self.entries:
            return
        kind, addresses = self.entries[which % len(self.entries)]
        if what == "changePolicy" and kind != "Workerpool":
            return
        arguments = {"changePolicy": (stake, ratio), "setName": (PEOPLE[0], "name")}.get(what, CONTENTS[kind][0])
        outcomes = []
        for side, address in zip(self.sides, addresses, strict=True):
            contract = Contract(side.evm, "entry", address, kind)
            outcomes.append(_outcome(side.evm, PEOPLE[by % 4], address, contract.data(what, *arguments)))
        self._compare(what, outcomes)

    # --- tokens
    @rule(which=NUMBERS, sender=NUMBERS, to=NUMBERS, by=NUMBERS, how=st.integers(0, 2))
    def transfer(self, which: int, sender: int, to: int, by: int, how: int) -> None:
        """A token goes to another owner, also to a contract that takes it, refuses it, or says something else."""
        kind, number = self._token(which)
        owner = self._owner(kind, number, sender)
        target = (*PEOPLE, ZERO, *self.sides[0].receivers)[to % 8]
        function = ("transferFrom", "safeTransferFrom(address,address,uint256)", "safeTransferFrom(address,address,uint256,bytes)")[how]
        person = owner if by % 2 else PEOPLE[by % 4]
        self.do(kind, function, owner, target, ("token", number), *((b"data",) if how == 2 else ()), by=person)

    @rule(which=NUMBERS, whom=NUMBERS, by=NUMBERS)
    def approve(self, which: int, whom: int, by: int) -> None:
        """Somebody may move a token."""
        kind, number = self._token(which)
        owner = self._owner(kind, number, 1)
        whom_address = (*PEOPLE, ZERO)[whom % 5]
        if whom_address != owner:  # the older build of the original refuses it, without a reason that anybody needs
            self.do(kind, "approve", whom_address, ("token", number), by=owner if by % 2 else PEOPLE[by % 4])

    @rule(which=NUMBERS, to=st.integers(0, 3), whom=st.integers(0, 3), how=st.integers(0, 1))
    def give_away(self, which: int, to: int, whom: int, how: int) -> None:
        """A token that somebody else may move gets another owner: then nobody else may, and the new owner's word alone counts."""
        kind, number = self._token(which)
        owner = self._owner(kind, number, 1)
        approved, target = PEOPLE[whom], PEOPLE[to]
        if owner in (approved, target):
            return
        self.do(kind, "approve", approved, ("token", number), by=owner)
        self.do(kind, "transferFrom", owner, target, ("token", number), by=(owner, approved)[how])
        self.ask(kind, "getApproved", number)
        self.do(kind, "transferFrom", target, owner, ("token", number), by=approved)

    @rule(kind=ALL_KINDS, whom=st.integers(0, 3), by=st.integers(0, 3), is_allowed=st.booleans())
    def approve_for_all(self, kind: str, whom: int, by: int, is_allowed: bool) -> None:
        """Somebody may move all tokens of another."""
        if whom != by:  # as above
            self.do(kind, "setApprovalForAll", PEOPLE[whom], is_allowed, by=PEOPLE[by])
            self.ask(kind, "isApprovedForAll", PEOPLE[by], PEOPLE[whom])

    # --- registries
    @rule(kind=ALL_KINDS, by=NUMBERS, what=st.sampled_from(["initialize", "setBaseURI", "setName"]), other=ALL_KINDS)
    def configure(self, kind: str, by: int, what: str, other: str) -> None:
        """What the owner of a registry decides."""
        forerunner = ZERO if by % 3 == 0 or kind == other else self.sides[0].registries[other].address
        arguments = {"initialize": (forerunner,), "setBaseURI": (f"uri {by}/",), "setName": (PEOPLE[1], "name")}[what]
        if not (what == "initialize" and self.ask(other, "initialized")):  # no registry may come before itself, over others
            self.do(kind, what, *arguments, by=PEOPLE[0] if by % 2 else PEOPLE[by % 4])
        for view in ("initialized", "previous", "baseURI", "owner", "name", "symbol"):
            self.ask(kind, view)

    @rule(kind=ALL_KINDS, by=NUMBERS, to=NUMBERS)
    def new_owner(self, kind: str, by: int, to: int) -> None:
        """A registry gets another owner, or none."""
        person = PEOPLE[0] if by % 2 else PEOPLE[by % 4]
        if to % 6 == 5:
            self.do(kind, "renounceOwnership", by=person)
        else:
            self.do(kind, "transferOwnership", (*PEOPLE, ZERO)[to % 5], by=person)
        self.ask(kind, "owner")

    # --- both
    def do(self, kind: str, function: str, *arguments: Any, by: str) -> bool:
        """Send to both registries; tells whether it was done."""
        return isinstance(self._compare(function, self._both(kind, function, arguments, by)), Receipt)

    def ask(self, kind: str, function: str, *arguments: Any) -> Any:
        """Ask both registries about anything, or about an entry by its number."""
        marks = [side.evm.mark() for side in self.sides]
        if function in ("ownerOf", "getApproved", "tokenURI", "isRegistered"):
            arguments = ((("token" if function != "isRegistered" else "entry"), arguments[0]),)
        outcomes = self._both(kind, function, arguments, NOBODY)
        for side, mark in zip(self.sides, marks, strict=True):
            side.evm.rewind(mark)
        ours = self._compare(function, outcomes)
        return None if isinstance(ours, RevertedError) else self.sides[0].registries[kind].answer(function, ours.output)[0]

    def _both(self, kind: str, function: str, arguments: tuple[Any, ...], by: str) -> list[Receipt | RevertedError]:
        found = []
        for number, side in enumerate(self.sides):
            registry = side.registries[kind]
            data = registry.data(function, *(self._concrete(item, number) for item in arguments))
            found.append(_outcome(side.evm, by, registry.address, data))
        return found

    def _call(self, side: Side, address: str, kind: str, getter: str) -> Receipt | RevertedError:
        mark = side.evm.mark()
        found = _outcome(side.evm, NOBODY, address, Contract(side.evm, "entry", address, kind).data(getter))
        side.evm.rewind(mark)
        return found

    def _concrete(self, item: Any, number: int) -> Any:
        if not isinstance(item, tuple):
            return item
        what, which = item
        address = self.entries[which % len(self.entries)][1][number] if self.entries and which != 999 else ZERO
        return address if what == "entry" else int(address, 16)

    def _compare(self, name: str, outcomes: list[Receipt | RevertedError]) -> Receipt | RevertedError:
        """Refusals are of two generations, texts there and errors here (poco-protocol.md 16.6); all else is the same."""
        ours, theirs = outcomes
        assert isinstance(ours, Receipt) == isinstance(theirs, Receipt), f"{name}: ours {ours}, the original {theirs}"
        if isinstance(ours, Receipt) and isinstance(theirs, Receipt):
            assert self._neutral(ours.output, 0) == self._neutral(theirs.output, 1), name
            assert self._logs(ours, 0) == self._logs(theirs, 1), name
        return ours

    def _logs(self, receipt: Receipt, number: int) -> list[tuple[object, ...]]:
        """Events with entries by number; that an approval ended with a transfer is said by the older build alone."""
        found = [
            (
                self._neutral(bytes.fromhex(log.address[2:]), number),
                *(self._neutral(topic, number) for topic in log.topics),
                self._neutral(log.data, number),
            )
            for log in receipt.logs
        ]
        is_transfer = any(log.topics[0] != APPROVAL for log in receipt.logs)
        return [entry for entry, log in zip(found, receipt.logs, strict=True) if not (is_transfer and log.topics[0] == APPROVAL)]

    def _neutral(self, data: bytes, number: int) -> bytes:
        for place, (_, addresses) in enumerate(self.entries):
            address = bytes.fromhex(addresses[number][2:])
            data = data.replace(address, place.to_bytes(20, "big"))
            decimal = str(int.from_bytes(address, "big")).encode()
            start = data.find(decimal)
            if start >= 0:  # a token's URI: the number's length differs too
                return data[64:start] + str(place).encode()
        return data

    def _token(self, which: int) -> tuple[str, int]:
        if not self.entries or which == 999:
            return KINDS[which % 3], 999
        number = which % len(self.entries)
        return self.entries[number][0], number

    def _owner(self, kind: str, number: int, sender: int) -> str:
        """The owner of a token, mostly."""
        registry = self.sides[0].registries[kind]
        try:
            owner = str(registry.read("ownerOf", self._concrete(("token", number), 0)))
        except RevertedError:
            owner = PEOPLE[0]
        return owner if sender % 4 else PEOPLE[sender % 3]


def _outcome(evm: Evm, sender: str, to: str, data: bytes) -> Receipt | RevertedError:
    try:
        return evm.send(sender, to, data)
    except RevertedError as error:
        return error
