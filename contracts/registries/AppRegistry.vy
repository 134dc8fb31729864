# pragma version 0.4.3
"""
@title The registry of apps (SPEC 12)
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
def name() -> String[31]:
    return "iExec Application Registry (V5)"


@view
@external
def symbol() -> String[11]:
    return "iExecAppsV5"


@external
def createApp(
    _appOwner: address,
    _appName: String[1_024],
    _appType: String[256],
    _appMultiaddr: Bytes[4_096],
    _appChecksum: bytes32,
    _appMREnclave: Bytes[4_096],
) -> address:
    """
    @notice Register an app, for anybody.
    @return Address of the app, which is also its token's id.
    """
    return registry._create(
        _appOwner, self._call(_appName, _appType, _appMultiaddr, _appChecksum, _appMREnclave)
    )


@view
@external
def predictApp(
    _appOwner: address,
    _appName: String[1_024],
    _appType: String[256],
    _appMultiaddr: Bytes[4_096],
    _appChecksum: bytes32,
    _appMREnclave: Bytes[4_096],
) -> address:
    """
    @notice The address that `createApp` with the same arguments gives.
    """
    return registry._predict(
        _appOwner, self._call(_appName, _appType, _appMultiaddr, _appChecksum, _appMREnclave)
    )


@internal
@pure
def _call(
    name: String[1_024],
    type: String[256],
    multiaddr: Bytes[4_096],
    checksum: bytes32,
    mrenclave: Bytes[4_096],
) -> Bytes[16_384]:
    return abi_encode(
        name,
        type,
        multiaddr,
        checksum,
        mrenclave,
        method_id=method_id("initialize(string,string,bytes,bytes32,bytes)"),
    )
