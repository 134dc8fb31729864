"""
Where a market is: the addresses of its chain and services, kept in `box.json` of a home folder.

`voisin up` writes the file; a network that runs elsewhere is described by hand in the same form, or known by its name.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from voisin.chain.networks import known_network
from voisin.errors import InputError, StateError
from voisin.protocol.bag_settlement import MAX_WINDOW_S
from voisin.protocol.codec import decode
from voisin.protocol.ids import Address, as_address

NETWORK_FILE = "box.json"
WALLETS_FOLDER = "wallets"
REQUESTER_ROLE = "requester"
DEFAULT_WINDOW_S = 3600


class Network(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """
    A market and how to reach it.

    Attributes:
        chain_id: The chain's id, checked against the node.
        rpc_url: The node's JSON-RPC address.
        hub: The one contract address of the market.
        market_url: The order book; empty without one.
        storage_url: Where apps, inputs and results lie.
        pool_url: The default workerpool's service; empty without one.
        vault_url: Where secrets are kept; empty without one.
        index_url: The index of the chain, and the directory of pools; empty without one.
        broker_url: What fills published requests; empty without one.
        workerpool: The default workerpool's entry; None without one.
        wallets: Keystore file of each role (`requester`, `scheduler`, ...), relative to the file's folder.
        password_file: File with the password of those keystores, relative likewise; empty to ask.
        first_block: The block in which the market was deployed; its history starts there.
        bag_window_s: How long a bag may be challenged after it is posted, unless a requester wants another time [s]; 0 has tasks settled
            one by one.
        pid: Process that serves the market on this machine; 0 when it runs elsewhere.
    """

    chain_id: int
    rpc_url: str
    hub: Address
    market_url: str
    storage_url: str
    pool_url: str = ""
    vault_url: str = ""
    index_url: str = ""
    broker_url: str = ""
    workerpool: Address | None = None
    wallets: dict[str, str] = {}
    password_file: str = ""
    first_block: int = 0
    bag_window_s: int = DEFAULT_WINDOW_S
    pid: int = 0

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "hub", as_address(self.hub))
        if self.workerpool is not None:
            msgspec.structs.force_setattr(self, "workerpool", as_address(self.workerpool))
        if not 0 <= self.bag_window_s <= MAX_WINDOW_S:
            raise ValueError(f"bag_window_s must be 0 to {MAX_WINDOW_S}")


def home_folder(home: Path | str | None = None) -> Path:
    """Choose the home folder: the one given, else `$VOISIN_HOME`, else `~/.voisin`; as an absolute path."""
    chosen = home or os.environ.get("VOISIN_HOME") or Path.home() / ".voisin"
    return Path(chosen).expanduser().absolute()


def load_network(home: Path) -> Network:
    """
    Read which market a home folder belongs to.

    Raises:
        StateError: There is none yet.
        InputError: The file is malformed.
    """
    path = home / NETWORK_FILE
    return read_network(path) if path.exists() else _no_network(home)


def read_network(path: Path) -> Network:
    """
    Read a network file.

    Raises:
        InputError: It cannot be read, or is malformed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"the network file {path} cannot be read: {error.strerror}", hint="check the path") from None
    return decode(data, Network, f"the network file {path}")


def named_network(name: str, *, rpc_url: str = "", market_url: str = "") -> Network:
    """
    Describe a public network of the original by its name: its chain can be read, and its contracts used.

    Args:
        name: Its name, for example `arbitrum`.
        rpc_url: The node to use; a public one unless given.
        market_url: An order book that follows its hub, run by whoever; none unless given.

    Raises:
        InputError: There is no network of this name.
    """
    known = known_network(name)
    return Network(
        chain_id=known.chain_id,
        rpc_url=rpc_url or known.rpc_url,
        hub=known.hub,
        market_url=market_url,
        storage_url=known.storage_url,
    )


def save_network(home: Path, network: Network) -> Path:
    """Write a home folder's network file, all at once; answers its path."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / NETWORK_FILE
    partial = path.with_suffix(".part")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(network), indent=2) + b"\n")
    partial.replace(path)
    return path


def _no_network(home: Path) -> Network:
    raise StateError(f"no market is known in {home}", hint="start one with `voisin up`, or name another folder with --home or VOISIN_HOME")
