import assert from 'node:assert/strict';
import { chapter, refused } from './harness.mjs';

const RLC = 10n ** 9n;

await chapter(async ({ config, wallets, chain, owner_key: ownerKey, sdk }) => {
  const [alice, bob] = wallets;
  const held = await chain.rlc.balanceOf(alice.address);

  // deposits and withdrawals, one right after the other
  const paidIn = await alice.sdk.account.deposit('20 RLC');
  assert.equal(paidIn.amount.toString(), String(20n * RLC));
  await alice.sdk.account.withdraw(5_000_000_000);
  await alice.sdk.account.deposit(1);
  const [stake, locked] = await chain.hub.viewAccount(alice.address);
  assert.deepEqual([stake, locked], [15n * RLC + 1n, 0n]);
  assert.equal(held - await chain.rlc.balanceOf(alice.address), stake);
  const shown = await alice.sdk.account.checkBalance(alice.address);
  assert.deepEqual([BigInt(shown.stake), BigInt(shown.locked)], [stake, locked]);
  await refused(alice.sdk.account.withdraw('16 RLC'), /exceed/);

  // allowances
  await alice.sdk.account.approve('2 RLC', bob.address);
  assert.equal(await chain.hub.allowance(alice.address, bob.address), 2n * RLC);
  assert.equal((await alice.sdk.account.checkAllowance(alice.address, bob.address)).toString(), String(2n * RLC));
  await alice.sdk.account.revokeApproval(bob.address);
  assert.equal(await chain.hub.allowance(alice.address, bob.address), 0n);

  // the hub
  const count = await chain.hub.countCategory();
  assert.equal((await alice.sdk.hub.countCategory()).toString(), String(count));
  assert.equal((await alice.sdk.hub.getTimeoutRatio()).toString(), '10');
  const first = await alice.sdk.hub.showCategory(0);
  const [name, description, clock] = await chain.hub.viewCategory(0);
  assert.deepEqual([first.name, first.description, BigInt(first.workClockTimeRef)], [name, description, clock]);
  await refused(alice.sdk.hub.showCategory(1_000_000), /execution reverted/);
  const blink = { name: 'blink', description: 'as short as it gets', workClockTimeRef: '1' };
  await refused(alice.sdk.hub.createCategory(blink), /only category owner/);
  const { catid } = await sdk(ownerKey).hub.createCategory(blink);
  assert.equal(BigInt(String(catid)), count);
  assert.deepEqual([...await chain.hub.viewCategory(String(catid))], ['blink', 'as short as it gets', 1n]);
  assert.notEqual(config.hub_owner_private_key, config.funded_private_key);
});
