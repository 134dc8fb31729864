"""
The entities of the protocol, with the names and fields of the ecosystem's PoCo subgraph.

What that subgraph does not have and this index has: `TokenTransfer`, and when a dataset was created. What it
has and this index has not: `ERC1538*` (the original's old routing of functions), and `PolicyUpdate`: a workerpool's policy is as of its
last transfer.

Source: client-surface.md 8; the subgraph's published schema, for names.
"""

from __future__ import annotations

from voisin.index.entities import Entity, Field, Interface, Kind, amount, catalog, data, identity, many, number, one, ref, refs, text

PROTOCOL_ID = "iExec"
"""The id of the one `Protocol` entity."""

TASK_STATUSES = ("UNSET", "ACTIVE", "REVEALING", "COMPLETED", "FAILLED")
"""The names of a task's states, by the hub's number; the last is misspelt everywhere in the ecosystem."""
CONTRIBUTION_STATUSES = ("UNSET", "CONTRIBUTED", "PROVED", "REJECTED")

_LOGGED = (ref("transaction", "Transaction"), number("timestamp"))
_OF_ACCOUNT = (identity(), *_LOGGED, ref("account", "Account"))
_OF_TASK = (identity(), *_LOGGED, ref("task", "Task"))
_OF_POOL = (identity(), *_LOGGED, ref("workerpool", "Workerpool"))
_OF_DEAL = (identity(), *_LOGGED, ref("deal", "Deal"))
_MOVED = (ref("from", "Account"), ref("to", "Account"))
_SIGNED = (data("salt", is_optional=True), data("sign", is_optional=True))


def _maybe(*names: str) -> tuple[Field, ...]:
    return tuple(data(name, is_optional=True) for name in names)


_VOLUME_AND_TAG = (number("volume", is_optional=True), data("tag", is_optional=True))

_ACCOUNTS = (
    Entity(
        "Account",
        "accounts",
        (
            identity(),
            amount("balance"),
            amount("frozen"),
            number("score"),
            many("transfersFrom", "Transfer", "from"),
            many("transfersTo", "Transfer", "to"),
            many("events", "AccountEvent", "account"),
            many("contributions", "Contribution", "worker"),
            many("apps", "App", "owner"),
            many("datasets", "Dataset", "owner"),
            many("workerpools", "Workerpool", "owner"),
            many("dealRequester", "Deal", "requester"),
            many("dealBeneficiary", "Deal", "beneficiary"),
            many("dealCallback", "Deal", "callback"),
            many("taskRequester", "Task", "requester"),
            many("orderRequester", "RequestOrder", "requester"),
            many("orderBeneficiary", "RequestOrder", "beneficiary"),
            many("orderCallback", "RequestOrder", "callback"),
            many("transactions", "Transaction", "from"),
        ),
    ),
    Entity(
        "Transaction",
        "transactions",
        (
            identity(),
            ref("from", "Account", is_optional=True),
            ref("to", "Account", is_optional=True),
            *(number(name) for name in ("value", "gasLimit", "gasUsed", "gasPrice", "timestamp", "blockNumber")),
            many("accountEvents", "AccountEvent", "transaction"),
            many("taskEvents", "TaskEvent", "transaction"),
            many("workerpoolEvents", "WorkerpoolEvent", "transaction"),
            many("ressourceTransferEvent", "RessourceTransferEvent", "transaction"),
        ),
    ),
    Entity("Transfer", "transfers", (identity(), *_LOGGED, *_MOVED, amount("value"))),
    Entity("TokenTransfer", "tokenTransfers", (identity(), *_LOGGED, *_MOVED, amount("value"))),
    Entity("Reward", "rewards", (*_OF_ACCOUNT, amount("value"), ref("task", "Task", is_optional=True)), "AccountEvent"),
    Entity("Seize", "seizes", (*_OF_ACCOUNT, amount("value"), ref("task", "Task", is_optional=True)), "AccountEvent"),
    Entity("Lock", "locks", (*_OF_ACCOUNT, amount("value")), "AccountEvent"),
    Entity("Unlock", "unlocks", (*_OF_ACCOUNT, amount("value")), "AccountEvent"),
    Entity(
        "AccurateContribution",
        "accurateContributions",
        (*_OF_ACCOUNT, ref("contribution", "Contribution"), number("score")),
        "AccountEvent",
    ),
    Entity(
        "FaultyContribution", "faultyContributions", (*_OF_ACCOUNT, ref("contribution", "Contribution"), number("score")), "AccountEvent"
    ),
)

_RESOURCES = (
    Entity(
        "App",
        "apps",
        (
            identity(),
            ref("owner", "Account"),
            text("name"),
            text("type"),
            *map(data, ("multiaddr", "checksum", "mrenclave")),
            number("timestamp"),
            many("usages", "Deal", "app"),
            many("orders", "AppOrder", "app"),
            many("transfers", "AppTransfer", "app"),
        ),
        "Ressource",
    ),
    Entity(
        "Dataset",
        "datasets",
        (
            identity(),
            ref("owner", "Account"),
            text("name"),
            *map(data, ("multiaddr", "checksum")),
            number("timestamp"),
            *map(number, ("creationTimestamp", "creationBlock")),
            data("creationTransaction"),
            many("usages", "Deal", "dataset"),
            many("orders", "DatasetOrder", "dataset"),
            many("transfers", "DatasetTransfer", "dataset"),
        ),
        "Ressource",
    ),
    Entity(
        "Workerpool",
        "workerpools",
        (
            identity(),
            ref("owner", "Account"),
            text("description"),
            *map(number, ("workerStakeRatio", "schedulerRewardRatio", "timestamp")),
            many("usages", "Deal", "workerpool"),
            many("orders", "WorkerpoolOrder", "workerpool"),
            many("events", "WorkerpoolEvent", "workerpool"),
            many("transfers", "WorkerpoolTransfer", "workerpool"),
        ),
        "Ressource",
    ),
    Entity("AppTransfer", "appTransfers", (identity(), *_LOGGED, ref("app", "App"), *_MOVED), "RessourceTransferEvent"),
    Entity("DatasetTransfer", "datasetTransfers", (identity(), *_LOGGED, ref("dataset", "Dataset"), *_MOVED), "RessourceTransferEvent"),
    Entity(
        "WorkerpoolTransfer",
        "workerpoolTransfers",
        (identity(), *_LOGGED, ref("workerpool", "Workerpool"), *_MOVED),
        "RessourceTransferEvent",
    ),
    Entity("SchedulerNotice", "schedulerNotices", (*_OF_POOL, ref("deal", "Deal")), "WorkerpoolEvent"),
)

_ORDERS = (
    Entity(
        "AppOrder",
        "appOrders",
        (
            identity(),
            ref("app", "App"),
            amount("appprice"),
            *_VOLUME_AND_TAG,
            *_maybe("datasetrestrict", "workerpoolrestrict", "requesterrestrict"),
            *_SIGNED,
            many("deals", "Deal", "apporder"),
        ),
    ),
    Entity(
        "DatasetOrder",
        "datasetOrders",
        (
            identity(),
            ref("dataset", "Dataset", is_optional=True),
            amount("datasetprice"),
            *_VOLUME_AND_TAG,
            *_maybe("apprestrict", "workerpoolrestrict", "requesterrestrict"),
            *_SIGNED,
            many("deals", "Deal", "datasetorder"),
        ),
    ),
    Entity(
        "WorkerpoolOrder",
        "workerpoolOrders",
        (
            identity(),
            ref("workerpool", "Workerpool"),
            amount("workerpoolprice"),
            *_VOLUME_AND_TAG,
            ref("category", "Category", is_optional=True),
            number("trust", is_optional=True),
            *_maybe("apprestrict", "datasetrestrict", "requesterrestrict"),
            *_SIGNED,
            many("deals", "Deal", "workerpoolorder"),
        ),
    ),
    Entity(
        "RequestOrder",
        "requestOrders",
        (
            identity(),
            ref("app", "App", is_optional=True),
            amount("appmaxprice", is_optional=True),
            ref("dataset", "Dataset", is_optional=True),
            amount("datasetmaxprice", is_optional=True),
            ref("workerpool", "Workerpool", is_optional=True),
            amount("workerpoolmaxprice", is_optional=True),
            ref("requester", "Account"),
            *_VOLUME_AND_TAG,
            ref("category", "Category", is_optional=True),
            number("trust", is_optional=True),
            ref("beneficiary", "Account", is_optional=True),
            ref("callback", "Account", is_optional=True),
            text("params", is_optional=True),
            *_SIGNED,
            many("deals", "Deal", "requestorder"),
        ),
    ),
)

_WORK = (
    Entity(
        "Category",
        "categories",
        (
            identity(),
            text("name"),
            text("description"),
            number("workClockTimeRef"),
            number("timestamp"),
            many("deals", "Deal", "category"),
        ),
    ),
    Entity(
        "Deal",
        "deals",
        (
            identity(),
            many("tasks", "Task", "deal"),
            ref("app", "App"),
            ref("appOwner", "Account"),
            amount("appPrice"),
            ref("dataset", "Dataset", is_optional=True),
            ref("datasetOwner", "Account"),
            amount("datasetPrice"),
            ref("workerpool", "Workerpool"),
            ref("workerpoolOwner", "Account"),
            amount("workerpoolPrice"),
            number("trust"),
            ref("category", "Category"),
            data("tag"),
            *(ref(name, "Account") for name in ("requester", "beneficiary", "callback")),
            text("params"),
            *map(number, ("startTime", "botFirst", "botSize", "completedTasksCount", "claimedTasksCount")),
            *map(number, ("workerStake", "schedulerRewardRatio")),
            ref("sponsor", "Account"),
            number("timestamp"),
            ref("apporder", "AppOrder", is_optional=True),
            ref("datasetorder", "DatasetOrder", is_optional=True),
            ref("workerpoolorder", "WorkerpoolOrder", is_optional=True),
            ref("requestorder", "RequestOrder", is_optional=True),
            ref("bulk", "Bulk", is_optional=True),
            many("events", "DealEvent", "deal"),
        ),
    ),
    Entity(
        "Task",
        "tasks",
        (
            identity(),
            Field("status", Kind.ENUM, target="TaskStatus"),
            ref("deal", "Deal"),
            number("index"),
            ref("requester", "Account"),
            refs("contributions", "Contribution"),
            *_maybe("consensus", "resultDigest"),
            text("results", is_optional=True),
            text("resultsCallback", is_optional=True),
            number("contributionDeadline"),
            number("revealDeadline", is_optional=True),
            number("finalDeadline"),
            number("timestamp"),
            many("rewards", "Reward", "task"),
            many("seizes", "Seize", "task"),
            many("events", "TaskEvent", "task"),
            one("bulkSlice", "BulkSlice", "task"),
        ),
    ),
    Entity(
        "Contribution",
        "contributions",
        (
            identity(),
            Field("status", Kind.ENUM, target="ContributionStatus"),
            Field("timestamp", Kind.INT),
            ref("task", "Task"),
            ref("worker", "Account"),
            *map(data, ("hash", "seal", "challenge")),
        ),
    ),
    Entity("OrdersMatched", "ordersMatcheds", _OF_DEAL, "DealEvent"),
    Entity("TaskInitialize", "taskInitializes", (*_OF_TASK, ref("workerpool", "Workerpool")), "TaskEvent"),
    Entity("TaskContribute", "taskContributes", (*_OF_TASK, ref("worker", "Account"), data("hash")), "TaskEvent"),
    Entity("TaskConsensus", "taskConsensuses", (*_OF_TASK, data("consensus")), "TaskEvent"),
    Entity("TaskReveal", "taskReveals", (*_OF_TASK, ref("worker", "Account"), data("digest")), "TaskEvent"),
    Entity("TaskReopen", "taskReopens", _OF_TASK, "TaskEvent"),
    Entity("TaskFinalize", "taskFinalizes", (*_OF_TASK, data("results")), "TaskEvent"),
    Entity("TaskClaimed", "taskClaimeds", _OF_TASK, "TaskEvent"),
    Entity("Bulk", "bulks", (identity(), text("hash"), many("slices", "BulkSlice", "bulk"))),
    Entity(
        "BulkSlice",
        "bulkSlices",
        (
            identity(),
            ref("task", "Task", is_optional=True),
            text("hash"),
            ref("bulk", "Bulk"),
            number("index"),
            refs("datasets", "Dataset"),
            refs("datasetOrders", "DatasetOrder"),
        ),
        aliases=("bulkSliceice",),
    ),
    Entity(
        "Protocol",
        "protocols",
        (
            identity(),
            *map(number, ("categoriesCount", "appsCount", "datasetsCount", "workerpoolsCount")),
            *map(number, ("dealsCount", "tasksCount", "completedTasksCount", "claimedTasksCount")),
            amount("tvl"),
        ),
    ),
)

POCO = catalog(
    "poco",
    (*_ACCOUNTS, *_RESOURCES, *_ORDERS, *_WORK),
    (
        Interface("AccountEvent", "accountEvents", _OF_ACCOUNT),
        Interface("TaskEvent", "taskEvents", _OF_TASK),
        Interface("WorkerpoolEvent", "workerpoolEvents", _OF_POOL),
        Interface("DealEvent", "dealEvents", _OF_DEAL),
        Interface("Ressource", "ressources", (identity(), ref("owner", "Account"))),
        Interface("RessourceTransferEvent", "ressourceTransferEvents", (identity(), *_LOGGED, *_MOVED)),
    ),
    {"TaskStatus": TASK_STATUSES, "ContributionStatus": CONTRIBUTION_STATUSES},
)
