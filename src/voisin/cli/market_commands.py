"""The market as it happens: `market watch`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.session import Session, command

if TYPE_CHECKING:
    from rich.text import Text

    from voisin.client import AsyncCloud
    from voisin.protocol.feed import FeedEvent

app = typer.Typer(name="market", help="The market as it happens.")


def watch(
    session: Session,
    topics: Annotated[
        list[str] | None, typer.Argument(metavar="[TOPIC]...", help="orders, trades or deals; everything unless given.")
    ] = None,
    after: Annotated[int | None, typer.Option(help="Go on after the event with this number.", min=0)] = None,
    count: Annotated[int | None, typer.Option(help="Stop after so many events; with Ctrl-C unless given.", min=1)] = None,
) -> None:
    """Show orders, trades and deals as they come, one a line; with --json each line is a document."""
    from voisin.client.feed import read_topics
    from voisin.errors import InputError

    try:
        wanted = read_topics(topics or ())
    except InputError as error:
        raise typer.BadParameter(str(error), param_hint="TOPIC") from None

    async def work(cloud: AsyncCloud) -> None:
        from contextlib import aclosing

        left = count
        async with aclosing(cloud.feed(*wanted, after=after)) as events:
            async for event in events:
                _show(session, event)
                if left is not None and is_news(event):
                    left -= 1
                    if left == 0:
                        return

    session.with_cloud(work)


def is_news(event: FeedEvent) -> bool:
    """Tell whether something happened, or the feed only tells where it stands."""
    from voisin.protocol.feed import FeedReset, FeedStart

    return not isinstance(event, FeedStart | FeedReset)


def line_of(event: FeedEvent) -> Text:
    """Write an event as a line for a person."""
    from rich.text import Text

    from voisin.cli.show import moment

    line = Text()
    line.append(f"{event.id:>6}  {moment(event.at)}  ", style="dim")
    line.append(words_of(event))
    return line


def words_of(event: FeedEvent) -> str:
    """Say what happened."""
    from voisin.cli.order_commands import price_of
    from voisin.cli.show import counted, money, short
    from voisin.protocol.api import OrderStatus
    from voisin.protocol.feed import DealNews, FeedStart, OrderNews, TradeNews
    from voisin.protocol.orders import order_kind, resource_of

    match event:
        case OrderNews(order=published):
            order = published.order
            about = f"{order_kind(order)} order {short(published.hash)} of {short(resource_of(order))}"
            if published.status is OrderStatus.OPEN:
                return f"{about}: {counted(published.remaining, 'task')} at {money(price_of(published))} RLC"
            return f"{about}: {published.status}, {event.why}"
        case TradeNews(trade=trade):
            where = f"on {short(trade.workerpool)}, category {trade.category}"
            return f"traded {counted(trade.volume, 'task')} at {money(trade.price)} RLC {where}"
        case DealNews(deal=deal):
            return f"deal {short(deal.deal_id)}: {short(deal.requester)} runs {short(deal.app)} on {short(deal.workerpool)}"
        case FeedStart():
            return "the feed starts here"
        case _:
            return "some events were missed: what stands in the book must be read anew"


def _show(session: Session, event: FeedEvent) -> None:
    if session.as_json:
        from voisin.protocol.codec import encode

        sys.stdout.write(encode(event).decode() + "\n")
        sys.stdout.flush()
        return
    session.out.print(line_of(event), soft_wrap=True)


command(app, "watch", example="voisin market watch trades")(watch)
