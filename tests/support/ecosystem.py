"""A client of the ecosystem, as it talks to a market: it signs challenges by another implementation of EIP-712 than ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import httpx
import msgspec
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data

from voisin.protocol.orders import Order, order_kind
from voisin.protocol.signatures import KeySigner

Json = dict[str, Any]

ECOSYSTEM_ROUTES: Final = {
    "/version": {"GET"},
    "/docs": {"GET"},
    "/challenge": {"GET"},
    "/categories": {"GET"},
    "/categories/{id}": {"GET"},
    "/deals": {"GET"},
    "/deals/{id}": {"GET"},
    "/ohlc": {"GET"},
    **{f"/{kind}orders": {"GET", "POST", "PUT"} for kind in ("app", "dataset", "workerpool", "request")},
    **{f"/{kind}orders/{{id}}": {"GET"} for kind in ("app", "dataset", "workerpool", "request")},
}
"""The routes of client-surface.md 3.1, written down by hand, without `/metrics`, which is ours too."""


def posted(order: Order) -> Json:
    """Write an order as the client posts it: numbers as their digits."""
    fields = msgspec.structs.asdict(order)
    return {name: str(value) if isinstance(value, int) else value for name, value in fields.items()}


def authorize(data: Json, wallet: KeySigner) -> str:
    """Sign a challenge, and write the header's value."""
    typed = {**data, "domain": {**data["domain"], "chainId": int(data["domain"]["chainId"])}}
    message = encode_typed_data(full_message=typed)
    signature = Account.sign_message(message, wallet.expose_key()).signature
    return f"0x{_hash_eip191_message(message).hex()}_0x{bytes(signature).hex()}_{wallet.address}"


@dataclass
class Client:
    """A client of a market on a chain."""

    http: httpx.AsyncClient
    chain_id: int

    async def get(self, path: str, status: int = 200, **params: object) -> Json:
        """Ask."""
        return self.read(await self.http.get(path, params={"chainId": str(self.chain_id), **_texts(params)}), status)

    async def authorization(self, wallet: KeySigner) -> str:
        """Get a challenge, and sign it."""
        return authorize((await self.get("/challenge", address=wallet.address))["data"], wallet)

    async def publish(self, order: Order, wallet: KeySigner, status: int = 200, *, authorization: str | None = None) -> Json:
        """Publish an order."""
        headers = {"authorization": authorization or await self.authorization(wallet)}
        path = f"/{order_kind(order).value}orders"
        answer = await self.http.post(path, params={"chainId": self.chain_id}, json={"order": posted(order)}, headers=headers)
        return self.read(answer, status)

    async def unpublish(self, kind: str, wallet: KeySigner, status: int = 200, **body: str) -> Json:
        """Take orders out."""
        headers = {"authorization": await self.authorization(wallet)}
        answer = await self.http.put(f"/{kind}orders", params={"chainId": self.chain_id}, json=body, headers=headers)
        return self.read(answer, status)

    @staticmethod
    def read(answer: httpx.Response, status: int) -> Json:
        """Read an answer, and see that it is well-formed."""
        assert answer.status_code == status, answer.text
        assert "application/json" in answer.headers["content-type"]
        found: Json = answer.json()
        assert found["ok"] is (status == 200)
        assert status == 200 or set(found) == {"ok", "error"}
        return found


def _texts(params: dict[str, object]) -> dict[str, str]:
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in params.items()}
