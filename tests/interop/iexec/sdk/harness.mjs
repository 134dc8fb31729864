// What every chapter of the SDK's tests shares: the SDK itself, watched so that what it was really used for is known, and eyes that do not
// look through it: plain contracts and plain HTTP.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { Contract, JsonRpcProvider, Wallet } from 'ethers';
import * as iexec from 'iexec';

const HUB = [
  'function viewAccount(address) view returns (tuple(uint256 stake, uint256 locked))',
  'function viewCategory(uint256) view returns (tuple(string name, string description, uint256 workClockTimeRef))',
  'function countCategory() view returns (uint256)',
  'function viewConsumed(bytes32) view returns (uint256)',
  'function allowance(address, address) view returns (uint256)',
  'function appregistry() view returns (address)',
  'function datasetregistry() view returns (address)',
  'function workerpoolregistry() view returns (address)',
  'function viewTask(bytes32) view returns (tuple(uint8 status, bytes32 dealid, uint256 idx, uint256 timeref, uint256 contributionDeadline, uint256 revealDeadline, uint256 finalDeadline, bytes32 consensusValue, uint256 revealCounter, uint256 winnerCounter, address[] contributors, bytes32 resultDigest, bytes results, uint256 resultsTimestamp, bytes resultsCallback))',
  'function viewDeal(bytes32) view returns (tuple(tuple(address pointer, address owner, uint256 price) app, tuple(address pointer, address owner, uint256 price) dataset, tuple(address pointer, address owner, uint256 price) workerpool, uint256 trust, uint256 category, bytes32 tag, address requester, address beneficiary, address callback, string params, uint256 startTime, uint256 botFirst, uint256 botSize, uint256 workerStake, uint256 schedulerRewardRatio, address sponsor))',
];
const ERC20 = ['function balanceOf(address) view returns (uint256)'];
const REGISTRY = ['function ownerOf(uint256) view returns (address)', 'function isRegistered(address) view returns (bool)'];

// Methods that were called and did not fail, as `module.method`.
const used = new Set();

const watched = (name, method) => (...args) => {
  const result = method(...args);
  if (typeof result?.then !== 'function') {
    used.add(name);
    return result;
  }
  return result.then((value) => {
    used.add(name);
    return value;
  });
};

// All own functions of an object, by name.
const methodsOf = (object) => Object.entries(object).filter(([, value]) => typeof value === 'function');

export const modulesOf = (sdk) => Object.entries(sdk).filter(([name, value]) => value instanceof iexec.IExecModule || name === 'config');

// Every public function of the package, as it is: found by walking, not from a list.
export const inventory = (sdk) => [
  ...modulesOf(sdk).flatMap(([name, module]) => methodsOf(module).map(([method]) => `${name}.${method}`)),
  ...Object.entries(iexec.utils).filter(([, value]) => typeof value === 'function').map(([name]) => `utils.${name}`),
  ...Object.entries(iexec).filter(([, value]) => typeof value?.fromConfig === 'function').map(([name]) => `${name}.fromConfig`),
];

const watch = (sdk) => {
  for (const [name, module] of modulesOf(sdk)) {
    for (const [method, call] of methodsOf(module)) module[method] = watched(`${name}.${method}`, call);
  }
  return sdk;
};

export const utils = Object.fromEntries(
  Object.entries(iexec.utils).map(([name, value]) => [name, typeof value === 'function' ? watched(`utils.${name}`, value) : value]),
);

export const fromConfig = (name, config) => watched(`${name}.fromConfig`, (given) => iexec[name].fromConfig(given))(config);

// The call is refused, and the words say why.
export const refused = (promise, words) => assert.rejects(promise, (error) => {
  assert.match(String(error.message), words);
  return true;
});

// Ask until the answer is what it should be; some 20 s at most.
export const until = async (ask, isDone, what) => {
  const end = Date.now() + 20_000;
  for (;;) {
    const answer = await ask();
    if (isDone(answer)) return answer;
    if (Date.now() > end) throw new Error(`${what} did not come true; last answer: ${JSON.stringify(answer, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

const eyes = (config) => {
  const provider = new JsonRpcProvider(config.rpc_url, config.chain_id, { cacheTimeout: -1, staticNetwork: true });
  const hub = new Contract(config.hub, HUB, provider);
  const registry = async (kind) => new Contract(await hub[`${kind}registry`](), REGISTRY, provider);
  return {
    provider,
    hub,
    rlc: new Contract(config.rlc, ERC20, provider),
    ownerOf: async (kind, address) => (await registry(kind)).ownerOf(BigInt(address)),
    isRegistered: async (kind, address) => (await registry(kind)).isRegistered(address),
    read: (address, what) => new Contract(address, [`function ${what}`], provider)[what.split('(')[0]](),
  };
};

const plainMarket = (config) => async (path, query = {}) => {
  const answer = await fetch(`${config.market_url}${path}?${new URLSearchParams({ chainId: config.chain_id, ...query })}`);
  return { status: answer.status, ...(await answer.json()) };
};

// Run one chapter: its input is a file of JSON, its result goes to another.
export const chapter = async (tell) => {
  const [, , input, output] = process.argv;
  const given = JSON.parse(readFileSync(input, 'utf8'));
  const { config } = given;
  const options = {
    hubAddress: config.hub,
    iexecGatewayURL: config.market_url,
    smsURL: config.sms_url || 'http://127.0.0.1:1',
    ipfsGatewayURL: config.ipfs_gateway_url,
    ipfsNodeURL: config.ipfs_node_url,
    compassURL: config.compass_url || 'http://127.0.0.1:1',
  };
  const sdk = (key, more = {}) => watch(
    new iexec.IExec({ ethProvider: key ? utils.getSignerFromPrivateKey(config.rpc_url, key) : config.rpc_url }, { ...options, ...more }),
  );
  const wallets = (given.keys ?? []).map((key) => ({ key, address: new Wallet(key).address, sdk: sdk(key) }));
  const told = await tell({ ...given, sdk, options, wallets, chain: eyes(config), market: plainMarket(config) });
  writeFileSync(output, JSON.stringify({ used: [...used].sort(), told: told ?? null }));
  process.exit(0); // providers poll for ever
};
