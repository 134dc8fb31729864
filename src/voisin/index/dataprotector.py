"""
Protected data, as far as the registry of datasets tells of it, with the names of the ecosystem's DataProtector subgraph.

Every dataset counts as protected data. What only the DataProtector's own contracts know is constant here: no schema, no
collection, nothing for rent or for sale; collections, subscriptions, rentals and sales are left out.

Source: client-surface.md 8; that subgraph's published schema, for names.
"""

from __future__ import annotations

from voisin.index.entities import Entity, Field, Kind, amount, catalog, data, identity, many, number, ref, text

DATAPROTECTOR = catalog(
    "dataprotector",
    (
        Entity(
            "ProtectedData",
            "protectedDatas",
            (
                identity(),
                Field("jsonSchema", Kind.STRING, constant="{}"),
                Field("schema", Kind.REFS, target="SchemaEntry", constant="[]"),
                ref("owner", "Account"),
                text("name"),
                Field("isIncludedInSubscription", Kind.BOOLEAN, is_optional=True, constant=False),
                Field("isRentable", Kind.BOOLEAN, is_optional=True, constant=False),
                Field("isForSale", Kind.BOOLEAN, is_optional=True, constant=False),
                *map(data, ("multiaddr", "checksum")),
                number("creationTimestamp"),
                Field("transactionHash", Kind.BYTES, column="creationTransaction"),
                Field("blockNumber", Kind.BIGINT, column="creationBlock"),
            ),
            table="Dataset",
        ),
        Entity("Account", "accounts", (identity(), amount("balance"), many("datasets", "ProtectedData", "owner"))),
        Entity(
            "SchemaEntry",
            "schemaEntries",
            (identity(), Field("path", Kind.STRING, is_optional=True), Field("type", Kind.STRING, is_optional=True)),
        ),
    ),
    (),
    {},
)
