# pragma version 0.4.3
"""
@title The registry of datasets (SPEC 12)
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
def name() -> String[27]:
    return "iExec Dataset Registry (V5)"


@view
@external
def symbol() -> String[15]:
    return "iExecDatasetsV5"


@external
def createDataset(
    _datasetOwner: address, _datasetName: String[1_024], _datasetMultiaddr: Bytes[4_096], _datasetChecksum: bytes32
) -> address:
    """
    @notice Register a dataset, for anybody.
    @return Address of the dataset, which is also its token's id.
    """
    return registry._create(_datasetOwner, self._call(_datasetName, _datasetMultiaddr, _datasetChecksum))


@view
@external
def predictDataset(
    _datasetOwner: address, _datasetName: String[1_024], _datasetMultiaddr: Bytes[4_096], _datasetChecksum: bytes32
) -> address:
    """
    @notice The address that `createDataset` with the same arguments gives.
    """
    return registry._predict(_datasetOwner, self._call(_datasetName, _datasetMultiaddr, _datasetChecksum))


@internal
@pure
def _call(name: String[1_024], multiaddr: Bytes[4_096], checksum: bytes32) -> Bytes[16_384]:
    return abi_encode(name, multiaddr, checksum, method_id=method_id("initialize(string,bytes,bytes32)"))
