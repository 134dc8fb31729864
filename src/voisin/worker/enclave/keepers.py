"""The vaults that a task's enclave needs: the one that made its challenge, and those that keep shares of its data's key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from msgspec.structs import replace

from voisin.enclave.words import KeeperShares
from voisin.errors import VoisinError
from voisin.protocol.consent import VaultId
from voisin.protocol.data_terms import Keeper
from voisin.protocol.evidence import Evidence
from voisin.protocol.ids import ZERO_ADDRESS, Address
from voisin.protocol.sessions import SessionWish
from voisin.service.vaults import Sessions

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Vaults:
    """
    The vaults of one task.

    Attributes:
        own: The one that made its challenge.
        keepers: Those that keep shares; none where the first has the whole key.
    """

    own: VaultId
    keepers: tuple[Keeper, ...] = ()

    @property
    def all(self) -> tuple[VaultId, ...]:
        """All of them, the own one first."""
        return (self.own, *(replace(self.own, vault=keeper.vault) for keeper in self.keepers))


async def find_vaults(own: Sessions, dataset: Address) -> Vaults:
    """
    Find the vaults of a task.

    Args:
        own: The one that made its challenge.
        dataset: The deal's dataset; zero without one.

    Raises:
        VoisinError: The vault refuses, or does not answer.
    """
    identity = await own.identity()
    named = await own.keepers(dataset) if dataset != ZERO_ADDRESS else ()
    return Vaults(identity, tuple(keeper for keeper in named if keeper.vault != identity.vault))


async def collect_shares(
    vaults: Vaults,
    wish: SessionWish,
    evidence: Sequence[Evidence],
    *,
    sessions: Callable[[str], Sessions],
    check: Callable[[str], Awaitable[None]],
) -> tuple[KeeperShares, ...]:
    """
    Ask every keeper for its shares; one that refuses or is away is left out, since some are enough.

    Args:
        vaults: The vaults.
        wish: What the own vault was asked.
        evidence: What the enclave showed for each of the keepers.
        sessions: Opens a vault by its address.
        check: Refuses addresses that a worker does not go to.
    """
    found = []
    for keeper, shown in zip(vaults.keepers, evidence, strict=True):
        try:
            await check(keeper.url)
            session = await sessions(keeper.url).shares(replace(wish, evidence=shown, bulk=()))
        except VoisinError as error:
            log.warning("keeper_left_out", task_id=wish.task_id, vault=keeper.vault, error=error.message)
            continue
        if session.vault.vault == keeper.vault:
            found.append(KeeperShares(request=session.request, vault=session.vault, sealed=session.sealed))
    return tuple(found)
