"""Who reads logs: refused are signatures that were used, have ended, are for another chain, pool or task, or are not the requester's."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from msgspec.structs import replace

from voisin.errors import TrustError, VoisinError
from voisin.pool.chain.twin import TWIN_DOMAIN, TwinLedger
from voisin.pool.database.memory import MemoryStore
from voisin.pool.running.readers import MAX_CHALLENGES_OF_ONE, ForbiddenError, Readers
from voisin.protocol.challenges import challenge_data, challenge_digest
from voisin.protocol.consent import Consent
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, Hash32, TaskId, as_address, to_hex
from voisin.protocol.log_access import MAX_VALID_S, sign_log_access
from voisin.protocol.signatures import KeySigner
from voisin.units import UnixSeconds

pytestmark = pytest.mark.anyio

NOW = UnixSeconds(1_000_000)
POOL = as_address("0x" + "a1" * 20)
TASK = TaskId(Hash32("0x" + "01" * 32))
REQUESTER, STRANGER = KeySigner(b"\x11" * 32), KeySigner(b"\x22" * 32)
CHAIN = TWIN_DOMAIN.chain_id


def readers() -> Readers:
    return Readers(TwinLedger(lambda: float(NOW)), MemoryStore(), POOL, challenge_s=100)


def answer(data: dict[str, Any], wallet: KeySigner, *, address: Address | None = None) -> str:
    """Sign a challenge as the ecosystem's client does, by another implementation of typed data."""
    message = encode_typed_data(full_message=data)
    signed = Account.sign_message(message, wallet.expose_key())
    digest = challenge_digest(data["domain"]["name"], data["message"]["challenge"], data["domain"]["chainId"])
    assert to_hex(signed.message_hash) == digest
    return f"{digest}_{to_hex(signed.signature)}_{address or wallet.address}"


async def test_a_signed_challenge_is_good_once() -> None:
    door = readers()
    header = answer(door.challenge(REQUESTER.address, CHAIN, now=NOW), REQUESTER)
    await door.by_challenge(header, REQUESTER.address, now=NOW + 99)
    with pytest.raises(TrustError, match="unknown, expired or used"):
        await door.by_challenge(header, REQUESTER.address, now=NOW + 99)


async def test_challenges_end() -> None:
    door = readers()
    header = answer(door.challenge(REQUESTER.address, CHAIN, now=NOW), REQUESTER)
    with pytest.raises(TrustError, match="expired"):
        await door.by_challenge(header, REQUESTER.address, now=NOW + 100)


async def test_a_challenge_of_another_chain_or_service_is_none() -> None:
    door = readers()
    with pytest.raises(TrustError, match="chain"):
        door.challenge(REQUESTER.address, 1, now=NOW)
    text = door.challenge(REQUESTER.address, CHAIN, now=NOW)["message"]["challenge"]  # type: ignore[index]
    for foreign in (challenge_data("iExec Core", text, 1), challenge_data("iExec Gateway", text, CHAIN)):
        with pytest.raises(TrustError, match="unknown"):
            await door.by_challenge(answer(foreign, REQUESTER), REQUESTER.address, now=NOW)


async def test_a_stranger_reads_nothing() -> None:
    door = readers()
    for_stranger = door.challenge(STRANGER.address, CHAIN, now=NOW)
    with pytest.raises(ForbiddenError):
        await door.by_challenge(answer(for_stranger, STRANGER), REQUESTER.address, now=NOW)
    for_requester = door.challenge(REQUESTER.address, CHAIN, now=NOW)
    with pytest.raises(TrustError, match="not signed by that address"):
        await door.by_challenge(answer(for_requester, STRANGER, address=REQUESTER.address), REQUESTER.address, now=NOW)
    with pytest.raises(TrustError, match="unknown"):
        await door.by_challenge(answer(for_requester, STRANGER), REQUESTER.address, now=NOW)
    await door.by_challenge(answer(for_requester, REQUESTER), REQUESTER.address, now=NOW)


@pytest.mark.parametrize("header", [None, "", "x", "0x_0x_0x", "a_b_c_d"])
async def test_no_authorization_is_no_entry(header: str | None) -> None:
    with pytest.raises(TrustError, match="missing or malformed"):
        await readers().by_challenge(header, REQUESTER.address, now=NOW)


async def test_one_address_cannot_fill_the_room() -> None:
    door = readers()
    texts = {str(door.challenge(STRANGER.address, CHAIN, now=NOW)) for _ in range(MAX_CHALLENGES_OF_ONE + 5)}
    assert len(texts) == MAX_CHALLENGES_OF_ONE


# --- our own way ---


def consent(
    wallet: KeySigner = REQUESTER,
    *,
    pool: Address = POOL,
    domain: Domain = TWIN_DOMAIN,
    task: TaskId = TASK,
    until: int = NOW + 60,
    nonce: int = 1,
) -> Consent:
    return sign_log_access(wallet, pool, domain, task, nonce=Hash32(f"0x{nonce:064x}"), until=UnixSeconds(until))


async def test_a_consent_is_good_once() -> None:
    door = readers()
    await door.by_consent(TASK, consent(), REQUESTER.address, now=NOW)
    with pytest.raises(TrustError, match="used before"):
        await door.by_consent(TASK, consent(), REQUESTER.address, now=NOW)
    await door.by_consent(TASK, consent(nonce=2), REQUESTER.address, now=NOW)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (consent(until=NOW), "counts until"),
        (consent(until=NOW - 1), "counts until"),
        (consent(until=NOW + MAX_VALID_S + 1), "counts until"),
        (consent(domain=Domain(chain_id=1, hub=TWIN_DOMAIN.hub)), "not one for this pool"),
        (consent(domain=Domain(chain_id=CHAIN, hub=POOL)), "not one for this pool"),
        (consent(pool=STRANGER.address), "not one for this pool"),
        (consent(task=TaskId(Hash32("0x" + "02" * 32))), "not one for this pool"),
        (replace(consent(STRANGER), signer=REQUESTER.address), "not one for this pool"),
        (replace(consent(), until=UnixSeconds(NOW + 61)), "not one for this pool"),
        (replace(consent(), signature="0x" + "00" * 65), "not one for this pool"),
        (consent(STRANGER), "did not buy this task"),
    ],
)
async def test_other_consents_are_refused(given: Consent, words: str) -> None:
    door = readers()
    with pytest.raises(VoisinError, match=words):
        await door.by_consent(TASK, given, REQUESTER.address, now=NOW)
    await door.by_consent(TASK, consent(), REQUESTER.address, now=NOW)
