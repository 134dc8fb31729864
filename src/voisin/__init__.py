"""
Voisin: the open marketplace for computing power.

    import voisin

    with voisin.connect() as cloud:
        print(cloud.run("app.wasm", ["an", "argument"]).stdout)
"""

from typing import TYPE_CHECKING

from voisin.errors import (
    FundsError,
    GuestError,
    InputError,
    NoMatchError,
    RevertError,
    StateError,
    TrustError,
    UnavailableError,
    VoisinError,
)

if TYPE_CHECKING:
    from voisin.client import (
        AppFailedError,
        AsyncCloud,
        AsyncJob,
        Cloud,
        Invoice,
        Job,
        Network,
        Progress,
        Quote,
        Result,
        RunTerms,
        TaskSpec,
        connect,
        connect_async,
    )
    from voisin.protocol.params import RunLimits

__all__ = [
    "AppFailedError",
    "AsyncCloud",
    "AsyncJob",
    "Cloud",
    "FundsError",
    "GuestError",
    "InputError",
    "Invoice",
    "Job",
    "Network",
    "NoMatchError",
    "Progress",
    "Quote",
    "Result",
    "RevertError",
    "RunLimits",
    "RunTerms",
    "StateError",
    "TaskSpec",
    "TrustError",
    "UnavailableError",
    "VoisinError",
    "connect",
    "connect_async",
]


def __getattr__(name: str) -> object:
    """Load the client when it is first used: every part of Voisin imports this package, and most do without the client."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "RunLimits":
        from voisin.protocol import params

        return params.RunLimits
    from voisin import client

    return getattr(client, name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
