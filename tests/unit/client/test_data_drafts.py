"""The diary of what is being protected: the key is sealed under the wallet, pages appear whole, and nobody else may read them."""

from __future__ import annotations

import secrets
import stat
from pathlib import Path

import msgspec
import pytest

from voisin.client.data.drafts import Diary, Draft, OfferNote, draft_id, open_key, seal_key
from voisin.errors import InputError, TrustError
from voisin.protocol.ids import Address, Hash32, OrderHash
from voisin.protocol.signatures import KeySigner
from voisin.units import UnixSeconds

OWNER, THIEF = KeySigner(bytes([1] * 32)), KeySigner(bytes([2] * 32))
HUB = Address("0x" + "11" * 20)
KEY = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I="


def made(wallet: KeySigner = OWNER) -> Draft:
    own_id = draft_id(wallet.address, HUB, "data", "voisin", "state")
    sealed = seal_key(wallet, own_id, KEY, secrets.token_bytes(12))
    return Draft(id=own_id, owner=wallet.address, hub=HUB, name="data", path="/data", form="voisin", sealed_key=sealed)


def test_a_page_comes_back(tmp_path: Path) -> None:
    diary, draft = Diary(tmp_path / "data"), made()
    assert diary.find(draft.id) is None
    assert list(diary.drafts()) == []
    diary.keep(draft)
    assert Diary(tmp_path / "data").find(draft.id) == draft
    entry = Address("0x" + "22" * 20)
    diary.keep(msgspec.structs.replace(draft, entry=entry))
    found = diary.of_entry(entry)
    assert found is not None
    assert open_key(OWNER, found) == KEY
    assert diary.of_entry(HUB) is None


def test_nobody_else_may_read_it_and_the_key_is_not_in_it(tmp_path: Path) -> None:
    Diary(tmp_path / "data").keep(made())
    (page,) = (tmp_path / "data").iterdir()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700
    assert KEY.encode() not in page.read_bytes()


def test_the_key_opens_with_its_wallet_alone(tmp_path: Path) -> None:
    draft = made()
    with pytest.raises(TrustError, match="does not open"):
        open_key(THIEF, draft)
    with pytest.raises(TrustError):
        open_key(OWNER, msgspec.structs.replace(draft, id="another"))
    changed = bytes([draft.sealed_key[-1] ^ 1])
    with pytest.raises(TrustError):
        open_key(OWNER, msgspec.structs.replace(draft, sealed_key=draft.sealed_key[:-1] + changed))


def test_another_wish_is_another_draft() -> None:
    parts = ("0xowner", "0xhub", "name", "voisin", "state")
    ids = {draft_id(*(Address(part) if place < 2 else part for place, part in enumerate(parts)))}  # type: ignore[arg-type]
    for place in range(5):
        other = [*parts[:place], "other", *parts[place + 1 :]]
        ids.add(draft_id(*other))  # type: ignore[arg-type]
    assert len(ids) == 6


def test_offers_are_noted_one_by_one(tmp_path: Path) -> None:
    diary = Diary(tmp_path)
    note = OfferNote(begun_at=UnixSeconds(5), nonce=Hash32("0x" + "01" * 32))
    assert diary.offers(HUB) == {}
    diary.note(HUB, "one", note)
    later = msgspec.structs.replace(note, order_hash=OrderHash(Hash32("0x" + "02" * 32)))
    diary.note(HUB, "two", later)
    assert diary.offers(HUB) == {"one": note, "two": later}


def test_a_torn_page_is_said_to_be_one(tmp_path: Path) -> None:
    diary, draft = Diary(tmp_path), made()
    diary.keep(draft)
    page = tmp_path / f"{draft.id}.json"
    page.write_bytes(page.read_bytes()[:-9])
    with pytest.raises(InputError, match="malformed"):
        diary.find(draft.id)
