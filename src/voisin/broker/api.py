"""
The broker's wire: HTTP with JSON, problems for errors.

| method and path | answer |
| --- | --- |
| GET /v1/broker/requests/{order_hash} | `BrokerView`: what became of a request, and why it is not filled |
| GET /v1/health | `BrokerHealth` |
| GET /metrics | figures for Prometheus |
| GET /schema/openapi.json | this, for programs |
"""

from __future__ import annotations

from litestar import Litestar, get
from litestar.config.cors import CORSConfig
from litestar.di import NamedDependency, Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import FromPath, SkipValidation

from voisin.broker.service import BrokerService
from voisin.broker.settings import BrokerSettings
from voisin.protocol.api import BrokerHealth, BrokerView
from voisin.protocol.ids import OrderHash, as_hash32
from voisin.service.problems import Problems

API_VERSION = "1.0.0"
METRICS_TYPE = "text/plain; version=0.0.4"

_PROBLEMS = Problems("broker", "GET /schema/openapi.json lists the routes and their methods")

Desk = NamedDependency[SkipValidation[BrokerService]]


@get("/v1/broker/requests/{order_hash:str}")
async def show_request(desk: Desk, order_hash: FromPath[str]) -> BrokerView:
    """Tell what became of a request: the deals made for it, what is left of it, and why that is not filled."""
    return await desk.view(OrderHash(as_hash32(order_hash)))


@get("/v1/health")
async def health(desk: Desk) -> BrokerHealth:
    """Tell how the broker is; 503 when it does not get on."""
    return desk.health()


@get("/metrics", media_type=METRICS_TYPE, include_in_schema=False)
async def metrics(desk: Desk) -> bytes:
    """Write the broker's figures for Prometheus."""
    return desk.metrics.page()


def create_app(service: BrokerService, settings: BrokerSettings) -> Litestar:
    """
    Make the broker's ASGI application.

    Args:
        service: The broker.
        settings: How it is set up.
    """
    return Litestar(
        route_handlers=[show_request, health, metrics],
        dependencies={"desk": Provide(lambda: service, sync_to_thread=False)},
        exception_handlers=_PROBLEMS.handlers(),
        cors_config=CORSConfig(allow_origins=list(settings.allow_origins)),
        openapi_config=OpenAPIConfig(
            title="Voisin broker",
            version=API_VERSION,
            description="Fills open requests with open offers; errors are RFC 9457 problems. Amounts are in nRLC, times in Unix seconds.",
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
            use_handler_docstrings=True,
        ),
        logging_config=None,
    )
