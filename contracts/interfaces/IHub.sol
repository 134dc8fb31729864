// SPDX-License-Identifier: Apache-2.0
pragma solidity >=0.8.4;

/// The hub as a dapp sees it. All but the last four lines are the protocol's, and true of every hub that speaks it.
/// Amounts are nRLC, times are Unix seconds.
interface IHub {
    struct AppOrder {
        address app;
        uint256 appprice;
        uint256 volume;
        bytes32 tag;
        address datasetrestrict;
        address workerpoolrestrict;
        address requesterrestrict;
        bytes32 salt;
        bytes sign;
    }

    struct DatasetOrder {
        address dataset;
        uint256 datasetprice;
        uint256 volume;
        bytes32 tag;
        address apprestrict;
        address workerpoolrestrict;
        address requesterrestrict;
        bytes32 salt;
        bytes sign;
    }

    struct WorkerpoolOrder {
        address workerpool;
        uint256 workerpoolprice;
        uint256 volume;
        bytes32 tag;
        uint256 category;
        uint256 trust;
        address apprestrict;
        address datasetrestrict;
        address requesterrestrict;
        bytes32 salt;
        bytes sign;
    }

    struct RequestOrder {
        address app;
        uint256 appmaxprice;
        address dataset;
        uint256 datasetmaxprice;
        address workerpool;
        uint256 workerpoolmaxprice;
        address requester;
        uint256 volume;
        bytes32 tag;
        uint256 category;
        uint256 trust;
        address beneficiary;
        address callback;
        string params;
        bytes32 salt;
        bytes sign;
    }

    /// `operation` 0 signs, 1 closes.
    struct RequestOrderOperation {
        RequestOrder order;
        uint8 operation;
        bytes sign;
    }

    struct Account {
        uint256 stake;
        uint256 locked;
    }

    struct Resource {
        address pointer;
        address owner;
        uint256 price;
    }

    struct Deal {
        Resource app;
        Resource dataset;
        Resource workerpool;
        uint256 trust;
        uint256 category;
        bytes32 tag;
        address requester;
        address beneficiary;
        address callback;
        string params;
        uint256 startTime;
        uint256 botFirst;
        uint256 botSize;
        uint256 workerStake;
        uint256 schedulerRewardRatio;
        address sponsor;
    }

    /// `status`: 0 unset, 1 active, 2 revealing, 3 completed, 4 failed.
    struct Task {
        uint8 status;
        bytes32 dealid;
        uint256 idx;
        uint256 timeref;
        uint256 contributionDeadline;
        uint256 revealDeadline;
        uint256 finalDeadline;
        bytes32 consensusValue;
        uint256 revealCounter;
        uint256 winnerCounter;
        address[] contributors;
        bytes32 resultDigest;
        bytes results;
        uint256 resultsTimestamp;
        bytes resultsCallback;
    }

    event OrdersMatched(bytes32 dealid, bytes32 appHash, bytes32 datasetHash, bytes32 workerpoolHash, bytes32 requestHash, uint256 volume);
    event TaskFinalize(bytes32 indexed taskid, bytes results);
    event TaskClaimed(bytes32 indexed taskid);

    function token() external view returns (address);
    function viewAccount(address account) external view returns (Account memory);
    function deposit(uint256 amount) external returns (bool);
    function depositFor(uint256 amount, address target) external returns (bool);
    function withdraw(uint256 amount) external returns (bool);
    function withdrawTo(uint256 amount, address target) external returns (bool);

    function manageRequestOrder(RequestOrderOperation calldata operation) external;
    function matchOrders(
        AppOrder calldata appOrder,
        DatasetOrder calldata datasetOrder,
        WorkerpoolOrder calldata workerpoolOrder,
        RequestOrder calldata requestOrder
    ) external returns (bytes32 dealid);
    function viewConsumed(bytes32 orderHash) external view returns (uint256);
    function viewDeal(bytes32 dealid) external view returns (Deal memory);

    function viewTask(bytes32 taskid) external view returns (Task memory);
    function resultFor(bytes32 taskid) external view returns (bytes memory);
    function claim(bytes32 taskid) external;
    function callbackgas() external view returns (uint256);

    event CallbackFailed(bytes32 indexed taskid);
    event CallbackRetried(bytes32 indexed taskid);
    function hasFailedCallback(bytes32 taskid) external view returns (bool);
    function retryCallback(bytes32 taskid) external;
}
