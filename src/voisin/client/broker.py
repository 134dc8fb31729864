"""A broker as a client sees it: what became of a published request."""

from __future__ import annotations

from voisin.client.services import Service
from voisin.protocol.api import BrokerHealth, BrokerView
from voisin.protocol.ids import OrderHash


class BrokerDesk:
    """What a broker tells about the requests that it fills."""

    def __init__(self, service: Service) -> None:
        """
        Args:
            service: The broker.
        """
        self.service = service

    async def request(self, request: OrderHash) -> BrokerView:
        """
        Tell what became of a request: the deals made for it, what is left, and why that is not filled.

        Raises:
            StateError: The market does not know it.
            InputError: It is no request.
        """
        return await self.service.read(f"/v1/broker/requests/{request}", BrokerView)

    async def health(self) -> BrokerHealth:
        """
        Tell how the broker is.

        Raises:
            UnavailableError: It does not get on.
        """
        return await self.service.read("/v1/health", BrokerHealth)
