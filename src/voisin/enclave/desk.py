"""Where one task lies inside an enclave: its module, inputs, outputs and result, all below one folder in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from voisin.enclave.words import MAX_FILES, FileToCome, Order
from voisin.errors import InputError


@dataclass(frozen=True)
class Desk:
    """
    The files of one task.

    Attributes:
        folder: What they are below.
    """

    folder: Path

    @property
    def module(self) -> Path:
        """The app's module."""
        return self.folder / "module.wasm"

    @property
    def inputs(self) -> Path:
        """What the app sees as its inputs."""
        return self.folder / "in"

    @property
    def outputs(self) -> Path:
        """What the app wrote."""
        return self.folder / "out"

    @property
    def archive(self) -> Path:
        """The result before it is sealed."""
        return self.folder / "archive"

    @property
    def result(self) -> Path:
        """The result as it leaves."""
        return self.folder / "result"

    def input(self, name: str) -> Path:
        """
        Place an input.

        Raises:
            InputError: Its name would leave the folder.
        """
        if not name or name in (".", "..") or "/" in name or "\0" in name:
            raise InputError(f"an input cannot be called {name[:40]!r}", hint="names of inputs have no folders")
        return self.inputs / name

    def places(self, order: Order) -> list[tuple[Path, FileToCome]]:
        """
        Say where the files that follow an order go, in their order.

        Raises:
            InputError: They are too many, two have one name, a name is none, or a size is negative.
        """
        named = [(self.input(file.name), file) for file in order.files]
        if len(named) > MAX_FILES or len({path for path, _ in named}) < len(named):
            raise InputError("the worker's inputs are too many, or two have one name")
        if order.program is not None:
            named.insert(0, (self.module, FileToCome("module", order.module_size)))
        if any(file.size < 0 for _, file in named):
            raise InputError("an input has no size")
        return named
