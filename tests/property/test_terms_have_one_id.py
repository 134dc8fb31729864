"""Terms of use with anything in them: they read back as they were, and no two that differ share an id."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from voisin.protocol.data_schema import Column, ColumnType, DataForm, DataSchema, FileEntry
from voisin.protocol.data_terms import MAX_NUMBER, DataTerms, EnclaveLevel, Privacy, Review, encode_terms, read_terms
from voisin.protocol.data_use import Condition, Use, broken_conditions
from voisin.protocol.ids import Address, Hash32, as_address

ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda data: Address("0x" + data.hex()))
HASHES = st.binary(min_size=32, max_size=32).map(lambda data: Hash32("0x" + data.hex()))
NUMBERS = st.integers(0, MAX_NUMBER)
TEXTS = st.text(st.characters(codec="utf-8", min_codepoint=33, exclude_characters="\x7f"), min_size=1, max_size=50).filter(
    lambda text: text == text.strip()
)
COLUMNS = st.builds(Column, st.text(st.characters(codec="utf-8"), max_size=20), st.sampled_from(ColumnType), st.booleans())
FILES = st.builds(FileEntry, st.text(st.characters(codec="utf-8"), max_size=20), NUMBERS)
SCHEMAS = st.builds(
    DataSchema,
    form=st.sampled_from(DataForm),
    size_bytes=NUMBERS,
    media=st.sampled_from(["application/octet-stream", "text/csv"]).map(lambda text: "".join(list(text))),
    columns=st.lists(COLUMNS, max_size=3).map(tuple),
    files=st.lists(FILES, max_size=3).map(tuple),
    count=st.integers(6, MAX_NUMBER),
)
TERMS = st.builds(
    DataTerms,
    dataset=ADDRESSES,
    nonce=HASHES,
    not_before=st.integers(0, 1_000),
    until=st.just(0) | st.integers(1_001, MAX_NUMBER),
    uses=NUMBERS,
    uses_per_renter=NUMBERS,
    apps=st.lists(HASHES, max_size=4).map(tuple),
    pools=st.lists(ADDRESSES, max_size=4).map(tuple),
    requesters=st.lists(ADDRESSES, max_size=4).map(tuple),
    gate=ADDRESSES,
    purposes=st.lists(TEXTS, max_size=4).map(tuple),
    max_output_bytes=NUMBERS,
    allow_network=st.booleans(),
    min_enclave=st.sampled_from(EnclaveLevel),
    privacy=st.none() | st.builds(Privacy, query_micro=st.integers(1, 100), renter_micro=st.integers(100, MAX_NUMBER)),
    review=st.sampled_from(Review),
    schema=st.none() | SCHEMAS,
)


@given(TERMS)
def test_they_read_back_as_they_were(terms: DataTerms) -> None:
    text = encode_terms(terms)
    assert read_terms(text) == terms
    assert encode_terms(read_terms(text)) == text


@given(TERMS, TERMS)
def test_one_id_means_one_content(one: DataTerms, other: DataTerms) -> None:
    assert (one.id == other.id) == (one == other)


@given(TERMS)
def test_the_order_of_lists_does_not_count(terms: DataTerms) -> None:
    names = ("apps", "pools", "requesters", "purposes")
    shuffled = {name: tuple(reversed(getattr(terms, name))) * 2 for name in names}
    assert msgspec.structs.replace(terms, **shuffled).id == terms.id


@given(TERMS, st.sets(st.sampled_from(Condition)))
def test_nobody_lets_pass_what_he_cannot_see(terms: DataTerms, judged: set[Condition]) -> None:
    broken = {found.condition for found in broken_conditions(terms, Use(), judged=judged)}
    asked = {Condition.DATASET, Condition.ENCLAVE, Condition.GATE}
    asked |= {Condition.APPS} if terms.apps else set()
    asked |= {Condition.UNTIL} if terms.until else set()
    asked |= {Condition.NOT_BEFORE} if terms.not_before else set()
    asked |= {Condition.USES} if terms.uses else set()
    asked |= {Condition.PRIVACY} if terms.privacy else set()
    if as_address(terms.gate) == "0x" + "00" * 20:
        asked.discard(Condition.GATE)
    assert asked & judged <= broken <= judged
