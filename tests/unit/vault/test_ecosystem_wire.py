"""
The wire of the protocol's own clients: every kind of secret, every status.

The signatures are made by a second writing of the specification's table, with another library's hash and keys.

Source: client-surface.md 4.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from eth_hash.auto import keccak

from tests.support.accounts import Signer, signer
from tests.support.vault_scene import APP, DATASET, Scene, make_scene
from voisin.protocol.ids import as_address
from voisin.protocol.orders import OrderKind
from voisin.protocol.secrets import DELETE_ACT, PUSH_ACT, SecretKind, SecretRef, SecretValue, delete_lines, push_lines
from voisin.protocol.signatures import KeySigner
from voisin.vault.api import create_app

pytestmark = pytest.mark.anyio

DOMAIN = keccak(b"IEXEC_SMS_DOMAIN")
OWNER, STRANGER = signer("owner"), signer("stranger")
RESULT_KEY = "iexec-result-encryption-public-key"


def raw(address: str) -> bytes:
    """An address as its 20 bytes."""
    return bytes.fromhex(address[2:])


def signed(by: Signer, *parts: bytes) -> dict[str, str]:
    """Sign a challenge as a wallet signs a message of 32 bytes."""
    return {"authorization": "0x" + by.sign_message(DOMAIN, *parts).hex(), "content-type": "text/plain"}


@dataclass(frozen=True)
class Kind:
    """How one kind of secret is spelled: its path, the middle of its challenge, and whether there is a PUT."""

    path: str
    about: tuple[bytes, ...]
    long: int = 413
    has_put: bool = False


KINDS = {
    "web3": Kind(f"/secrets/web3?secretAddress={DATASET}", (raw(DATASET),)),
    "web2": Kind(
        f"/secrets/web2?ownerAddress={OWNER.address}&secretName={RESULT_KEY}",
        (raw(OWNER.address), keccak(RESULT_KEY.encode())),
        has_put=True,
    ),
    "app": Kind(f"/apps/{APP}/secrets", (raw(APP), keccak(b"1"))),
    "requester": Kind(f"/requesters/{OWNER.address}/secrets/my-secret_1", (raw(OWNER.address), keccak(b"my-secret_1")), long=400),
}


@asynccontextmanager
async def wire() -> AsyncIterator[tuple[Scene, httpx.AsyncClient]]:
    """A vault and a connection to it; the app and the dataset are the owner's."""
    scene = await make_scene()
    for kind, entry in ((OrderKind.APP, APP), (OrderKind.DATASET, DATASET)):
        scene.ledger.owners[kind, entry] = as_address(OWNER.address)
    transport = httpx.ASGITransport(create_app(scene.vault))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://vault") as http:
        yield scene, http


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_pushed_once_and_found(kind: Kind) -> None:
    value = b"a secret with \xe2\x82\xac"
    async with wire() as (_, http):
        assert (await http.head(kind.path)).status_code == 404
        headers = signed(OWNER, *kind.about, keccak(value))
        answer = await http.post(kind.path, content=value, headers=headers)
        assert (answer.status_code, answer.content) == (204, b""), answer.text
        answer = await http.head(kind.path)
        assert (answer.status_code, answer.content) == (204, b"")
        answer = await http.post(kind.path, content=value, headers=headers)
        assert answer.status_code == 409
        assert answer.json()["data"] is None
        assert len(answer.json()["error"]) == 1
        assert b"a secret" not in answer.content


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_not_the_owner(kind: Kind) -> None:
    async with wire() as (_, http):
        for headers in (
            signed(STRANGER, *kind.about, keccak(b"x")),  # somebody else's signature
            signed(OWNER, *kind.about, keccak(b"y")),  # of another value
            signed(OWNER, b"\0", *kind.about, keccak(b"x")),  # of another matter
            {"authorization": "0x12"},
            {"authorization": "Bearer 0x" + "00" * 65},
            {},
        ):
            answer = await http.post(kind.path, content=b"x", headers=headers)
            assert answer.status_code == 401, answer.text
            assert answer.json()["data"] is None
        assert (await http.head(kind.path)).status_code == 404


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_too_long_or_nothing(kind: Kind) -> None:
    async with wire() as (_, http):
        for value, status in ((b"x" * 4097, kind.long), (b"x" * 270_000, 413), (b"", 400), (b"\xff\xfe", 400)):
            answer = await http.post(kind.path, content=value, headers=signed(OWNER, *kind.about, keccak(value)))
            assert answer.status_code == status, (len(value), answer.text)
        longest = "é".encode() * 2048
        assert (await http.post(kind.path, content=longest, headers=signed(OWNER, *kind.about, keccak(longest)))).status_code == 204


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_replacing(kind: Kind) -> None:
    async with wire() as (_, http):
        headers = signed(OWNER, *kind.about, keccak(b"new"))
        assert (await http.put(kind.path, content=b"new", headers=headers)).status_code == (404 if kind.has_put else 405)
        await http.post(kind.path, content=b"old", headers=signed(OWNER, *kind.about, keccak(b"old")))
        assert (await http.put(kind.path, content=b"new", headers=headers)).status_code == (204 if kind.has_put else 405)


async def test_old_signatures_bring_nothing_back() -> None:
    """The protocol's signatures count for ever; who kept one cannot undo a replacement or a deletion with it."""
    async with wire() as (scene, http):
        kind, ref = KINDS["web2"], SecretRef(SecretKind.NAMED, as_address(OWNER.address), RESULT_KEY)
        old, new = signed(OWNER, *kind.about, keccak(b"old")), signed(OWNER, *kind.about, keccak(b"new"))
        assert (await http.post(kind.path, content=b"old", headers=old)).status_code == 204
        assert (await http.put(kind.path, content=b"old", headers=old)).status_code == 204  # it has that value
        assert (await http.put(kind.path, content=b"new", headers=new)).status_code == 204
        answer = await http.put(kind.path, content=b"old", headers=old)
        assert answer.status_code == 409
        assert "had this value before" in answer.json()["error"][0]
        assert (await http.put(kind.path, content=b"new", headers=new)).status_code == 204
        owner = KeySigner(OWNER.key)
        await scene.vault.safe.delete(ref, scene.consent(owner, DELETE_ACT, delete_lines(ref)))
        for value, headers in ((b"old", old), (b"new", new)):
            assert (await http.post(kind.path, content=value, headers=headers)).status_code == 409
            assert (await http.head(kind.path)).status_code == 404
        value = SecretValue("old")
        await scene.vault.safe.push(ref, value, scene.consent(owner, PUSH_ACT, push_lines(ref, value)))  # a consent is new by itself
        assert (await http.head(kind.path)).status_code == 204


async def test_named_secrets_ignore_case_and_addresses_need_no_checksum() -> None:
    async with wire() as (scene, http):
        name, lower = RESULT_KEY.upper(), OWNER.address.lower()
        headers = signed(OWNER, raw(OWNER.address), keccak(name.encode()), keccak(b"v"))
        assert (await http.post(f"/secrets/web2?ownerAddress={lower}&secretName={name}", content=b"v", headers=headers)).status_code == 204
        assert (await http.head(KINDS["web2"].path)).status_code == 204
        ref = SecretRef(SecretKind.NAMED, as_address(OWNER.address), RESULT_KEY)
        assert await scene.vault.safe.entry(ref) is not None


@pytest.mark.parametrize(
    "path",
    [
        "/secrets/web3",
        "/secrets/web3?secretAddress=0x12",
        "/secrets/web2?ownerAddress=" + OWNER.address,
        f"/secrets/web2?ownerAddress={OWNER.address}&secretName=two%0Alines",
        f"/requesters/{OWNER.address}/secrets/with%20space",
        f"/requesters/{OWNER.address}/secrets/{'n' * 65}",
        "/requesters/somebody/secrets/name",
        "/apps/0xZZ/secrets",
    ],
)
async def test_malformed_places(path: str) -> None:
    async with wire() as (_, http):
        assert (await http.head(path)).status_code == 400
        answer = await http.post(path, content=b"x", headers=signed(OWNER, keccak(b"x")))
        assert answer.status_code == 400
        assert answer.json()["data"] is None


async def test_entry_that_is_in_no_registry_and_a_new_owner() -> None:
    async with wire() as (scene, http):
        del scene.ledger.owners[OrderKind.DATASET, DATASET]
        kind = KINDS["web3"]
        assert (await http.post(kind.path, content=b"k", headers=signed(OWNER, *kind.about, keccak(b"k")))).status_code == 401
        scene.ledger.owners[OrderKind.DATASET, DATASET] = as_address(STRANGER.address)
        assert (await http.post(kind.path, content=b"k", headers=signed(OWNER, *kind.about, keccak(b"k")))).status_code == 401
        assert (await http.post(kind.path, content=b"k", headers=signed(STRANGER, *kind.about, keccak(b"k")))).status_code == 204


async def test_pages_of_any_origin() -> None:
    async with wire() as (_, http):
        asked = {
            "origin": "https://page.example",
            "access-control-request-method": "PUT",
            "access-control-request-headers": "authorization",
        }
        answer = await http.options(KINDS["web2"].path, headers=asked)
        assert answer.status_code in (200, 204)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "authorization" in answer.headers["access-control-allow-headers"].lower()
        assert "PUT" in answer.headers["access-control-allow-methods"] or answer.headers["access-control-allow-methods"] == "*"


def test_values_hide() -> None:
    value = SecretValue("swordfish")
    assert "swordfish" not in f"{value} {value!r} {[value]}"
