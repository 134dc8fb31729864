"""The broker: fills open requests with open offers, for nothing; it sends the matches and never holds money."""

from voisin.broker.opening import Broker, open_broker, serve_broker
from voisin.broker.settings import BrokerSettings

__all__ = ["Broker", "BrokerSettings", "open_broker", "serve_broker"]
