"""
The asynchronous face of Voisin: run apps on other people's machines, and get verified results.

    async with voisin.connect_async() as cloud:
        result = await cloud.run("app.wasm", ["an", "argument"])
        print(result.stdout)
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar, Unpack

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from voisin.client.alongside import do_beside, guard_job
from voisin.client.apps import AppReference, find_app
from voisin.client.bags.desk import AsyncBags
from voisin.client.callbacks import Callback, find_callback, retry_callback
from voisin.client.data.desk import AsyncData
from voisin.client.feed import follow_feed, read_topics
from voisin.client.history import deal_invoice, with_enclave
from voisin.client.index import IndexDesk
from voisin.client.invoice import Invoice
from voisin.client.job import AsyncJob, open_job
from voisin.client.keys import SECRETS_FOLDER, ReaderKeys
from voisin.client.ledger import BalanceSheet, balance_sheet, holders
from voisin.client.links import Links, open_links
from voisin.client.logs import LogDesk, require_pool
from voisin.client.network import Network, home_folder, load_network, named_network
from voisin.client.quote import Quote, make_quote
from voisin.client.receipts import fetch_receipt
from voisin.client.requester import Requester
from voisin.client.results import Result
from voisin.client.secrets import AsyncSecrets
from voisin.client.terms import Progress, RunTerms, TaskLike, TaskSpec, read_tasks, read_terms
from voisin.client.wallets import PasswordPrompt, find_wallet, open_wallet
from voisin.client.watch import Watch
from voisin.errors import StateError, VoisinError
from voisin.protocol.api import PrintedText, TaskLogs
from voisin.protocol.feed import FeedEvent
from voisin.protocol.ids import Address, DealId, TaskId, as_address, as_hash32
from voisin.protocol.records import Account
from voisin.protocol.signatures import KeySigner
from voisin.protocol.task_receipt import TaskReceipt
from voisin.units import NRLC, parse_amount

T = TypeVar("T")
WalletReference = str | Path | KeySigner | None
"""A wallet: its name in the home folder, the path of its keystore, or an open one; None for the home's requester."""


class AsyncCloud:
    """
    A connection to a market. Made by `connect_async`.

    Attributes:
        links: The open connections.
        secrets: The wallet's secrets in the network's vault.
        bags: Deals that are settled as a bag, and what may be done about them.
        data: Data that the wallet rents out, or rents.
    """

    def __init__(self, links: Links, watch: Watch, background: TaskGroup, unlock: Callable[[], KeySigner]) -> None:
        self.links = links
        self._watch = watch
        self._background = background
        self._unlock = unlock
        self._requester: Requester | None = None
        self._unlocking = anyio.Lock()
        self.secrets = AsyncSecrets(links, self._wallet)
        self.bags = AsyncBags(links, watch, self.requester)
        self.data = AsyncData(links, self.requester, self.map)
        if links.keys is not None:
            links.keys.ask = self.data.result_key

    async def run(self, app: AppReference, args: Sequence[str | int | float] | TaskSpec = (), **terms: Unpack[RunTerms]) -> Result:
        """
        Run an app once.

        Args:
            app: A `.wasm` file, a folder with an `app.toml`, or the address of a registered app.
            args: The app's arguments.
            **terms: See `RunTerms`: inputs, replicas, trust, max_price, category, limits, tag, workerpool, timeout_s, progress.

        Returns:
            The verified result.

        Raises:
            InputError: Something given cannot be used.
            FundsError: The money does not suffice; the message says by how much.
            NoMatchError: No offer fits; the message names the nearest one and what excludes it.
            AppFailedError: The app failed; the error carries what it left.
            StateError: The task was not done and its price was refunded, or `timeout_s` passed.
        """
        return (await self.map(app, [args], **terms))[0]

    async def map(self, app: AppReference, tasks: Iterable[TaskLike], **terms: Unpack[RunTerms]) -> list[Result]:
        """
        Run an app many times, in one bag.

        Args:
            app: As in `run`.
            tasks: For each run its arguments, or a `TaskSpec`.
            **terms: As in `run`.

        Returns:
            The results in the order of the tasks.

        Raises:
            VoisinError: As in `run`; for the first task that has no result.
        """
        checked = read_terms(terms)
        job = await self.start(await self.quote(app, tasks, **terms))
        return await self._watched(job, checked.progress, checked.timeout_s)

    async def quote(self, app: AppReference, tasks: Iterable[TaskLike], **terms: Unpack[RunTerms]) -> Quote:
        """
        Tell what a run would cost; nothing is spent or changed.

        Args:
            app: As in `run`.
            tasks: As in `map`.
            **terms: As in `run`.

        Raises:
            InputError: Something given cannot be used.
            NoMatchError: No offer fits.
        """
        requester = await self.requester()
        return await make_quote(self.links, requester.address, app, read_tasks(tasks), read_terms(terms))

    async def start(self, quote: Quote) -> AsyncJob:
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
        requester = await self.requester()
        made: list[tuple[DealId, int | None]] = []
        bought = 0
        try:
            async with contextlib.aclosing(requester.buy(quote)) as deals:
                async for deal in deals:
                    made.append((deal.deal_id, deal.block))
                    bought += deal.volume
        except VoisinError as error:
            if not made:
                raise
            words = f"{bought} of {len(quote.tasks)} tasks were bought, then: {error.message}"
            raise StateError(words, hint=f"get their results with deal {', '.join(deal for deal, _ in made)}") from error
        return await self._open(made, requester)

    async def deal(self, deal_id: str) -> AsyncJob:
        """
        Take up a deal that was made earlier, here or elsewhere.

        Args:
            deal_id: The deal.

        Raises:
            StateError: There is no such deal.
        """
        return await self._open([(DealId(as_hash32(deal_id)), None)], self._requester)

    async def invoice(self, deal_id: str) -> Invoice:
        """
        Write a deal's invoice from the chain: payments, fines, refunds, gas, and every task's workers; the market says what enclaves.

        Args:
            deal_id: The deal.

        Raises:
            StateError: There is no such deal.
            TrustError: The sums do not add up.
        """
        return await with_enclave(self.links.book, await deal_invoice(self.links.chain, self.links.storage, DealId(as_hash32(deal_id))))

    async def logs(self, task_id: str, tell: Callable[[PrintedText], None] | None = None) -> TaskLogs:
        """
        Read what a task's apps printed, as its requester.

        Args:
            task_id: The task.
            tell: Told of each piece as it is printed, from the beginning until the task is over; without it the call returns at once.

        Raises:
            StateError: The pool does not know the task, or the network names no pool.
            TrustError: The wallet is not the task's requester.
            UnavailableError: The pool does not answer.
        """
        task, wallet = TaskId(as_hash32(task_id)), await self._wallet()
        desk = LogDesk(require_pool(self.links.pool), self.links.chain.domain, wallet)
        if tell is not None:
            async with contextlib.aclosing(desk.follow(task)) as pieces:
                async for piece in pieces:
                    tell(piece)
        return await desk.read(task)

    async def receipt(self, task_id: str, *, vault_url: str = "") -> TaskReceipt:
        """
        Put together the receipt of a finished task that ran in an enclave: `write_receipt` makes a file of it that proves itself.

        Args:
            task_id: The task's id.
            vault_url: The vault that served it; the network's unless given.

        Raises:
            InputError: It asked for no enclave, or no vault is known.
            StateError: It is unknown, or not finished.
        """
        return await fetch_receipt(self.links.chain, TaskId(as_hash32(task_id)), vault_url=vault_url or self.links.network.vault_url)

    async def callback(self, task_id: str) -> Callback:
        """
        Find out whether a task's result went to the contract that its deal names.

        Args:
            task_id: The task.

        Raises:
            StateError: The hub has no such task.
        """
        return await find_callback(self.links.chain, TaskId(as_hash32(task_id)))

    async def retry_callback(self, task_id: str, gas: int | None = None) -> Callback:
        """
        Send a task's result again to the contract that failed to take it; the wallet pays the gas.

        Args:
            task_id: The task.
            gas: Gas limit of the transaction; what the contract needs, by the node's estimate, unless given.

        Raises:
            StateError: There is no such task, or its callback has not failed.
            RevertError: The contract failed again; the error carries its reason.
        """
        sender = (await self.requester()).sender
        return await retry_callback(self.links.chain, sender, TaskId(as_hash32(task_id)), gas)

    async def deploy(self, app: AppReference) -> Address:
        """
        Upload an app and register it for the wallet, unless that is done already.

        Args:
            app: A `.wasm` file, or a folder with an `app.toml`.

        Returns:
            The app's address.
        """
        requester = await self.requester()
        target = await find_app(self.links.chain, requester.address, app)
        await requester.register(target)
        return target.address

    async def ask_index(self, query: str, variables: Mapping[str, object] | None = None, subgraph: str = "") -> dict[str, object]:
        """
        Ask the network's index in GraphQL.

        Args:
            query: The query, for example `{ deals(first: 5, orderBy: timestamp, orderDirection: desc) { id } }`.
            variables: Its variables.
            subgraph: Which schema is asked: the protocol's unless given, or `dataprotector`.

        Returns:
            The answer's data.

        Raises:
            QueryRefusedError: The query makes no sense or is too large; the message says why.
            StateError: The network has no index.
        """
        return await self._index().ask(query, variables, subgraph=subgraph)

    async def pool_url(self, workerpool: str) -> str:
        """
        Tell where a workerpool answers, as its owner said.

        Args:
            workerpool: The workerpool.

        Raises:
            StateError: The directory does not know, or the network has no index.
        """
        return (await self._index().pool(as_address(workerpool))).api_url

    async def announce_pool(self, workerpool: str, url: str, days: float = 1) -> None:
        """
        Say, as its owner, where a workerpool answers.

        Args:
            workerpool: The workerpool.
            url: Where it answers.
            days: For how long that counts [days].

        Raises:
            TrustError: Somebody else owns the workerpool.
            StateError: A newer statement is there, or the network has no index.
        """
        await self._index().announce(await self._wallet(), as_address(workerpool), url, days=days)

    def _index(self) -> IndexDesk:
        if self.links.index is None:
            raise StateError("this network has no index", hint="run one with `voisin index run`, and name it as the network's index_url")
        return self.links.index

    async def account(self) -> Account:
        """Tell what the wallet has in its account at the hub: free and locked [nRLC]."""
        return await self.links.chain.hub.account((await self.requester()).address)

    async def wallet_balance(self) -> NRLC:
        """Tell what the wallet itself holds [nRLC]."""
        return await self.links.chain.token.balance((await self.requester()).address)

    async def deposit(self, amount: int | str) -> None:
        """
        Move money from the wallet into its account at the hub.

        Args:
            amount: nRLC as a number, or text such as `"1.5 RLC"`.

        Raises:
            FundsError: The wallet holds too little; the message says by how much.
        """
        await (await self.requester()).deposit(_amount(amount))

    async def withdraw(self, amount: int | str) -> None:
        """
        Move money from the account at the hub into the wallet.

        Args:
            amount: As in `deposit`.

        Raises:
            FundsError: The account has too little that is not locked; the message says by how much.
        """
        await (await self.requester()).withdraw(_amount(amount))

    async def balances(self, owners: Iterable[str] | None = None) -> BalanceSheet:
        """
        Read wallets and accounts, all at one block.

        Args:
            owners: Whose; None for everybody who ever held RLC on this market's chain.
        """
        chain = self.links.chain
        wanted = await holders(chain, self.links.network.first_block) if owners is None else {Address(owner) for owner in owners}
        return await balance_sheet(chain, wanted)

    def feed(self, *topics: str, after: int | None = None) -> AsyncGenerator[FeedEvent, None]:
        """
        Hear of what changes in the market, for ever: `async for event in cloud.feed("trades")`.

        Args:
            *topics: `orders`, `trades`, `deals`; all unless given.
            after: The id of the last event that was heard before; None to begin with the next one.

        Returns:
            The events, a `FeedStart` first. A lost connection is opened again where it broke; a `FeedReset` says that something was
            missed. Iterating raises `UnavailableError` when the market is out of reach for too long.

        Raises:
            InputError: There is no such topic.
        """
        return follow_feed(self.links.book.service, read_topics(topics), after)

    async def requester(self) -> Requester:
        """
        Unlock the wallet, once.

        Raises:
            InputError: There is no wallet, or its password is wrong or missing.
        """
        async with self._unlocking:
            if self._requester is None:
                self._requester = Requester(self.links, await anyio.to_thread.run_sync(self._unlock))
        return self._requester

    async def _wallet(self) -> KeySigner:
        return (await self.requester()).signer

    async def _open(self, deals: Sequence[tuple[DealId, int | None]], requester: Requester | None) -> AsyncJob:
        job = await open_job(self.links, self._watch, deals)
        for bag in job.bags:
            self._background.start_soon(bag.follow)
        if requester is not None and all(part.deal.requester == requester.address for part in job.deals):
            self._background.start_soon(guard_job, job, requester)
        return job

    async def _watched(self, job: AsyncJob, progress: Callable[[Progress], None] | None, timeout_s: float | None) -> list[Result]:
        """Wait for all results, reporting progress meanwhile."""
        try:
            with anyio.fail_after(timeout_s):
                return await _with_progress(job, progress)
        except TimeoutError:
            hint = f"they go on; get their results with cloud.deal({job.deal_ids[0]!r})"
            raise StateError(f"the tasks were not done within {timeout_s:g} s", hint=hint) from None


async def _with_progress(job: AsyncJob, progress: Callable[[Progress], None] | None) -> list[Result]:
    if progress is None:
        return await job.results()
    return await do_beside(lambda: job.report(progress), job.results)


def _amount(amount: int | str) -> NRLC:
    return parse_amount(amount) if isinstance(amount, str) else NRLC(amount)


@asynccontextmanager
async def connect_async(
    home: str | Path | None = None,
    network: Network | str | None = None,
    *,
    wallet: WalletReference = None,
    password: str | None = None,
    ask: PasswordPrompt | None = None,
) -> AsyncIterator[AsyncCloud]:
    """
    Connect to a market for as long as the context lasts.

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
    folder = home_folder(home)
    where = named_network(network) if isinstance(network, str) else network or load_network(folder)

    def unlock() -> KeySigner:
        if isinstance(wallet, KeySigner):
            return wallet
        return open_wallet(find_wallet(folder, where, wallet), folder, where, password=password, ask=ask)

    failure: list[Exception] = []
    async with open_links(where, ReaderKeys(folder / SECRETS_FOLDER)) as links, anyio.create_task_group() as background:
        watch = Watch(links.chain)
        background.start_soon(watch.run)
        try:
            yield AsyncCloud(links, watch, background, unlock)
        except Exception as error:  # noqa: BLE001  carried out of the task group, which would wrap it
            failure.append(error)
        finally:
            background.cancel_scope.cancel()
    if failure:
        raise failure[0]
