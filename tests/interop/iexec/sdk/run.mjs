// Tasks that our workers compute: watched, explained, downloaded, opened and compared byte by byte by their client.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { keccak256 } from 'ethers';
import JSZip from 'jszip';
import { chapter, refused, utils } from './harness.mjs';
import { ofMine } from './offers.mjs';

const DATA = Buffer.from('what nobody but the app may read\n'.repeat(50));
const INPUT = Buffer.from('an input that anybody may read');
const PEM = { modulusLength: 4096, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } };
const sha256 = (bytes) => createHash('sha256').update(bytes).digest();

// The files of an archive by name, without its own table of contents.
const filesOf = async (archive) => {
  const zip = await JSZip.loadAsync(archive);
  const names = Object.keys(zip.files).filter((name) => !zip.files[name].dir).sort();
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await zip.files[name].async('nodebuffer')])));
};

// The digest of a result whose app names none: keccak over the lines `<sha256>  <path>`, sorted (SPEC of the worker, written a second time).
const treeDigest = (files) => keccak256(
  Buffer.from(Object.entries(files).map(([name, bytes]) => `${sha256(bytes).toString('hex')}  ${name}\n`).join('')),
);

await chapter(async ({ config, wallets, chain, witness }) => {
  const [alice, bob] = wallets;
  const store = async (bytes) => {
    const form = new FormData();
    form.append('file', new Blob([bytes]));
    const answer = await fetch(`${config.ipfs_node_url}/api/v0/add`, { method: 'POST', body: form });
    return (await answer.json()).Hash;
  };

  // alice offers an app that keeps a secret, and a dataset that only apps can read
  const { app } = await ofMine(alice, { multiaddr: `/ipfs/${witness.cid}`, checksum: witness.checksum });
  const key = alice.sdk.dataset.generateEncryptionKey();
  const sealed = await alice.sdk.dataset.encrypt(DATA, key);
  const { address: dataset } = await alice.sdk.dataset.deployDataset({
    owner: alice.address, name: 'words', multiaddr: `/ipfs/${await store(sealed)}`, checksum: await alice.sdk.dataset.computeEncryptedFileChecksum(sealed),
  });
  await alice.sdk.dataset.pushDatasetSecret(dataset, key);
  await alice.sdk.app.pushAppSecret(app, 'of the app');
  const { order } = alice.sdk;
  await order.publishApporder(await order.signApporder(await order.createApporder({ app, appprice: 500, volume: 10 })));
  await order.publishDatasetorder(await order.signDatasetorder(await order.createDatasetorder({ dataset, datasetprice: 700, volume: 10 })));
  const earned = (await chain.hub.viewAccount(alice.address)).stake;

  // bob buys: two plain tasks, and one with everything that is secret
  await bob.sdk.account.deposit('50 RLC');
  const { stake: had } = await chain.hub.viewAccount(bob.address);
  await bob.sdk.secrets.pushRequesterSecret('mine', 'of the requester');
  const { publicKey, privateKey } = generateKeyPairSync('rsa', PEM);
  await bob.sdk.result.pushResultEncryptionKey(publicKey);
  const input = `${config.ipfs_gateway_url}/ipfs/${await store(INPUT)}`;
  const buy = async (more) => {
    const { orderbook } = bob.sdk;
    const [{ order: apporder }] = (await orderbook.fetchAppOrderbook({ app, dataset: 'any' })).orders;
    const datasetorder = more.dataset && (await orderbook.fetchDatasetOrderbook({ dataset, app: 'any' })).orders[0].order;
    const offers = (await orderbook.fetchWorkerpoolOrderbook({ workerpool: config.workerpool, category: 0, minTag: ['tee', 'tdx'] })).orders;
    assert.equal(offers.length, 1);
    const workerpoolorder = offers[0].order;
    const wish = { app, appmaxprice: 500, datasetmaxprice: 700, workerpoolmaxprice: workerpoolorder.workerpoolprice, category: 0, ...more };
    const requestorder = await bob.sdk.order.signRequestorder(await bob.sdk.order.createRequestorder(wish));
    const { dealid } = await bob.sdk.order.matchOrders({ apporder, ...(datasetorder && { datasetorder }), workerpoolorder, requestorder });
    return { dealid, price: BigInt(workerpoolorder.workerpoolprice) };
  };
  const plain = await buy({ volume: 2, params: { iexec_args: 'print "two words"', iexec_input_files: [input] } });
  const secret = await buy({ dataset, params: { iexec_args: 'x', iexec_result_encryption: true, iexec_secrets: { 1: 'mine' } } });
  const { stake: spentFrom, locked } = await chain.hub.viewAccount(bob.address);
  const total = 2n * (500n + plain.price) + 1_200n + secret.price;
  assert.equal(had - spentFrom, total);
  assert.ok(locked <= total); // the first tasks may be done and paid by now

  // watched until all is done
  const watch = async (dealid) => {
    const told = [];
    const observable = await bob.sdk.deal.obsDeal(dealid);
    await new Promise((complete, error) => { observable.subscribe({ next: (state) => told.push(state), error, complete }); });
    return told.at(-1);
  };
  const [end, secretEnd] = await Promise.all([plain, secret].map(({ dealid }) => watch(dealid)));
  assert.deepEqual([end.message, end.completedTasksCount, secretEnd.message], ['DEAL_COMPLETED', 2, 'DEAL_COMPLETED']);
  assert.deepEqual(await chain.hub.viewAccount(bob.address).then((account) => [account.stake, account.locked]), [spentFrom, 0n]);
  assert.equal((await chain.hub.viewAccount(alice.address)).stake - earned, 3n * 500n + 700n);

  // downloaded, and what the workers agreed on is what came
  const tasks = Object.values((await bob.sdk.deal.show(plain.dealid)).tasks);
  for (const task of tasks) {
    const shown = await bob.sdk.task.show(task);
    assert.deepEqual([shown.statusName, shown.results.storage], ['COMPLETED', 'ipfs']);
    const files = await filesOf(await (await bob.sdk.task.fetchResults(task)).arrayBuffer());
    assert.equal(files['arguments.txt'].toString(), 'print\ntwo words\n');
    assert.ok(Object.entries(files).some(([name, bytes]) => name.startsWith('in-') && bytes.equals(INPUT)));
    assert.equal(treeDigest(files), (await chain.hub.viewTask(task)).resultDigest);
  }

  // what the workerpool tells: to anybody where it stands, to the requester what the app printed
  const [task] = tasks;
  const pool = await bob.sdk.workerpool.getWorkerpoolApiUrl(config.workerpool);
  assert.match(pool, /^http/);
  assert.equal(await bob.sdk.workerpool.getWorkerpoolApiUrl(bob.address), undefined);
  const info = await alice.sdk.task.fetchOffchainInfo(task);
  assert.equal(info.task.status, 'COMPLETED');
  assert.ok(info.task.statusHistory.length > 2);
  const [contributor] = (await chain.hub.viewTask(task)).contributors;
  assert.deepEqual(info.replicates.map(({ worker, exitCode }) => [worker, exitCode]), [[contributor, 0]]);
  assert.deepEqual(await bob.sdk.task.fetchLogs(task), [{ worker: contributor, stdout: 'print\ntwo words\n', stderr: '1\n2\n' }]);
  await refused(alice.sdk.task.fetchLogs(task), /Only task requester/);

  // the secret one: sealed for bob, with everybody's secrets inside
  const [secretTask] = Object.values((await bob.sdk.deal.show(secret.dealid)).tasks);
  const watched = await bob.sdk.task.obsTask(secretTask);
  const states = [];
  await new Promise((complete, error) => { watched.subscribe({ next: ({ message }) => states.push(message), error, complete }); });
  assert.deepEqual(states, ['TASK_COMPLETED']);
  const archive = await (await bob.sdk.task.fetchResults(secretTask)).arrayBuffer();
  assert.deepEqual(Object.keys(await filesOf(archive)).sort(), ['aes-key.rsa', 'iexec_out.zip.aes']);
  await refused(utils.decryptResult(archive, generateKeyPairSync('rsa', PEM).privateKey), /decrypt/i);
  const opened = await filesOf(await utils.decryptResult(archive, privateKey));
  assert.deepEqual(opened[`in-${dataset}`], DATA);
  const variables = opened['environment.txt'].toString().split('\n');
  for (const line of ['IEXEC_APP_DEVELOPER_SECRET=of the app', 'IEXEC_REQUESTER_SECRET_1=of the requester']) assert.ok(variables.includes(line), line);
  await refused(bob.sdk.task.claim(secretTask), /having status COMPLETED/);
  return { app, task };
});
