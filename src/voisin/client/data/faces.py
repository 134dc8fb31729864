"""
The blocking twins of the asynchronous methods about data.

Written by facegen.py: change desk.py or uses.py, not this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from voisin.chain.gates import Membership
from voisin.client.apps import AppReference
from voisin.client.blocking import Face
from voisin.client.data.access import Confirmed, Granted
from voisin.client.data.alerting import Alert
from voisin.client.data.conditions import DataConditions, TimeLike
from voisin.client.data.desk import AsyncData, ProtectedData
from voisin.client.data.protecting import VOISIN
from voisin.client.data.steps import Tell, silent
from voisin.client.data.watching import AlertRulesLike
from voisin.client.results import Result
from voisin.client.terms import RunTerms
from voisin.errors import VoisinError
from voisin.protocol.ids import Address, OrderHash, TaskId
from voisin.protocol.sessions import MAX_BULK
from voisin.protocol.vault_terms import DataUse, HeldResult


class DataFace(Face[AsyncData]):
    """What `AsyncData` does, waiting for each answer."""

    def protect(
        self,
        path: str | Path,
        *,
        name: str = "",
        form: str = VOISIN,
        has_schema: bool = True,
        is_table: bool = True,
        tell: Tell = silent,
        **conditions: Unpack[DataConditions],
    ) -> ProtectedData:
        """
        Encrypt a file or folder, store it, register it, and offer it if there are conditions. What is done already is not done again.

        Args:
            path: The file or folder; one that ends in `.csv` or `.tsv` is a table.
            name: What everybody sees it called; the file's name unless given.
            form: `voisin`, or `ecosystem` for exchange with the protocol's other clients.
            has_schema: Whether everybody may see sizes, paths, columns and types.
            is_table: Whether a file that is named as a table is read as one.
            tell: Told of each step.
            **conditions: See `DataConditions`; without any it is not offered to anybody.

        Raises:
            InputError: Something cannot be read or used.
            StateError: The file changed meanwhile.
            UnavailableError: A service does not answer; the same call goes on where this one broke off.
        """
        return self._wait(
            self._inner.protect, path, name=name, form=form, has_schema=has_schema, is_table=is_table, tell=tell, **conditions
        )

    def grant(self, dataset: str, *, tell: Tell = silent, **conditions: Unpack[DataConditions]) -> Granted:
        """
        Offer a dataset of the wallet, beside the offers that there are.

        Args:
            dataset: The dataset.
            tell: Told of each step.
            **conditions: See `DataConditions`.

        Raises:
            InputError: A condition cannot be met.
            StateError: The wallet does not own it, or neither vault nor home folder has its key.
        """
        return self._wait(self._inner.grant, dataset, tell=tell, **conditions)

    def confirm(self, dataset: str | None = None) -> list[Confirmed]:
        """
        Push offers again that the vault has forgotten, or does not count since its records came back from an old backup.

        Args:
            dataset: Of this dataset; of all of the wallet unless given.

        Returns:
            What came of each; empty when the vault has forgotten nothing. An order that was used before is not taken again: grant anew.

        Raises:
            TrustError: The wallet does not own the dataset.
        """
        return self._wait(self._inner.confirm, dataset)

    def admit(
        self, dataset: str, renters: Sequence[str], *, not_before: TimeLike | None = None, until: TimeLike | None = None
    ) -> list[Address]:
        """
        Let renters through the gates of a dataset's open offers.

        Args:
            dataset: The dataset.
            renters: Who.
            not_before: From when on; at once unless given.
            until: Until when; for ever unless given.

        Returns:
            The gates.

        Raises:
            StateError: No open offer has a gate.
        """
        return self._wait(self._inner.admit, dataset, renters, not_before=not_before, until=until)

    def revoke(self, dataset: str, order: str) -> OrderHash:
        """
        Take one access back, before the next key goes out.

        Args:
            dataset: The dataset.
            order: The order's hash.

        Raises:
            StateError: There is no such access, or the wallet does not own the dataset.
        """
        return self._wait(self._inner.revoke, dataset, order)

    def revoke_all(self, dataset: str) -> list[OrderHash]:
        """
        Take all accesses to a dataset back.

        Args:
            dataset: The dataset.

        Returns:
            The orders that could be used until now.

        Raises:
            StateError: The wallet does not own the dataset.
        """
        return self._wait(self._inner.revoke_all, dataset)

    def shut_out(self, dataset: str, renter: str) -> list[OrderHash]:
        """
        Take one renter's access back: at the gates, and by closing the orders that are for them alone.

        Args:
            dataset: The dataset.
            renter: Who.

        Returns:
            The orders that they can use no more.

        Raises:
            StateError: The wallet does not own the dataset, or an order without gate is open to everybody.
        """
        return self._wait(self._inner.shut_out, dataset, renter)

    def granted(self, dataset: str, *, is_open: bool = True) -> list[Granted]:
        """
        List the accesses to a dataset, the cheapest first.

        Args:
            dataset: The dataset.
            is_open: Only those that can still be used.
        """
        return self._wait(self._inner.granted, dataset, is_open=is_open)

    def process(self, data: str, app: AppReference, args: Sequence[str | int | float] = (), **terms: Unpack[RunTerms]) -> Result:
        """
        Run an app on a protected dataset, in an enclave.

        Args:
            data: The dataset; the app sees it as a file of that name.
            app: As in `AsyncCloud.run`.
            args: The app's arguments.
            **terms: As in `AsyncCloud.run`, for example `purpose` and `max_price`; one replica unless given.

        Returns:
            The verified result.

        Raises:
            NoMatchError: No offer of the dataset allows it; the message says which condition stands against it.
            VoisinError: As in `AsyncCloud.run`.
        """
        return self._wait(self._inner.process, data, app, args, **terms)

    def process_all(
        self, datasets: Sequence[str], app: AppReference, args: Sequence[str | int | float] = (), **terms: Unpack[RunTerms]
    ) -> dict[Address, Result | VoisinError]:
        """
        Run an app on each of several datasets; one that fails does not keep the others.

        Args:
            datasets: The datasets.
            app: As in `process`.
            args: As in `process`.
            **terms: As in `process`; `max_price` is for each.

        Returns:
            The result, or the error, of each dataset.
        """
        return self._wait(self._inner.process_all, datasets, app, args, **terms)

    def process_bulk(
        self,
        datasets: Sequence[str],
        app: AppReference,
        args: Sequence[str | int | float] = (),
        *,
        per_task: int = MAX_BULK,
        **terms: Unpack[RunTerms],
    ) -> dict[tuple[Address, ...], Result]:
        """
        Run an app on several datasets together, in one deal: each task opens as many at once as it may.

        Args:
            datasets: The datasets; the app sees each as a file of its name, and no file of one that its vault does not open.
            app: As in `process`.
            args: As in `process`.
            per_task: How many datasets a task opens at most.
            **terms: As in `process`; `max_price` is for each task.

        Returns:
            The results, by the datasets of each task.

        Raises:
            NoMatchError: The order of a dataset does not allow it: the message names each. No dataset is run by itself instead.
            VoisinError: As in `AsyncCloud.map`.
        """
        return self._wait(self._inner.process_bulk, datasets, app, args, per_task=per_task, **terms)

    def subscribe(self, dataset: str, periods: int = 1) -> Membership:
        """
        Pay for some time at the gate of a dataset's cheapest subscription.

        Args:
            dataset: The dataset.
            periods: How many periods.

        Raises:
            StateError: No open offer sells one.
            FundsError: The wallet holds too little.
            RevertError: The gate refuses.
        """
        return self._wait(self._inner.subscribe, dataset, periods)

    def transfer(self, dataset: str, owner: str) -> None:
        """
        Give a dataset to somebody else, with its gates. Orders that were signed for it count no more; the vault keeps the key.

        Args:
            dataset: The dataset.
            owner: Who gets it.

        Raises:
            StateError: The wallet does not own it.
        """
        self._wait(self._inner.transfer, dataset, owner)

    def show(self, dataset: str) -> ProtectedData:
        """
        Tell what everybody may know of a dataset.

        Args:
            dataset: The dataset.

        Raises:
            StateError: There is no such dataset.
        """
        return self._wait(self._inner.show, dataset)

    def owned(self) -> list[ProtectedData]:
        """List the datasets of the wallet; what the vault has forgotten of them is pushed again."""
        return self._wait(self._inner.owned)

    def uses(self, dataset: str | None = None, *, since: int = 0) -> list[DataUse]:
        """
        List the uses of the wallet's data, newest first: when, by which app, for whom, at what price, on what evidence.

        Args:
            dataset: Of this dataset; of all unless given.
            since: From when on [Unix s].

        Raises:
            TrustError: The wallet does not own it.
        """
        return self._wait(self._inner.uses, dataset, since=since)

    def waiting(self, dataset: str | None = None, *, since: int = 0) -> list[DataUse]:
        """
        List the uses whose results wait for the wallet's release, newest first; look at one with `AsyncCloud.deal`, as ever.

        Args:
            dataset: As in `uses`.
            since: As in `uses`.

        Raises:
            TrustError: The wallet does not own it.
        """
        return self._wait(self._inner.waiting, dataset, since=since)

    def new_alerts(self, rules: AlertRulesLike = None, dataset: str | None = None) -> list[Alert]:
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
        return self._wait(self._inner.new_alerts, rules, dataset)

    def release(self, task_id: str) -> HeldResult:
        """
        Release a result that waits for it, as the dataset's owner.

        Args:
            task_id: The task.

        Raises:
            TrustError: The wallet does not own the dataset.
            StateError: The result does not wait.
        """
        return self._wait(self._inner.release, task_id)

    def result_key(self, task_id: TaskId) -> bytes:
        """
        Ask for the key of a result that waited for a release, as its reader or as the owner of the data.

        Raises:
            StateError: It still waits, or never did.
            TrustError: The wallet is neither's.
        """
        return self._wait(self._inner.result_key, task_id)
