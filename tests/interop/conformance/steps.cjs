// Carries a suite out with whatever asks: names the answers, puts earlier ones into later calls, waits for receipts.
const { readFileSync } = require("node:fs");

const DEADLINE_MS = 20000;

function filled(value, answers) {
  if (typeof value === "string" && value.startsWith("$")) return answers[value.slice(1)].result;
  if (Array.isArray(value)) return value.map((each) => filled(each, answers));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, filled(each, answers)]));
  return value;
}

async function confirmed(ask, hash) {
  const end = Date.now() + DEADLINE_MS;
  while (!(await ask("eth_getTransactionReceipt", [hash]))) if (Date.now() > end) throw new Error(`no receipt of ${hash}`);
}

async function carryOut(ask, errorOf) {
  const answers = {};
  for (const step of JSON.parse(readFileSync(process.argv[3], "utf8"))) {
    if (step.wait) {
      await confirmed(ask, filled(step.wait, answers));
      continue;
    }
    const answer = await ask(step.method, filled(step.params, answers)).then(
      (result) => ({ result: result ?? null }),
      (error) => {
        const { code, message, data } = errorOf(error);
        return { error: { code, message, data: data ?? null } };
      },
    );
    if (step.name) answers[step.name] = answer;
  }
  return answers;
}

exports.run = (ask, errorOf) =>
  carryOut(ask, errorOf).then(
    (answers) => process.stdout.write(JSON.stringify(answers) + "\n", () => process.exit(0)),
    (error) => { console.error(error); process.exit(1); },
  );
