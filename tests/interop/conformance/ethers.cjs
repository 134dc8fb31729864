// Makes the calls of a suite through ethers v6. Arguments: url, file with the suite. Prints the answers as one JSON line.
const { JsonRpcProvider } = require("ethers");
const { run } = require("./steps.cjs");

const provider = new JsonRpcProvider(process.argv[2], 31337, { staticNetwork: true, cacheTimeout: -1 });
const dataOf = (error) => error.error ?? error.info?.error ?? error;
run((method, params) => provider.send(method, params), dataOf);
