"""The Python SDK: buy runs of apps on a market, follow them, get verified results and the invoice."""

from voisin.client.apps import AppFile, TargetApp, expand_app, read_app
from voisin.client.callbacks import Callback, CallbackState
from voisin.client.cloud import AsyncCloud, connect_async
from voisin.client.invoice import Invoice
from voisin.client.job import AsyncJob, Ending
from voisin.client.ledger import BalanceSheet, Holding
from voisin.client.network import Network, home_folder, load_network, named_network, save_network
from voisin.client.offers import Lot
from voisin.client.quote import Quote
from voisin.client.results import AppFailedError, Result
from voisin.client.sync import Cloud, Job, connect
from voisin.client.terms import Progress, RunTerms, TaskSpec

__all__ = [
    "AppFailedError",
    "AppFile",
    "AsyncCloud",
    "AsyncJob",
    "BalanceSheet",
    "Callback",
    "CallbackState",
    "Cloud",
    "Ending",
    "Holding",
    "Invoice",
    "Job",
    "Lot",
    "Network",
    "Progress",
    "Quote",
    "Result",
    "RunTerms",
    "TargetApp",
    "TaskSpec",
    "connect",
    "connect_async",
    "expand_app",
    "home_folder",
    "load_network",
    "named_network",
    "read_app",
    "save_network",
]
