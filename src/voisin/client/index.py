"""The index over HTTP, as its clients see it: GraphQL queries, and the directory of pools."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

from voisin.client.services import Service
from voisin.errors import InputError
from voisin.protocol.codec import encode
from voisin.protocol.compass import PoolStatement, sign_statement
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address
from voisin.protocol.signatures import Signer
from voisin.units import UnixSeconds

DAY_S = 86_400


class QueryRefusedError(InputError):
    """The index does not carry a query out, or not all of it; the message says why."""

    code = "query-refused"


class _Trouble(msgspec.Struct, frozen=True):
    message: str


class _GraphAnswer(msgspec.Struct, frozen=True):
    data: dict[str, object] | None = None
    errors: tuple[_Trouble, ...] = ()


class IndexDesk:
    """An index."""

    def __init__(self, service: Service, domain: Domain, *, wall: Callable[[], float] = time.time) -> None:
        """
        Args:
            service: The index.
            domain: The hub and the chain that it follows.
            wall: This machine's clock [Unix s].
        """
        self.service = service
        self._domain = domain
        self._wall = wall

    async def ask(self, query: str, variables: Mapping[str, object] | None = None, *, subgraph: str = "") -> dict[str, object]:
        """
        Ask in GraphQL.

        Args:
            query: The query.
            variables: Its variables.
            subgraph: Which schema is asked: the protocol's unless given, or `dataprotector`.

        Returns:
            The answer's data.

        Raises:
            QueryRefusedError: The query makes no sense or is too large; the message says why.
        """
        path = f"/subgraphs/name/{subgraph}" if subgraph else "/graphql"
        answer = await self.service.write(path, {"query": query, "variables": dict(variables or {})}, _GraphAnswer)
        if answer.errors or answer.data is None:
            raise QueryRefusedError("; ".join(each.message.rstrip(".") for each in answer.errors) or "the index answers nothing")
        return answer.data

    async def pool(self, workerpool: Address) -> PoolStatement:
        """
        Tell where a workerpool answers, as its owner signed it.

        Raises:
            StateError: The directory does not know.
        """
        return await self.service.read(f"/v1/workerpools/{workerpool}", PoolStatement)

    async def announce(self, owner: Signer, workerpool: Address, url: str, *, days: float = 1) -> PoolStatement:
        """
        Say where a workerpool answers.

        Args:
            owner: The workerpool's owner.
            workerpool: The workerpool.
            url: Where it answers.
            days: For how long that counts [days].

        Raises:
            TrustError: Somebody else owns the workerpool.
            StateError: A newer statement is there.
        """
        now = int(self._wall())
        statement = PoolStatement(
            chain_id=self._domain.chain_id,
            hub=self._domain.hub,
            workerpool=workerpool,
            api_url=url,
            issued_at=UnixSeconds(now),
            expires_at=UnixSeconds(now + int(days * DAY_S)),
        )
        body, headers = encode(sign_statement(statement, owner)), {"Content-Type": "application/json"}
        return await self.service.call("PUT", f"/v1/workerpools/{workerpool}", PoolStatement, headers=headers, content=body)
