# pragma version 0.4.3
"""
@title A contract that orders a computation and receives the result
@license Apache-2.0
@notice It is its own requester: it pays from its own account at the hub, signs its request on the chain, and is its own callback.
        Whoever made it chooses the offers and may take the money back; everybody may fund it and read its answers.
"""
import IHub
import IOracleConsumer
import IToken

implements: IOracleConsumer

event Ordered:
    taskid: indexed(bytes32)
    dealid: bytes32
    params: String[1_024]


event Answered:
    taskid: indexed(bytes32)
    result: Bytes[4_096]


SIGN: constant(uint8) = 0

OWNER: public(immutable(address))
HUB: public(immutable(address))
APP: public(immutable(address))
TRUST: public(immutable(uint256))

orders: public(uint256)
is_open: public(HashMap[bytes32, bool])  # ordered, and not answered yet
answers: public(HashMap[bytes32, Bytes[4_096]])


@deploy
def __init__(hub: address, app: address, trust: uint256):
    """
    @param app The one app that it has computed.
    @param trust How sure it wants to be of an answer; 1 believes a single worker.
    """
    OWNER = msg.sender
    HUB = hub
    APP = app
    TRUST = trust


@external
def fund(amount: uint256):
    """
    @notice Put RLC into its account at the hub; the sender has approved the amount before.
    """
    token: IToken = IToken(staticcall IHub(HUB).token())
    assert extcall token.transferFrom(msg.sender, self, amount)
    assert extcall token.approve(HUB, amount)
    assert extcall IHub(HUB).deposit(amount)


@external
def withdraw(amount: uint256):
    """
    @notice Take money back that no deal has locked.
    """
    assert msg.sender == OWNER, "not-the-owner"
    assert extcall IHub(HUB).withdrawTo(amount, OWNER)


@external
def order(app_order: IHub.AppOrder, workerpool_order: IHub.WorkerpoolOrder, params: String[1_024]) -> bytes32:
    """
    @notice Have the app computed once. The hub checks that both offers are signed and fit; their prices are the most that it pays.
    @param params What the app is told, as JSON.
    @return Id of the task that will be answered.
    """
    assert msg.sender == OWNER, "not-the-owner"
    self.orders += 1
    request: IHub.RequestOrder = IHub.RequestOrder(
        app=APP,
        appmaxprice=app_order.appprice,
        dataset=empty(address),
        datasetmaxprice=0,
        workerpool=workerpool_order.workerpool,
        workerpoolmaxprice=workerpool_order.workerpoolprice,
        requester=self,
        volume=1,
        tag=empty(bytes32),
        category=workerpool_order.category,
        trust=TRUST,
        beneficiary=self,
        callback=self,
        params=params,
        salt=convert(self.orders, bytes32),  # makes every request another one
        sign=b"",
    )
    extcall IHub(HUB).manageRequestOrder(IHub.RequestOrderOperation(order=request, operation=SIGN, sign=b""))
    dealid: bytes32 = extcall IHub(HUB).matchOrders(app_order, empty(IHub.DatasetOrder), workerpool_order, request)
    taskid: bytes32 = keccak256(concat(dealid, empty(bytes32)))  # the deal's first task, and only one
    self.is_open[taskid] = True
    log Ordered(taskid=taskid, dealid=dealid, params=params)
    return taskid


@external
def receiveResult(id: bytes32, result: Bytes[4_096]):
    """
    @notice The hub brings an answer. A long one needs more gas to keep than a callback has: then anybody calls the hub's
            `retryCallback`, or `fetch`.
    """
    assert msg.sender == HUB, "not-the-hub"
    self._keep(id, result)


@external
def fetch(taskid: bytes32):
    """
    @notice Get an answer that did not come, as anybody.
    """
    self._keep(taskid, staticcall IHub(HUB).resultFor(taskid))


@internal
def _keep(taskid: bytes32, result: Bytes[4_096]):
    assert self.is_open[taskid], "no-such-order"
    self.is_open[taskid] = False
    self.answers[taskid] = result
    log Answered(taskid=taskid, result=result)
