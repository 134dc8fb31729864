// The book: every filter that the SDK knows, against a small book whose right answers are listed by hand.
import assert from 'node:assert/strict';
import { Wallet } from 'ethers';
import { chapter, refused } from './harness.mjs';
import { capital, ofMine } from './offers.mjs';

await chapter(async ({ wallets, blink }) => {
  const [alice, bob] = wallets;
  const { app, dataset, workerpool } = await ofMine(alice);
  await bob.sdk.account.deposit('50 RLC');
  const [friend, stranger] = [Wallet.createRandom().address, Wallet.createRandom().address];

  // one order per line, by a name; it is found by its salt, which is its hash here
  const book = {
    app: {
      cheap: { app, appprice: 1, volume: 5 },
      dear: { app, appprice: 9, volume: 50 },
      gpu: { app, appprice: 2, volume: 5, tag: ['gpu'] },
      forDataset: { app, appprice: 3, volume: 5, datasetrestrict: dataset },
      forPool: { app, appprice: 4, volume: 5, workerpoolrestrict: workerpool },
      forFriend: { app, appprice: 5, volume: 5, requesterrestrict: friend },
    },
    dataset: {
      cheap: { dataset, datasetprice: 1, volume: 5 },
      dear: { dataset, datasetprice: 9, volume: 50 },
      gpu: { dataset, datasetprice: 2, volume: 5, tag: ['gpu'] },
      forApp: { dataset, datasetprice: 3, volume: 5, apprestrict: app },
      forPool: { dataset, datasetprice: 4, volume: 5, workerpoolrestrict: workerpool },
      forFriend: { dataset, datasetprice: 5, volume: 5, requesterrestrict: friend },
      bulk: { dataset, datasetprice: 0, volume: 9007199254740991 },
    },
    workerpool: {
      cheap: { workerpool, category: blink, workerpoolprice: 1, volume: 5 },
      dear: { workerpool, category: blink, workerpoolprice: 9, volume: 50, trust: 10 },
      gpu: { workerpool, category: blink, workerpoolprice: 2, volume: 5, tag: ['gpu'] },
      forApp: { workerpool, category: blink, workerpoolprice: 3, volume: 5, apprestrict: app },
      forDataset: { workerpool, category: blink, workerpoolprice: 4, volume: 5, datasetrestrict: dataset },
      forFriend: { workerpool, category: blink, workerpoolprice: 5, volume: 5, requesterrestrict: friend },
      other: { workerpool, category: 1, workerpoolprice: 6, volume: 5 },
    },
    request: {
      cheap: { app, appmaxprice: 9, category: blink, workerpoolmaxprice: 1, volume: 1 },
      dear: { app, appmaxprice: 9, category: blink, workerpoolmaxprice: 9, volume: 7, trust: 10 },
      gpu: { app, appmaxprice: 9, category: blink, workerpoolmaxprice: 2, tag: ['gpu'] },
      withDataset: { app, appmaxprice: 9, category: blink, workerpoolmaxprice: 3, dataset, datasetmaxprice: 9 },
      atPool: { app, appmaxprice: 9, category: blink, workerpoolmaxprice: 4, workerpool },
      forFriend: { app, appmaxprice: 9, category: blink, workerpoolmaxprice: 5, beneficiary: friend },
      other: { app, appmaxprice: 9, category: 1, workerpoolmaxprice: 6 },
    },
  };
  const names = {};
  for (const [kind, orders] of Object.entries(book)) {
    const { order } = (kind === 'request' ? bob : alice).sdk;
    for (const [name, wish] of Object.entries(orders)) {
      const signed = await order[`sign${capital(kind)}order`](await order[`create${capital(kind)}order`](wish));
      names[await order[`publish${capital(kind)}order`](signed)] = name;
    }
  }

  const { orderbook } = bob.sdk;
  const seen = async (page) => (await page).orders.map(({ orderHash }) => names[orderHash]);
  const ofApp = (more) => seen(orderbook.fetchAppOrderbook({ app, ...more }));
  const ofDataset = (more) => seen(orderbook.fetchDatasetOrderbook({ dataset, ...more }));
  const ofPool = (more) => seen(orderbook.fetchWorkerpoolOrderbook({ category: blink, workerpool, ...more }));
  const ofRequests = (more) => seen(orderbook.fetchRequestOrderbook({ category: blink, requester: bob.address, ...more }));
  const gpu = ['tee', 'tdx', 'gpu'];
  const plain = ['tee', 'tdx'];

  // nobody named: what is open to all; cheapest first, for requests the best paid first
  assert.deepEqual(await ofApp({}), ['cheap', 'gpu', 'dear']);
  assert.deepEqual(await ofApp({ dataset: 'any' }), ['cheap', 'gpu', 'forDataset', 'dear']);
  assert.deepEqual(await ofApp({ dataset }), ['cheap', 'gpu', 'forDataset', 'dear']);
  assert.deepEqual(await ofApp({ dataset, isDatasetStrict: true }), ['forDataset']);
  assert.deepEqual(await ofApp({ workerpool }), ['cheap', 'gpu', 'forPool', 'dear']);
  assert.deepEqual(await ofApp({ workerpool, isWorkerpoolStrict: true }), ['forPool']);
  assert.deepEqual(await ofApp({ requester: friend }), ['cheap', 'gpu', 'forFriend', 'dear']);
  assert.deepEqual(await ofApp({ requester: friend, isRequesterStrict: true }), ['forFriend']);
  assert.deepEqual(await ofApp({ requester: stranger }), ['cheap', 'gpu', 'dear']);
  assert.deepEqual(await ofApp({ minTag: gpu }), ['gpu']);
  assert.deepEqual(await ofApp({ maxTag: plain }), ['cheap', 'dear']);
  assert.deepEqual(await ofApp({ minVolume: 6 }), ['dear']);
  assert.deepEqual(await seen(orderbook.fetchAppOrderbook({ app: 'any', appOwner: alice.address })), ['cheap', 'gpu', 'dear']);
  assert.deepEqual(await seen(orderbook.fetchAppOrderbook({ appOwner: stranger })), []);
  await refused(orderbook.fetchAppOrderbook({}), /app or appOwner is required/);

  assert.deepEqual(await ofDataset({}), ['bulk', 'cheap', 'gpu', 'dear']);
  assert.deepEqual(await ofDataset({ app, isAppStrict: true }), ['forApp']);
  assert.deepEqual(await ofDataset({ app }), ['bulk', 'cheap', 'gpu', 'forApp', 'dear']);
  assert.deepEqual(await ofDataset({ workerpool, isWorkerpoolStrict: true }), ['forPool']);
  assert.deepEqual(await ofDataset({ workerpool: 'any' }), ['bulk', 'cheap', 'gpu', 'forPool', 'dear']);
  assert.deepEqual(await ofDataset({ requester: friend, isRequesterStrict: true }), ['forFriend']);
  assert.deepEqual(await ofDataset({ requester: 'any' }), ['bulk', 'cheap', 'gpu', 'forFriend', 'dear']);
  assert.deepEqual(await ofDataset({ minTag: gpu }), ['gpu']);
  assert.deepEqual(await ofDataset({ maxTag: plain }), ['bulk', 'cheap', 'dear']);
  assert.deepEqual(await ofDataset({ minVolume: 6 }), ['bulk', 'dear']);
  assert.deepEqual(await ofDataset({ bulkOnly: true }), ['bulk']);
  assert.deepEqual(await seen(orderbook.fetchDatasetOrderbook({ datasetOwner: alice.address })), ['bulk', 'cheap', 'gpu', 'dear']);

  assert.deepEqual(await ofPool({}), ['cheap', 'gpu', 'dear']);
  assert.deepEqual(await ofPool({ app, isAppStrict: true }), ['forApp']);
  assert.deepEqual(await ofPool({ app }), ['cheap', 'gpu', 'forApp', 'dear']);
  assert.deepEqual(await ofPool({ dataset, isDatasetStrict: true }), ['forDataset']);
  assert.deepEqual(await ofPool({ dataset }), ['cheap', 'gpu', 'forDataset', 'dear']);
  assert.deepEqual(await ofPool({ requester: friend, isRequesterStrict: true }), ['forFriend']);
  assert.deepEqual(await ofPool({ requester: friend }), ['cheap', 'gpu', 'forFriend', 'dear']);
  assert.deepEqual(await ofPool({ minTag: gpu }), ['gpu']);
  assert.deepEqual(await ofPool({ maxTag: plain }), ['cheap', 'dear']);
  assert.deepEqual(await ofPool({ minTrust: 5 }), ['dear']);
  assert.deepEqual(await ofPool({ minVolume: 6 }), ['dear']);
  assert.deepEqual(await ofPool({ category: 1 }), ['other']);
  assert.deepEqual(await seen(orderbook.fetchWorkerpoolOrderbook({ category: blink, workerpoolOwner: alice.address })), ['cheap', 'gpu', 'dear']);
  assert.deepEqual(await seen(orderbook.fetchWorkerpoolOrderbook({ workerpool })), ['cheap', 'gpu', 'other', 'dear']);

  assert.deepEqual(await ofRequests({ workerpool: 'any' }), ['dear', 'forFriend', 'atPool', 'withDataset', 'gpu', 'cheap']);
  assert.deepEqual(await ofRequests({}), ['dear', 'forFriend', 'withDataset', 'gpu', 'cheap']);
  assert.deepEqual(await ofRequests({ workerpool, isWorkerpoolStrict: true }), ['atPool']);
  assert.deepEqual(await ofRequests({ workerpool }), ['dear', 'forFriend', 'atPool', 'withDataset', 'gpu', 'cheap']);
  assert.deepEqual(await ofRequests({ beneficiary: friend }), ['forFriend']);
  assert.deepEqual(await ofRequests({ dataset }), ['withDataset']);
  assert.deepEqual(await ofRequests({ app: stranger }), []);
  assert.deepEqual(await ofRequests({ app }), ['dear', 'forFriend', 'withDataset', 'gpu', 'cheap']);
  assert.deepEqual(await ofRequests({ minTag: gpu }), ['gpu']);
  assert.deepEqual(await ofRequests({ maxTag: plain }), ['dear', 'forFriend', 'withDataset', 'cheap']);
  assert.deepEqual(await ofRequests({ maxTrust: 5 }), ['forFriend', 'withDataset', 'gpu', 'cheap']);
  assert.deepEqual(await ofRequests({ minVolume: 2 }), ['dear']);
  assert.deepEqual(await ofRequests({ category: 1 }), ['other']);
  assert.deepEqual(await seen(orderbook.fetchRequestOrderbook({ requester: stranger })), []);

  // pages: the SDK asks for the next one by itself
  const { order } = alice.sdk;
  for (let number = 0; number < 9; number += 1) {
    await order.publishApporder(await order.signApporder(await order.createApporder({ app, appprice: 100 + number })));
  }
  const firstPage = await orderbook.fetchAppOrderbook({ app, pageSize: 10 });
  assert.deepEqual([firstPage.count, firstPage.orders.length], [12, 10]);
  const secondPage = await firstPage.more();
  assert.deepEqual([secondPage.orders.map((each) => each.order.appprice), secondPage.more], [[107, 108], undefined]);
  assert.equal((await orderbook.fetchAppOrderbook({ app, page: 1, pageSize: 10 })).orders.length, 2);
  await refused(orderbook.fetchAppOrderbook({ app, pageSize: 2 }), /pageSize must be greater than or equal to 10/);
});
