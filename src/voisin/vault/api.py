"""
The vault's wire: HTTP with JSON, problems for errors; beside it the routes of the protocol's own clients (`voisin.vault.ecosystem`).

| method and path | answer |
| --- | --- |
| GET /v1/vault | `VaultView`: which vault this is, for consents |
| GET /v1/secrets?owner= | `SecretPage`: what an account pushed, names only; needs its consent |
| GET /v1/secrets/{kind}/{holder}?name= | `SecretEntry`: that there is such a secret |
| POST /v1/secrets/{kind}/{holder}?name= | 201 and `SecretEntry`: the body, plain text, is kept; needs the owner's consent |
| PUT /v1/secrets/{kind}/{holder}?name= | the same, replacing one that is there; named secrets only |
| DELETE /v1/secrets/{kind}/{holder}?name= | the entry, deleted; needs the owner's consent |
| GET /v1/releases?owner=&before= | `ReleasePage`: who used an account's secrets; needs its consent |
| POST /v1/tasks/{task_id}/challenge | `TaskChallenge`; needs the consent of the workerpool's owner |
| POST /v1/sessions | `SealedSession` for a `SessionRequest` |
| POST /v1/shares | `SealedSession` with `TaskShares`, for a `SessionRequest` under another act: one of several keepers of a key |
| POST /v1/datasets/{dataset}/terms | `TermsEntry`: the `TermsPush` is kept; needs the consent of the dataset's owner |
| GET /v1/datasets/{dataset}/terms | `TermsPage`: the dataset's orders with terms of use |
| GET /v1/terms/{order_hash} | `TermsEntry` |
| POST /v1/datasets/{dataset}/revocation?order= | `TermsPage`: one order, or all, revoked; needs the consent of the dataset's owner |
| GET /v1/datasets/{dataset}/uses?since=&before= | `UsePage`: the owner's ledger; needs his consent |
| GET /v1/tasks/{task_id}/evidence | `TaskEvidence`: what enclaves showed |
| GET /v1/tasks/{task_id}/result | `HeldResult`: whether the result waits for a release |
| POST /v1/tasks/{task_id}/release | `HeldResult`, released; needs the consent of the dataset's owner |
| POST /v1/tasks/{task_id}/result-key | `SealedResultKey` for a `ResultKeyRequest`; needs the reader's consent, or the owner's |
| GET /v1/health | `VaultHealth` |
| GET /metrics | figures for Prometheus |
| GET /schema/openapi.json | this, for programs |

A consent travels in the header `Voisin-Consent`, see `voisin.protocol.consent`.
"""

from __future__ import annotations

import time
from http import HTTPStatus

from litestar import Litestar, delete, get, post, put
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import FromPath, FromQuery
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from voisin.errors import InputError
from voisin.protocol.consent import CONSENT_HEADER, read_consent
from voisin.protocol.ids import TaskId, as_address, as_hash32
from voisin.protocol.secrets import (
    ReleasePage,
    SecretEntry,
    SecretKind,
    SecretPage,
    SecretRef,
    SecretValue,
    VaultView,
    checked_ref,
)
from voisin.protocol.sessions import SealedSession, TaskChallenge, read_request
from voisin.service.limits import Buckets, TooOftenError
from voisin.service.problems import AnyRequest, Problems
from voisin.vault.ecosystem import (  # noqa: F401  (the routes of this service, for its page in docs/reference)
    check_app_secret,
    check_dataset_key,
    check_named,
    check_requester_secret,
    ecosystem,
    push_app_secret,
    push_dataset_key,
    push_named,
    push_requester_secret,
    replace_named,
)
from voisin.vault.openapi import PushOperation, SessionOperation
from voisin.vault.safe import AbsentError
from voisin.vault.service import VaultHealth, VaultService
from voisin.vault.terms_api import HANDLERS
from voisin.vault.wire import PROBLEMS, ConsentHeader, Vault

API_VERSION = "1.0.0"
METRICS_TYPE = "text/plain; version=0.0.4"

_ROUTES = "GET /schema/openapi.json lists the routes and their methods"
_PROBLEMS = Problems("vault", _ROUTES, {AbsentError: HTTPStatus.NOT_FOUND, TooOftenError: HTTPStatus.TOO_MANY_REQUESTS})


@get("/v1/vault", responses=PROBLEMS)
async def show_vault(vault: Vault) -> VaultView:
    """Say which vault this is: consents name its address, chain and hub."""
    return vault.view()


@get("/v1/secrets", responses=PROBLEMS)
async def list_secrets(vault: Vault, owner: FromQuery[str], consent: ConsentHeader = None) -> SecretPage:
    """List what an account pushed, names only, with its consent."""
    return await vault.safe.listing(as_address(owner), read_consent(consent))


@get("/v1/secrets/{kind:str}/{holder:str}", responses=PROBLEMS)
async def show_secret(vault: Vault, kind: FromPath[str], holder: FromPath[str], name: FromQuery[str] = "") -> SecretEntry:
    """Tell that there is a secret, and who pushed it when."""
    ref = _ref(kind, holder, name)
    entry = await vault.safe.entry(ref)
    if entry is None:
        raise AbsentError(f"there is no {ref}", hint="its owner pushes it")
    return entry


@post("/v1/secrets/{kind:str}/{holder:str}", operation_class=PushOperation, responses=PROBLEMS)
async def push_secret(
    vault: Vault, request: AnyRequest, kind: FromPath[str], holder: FromPath[str], name: FromQuery[str] = "", consent: ConsentHeader = None
) -> SecretEntry:
    """Keep a secret, with its owner's consent; the body is its value as plain text."""
    ref = _ref(kind, holder, name)
    entry = await vault.safe.push(ref, _value(await request.body()), read_consent(consent))
    vault.metrics.pushed.labels(ref.kind.value).inc()
    return entry


@put("/v1/secrets/{kind:str}/{holder:str}", operation_class=PushOperation, responses=PROBLEMS)
async def replace_secret(
    vault: Vault, request: AnyRequest, kind: FromPath[str], holder: FromPath[str], name: FromQuery[str] = "", consent: ConsentHeader = None
) -> SecretEntry:
    """Replace a named secret, with its owner's consent; the body is its value as plain text."""
    ref = _ref(kind, holder, name)
    entry = await vault.safe.push(ref, _value(await request.body()), read_consent(consent), replace=True)
    vault.metrics.pushed.labels(ref.kind.value).inc()
    return entry


@delete("/v1/secrets/{kind:str}/{holder:str}", status_code=200, responses=PROBLEMS)
async def delete_secret(
    vault: Vault, kind: FromPath[str], holder: FromPath[str], name: FromQuery[str] = "", consent: ConsentHeader = None
) -> SecretEntry:
    """Delete a secret, with its owner's consent: from then on no enclave gets it."""
    return await vault.safe.delete(_ref(kind, holder, name), read_consent(consent))


@get("/v1/releases", responses=PROBLEMS)
async def list_releases(
    vault: Vault, owner: FromQuery[str], before: FromQuery[int | None] = None, consent: ConsentHeader = None
) -> ReleasePage:
    """List the uses of an account's secrets, newest first, with its consent."""
    return await vault.safe.releases(as_address(owner), read_consent(consent), before=before)


@post("/v1/tasks/{task_id:str}/challenge", status_code=200, responses=PROBLEMS)
async def give_challenge(vault: Vault, task_id: FromPath[str], consent: ConsentHeader = None) -> TaskChallenge:
    """Give the challenge of an enclave task, the same each time, with the consent of its workerpool's owner."""
    return await vault.sessions.challenge(TaskId(as_hash32(task_id)), read_consent(consent))


@post("/v1/sessions", status_code=200, operation_class=SessionOperation, responses=PROBLEMS)
async def open_session(vault: Vault, request: AnyRequest) -> SealedSession:
    """Seal the secrets of a task to the key of the enclave that runs it; the worker signs the request."""
    session = await vault.sessions.open(read_request(await request.body()))
    vault.metrics.sessions.inc()
    return session


@get("/v1/health", responses=PROBLEMS)
async def health(vault: Vault) -> VaultHealth:
    """Tell how the vault is; 503 when the chain or the database does not answer."""
    return await vault.health()


@get("/metrics", media_type=METRICS_TYPE, include_in_schema=False)
async def metrics(vault: Vault) -> bytes:
    """Write the vault's figures for Prometheus."""
    return vault.metrics.page()


def create_app(service: VaultService) -> Litestar:
    """
    Make the vault's ASGI application.

    Args:
        service: The vault.
    """
    settings = service.settings
    buckets = Buckets(per_s=settings.requests_per_s, burst=settings.request_burst, clock=time.monotonic)
    return Litestar(
        route_handlers=[
            show_vault,
            list_secrets,
            show_secret,
            push_secret,
            replace_secret,
            delete_secret,
            list_releases,
            give_challenge,
            open_session,
            health,
            metrics,
            *HANDLERS,
            ecosystem,
        ],
        dependencies={"vault": Provide(lambda: service, sync_to_thread=False)},
        exception_handlers=_PROBLEMS.handlers(),
        middleware=[lambda app: _Gate(app, service, buckets)],
        request_max_body_size=settings.max_body_bytes,
        cors_config=CORSConfig(allow_origins=list(settings.allow_origins), allow_headers=["Authorization", "Content-Type", CONSENT_HEADER]),
        openapi_config=OpenAPIConfig(
            title="Voisin vault",
            version=API_VERSION,
            description="Secrets for enclaves; errors are RFC 9457 problems. Times are in Unix seconds.",
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
            use_handler_docstrings=True,
        ),
        logging_config=None,
    )


class _Gate:
    """Middleware that counts requests and how long they take, and holds back who asks too often."""

    def __init__(self, app: ASGIApp, service: VaultService, buckets: Buckets) -> None:
        self._app = app
        self._metrics = service.metrics
        self._buckets = buckets  # shared: each route has a gate of its own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note how it went."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if scope["method"] not in ("GET", "HEAD", "OPTIONS") or any(name == _CONSENT for name, _ in scope["headers"]):
                self._buckets.take((scope["client"] or ("", 0))[0])
            await self._app(scope, receive, note)
        finally:
            took_s = time.perf_counter() - started
            self._metrics.requests.labels(scope["method"], scope["path_template"], str(status)).observe(took_s)


_CONSENT = CONSENT_HEADER.lower().encode()


def _ref(kind: str, holder: str, name: str) -> SecretRef:
    try:
        known = SecretKind(kind)
    except ValueError:
        raise InputError(f"{kind[:80]!r} is no kind of secret", hint=f"the kinds are {', '.join(SecretKind)}") from None
    return checked_ref(SecretRef(known, as_address(holder), name))


def _value(body: bytes) -> SecretValue:
    try:
        return SecretValue(body.decode())
    except UnicodeDecodeError:
        raise InputError("a secret is UTF-8 text", hint="encode bytes in base64") from None
