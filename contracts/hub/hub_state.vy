# pragma version 0.4.3
# The one storage layout of the hub (SPEC 3). Hub and facets initialise this module and declare no variable of their own.
# Append only: contracts/hub/layout.json is the committed copy, a test compares.

struct CategoryRecord:
    time_ref: uint256  # time reference: 40 | size of the name: 16 | size of the description: 16
    name: bytes32[8]
    description: bytes32[32]


struct DealRecord:
    app: uint256  # app | price: 80 | size of params: 16
    app_owner: uint256  # owner | start: 40 | volume: 40 | category: 16
    workerpool: uint256  # workerpool | price: 80 | scheduler's reward ratio: 8 | settled as a bag: 1, the highest bit
    workerpool_owner: uint256  # owner | worker's stake: 88 | flags: 8
    requester: uint256  # requester | first index: 40 | trust: 56
    tag: bytes32
    beneficiary: address  # these four only when their flag is set
    callback: address
    sponsor: address
    dataset: uint256  # dataset | price: 80
    dataset_owner: address
    params: bytes32[128]


struct BoostRecord:
    app: uint256  # app's owner | price: 80 | first index: 16
    workerpool: uint256  # workerpool's owner | price: 80 | volume: 16
    requester: uint256  # requester | deadline: 40 | tag: 24 | scheduler's reward ratio: 8 | flags: 8
    dataset: uint256  # dataset's owner | price: 80; these three only when their flag is set
    callback: address
    sponsor: address


struct TaskRecord:
    deal: bytes32
    state: uint256  # see task_record.vy
    digest: bytes32
    rivals: uint256  # sum of the products of all groups of contributions
    results_callback: Bytes[4_096]
    results: bytes32[128]
    contributors: address[256]


struct Contribution:
    result_hash: bytes32
    result_seal: bytes32
    vote: uint256  # enclave | status: 8 | log2 of the weight: 8


# --- ownership and routes
owner: address
routes: HashMap[bytes4, uint256]  # see routing.vy

# --- configuration
token: address
token_name: bytes32[3]  # texts without a length of their own
token_symbol: bytes32[2]
token_numbers: uint256  # size of the name: 16 | size of the symbol: 16 | decimals: 8
app_registry: address
dataset_registry: address
workerpool_registry: address
domain_separator: bytes32
tee_broker: address
callback_gas: uint256
former_hub: address
score_imported: HashMap[address, bool]
category_count: uint256
categories: HashMap[uint256, CategoryRecord]

# --- escrow
supply: uint256
accounts: HashMap[address, uint256]  # stake: 128 | locked: 128
allowances: HashMap[address, HashMap[address, uint256]]

# --- orders, deals, tasks
presigned: HashMap[bytes32, address]
consumed: HashMap[bytes32, uint256]
deals: HashMap[bytes32, DealRecord]
tasks: HashMap[bytes32, TaskRecord]
contributions: HashMap[bytes32, HashMap[address, Contribution]]
groups: HashMap[bytes32, HashMap[bytes32, uint256]]
scores: HashMap[address, uint256]

# --- the table of routes, in the order in which they were added
selector_count: uint256
selectors: HashMap[uint256, uint256]  # eight selectors a word

# --- deals without a record of their replication
boost_deals: HashMap[bytes32, BoostRecord]

# --- deals that are settled in one step
bags: HashMap[bytes32, uint256]  # see bag_record.vy
leaf_demands: HashMap[bytes32, HashMap[uint256, uint256]]  # by deal and index: who asks | deadline: 40
