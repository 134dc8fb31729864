"""
The blocking face of Voisin: run apps on other people's machines from ordinary code.

    with voisin.connect() as cloud:
        result = cloud.run("app.wasm", ["an", "argument"])
        print(result.stdout)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Unpack

from anyio.from_thread import BlockingPortal, start_blocking_portal

from voisin.client.apps import AppReference
from voisin.client.cloud import AsyncCloud, WalletReference, connect_async
from voisin.client.data.faces import DataFace
from voisin.client.faces import BagsFace, CloudFace, JobFace, SecretsFace
from voisin.client.network import Network
from voisin.client.quote import Quote
from voisin.client.results import Result
from voisin.client.terms import Progress, RunTerms, TaskLike, TaskSpec
from voisin.client.wallets import PasswordPrompt
from voisin.protocol.feed import FeedEvent
from voisin.protocol.ids import DealId
from voisin.units import NRLC


class Job(JobFace):
    """The tasks of a run, on the way to their results."""

    def __len__(self) -> int:
        return len(self._inner)

    @property
    def deal_ids(self) -> tuple[DealId, ...]:
        """The deals' ids; `cloud.deal` finds the results by them later."""
        return self._inner.deal_ids

    @property
    def price(self) -> NRLC:
        """What all tasks cost [nRLC]."""
        return self._inner.price

    def progress(self) -> Progress:
        """Tell how far the tasks have come."""
        return self._inner.progress()

    def futures(self) -> list[Future[Result]]:
        """Give a future for each task, in order; `concurrent.futures.as_completed` takes them."""
        return [self._later(self._inner.result, index) for index in range(len(self._inner))]


class Cloud(CloudFace):
    """
    A connection to a market. Made by `connect`.

    Attributes:
        secrets: The wallet's secrets in the network's vault.
        bags: Deals that are settled as a bag, and what may be done about them.
        data: Data that the wallet rents out, or rents.
    """

    def __init__(self, portal: BlockingPortal, inner: AsyncCloud) -> None:
        super().__init__(portal, inner)
        self._pending: set[Future[Result]] = set()
        self.secrets = SecretsFace(portal, inner.secrets)
        self.bags = BagsFace(portal, inner.bags)
        self.data = DataFace(portal, inner.data)

    def start(self, quote: Quote) -> Job:
        """
        Buy what was quoted.

        Args:
            quote: Answer of `quote`.

        Returns:
            The job, whose tasks are under way.

        Raises:
            FundsError: The money does not suffice; nothing was spent.
            NoMatchError: The offers are gone.
            StateError: Only a part could be bought; the message says what, the hint how to get its results.
        """
        return Job(self._portal, self._wait(self._inner.start, quote))

    def deal(self, deal_id: str) -> Job:
        """
        Take up a deal that was made earlier, here or elsewhere.

        Args:
            deal_id: The deal.

        Raises:
            StateError: There is no such deal.
        """
        return Job(self._portal, self._wait(self._inner.deal, deal_id))

    def submit(self, app: AppReference, args: Sequence[str | int | float] | TaskSpec = (), **terms: Unpack[RunTerms]) -> Future[Result]:
        """
        Run an app once, without waiting.

        Args:
            app: As in `run`.
            args: As in `run`.
            **terms: As in `run`.

        Returns:
            A future of the result, for `concurrent.futures.wait` and `as_completed`; cancelling it does not undo the deal.
        """
        return self._keep(self._later(self._inner.run, app, args, **terms))

    def map_async(self, app: AppReference, tasks: Iterable[TaskLike], **terms: Unpack[RunTerms]) -> list[Future[Result]]:
        """
        Run an app many times, in one bag: buys as `map` does, and does not wait for the results.

        Args:
            app: As in `run`.
            tasks: As in `map`.
            **terms: As in `run`.

        Returns:
            A future for each task, in the order of the tasks.
        """
        return [self._keep(future) for future in self.start(self.quote(app, tasks, **terms)).futures()]

    def feed(self, *topics: str, after: int | None = None) -> Iterator[FeedEvent]:
        """
        Hear of what changes in the market, for ever: `for event in cloud.feed("trades")`.

        Args:
            *topics: `orders`, `trades`, `deals`; all unless given.
            after: The id of the last event that was heard before; None to begin with the next one.

        Returns:
            The events, a `FeedStart` first. A lost connection is opened again where it broke; a `FeedReset` says that something was
            missed. Iterating raises `UnavailableError` when the market is out of reach for too long.

        Raises:
            InputError: There is no such topic.
        """
        return self._each(self._inner.feed(*topics, after=after))

    def close(self, *, cancel: bool = False) -> None:
        """
        Wait for the futures that are still open.

        Args:
            cancel: Whether to cancel them first.
        """
        pending = list(self._pending)
        for future in pending if cancel else ():
            future.cancel()
        wait(pending)

    def _each(self, events: AsyncGenerator[FeedEvent, None]) -> Iterator[FeedEvent]:
        try:
            while True:
                yield self._wait(events.__anext__)
        finally:
            self._wait(events.aclose)

    def _keep(self, future: Future[Result]) -> Future[Result]:
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future


@contextmanager
def connect(
    home: str | Path | None = None,
    network: Network | str | None = None,
    *,
    wallet: WalletReference = None,
    password: str | None = None,
    ask: PasswordPrompt | None = None,
) -> Iterator[Cloud]:
    """
    Connect to a market for as long as the context lasts; on leaving it, futures are waited for, as an executor does.

    Args:
        home: The home folder, with `box.json` and wallets; `$VOISIN_HOME` or `~/.voisin` unless given.
        network: The market, when it is not the home folder's; a public one by its name, for example `"arbitrum"`.
        wallet: Who pays: a wallet's name or keystore file; the home's requester unless given. It is opened when first needed.
        password: The wallet's password; from the box's or `VOISIN_PASSWORD_FILE`'s file unless given.
        ask: Asks a person for the password when nothing else gives it.

    Raises:
        StateError: No market is known; start one with `voisin up`.
        UnavailableError: The market does not answer.
    """
    opened = connect_async(home, network, wallet=wallet, password=password, ask=ask)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(opened) as inner:
        cloud = Cloud(portal, inner)
        try:
            yield cloud
        except BaseException:
            cloud.close(cancel=True)
            raise
        cloud.close()
