"""A deal of four tasks, honest leaves of it, and the bag that a scheduler would post."""

from __future__ import annotations

from collections.abc import Sequence

from voisin.client.bags.story import BagStory
from voisin.protocol.bag_settlement import NO_RESULT, Leaf, PostedBag, in_order, leaf_hash, pack_payouts
from voisin.protocol.events import BagPosted
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, DealId, Hash32, as_address, to_hex
from voisin.protocol.merkle import ZERO_NODE, MerkleTree
from voisin.protocol.records import Deal, Resource
from voisin.protocol.tags import NO_TAG
from voisin.units import NRLC, UnixSeconds

DEAL_ID = DealId(Hash32("0x" + "d0" * 32))
HUB, ME, POOL_OWNER, STRANGER = (as_address("0x" + f"{number:040x}") for number in (101, 102, 103, 104))
WORKERS = in_order(as_address("0x" + f"{number:040x}") for number in range(1, 41))
DIGEST, OTHER = Hash32("0x" + "ab" * 32), Hash32("0x" + "cd" * 32)
FIRST, VOLUME, WINDOW_S, POSTED_AT = 3, 4, 100, 1_000
PRICE = NRLC(10)


def _owned(number: int, price: int) -> Resource:
    return Resource(as_address("0x" + f"{number:040x}"), POOL_OWNER, NRLC(price))


DEAL = Deal(
    app=_owned(201, 1),
    dataset=Resource(ZERO_ADDRESS, ZERO_ADDRESS, NRLC(0)),
    workerpool=_owned(202, PRICE),
    trust=3,
    category=0,
    tag=NO_TAG,
    requester=ME,
    beneficiary=ME,
    callback=ZERO_ADDRESS,
    params='{"voisin_window":"000100"}',
    start_time=UnixSeconds(500),
    bot_first=FIRST,
    bot_size=VOLUME,
    worker_stake=NRLC(3),
    scheduler_reward_ratio=1,
    sponsor=ME,
)


def honest(missing: Sequence[int] = ()) -> list[Leaf]:
    """Leaves on which two workers agree; the tasks `missing` have no result."""
    done, leaves = 0, []
    for index in range(FIRST, FIRST + VOLUME):
        has = index not in missing
        done += has
        agreed = WORKERS[:2] if has else ()
        leaves.append(Leaf(index=index, digest=DIGEST if has else NO_RESULT, location=ZERO_HASH, done=done, agreed=agreed))
    return leaves


def posted(leaves: Sequence[Leaf], *, done: int | None = None) -> PostedBag:
    """The bag over some leaves; places left over at the end are empty."""
    hashes = [leaf_hash(leaf) for leaf in leaves]
    root = Hash32(to_hex(MerkleTree([*hashes, *[ZERO_NODE] * (VOLUME - len(hashes))]).root))
    count = leaves[-1].done if done is None else done
    when, until = UnixSeconds(POSTED_AT), UnixSeconds(POSTED_AT + WINDOW_S)
    return PostedBag(DEAL_ID, root, OTHER, pack_payouts({WORKERS[0]: NRLC(5)}), count, when, until)


def told(bag: PostedBag) -> BagStory:
    """The story of a bag that was just posted."""
    story = BagStory(DEAL_ID, WINDOW_S)
    story.apply(BagPosted(DEAL_ID, bag.root, bag.leaves, bag.done, bag.deadline, bag.payouts))
    assert story.posted == bag
    return story
