"""
What a client of another maker has to be told so that it works with a box: addresses, URLs, and the keys of a development chain.

Source: client-surface.md 1.1 (options of the library), 1.2 (`chain.json` of the command line, which has a strict schema).
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from voisin.box.keys import client_account, hub_owner
from voisin.chain import open_chain
from voisin.chain.functions import function
from voisin.chain.reading import Read, read
from voisin.client.network import Network
from voisin.errors import InputError, StateError
from voisin.protocol.ids import Address
from voisin.protocol.signatures import KeySigner

CHAIN_NAME = "voisin"
"""What the box is called in a `chain.json`."""


class ClientConfig(msgspec.Struct, frozen=True, kw_only=True):
    """
    A box as a client of another maker sees it.

    Attributes:
        rpc_url: The chain's node.
        chain_id: The chain's id.
        hub: The market's contract.
        rlc: The token.
        market_url: The order book.
        sms_url: Where secrets are kept; empty without a vault.
        ipfs_gateway_url: Where results are read.
        ipfs_node_url: Where files are added.
        compass_url: Directory that says where a workerpool's service is; empty without an index.
        funded_private_key: Key of an account with RLC and native coin, which nothing in the box signs with.
        hub_owner_private_key: Key of the account that may change the market, which nothing in the box signs with.
        workerpool: The box's workerpool; None when it has none.
    """

    rpc_url: str
    chain_id: int
    hub: Address
    rlc: Address
    market_url: str
    sms_url: str
    ipfs_gateway_url: str
    ipfs_node_url: str
    compass_url: str
    funded_private_key: str
    hub_owner_private_key: str
    workerpool: Address | None


async def client_config(network: Network) -> ClientConfig:
    """
    Gather what a client of another maker needs.

    Args:
        network: The box.

    Raises:
        StateError: It is not a box: its hub does not belong to the development account, so there are no keys to hand out.
        UnavailableError: The chain does not answer.
    """
    async with open_chain(network.rpc_url, network.hub) as chain:
        owner = await read(chain.rpc, Read(network.hub, function("Hub", "owner"), (), Address))
        rlc = chain.token_address
    if owner != hub_owner().address:
        raise StateError("this is no development chain: its market belongs to somebody", hint="use a box of your own, see `voisin up`")
    return ClientConfig(
        rpc_url=network.rpc_url,
        chain_id=network.chain_id,
        hub=network.hub,
        rlc=rlc,
        market_url=network.market_url,
        sms_url=network.vault_url,
        ipfs_gateway_url=network.storage_url,
        ipfs_node_url=network.storage_url,
        compass_url=network.index_url,
        funded_private_key=_key_text(client_account()),
        hub_owner_private_key=_key_text(hub_owner()),
        workerpool=network.workerpool,
    )


def iexec_options(config: ClientConfig) -> dict[str, str]:
    """Give the options of the `iexec` library, without those that this box has no service for."""
    options = {
        "hubAddress": config.hub,
        "iexecGatewayURL": config.market_url,
        "smsURL": config.sms_url,
        "ipfsGatewayURL": config.ipfs_gateway_url,
        "ipfsNodeURL": config.ipfs_node_url,
        "compassURL": config.compass_url,
    }
    return {name: value for name, value in options.items() if value}


def write_chain_file(path: Path, config: ClientConfig) -> None:
    """
    Write the `chain.json` of the `iexec` command line, or add the box to one that is there; the box becomes its default.

    Args:
        path: The file.
        config: The box.

    Raises:
        InputError: The file is there and is not a `chain.json`, or it cannot be written.
    """
    chains = _chains_of(path) if path.exists() else {}
    chain = {
        "id": str(config.chain_id),
        "host": config.rpc_url,
        "hub": config.hub,
        "sms": config.sms_url,
        "iexecGateway": config.market_url,
        "ipfsGateway": config.ipfs_gateway_url,
        "compass": config.compass_url,
    }
    chains[CHAIN_NAME] = {name: value for name, value in chain.items() if value}
    document = {"default": CHAIN_NAME, "chains": chains}
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", hint="choose another file with --output") from None


class _ChainFile(msgspec.Struct):
    chains: dict[str, dict[str, str]]


def _chains_of(path: Path) -> dict[str, dict[str, str]]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_ChainFile).chains
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError):
        raise InputError(f"{path} is there and is no chain.json", hint="choose another file with --output") from None


def _key_text(signer: KeySigner) -> str:
    return "0x" + signer.expose_key().hex()
