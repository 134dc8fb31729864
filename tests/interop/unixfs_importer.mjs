// Cut files as IPFS's own importer does and print their identifiers and sizes, by path.
// Standard input: a JSON list of { files: { path: bytes }, version, rawLeaves, wrap, chunk }; a file's bytes come from `content`.
import { importer } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { readFileSync } from 'node:fs'

const content = (size) => {
  const data = Buffer.alloc(size)
  for (let at = 0, state = size; at < size; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    data[at] = state >>> 24
  }
  return data
}
const nowhere = { put: async (cid) => cid, has: async () => false }
const answers = []
for (const { files, version, rawLeaves, wrap, chunk } of JSON.parse(readFileSync(0, 'utf8'))) {
  const source = Object.entries(files).map(([path, size]) => ({ path, content: content(size) }))
  const seen = {}
  const options = {
    cidVersion: version,
    rawLeaves,
    wrapWithDirectory: wrap,
    chunker: fixedSize({ chunkSize: chunk }),
    layout: balanced({ maxChildrenPerNode: 174 })
  }
  for await (const made of importer(source, nowhere, options)) {
    seen[made.path ?? ''] = [made.cid.toString(), Number(made.size)]
  }
  answers.push(seen)
}
console.log(JSON.stringify(answers))
