"""
Guarding the money of a bag: carries out, as requester or anybody, what `steps` says is to be done.

Others may be faster with any of it: a transaction that the hub refuses is no fault, the next look decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import anyio
import structlog

from voisin.client.bags.run import BagRun
from voisin.client.bags.steps import Facts, Step, Wait, next_step
from voisin.client.requester import Requester
from voisin.errors import FundsError, RevertError, StateError, UnavailableError
from voisin.protocol.bag_api import BagStage
from voisin.protocol.bag_settlement import NO_RESULT
from voisin.units import NRLC, UnixSeconds

_LOOK_S: Final = 10.0
_RETRY_S: Final = 0.5
_TRIES: Final = 20
_log = structlog.get_logger()


@dataclass(slots=True)
class Guard:
    """
    Guards one bag.

    Attributes:
        run: The bag.
        requester: Sends the transactions.
        final_deadline: From when the deal can be claimed [Unix s].
        grace_s: How long others are let settle first [s]; None for what is usual.
        wall: The clock [Unix s].
        done: What was done, in order.
    """

    run: BagRun
    requester: Requester
    final_deadline: UnixSeconds
    grace_s: int | None = None
    wall: Callable[[], float] = time.time
    done: list[Step] = field(default_factory=list)

    async def keep(self) -> None:
        """
        Do what is to be done until nothing is any more.

        Raises:
            StateError: The hub refuses what is to be done again and again.
        """
        refused: dict[str, int] = {}
        while True:
            try:
                step = await self.look()
                if step is None:
                    return
                if isinstance(step, Step):
                    await self.take(step)
                    continue
                await self._pause(step)
            except (UnavailableError, FundsError) as error:
                _log.warning("bag_guard_waits", deal=self.run.story.deal_id, reason=error.message)
                await anyio.sleep(_LOOK_S)
            except RevertError as error:
                assert isinstance(step, Step)
                await self._refused(step, error, refused)

    async def look(self) -> Step | Wait | None:
        """Find out what is to be done now."""
        run = self.run
        now = max(int(self.wall()), await run.links.chain.block_time())
        received = frozenset(index for index, result in run.results.items() if result.digest != NO_RESULT)
        return next_step(
            Facts(
                now=UnixSeconds(now),
                hub=run.links.chain.hub_address,
                deal=run.deal,
                story=run.story,
                me=self.requester.address,
                final_deadline=self.final_deadline,
                audit=run.audit,
                received=received,
                grace_s=self.grace_s,
            )
        )

    async def take(self, step: Step) -> None:
        """
        Send a step's transaction, and depositing what it locks if it is not there.

        Raises:
            RevertError: The hub refuses: others were faster, or it is too early or too late.
            FundsError: The bond is not there.
            UnavailableError: The chain does not answer.
        """
        say = _log.warning if step.is_accusation else _log.info
        say("bag_guard_acts", deal=self.run.story.deal_id, what=step.call.label, why=step.why)
        if step.bond:
            await self._cover(step.bond)
        try:
            receipt = await self.requester.sender.send(step.call)
        finally:
            if step.releases is not None:
                self.run.story.released.add(step.releases)
        self.done.append(step)
        self.run.watch.tell(receipt.events)

    async def _cover(self, bond: NRLC) -> None:
        stake = (await self.run.links.chain.hub.account(self.requester.address)).stake
        if stake < bond:
            await self.requester.deposit(NRLC(bond - stake))

    async def _refused(self, step: Step, error: RevertError, refused: dict[str, int]) -> None:
        """Look again in a moment; what is refused too often is told, unless it was a bond that is free already."""
        if step.releases is not None:
            return
        refused[step.call.label] = refused.get(step.call.label, 0) + 1
        _log.info("bag_guard_refused", deal=self.run.story.deal_id, what=step.call.label, reason=error.reason)
        if refused[step.call.label] > _TRIES:
            words = f"the hub refuses to {step.call.label}: {error.reason}"
            raise StateError(words, hint="look at the deal with `voisin deal show`") from error
        with anyio.move_on_after(_RETRY_S):
            await self.run.watch.changed()

    async def _pause(self, wait: Wait) -> None:
        """
        Wait for news, but not beyond the time at which something is to be done; the chain's clock may be ahead of ours.

        While the bag is not posted results are no news: there may be some many times a second, and nothing is done about them.
        """
        left, watch, story = wait.until - self.wall(), self.run.watch, self.run.story
        stage, block = story.stage, watch.next_block
        with anyio.move_on_after(max(min(left, _LOOK_S), _RETRY_S)):
            await watch.changed()
            while story.stage is stage is BagStage.RUNNING and watch.next_block == block:
                await watch.changed()
