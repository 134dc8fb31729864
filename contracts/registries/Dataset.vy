# pragma version 0.4.3
"""
@title A dataset: an encrypted file offered for rent (SPEC 12)
@license Apache-2.0
"""
import entry

initializes: entry
exports: (entry.owner, entry.registry, entry.setName)

m_datasetName: public(String[1_024])
m_datasetMultiaddr: public(Bytes[4_096])
m_datasetChecksum: public(bytes32)


@deploy
def __init__(registry: address):
    entry.__init__(registry)


@external
def initialize(_datasetName: String[1_024], _datasetMultiaddr: Bytes[4_096], _datasetChecksum: bytes32):
    entry._check_registry()
    self.m_datasetName = _datasetName
    self.m_datasetMultiaddr = _datasetMultiaddr
    self.m_datasetChecksum = _datasetChecksum
