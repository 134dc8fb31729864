// Orders: made, hashed, signed, published, found, unpublished, cancelled.
import assert from 'node:assert/strict';
import { TypedDataEncoder, verifyTypedData } from 'ethers';
import { chapter, refused, until, utils } from './harness.mjs';
import { capital, domainOf, KINDS, ofMine, TYPES } from './offers.mjs';

const TEE_TDX = `0x${'0'.repeat(62)}09`;

await chapter(async ({ config, wallets, chain, market }) => {
  const [alice, bob] = wallets;
  const { app, dataset, workerpool } = await ofMine(alice);
  await bob.sdk.account.deposit('50 RLC');
  const wishes = {
    app: { app, appprice: '1 RLC', volume: 10 },
    dataset: { dataset, datasetprice: 200, volume: 10 },
    workerpool: { workerpool, workerpoolprice: 3_000, volume: 10, category: 0, trust: 1 },
    request: {
      app, appmaxprice: '1 RLC', dataset, datasetmaxprice: 200, workerpool, workerpoolmaxprice: 3_000, category: 0, trust: 0, volume: 2,
      params: { iexec_args: 'a b', iexec_input_files: ['https://files.example/in'] },
    },
  };
  const signerOf = (kind) => (kind === 'request' ? bob : alice);
  const listed = (kind, hash) => market(`/${kind}orders/${hash}`);

  const sign = async (kind) => {
    const { order } = signerOf(kind).sdk;
    const made = await order[`create${capital(kind)}order`](wishes[kind]);
    assert.equal(made.tag, TEE_TDX);
    const signed = await order[`sign${capital(kind)}order`](made);
    const { sign: signature, ...plain } = signed;
    assert.equal(verifyTypedData(domainOf(config), TYPES[kind], plain, signature), signerOf(kind).address);
    const hash = await order[`hash${capital(kind)}order`](signed);
    assert.equal(hash, TypedDataEncoder.hash(domainOf(config), TYPES[kind], plain));
    return { signed, hash, plain };
  };

  const first = {};
  for (const kind of KINDS) {
    const { sdk } = signerOf(kind);
    const { signed, hash } = (first[kind] = await sign(kind));
    await refused(sdk.orderbook[`fetch${capital(kind)}order`](hash), new RegExp(`${kind}order not found`));
    assert.equal(await sdk.order[`publish${capital(kind)}order`](signed), hash);
    const record = await listed(kind, hash);
    assert.deepEqual([record.status, record.signer, record.remaining], ['open', signerOf(kind).address, Number(signed.volume)]);
    for (const [member, value] of Object.entries(signed)) assert.equal(String(record.order[member]), String(value), `${kind}.${member}`);
    const found = await sdk.orderbook[`fetch${capital(kind)}order`](hash);
    assert.deepEqual([found.orderHash, found.status, found.signer], [hash, 'open', signerOf(kind).address]);
    await refused(sdk.order[`publish${capital(kind)}order`](signed), /order already published/);
  }
  await refused(bob.sdk.order.publishApporder((await sign('app')).signed), new RegExp(`only order signer ${alice.address} can publish`));
  assert.equal(JSON.parse(first.request.signed.params).iexec_result_storage_provider, 'ipfs');

  // unpublished: one by its hash, the last, all
  const addressOf = { app, dataset, workerpool };
  for (const kind of [...KINDS].reverse()) {
    const { order } = signerOf(kind).sdk;
    const hashes = [first[kind].hash];
    for (let more = 0; more < 2; more += 1) {
      const { signed, hash } = await sign(kind);
      await order[`publish${capital(kind)}order`](signed);
      hashes.push(hash);
    }
    const places = kind === 'request' ? [] : [addressOf[kind]];
    const third = await sign(kind);
    await order[`publish${capital(kind)}order`](third.signed);
    assert.equal(await order[`unpublish${capital(kind)}order`](hashes[1]), hashes[1]);
    assert.equal((await listed(kind, hashes[1])).status, 404);
    await refused(order[`unpublish${capital(kind)}order`](hashes[1]), /is not published/);
    assert.equal(await order[`unpublishLast${capital(kind)}order`](...places), third.hash);
    assert.equal((await listed(kind, third.hash)).status, 404);
    const all = await order[`unpublishAll${capital(kind)}orders`](...places);
    assert.deepEqual([...all].sort(), [hashes[0], hashes[2]].sort());
    for (const hash of all) assert.equal((await listed(kind, hash)).error, `${kind}order not found`);
    await refused(order[`unpublishLast${capital(kind)}order`](...places), /no open .*order published/);
  }

  // cancelled on the chain: the market hears of it, and keeps the record
  for (const kind of KINDS) {
    const { order } = signerOf(kind).sdk;
    await order[`publish${capital(kind)}order`](first[kind].signed);
  }
  for (const kind of [...KINDS].reverse()) {
    const { signed, hash } = first[kind];
    const { order: cancelled, txHash } = await signerOf(kind).sdk.order[`cancel${capital(kind)}order`](signed);
    assert.equal(cancelled.sign, signed.sign);
    assert.equal((await chain.provider.getTransactionReceipt(txHash)).status, 1);
    assert.equal(await chain.hub.viewConsumed(hash), BigInt(signed.volume));
    await until(() => listed(kind, hash), (record) => record.status === 'canceled' && record.remaining === 0, `${kind} order is cancelled`);
    await refused(signerOf(kind).sdk.order[`cancel${capital(kind)}order`](signed), /already canceled/);
    await refused(signerOf(kind).sdk.order[`publish${capital(kind)}order`](signed), /already (published|consumed)/);
  }

  // many datasets in one request
  const free = { dataset, datasetprice: 0, volume: utils.DATASET_INFINITE_VOLUME };
  const offers = await Promise.all([1, 2, 3].map(async () => alice.sdk.order.signDatasetorder(await alice.sdk.order.createDatasetorder(free))));
  const { cid, volume } = await bob.sdk.order.prepareDatasetBulk(offers, { maxDatasetPerTask: 2 });
  assert.equal(Number(volume), 2);
  const read = async (name) => (await fetch(`${config.ipfs_gateway_url}/ipfs/${name}`)).json();
  const slices = await Promise.all((await read(cid)).map(read));
  assert.deepEqual(slices.flat().map((order) => order.sign), offers.map((order) => order.sign));
});
