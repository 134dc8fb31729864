# pragma version 0.4.3
"""
@title The registry of workerpools (SPEC 12)
@license Apache-2.0
"""
import erc721
import registry

initializes: erc721
initializes: registry[erc721 := erc721]
exports: (
    erc721.approve,
    erc721.balanceOf,
    erc721.getApproved,
    erc721.isApprovedForAll,
    erc721.ownerOf,
    erc721.safeTransferFrom,
    erc721.setApprovalForAll,
    erc721.supportsInterface,
    erc721.tokenByIndex,
    erc721.tokenOfOwnerByIndex,
    erc721.totalSupply,
    erc721.transferFrom,
    registry.baseURI,
    registry.initialize,
    registry.initialized,
    registry.isRegistered,
    registry.master,
    registry.owner,
    registry.previous,
    registry.proxyCode,
    registry.proxyCodeHash,
    registry.renounceOwnership,
    registry.setBaseURI,
    registry.setName,
    registry.tokenURI,
    registry.transferOwnership,
)


@deploy
def __init__(entry_code: Bytes[16_384], base_uri: String[512]):
    """
    @param entry_code Creation code of the contract that entries are proxies of.
    @param base_uri What the metadata address of every token begins with.
    """
    registry.__init__(entry_code, base_uri)


@view
@external
def name() -> String[30]:
    return "iExec Workerpool Registry (V5)"


@view
@external
def symbol() -> String[17]:
    return "iExecWorkerpoolV5"


@external
def createWorkerpool(_workerpoolOwner: address, _workerpoolDescription: String[4_096]) -> address:
    """
    @notice Register a workerpool, for anybody.
    @return Address of the workerpool, which is also its token's id.
    """
    return registry._create(_workerpoolOwner, self._call(_workerpoolDescription))


@view
@external
def predictWorkerpool(_workerpoolOwner: address, _workerpoolDescription: String[4_096]) -> address:
    """
    @notice The address that `createWorkerpool` with the same arguments gives.
    """
    return registry._predict(_workerpoolOwner, self._call(_workerpoolDescription))


@internal
@pure
def _call(description: String[4_096]) -> Bytes[16_384]:
    return abi_encode(description, method_id=method_id("initialize(string)"))
