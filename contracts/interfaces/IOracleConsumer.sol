// SPDX-License-Identifier: Apache-2.0
pragma solidity >=0.8.4;

/// A contract that a deal names as its callback (ERC-1154). The hub calls it once the task is settled, with `callbackgas` gas.
/// Whoever implements it must not believe the arguments unless the hub is the caller, and must check which task it is.
interface IOracleConsumer {
    function receiveResult(bytes32 id, bytes calldata result) external;
}
