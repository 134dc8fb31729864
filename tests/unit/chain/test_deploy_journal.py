"""The journal of a deployment: on the disk before anything is sent, and readable whatever moment its writer died in."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from voisin.chain.deployment.journal import Heading, Sent, open_journal
from voisin.chain.deployment.plan import DEFAULT_TERMS, DeploymentTerms
from voisin.errors import InputError, StateError
from voisin.protocol.ids import Address, Hash32
from voisin.units import Wei

OWNER = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
OTHER = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
HEADING = Heading(31337, OWNER, DEFAULT_TERMS)


def sent(nonce: int, *, max_fee: int = 2, data: bytes = b"\x60\x00") -> Sent:
    tx_hash = Hash32(f"0x{nonce:032x}{max_fee:032x}")
    return Sent(step=f"step {nonce}", nonce=nonce, hash=tx_hash, gas=50_000, max_fee=Wei(max_fee), tip=Wei(1), to=None, data=data)


def read(path: Path) -> list[Sent]:
    with open_journal(path, HEADING) as journal:
        return journal.sent


def test_what_is_noted_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "1.journal"
    with open_journal(path, HEADING) as journal:
        journal.note(sent(0), sent(1))
        journal.note(sent(0, max_fee=3))
        assert journal.versions() == {0: [sent(0), sent(0, max_fee=3)], 1: [sent(1)]}
        assert path.read_bytes().count(b"\n") == 4
    assert read(path) == [sent(0), sent(1), sent(0, max_fee=3)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_writer_that_died_at_any_byte(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with open_journal(path, HEADING) as journal:
        journal.note(sent(0))
        whole = path.read_bytes()
        journal.note(sent(1))
    both = path.read_bytes()
    for size in (*range(0, len(whole), 29), *range(len(whole) - 1, len(whole) + 2), len(both) - 1, len(both)):
        path.write_bytes(both[:size])
        assert read(path) == [sent(0), sent(1)][: (size >= len(whole)) + (size == len(both))]
        with open_journal(path, HEADING) as journal:
            journal.note(sent(9))
        assert read(path)[-1] == sent(9)


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        (Heading(1, OWNER, DEFAULT_TERMS), "chain 31337 instead of 1"),
        (Heading(31337, OTHER, DEFAULT_TERMS), f"wallet {OWNER} instead of {OTHER}"),
        (Heading(31337, OWNER, DeploymentTerms(token=OTHER)), "another token or other options"),
    ],
)
def test_another_market_is_refused(heading: Heading, words: str, tmp_path: Path) -> None:
    read(tmp_path / "journal")
    with pytest.raises(StateError, match=words) as caught, open_journal(tmp_path / "journal", heading):
        pass
    assert "finish it as it was begun" in caught.value.hint


def test_another_process_is_kept_away(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with open_journal(path, HEADING), pytest.raises(StateError, match="another process"), open_journal(path, HEADING):
        pass
    assert read(path) == []


@pytest.mark.parametrize("line", [b"{}", b"nonsense", b'{"step": "x"}', b"\xff"])
def test_nonsense_is_refused(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    read(path)
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(InputError, match=r"the journal .* is (malformed|not UTF-8)"):
        read(path)
