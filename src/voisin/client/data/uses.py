"""What owners hear of their data: uses, alerts, results that wait."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import anyio

from voisin.client.data.alerting import Alert
from voisin.client.data.drafts import DATA_FOLDER, Diary
from voisin.client.data.owner import Owner
from voisin.client.data.reviews import results_that_wait
from voisin.client.data.steps import Tell, silent
from voisin.client.data.vaults import terms_desk
from voisin.client.data.watching import AlertRulesLike, Watchman, read_alert_rules
from voisin.client.links import Links
from voisin.client.requester import Requester
from voisin.errors import InputError, UnavailableError, VoisinError
from voisin.protocol.ids import Address, TaskId, as_address, as_hash32
from voisin.protocol.orders import OrderKind
from voisin.protocol.vault_terms import DataUse, HeldResult

_LOOK_S = 2.0


def _say_nothing(_error: VoisinError) -> None:
    """Tell nobody."""


class AsyncUses:
    """The ledger of the wallet's data."""

    def __init__(self, links: Links, requester: Callable[[], Awaitable[Requester]]) -> None:
        """
        Args:
            links: The network.
            requester: Opens the wallet.
        """
        self._links = links
        self._requester = requester

    async def uses(self, dataset: str | None = None, *, since: int = 0) -> list[DataUse]:
        """
        List the uses of the wallet's data, newest first: when, by which app, for whom, at what price, on what evidence.

        Args:
            dataset: Of this dataset; of all unless given.
            since: From when on [Unix s].

        Raises:
            TrustError: The wallet does not own it.
        """
        me, entries = await self._requester(), await self._entries(dataset)
        desk = terms_desk(self._links)
        found = [use for entry in entries async for use in desk.uses(me.signer, entry, since=since)]
        return sorted(found, key=lambda use: (use.at, use.id), reverse=True)

    async def waiting(self, dataset: str | None = None, *, since: int = 0) -> list[DataUse]:
        """
        List the uses whose results wait for the wallet's release, newest first; look at one with `AsyncCloud.deal`, as ever.

        Args:
            dataset: As in `uses`.
            since: As in `uses`.

        Raises:
            TrustError: The wallet does not own it.
        """
        return await results_that_wait(self._links, await self.uses(dataset, since=since))

    async def watch_uses(self, dataset: str | None = None) -> AsyncGenerator[DataUse, None]:
        """
        Hear of each new use of the wallet's data, for ever.

        Args:
            dataset: As in `uses`.
        """
        seen = {use.id for use in await self.uses(dataset)}
        since = max(int(time.time()) - 3_600, 0)
        while True:
            await anyio.sleep(_LOOK_S)
            for use in reversed(await self.uses(dataset, since=since)):
                if use.id not in seen:
                    seen.add(use.id)
                    yield use

    async def new_alerts(self, rules: AlertRulesLike = None, dataset: str | None = None) -> list[Alert]:
        """
        Look once at the wallet's data, and tell what is news by the owner's rules; the home folder knows what was told before.

        Args:
            rules: What is told, and the webhook where it goes too: `AlertRules`, a mapping, or the path of a file; everything unless given.
            dataset: As in `uses`.

        Raises:
            InputError: The rules cannot be used.
            TrustError: The wallet does not own the dataset.
            UnavailableError: A service does not answer, or the webhook: what it missed is kept, and posted the next time.
        """
        return [alert async for alert in self.watch_alerts(rules, dataset, once=True)]

    async def watch_alerts(
        self,
        rules: AlertRulesLike = None,
        dataset: str | None = None,
        *,
        once: bool = False,
        complain: Callable[[VoisinError], None] = _say_nothing,
    ) -> AsyncGenerator[Alert, None]:
        """
        Hear of what is news by the owner's rules, for ever; that an alert was told is written down when the next one is asked for.

        Args:
            rules: As in `new_alerts`.
            dataset: Likewise.
            once: Whether one look is enough; what does not answer is an error then.
            complain: Told when a service or the webhook does not answer; it is asked again a little later, and nothing is missed.

        Raises:
            InputError: The rules cannot be used.
            TrustError: The wallet does not own the dataset.
        """
        watchman = Watchman(await self._owner(silent), read_alert_rules(rules))
        while True:
            try:
                async with aclosing(watchman.watch(await self._entries(dataset))) as news:
                    async for alert in news:
                        yield alert
                await watchman.deliver()
            except UnavailableError as error:
                if once:
                    raise
                complain(error)
            if once:
                return
            await anyio.sleep(_LOOK_S)

    async def _entries(self, dataset: str | None) -> list[Address]:
        """Name the datasets of the wallet, or the one that is wanted."""
        if dataset:
            return [as_address(dataset)]
        return await self._links.chain.registries.owned(OrderKind.DATASET, (await self._requester()).address)

    async def result_key(self, task_id: TaskId) -> bytes:
        """
        Ask for the key of a result that waited for a release, as its reader or as the owner of the data.

        Raises:
            StateError: It still waits, or never did.
            TrustError: The wallet is neither's.
        """
        return await terms_desk(self._links).result_key((await self._requester()).signer, task_id)

    async def release(self, task_id: str) -> HeldResult:
        """
        Release a result that waits for it, as the dataset's owner.

        Args:
            task_id: The task.

        Raises:
            TrustError: The wallet does not own the dataset.
            StateError: The result does not wait.
        """
        return await terms_desk(self._links).release((await self._requester()).signer, TaskId(as_hash32(task_id)))

    async def _owner(self, tell: Tell) -> Owner:
        return Owner(self._links, await self._requester(), self._diary, tell)

    @property
    def _diary(self) -> Diary:
        if self._links.keys is None:
            raise InputError("there is no home folder for the keys of data", hint="connect with one")
        return Diary(self._links.keys.folder.parent / DATA_FOLDER)
