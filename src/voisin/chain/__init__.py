"""
The chain client: typed access to hub, registries and token, transactions that arrive, events that are not missed.

    from voisin.chain import Sender, calls, open_chain

    async with open_chain("http://127.0.0.1:8545", hub) as chain:
        print(await chain.hub.account(wallet.address))
        await Sender(chain, wallet).send(calls.withdraw(hub, NRLC(5)))
"""

from voisin.chain import calls
from voisin.chain.calls import Admission, Call
from voisin.chain.connection import Chain, connect, open_chain
from voisin.chain.deployment.place import Deployment, execute_plan
from voisin.chain.deployment.plan import DeploymentPlan, DeploymentTerms, deployment_plan
from voisin.chain.flights import SenderSettings
from voisin.chain.follower import EventRange, Follower, FollowSettings, WentBackError, events_of, follow, ranges_of
from voisin.chain.gathering import Gathering
from voisin.chain.logs import decode_logs
from voisin.chain.node_values import RawLog
from voisin.chain.rpc import NodeError, Rpc
from voisin.chain.sender import Receipt, Sender, Submitted
from voisin.chain.turns import OwnTurns, Turn, Turns

__all__ = [
    "Admission",
    "Call",
    "Chain",
    "Deployment",
    "DeploymentPlan",
    "DeploymentTerms",
    "EventRange",
    "FollowSettings",
    "Follower",
    "Gathering",
    "NodeError",
    "OwnTurns",
    "RawLog",
    "Receipt",
    "Rpc",
    "Sender",
    "SenderSettings",
    "Submitted",
    "Turn",
    "Turns",
    "WentBackError",
    "calls",
    "connect",
    "decode_logs",
    "deployment_plan",
    "events_of",
    "execute_plan",
    "follow",
    "open_chain",
    "ranges_of",
]
