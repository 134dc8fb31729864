"""
Renting data out, and using what others rent out.

    async with voisin.connect_async() as cloud:
        mine = await cloud.data.protect("patients.csv", price="0.1 RLC", uses=100, until="30d", max_output="1MB")
        result = await cloud.data.process(mine.dataset, "statistics.wasm", ["mean", "age"])
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Unpack

from voisin.chain import calls, gates
from voisin.chain.gates import ALWAYS, Membership
from voisin.client.apps import AppReference
from voisin.client.data.access import Access, Confirmed, Granted
from voisin.client.data.conditions import DataConditions, TimeLike, read_time
from voisin.client.data.drafts import open_key
from voisin.client.data.lists import cut_lists
from voisin.client.data.offering import require_gate
from voisin.client.data.owner import Owner
from voisin.client.data.protecting import ECOSYSTEM, VOISIN, Protector, Wrapping, require_owner
from voisin.client.data.steps import Step, Tell, Told, silent
from voisin.client.data.uses import AsyncUses
from voisin.client.data.vaults import require_vault, terms_desk
from voisin.client.links import Links
from voisin.client.requester import Requester
from voisin.client.results import Result
from voisin.client.terms import RunTerms, TaskLike
from voisin.errors import StateError, VoisinError
from voisin.protocol.data_schema import DataSchema
from voisin.protocol.ids import ZERO_ADDRESS, Address, OrderHash, as_address, as_hash32
from voisin.protocol.orders import OrderKind
from voisin.protocol.records import DatasetInfo
from voisin.protocol.secrets import SecretKind, SecretRef, SecretValue
from voisin.protocol.sessions import MAX_BULK
from voisin.units import UnixSeconds

_NEVER: Final = UnixSeconds(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedData:
    """
    A dataset and what may be known of it.

    Attributes:
        dataset: Its entry in the registry.
        info: What the registry says: owner, name, where it lies, what it hashes to.
        schema: What its owner lets everybody see of the content; None for nothing.
        granted: The accesses that can be bought now, the cheapest first.
        restored_at: When the vault's records were restored, if an access does not count until its owner confirms it [Unix s]; 0 for not.
    """

    dataset: Address
    info: DatasetInfo
    schema: DataSchema | None
    granted: tuple[Granted, ...]
    restored_at: UnixSeconds = _NEVER


class Runs(Protocol):
    """Runs an app; `AsyncCloud.map`."""

    async def __call__(self, app: AppReference, tasks: Sequence[TaskLike], /, **terms: Unpack[RunTerms]) -> list[Result]:
        """Run an app some times."""
        ...


class AsyncData(AsyncUses):
    """Data of the wallet that others rent, and data of others that the wallet rents."""

    def __init__(self, links: Links, requester: Callable[[], Awaitable[Requester]], run: Runs) -> None:
        """
        Args:
            links: The network.
            requester: Opens the wallet.
            run: Runs an app.
        """
        super().__init__(links, requester)
        self._run = run

    async def protect(
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
        owner = await self._owner(tell)
        protector = Protector(owner)
        draft = await protector.protect(Path(path), Wrapping(name=name, form=form, has_schema=has_schema, is_table=is_table))
        assert draft.entry is not None
        if conditions:
            await self._grant(draft.entry, conditions, tell)
        elif form == ECOSYSTEM:
            await self._push_plain(owner, draft.entry, protector.key(draft))
        return await self.show(draft.entry)

    async def grant(self, dataset: str, *, tell: Tell = silent, **conditions: Unpack[DataConditions]) -> Granted:
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
        return await self._grant(as_address(dataset), conditions, tell)

    async def admit(
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
        now = await self._links.chain.block_time()
        begins = ALWAYS if not_before is None else read_time(not_before, now)
        ends = ALWAYS if until is None else read_time(until, now)
        found = await self.granted(dataset)
        doors = list(dict.fromkeys(each.terms.gate for each in found if each.terms is not None and each.terms.gate != ZERO_ADDRESS))
        if not doors:
            raise StateError(f"no open offer of {dataset} has a gate", hint="make one with `voisin data grant --revocable`")
        access = await self._access()
        for gate in doors:
            await access.admit(gate, [as_address(renter) for renter in renters], begins=begins, ends=ends)
        return doors

    async def confirm(self, dataset: str | None = None) -> list[Confirmed]:
        """
        Push offers again that the vault has forgotten, or does not count since its records came back from an old backup.

        Args:
            dataset: Of this dataset; of all of the wallet unless given.

        Returns:
            What came of each; empty when the vault has forgotten nothing. An order that was used before is not taken again: grant anew.

        Raises:
            TrustError: The wallet does not own the dataset.
        """
        access, done = await self._access(), list[Confirmed]()
        for entry in await self._entries(dataset):
            done += await access.confirm(entry, key=await self._key(entry))
        return done

    async def revoke(self, dataset: str, order: str) -> OrderHash:
        """
        Take one access back, before the next key goes out.

        Args:
            dataset: The dataset.
            order: The order's hash.

        Raises:
            StateError: There is no such access, or the wallet does not own the dataset.
        """
        entry, name = as_address(dataset), as_hash32(order)
        access = await self._access()
        found = next((each for each in await access.granted(entry, is_open=False) if each.order_hash == name), None)
        if found is None:
            raise StateError(f"dataset {entry} has no order {name} in the market's book", hint="see `voisin data granted`")
        await access.revoke(entry, found)
        return found.order_hash

    async def revoke_all(self, dataset: str) -> list[OrderHash]:
        """
        Take all accesses to a dataset back.

        Args:
            dataset: The dataset.

        Returns:
            The orders that could be used until now.

        Raises:
            StateError: The wallet does not own the dataset.
        """
        entry, access = as_address(dataset), await self._access()
        await require_owner(self._links, entry, (await self._requester()).address)
        found = await access.granted(entry)
        for each in found:
            await access.revoke(entry, each)
        return [each.order_hash for each in found]

    async def shut_out(self, dataset: str, renter: str) -> list[OrderHash]:
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
        entry, who, access = as_address(dataset), as_address(renter), await self._access()
        done: list[OrderHash] = []
        for each in await access.granted(entry):
            if await access.shut_out(each, who):
                done.append(each.order_hash)
            elif each.order.requesterrestrict == who:
                await access.revoke(entry, each)
                done.append(each.order_hash)
            elif each.order.requesterrestrict == ZERO_ADDRESS:
                words = f"order {each.order_hash} is open to everybody"
                raise StateError(words, hint="revoke it, and grant anew with --revocable")
        return done

    async def granted(self, dataset: str, *, is_open: bool = True) -> list[Granted]:
        """
        List the accesses to a dataset, the cheapest first.

        Args:
            dataset: The dataset.
            is_open: Only those that can still be used.
        """
        return await (await self._access()).granted(as_address(dataset), is_open=is_open)

    async def process(self, data: str, app: AppReference, args: Sequence[str | int | float] = (), **terms: Unpack[RunTerms]) -> Result:
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
        if "trust" not in terms and "replicas" not in terms:
            terms["replicas"] = 1
        terms["dataset"] = data
        return (await self._run(app, [tuple(str(arg) for arg in args)], **terms))[0]

    async def process_all(
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
        ended: dict[Address, Result | VoisinError] = {}
        for dataset in dict.fromkeys(as_address(each) for each in datasets):
            try:
                ended[dataset] = await self.process(dataset, app, args, **terms)
            except VoisinError as error:
                ended[dataset] = error
        return ended

    async def process_bulk(
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
        lists = cut_lists(datasets, per_task)
        if "trust" not in terms and "replicas" not in terms:
            terms["replicas"] = 1
        terms["bulk"] = lists
        results = await self._run(app, [tuple(str(arg) for arg in args)] * len(lists), **terms)
        return dict(zip(lists, results, strict=True))

    async def subscribe(self, dataset: str, periods: int = 1) -> Membership:
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
        me, chain = await self._requester(), self._links.chain
        sold = [each.terms for each in await self.granted(dataset) if each.terms is not None and each.terms.subscription is not None]
        if not sold:
            raise StateError(f"no open offer of {dataset} sells a subscription", hint="see `voisin data show`")
        wanted = min(sold, key=lambda terms: terms.subscription.price if terms.subscription is not None else 0)
        found, _ = await gates.read_gate(chain.rpc, wanted.gate)
        require_gate(wanted, found, chain.token_address)
        await me.sender.send(gates.subscribe(wanted.gate, found, periods))
        return await gates.read_member(chain.rpc, wanted.gate, me.address)

    async def transfer(self, dataset: str, owner: str) -> None:
        """
        Give a dataset to somebody else, with its gates. Orders that were signed for it count no more; the vault keeps the key.

        Args:
            dataset: The dataset.
            owner: Who gets it.

        Raises:
            StateError: The wallet does not own it.
        """
        entry, me, chain = as_address(dataset), await self._requester(), self._links.chain
        await require_owner(self._links, entry, me.address)
        await me.sender.send(calls.transfer_entry(chain.dataset_registry, entry, owner=me.address, recipient=as_address(owner)))

    async def show(self, dataset: str) -> ProtectedData:
        """
        Tell what everybody may know of a dataset.

        Args:
            dataset: The dataset.

        Raises:
            StateError: There is no such dataset.
        """
        entry = as_address(dataset)
        info = await self._links.chain.registries.dataset(entry)
        found = await self.granted(entry)
        schemas = [each.terms.schema for each in found if each.terms is not None and each.terms.schema is not None]
        schema = schemas[-1] if schemas else None
        draft = self._diary.of_entry(entry) if self._links.keys is not None else None
        if schema is None and draft is not None:
            schema = draft.schema
        return ProtectedData(dataset=entry, info=info, schema=schema, granted=tuple(found), restored_at=await self._restored_at(entry))

    async def _restored_at(self, entry: Address) -> UnixSeconds:
        """Tell when the vault's records were restored, if orders of a dataset wait for their owner since."""
        if self._links.vault is None:
            return _NEVER
        page = await terms_desk(self._links).page(entry)
        return page.restored_at if page.pending else _NEVER

    async def owned(self) -> list[ProtectedData]:
        """List the datasets of the wallet; what the vault has forgotten of them is pushed again."""
        if self._links.vault is not None:
            await self.confirm()
        entries = await self._links.chain.registries.owned(OrderKind.DATASET, (await self._requester()).address)
        return [await self.show(entry) for entry in entries]

    async def _grant(self, dataset: Address, conditions: DataConditions, tell: Tell) -> Granted:
        draft, key = self._diary.of_entry(dataset), await self._key(dataset)
        access, now = await self._access(tell), await self._links.chain.block_time()
        schema = draft.schema if draft is not None else await self._known_schema(dataset)
        return await access.grant(dataset, conditions, key=key, schema=schema, now=UnixSeconds(now))

    async def _key(self, dataset: Address) -> str:
        """Give a dataset's key, if it was made in this home folder by this wallet; nothing otherwise."""
        draft, me = self._diary.of_entry(dataset), await self._requester()
        return "" if draft is None or draft.owner != me.address else open_key(me.signer, draft)

    async def _known_schema(self, dataset: Address) -> DataSchema | None:
        entries = await terms_desk(self._links).of_dataset(dataset)
        return next((entry.terms.schema for entry in reversed(entries) if entry.terms.schema is not None), None)

    async def _push_plain(self, owner: Owner, dataset: Address, key: str) -> None:
        """Give the vault a key without terms, as the protocol's other clients do."""
        ref, desk = SecretRef(SecretKind.DATASET, dataset), require_vault(self._links)
        is_there = await desk.find(ref) is not None
        if not is_there:
            await desk.push(owner.signer, ref, SecretValue(key))
        owner.tell(Told(Step.ENTRUSTED, dataset, is_new=not is_there))

    async def _access(self, tell: Tell = silent) -> Access:
        return Access(await self._owner(tell))
