// viem, as its users use it, against a node; prints one JSON line with what it saw. Arguments: url, artifact file, two private keys.
const { createPublicClient, createTestClient, createWalletClient, http, parseEther, webSocket } = require("viem");
const { privateKeyToAccount } = require("viem/accounts");
const { foundry } = require("viem/chains");
const { readFileSync } = require("node:fs");

async function main() {
  const [url, artifactFile, key, otherKey] = process.argv.slice(2);
  const { abi, bytecode } = JSON.parse(readFileSync(artifactFile, "utf8"));
  const transport = http(url);
  const [account, other] = [privateKeyToAccount(key), privateKeyToAccount(otherKey)];
  const client = createPublicClient({ chain: foundry, transport, pollingInterval: 20 });
  const wallet = createWalletClient({ chain: foundry, transport, account });
  const test = createTestClient({ chain: foundry, transport, mode: "anvil" });
  const seen = { chain: await client.getChainId() };
  const confirmed = async (hash) => client.waitForTransactionReceipt({ hash: await hash });

  // deploy, write, read
  const deployed = await confirmed(wallet.deployContract({ abi, bytecode, args: [5n] }));
  const book = { address: deployed.contractAddress, abi };
  seen.deployed = deployed.status;
  const written = await confirmed(wallet.writeContract({ ...book, functionName: "write", args: [1n, { weight: 7n, text: "hello" }] }));
  seen.written = written.status;
  seen.note = await client.readContract({ ...book, functionName: "read", args: [1n] });
  seen.events = (await client.getContractEvents({ ...book, eventName: "Written", fromBlock: 0n, args: { page: 1n } })).map(({ args }) => args.text);

  // events and heads that come
  const watched = new Promise((resolve) => client.watchContractEvent({ ...book, eventName: "Written", onLogs: ([log]) => resolve(log.args.text) }));
  const socket = createPublicClient({ chain: foundry, transport: webSocket(url.replace("http", "ws")) });
  const heads = new Promise((resolve) => socket.watchBlockNumber({ onBlockNumber: (number) => resolve(number > 0n) }));
  await socket.getBlockNumber();
  const write = () => confirmed(wallet.writeContract({ ...book, functionName: "write", args: [2n, { weight: 1n, text: "watched" }] }));
  await write();
  const again = setInterval(() => write().catch(() => {}), 300); // a filter or a socket may be later than the first
  [seen.watched, seen.heads] = await Promise.all([watched, heads]);
  clearInterval(again);

  // errors
  const empty = { ...book, functionName: "write", args: [1n, { weight: 0n, text: "" }] };
  seen.simulated = await client.simulateContract({ ...empty, account }).catch((error) => error.walk((cause) => cause.reason)?.reason);
  await client.waitForTransactionReceipt({ hash: await wallet.writeContract({ ...empty, gas: 200000n }) }).then(({ status }) => (seen.failed = status));

  // code of another, and what a call pretends
  const otherWallet = createWalletClient({ chain: foundry, transport, account: other });
  const authorization = await otherWallet.signAuthorization({ contractAddress: book.address });
  await confirmed(wallet.sendTransaction({ to: account.address, authorizationList: [authorization] }));
  seen.delegated = (await client.getCode({ address: other.address })).slice(0, 8);
  const stateDiff = [{ slot: `0x${"0".repeat(64)}`, value: `0x${"9".padStart(64, "0")}` }];
  seen.pretended = await client.readContract({ ...book, functionName: "written", stateOverride: [{ address: book.address, stateDiff }] });

  // what only development wants
  const rich = "0xabababababababababababababababababababab", fresh = "0x7777777777777777777777777777777777777777";
  await test.setBalance({ address: rich, value: parseEther("5") });
  seen.rich = await client.getBalance({ address: rich });
  const id = await test.snapshot();
  await test.impersonateAccount({ address: rich });
  await confirmed(wallet.sendTransaction({ account: rich, to: fresh, value: parseEther("1") }));
  seen.paid = await client.getBalance({ address: fresh });
  await test.revert({ id });
  seen.reverted = await client.getBalance({ address: rich });
  const before = (await client.getBlock()).timestamp;
  await test.setNextBlockTimestamp({ timestamp: before + 3600n });
  await test.mine({ blocks: 1 });
  seen.later = (await client.getBlock()).timestamp - before;
  console.log(JSON.stringify(seen, (name, value) => (typeof value === "bigint" ? value.toString() : value)));
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
