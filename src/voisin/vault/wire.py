"""What the vault's routes share: the vault, the header of consents, and the problems that answers may be."""

from __future__ import annotations

from typing import Annotated

from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, SkipValidation

from voisin.protocol.api import Problem
from voisin.protocol.consent import CONSENT_HEADER
from voisin.service.problems import PROBLEM_TYPE
from voisin.vault.service import VaultService

Vault = NamedDependency[SkipValidation[VaultService]]
ConsentHeader = Annotated[str | None, HeaderParameter(name=CONSENT_HEADER, description="<signer>:<nonce>:<until>:<signature>")]

PROBLEMS = {
    status: ResponseSpec(data_container=Problem, media_type=PROBLEM_TYPE, description=meaning, generate_examples=False)
    for status, meaning in (
        (400, "What was given cannot be used"),
        (403, "A signature or consent was refused, or terms of use do not allow it"),
        (404, "There is no such secret, or no such order with terms"),
        (409, "Not in this state: there already, used before, not live"),
        (413, "The body is too long"),
        (429, "Too many requests"),
        (503, "The chain or the database does not answer"),
    )
}
