"""What the vault says about its wire for programs (OpenAPI), where the handlers' signatures do not say it."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.openapi.spec import OpenAPIMediaType, Operation, Reference, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from voisin.protocol.secrets import MAX_SECRET_BYTES

_TEXT = Schema(type=OpenAPIType.STRING)
_SIMULATED: dict[str, Schema | Reference] = {"kind": Schema(type=OpenAPIType.STRING, const="simulated")}
_SESSION = (
    ("task_id", _TEXT),
    ("enclave", _TEXT),
    ("session_key", _TEXT),
    ("authorization", _TEXT),
    (
        "evidence",
        Schema(type=OpenAPIType.OBJECT, properties=_SIMULATED, required=["kind"]),
    ),
    ("bulk", Schema(type=OpenAPIType.ARRAY, items=Schema(type=OpenAPIType.OBJECT))),
    (
        "consent",
        Schema(
            type=OpenAPIType.OBJECT,
            properties={"signer": _TEXT, "nonce": _TEXT, "until": Schema(type=OpenAPIType.INTEGER), "signature": _TEXT},
            required=["signer", "nonce", "until", "signature"],
        ),
    ),
)


_OPTIONAL = ("evidence", "bulk")


@dataclass
class PushOperation(Operation):
    """Pushing a secret."""

    def __post_init__(self) -> None:
        value = Schema(type=OpenAPIType.STRING, min_length=1, max_length=MAX_SECRET_BYTES)
        self.request_body = RequestBody(content={"text/plain": OpenAPIMediaType(schema=value)}, required=True)


@dataclass
class TermsOperation(Operation):
    """Pushing an order with its terms of use; both have more members than are named here, see `voisin.protocol.vault_terms`."""

    def __post_init__(self) -> None:
        anything = Schema(type=OpenAPIType.OBJECT)
        key = Schema(type=OpenAPIType.STRING, max_length=MAX_SECRET_BYTES)
        schema = Schema(type=OpenAPIType.OBJECT, properties={"order": anything, "terms": anything, "key": key}, required=["order", "terms"])
        self.request_body = RequestBody(content={"application/json": OpenAPIMediaType(schema=schema)}, required=True)


@dataclass
class ResultKeyOperation(Operation):
    """Asking for the key of a held result."""

    def __post_init__(self) -> None:
        schema = Schema(type=OpenAPIType.OBJECT, properties={"reader_key": _TEXT}, required=["reader_key"])
        self.request_body = RequestBody(content={"application/json": OpenAPIMediaType(schema=schema)}, required=True)


@dataclass
class SessionOperation(Operation):
    """Opening a session."""

    def __post_init__(self) -> None:
        required = [name for name, _ in _SESSION if name not in _OPTIONAL]
        schema = Schema(type=OpenAPIType.OBJECT, properties=dict(_SESSION), required=required)
        self.request_body = RequestBody(content={"application/json": OpenAPIMediaType(schema=schema)}, required=True)
