// Types commands of the ecosystem's command line, one after the other, in one process: loading it takes a second, and a story has dozens.
//
// Each command runs the package's own script anew, with a parser as new as in a process of its own; what the scripts share is loaded once.
// Its arguments are the numbers of two open files: one gives a line of JSON {script, words, folder, env} for each command, the other gets
// a line of JSON {code, stdout, stderr}. Standard input stays free for what commands ask.
import { createReadStream, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

class Exit extends Error {
  constructor(code) {
    super(`exit with ${code}`);
    this.code = code ?? 0;
  }
}

const [asked, told] = process.argv.slice(2).map(Number);
const printed = { stdout: '', stderr: '' };
for (const stream of ['stdout', 'stderr']) {
  process[stream].write = (text) => {
    printed[stream] += text;
    return true;
  };
}
process.exit = (code) => {
  throw new Exit(code);
};

const codeOf = (error) => {
  if (error instanceof Exit) return error.code;
  printed.stderr += error.stack;
  return 1;
};

let done;
const renew = ({ program, Command }) => {
  for (const name of Object.keys(program)) delete program[name];
  Object.assign(program, new Command());
  program.parse = () => {
    done = program.parseAsync(process.argv).then(() => 0, codeOf);
  };
};

let count = 0;
const type = async ({ script, words, folder, env }) => {
  renew(createRequire(script)('commander'));
  Object.assign(printed, { stdout: '', stderr: '' });
  const before = { ...process.env };
  process.chdir(folder);
  process.argv = [process.argv[0], script, ...words];
  Object.assign(process.env, env);
  count += 1;
  done = undefined;
  const loaded = await import(`${pathToFileURL(script)}?${count}`).then(() => 0, codeOf);
  const code = loaded || ((await done) ?? 0);
  for (const name of Object.keys(env)) before[name] === undefined ? delete process.env[name] : process.env[name] = before[name];
  return { code, ...printed };
};

for await (const line of createInterface({ input: createReadStream(null, { fd: asked }) })) {
  writeSync(told, `${JSON.stringify(await type(JSON.parse(line)))}\n`);
}
process.reallyExit(0); // providers poll for ever
