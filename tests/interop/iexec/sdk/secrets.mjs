// Secrets: put into the vault once, seen to be there, never given back.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chapter, refused } from './harness.mjs';
import { hash32, ofMine } from './offers.mjs';

await chapter(async ({ config, wallets }) => {
  const [alice, bob] = wallets;
  const head = async (path, query = {}) => (await fetch(`${config.sms_url}${path}?${new URLSearchParams(query)}`, { method: 'HEAD' })).status;

  // of an app: only its owner, only once
  const { app, dataset } = await ofMine(alice);
  const there = () => head(`/apps/${app}/secrets`);
  assert.equal(await there(), 404);
  assert.equal(await alice.sdk.app.checkAppSecretExists(app), false);
  await refused(bob.sdk.app.pushAppSecret(app, 'mine'), new RegExp(`Wallet ${bob.address} is not allowed`));
  assert.equal(await alice.sdk.app.pushAppSecret(app, 'the app keeps this'), true);
  assert.equal(await there(), 204);
  assert.equal(await bob.sdk.app.checkAppSecretExists(app), true);
  await refused(alice.sdk.app.pushAppSecret(app, 'another'), /already exists/);

  // of a dataset
  assert.equal(await head('/secrets/web3', { secretAddress: dataset }), 204);
  assert.equal(await bob.sdk.dataset.checkDatasetSecretExists(dataset), true);
  const { address: other } = await alice.sdk.dataset.deployDataset({ owner: alice.address, name: 'other', multiaddr: 'https://x.example', checksum: hash32() });
  assert.equal(await bob.sdk.dataset.checkDatasetSecretExists(other), false);
  await refused(bob.sdk.dataset.pushDatasetSecret(other, 'key'), /not allowed/);
  await refused(alice.sdk.dataset.pushDatasetSecret(dataset, 'key'), /already exists/);
  const request = { app, category: 0, dataset: other };
  const { order } = bob.sdk;
  await refused(order.createRequestorder(request).then((made) => order.signRequestorder(made)), /encryption key is not set/);

  // of a requester, under names
  assert.equal(await head(`/requesters/${bob.address}/secrets/pin`), 404);
  assert.equal((await bob.sdk.secrets.pushRequesterSecret('pin', '0815')).isPushed, true);
  assert.equal(await head(`/requesters/${bob.address}/secrets/pin`), 204);
  assert.equal(await alice.sdk.secrets.checkRequesterSecretExists(bob.address, 'pin'), true);
  assert.equal(await alice.sdk.secrets.checkRequesterSecretExists(bob.address, 'pen'), false);
  await refused(bob.sdk.secrets.pushRequesterSecret('pin', '4711'), /already exists/);
  const wish = { app, category: 0, params: { iexec_secrets: { 1: 'pen' } } };
  await refused(order.createRequestorder(wish).then((made) => order.signRequestorder(made)), /Requester secret "pen" is not set/);

  // the key that results are encrypted for; it may be replaced
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } });
  const name = 'iexec-result-encryption-public-key';
  assert.equal(await bob.sdk.result.checkResultEncryptionKeyExists(bob.address), false);
  assert.deepEqual(await bob.sdk.result.pushResultEncryptionKey(publicKey), { isPushed: true, isUpdated: false });
  assert.equal(await head('/secrets/web2', { ownerAddress: bob.address, secretName: name }), 204);
  assert.equal(await alice.sdk.result.checkResultEncryptionKeyExists(bob.address), true);
  await refused(bob.sdk.result.pushResultEncryptionKey(publicKey), /already exists/);
  assert.deepEqual(await bob.sdk.result.pushResultEncryptionKey(publicKey, { forceUpdate: true }), { isPushed: true, isUpdated: true });

  // the token of a storage
  assert.equal(await bob.sdk.storage.checkStorageTokenExists(bob.address, 'dropbox'), false);
  assert.deepEqual(await bob.sdk.storage.pushStorageToken('token', 'dropbox'), { isPushed: true, isUpdated: false });
  assert.equal(await head('/secrets/web2', { ownerAddress: bob.address, secretName: 'iexec-result-dropbox-token' }), 204);
  assert.equal(await bob.sdk.storage.checkStorageTokenExists(bob.address, 'dropbox'), true);
  assert.deepEqual(await bob.sdk.storage.pushStorageToken('new', 'dropbox', { forceUpdate: true }), { isPushed: true, isUpdated: true });
  await refused(bob.sdk.storage.pushStorageToken('token', 'ipfs'), /does not support authentication tokens/);
});
