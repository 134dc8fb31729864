// What the ecosystem's clients do with an IPFS node, done with their library against the address given; prints what it saw.
import { create } from 'kubo-rpc-client'
import { CID } from 'multiformats/cid'

const ipfs = create({ url: process.argv[2] })
const seen = {}
const collect = async (source) => { const out = []; for await (const item of source) out.push(item); return out }
const gather = async (source) => Buffer.concat(await collect(source))
const refusal = async (promise) => { try { await promise; return 'done' } catch (error) { return error.message } }

// exactly as `iexec` uploads a slice of a bulk: ipfs.add(buffer), then reads through the gateway
const small = await ipfs.add(Buffer.from('hello world\n'))
seen.small = [small.path, small.cid.toString(), small.size]
seen.smallAgain = (await gather(ipfs.cat(small.cid))).toString()

const large = Buffer.alloc(5_000_000)
for (let at = 0, state = large.length; at < large.length; at++) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  large[at] = state >>> 24
}
const added = await ipfs.add(large, { cidVersion: 1 })
seen.large = added.cid.toString()
seen.largeSize = added.size
seen.largeSame = large.equals(await gather(ipfs.cat(added.cid)))
seen.slice = (await gather(ipfs.cat(added.cid, { offset: 262_140, length: 10 }))).equals(large.subarray(262_140, 262_150))
seen.version0 = (await ipfs.add(large)).cid.toString()
seen.rawLeaves0 = (await ipfs.add(large, { rawLeaves: true })).cid.toString()

let told = 0
await ipfs.add(large, { onlyHash: true, progress: (bytes) => { told = bytes } })
seen.progress = told

const tree = [{ path: 'a/b.txt', content: 'b' }, { path: 'a/c d+é.txt', content: 'c' }, { path: 'empty' }, { path: 'top', content: '' }]
seen.tree = (await collect(ipfs.addAll(tree, { wrapWithDirectory: true, pin: false, cidVersion: 1 }))).map((f) => [f.path, f.cid.toString()])
const root = seen.tree.at(-1)[1]
seen.inside = (await gather(ipfs.cat(`${root}/a/c d+é.txt`))).toString()
seen.onlyHash = (await ipfs.add('never stored', { onlyHash: true })).cid.toString()

const block = Buffer.from('a block')
const put = await ipfs.block.put(block)
seen.block = [put.toString(), Buffer.from(await ipfs.block.get(put)).toString(), (await ipfs.block.stat(put)).size]

const pins = async () => (await collect(ipfs.pin.ls())).map((pin) => pin.cid.toString())
seen.pinned = [(await pins()).includes(added.cid.toString()), (await pins()).includes(root)]
seen.pin = (await ipfs.pin.add(CID.parse(root))).toString() === root && (await pins()).includes(root)
seen.pinOne = (await collect(ipfs.pin.ls({ paths: root })))[0].type

seen.version = (await ipfs.version()).version
seen.id = (await ipfs.id()).addresses
seen.refused = {
  missing: await refusal(gather(ipfs.cat(seen.onlyHash))),
  nonsense: await refusal(ipfs.pin.add(`${root}/nothing`)),
  unpin: await refusal(ipfs.pin.rm(CID.parse(root))),
  unknown: await refusal(ipfs.stats.repo()),
  mode: await refusal(ipfs.add({ content: 'x', mode: 0o755 })),
  trickle: await refusal(ipfs.add('x', { trickle: true })),
  hash: await refusal(ipfs.add('x', { hashAlg: 'sha3-512', hash: 'sha3-512' }))
}
console.log(JSON.stringify(seen))
