"""Alerts of an owner: what a look makes news, once each; and a webhook that is trusted with nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from voisin.client.data.alerting import Alert, AlertKind, AlertRules, Look, OfferSeen, Seen, judge_look
from voisin.client.data.watching import read_alert_rules
from voisin.client.data.webhook import Webhook
from voisin.errors import InputError, UnavailableError
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, OrderHash, TaskId, as_address
from voisin.protocol.vault_terms import DataRefusal, DataUse
from voisin.units import NRLC, UnixSeconds

NOW = 1_800_000_000
DATASET, ANN, BOB = (as_address("0x" + f"{number}" * 40) for number in range(1, 4))
ORDER = OrderHash(Hash32("0x" + "0a" * 32))
ALL = AlertRules()


def name(number: int) -> Hash32:
    return Hash32(f"0x{number:064x}")


def use(number: int, at: int, who: Address = ANN) -> DataUse:
    return DataUse(
        id=number, at=UnixSeconds(at), dataset=DATASET, order_hash=ORDER, number=number, task_id=TaskId(name(number)),
        deal_id=DealId(name(0)), app=BOB, workerpool=BOB, requester=who, beneficiary=ZERO_ADDRESS, worker=BOB, price=NRLC(10**8),
        purpose="research", technology="simulated",
    )  # fmt: skip


def refusal(number: int, at: int) -> DataRefusal:
    return DataRefusal(
        id=number, at=UnixSeconds(at), dataset=DATASET, task_id=TaskId(name(number)), deal_id=DealId(name(0)), app=BOB, workerpool=BOB,
        requester=BOB, worker=BOB, reason="all 1 uses are taken",
    )  # fmt: skip


def offer(left: int, **changes: Any) -> OfferSeen:
    return OfferSeen(**{"order_hash": ORDER, "uses": 10, "left": left, "until": UnixSeconds(0), "revoked_at": UnixSeconds(0), **changes})


def look(at: int = NOW, **found: Any) -> Look:
    return Look(dataset=DATASET, at=UnixSeconds(at), **found)


def kinds(news: list[Alert]) -> list[str]:
    return [alert.kind.value for alert in news]


def settled(rules: AlertRules = ALL, **found: Any) -> Seen:
    return judge_look(rules, None, look(**found))[1]


def test_what_happened_before_the_first_look_is_no_news_and_what_is_so_is() -> None:
    news, seen = judge_look(ALL, None, look(uses=(use(1, NOW - 9),), refusals=(refusal(2, NOW - 9),), offers=(offer(0),)))
    assert kinds(news) == ["spent"]
    assert seen.renters == (ANN,)


def test_a_use_is_told_once_and_a_new_renter_too() -> None:
    seen = settled(uses=(use(1, NOW - 9),))
    later = look(NOW + 5, uses=(use(1, NOW - 9), use(2, NOW + 1), use(3, NOW + 2, BOB)))
    news, seen = judge_look(ALL, seen, later)
    assert [(alert.kind, alert.renter) for alert in news] == [("use", ANN), ("use", BOB), ("renter", BOB)]
    assert "for 0.1 RLC, for 'research'" in news[0].words
    assert judge_look(ALL, seen, later)[0] == []
    known = AlertRules(known_renters=(Address(BOB.lower()),))
    assert kinds(judge_look(known, settled(known, uses=(use(1, NOW - 9),)), later)[0]) == ["use", "use"]


def test_a_renter_who_uses_it_too_often() -> None:
    rules = AlertRules(tell=(AlertKind.RENTER,), uses_per_hour=2)
    uses = tuple(use(number, NOW + number) for number in range(1, 4))
    news, seen = judge_look(rules, settled(rules, uses=(use(9, NOW - 1),)), look(NOW + 9, uses=uses))
    assert [alert.words for alert in news] == [f"{ANN} used it 3 times in the last hour"]
    assert judge_look(rules, seen, look(NOW + 10, uses=uses))[0] == []
    assert judge_look(rules, seen, look(NOW + 4_000, uses=uses))[0] == []


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ({"offers": (offer(5),)}, "low"),
        ({"offers": (offer(0),)}, "spent"),
        ({"offers": (offer(9, until=UnixSeconds(NOW + 86_400)),)}, "ending"),
        ({"offers": (offer(0, revoked_at=UnixSeconds(NOW)),)}, "revoked"),
        ({"evidence_until": UnixSeconds(NOW + 86_400)}, "evidence"),
        ({"waiting": (use(1, NOW - 9),)}, "waiting"),
        ({"restored_at": UnixSeconds(NOW - 9)}, "restored"),
    ],
    ids=["low", "spent", "ending", "revoked", "evidence", "waiting", "restored"],
)
def test_what_is_so_is_told_when_it_begins(found: dict[str, Any], kind: str) -> None:
    news, seen = judge_look(ALL, settled(), look(NOW + 1, **found))
    assert kinds(news) == [kind]
    assert judge_look(ALL, seen, look(NOW + 2, **found))[0] == []
    _, over = judge_look(ALL, seen, look(NOW + 3))
    assert kinds(judge_look(ALL, over, look(NOW + 4, **found))[0]) == [kind]
    others = AlertRules(tell=tuple(each for each in AlertKind if each != kind))
    assert judge_look(others, settled(others), look(NOW + 1, **found))[0] == []


def test_what_is_far_away_is_no_news() -> None:
    far = UnixSeconds(NOW + 10**7)
    assert judge_look(ALL, settled(), look(NOW + 1, offers=(offer(6, until=far), offer(10)), evidence_until=far))[0] == []
    assert judge_look(ALL, settled(), look(NOW + 1, offers=(offer(3, uses=3),)))[0] == [], "three of three are not few left"


def test_refusals_are_told() -> None:
    (alert,), seen = judge_look(ALL, settled(), look(NOW + 1, refusals=(refusal(1, NOW + 1),)))
    assert (alert.kind, alert.renter, "all 1 uses are taken" in alert.words) == ("refused", BOB, True)
    assert msgspec.json.decode(msgspec.json.encode(seen), type=Seen) == seen


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"tell": ["everything"]}, "cannot be used"),
        ({"low_uses": -1}, "out of range"),
        ({"ends_within": "soon"}, "length of time"),
        ({"known_renters": ["0x12"]}, "not an address"),
        ({"mail": "me"}, "unknown field"),
    ],
)
def test_what_are_no_rules(given: dict[str, object], why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_alert_rules(given)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "alerts.example",
        "ftp://alerts.example",
        "http://alerts.example/x",
        "https://me:word@alerts.example",
        "https://",
        "https://a b",
        "https://x:99999999",
    ],
)
def test_what_is_no_webhook(url: str) -> None:
    with pytest.raises(InputError, match="webhook"):
        Webhook(url)


ALERT = Alert(kind=AlertKind.SPENT, at=UnixSeconds(NOW), dataset=DATASET, words="all spent", order=ORDER)


@pytest.mark.anyio
async def test_a_webhook_gets_the_alert_and_nothing_else() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(204)

    async with Webhook("https://alerts.example/token-of-mine", transport=httpx.MockTransport(answer)) as webhook:
        await webhook.post(ALERT)
    (request,) = asked
    assert json.loads(request.content) == {
        "kind": "spent", "at": NOW, "dataset": DATASET, "words": "all spent", "order": ORDER, "task_id": "", "renter": "",
    }  # fmt: skip
    assert not {"authorization", "cookie"} & {header.lower() for header in request.headers}


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "why"), [(302, "points elsewhere"), (500, "answers 500"), (404, "answers 404")])
async def test_a_webhook_that_leads_elsewhere_or_fails_is_said_without_its_address(status: int, why: str) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(status, headers={"location": "http://169.254.169.254/"})

    async with Webhook("https://alerts.example/token-of-mine", transport=httpx.MockTransport(answer)) as webhook:
        with pytest.raises(UnavailableError, match=why) as caught:
            await webhook.post(ALERT)
        assert "token-of-mine" not in str(caught.value) + repr(webhook)
    assert asked == ["alerts.example"]


@pytest.mark.anyio
async def test_a_webhook_that_does_not_answer() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("token-of-mine", request=request)

    async with Webhook("https://alerts.example/token-of-mine", transport=httpx.MockTransport(answer)) as webhook:
        with pytest.raises(UnavailableError, match="does not answer") as caught:
            await webhook.post(ALERT)
    assert "token-of-mine" not in str(caught.value)


def test_the_rules_of_the_how_to_are_rules(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "howto" / "rent-out-data.md").read_text()
    (tmp_path / "alerts.toml").write_text("#" + text.partition("```toml\n# alerts.toml")[2].partition("```")[0])
    assert read_alert_rules(tmp_path / "alerts.toml") == AlertRules(webhook="https://alerts.example/mine")
