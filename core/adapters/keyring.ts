import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { bytesOfBase64url } from '../base64url.ts'
import type { Keyring } from '../ports.ts'
import type { MacPurpose, Purpose, SecretKeys } from '../purposes.ts'

const NONCE_BYTES = 12
const TAG_BYTES = 16
const VERSION_DIGITS = 4

/**
 * A keyring over the keys that the deployment has derived from each live root secret, that of the one in use first
 * (`functions/deploy/root-secret.ts`). While the secret rotates, two are live: what the other one has made is recognised.
 * A sealed text is the version of its secret, and then base64url of nonce, ciphertext and tag.
 * @param text a `SecretKeys[]` as JSON.
 */
export function openKeyring(text: string): Keyring {
  const [inUse, ...others] = (JSON.parse(text) as SecretKeys[]).map(secretOf)
  if (!inUse) throw new Error('The keyring has no keys. Deploy with npm run deploy.')
  const secrets = [inUse, ...others]
  const withVersion = (version: string) => secrets.find((each) => each.version === version)
  const macWith = ({ keyFor }: Secret, purpose: MacPurpose, parts: string[]) =>
    createHmac('sha256', keyFor(purpose)).update(framed(parts)).digest()
  return {
    versions: [inUse.version, ...others.map(({ version }) => version)],
    mac: (purpose, ...parts) => macWith(inUse, purpose, parts),
    macs: (purpose, ...parts) => [
      macWith(inUse, purpose, parts),
      ...others.map((each) => macWith(each, purpose, parts)),
    ],
    macBy(version, purpose, ...parts) {
      const secret = withVersion(version)
      return secret && macWith(secret, purpose, parts)
    },
    seal(purpose, context, plaintext) {
      if (!plaintext.isWellFormed()) throw new Error('Sealing would change a lone surrogate.')
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', inUse.keyFor(purpose), nonce)
      cipher.setAAD(framed([purpose, context]))
      const ciphertext = [cipher.update(plaintext, 'utf8'), cipher.final()]
      return inUse.version + Buffer.concat([nonce, ...ciphertext, cipher.getAuthTag()]).toString('base64url')
    },
    open(purpose, context, sealed) {
      // One spelling only: otherwise several sealed texts would open to the same plaintext.
      const bytes = bytesOfBase64url(sealed.slice(VERSION_DIGITS))
      if (!bytes || bytes.length < NONCE_BYTES + TAG_BYTES) throw wrongSeal()
      const secret = withVersion(sealed.slice(0, VERSION_DIGITS))
      if (!secret) return undefined
      const decipher = createDecipheriv(
        'aes-256-gcm',
        secret.keyFor(purpose),
        bytes.subarray(0, NONCE_BYTES),
        { authTagLength: TAG_BYTES },
      )
      decipher.setAAD(framed([purpose, context])).setAuthTag(bytes.subarray(-TAG_BYTES))
      try {
        const ciphertext = bytes.subarray(NONCE_BYTES, -TAG_BYTES)
        return Buffer.concat([decipher.update(ciphertext), decipher.final()]).toString('utf8')
      } catch {
        throw wrongSeal()
      }
    },
  }
}

interface Secret {
  version: string
  keyFor: (purpose: Purpose) => KeyObject
}

/** The keys become KeyObjects, because preparing a Buffer as a key takes longer than a MAC. */
function secretOf([version, texts]: SecretKeys): Secret {
  const keys = new Map<string, KeyObject>()
  const keyFor = (purpose: Purpose) => {
    const known = keys.get(purpose)
    if (known) return known
    const text = texts[purpose]
    if (text === undefined)
      throw new Error(`This function has no key for ${purpose}. Run npm run generate and deploy.`)
    const key = createSecretKey(text, 'base64url')
    keys.set(purpose, key)
    return key
  }
  return { version, keyFor }
}

function wrongSeal(): Error {
  return new Error('The text was not sealed for this purpose and context.')
}

/**
 * Each part after its length in bytes. The text is UTF-16, because UTF-8 would turn different lone surrogates
 * into the same character.
 */
function framed(parts: string[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part, 'utf16le')
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return [length, bytes]
    }),
  )
}
