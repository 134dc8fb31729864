"""The index: what the ecosystem's clients and explorers ask a subgraph, and the directory of pools."""

from voisin.index.opening import Index, index_at, open_index, run_index, serve_index
from voisin.index.service import IndexHealth
from voisin.index.settings import IndexSettings

__all__ = ["Index", "IndexHealth", "IndexSettings", "index_at", "open_index", "run_index", "serve_index"]
