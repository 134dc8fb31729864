"""The network file: written whole, read strictly, and a missing one says how to make it."""

from __future__ import annotations

from pathlib import Path

import pytest

from voisin.client.network import Network, home_folder, load_network, read_network, save_network
from voisin.errors import InputError, StateError

NETWORK = Network(
    chain_id=31337,
    rpc_url="http://127.0.0.1:8545",
    hub="0xeb196d71bf359bfdb7ee54429236a09dbf3966b3",
    market_url="http://127.0.0.1:8546",
    storage_url="http://127.0.0.1:8548",
    wallets={"requester": "wallets/requester.json"},
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save_network(tmp_path / "new", NETWORK)
    assert load_network(tmp_path / "new") == NETWORK
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["box.json"]


def test_addresses_are_canonical() -> None:
    assert NETWORK.hub == "0xeB196D71Bf359bfDB7Ee54429236A09DBF3966B3"


def test_no_market_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(StateError) as caught:
        load_network(tmp_path)
    assert caught.value.message == f"no market is known in {tmp_path}"
    assert "`voisin up`" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", '{"chain_id": "31337"}', '{"chain_id": 1, "surprise": 2}'])
def test_a_broken_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "box.json").write_text(text)
    with pytest.raises(InputError, match=r"the network file .*box.json is malformed"):
        load_network(tmp_path)


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_network(tmp_path)


def test_the_home_folder_is_the_given_one(tmp_path: Path) -> None:
    assert home_folder(tmp_path) == tmp_path
    assert home_folder(str(tmp_path)) == tmp_path
