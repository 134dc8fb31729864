// One wallet of ethers v6 sends four transactions, each after the receipt of the one before; prints how many went through.
const { ethers } = require("ethers");

async function main() {
  const [url, key] = process.argv.slice(2);
  const wallet = new ethers.Wallet(key, new ethers.JsonRpcProvider(url, undefined, { pollingInterval: 50 }));
  let sent = 0;
  for (; sent < 4; sent++) await (await wallet.sendTransaction({ to: wallet.address, value: 1n })).wait();
  console.log(sent);
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
