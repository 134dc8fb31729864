"""What helps when the hub refuses something about a bag, by its reason (contracts/SPEC.md 18)."""

from __future__ import annotations

from typing import Final

BAG_HINTS: Final = {
    "settled-as-a-bag": "the deal's tasks are settled together: nothing is done for one of them on the chain",
    "not-a-bag": "the deal's tasks are settled one by one",
    "bad-window": "the deal's window is no number: nobody can post its bag; claim the deal at its deadline",
    "bag-posted": "the bag is posted, given back or claimed already",
    "unknown-bag": "this is not the bag that was posted, or it is settled, ended, or not settled yet",
    "bad-payouts": "list each worker once, in the order of the addresses",
    "payouts-too-high": "pay all workers together at most the price of the tasks that have a result",
    "window-open": "wait until the window has closed",
    "window-closed": "leaves are asked for before the window closes",
    "demand-open": "a leaf was asked for: wait until it is shown, or end the bag when it was not shown in time",
    "no-contradiction": "the leaf says what the receipt says",
    "enough-trust": "enough workers agree on this result",
    "right-count": "the results are counted rightly up to this task",
    "not-omitted": "the task has its leaf",
    "not-underpaid": "the bag pays the worker what it was told",
    "not-signed": "the scheduler (or one of the workers) has not signed this",
    "not-yours-to-ask": "only the requester, who pays, and who has a receipt for the task may ask for its leaf",
    "demanded": "this leaf was asked for already",
    "not-demanded": "nobody asked for this leaf, or it was shown, or its bond was given back",
    "not-ended": "bonds are given back when the bag has ended, or the leaf is shown",
    "no-leaves": "the deal was given back: it has no leaves",
    "proven": "this result is on the chain already",
    "no-result": "this task has no result",
    "not-the-result": "the callback data must be those of the result's digest",
    "not-the-payouts": "give the list of payouts that was posted",
    "no-root": "a bag needs the root of its leaves; give the deal back if there are none",
    "not-in-the-deal": "the index is not one of the deal's tasks",
    "not-neighbours": "show the leaf right before the other one",
    "not-scheduler": "only the owner of the deal's workerpool may do this",
    "too-many-demands": "enough leaves of this bag are asked for already",
    "too-many-done": "a deal has at most as many results as tasks",
    "too-early": "wait until the deadline",
    "too-late": "the deadline has passed",
    "proof": "the leaf does not lie under the posted root at its place",
}
