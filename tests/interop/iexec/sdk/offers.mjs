// What chapters about orders begin with: somebody who offers an app, a dataset with its key, and a workerpool.
import { randomBytes } from 'node:crypto';

export const hash32 = () => `0x${randomBytes(32).toString('hex')}`;

export const ofMine = async (wallet, { multiaddr = 'docker.io/hello/world:1.0', checksum = hash32() } = {}) => {
  const { sdk, address: owner } = wallet;
  const name = randomBytes(6).toString('hex');
  const { address: app } = await sdk.app.deployApp({ owner, name, type: 'DOCKER', multiaddr, checksum });
  const key = sdk.dataset.generateEncryptionKey();
  const sealed = await sdk.dataset.encrypt(Buffer.from(`secret of ${name}`), key);
  const { address: dataset } = await sdk.dataset.deployDataset({
    owner, name, multiaddr: 'https://files.example/sealed', checksum: await sdk.dataset.computeEncryptedFileChecksum(sealed),
  });
  await sdk.dataset.pushDatasetSecret(dataset, key);
  const { address: workerpool } = await sdk.workerpool.deployWorkerpool({ owner, description: name });
  await sdk.account.deposit('100 RLC');
  return { app, dataset, workerpool };
};

// The hub's structures as the protocol's paper has them, written a second time.
const address = (name) => ({ name, type: 'address' });
const number = (name) => ({ name, type: 'uint256' });
const word = (name) => ({ name, type: 'bytes32' });
const restrictions = (...names) => names.map((name) => address(`${name}restrict`));
export const TYPES = {
  app: { AppOrder: [address('app'), number('appprice'), number('volume'), word('tag'), ...restrictions('dataset', 'workerpool', 'requester'), word('salt')] },
  dataset: { DatasetOrder: [address('dataset'), number('datasetprice'), number('volume'), word('tag'), ...restrictions('app', 'workerpool', 'requester'), word('salt')] },
  workerpool: {
    WorkerpoolOrder: [
      address('workerpool'), number('workerpoolprice'), number('volume'), word('tag'), number('category'), number('trust'),
      ...restrictions('app', 'dataset', 'requester'), word('salt'),
    ],
  },
  request: {
    RequestOrder: [
      address('app'), number('appmaxprice'), address('dataset'), number('datasetmaxprice'), address('workerpool'), number('workerpoolmaxprice'),
      address('requester'), number('volume'), word('tag'), number('category'), number('trust'), address('beneficiary'), address('callback'),
      { name: 'params', type: 'string' }, word('salt'),
    ],
  },
};
export const domainOf = (config) => ({ name: 'iExecODB', version: '5.0.0', chainId: config.chain_id, verifyingContract: config.hub });
export const KINDS = ['app', 'dataset', 'workerpool', 'request'];
export const capital = (kind) => kind[0].toUpperCase() + kind.slice(1);
