"""One event under work: where it stands, and what every event does to the records."""

from __future__ import annotations

from voisin.errors import StateError
from voisin.index.draft import Draft, Row, Value
from voisin.index.facts import Facts, Places
from voisin.index.poco import PROTOCOL_ID
from voisin.protocol.events import Logged
from voisin.protocol.ids import Address
from voisin.units import UnixSeconds

_FRESH_ACCOUNT: Row = {"balance": 0, "frozen": 0, "score": 0}
_FRESH_PROTOCOL: Row = {
    **dict.fromkeys(("categoriesCount", "appsCount", "datasetsCount", "workerpoolsCount"), 0),
    **dict.fromkeys(("dealsCount", "tasksCount", "completedTasksCount", "claimedTasksCount", "tvl"), 0),
}


class Scene:
    """
    The stage of one event.

    Attributes:
        draft: The records.
        facts: What the chain answered.
        places: Which contract is which.
    """

    def __init__(self, draft: Draft, facts: Facts, places: Places, logged: Logged) -> None:
        """
        Args:
            draft: The records.
            facts: What the chain answered.
            places: Which contract is which.
            logged: The event.
        """
        self.draft = draft
        self.facts = facts
        self.places = places
        self.logged = logged

    @property
    def time(self) -> UnixSeconds:
        """When it happened."""
        return self.facts.times[self.logged.block]

    def event(self, kind: str, **fields: Value) -> None:
        """Record an event."""
        row: Row = {"transaction": self.transaction(), "timestamp": self.time, **fields}
        self.draft.put(kind, f"{self.logged.block}-{self.logged.log_index}", row)

    def transaction(self) -> str:
        """Record the transaction that caused the event, unless an earlier event did; answers its id."""
        name = self.logged.tx_hash
        if not self.draft.is_put("Transaction", name):
            found = self.facts.transactions[name]
            row: Row = {
                "from": self.account(found.sender),
                "to": None if found.recipient is None else self.account(found.recipient),
                "value": found.value,
                "gasLimit": found.gas_limit,
                "gasUsed": found.gas_used,
                "gasPrice": found.gas_price,
                "timestamp": self.time,
                "blockNumber": self.logged.block,
            }
            self.draft.put("Transaction", name, row)
        return name

    def account(self, address: Address, *, balance: int = 0, frozen: int = 0, score: int | None = None) -> str:
        """
        See that an account is recorded, and change it; answers its id.

        Args:
            address: Whose it is.
            balance: What is added to its free money [nRLC].
            frozen: What is added to its locked money [nRLC].
            score: Its new score.
        """
        name = address.lower()
        known = self.draft.find("Account", name)
        row = dict(known or _FRESH_ACCOUNT)
        row["balance"] = self.sum_of(row["balance"], balance)
        row["frozen"] = self.sum_of(row["frozen"], frozen)
        row["score"] = row["score"] if score is None else score
        if row != known:
            self.draft.put("Account", name, row)
        return name

    def score(self, worker: Address) -> int:
        """Tell a worker's score."""
        row = self.draft.find("Account", worker.lower()) or _FRESH_ACCOUNT
        score = row["score"]
        assert isinstance(score, int)
        return score

    def count(self, **changes: int) -> None:
        """Change the totals of the protocol."""
        row = self.draft.find("Protocol", PROTOCOL_ID) or dict(_FRESH_PROTOCOL)
        for name, change in changes.items():
            row[name] = self.sum_of(row[name], change)
        self.draft.put("Protocol", PROTOCOL_ID, row)

    def sum_of(self, before: Value, change: int) -> int:
        """
        Add to a number in the records.

        Raises:
            StateError: It would fall below zero: the records begin after the hub's first event.
        """
        assert isinstance(before, int)
        if before + change < 0 and not self.draft.missing:
            raise StateError("the records miss the hub's first events", hint="give the block in which the hub was deployed as start_block")
        return max(before + change, 0)
