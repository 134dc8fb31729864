// Encrypt one content as the protocol's own client does, and open what we encrypted, with node's cryptography as its enclaves do.
// Standard input: { clear, sealed, key }, in base64; `key` opened with `sealed`.
import { createDecipheriv } from 'node:crypto'
import IExecDatasetModule from 'iexec/IExecDatasetModule'

let text = ''
for await (const piece of process.stdin) text += piece
const given = JSON.parse(text)
const bytes = (text) => Buffer.from(text, 'base64')
const client = new IExecDatasetModule({ ethProvider: 'http://127.0.0.1:9' })

const key = client.generateEncryptionKey()
const encrypted = await client.encrypt(bytes(given.clear), key)
const checksum = await client.computeEncryptedFileChecksum(encrypted)

const sealed = bytes(given.sealed)
const decipher = createDecipheriv('aes-256-cbc', bytes(given.key), sealed.subarray(0, 16))
const opened = Buffer.concat([decipher.update(sealed.subarray(16)), decipher.final()])
const ourChecksum = await client.computeEncryptedFileChecksum(sealed)
const answer = { key, encrypted: Buffer.from(encrypted).toString('base64'), checksum, opened: opened.toString('base64'), ourChecksum }
process.stdout.write(JSON.stringify(answer), () => process.exit(0))
