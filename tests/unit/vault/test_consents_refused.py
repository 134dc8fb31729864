"""Our own routes over HTTP: each needs the consent of the right account, for this vault, in time, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import msgspec
import pytest

from tests.support.vault_scene import APP_SECRET, DATASET, DATASET_KEY, Scene, fresh_nonce, make_scene, wallet
from voisin.protocol.api import Problem
from voisin.protocol.codec import decode
from voisin.protocol.consent import CONSENT_HEADER, VaultId, give_consent, write_consent
from voisin.protocol.ids import TaskId, as_address
from voisin.protocol.orders import OrderKind
from voisin.protocol.secrets import (
    DELETE_ACT,
    LIST_ACT,
    PUSH_ACT,
    RELEASES_ACT,
    SecretEntry,
    SecretKind,
    SecretPage,
    SecretRef,
    SecretValue,
    delete_lines,
    push_lines,
)
from voisin.protocol.sessions import CHALLENGE_ACT, challenge_lines
from voisin.protocol.signatures import KeySigner
from voisin.units import UnixSeconds
from voisin.vault.api import create_app
from voisin.vault.settings import VaultSettings

pytestmark = pytest.mark.anyio

OWNER = wallet("dataset owner")
NAMED = SecretRef(SecretKind.NAMED, OWNER.address, "note")
VALUE = SecretValue("a value that nobody sees")


@dataclass(frozen=True)
class Route:
    """A route that needs a consent: how it is asked, what the consent says, whose it is, and what is there before."""

    method: str
    path: str
    act: str
    about: dict[str, str]
    body: bytes = b""
    before: SecretRef | None = None
    by: KeySigner = OWNER


def secret_path(ref: SecretRef) -> str:
    return f"/v1/secrets/{ref.kind}/{ref.holder}" + (f"?name={ref.name}" if ref.name else "")


TASK = TaskId("TASK")  # type: ignore[arg-type]  # filled in once there is one
BODY = VALUE.expose().encode()
ROUTES = {
    "push": Route("POST", secret_path(DATASET_KEY), PUSH_ACT, push_lines(DATASET_KEY, VALUE), BODY),
    "push named": Route("POST", secret_path(NAMED), PUSH_ACT, push_lines(NAMED, VALUE), BODY),
    "replace": Route("PUT", secret_path(NAMED), PUSH_ACT, push_lines(NAMED, VALUE), BODY, NAMED),
    "delete": Route("DELETE", secret_path(DATASET_KEY), DELETE_ACT, delete_lines(DATASET_KEY), before=DATASET_KEY),
    "list": Route("GET", f"/v1/secrets?owner={OWNER.address}", LIST_ACT, {}),
    "uses": Route("GET", f"/v1/releases?owner={OWNER.address}", RELEASES_ACT, {}),
    "challenge": Route("POST", "/v1/tasks/TASK/challenge", CHALLENGE_ACT, {"task": TASK}, by=wallet("scheduler")),
}
EVERY = pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)


class Desk:
    """A route of a vault, with everything ready for it."""

    def __init__(self, scene: Scene, http: httpx.AsyncClient, route: Route) -> None:
        self.scene = scene
        self.http = http
        self.task = scene.deal()
        self.route = placed(route, self.task)

    def header(self, *, by: KeySigner | None = None, vault: VaultId | None = None, ttl_s: int = 60, act: str = "", about: str = "") -> str:
        """Sign the route's consent, with changes."""
        until = UnixSeconds(int(self.scene.now[0]) + ttl_s)
        lines = self.route.about | ({"more": about} if about else {})
        consent = give_consent(
            by or self.route.by, vault or self.scene.vault.id, act or self.route.act, lines, nonce=fresh_nonce(), until=until
        )
        return write_consent(consent)

    async def ask(self, header: str | None) -> httpx.Response:
        """Ask with a consent, or without."""
        headers = {} if header is None else {CONSENT_HEADER: header}
        return await self.http.request(self.route.method, self.route.path, content=self.route.body, headers=headers)

    async def refuses(self, header: str | None, words: str, *, status: int = 403) -> None:
        """The answer is a problem that says why."""
        answer = await self.ask(header)
        problem = decode(answer.content, Problem, "the problem")
        assert (answer.status_code, problem.status) == (status, status), problem
        assert words in problem.detail + problem.hint, problem
        assert answer.headers["content-type"] == "application/problem+json"
        assert VALUE.expose() not in answer.text


def placed(route: Route, task: TaskId) -> Route:
    """Put a task into a route."""
    about = challenge_lines(task) if route.act == CHALLENGE_ACT else route.about
    return Route(route.method, route.path.replace("TASK", task), route.act, about, route.body, route.before, route.by)


@asynccontextmanager
async def desk(route: Route, settings: VaultSettings | None = None) -> AsyncIterator[Desk]:
    scene = await make_scene(settings or VaultSettings(allow_simulated=True))
    transport = httpx.ASGITransport(create_app(scene.vault))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://vault") as http:
        if route.before is not None:
            about = push_lines(route.before, SecretValue("before"))
            await scene.vault.safe.push(route.before, SecretValue("before"), scene.consent(OWNER, PUSH_ACT, about))
        yield Desk(scene, http, route)


@EVERY
async def test_owner_gets_it_once(route: Route) -> None:
    async with desk(route) as at:
        header = at.header()
        answer = await at.ask(header)
        assert answer.is_success, answer.text
        assert VALUE.expose() not in answer.text
        await at.refuses(header, "was used before", status=409)


@EVERY
async def test_wrong_consents(route: Route) -> None:
    async with desk(route) as at:
        here = at.scene.vault.id
        await at.refuses(None, "is missing")
        await at.refuses("0x12:0x34:5:0x6", "is malformed")
        await at.refuses(at.header(by=at.scene.stranger), "may not do that")
        await at.refuses(at.header(by=at.scene.stranger).replace(at.scene.stranger.address, at.route.by.address), "is not")
        await at.refuses(at.header(ttl_s=0), "ended at")
        await at.refuses(at.header(ttl_s=301), "more than 300 s from now")
        await at.refuses(at.header(vault=msgspec.structs.replace(here, chain_id=1)), "sign for vault")
        await at.refuses(at.header(vault=msgspec.structs.replace(here, hub=as_address("0x" + "cc" * 20))), "sign for vault")
        await at.refuses(at.header(vault=msgspec.structs.replace(here, vault=as_address("0x" + "cc" * 20))), "sign for vault")
        await at.refuses(at.header(act="do something else"), "sign for vault")
        await at.refuses(at.header(about="and more"), "sign for vault")
        signer, nonce, until, signature = at.header().split(":")
        await at.refuses(f"{signer}:{nonce}:{int(until) + 1}:{signature}", "sign for vault")
        await at.refuses(f"{signer}:{fresh_nonce()}:{until}:{signature}", "sign for vault")
        assert (await at.ask(f"{signer}:{nonce}:{until}:{signature}")).is_success  # none of these used the nonce up


async def test_consent_for_one_value_does_not_keep_another() -> None:
    async with desk(ROUTES["push"]) as at:
        header = at.header()
        answer = await at.http.post(at.route.path, content=b"another value", headers={CONSENT_HEADER: header})
        assert answer.status_code == 403
        other = SecretRef(SecretKind.NAMED, OWNER.address, "other")
        assert (await at.http.post(secret_path(other), content=BODY, headers={CONSENT_HEADER: header})).status_code == 403


async def test_new_owner_of_a_dataset_rules_over_its_key() -> None:
    async with desk(ROUTES["delete"]) as at:
        at.scene.ledger.owners[OrderKind.DATASET, DATASET] = at.scene.stranger.address
        await at.refuses(at.header(), "may not do that")
        answer = await at.ask(at.header(by=at.scene.stranger))
        assert answer.is_success
        assert decode(answer.content, SecretEntry, "the entry").pushed_by == OWNER.address


async def test_entry_in_no_registry() -> None:
    async with desk(ROUTES["push"]) as at:
        at.scene.ledger.owners.clear()
        await at.refuses(at.header(), "nobody may push its secret")


async def test_contract_that_owns_a_dataset() -> None:
    from voisin.protocol.consent import consent_digest, read_consent

    async with desk(ROUTES["push"]) as at:
        contract = as_address("0x" + "c0" * 20)
        at.scene.ledger.owners[OrderKind.DATASET, DATASET] = contract
        signer, nonce, until, _ = at.header().split(":")
        header = f"{contract}:{nonce}:{until}:0x1234"
        assert signer != contract
        await at.refuses(header, "is not")
        at.scene.ledger.approved.add((contract, consent_digest(at.scene.vault.id, at.route.act, at.route.about, read_consent(header))))
        assert (await at.ask(header)).status_code == 201


async def test_kinds_that_are_not_replaced_and_absent_ones() -> None:
    for ref, status in ((DATASET_KEY, 409), (NAMED, 404)):
        async with desk(Route("PUT", secret_path(ref), PUSH_ACT, push_lines(ref, VALUE), BODY)) as at:
            assert (await at.ask(at.header())).status_code == status
    async with desk(Route("DELETE", secret_path(NAMED), DELETE_ACT, delete_lines(NAMED))) as at:
        await at.refuses(at.header(), "there is no named secret note", status=404)
        assert (await at.http.get(secret_path(NAMED))).status_code == 404
    async with desk(Route("POST", secret_path(DATASET_KEY), PUSH_ACT, push_lines(DATASET_KEY, VALUE), BODY, DATASET_KEY)) as at:
        await at.refuses(at.header(), "there is a dataset secret of", status=409)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"/v1/secrets/spell/{OWNER.address}", "is no kind of secret"),
        ("/v1/secrets/named/0x12?name=x", "is not an address"),
        (f"/v1/secrets/named/{OWNER.address}", "name of a secret"),
        (f"/v1/secrets/requester/{OWNER.address}?name=a.b", "name of a secret"),
        (f"/v1/secrets/dataset/{DATASET}?name=x", "has no name"),
    ],
)
async def test_malformed_places(path: str, words: str) -> None:
    async with desk(Route("POST", path, PUSH_ACT, {}, BODY)) as at:
        await at.refuses(at.header(), words, status=400)


@pytest.mark.parametrize(("body", "status"), [(b"", 400), (b"x" * 4097, 400), (b"\xff", 400), (b"x" * 270_000, 413)])
async def test_values_that_are_none(body: bytes, status: int) -> None:
    async with desk(Route("POST", secret_path(DATASET_KEY), PUSH_ACT, {}, body)) as at:
        assert (await at.ask(at.header())).status_code == status


async def test_list_shows_names_of_the_owner_only() -> None:
    async with desk(ROUTES["list"]) as at:
        scene = at.scene
        refs = (
            (OWNER, DATASET_KEY),
            (OWNER, NAMED),
            (scene.app_owner, APP_SECRET),
            (OWNER, SecretRef(SecretKind.REQUESTER, OWNER.address, "b")),
        )
        for owner, ref in refs:
            await scene.vault.safe.push(ref, VALUE, scene.consent(owner, PUSH_ACT, push_lines(ref, VALUE)))
        answer = await at.ask(at.header())
        page = decode(answer.content, SecretPage, "the page")
        assert [(entry.kind, entry.name) for entry in page.secrets] == [("dataset", ""), ("named", "note"), ("requester", "b")]
        assert VALUE.expose() not in answer.text


async def test_who_asks_too_often() -> None:
    async with desk(ROUTES["challenge"], VaultSettings(allow_simulated=True, requests_per_s=0.001, request_burst=3)) as at:
        for _ in range(3):
            assert (await at.ask(at.header())).is_success
        await at.refuses(at.header(), "too many requests", status=429)
        assert (await at.http.post("/secrets/web3", content=b"x")).status_code == 429
        assert (await at.http.get("/v1/health")).is_success


async def test_line_breaks_cannot_add_lines() -> None:
    """A name with a line break would let one consent read as another."""
    from voisin.errors import InputError

    async with desk(ROUTES["list"]) as at:
        with pytest.raises(InputError, match="control character"):
            at.header(about="x\nsigner 0x00")
