"""Terms of use at each release: every condition is broken once, in one thing only, and nothing goes out; kept, the key does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import pytest

from tests.support.terms_scene import CODE, DATA, KEY, TermsScene, make_terms_scene, terms_of
from tests.support.vault_scene import APP, DATASET, POOL, START, wallet
from voisin.errors import StateError, TrustError
from voisin.protocol.data_terms import EnclaveLevel, Privacy, Review, Subscription
from voisin.protocol.eip712 import order_hash
from voisin.protocol.ids import Hash32, as_address
from voisin.protocol.orders import OrderKind
from voisin.protocol.params import DealParams
from voisin.protocol.records import Resource
from voisin.protocol.vault_terms import TermsPush
from voisin.units import NRLC, UnixSeconds
from voisin.vault.machine import TermsError
from voisin.vault.safe import AbsentError

pytestmark = pytest.mark.anyio

GROUP = as_address("0x" + "9a" * 20)
OTHER = as_address("0x" + "77" * 20)
RENTER = wallet("requester").address
OTHER_POOL = Resource(OTHER, wallet("scheduler").address, NRLC(3))


@dataclass(frozen=True)
class Row:
    """A condition: the terms, what keeps them, what breaks them, and the words of the refusal."""

    terms: dict[str, object]
    words: str
    kept: dict[str, object] = field(default_factory=dict)
    broken: dict[str, object] = field(default_factory=dict)
    keep: Callable[[TermsScene], object] = lambda _scene: None
    spoil: Callable[[TermsScene], object] = lambda _scene: None


def member(group: str, account: str) -> Callable[[TermsScene], object]:
    return lambda given: given.scene.ledger.members.add((as_address(group), as_address(account)))


def no_member(given: TermsScene) -> None:
    given.scene.ledger.members.clear()


def later(seconds: int) -> Callable[[TermsScene], object]:
    def move(given: TermsScene) -> None:
        given.scene.now[0] = START + seconds

    return move


def other_code(given: TermsScene) -> None:
    given.scene.ledger.checksums[OrderKind.APP, APP] = Hash32("0x" + "bb" * 32)


ROWS = {
    "before its time": Row({"not_before": START + 100}, "may be used from", keep=later(100), spoil=later(99)),
    "after its time": Row({"until": START + 100}, "might be used until", keep=later(99), spoil=later(100)),
    "app swapped after approval": Row({"apps": (CODE,)}, "the app's code", spoil=other_code),
    "another pool": Row({"pools": (POOL,)}, "the workerpool", broken={"workerpool": OTHER_POOL}),
    "pool out of the group": Row({"pools": (GROUP,)}, "the workerpool", keep=member(GROUP, POOL), spoil=no_member),
    "another requester": Row({"requesters": (RENTER,)}, "the requester", broken={"requester": OTHER}),
    "requester out of the group": Row({"requesters": (GROUP,)}, "the requester", keep=member(GROUP, RENTER), spoil=no_member),
    "gate shut": Row({"gate": GROUP}, "does not let in", keep=member(GROUP, RENTER), spoil=no_member),
    "subscription ended": Row(
        {"gate": GROUP, "subscription": Subscription(price=NRLC(1), period_s=60)},
        "no paid period",
        keep=member(GROUP, RENTER),
        spoil=no_member,
    ),
    "another purpose": Row(
        {"purposes": ("research",)},
        "signed the purpose 'advertising'",
        kept={"params": DealParams(voisin_purpose="research")},
        broken={"params": DealParams(voisin_purpose="advertising")},
    ),
    "no purpose": Row({"purposes": ("research",)}, "signed no purpose", kept={"params": DealParams(voisin_purpose="research")}),
    "played enclave": Row({"min_enclave": EnclaveLevel.HARDWARE}, "the enclave is simulated"),
    "told by a callback": Row({"review": Review.OWNER}, "callback would tell", broken={"callback": OTHER}),
    "several enclaves": Row({}, "one enclave gets the key", broken={"trust": 2}),
}
NEVER_KEPT = {"played enclave"}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_broken_condition_gets_nothing(row: Row, request: pytest.FixtureRequest) -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of(**row.terms))
    if request.node.callspec.id not in NEVER_KEPT:
        row.keep(given)
        (task,) = given.deal(entry.order_hash, **row.kept)
        assert (await given.open(task)).dataset_key == KEY
    row.spoil(given)
    (task,) = given.deal(entry.order_hash, **(row.broken or ({} if "params" in row.kept else row.kept)))
    with pytest.raises(TermsError, match=row.words):
        await given.open(task)
    assert task not in {use.task_id for use in await given.uses()}
    (refusal,) = await given.refusals()
    assert (refusal.task_id, row.words in refusal.reason) == (task, True)


async def test_enclave_learns_the_terms_and_the_checksums() -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of(max_output_bytes=1_000, purposes=("research",)))
    (task,) = given.deal(entry.order_hash, params=DealParams(voisin_purpose="research"))
    opened = await given.open(task)
    assert opened.terms == entry.terms
    assert (opened.purpose, opened.app_checksum, opened.dataset_checksum, opened.hold_key) == ("research", CODE, DATA, "")


async def test_uses_are_numbered_by_the_chain() -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of(uses=5))
    other = await given.push(terms_of(uses=1))
    first = given.deal(entry.order_hash, size=3)
    given.deal(other.order_hash)
    second = given.deal(entry.order_hash, size=3, bot_first=7)
    for task in (second[1], first[2], first[0]):  # in any order, and whether earlier ones were ever run
        await given.open(task)
    with pytest.raises(TermsError, match="all 5 uses are taken: this would be number 6"):
        await given.open(second[2])
    assert {use.task_id: use.number for use in await given.uses()} == {second[1]: 4, first[2]: 2, first[0]: 0}


async def test_uses_of_each_renter_are_counted() -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of(uses_per_renter=2))
    mine = given.deal(entry.order_hash, size=2)
    theirs = given.deal(entry.order_hash, size=1, requester=OTHER)
    again = given.deal(entry.order_hash, size=1)
    for task in (*mine, *theirs):
        await given.open(task)
    with pytest.raises(TermsError, match="number 3 of theirs"):
        await given.open(again[0])


async def test_privacy_budget_of_a_renter_lasts_over_all_orders_of_the_data() -> None:
    given = await make_terms_scene()
    budget = Privacy(query_micro=400_000, renter_micro=1_000_000)
    entry, other = await given.push(terms_of(privacy=budget)), await given.push(terms_of(privacy=budget))
    first, second = given.deal(entry.order_hash), given.deal(other.order_hash)
    third, fourth = given.deal(other.order_hash), given.deal(other.order_hash, requester=OTHER)
    for (task,) in (first, second, fourth):
        await given.open(task)
    with pytest.raises(TermsError, match=r"budget of 1 does not suffice: 0\.8 of it is spent"):
        await given.open(third[0])


async def test_data_with_terms_is_never_released_without_them() -> None:
    given = await make_terms_scene()
    await given.push(terms_of())
    (task,) = given.deal(None)
    with pytest.raises(TermsError, match="the deal is of an order that has none here"):
        await given.open(task)


async def test_orders_are_found_when_the_chain_is_another_one() -> None:
    """A chain that was reset, or reorganised, is read again from where the orders began."""
    given = await make_terms_scene()
    entry = await given.push(terms_of(uses=1))
    lost, ledger = given.deal(entry.order_hash), given.scene.ledger
    await given.open(lost[0])
    ledger.branch, ledger.blocks = b"other", []
    (task,) = given.deal(entry.order_hash)
    await given.open(task)
    (beyond,) = given.deal(entry.order_hash)
    with pytest.raises(TermsError, match="all 1 uses are taken"):
        await given.open(beyond)


async def test_use_stands_in_the_owners_ledger() -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of(purposes=("research",)))
    (task,) = given.deal(entry.order_hash, params=DealParams(voisin_purpose="research"))
    await given.open(task)
    (use,) = await given.uses()
    scene = given.scene
    assert (use.dataset, use.order_hash, use.task_id, use.price, use.purpose) == (DATASET, entry.order_hash, task, 2, "research")
    assert (use.requester, use.worker, use.app) == (scene.requester.address, scene.worker.address, APP)
    assert (use.technology, use.at) == ("simulated", START)
    assert await given.uses(since=START + 1) == ()


# --- pushing and revoking


async def test_pushing_is_the_owners() -> None:
    given = await make_terms_scene()
    terms = terms_of()
    with pytest.raises(TrustError, match="is not signed by"):
        await given.push(terms, by=given.scene.stranger)
    with pytest.raises(TrustError, match="may not do that"):
        await given.push(terms, by=given.scene.stranger, sign="0x")
    with pytest.raises(TrustError, match="does not commit"):
        await given.push(terms, salt=Hash32("0x" + "11" * 32))
    with pytest.raises(StateError, match="none came along"):
        await given.push(terms, key="")
    await given.push(terms)
    await given.push(terms_of(), key="")
    with pytest.raises(TrustError, match="may not do that"):
        await given.revoke(by=given.scene.stranger)


async def test_consent_to_one_push_is_of_no_use_for_another() -> None:
    given = await make_terms_scene()
    strict, loose = terms_of(uses=1), terms_of()
    pushed = TermsPush(order=given.order(strict), terms=strict, key=KEY)
    other = TermsPush(order=given.order(loose), terms=loose, key=KEY)
    consent = given.consent_to(pushed)
    with pytest.raises(TrustError, match="the signature is not"):
        await given.scene.vault.terms.push(DATASET, other, consent)
    await given.scene.vault.terms.push(DATASET, pushed, consent)
    with pytest.raises(StateError, match="used before"):
        await given.scene.vault.terms.push(DATASET, pushed, consent)


async def test_orders_are_shown_without_what_makes_them_deals() -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of())
    shown = await given.scene.vault.terms.entry(entry.order_hash)
    assert shown == entry
    assert shown.order.sign == "0x"
    with pytest.raises(AbsentError):
        await given.scene.vault.terms.entry(type(entry.order_hash)("0x" + "00" * 32))


async def test_order_that_was_used_before_its_terms_came() -> None:
    given = await make_terms_scene()
    terms = terms_of(uses=1)
    name = order_hash(given.order(terms), given.scene.ledger.domain)
    given.deal(name)
    with pytest.raises(StateError, match="was used, or closed, before"):
        await given.push(terms)


async def test_revoked_order_is_gone_for_good() -> None:
    given = await make_terms_scene()
    terms = terms_of()
    entry, other = await given.push(terms), await given.push(terms_of())
    (gone,) = await given.revoke(entry.order_hash)
    assert gone.revoked_at == START
    (task,), (kept,) = given.deal(entry.order_hash), given.deal(other.order_hash)
    with pytest.raises(TermsError, match="the owner revoked"):
        await given.open(task)
    await given.open(kept)
    with pytest.raises(StateError, match="is revoked"):
        await given.push(terms)
    assert {each.order_hash for each in await given.revoke()} == {entry.order_hash, other.order_hash}
    with pytest.raises(AbsentError):
        await given.revoke("0x" + "00" * 32)


async def test_order_closed_on_the_chain_is_revoked() -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of())
    first, second = given.deal(entry.order_hash, size=2)
    await given.open(first)
    given.scene.ledger.close(entry.order_hash)
    with pytest.raises(TermsError, match="the owner revoked"):
        await given.open(second)


async def test_result_key_waits_for_the_release() -> None:
    given = await make_terms_scene()
    entry = await given.push(terms_of(review=Review.OWNER))
    (task,) = given.deal(entry.order_hash)
    assert len((await given.open(task)).hold_key) == 66
    assert msgspec.structs.asdict(await given.scene.vault.held.show(task)) == {
        "task_id": task,
        "is_held": True,
        "released_at": UnixSeconds(0),
    }
