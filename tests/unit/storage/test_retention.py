"""What is kept how long: rules, room that runs short, and what must never be deleted."""

from __future__ import annotations

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from voisin.protocol.cid import cid_of
from voisin.protocol.ipld import Codec, Name, name_of
from voisin.protocol.unixfs import Layout
from voisin.storage import BlobStore, StorageFullError
from voisin.storage.adding import Adder, AddOptions
from voisin.storage.catalog import Keep
from voisin.storage.library import Library
from voisin.storage.sweeper import DAY_S, RetentionRules, Sweeper, Swept

RULES = RetentionRules(results_keep_s=10 * DAY_S, loose_keep_s=3 * DAY_S)
SMALL = Layout(chunk_bytes=4)


@dataclass
class Clock:
    """A clock that is set by hand."""

    at: float = 1_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def library(tmp_path: Path, clock: Clock) -> Library:
    return Library(BlobStore(tmp_path, quota_bytes=1_000), now=clock)


def put(library: Library, data: bytes, keep: Keep) -> Name:
    """Store a blob as `POST /v1/blobs` does."""
    with library.adding():
        name = name_of(data, Codec.RAW)
        library.put(data, name)
        library.keep(name, keep)
    return name


def add(library: Library, data: bytes, keep: Keep, path: str = "f") -> Name:
    """Add a file in small chunks."""
    with Adder(library, AddOptions(SMALL, keep)) as adder:
        adder.start_file(path)
        adder.write(data)
        adder.end_file()
        return adder.finish()[-1].name


def here(library: Library, *names: Name) -> list[bool]:
    """Which of them are stored."""
    return [library.store.has(name.cid) for name in names]


def test_each_kind_goes_at_its_time(library: Library, clock: Clock) -> None:
    pinned, result, loose = (put(library, keep.name.encode(), keep) for keep in (Keep.PINNED, Keep.RESULT, Keep.LOOSE))
    sweeper = Sweeper(library, RULES)
    clock.at += 3 * DAY_S
    assert sweeper.sweep() == Swept(0, 0, 0)
    clock.at += 1
    assert sweeper.sweep() == Swept(1, 1, 5)
    assert here(library, pinned, result, loose) == [True, True, False]
    clock.at += 7 * DAY_S
    assert sweeper.sweep() == Swept(1, 1, 6)
    clock.at += 1_000 * DAY_S
    assert sweeper.sweep() == Swept(0, 0, 0)
    assert here(library, pinned, result) == [True, False]
    assert library.store.used_bytes == 6


def test_without_rules_nothing_goes(library: Library, clock: Clock) -> None:
    names = [put(library, keep.name.encode(), keep) for keep in Keep]
    clock.at += 10_000 * DAY_S
    assert Sweeper(library, RetentionRules(loose_keep_s=None)).sweep() == Swept(0, 0, 0)
    assert all(here(library, *names))


def test_a_stronger_reason_counts_and_a_weaker_does_not(library: Library, clock: Clock) -> None:
    name = put(library, b"first loose", Keep.LOOSE)
    assert put(library, b"first loose", Keep.PINNED) == put(library, b"first loose", Keep.LOOSE) == name
    clock.at += 100 * DAY_S
    Sweeper(library, RULES).sweep()
    assert here(library, name) == [True]
    assert library.catalog.loosen(name.digest, clock())
    clock.at += 4 * DAY_S
    assert Sweeper(library, RULES).sweep().roots == 1
    assert here(library, name) == [False]


def test_storing_or_reading_again_starts_the_time_anew(library: Library, clock: Clock) -> None:
    stored, read = put(library, b"stored again", Keep.RESULT), put(library, b"read again", Keep.LOOSE)
    clock.at += 2.5 * DAY_S
    put(library, b"stored again", Keep.RESULT)
    assert b"".join(library.stream(read, 0, 10)) == b"read again"
    clock.at += 2 * DAY_S
    assert Sweeper(library, RULES).sweep() == Swept(0, 0, 0)
    clock.at += 5.6 * DAY_S
    Sweeper(library, RULES).sweep()
    assert here(library, stored, read) == [True, False]


def test_a_tree_goes_whole_but_for_what_others_share(library: Library, clock: Clock) -> None:
    loose = add(library, b"aaaabbbbcccc", Keep.LOOSE)
    pinned = add(library, b"aaaadddd", Keep.PINNED)
    blocks = [name_of(part, Codec.RAW) for part in (b"aaaa", b"bbbb", b"cccc", b"dddd")]
    clock.at += 4 * DAY_S
    assert Sweeper(library, RULES).sweep().blocks == 3
    assert here(library, loose, pinned, *blocks) == [False, True, True, False, False, True]
    assert b"".join(library.stream(pinned, 0, 8)) == b"aaaadddd"


def test_a_file_inside_a_pinned_folder_stays(library: Library, clock: Clock) -> None:
    file = add(library, b"aaaabbbb", Keep.LOOSE)
    add(library, b"aaaabbbb", Keep.PINNED, path="folder/f")
    clock.at += 100 * DAY_S
    Sweeper(library, RULES).sweep()
    assert b"".join(library.stream(file, 0, 8)) == b"aaaabbbb"


def test_what_is_being_read_stays_until_it_is_read(library: Library, clock: Clock) -> None:
    name = add(library, b"aaaabbbbcccc", Keep.RESULT)
    reading = library.stream(name, 0, 12)
    assert next(reading) == b"aaaa"
    clock.at += 20 * DAY_S
    assert Sweeper(library, RULES).sweep() == Swept(0, 0, 0)
    assert list(reading) == [b"bbbb", b"cccc"]
    assert Sweeper(library, RULES).sweep().blocks == 4


def test_a_part_that_is_being_read_outlives_its_root(library: Library, clock: Clock) -> None:
    root = add(library, b"aaaabbbb", Keep.LOOSE)
    leaf = name_of(b"bbbb", Codec.RAW)
    with library.reading(leaf.digest):
        clock.at += 20 * DAY_S
        assert Sweeper(library, RULES).sweep().blocks == 2
        assert here(library, root, leaf) == [False, True]
    assert Sweeper(library, RULES).sweep() == Swept(0, 1, 4)


def test_what_is_being_added_stays_and_what_was_given_up_goes(library: Library, clock: Clock) -> None:
    sweeper, leaf = Sweeper(library, RULES), name_of(b"aaaa", Codec.RAW)
    with Adder(library, AddOptions(SMALL)) as adder:
        adder.start_file("slow")
        adder.write(b"aaaab")
        clock.at += 100 * DAY_S
        assert sweeper.sweep() == Swept(0, 0, 0)
        assert here(library, leaf) == [True]
    clock.at += 1
    assert sweeper.sweep() == Swept(0, 1, 4)
    assert here(library, leaf) == [False]


def test_a_block_that_an_addition_takes_up_again_stays(library: Library, clock: Clock) -> None:
    old = add(library, b"aaaabbbb", Keep.LOOSE)
    clock.at += 4 * DAY_S
    with Adder(library, AddOptions(SMALL)) as adder:
        adder.start_file("new")
        adder.write(b"aaaacccc!")
        clock.at += 1
        assert Sweeper(library, RULES).sweep().blocks == 2
        adder.end_file()
        new = adder.finish()[-1].name
    assert here(library, old) == [False]
    assert b"".join(library.stream(new, 0, 9)) == b"aaaacccc!"


def test_when_room_is_short_the_longest_unread_goes_first(library: Library, clock: Clock) -> None:
    names = []
    for number in range(10):
        names.append(put(library, bytes([number]) * 95, Keep.PINNED if number == 0 else Keep.LOOSE))
        clock.at += 2 * 3_600
    b"".join(library.stream(names[1], 0, 95))
    assert Sweeper(library, RULES).sweep() == Swept(1, 1, 95)
    assert here(library, *names) == [True, True, False, *[True] * 7]
    assert library.store.used_bytes == 855


def test_a_full_storage_refuses_and_leaves_nothing_for_good(library: Library, clock: Clock) -> None:
    with pytest.raises(StorageFullError):
        add(library, bytes(range(250)) * 5, Keep.PINNED)
    clock.at += 1
    Sweeper(library, RULES).sweep()
    assert (list(library.store.cids()), library.store.used_bytes) == ([], 0)


def test_what_was_stored_before_there_was_a_catalog_is_pinned(tmp_path: Path, clock: Clock) -> None:
    store = BlobStore(tmp_path)
    store.put_bytes(b"from before")
    library = Library(store, now=clock)
    clock.at += 10_000 * DAY_S
    Sweeper(library, RULES).sweep()
    assert store.has(cid_of(b"from before"))
    assert [root.name.cid for root in library.catalog.roots(Keep.PINNED)] == [cid_of(b"from before")]


def test_a_new_start_knows_the_same(tmp_path: Path, clock: Clock) -> None:
    first = Library(BlobStore(tmp_path), now=clock)
    file, lost = add(first, b"aaaabbbb", Keep.LOOSE), put(first, b"lost", Keep.PINNED)
    with Adder(first, AddOptions(SMALL)) as adder:
        adder.start_file("given up")
        adder.write(b"xxxxyyyy")
    first.store.delete(lost.cid)
    first.close()
    second = Library(BlobStore(tmp_path), now=clock)
    assert second.resolve(Name(file.digest, Codec.DAG_PB, 0)).codec is Codec.DAG_PB
    assert second.catalog.root(lost.digest) is None
    clock.at += 1
    assert Sweeper(second, RULES).sweep() == Swept(0, 1, 4)
    assert b"".join(second.stream(file, 0, 8)) == b"aaaabbbb"


def test_sweeping_beside_adding_and_reading_takes_only_what_is_loose(tmp_path: Path) -> None:
    ticks = itertools.count(1)
    library = Library(BlobStore(tmp_path), now=lambda: float(next(ticks)))
    sweeper = Sweeper(library, RetentionRules(loose_keep_s=0.0))
    is_over = threading.Event()

    def work(seed: int) -> list[tuple[Name, bytes]]:
        draw, kept = random.Random(seed), []
        for number in range(12):
            data = bytes(draw.randrange(3) for _ in range(24))  # small numbers, so that the files share blocks
            loose = bool(number % 2)
            name = add(library, data, Keep.LOOSE if loose else Keep.PINNED)
            if not loose:
                kept.append((name, data))
            for old, expected in kept[-2:]:
                assert b"".join(library.stream(old, 0, 24)) == expected
        return kept

    def sweep() -> None:
        while not is_over.is_set():
            sweeper.sweep()

    with ThreadPoolExecutor(4) as threads:
        sweeping = threads.submit(sweep)
        try:
            kept = [pair for found in threads.map(work, range(3)) for pair in found]
        finally:
            is_over.set()
        sweeping.result()
    sweeper.sweep()
    for name, data in kept:
        assert b"".join(library.stream(name, 0, 24)) == data
    roots = {name.cid for name, _ in kept}
    leaves = {cid_of(data[start : start + 4]) for _, data in kept for start in range(0, 24, 4)}
    assert set(library.store.cids()) == roots | leaves
