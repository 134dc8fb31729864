// Open the first sealed result and seal the second clear one, with node's own cryptography.
// Standard input: { privateKey, publicKey, key, body, clear }, the last three in base64. RSA padding is taken off by hand (RFC 8017, 7.2.2).
import { constants, createCipheriv, createDecipheriv, privateDecrypt, publicEncrypt, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'

const given = JSON.parse(readFileSync(0, 'utf8'))
const bytes = (text) => Buffer.from(text, 'base64')

const padded = privateDecrypt({ key: given.privateKey, padding: constants.RSA_NO_PADDING }, bytes(given.key))
if (padded[0] !== 0 || padded[1] !== 2) throw new Error('no PKCS#1 v1.5 padding')
const secret = padded.subarray(padded.indexOf(0, 2) + 1)
const body = bytes(given.body)
const decipher = createDecipheriv('aes-256-cbc', secret, body.subarray(0, 16))
const opened = Buffer.concat([decipher.update(body.subarray(16)), decipher.final()])

const key = randomBytes(32)
const vector = randomBytes(16)
const cipher = createCipheriv('aes-256-cbc', key, vector)
const sealed = Buffer.concat([vector, cipher.update(bytes(given.clear)), cipher.final()])
const wrapped = publicEncrypt({ key: given.publicKey, padding: constants.RSA_PKCS1_PADDING }, key)
console.log(JSON.stringify({
  opened: opened.toString('base64'), keyBytes: secret.length, body: sealed.toString('base64'), key: wrapped.toString('base64')
}))
