"""An Ethereum chain in one process and one file, for a machine that has nothing else installed."""

from voisin.chain.devnet.accounts import DEVELOPMENT_BALANCE, TEST_MNEMONIC, development_keys
from voisin.chain.devnet.node import Devnet
from voisin.chain.devnet.serve import serve_devnet
from voisin.chain.devnet.settings import DevnetSettings, EngineName
from voisin.chain.devnet.wire.errors import RpcError

__all__ = ["DEVELOPMENT_BALANCE", "TEST_MNEMONIC", "Devnet", "DevnetSettings", "EngineName", "RpcError", "development_keys", "serve_devnet"]
