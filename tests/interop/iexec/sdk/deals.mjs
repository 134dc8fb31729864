// Deals: matched with a volume, followed by the market, and claimed when nobody did the work.
import assert from 'node:assert/strict';
import { AbiCoder, Contract, keccak256, Wallet } from 'ethers';
import { chapter, refused, until } from './harness.mjs';
import { ofMine } from './offers.mjs';

const taskId = (dealid, index) => keccak256(AbiCoder.defaultAbiCoder().encode(['bytes32', 'uint256'], [dealid, index]));
const messages = async (observable) => {
  const seen = [];
  const done = new Promise((complete, error) => { observable.subscribe({ next: (told) => seen.push(told), error, complete }); });
  await done;
  return seen.map(({ message }) => message);
};

await chapter(async ({ config, wallets, chain, market, blink }) => {
  const [alice, bob] = wallets;
  const { app, dataset, workerpool } = await ofMine(alice);
  await bob.sdk.account.deposit('50 RLC');
  const { order } = alice.sdk;
  const apporder = await order.signApporder(await order.createApporder({ app, appprice: 10, volume: 100 }));
  const datasetorder = await order.signDatasetorder(await order.createDatasetorder({ dataset, datasetprice: 20, volume: 100 }));
  const workerpoolorder = await order.signWorkerpoolorder(
    await order.createWorkerpoolorder({ workerpool, workerpoolprice: 1_000, volume: 3, category: blink }),
  );
  const wish = { app, appmaxprice: 10, dataset, datasetmaxprice: 20, workerpoolmaxprice: 1_000, category: blink, volume: 5, params: 'x y' };
  const requestorder = await bob.sdk.order.signRequestorder(await bob.sdk.order.createRequestorder(wish));
  const orders = { apporder, datasetorder, workerpoolorder, requestorder };
  await order.publishWorkerpoolorder(workerpoolorder);

  // matched: as many tasks as the smallest volume, and the money locked
  const before = await chain.hub.viewAccount(bob.address);
  const estimate = await bob.sdk.order.estimateMatchOrders(orders);
  assert.deepEqual([Number(estimate.volume), Number(estimate.total)], [3, 3 * 1_030]);
  const { dealid, volume } = await bob.sdk.order.matchOrders(orders);
  assert.equal(Number(volume), 3);
  const after = await chain.hub.viewAccount(bob.address);
  assert.deepEqual([before.stake - after.stake, after.locked - before.locked], [3_090n, 3_090n]);
  await refused(bob.sdk.order.matchOrders(orders), /workerpoolorder is fully consumed/);

  // shown by the SDK, the hub and the market alike
  const onChain = await chain.hub.viewDeal(dealid);
  const shown = await bob.sdk.deal.show(dealid);
  assert.deepEqual([shown.app.pointer, shown.dataset.pointer, shown.workerpool.pointer], [app, dataset, workerpool]);
  assert.deepEqual([shown.requester, Number(shown.botSize), shown.tag], [bob.address, 3, onChain.tag]);
  assert.deepEqual(JSON.parse(onChain.params), { iexec_result_storage_provider: 'ipfs', iexec_args: 'x y' });
  assert.equal(Number(shown.finalTime), Number(onChain.startTime) + 10);
  assert.deepEqual(Object.values(shown.tasks), [0, 1, 2].map((index) => taskId(dealid, index)));
  assert.equal(await bob.sdk.deal.computeTaskId(dealid, 2), taskId(dealid, 2));

  await until(() => market(`/deals/${dealid}`), (deal) => deal.ok, 'the market knows the deal');
  const hashOf = async (kind, signed) => alice.sdk.order[`hash${kind}order`](signed);
  const hashes = {
    App: await hashOf('App', apporder), Dataset: await hashOf('Dataset', datasetorder),
    Workerpool: await hashOf('Workerpool', workerpoolorder), Request: await hashOf('Request', requestorder),
  };
  for (const [kind, hash] of Object.entries(hashes)) {
    const { count, deals } = await bob.sdk.deal[`fetchDealsBy${kind}order`](hash);
    assert.deepEqual([count, deals.map((deal) => deal.dealid)], [1, [dealid]], kind);
    assert.equal((await bob.sdk.deal[`fetchDealsBy${kind}order`](hash, { page: 1, pageSize: 10 })).deals.length, 0);
  }
  const mine = await bob.sdk.deal.fetchRequesterDeals(bob.address, { appAddress: app, datasetAddress: dataset, workerpoolAddress: workerpool });
  assert.deepEqual([mine.count, mine.deals[0].volume, mine.deals[0].workerpool.price], [1, 3, 1_000]);
  assert.equal((await bob.sdk.deal.fetchRequesterDeals(bob.address, { appAddress: dataset })).count, 0);
  await until(() => market(`/workerpoolorders/${hashes.Workerpool}`), (record) => record.status === 'filled' && !record.remaining, 'filled');

  // nobody works: two tasks are opened, and then time is over (ten times the category's second)
  const hub = new Contract(config.hub, ['function initialize(bytes32, uint256) returns (bytes32)'], new Wallet(alice.key, chain.provider));
  for (const index of [0, 1]) await (await hub.initialize(dealid, index)).wait();
  const tasks = [0, 1, 2].map((index) => taskId(dealid, index));
  assert.deepEqual([(await bob.sdk.task.show(tasks[0])).statusName, (await chain.hub.viewTask(tasks[0])).status], ['ACTIVE', 1n]);
  await refused(bob.sdk.task.show(tasks[2]), /No task found/);
  await refused(bob.sdk.task.claim(tasks[0]), /before reaching the consensus deadline/);
  await refused(bob.sdk.deal.claim(dealid), /before reaching the final time/);
  const watched = [bob.sdk.deal.obsDeal(dealid), bob.sdk.task.obsTask(tasks[2], { dealid })];
  const [ofDeal, ofTask] = await Promise.all((await Promise.all(watched)).map(messages));
  assert.deepEqual([ofDeal.at(0), ofDeal.at(-1)], ['DEAL_UPDATED', 'DEAL_TIMEDOUT']);
  assert.deepEqual(ofTask, ['TASK_UPDATED', 'TASK_TIMEDOUT']);
  assert.equal((await bob.sdk.task.show(tasks[0])).taskTimedOut, true);

  await bob.sdk.task.claim(tasks[0]);
  assert.equal((await chain.hub.viewTask(tasks[0])).status, 4n);
  const { claimed, transactions } = await bob.sdk.deal.claim(dealid);
  assert.deepEqual(claimed, { 1: tasks[1], 2: tasks[2] });
  assert.deepEqual(transactions.map(({ type }) => type).sort(), ['claimArray', 'initializeAndClaimArray']);
  for (const task of tasks) assert.equal((await bob.sdk.task.show(task)).statusName, 'FAILED');
  await refused(bob.sdk.deal.claim(dealid), /Nothing to claim/);
  await refused(bob.sdk.task.claim(tasks[0]), /having status FAILED/);
  const end = await chain.hub.viewAccount(bob.address);
  assert.deepEqual([end.stake, end.locked], [before.stake, before.locked]);
});
