// ethers v6, as its users use it, against a node; prints one JSON line with what it saw. Arguments: url, artifact file, private key.
const { ethers } = require("ethers");
const { readFileSync } = require("node:fs");

async function main() {
  const [url, artifactFile, key] = process.argv.slice(2);
  const artifact = JSON.parse(readFileSync(artifactFile, "utf8"));
  const seen = {};
  const provider = new ethers.JsonRpcProvider(url, undefined, { pollingInterval: 50 });
  const wallet = new ethers.NonceManager(new ethers.Wallet(key, provider));

  seen.network = Number((await provider.getNetwork()).chainId);
  seen.fees = Object.fromEntries(Object.entries((await provider.getFeeData()).toJSON()).filter(([name]) => name !== "_type"));

  // deploy, send, wait
  const factory = new ethers.ContractFactory(artifact.abi, artifact.bytecode, wallet);
  const deployed = await (await factory.deploy(5)).waitForDeployment();
  const book = new ethers.Contract(await deployed.getAddress(), artifact.abi, wallet);
  seen.address = await book.getAddress();
  seen.code = (await provider.getCode(seen.address)).length > 1000;
  const sent = await book.write(1, { weight: 7, text: "hello" });
  const receipt = await sent.wait();
  seen.receipt = { status: receipt.status, type: receipt.type, gasUsed: receipt.gasUsed.toString(), fee: receipt.fee.toString(), logs: receipt.logs.length };
  seen.note = (await book.read(1)).text;
  seen.written = Number(await book.written());

  // legacy and access-list transactions
  for (const [name, overrides] of [["legacy", { type: 0 }], ["listed", { type: 1, accessList: [{ address: seen.address, storageKeys: [] }] }]]) {
    const other = await (await book.write(2, { weight: 1, text: name }, overrides)).wait();
    seen[name] = { status: other.status, type: other.type };
  }

  // events
  seen.events = (await book.queryFilter(book.filters.Written(null, 1), 0)).map((event) => event.args.text);
  const heard = new Promise((resolve) => book.on(book.filters.Written(null, 9), (event) => resolve(event.args.text)));
  await provider.send("eth_chainId", []);
  await (await book.write(9, { weight: 1, text: "overheard" })).wait();
  seen.heard = await heard;

  // errors
  seen.reason = await book.write.staticCall(1, { weight: 0, text: "" }).catch((error) => [error.code, error.reason]);
  seen.custom = await book.refuse.staticCall(42).catch((error) => [error.code, error.revert?.name, error.revert?.args[0].toString()]);
  seen.estimate = await book.write.estimateGas(1, { weight: 0, text: "" }).catch((error) => [error.code, error.reason]);
  seen.poor = await wallet.sendTransaction({ to: seen.address, value: ethers.parseEther("1000000"), gasLimit: 100000 }).catch((error) => error.code);
  const plain = new ethers.Wallet(key, provider);
  seen.stale = await plain.sendTransaction({ to: plain.address, nonce: 0, gasLimit: 21000 }).catch((error) => error.code);
  const failed = await (await plain.sendTransaction({ to: seen.address, data: book.interface.encodeFunctionData("refuse", [1]), gasLimit: 100000 })).wait().catch((error) => error);
  seen.failed = [failed.code, failed.receipt.status];

  // the past
  seen.past = Number(await book.written({ blockTag: receipt.blockNumber }));
  const block = await provider.getBlock(receipt.blockNumber, true);
  seen.block = block.prefetchedTransactions[0].hash === receipt.hash && block.hash === receipt.blockHash;
  seen.history = (await provider.send("eth_feeHistory", ["0x2", "latest", [50]])).reward.length;

  // WebSocket
  const socket = new ethers.WebSocketProvider(url.replace("http", "ws"));
  const listening = new ethers.Contract(seen.address, artifact.abi, socket);
  const told = new Promise((resolve) => listening.on("Written", (author, page, text) => resolve(text)));
  const heads = new Promise((resolve) => socket.on("block", resolve));
  await socket.send("eth_blockNumber", []); // answered after both subscriptions were
  await (await new ethers.Contract(seen.address, artifact.abi, new ethers.Wallet(key, socket)).write(3, { weight: 1, text: "by socket" })).wait();
  seen.told = await told;
  seen.heads = (await heads) > 0;
  await socket.destroy();
  provider.destroy();
  console.log(JSON.stringify(seen, (name, value) => (typeof value === "bigint" ? value.toString() : value)));
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
