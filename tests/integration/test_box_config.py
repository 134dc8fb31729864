"""What a client of another maker is told about a box: everything it needs, in the form it insists on, and no key that is not public."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from voisin.box.client_config import ClientConfig, client_config, iexec_options, write_chain_file
from voisin.box.founding import deployed, found_market
from voisin.box.settings import BoxSettings
from voisin.box.wallets import open_wallets
from voisin.chain import Chain, open_chain
from voisin.chain.devnet import DevnetSettings, development_keys, serve_devnet
from voisin.client.network import Network
from voisin.errors import InputError, StateError
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC

pytestmark = pytest.mark.anyio
OWNER, CLIENT, STRANGER = development_keys(3)
URLS = {"market_url": "http://127.0.0.1:1", "storage_url": "http://127.0.0.1:3", "vault_url": "http://127.0.0.1:4"}
CHAIN_KEYS = {"id", "host", "hub", "sms", "ipfsGateway", "iexecGateway", "compass", "pocoSubgraph"}


@pytest.fixture
async def founded(tmp_path: Path) -> AsyncIterator[tuple[Chain, Network]]:
    """A founded market, with services that need not run."""
    settings = BoxSettings(home=tmp_path, workers=0)
    settings.folder.mkdir(parents=True)
    async with serve_devnet(DevnetSettings()) as node:
        deployment = await deployed(node.rpc_url, OWNER, settings)
        async with open_chain(node.rpc_url, deployment.hub) as chain:
            pool = await found_market(chain, OWNER, open_wallets(tmp_path, 0), settings)
            yield chain, Network(chain_id=31_337, rpc_url=node.rpc_url, hub=deployment.hub, workerpool=pool, **URLS)


async def test_everything_a_client_needs_is_there_and_works(founded: tuple[Chain, Network]) -> None:
    chain, network = founded
    config = await client_config(network)
    assert (config.rpc_url, config.hub, config.rlc) == (network.rpc_url, network.hub, chain.token_address)
    assert (config.market_url, config.sms_url, config.compass_url) == ("http://127.0.0.1:1", "http://127.0.0.1:4", "")
    assert config.ipfs_gateway_url == config.ipfs_node_url == "http://127.0.0.1:3"
    assert config.workerpool == network.workerpool
    client, owner = (KeySigner(bytes.fromhex(key[2:])) for key in (config.funded_private_key, config.hub_owner_private_key))
    assert (client.address, owner.address) == (CLIENT.address, OWNER.address)
    assert await chain.token.balance(client.address) == NRLC(1_000_000 * 10**9)
    assert await chain.native_balance(client.address) == 10_000 * 10**18
    assert await chain.nonce(client.address) == 0, "nothing in the box signs with it"


async def test_no_key_of_a_market_that_belongs_to_somebody(tmp_path: Path) -> None:
    settings = BoxSettings(home=tmp_path)
    settings.folder.mkdir(parents=True)
    async with serve_devnet(DevnetSettings()) as node:
        deployment = await deployed(node.rpc_url, STRANGER, settings)
        network = Network(chain_id=31_337, rpc_url=node.rpc_url, hub=deployment.hub, **URLS)
        with pytest.raises(StateError, match="no development chain"):
            await client_config(network)


async def test_chain_file_has_only_keys_that_the_client_allows(founded: tuple[Chain, Network], tmp_path: Path) -> None:
    config = await client_config(founded[1])
    path = tmp_path / "chain.json"
    write_chain_file(path, config)
    document = json.loads(path.read_text())
    chain = document["chains"]["voisin"]
    assert (set(document), document["default"]) == ({"default", "chains"}, "voisin")
    assert set(chain) <= CHAIN_KEYS
    assert (chain["id"], chain["hub"], chain["sms"]) == ("31337", config.hub, "http://127.0.0.1:4")
    assert "compass" not in chain, "an empty URL is refused by the client"
    assert set(iexec_options(config)) == {"hubAddress", "iexecGatewayURL", "smsURL", "ipfsGatewayURL", "ipfsNodeURL"}
    assert config.funded_private_key[2:] not in path.read_text()


async def test_other_chains_of_a_chain_file_stay(founded: tuple[Chain, Network], tmp_path: Path) -> None:
    config: ClientConfig = await client_config(founded[1])
    path = tmp_path / "chain.json"
    path.write_text('{"default": "mine", "chains": {"mine": {"id": "1", "host": "http://node.example"}, "voisin": {"id": "2"}}}')
    write_chain_file(path, config)
    chains = json.loads(path.read_text())["chains"]
    assert (chains["mine"], chains["voisin"]["id"]) == ({"id": "1", "host": "http://node.example"}, "31337")


@pytest.mark.parametrize("text", ["", "[]", '{"chains": 3}', "\xff"])
async def test_what_is_no_chain_file_is_left_alone(founded: tuple[Chain, Network], tmp_path: Path, text: str) -> None:
    path = tmp_path / "chain.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"is no chain\.json"):
        write_chain_file(path, await client_config(founded[1]))
    assert path.read_text(encoding="latin-1") == text
