"""Stake for tasks that are not contributed yet: set aside, and deposited from the wallet when the hub holds too little."""

from __future__ import annotations

import anyio
import structlog

from voisin.errors import FundsError, RevertError
from voisin.protocol.ids import TaskId
from voisin.protocol.wire_words import MachineFailure
from voisin.units import NRLC, format_amount
from voisin.worker.ports import Ledger
from voisin.worker.refusal import RefusalError
from voisin.worker.store import Spent, WorkerFolder

log = structlog.get_logger(__name__)


class Treasury:
    """
    Keeps the worker's free stake from being promised twice, and its wallet from being drained.

    Args:
        ledger: The chain.
        folder: Where the sum of all deposits is kept.
        deposit_cap: The most that is ever deposited by itself [nRLC]; 0 for never.
    """

    def __init__(self, ledger: Ledger, folder: WorkerFolder, deposit_cap: NRLC) -> None:
        self._ledger = ledger
        self._folder = folder
        self._deposit_cap = deposit_cap
        self._promised: dict[TaskId, NRLC] = {}
        self._lock = anyio.Lock()

    def promise(self, task_id: TaskId, stake: NRLC) -> None:
        """Count a stake as promised without looking at the account; for a task that is already past that."""
        self._promised[task_id] = stake

    def release(self, task_id: TaskId) -> None:
        """Take a promise back: the stake is locked by now, or not needed any more."""
        self._promised.pop(task_id, None)

    async def reserve(self, task_id: TaskId, stake: NRLC) -> None:
        """
        Make sure that a task's stake is in the hub, and set it aside.

        Args:
            task_id: The task.
            stake: What its contribution locks [nRLC].

        Raises:
            RefusalError: There is too little, and no more may be deposited.
            UnavailableError: The chain does not answer.
        """
        async with self._lock:
            account = await self._ledger.own_account()
            others = sum(amount for known, amount in self._promised.items() if known != task_id)
            missing = NRLC(others + stake - account.stake)
            if stake and missing > 0:
                await self._deposit(missing, stake)
            self._promised[task_id] = stake

    async def withdraw(self, amount: NRLC | None) -> NRLC:
        """
        Move money that no task needs out of the hub into the wallet.

        Args:
            amount: How much [nRLC]; None for all of it.

        Returns:
            How much was moved [nRLC].

        Raises:
            FundsError: Less is free.
            VoisinError: The chain does not take it.
        """
        async with self._lock:
            account = await self._ledger.own_account()
            free = NRLC(max(account.stake - sum(self._promised.values()), 0))
            chosen = free if amount is None else amount
            if chosen > free or chosen == 0:
                held = NRLC(account.locked + account.stake - free)
                hint = f"{format_amount(held)} more are held by tasks under way" if held else "money is free once tasks are settled"
                raise FundsError(f"{format_amount(free)} can be withdrawn", hint=hint)
            await self._ledger.withdraw(chosen)
            log.info("stake_withdrawn", amount_nrlc=chosen)
            return chosen

    async def _deposit(self, missing: NRLC, stake: NRLC) -> None:
        spent = await anyio.to_thread.run_sync(self._folder.spent)
        what = f"a stake of {format_amount(stake)} is needed, and {format_amount(missing)} of it is missing"
        if spent.deposited + missing > self._deposit_cap:
            detail = f"{what}; depositing it would pass the cap of {format_amount(self._deposit_cap)}"
            raise RefusalError(MachineFailure.STAKE_TOO_LOW, detail, hint="deposit by hand, or raise deposit_cap and set the hub")
        balance = await self._ledger.own_balance()
        if balance < missing:
            detail = f"{what}; the wallet holds {format_amount(balance)}"
            raise RefusalError(MachineFailure.STAKE_TOO_LOW, detail, hint="send RLC to the worker's wallet")
        await anyio.to_thread.run_sync(self._folder.keep_spent, Spent(NRLC(spent.deposited + missing)))
        try:
            await self._ledger.deposit(missing)
        except (FundsError, RevertError) as error:
            raise RefusalError(MachineFailure.STAKE_TOO_LOW, f"{what}; the deposit was refused: {error.message}") from None
        log.info("stake_deposited", amount_nrlc=missing)
