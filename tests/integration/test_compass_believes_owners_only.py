"""The directory of pools: who gets in, who does not, and when a listing ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec
import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from voisin.index import IndexSettings, run_index
from voisin.index.facts import Places
from voisin.index.twin import TwinLedger
from voisin.protocol.api import Problem
from voisin.protocol.compass import PoolStatement, sign_statement, statement_digest
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address
from voisin.protocol.signatures import KeySigner
from voisin.service.serving import ASGIApp
from voisin.units import UnixSeconds

pytestmark = pytest.mark.anyio

HUB, OTHER_HUB = as_address("0x" + "11" * 20), as_address("0x" + "12" * 20)
POOL, OTHER_POOL = as_address("0x" + "a2" * 20), as_address("0x" + "b3" * 20)
DOMAIN = Domain(chain_id=31337, hub=HUB)
NOW = UnixSeconds(1_700_000_000)
DAY = 86_400
OWNER, THIEF = KeySigner(b"\1" * 32), KeySigner(b"\2" * 32)


@dataclass
class Desk:
    """An index on a twin of the chain, a client of it, and its clock."""

    chain: TwinLedger
    http: httpx.AsyncClient
    now: UnixSeconds = NOW

    async def announce(self, statement: PoolStatement, path: Address | None = None) -> httpx.Response:
        """Send a statement."""
        body = msgspec.json.encode(statement)
        return await self.http.put(f"/v1/workerpools/{path or statement.workerpool}", content=body)

    async def listed(self, pool: Address = POOL, chain_id: int = DOMAIN.chain_id) -> str | None:
        """Ask as the ecosystem's client does; None when nothing is known."""
        answer = await self.http.get(f"/{chain_id}/workerpools/{pool}")
        assert answer.headers["content-type"] == "application/json"
        if answer.status_code == 404:
            assert set(answer.json()) == {"error"}
            return None
        assert answer.status_code == 200
        (url,) = answer.json().values()
        assert list(answer.json()) == ["apiUrl"]
        return str(url)


def statement(
    url: str = "http://127.0.0.1:8547", *, by: KeySigner = OWNER, at: int = NOW, days: int = 1, **changes: object
) -> PoolStatement:
    """What an owner says, signed."""
    plain = PoolStatement(
        chain_id=DOMAIN.chain_id, hub=HUB, workerpool=POOL, api_url=url, issued_at=UnixSeconds(at), expires_at=UnixSeconds(at + days * DAY)
    )
    return sign_statement(msgspec.structs.replace(plain, **changes), by)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """An index whose chain has one workerpool."""
    chain = TwinLedger(DOMAIN, Places(HUB, *(as_address(f"0x{number:040x}") for number in range(1, 5))))
    chain.owners[POOL] = OWNER.address
    settings = IndexSettings(hub=HUB, database_url=f"sqlite:///{tmp_path / 'index.sqlite'}")
    desks: list[Desk] = []
    async with run_index(settings, chain, clock=lambda: desks[0].now) as index:
        app: ASGIApp = index.app
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://index") as http:
            desks.append(Desk(chain, http))
            yield desks[0]


def refused(answer: httpx.Response, status: int, word: str) -> None:
    """See that a statement was refused, and why."""
    problem = msgspec.json.decode(answer.content, type=Problem)
    assert (answer.status_code, problem.status) == (status, status), problem
    assert word in problem.detail, problem


async def test_an_owner_is_believed(desk: Desk) -> None:
    """What the owner signed is answered, to the ecosystem's client and whole to ours."""
    assert await desk.listed() is None
    said = statement()
    assert (await desk.announce(said)).status_code == 200
    assert await desk.listed() == "http://127.0.0.1:8547"
    shown = await desk.http.get(f"/v1/workerpools/{POOL}")
    assert msgspec.json.decode(shown.content, type=PoolStatement) == said


def test_wallets_sign_what_we_hash() -> None:
    """Any wallet's typed-data signature is the one that we make: the statement written a second time, for another library."""
    said = statement()
    typed = {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "PoolStatement": [
                {"name": "workerpool", "type": "address"},
                {"name": "apiUrl", "type": "string"},
                {"name": "issuedAt", "type": "uint256"},
                {"name": "expiresAt", "type": "uint256"},
            ],
        },
        "primaryType": "PoolStatement",
        "domain": {"name": "Voisin compass", "version": "1", "chainId": 31337, "verifyingContract": HUB},
        "message": {"workerpool": POOL, "apiUrl": "http://127.0.0.1:8547", "issuedAt": NOW, "expiresAt": NOW + DAY},
    }
    assert "0x" + Account.sign_message(encode_typed_data(full_message=typed), b"\1" * 32).signature.hex() == said.sign


@pytest.mark.parametrize(
    ("said", "status", "word"),
    [
        (statement(by=THIEF), 403, "not signed by"),
        (msgspec.structs.replace(statement(), api_url="http://thief.example"), 403, "not signed by"),
        (msgspec.structs.replace(statement(), sign="0x"), 403, "not signed by"),
        (statement(chain_id=1), 403, "chain 1"),
        (statement(hub=OTHER_HUB), 403, OTHER_HUB),
        (statement(at=NOW - 2 * DAY), 403, "expired"),
        (statement(at=NOW + 3600), 403, "but it is"),
        (statement(days=31), 400, "at most"),
        (statement(days=-1), 400, "before it is issued"),
        (statement(workerpool=OTHER_POOL), 400, "registry"),
    ],
)
async def test_others_are_not_believed(desk: Desk, said: PoolStatement, status: int, word: str) -> None:
    """A statement of somebody else, changed, for another chain or hub, too old, from the future or for too long changes nothing."""
    assert (await desk.announce(statement("http://good.example", at=NOW - 10))).status_code == 200
    refused(await desk.announce(said), status, word)
    assert await desk.listed() == "http://good.example"


async def test_the_newest_statement_counts(desk: Desk) -> None:
    """A newer statement replaces an older one, which is refused from then on; the newest may come twice."""
    older, newer = statement("http://old.example", at=NOW - 10), statement("http://new.example", at=NOW - 5)
    assert (await desk.announce(older)).status_code == 200
    assert (await desk.announce(newer)).status_code == 200
    refused(await desk.announce(older), 409, "not newer")
    refused(await desk.announce(statement("http://other.example", at=NOW - 5)), 409, "not newer")
    assert (await desk.announce(newer)).status_code == 200
    assert await desk.listed() == "http://new.example"


async def test_a_listing_ends_with_its_time(desk: Desk) -> None:
    """An expired statement is not answered any more."""
    assert (await desk.announce(statement())).status_code == 200
    desk.now = UnixSeconds(NOW + DAY)
    assert await desk.listed() is None


async def test_a_listing_ends_with_the_ownership(desk: Desk) -> None:
    """A sold workerpool is where its new owner says, and a seller's newer statement does not count."""
    assert (await desk.announce(statement("http://seller.example"))).status_code == 200
    desk.chain.owners[POOL] = THIEF.address
    assert await desk.listed() is None
    refused(await desk.announce(statement("http://seller.example", at=NOW + 1)), 403, "not signed by")
    assert (await desk.announce(statement("http://buyer.example", by=THIEF, at=NOW + 1))).status_code == 200
    assert await desk.listed() == "http://buyer.example"
    del desk.chain.owners[POOL]
    assert await desk.listed() is None


async def test_a_statement_is_for_its_own_path(desk: Desk) -> None:
    """A statement sent to another workerpool's path is refused."""
    refused(await desk.announce(statement(), path=OTHER_POOL), 400, str(POOL))


BAD_URLS = ("ftp://x", "http://", "//x", "http://u:p@x", "http://x?q", "http://x#f", "http://x y", "http://é", "http://" + "x" * 3000)
BAD_PATHS = (f"/1/workerpools/{POOL}", "/31337/workerpools/0x12", f"/x/workerpools/{POOL}", f"/31337/workerpools/{ZERO_ADDRESS}")


@pytest.mark.parametrize("url", BAD_URLS)
async def test_only_plain_addresses_are_listed(desk: Desk, url: str) -> None:
    """What is not an http address, or hides a password, is refused before anything else."""
    body = msgspec.json.encode(msgspec.json.decode(msgspec.json.encode(statement())) | {"api_url": url})
    answer = await desk.http.put(f"/v1/workerpools/{POOL}", content=body)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("path", BAD_PATHS)
async def test_what_is_unknown_is_not_found(desk: Desk, path: str) -> None:
    """Other chains, malformed addresses and unknown workerpools are 404 with JSON."""
    assert (await desk.announce(statement())).status_code == 200
    answer = await desk.http.get(path)
    assert answer.status_code == 404
    assert set(answer.json()) == {"error"}


async def test_pages_of_other_origins_may_ask(desk: Desk) -> None:
    """A browser's client is let in, its preflight too."""
    answer = await desk.http.get(f"/31337/workerpools/{POOL}", headers={"Origin": "https://explorer.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    asked = {"Origin": "https://x.example", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    preflight = await desk.http.options(f"/31337/workerpools/{POOL}", headers=asked)
    assert preflight.status_code == 204
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()


def test_each_field_is_signed() -> None:
    """No field of a statement can be changed without changing what is signed."""
    said = statement()
    changed = [statement(chain_id=1), statement(hub=OTHER_HUB), statement(workerpool=OTHER_POOL), statement("http://x"), statement(at=1)]
    changed.append(statement(days=2))
    assert len({statement_digest(each) for each in (said, *changed)}) == 7
