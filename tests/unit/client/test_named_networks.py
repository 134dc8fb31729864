"""The public networks by name: their addresses are those that were published, and a wrong name lists the right ones."""

from __future__ import annotations

from pathlib import Path

import pytest

import voisin
from voisin.chain.networks import known_networks
from voisin.cli import main
from voisin.client.network import named_network
from voisin.errors import InputError, UnavailableError
from voisin.protocol.ids import as_address

# poco-protocol.md 1.4, written a second time: chain, hub, token, owner
PUBLISHED = {
    "arbitrum": (
        42_161,
        "0x098bFCb1E50ebcA0BaA92C12eA0c3F045A1aD9f0",
        "0xe649e6a1F2afc63ca268C2363691ceCAF75CF47C",
        "0x3768f9b005E8Ef8b45568F1f1f5Ca7650096b2B9",
    ),
    "arbitrum-sepolia": (
        421_614,
        "0xB2157BF2fAb286b2A4170E3491Ac39770111Da3E",
        "0x9923eD3cbd90CD78b910c475f9A731A6e0b8C963",
        "0x87bdca5F82cD5B138cD12a724d6c0eC7e3114dA6",
    ),
}
REGISTRIES = (
    "0x9950D94fb074182ee93ff79A50Cd698C4983281F",
    "0x07Cc4E1EA30dD02796795876509A3BfC5053128D",
    "0xe3c13bb4A5068601c6A08041Cb50887B07B5F398",
)


def test_the_addresses_are_the_published_ones() -> None:
    assert {each.name: (each.chain_id, each.hub, each.token, each.owner) for each in known_networks()} == PUBLISHED
    for each in known_networks():
        assert (each.app_registry, each.dataset_registry, each.workerpool_registry) == REGISTRIES
        for address in (each.hub, each.token, each.owner, *REGISTRIES):
            assert as_address(address) == address
        assert each.rpc_url.startswith("https://")


def test_a_name_becomes_a_network() -> None:
    found = named_network("arbitrum")
    assert (found.chain_id, found.hub, found.market_url) == (*PUBLISHED["arbitrum"][:2], "")
    assert named_network("arbitrum-one") == named_network("arbitrum-mainnet") == found
    own = named_network("arbitrum-sepolia", rpc_url="http://127.0.0.1:1", market_url="http://127.0.0.1:2")
    assert (own.chain_id, own.rpc_url, own.market_url) == (421_614, "http://127.0.0.1:1", "http://127.0.0.1:2")


def test_a_wrong_name_lists_the_right_ones(tmp_path: Path) -> None:
    for ask in (lambda: named_network("arbitrun"), lambda: voisin.connect(tmp_path, "arbitrun").__enter__()):
        with pytest.raises(InputError, match="there is no network named 'arbitrun'") as caught:
            ask()
        assert caught.value.hint == "the known networks are arbitrum, arbitrum-sepolia"


def test_the_client_goes_to_the_network_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = named_network("arbitrum", rpc_url="http://127.0.0.1:9")
    monkeypatch.setattr("voisin.client.cloud.named_network", lambda name: there)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9 does not answer"), voisin.connect(tmp_path, "arbitrum"):
        pass


def test_the_command_line_takes_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    line = ["deal", "show", "0x" + "12" * 32, "--home", str(tmp_path)]
    assert main([*line, "--network", "arbitrun"]) == 1
    assert "The known networks are arbitrum, arbitrum-sepolia." in capsys.readouterr().err
    Path("voisin.toml").write_text('network = "arbitrum"\nrpc_url = "http://127.0.0.1:9"\n')
    assert main(line) == 1
    assert "the node at http://127.0.0.1:9 does not answer" in capsys.readouterr().err
    assert main(["--network", "arbitrum-sepolia", "order", "list", "app", "--home", str(tmp_path)]) == 1
