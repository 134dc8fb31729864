// Makes the calls of a suite through viem. Arguments: url, file with the suite. Prints the answers as one JSON line.
const { createPublicClient, http } = require("viem");
const { foundry } = require("viem/chains");
const { run } = require("./steps.cjs");

const client = createPublicClient({ chain: foundry, transport: http(process.argv[2], { retryCount: 0 }) });
const dataOf = (error) => error.walk?.((cause) => typeof cause.code === "number" && !cause.walk) ?? error;
run((method, params) => client.request({ method, params }), dataOf);
