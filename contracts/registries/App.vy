# pragma version 0.4.3
"""
@title An app: a program offered for money (SPEC 12)
@license Apache-2.0
"""
import entry

initializes: entry
exports: (entry.owner, entry.registry, entry.setName)

m_appName: public(String[1_024])
m_appType: public(String[256])
m_appMultiaddr: public(Bytes[4_096])
m_appChecksum: public(bytes32)
m_appMREnclave: public(Bytes[4_096])


@deploy
def __init__(registry: address):
    entry.__init__(registry)


@external
def initialize(
    _appName: String[1_024],
    _appType: String[256],
    _appMultiaddr: Bytes[4_096],
    _appChecksum: bytes32,
    _appMREnclave: Bytes[4_096],
):
    entry._check_registry()
    self.m_appName = _appName
    self.m_appType = _appType
    self.m_appMultiaddr = _appMultiaddr
    self.m_appChecksum = _appChecksum
    self.m_appMREnclave = _appMREnclave
