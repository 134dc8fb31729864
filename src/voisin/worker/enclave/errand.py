"""What a worker wants an enclave to do, as far as it has to wait for the enclave's own words to say it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from voisin.enclave.words import FileToCome, Order, Show
from voisin.protocol.evidence import Evidence
from voisin.protocol.ids import Hash32

MakeOrder = Callable[[Hash32, Sequence[Evidence]], Awaitable[Order]]
"""Makes the order for an enclave with this session key and the evidence that it showed, without the files that follow it."""


@dataclass(frozen=True, kw_only=True)
class Errand:
    """
    A task for an enclave.

    Attributes:
        show: Says for which task evidence is wanted, and for which vaults.
        make_order: Makes the order.
        module: The app's module; None when nothing is to be run.
        inputs: Folder of the inputs; None without any.
        target: Where the result goes.
        max_result_bytes: The largest result that is taken [bytes].
    """

    show: Callable[[], Awaitable[Sequence[Show]]]
    make_order: MakeOrder
    module: Path | None
    inputs: Path | None
    target: Path
    max_result_bytes: int

    async def order(self, session_key: Hash32, evidence: Sequence[Evidence]) -> tuple[Order, tuple[Path, ...]]:
        """Make the order, and name the files that follow it; raises what `make_order` raises."""
        order = await self.make_order(session_key, evidence)
        if self.module is None or self.inputs is None:
            return order, ()
        inputs = tuple(sorted(path for path in self.inputs.iterdir() if path.is_file()))
        files = tuple(FileToCome(path.name, path.stat().st_size) for path in inputs)
        return replace(order, module_size=self.module.stat().st_size, files=files), (self.module, *inputs)
