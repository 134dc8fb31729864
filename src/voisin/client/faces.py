"""
The blocking twins of the asynchronous methods.

Written by facegen.py: change cloud.py, job.py, secrets.py or bags/desk.py, not this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Unpack

from voisin.client.apps import AppReference
from voisin.client.bags.desk import AsyncBags, BagReport
from voisin.client.blocking import Face
from voisin.client.callbacks import Callback
from voisin.client.cloud import AsyncCloud
from voisin.client.invoice import Invoice
from voisin.client.job import AsyncJob
from voisin.client.ledger import BalanceSheet
from voisin.client.quote import Quote
from voisin.client.results import Result
from voisin.client.secrets import AsyncSecrets
from voisin.client.terms import RunTerms, TaskLike, TaskSpec
from voisin.protocol.api import PrintedText, TaskLogs
from voisin.protocol.ids import Address
from voisin.protocol.records import Account
from voisin.protocol.secrets import Release, SecretEntry
from voisin.protocol.task_receipt import TaskReceipt
from voisin.units import NRLC


class JobFace(Face[AsyncJob]):
    """What `AsyncJob` does, waiting for each answer."""

    def result(self, index: int) -> Result:
        """
        Wait for one task and fetch its result.

        That of a task in a bag comes as soon as its workers agree, before the bag is settled.

        Args:
            index: The task's place in the job, from 0.

        Raises:
            AppFailedError: The app failed; the error carries what it left.
            StateError: The task was not done and its price was refunded; the message has the pool's reason.
            TrustError: The stored result is not the one that was agreed.
            UnavailableError: The chain or storage is out of reach.
        """
        return self._wait(self._inner.result, index)

    def results(self) -> list[Result]:
        """
        Wait for all tasks.

        Returns:
            The results in the order of the tasks.

        Raises:
            VoisinError: What the first task without result raised, as in `result`; the others' results stay available.
        """
        return self._wait(self._inner.results)

    def checked(self) -> None:
        """Wait until the leaves of every bag are posted and looked at, or the bag is over."""
        self._wait(self._inner.checked)

    def settled(self) -> None:
        """Wait until nothing more can be done about any task or bag: everything is paid, or refunded."""
        self._wait(self._inner.settled)

    def invoices(self) -> list[Invoice]:
        """
        Write the invoice of each deal.

        Raises:
            TrustError: The sums do not add up.
        """
        return self._wait(self._inner.invoices)


class CloudFace(Face[AsyncCloud]):
    """What `AsyncCloud` does, waiting for each answer."""

    def run(self, app: AppReference, args: Sequence[str | int | float] | TaskSpec = (), **terms: Unpack[RunTerms]) -> Result:
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
        return self._wait(self._inner.run, app, args, **terms)

    def map(self, app: AppReference, tasks: Iterable[TaskLike], **terms: Unpack[RunTerms]) -> list[Result]:
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
        return self._wait(self._inner.map, app, tasks, **terms)

    def quote(self, app: AppReference, tasks: Iterable[TaskLike], **terms: Unpack[RunTerms]) -> Quote:
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
        return self._wait(self._inner.quote, app, tasks, **terms)

    def invoice(self, deal_id: str) -> Invoice:
        """
        Write a deal's invoice from the chain: payments, fines, refunds, gas, and every task's workers; the market says what enclaves.

        Args:
            deal_id: The deal.

        Raises:
            StateError: There is no such deal.
            TrustError: The sums do not add up.
        """
        return self._wait(self._inner.invoice, deal_id)

    def receipt(self, task_id: str, *, vault_url: str = "") -> TaskReceipt:
        """
        Put together the receipt of a finished task that ran in an enclave: `write_receipt` makes a file of it that proves itself.

        Args:
            task_id: The task's id.
            vault_url: The vault that served it; the network's unless given.

        Raises:
            InputError: It asked for no enclave, or no vault is known.
            StateError: It is unknown, or not finished.
        """
        return self._wait(self._inner.receipt, task_id, vault_url=vault_url)

    def callback(self, task_id: str) -> Callback:
        """
        Find out whether a task's result went to the contract that its deal names.

        Args:
            task_id: The task.

        Raises:
            StateError: The hub has no such task.
        """
        return self._wait(self._inner.callback, task_id)

    def retry_callback(self, task_id: str, gas: int | None = None) -> Callback:
        """
        Send a task's result again to the contract that failed to take it; the wallet pays the gas.

        Args:
            task_id: The task.
            gas: Gas limit of the transaction; what the contract needs, by the node's estimate, unless given.

        Raises:
            StateError: There is no such task, or its callback has not failed.
            RevertError: The contract failed again; the error carries its reason.
        """
        return self._wait(self._inner.retry_callback, task_id, gas)

    def deploy(self, app: AppReference) -> Address:
        """
        Upload an app and register it for the wallet, unless that is done already.

        Args:
            app: A `.wasm` file, or a folder with an `app.toml`.

        Returns:
            The app's address.
        """
        return self._wait(self._inner.deploy, app)

    def logs(self, task_id: str, tell: Callable[[PrintedText], None] | None = None) -> TaskLogs:
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
        return self._wait(self._inner.logs, task_id, tell)

    def account(self) -> Account:
        """Tell what the wallet has in its account at the hub: free and locked [nRLC]."""
        return self._wait(self._inner.account)

    def wallet_balance(self) -> NRLC:
        """Tell what the wallet itself holds [nRLC]."""
        return self._wait(self._inner.wallet_balance)

    def deposit(self, amount: int | str) -> None:
        """
        Move money from the wallet into its account at the hub.

        Args:
            amount: nRLC as a number, or text such as `"1.5 RLC"`.

        Raises:
            FundsError: The wallet holds too little; the message says by how much.
        """
        self._wait(self._inner.deposit, amount)

    def withdraw(self, amount: int | str) -> None:
        """
        Move money from the account at the hub into the wallet.

        Args:
            amount: As in `deposit`.

        Raises:
            FundsError: The account has too little that is not locked; the message says by how much.
        """
        self._wait(self._inner.withdraw, amount)

    def balances(self, owners: Iterable[str] | None = None) -> BalanceSheet:
        """
        Read wallets and accounts, all at one block.

        Args:
            owners: Whose; None for everybody who ever held RLC on this market's chain.
        """
        return self._wait(self._inner.balances, owners)

    def ask_index(self, query: str, variables: Mapping[str, object] | None = None, subgraph: str = "") -> dict[str, object]:
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
        return self._wait(self._inner.ask_index, query, variables, subgraph)

    def pool_url(self, workerpool: str) -> str:
        """
        Tell where a workerpool answers, as its owner said.

        Args:
            workerpool: The workerpool.

        Raises:
            StateError: The directory does not know, or the network has no index.
        """
        return self._wait(self._inner.pool_url, workerpool)

    def announce_pool(self, workerpool: str, url: str, days: float = 1) -> None:
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
        self._wait(self._inner.announce_pool, workerpool, url, days)


class BagsFace(Face[AsyncBags]):
    """What `AsyncBags` does, waiting for each answer."""

    def show(self, deal_id: str) -> BagReport:
        """
        Tell how a bag stands, with its leaves looked at if they are posted.

        Args:
            deal_id: The deal.

        Raises:
            StateError: There is no such deal, or its tasks are settled one by one.
        """
        return self._wait(self._inner.show, deal_id)

    def challenge(self, deal_id: str, demand: Sequence[int] = ()) -> BagReport:
        """
        Prove what is wrong with a bag, ask for leaves that are doubtful or withheld, and end it when they were not shown in time.

        Args:
            deal_id: The deal.
            demand: Indexes of tasks whose leaf is asked for in any case, under a bond of the price of a task: it is lost to who shows it.

        Returns:
            How the bag stands then, with what was done.

        Raises:
            StateError: There is no such deal, its tasks are settled one by one, or its bag is not posted, or over.
            RevertError: The hub refuses a demand.
        """
        return self._wait(self._inner.challenge, deal_id, demand)

    def settle(self, deal_id: str) -> BagReport:
        """
        Have a bag paid whose window has closed; anybody may.

        Args:
            deal_id: The deal.

        Raises:
            StateError: There is no such deal, its tasks are settled one by one, or its bag cannot be settled now; the message says why.
        """
        return self._wait(self._inner.settle, deal_id)

    def guard(self, deal_id: str) -> BagReport:
        """
        Guard a bag until its money has moved: challenge, demand, settle or claim when it is time.

        Args:
            deal_id: The deal.

        Raises:
            StateError: There is no such deal, or its tasks are settled one by one.
        """
        return self._wait(self._inner.guard, deal_id)

    def claim(self, deal_id: str) -> str:
        """
        Take the money of a deal back that was not done in time: a bag, or what is open of other deals; anybody may.

        Args:
            deal_id: The deal.

        Returns:
            What was claimed, in words.

        Raises:
            StateError: There is no such deal, it is too early, or nothing is left to claim.
        """
        return self._wait(self._inner.claim, deal_id)

    def prove(self, task: str, deal_id: str = "") -> Callback:
        """
        Put one result of a settled bag on the chain; if the deal names a contract, it gets the result by that.

        Args:
            task: The task.
            deal_id: Its deal; found through the pool unless given.

        Returns:
            How the task's callback stands then.

        Raises:
            StateError: The bag is not settled, the task has no result, or nobody tells which deal the task is of.
            RevertError: It is proven already.
        """
        return self._wait(self._inner.prove, task, deal_id)


class SecretsFace(Face[AsyncSecrets]):
    """What `AsyncSecrets` does, waiting for each answer."""

    def push(self, kind: str, value: str, *, holder: str | None = None, name: str = "", replace: bool = False) -> SecretEntry:
        """
        Keep a secret.

        Args:
            kind: `dataset`, `app`, `requester` or `named`.
            value: Its value, up to 4096 bytes; a dataset's is the key that it is encrypted with.
            holder: The dataset or app; for the other kinds the wallet itself.
            name: Its name, for the kinds `requester` and `named`.
            replace: Whether one that is there is replaced, and only such a one; the kind `named` only.

        Raises:
            InputError: It is malformed, there is one already, or none to replace.
            TrustError: The wallet does not own the dataset or app.
        """
        return self._wait(self._inner.push, kind, value, holder=holder, name=name, replace=replace)

    def check(self, kind: str, *, holder: str | None = None, name: str = "") -> SecretEntry | None:
        """
        Find out whether there is a secret; its value never comes out.

        Args:
            kind: As in `push`.
            holder: The dataset, app or account; the wallet itself unless given.
            name: As in `push`.
        """
        return self._wait(self._inner.check, kind, holder=holder, name=name)

    def entries(self) -> list[SecretEntry]:
        """List what the wallet pushed, names only."""
        return self._wait(self._inner.entries)

    def delete(self, kind: str, *, holder: str | None = None, name: str = "") -> SecretEntry:
        """
        Delete a secret: from then on no enclave gets it.

        Args:
            kind: As in `push`.
            holder: As in `push`.
            name: As in `push`.

        Raises:
            InputError: There is none.
            TrustError: The wallet does not own it.
        """
        return self._wait(self._inner.delete, kind, holder=holder, name=name)

    def uses(self) -> list[Release]:
        """List the uses of the wallet's secrets, newest first: when, in which task, by whose worker, on what evidence."""
        return self._wait(self._inner.uses)

    def create_result_key(self, *, form: str = "voisin") -> SecretEntry:
        """
        Make a key pair, push its public half, and keep the private one in the home folder: results can then be sealed for the wallet.

        Older private keys stay, and open the results of their time.

        Args:
            form: `voisin`: sealed results are authenticated, and their size says little. `ecosystem`: as the protocol's own clients
                make and read them, with an RSA key.

        Raises:
            InputError: The private half cannot be written, or the form is unknown.
        """
        return self._wait(self._inner.create_result_key, form=form)
