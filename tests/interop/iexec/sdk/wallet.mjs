import assert from 'node:assert/strict';
import { Wallet } from 'ethers';
import { chapter, fromConfig, refused, utils } from './harness.mjs';

await chapter(async ({ config, options, wallets, chain, sdk }) => {
  const [alice, bob] = wallets;

  // wallet
  assert.equal(await alice.sdk.wallet.getAddress(), alice.address);
  const balances = await alice.sdk.wallet.checkBalances(alice.address);
  assert.equal(BigInt(balances.nRLC), await chain.rlc.balanceOf(alice.address));
  assert.equal(BigInt(balances.wei), await chain.provider.getBalance(alice.address));

  const [rlcBefore, weiBefore] = [await chain.rlc.balanceOf(bob.address), await chain.provider.getBalance(bob.address)];
  await alice.sdk.wallet.sendRLC(1234, bob.address); // the next transaction follows at once, with the next nonce
  await alice.sdk.wallet.sendETH(utils.parseEth('0.5'), bob.address);
  await alice.sdk.wallet.sendRLC('1.5 RLC', bob.address);
  assert.equal(await chain.rlc.balanceOf(bob.address) - rlcBefore, 1_500_001_234n);
  assert.equal(await chain.provider.getBalance(bob.address) - weiBefore, 500_000_000_000_000_000n);
  await refused(alice.sdk.wallet.sendRLC(utils.parseRLC('10000000 RLC'), bob.address), /exceed wallet balance/);
  await refused(sdk().wallet.sendRLC(1, bob.address), /not a signer/);

  const broom = Wallet.createRandom();
  const sweeper = sdk(broom.privateKey);
  await alice.sdk.wallet.sendETH(utils.parseEth('1'), broom.address);
  await alice.sdk.wallet.sendRLC(77, broom.address);
  const rlc = await chain.rlc.balanceOf(bob.address);
  const swept = await sweeper.wallet.sweep(bob.address);
  assert.equal(swept.errors, undefined);
  assert.equal(await chain.rlc.balanceOf(broom.address), 0n);
  assert.equal(await chain.rlc.balanceOf(bob.address) - rlc, 77n);
  assert.ok(await chain.provider.getBalance(broom.address) < 10n ** 15n);

  // network and configuration
  assert.equal((await alice.sdk.network.getNetwork()).chainId, String(config.chain_id));
  assert.equal(await alice.sdk.config.resolveChainId(), config.chain_id);
  assert.equal((await alice.sdk.config.resolveContractsClient()).hubAddress, config.hub);
  assert.equal(await alice.sdk.config.resolveSmsURL(), options.smsURL);
  assert.equal(await alice.sdk.config.resolveIexecGatewayURL(), options.iexecGatewayURL);
  assert.equal(await alice.sdk.config.resolveCompassURL(), options.compassURL);
  assert.equal(await alice.sdk.config.resolveIpfsGatewayURL(), options.ipfsGatewayURL);
  assert.equal(await alice.sdk.config.resolveIpfsNodeURL(), options.ipfsNodeURL);
  await refused(alice.sdk.config.resolvePocoSubgraphURL(), /pocoSubgraphURL option not set/);
  assert.equal(await sdk(undefined, { pocoSubgraphURL: 'http://127.0.0.1:1' }).config.resolvePocoSubgraphURL(), 'http://127.0.0.1:1');

  // every module stands alone, made from the configuration
  const modules = { IExec: 'wallet', IExecModule: null };
  for (const name of ['Account', 'App', 'Dataset', 'Deal', 'Hub', 'Network', 'Order', 'Orderbook', 'Result', 'Secrets', 'Storage', 'Task', 'Wallet', 'Workerpool']) {
    modules[`IExec${name}Module`] = name.toLowerCase();
  }
  for (const name of Object.keys(modules)) assert.equal(fromConfig(name, alice.sdk.config).config, alice.sdk.config, name);
  assert.equal(await fromConfig('IExecWalletModule', alice.sdk.config).getAddress(), alice.address);

  // utils
  assert.equal(utils.formatRLC(1_500_000_000), '1.5');
  assert.equal(utils.formatEth('500000000000000000'), '0.5');
  assert.equal(utils.parseRLC('1.5 RLC').toString(), '1500000000');
  assert.equal(utils.encodeTag(['tee', 'tdx']), `0x${'0'.repeat(62)}09`);
  assert.deepEqual(utils.decodeTag(`0x${'0'.repeat(62)}09`), ['tee', 'tdx']);
  assert.equal(utils.sumTags([utils.encodeTag(['tee', 'tdx']), utils.encodeTag(['gpu'])]), `0x${'0'.repeat(61)}109`);
});
