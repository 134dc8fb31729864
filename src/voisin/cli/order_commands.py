"""Orders: `order sign | publish | list | show | fill | cancel`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.reading import address, amount, hash32, tag
from voisin.cli.session import Session, command
from voisin.cli.windows import TaskByTaskOption, WindowOption, window_of
from voisin.units import NRLC, format_amount

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.cli.orders import SignedOrder
    from voisin.client import AsyncCloud
    from voisin.protocol.api import PublishedOrder
    from voisin.protocol.ids import DealId

app = typer.Typer(name="order", help="Orders: signed offers of apps, datasets and workerpools, and requests.")

KINDS = ("app", "dataset", "workerpool", "request")
STORAGE_PROVIDER = "ipfs"
"""Where a request says that its results go: the ecosystem's own client fills no request that does not say it."""
KindArgument = Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.")]
FileOrHash = Annotated[str, typer.Argument(metavar="FILE|HASH", help="An order file, or the hash of a published order.")]


def _kind(name: str) -> str:
    if name not in KINDS:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(KINDS)}", param_hint="KIND")
    return name


def sign(
    session: Session,
    kind: KindArgument,
    of: Annotated[str, typer.Argument(parser=address, metavar="ADDRESS", help="The app, dataset or workerpool; for a request, the app.")],
    price: Annotated[NRLC, typer.Option(parser=amount, metavar="AMOUNT", help="Price a task; for a request, the most for the workerpool.")],
    volume: Annotated[int, typer.Option(help="Number of tasks.", min=1)] = 1,
    app_price: Annotated[NRLC | None, typer.Option(parser=amount, metavar="AMOUNT", help="For a request: the most for the app.")] = None,
    category: Annotated[int, typer.Option(help="Class of duration, by number.", min=0)] = 0,
    trust: Annotated[int, typer.Option(help="Trust that a workerpool reaches at most, or a request wants.", min=0)] = 1,
    tags: Annotated[str, typer.Option("--tag", parser=tag, metavar="TAGS", help='What machines have or need, for example "gpu".')] = "",
    args: Annotated[str, typer.Option(help="For a request: the app's arguments.")] = "",
    workerpool: Annotated[str | None, typer.Option(parser=address, metavar="ADDRESS", help="For a request: the only workerpool.")] = None,
    callback: Annotated[
        str | None, typer.Option(parser=address, metavar="ADDRESS", help="For a request: contract for the results.")
    ] = None,
    window: WindowOption = None,
    task_by_task: TaskByTaskOption = False,
    out: Annotated[Path | None, typer.Option(help="File to write the signed order to; the screen unless given.")] = None,
) -> None:
    """Sign an order with the wallet; `order publish` offers it, `order fill` makes a deal of orders."""
    _kind(kind)

    async def work(cloud: AsyncCloud) -> SignedOrder:
        from voisin.cli.orders import sign as signed
        from voisin.protocol.ids import ZERO_ADDRESS, Address
        from voisin.protocol.tags import as_tag

        draft = _draft(kind, Address(of), price, volume, as_tag(tags))
        if kind == "workerpool":
            draft |= {"category": category, "trust": trust}
        if kind == "request":
            me = (await cloud.requester()).address
            draft |= {"category": category, "trust": trust, "appmaxprice": app_price or NRLC(0), "requester": me, "beneficiary": me}
            window_s = await _window(cloud, volume, tags, workerpool, window_of(window, task_by_task))
            draft |= {"params": _params(args, window_s), "workerpool": Address(workerpool) if workerpool else ZERO_ADDRESS}
            draft |= {"callback": Address(callback) if callback else ZERO_ADDRESS}
        return await signed(cloud, _typed(kind, draft))

    order = session.with_wallet(work)
    _write_order(session, order, out)


def publish(session: Session, file: Annotated[Path, typer.Argument(help="An order file, as `order sign` writes it.")]) -> None:
    """Put a signed order into the market's book."""

    async def work(cloud: AsyncCloud) -> PublishedOrder:
        from voisin.cli.orders import read_order

        return await cloud.links.book.publish(read_order(file))

    published = session.with_cloud(work)
    session.answer(published, lambda out: _show_order(out, published))


def listing(
    session: Session,
    kind: KindArgument,
    app: Annotated[str | None, typer.Option(parser=address, metavar="ADDRESS", help="Only orders for this app.")] = None,
    workerpool: Annotated[str | None, typer.Option(parser=address, metavar="ADDRESS", help="Only orders for this workerpool.")] = None,
    owner: Annotated[str | None, typer.Option(parser=address, metavar="ADDRESS", help="Only orders that this address signed.")] = None,
    category: Annotated[int | None, typer.Option(help="Only this class of duration.", min=0)] = None,
    status: Annotated[str, typer.Option(help="open, filled, cancelled, removed or dead.")] = "open",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 50,
) -> None:
    """List published orders, best price first."""
    _kind(kind)

    async def work(cloud: AsyncCloud) -> list[PublishedOrder]:
        from contextlib import aclosing

        from voisin.protocol.api import OrderStatus
        from voisin.protocol.orders import OrderKind

        if status not in list(OrderStatus):
            raise typer.BadParameter(f"{status!r} is not one of {', '.join(OrderStatus)}", param_hint="--status")
        filters = {"app": app, "workerpool": workerpool, "owner": owner, "category": category}
        found: list[PublishedOrder] = []
        async with aclosing(cloud.links.book.orders(OrderKind(kind), filters, status=OrderStatus(status))) as orders:
            async for order in orders:
                found.append(order)
                if len(found) == limit:
                    break
        return found

    found = session.with_cloud(work)
    session.answer(found, lambda out: _show_orders(out, kind, found))


def show(session: Session, order: Annotated[str, typer.Argument(parser=hash32, metavar="HASH", help="The order's hash.")]) -> None:
    """Show a published order: its terms, and what is left of it."""

    async def work(cloud: AsyncCloud) -> PublishedOrder:
        from voisin.protocol.ids import Hash32, OrderHash

        return await cloud.links.book.find(OrderHash(Hash32(order)))

    found = session.with_cloud(work)
    session.answer(found, lambda out: _show_order(out, found))


def fill(
    session: Session,
    app: Annotated[str, typer.Option(metavar="FILE|HASH", help="The app order.")],
    workerpool: Annotated[str, typer.Option(metavar="FILE|HASH", help="The workerpool order.")],
    request: Annotated[str, typer.Option(metavar="FILE|HASH", help="The request order.")],
) -> None:
    """Make a deal of three orders; whoever the request names pays."""

    async def work(cloud: AsyncCloud) -> tuple[DealId, int]:
        from voisin.cli.filling import fill_orders

        return await fill_orders(cloud, app=app, workerpool=workerpool, request=request)

    deal, volume = session.with_wallet(work)
    session.answer({"deal_id": deal, "volume": volume}, lambda out: out.print(f"deal {deal}, {volume} tasks"))


def cancel(
    session: Session,
    order: FileOrHash,
    unpublish: Annotated[bool, typer.Option("--unpublish", help="Only take it out of the book; who kept it can still fill it.")] = False,
) -> None:
    """Cancel an order for good on the chain, or only take it out of the market's book."""

    async def work(cloud: AsyncCloud) -> str:
        from voisin.cli.filling import cancel_order

        return await cancel_order(cloud, order, only_unpublish=unpublish)

    name = session.with_wallet(work)
    done = "unpublished" if unpublish else "cancelled"
    session.answer({"hash": name, "status": done}, lambda out: out.print(f"{done} {name}"))


def _draft(kind: str, of: str, price: NRLC, volume: int, tags: str) -> dict[str, object]:
    from voisin.client.requester import new_salt

    resource = "app" if kind == "request" else kind
    price_field = "workerpoolmaxprice" if kind == "request" else f"{kind}price"
    return {resource: of, price_field: price, "volume": volume, "tag": tags, "salt": new_salt()}


def _typed(kind: str, draft: dict[str, object]) -> SignedOrder:
    import msgspec

    from voisin.protocol.orders import ORDER_TYPES, OrderKind

    made: SignedOrder = msgspec.convert(draft, ORDER_TYPES[OrderKind(kind)])
    return made


def _params(args: str, window_s: int) -> str:
    from voisin.client.requester import with_window
    from voisin.protocol.params import DealParams, encode_params

    return encode_params(with_window(DealParams(iexec_args=args, iexec_result_storage_provider=STORAGE_PROVIDER), window_s))


async def _window(cloud: AsyncCloud, volume: int, tags: str, workerpool: str | None, wanted_s: int | None) -> int:
    """Choose how a request is settled that anybody may fill: as a bag only if the workerpool that it names settles bags."""
    from voisin.client.bags.asking import TASK_BY_TASK, Plan, choose_window
    from voisin.protocol.ids import Address
    from voisin.protocol.tags import as_tag

    if wanted_s is None and workerpool is None:
        return TASK_BY_TASK
    named = frozenset({Address(workerpool)} if workerpool is not None else ())
    return await choose_window(cloud.links, Plan(volume, as_tag(tags), named, wanted_s))


def _write_order(session: Session, order: SignedOrder, out: Path | None) -> None:
    import sys

    import msgspec

    from voisin.cli.orders import write_order

    text = msgspec.json.format(msgspec.json.encode(write_order(order)), indent=2).decode() + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    out.write_text(text)
    session.answer({"file": str(out)}, lambda console: console.print(f"wrote {out}"))


def price_of(order: PublishedOrder) -> NRLC:
    """Tell the price by which an order is listed [nRLC]."""
    from voisin.protocol.orders import AppOrder, DatasetOrder, WorkerpoolOrder

    match order.order:
        case AppOrder():
            return order.order.appprice
        case DatasetOrder():
            return order.order.datasetprice
        case WorkerpoolOrder():
            return order.order.workerpoolprice
        case _:
            return order.order.workerpoolmaxprice


def _tags(order: PublishedOrder) -> str:
    from voisin.protocol.tags import tag_names

    return ", ".join(tag_names(order.order.tag)) or "none"


def _show_orders(out: Console, kind: str, found: list[PublishedOrder]) -> None:
    from voisin.cli.show import money, short, table
    from voisin.protocol.orders import resource_of

    rows = [
        (order.hash, short(resource_of(order.order)), money(price_of(order)), str(order.remaining), order.status, _tags(order))
        for order in found
    ]
    columns = ("order", kind if kind != "request" else "requester", "RLC", "left", "status", "tags")
    out.print(table(f"{kind.capitalize()} orders", columns, rows, right=("RLC", "left")) if rows else f"no {kind} orders")


def _show_order(out: Console, found: PublishedOrder) -> None:
    import msgspec

    from voisin.cli.show import moment, pairs
    from voisin.protocol.ids import ZERO_ADDRESS

    fields = msgspec.structs.asdict(found.order)
    hidden = ("sign", "salt", "tag")
    terms = [(name, str(value)) for name, value in fields.items() if name not in hidden and value not in (ZERO_ADDRESS, "")]
    state = [
        ("signer", found.signer),
        ("status", found.status),
        ("left", f"{found.remaining} tasks"),
        ("since", moment(found.published_at)),
    ]
    out.print(pairs([("order", found.hash), ("price", format_amount(price_of(found))), *terms, ("tags", _tags(found)), *state]))


command(app, "sign", example='voisin order sign app 0x… --price "0.01 RLC" --volume 100 --out app.json')(sign)
command(app, "publish", example="voisin order publish app.json")(publish)
command(app, "list", example="voisin order list workerpool --category 0")(listing)
command(app, "show", example="voisin order show 0x…")(show)
command(app, "fill", example="voisin order fill --app app.json --workerpool 0x… --request request.json")(fill)
command(app, "cancel", example="voisin order cancel 0x…")(cancel)
