// Apps, datasets and workerpools: deployed, found, shown, counted, given away.
import assert from 'node:assert/strict';
import { randomBytes, createHash, createDecipheriv } from 'node:crypto';
import { chapter, refused } from './harness.mjs';

const hash = () => `0x${randomBytes(32).toString('hex')}`;

await chapter(async ({ wallets, chain }) => {
  const [alice, bob] = wallets;
  const name = `thing-${randomBytes(4).toString('hex')}`;
  const cid = 'QmW2WQi7j6c7UgJTarActp7tDNikE4B2qXtFCfLPdsgaTQ';
  const kinds = {
    app: {
      value: { owner: alice.address, name, type: 'DOCKER', multiaddr: 'docker.io/hello/world:1.0', checksum: hash() },
      views: { appName: 'm_appName() view returns (string)', appChecksum: 'm_appChecksum() view returns (bytes32)', appType: 'm_appType() view returns (string)' },
      method: 'App',
    },
    dataset: {
      value: { owner: alice.address, name, multiaddr: `/ipfs/${cid}`, checksum: hash() },
      views: { datasetName: 'm_datasetName() view returns (string)', datasetChecksum: 'm_datasetChecksum() view returns (bytes32)' },
      method: 'Dataset',
    },
    workerpool: {
      value: { owner: alice.address, description: name },
      views: { workerpoolDescription: 'm_workerpoolDescription() view returns (string)', workerStakeRatioPolicy: 'm_workerStakeRatioPolicy() view returns (uint256)' },
      method: 'Workerpool',
    },
  };
  for (const [kind, { value, views, method }] of Object.entries(kinds)) {
    const module = alice.sdk[kind];
    const predicted = await module[`predict${method}Address`](value);
    assert.equal(await module[`checkDeployed${method}`](predicted), false);
    assert.equal(await chain.isRegistered(kind, predicted), false);
    await refused(module[`show${method}`](predicted), new RegExp(`No ${kind} found`));

    const { address } = await module[`deploy${method}`](value);
    assert.equal(address, predicted);
    assert.equal(await module[`checkDeployed${method}`](address), true);
    assert.equal(await chain.isRegistered(kind, address), true);
    assert.equal(await chain.ownerOf(kind, address), alice.address);
    await refused(module[`deploy${method}`](value), /already deployed/);

    const shown = (await module[`show${method}`](address))[kind];
    assert.equal(shown.owner, alice.address);
    for (const [member, view] of Object.entries(views)) assert.equal(String(shown[member]), String(await chain.read(address, view)), member);
    if (kind === 'dataset') assert.equal(shown.datasetMultiaddr, `/p2p/${cid}`);
    if (kind === 'app') assert.equal(shown.appMultiaddr, value.multiaddr);

    const count = Number(await module[`countUser${method}s`](alice.address));
    assert.equal(count, 1);
    assert.equal((await module[`showUser${method}`](0, alice.address)).objAddress, address);
    await refused(module[`showUser${method}`](1, alice.address), /not deployed/);

    await refused(bob.sdk[kind][`transfer${method}`](address, bob.address), /Only .* owner/);
    const given = await module[`transfer${method}`](address, bob.address);
    assert.deepEqual([given.address, given.to], [address, bob.address]);
    assert.equal(await chain.ownerOf(kind, address), bob.address);
    assert.equal(Number(await module[`countUser${method}s`](alice.address)), 0);
  }

  // a dataset is encrypted here, and only its key opens it: read again without the SDK
  const plain = randomBytes(3_000);
  const { dataset } = alice.sdk;
  const key = dataset.generateEncryptionKey();
  const sealed = Buffer.from(await dataset.encrypt(plain, key));
  assert.equal(await dataset.computeEncryptedFileChecksum(sealed), `0x${createHash('sha256').update(sealed).digest('hex')}`);
  const secret = Buffer.from(key, 'base64');
  assert.equal(secret.length, 32);
  const open = createDecipheriv('aes-256-cbc', secret, sealed.subarray(0, 16));
  assert.deepEqual(Buffer.concat([open.update(sealed.subarray(16)), open.final()]), plain);
});
