"""The worker's side of deals that are settled as a bag: tasks by the hundred, signed words in place of transactions."""

from voisin.worker.bags.service import Bags

__all__ = ["Bags"]
