"""
The wire that the protocol's own clients speak to their secret management service.

| method and path | answer |
| --- | --- |
| HEAD, POST /secrets/web3?secretAddress= | a dataset's key |
| HEAD, POST, PUT /secrets/web2?ownerAddress=&secretName= | a named secret |
| HEAD, POST /apps/{address}/secrets | an app's secret |
| HEAD, POST /requesters/{address}/secrets/{name} | a requester's secret |

The body is the value as plain text, the header `Authorization` the owner's signature. 204 means kept, or there; 400 malformed, 401 not the
owner, 404 absent, 409 there already, 413 too long (400 for a requester's). Errors carry `{"data": null, "error": [...]}`. These signatures
have neither nonce nor end; a value that was replaced or deleted does not come back by one, which is a 409 too.

Source: client-surface.md 4.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated

from litestar import Response, Router, head, post, put
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromPath, QueryParameter, SkipValidation

from voisin.errors import InputError, TrustError, UnavailableError, VoisinError
from voisin.protocol.codec import encode
from voisin.protocol.ids import as_address
from voisin.protocol.secrets import MAX_SECRET_BYTES, SecretKind, SecretRef, SecretValue, checked_ref
from voisin.service.limits import TooOftenError
from voisin.service.problems import AnyRequest
from voisin.vault.safe import AbsentError, TakenError
from voisin.vault.service import VaultService

Vault = NamedDependency[SkipValidation[VaultService]]
SecretAddress = Annotated[str, QueryParameter(name="secretAddress", description="The dataset")]
OwnerAddress = Annotated[str, QueryParameter(name="ownerAddress", description="The account")]
SecretName = Annotated[str, QueryParameter(name="secretName", description="The secret's name")]

_SIGNATURE = re.compile(r"0x(?:[0-9a-fA-F]{2}){1,4096}")


class TooLongError(InputError):
    """A secret is longer than a vault keeps."""

    code = "secret-too-long"


_STATUSES: dict[type[VoisinError], HTTPStatus] = {
    TooLongError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    AbsentError: HTTPStatus.NOT_FOUND,
    TakenError: HTTPStatus.CONFLICT,
    TooOftenError: HTTPStatus.TOO_MANY_REQUESTS,
    TrustError: HTTPStatus.UNAUTHORIZED,
    InputError: HTTPStatus.BAD_REQUEST,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    VoisinError: HTTPStatus.CONFLICT,
}
"""The status for each branch of the tree of errors; the nearest ancestor counts."""


@head("/secrets/web3", status_code=HTTPStatus.NO_CONTENT)
async def check_dataset_key(vault: Vault, secret_address: SecretAddress) -> None:
    """Tell whether a dataset has its key here."""
    await _check(vault, _ref(SecretKind.DATASET, secret_address))


@post("/secrets/web3", status_code=HTTPStatus.NO_CONTENT)
async def push_dataset_key(vault: Vault, request: AnyRequest, secret_address: SecretAddress) -> None:
    """Keep a dataset's key."""
    await _push(vault, request, _ref(SecretKind.DATASET, secret_address))


@head("/secrets/web2", status_code=HTTPStatus.NO_CONTENT)
async def check_named(vault: Vault, owner_address: OwnerAddress, secret_name: SecretName) -> None:
    """Tell whether an account has a named secret here."""
    await _check(vault, _ref(SecretKind.NAMED, owner_address, secret_name))


@post("/secrets/web2", status_code=HTTPStatus.NO_CONTENT)
async def push_named(vault: Vault, request: AnyRequest, owner_address: OwnerAddress, secret_name: SecretName) -> None:
    """Keep a named secret."""
    await _push(vault, request, _ref(SecretKind.NAMED, owner_address, secret_name))


@put("/secrets/web2", status_code=HTTPStatus.NO_CONTENT)
async def replace_named(vault: Vault, request: AnyRequest, owner_address: OwnerAddress, secret_name: SecretName) -> None:
    """Replace a named secret."""
    await _push(vault, request, _ref(SecretKind.NAMED, owner_address, secret_name), replace=True)


@head("/apps/{address:str}/secrets", status_code=HTTPStatus.NO_CONTENT)
async def check_app_secret(vault: Vault, address: FromPath[str]) -> None:
    """Tell whether an app has its secret here."""
    await _check(vault, _ref(SecretKind.APP, address))


@post("/apps/{address:str}/secrets", status_code=HTTPStatus.NO_CONTENT)
async def push_app_secret(vault: Vault, request: AnyRequest, address: FromPath[str]) -> None:
    """Keep an app's secret."""
    await _push(vault, request, _ref(SecretKind.APP, address))


@head("/requesters/{address:str}/secrets/{name:str}", status_code=HTTPStatus.NO_CONTENT)
async def check_requester_secret(vault: Vault, address: FromPath[str], name: FromPath[str]) -> None:
    """Tell whether a requester has a secret of that name here."""
    await _check(vault, _ref(SecretKind.REQUESTER, address, name))


@post("/requesters/{address:str}/secrets/{name:str}", status_code=HTTPStatus.NO_CONTENT)
async def push_requester_secret(vault: Vault, request: AnyRequest, address: FromPath[str], name: FromPath[str]) -> None:
    """Keep a requester's secret."""
    await _push(vault, request, _ref(SecretKind.REQUESTER, address, name))


async def _check(vault: VaultService, spelled: SecretRef) -> None:
    ref = checked_ref(spelled)
    if await vault.safe.entry(ref) is None:
        raise AbsentError(f"there is no {ref}")


async def _push(vault: VaultService, request: AnyRequest, spelled: SecretRef, *, replace: bool = False) -> None:
    ref, value = checked_ref(spelled), _value(spelled, await request.body())
    await vault.safe.push_signed(ref, spelled, value, _signature(request), replace=replace)
    vault.metrics.pushed.labels(ref.kind.value).inc()


def _ref(kind: SecretKind, holder: str, name: str = "") -> SecretRef:
    return SecretRef(kind, as_address(holder), name)


def _value(ref: SecretRef, body: bytes) -> SecretValue:
    if len(body) > MAX_SECRET_BYTES and ref.kind is not SecretKind.REQUESTER:
        raise TooLongError(f"a secret has at most {MAX_SECRET_BYTES} bytes")
    try:
        return SecretValue(body.decode())
    except UnicodeDecodeError:
        raise InputError("a secret is UTF-8 text", hint="encode bytes in base64") from None


def _signature(request: AnyRequest) -> str:
    header = request.headers.get("authorization")
    if header is None or not _SIGNATURE.fullmatch(header):
        raise TrustError("the header Authorization holds no signature", hint="sign the secret's challenge, and send 0x-prefixed hex")
    return header


def _answer(status: HTTPStatus, words: str) -> Response[bytes]:
    return Response(encode({"data": None, "error": [words]}), status_code=status, media_type="application/json")


def _answer_error(_request: AnyRequest, error: VoisinError) -> Response[bytes]:
    status = next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)
    return _answer(status, error.message)


def _answer_http_error(_request: AnyRequest, error: HTTPException) -> Response[bytes]:
    status = HTTPStatus(error.status_code)
    return _answer(status, status.phrase)


ecosystem = Router(
    "/",
    route_handlers=[
        check_dataset_key,
        push_dataset_key,
        check_named,
        push_named,
        replace_named,
        check_app_secret,
        push_app_secret,
        check_requester_secret,
        push_requester_secret,
    ],
    exception_handlers={VoisinError: _answer_error, HTTPException: _answer_http_error},
    include_in_schema=False,
)
"""The routes of the protocol's own clients, with errors in their form."""
