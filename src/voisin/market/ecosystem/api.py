"""
The market's wire for the ecosystem's clients, such as the npm package `iexec`: every answer is `{"ok": ...}`.

| method and path | answer besides `ok` |
| --- | --- |
| GET /version | `version` |
| GET /docs | this, for people |
| GET /challenge | `data`: typed data for an address to sign |
| GET /categories, /categories/{catid} | `categories`, or the fields of one |
| GET /deals, /deals/{dealid} | `deals`, or the fields of one |
| GET /ohlc | `ohlc`: time, price and volume of a category's last deals |
| GET /metrics?chainId= | how far the chain is followed, and open orders of each kind |
| GET /apporders, /datasetorders, /workerpoolorders, /requestorders | `orders` |
| GET the same with /{order_hash} | the fields of one order |
| POST the same | `published`: the order that was taken into the book |
| PUT the same | `unpublished`: the hashes of those that were taken out |

Source: client-surface.md 3.
"""

from __future__ import annotations

from html import escape
from importlib.metadata import version as version_of
from inspect import getdoc
from ipaddress import ip_address

import msgspec
from litestar import MediaType, Response, Router, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, SkipValidation

from voisin.errors import InputError
from voisin.market.ecosystem.answers import HANDLERS, accept, answer_any, answer_error
from voisin.market.ecosystem.challenges import SERVICE
from voisin.market.ecosystem.desk import RESOURCES, EcosystemDesk, Target
from voisin.market.ecosystem.fields import Fields
from voisin.market.ecosystem.forms import category_record, deal_record, order_record
from voisin.market.ecosystem.questions import read_deal_query, read_order_hash, read_order_query, read_paging
from voisin.market.front import Asked, Door
from voisin.market.machine import published_form
from voisin.market.proof import Consent
from voisin.market.query import DealQuery
from voisin.market.service import MarketService, UnknownError
from voisin.market.settings import MarketSettings
from voisin.protocol.api import OrderStatus
from voisin.protocol.challenges import challenge_data
from voisin.protocol.codec import decode, encode
from voisin.protocol.ids import DealId
from voisin.protocol.orders import OrderKind, order_kind
from voisin.service.answers import Answer
from voisin.service.problems import AnyRequest

LISTS = [f"/{kind}orders" for kind in OrderKind]
ONES = [f"{path}/{{order_hash:str}}" for path in LISTS]
TITLE = "Routes for the ecosystem's clients"
LAST_TRADES = 100
"""Most deals that `/ohlc` tells of."""

Front = NamedDependency[SkipValidation[EcosystemDesk]]


@get("/version")
async def version() -> Response[bytes]:
    """Tell the version of Voisin."""
    return accept(version=version_of("voisin"))


@get("/docs", media_type=MediaType.HTML)
async def docs() -> str:
    """List these routes, for people."""
    rows = "".join(
        f"<tr><td>{', '.join(sorted(handler.http_methods))}</td><td>{escape(', '.join(sorted(handler.paths)))}</td>"
        f"<td>{escape(getdoc(handler.fn) or '')}</td></tr>"
        for handler in _HANDLERS
    )
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{TITLE}</title><h1>{TITLE}</h1><table>{rows}</table></html>'


@get("/challenge")
async def challenge(front: Front, request: AnyRequest) -> Response[bytes]:
    """Give an address typed data to sign, by which it can authorise one publication or removal."""
    fields, chain = _asked(front, request)
    _count(front, request)
    address = fields.address("address", is_required=True)
    assert address is not None
    text = await front.doorkeeper.challenge(address, now=front.market.clock())
    return accept(data=challenge_data(SERVICE, text, chain))


@get("/categories/{catid:str}")
async def show_category(front: Front, request: AnyRequest, catid: FromPath[str]) -> Response[bytes]:
    """Show a category."""
    _, chain = _asked(front, request)
    number = Fields({"catid": catid}).number("catid", is_required=True)
    found = next((each for each in await front.market.store.categories() if each.number == number), None)
    if found is None:
        raise UnknownError("category not found")
    return accept(**msgspec.to_builtins(category_record(found, chain)))


@get("/categories")
async def list_categories(front: Front, request: AnyRequest) -> Response[bytes]:
    """List the categories, the shortest first."""
    fields, chain = _asked(front, request)
    paging = read_paging(fields)
    least, most = fields.number("minWorkClockTimeRef"), fields.number("maxWorkClockTimeRef")
    fitting = [
        each
        for each in await front.market.store.categories()
        if (least is None or each.time_ref_s >= least) and (most is None or each.time_ref_s <= most)
    ]
    fitting.sort(key=lambda each: (each.time_ref_s, each.number))
    shown = [category_record(each, int(chain)) for each in fitting[paging.skip : paging.skip + paging.limit]]
    return accept(categories=shown, count=len(fitting), **_next(paging.next_page(len(shown))))


@get("/deals/{dealid:str}")
async def show_deal(front: Front, request: AnyRequest, dealid: FromPath[str]) -> Response[bytes]:
    """Show a deal."""
    _, chain = _asked(front, request)
    name = Fields({"dealid": dealid}).bytes32("dealid", is_required=True)
    assert name is not None
    found = await front.market.store.deal(DealId(name))
    if found is None:
        raise UnknownError("deal not found")
    return accept(**msgspec.to_builtins(deal_record(found, chain)))


@get("/deals")
async def list_deals(front: Front, request: AnyRequest) -> Response[bytes]:
    """List deals, the newest first."""
    fields, chain = _asked(front, request)
    paging = read_paging(fields)
    page = await front.market.store.deals_from(read_deal_query(fields, paging.limit), paging.skip)
    deals = [deal_record(deal, int(chain)) for deal in page.deals]
    return accept(deals=deals, count=page.count, **_next(paging.next_page(len(deals))))


@get("/ohlc")
async def list_trades(front: Front, request: AnyRequest) -> Response[bytes]:
    """List time, workerpool's price [nRLC] and volume [tasks] of a category's last deals, the newest first."""
    fields, chain = _asked(front, request)
    query = DealQuery(category=fields.number("category", is_required=True), limit=LAST_TRADES)
    page = await front.market.store.deals_from(query, 0)
    newest_first = sorted(page.deals, key=lambda deal: (-deal.block, deal.workerpool_price, deal.deal_id))
    records = (deal_record(deal, int(chain)) for deal in newest_first)
    return accept(ohlc=[[record.block_timestamp, record.workerpool.price, record.volume] for record in records])


@get(LISTS)
async def list_orders(front: Front, request: AnyRequest) -> Response[bytes]:
    """List open orders of a kind: the cheapest offers, the dearest requests first."""
    return accept(**await _list(front.market, _fields(request), request.scope["path"]))


@get(ONES)
async def show_order(front: Front, request: AnyRequest, order_hash: FromPath[str]) -> Response[bytes]:
    """Show an order that was not taken out, whether it is open or not."""
    _, chain = _asked(front, request)
    kind = _kind_of(request.scope["path"])
    entry = await front.market.store.entry(read_order_hash(Fields({"orderHash": order_hash})))
    if entry is None or order_kind(entry.order) is not kind or entry.status is OrderStatus.REMOVED:
        raise UnknownError(f"{kind}order not found")
    return accept(**msgspec.to_builtins(order_record(published_form(entry), chain)))


@post(LISTS, status_code=200)
async def publish(front: Front, request: AnyRequest) -> Response[bytes]:
    """Publish a signed order, authorised by a signed challenge: `{"order": {...}}`."""
    _, chain = _asked(front, request)
    _count(front, request)
    order = (await _body(request)).below("order").order(_kind_of(request.scope["path"]))
    published = await front.publish(order, await _consent(front, request))
    return accept(published=order_record(published, int(chain)))


@put(LISTS)
async def unpublish(front: Front, request: AnyRequest) -> Response[bytes]:
    """Take an order, or the last or all of a resource, out of the book, authorised by a signed challenge."""
    _asked(front, request)
    _count(front, request)
    kind, body = _kind_of(request.scope["path"]), await _body(request)
    target = Target(body.one_of("target", tuple(Target), Target.ONE))
    if target is Target.ONE:
        order_hash = read_order_hash(body)
        return accept(unpublished=await front.unpublish(kind, order_hash, await _consent(front, request)))
    resource = body.address(RESOURCES[kind], is_required=True)
    assert resource is not None
    consent = await _consent(front, request)
    return accept(unpublished=await front.unpublish_of(kind, resource, consent, is_last_only=target is Target.LAST))


async def _list(market: MarketService, fields: Fields, path: str) -> dict[str, object]:
    """List the orders that a path and its query ask for."""
    chain = fields.chain(market.ledger.domain.chain_id)
    paging = read_paging(fields)
    page = await market.store.orders_from(read_order_query(fields, _kind_of(path), paging.limit), paging.skip)
    orders = [order_record(order, int(chain)) for order in page.orders]
    return {"orders": orders, "count": page.count, **_next(paging.next_page(len(orders)))}


async def metrics_for_clients(market: MarketService, request: AnyRequest) -> Response[bytes]:
    """Tell how far the chain is followed, and how many orders of each kind are open."""
    try:
        _fields(request).chain(market.ledger.domain.chain_id)
    except InputError as error:
        return answer_error(request, error)
    last = (await market.store.position()).next_block - 1
    counts = {f"{kind}orders": count for kind, count in (await market.store.open_orders()).items()}
    return accept(lastBlock=last, checkpointBlock=last, **counts)


def ecosystem_routes(market: MarketService, settings: MarketSettings) -> Router:
    """
    Make the routes for the ecosystem's clients.

    Args:
        market: The market.
        settings: How it is set up.
    """
    desk = EcosystemDesk(market, settings)
    return Router(
        "/",
        route_handlers=_HANDLERS,
        dependencies={"front": Provide(lambda: desk, sync_to_thread=False)},
        exception_handlers=HANDLERS,
        include_in_schema=False,
    )


def ecosystem_doors(market: MarketService) -> dict[tuple[str, str], Door]:
    """Make the doors to the lists of orders."""

    async def show(asked: Asked) -> Answer:
        return Answer(encode({"ok": True, **await _list(market, Fields(dict(asked.query)), asked.path)}))

    return {("GET", path): Door(show, answer_any) for path in LISTS}


_HANDLERS = (
    *(version, docs, challenge, show_category, list_categories, show_deal, list_deals, list_trades),
    *(list_orders, show_order, publish, unpublish),
)


def _asked(front: EcosystemDesk, request: AnyRequest) -> tuple[Fields, str]:
    """Read the query and the chain that it names."""
    fields = _fields(request)
    return fields, fields.chain(front.market.ledger.domain.chain_id)


def _count(front: EcosystemDesk, request: AnyRequest) -> None:
    """Count a request that writes something down, unless it comes from this machine."""
    host = request.client.host if request.client is not None else ""
    try:
        is_local = ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        front.buckets.take(host)


def _fields(request: AnyRequest) -> Fields:
    return Fields({name: values[-1] for name, values in request.query_params.dict().items()})


def _kind_of(path: str) -> OrderKind:
    """Tell from the path which kind of orders is meant."""
    return OrderKind(path.split("/")[1].removesuffix("orders"))


async def _body(request: AnyRequest) -> Fields:
    return Fields(decode(await request.body(), dict[str, object], "the body"))


async def _consent(front: EcosystemDesk, request: AnyRequest) -> Consent:
    return await front.doorkeeper.admit(request.headers.get("authorization"), now=front.market.clock())


def _next(page: int | None) -> dict[str, int]:
    return {} if page is None else {"nextPage": page}
