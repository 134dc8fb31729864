// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {IHub} from "../interfaces/IHub.sol";
import {IOracleConsumer} from "../interfaces/IOracleConsumer.sol";

/// An oracle: the last number that an app has proven, and when it was asked for. The same contract as Oracle.vy.
/// It believes results of one app, asked for by one requester, computed by one workerpool with enough trust. All of that is read from
/// the hub: it does not matter who calls, so it can be a deal's callback, and anybody can bring a result that did not come.
contract Oracle is IOracleConsumer {
    event Updated(bytes32 indexed taskid, int256 value, uint256 date);

    uint8 private constant COMPLETED = 3;

    IHub public immutable HUB;
    address public immutable APP;
    address public immutable WORKERPOOL;
    address public immutable REQUESTER;
    uint256 public immutable TRUST;

    int256 public number;
    /// When the deal was made [Unix s]; 0 while there is no number.
    uint256 public date;

    constructor(IHub hub, address app, address workerpool, address requester, uint256 trust) {
        HUB = hub;
        APP = app;
        WORKERPOOL = workerpool;
        REQUESTER = requester;
        TRUST = trust;
    }

    /// What the hub calls; the result is looked up all the same.
    function receiveResult(bytes32 id, bytes calldata) external override {
        update(id);
    }

    /// The number and its date; how old it may be is for the reader to say.
    function latest() external view returns (int256, uint256) {
        require(date != 0, "no-number-yet");
        return (number, date);
    }

    /// Bring a result, as anybody.
    function update(bytes32 taskid) public {
        IHub.Task memory task = HUB.viewTask(taskid);
        require(task.status == COMPLETED, "task-not-completed");
        IHub.Deal memory deal = HUB.viewDeal(task.dealid);
        require(deal.app.pointer == APP, "another-app");
        require(deal.workerpool.pointer == WORKERPOOL, "another-workerpool");
        require(deal.trust >= TRUST, "too-little-trust");
        require(task.resultsCallback.length == 32, "not-a-number"); // what comes of an app that failed is longer
        require(deal.requester == REQUESTER, "another-requester");
        require(deal.startTime > date, "not-newer"); // an older answer, or the same again
        number = abi.decode(task.resultsCallback, (int256));
        date = deal.startTime;
        emit Updated(taskid, number, date);
    }
}
