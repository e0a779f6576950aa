import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { bytesOfBase64url } from '../base64url.ts'
import type { Keyring } from '../ports.ts'

const NONCE_BYTES = 12
const TAG_BYTES = 16
const VERSION_DIGITS = 4

/** Most secrets that are live at once: the one in use, and the one before or after it. */
const MOST_SECRETS = 2

/**
 * A keyring over the root secret: every purpose gets keys of its own by HKDF-SHA-256 (RFC 5869). While the secret rotates,
 * two are live: the first is in use, and what the other one has made is recognised.
 * A sealed text is the version of its secret, and then base64url of nonce, ciphertext and tag. Purposes must be constants
 * of the code, because the derived keys stay in memory for good.
 * @param rootSecret 64 hex digits: 32 random bytes; or two such secrets with a comma between.
 * @throws Error if the root secret is anything else.
 */
export function openKeyring(rootSecret: string): Keyring {
  const [inUse, ...others] = liveSecrets(rootSecret)
  const secrets = [inUse, ...others]
  const withVersion = (version: string) => secrets.find((each) => each.version === version)
  const macWith = ({ keyFor }: Secret, purpose: string, parts: string[]) =>
    createHmac('sha256', keyFor('mac', purpose)).update(framed(parts)).digest()
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
      const cipher = createCipheriv('aes-256-gcm', inUse.keyFor('seal', purpose), nonce)
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
        secret.keyFor('seal', purpose),
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
  keyFor: (use: 'mac' | 'seal', purpose: string) => KeyObject
}

function liveSecrets(rootSecret: string): [Secret, ...Secret[]] {
  const texts = rootSecret.split(',')
  if (texts.length > MOST_SECRETS || !texts.every((each) => /^[0-9a-f]{64}$/i.test(each)))
    throw new Error(
      'The root secret must be 64 hex digits, or two of these with a comma between while it rotates; `openssl rand -hex 32` makes one.',
    )
  const [inUse, ...others] = texts.map((text) => {
    const root = Buffer.from(text, 'hex')
    return { version: versionOf(root), keyFor: derivedKeys(root) }
  })
  if (!inUse || others.some(({ version }) => version === inUse.version))
    throw new Error('Two root secrets have the same version. Make another one with `openssl rand -hex 32`.')
  return [inUse, ...others]
}

/** Names a secret. Whoever knows it learns 16 bits of a hash, and nothing of the secret. */
const versionOf = (root: Buffer): string =>
  Buffer.from(hkdfSync('sha256', root, '', 'bursar:version', VERSION_DIGITS / 2)).toString('hex')

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

/** The keys are KeyObjects, because preparing a Buffer as a key takes longer than a MAC. */
function derivedKeys(root: Buffer): (use: 'mac' | 'seal', purpose: string) => KeyObject {
  const keys = new Map<string, KeyObject>()
  return (use, purpose) => {
    const info = `bursar:${use}:${purpose}`
    const known = keys.get(info)
    if (known) return known
    const key = createSecretKey(Buffer.from(hkdfSync('sha256', root, '', info, 32)))
    keys.set(info, key)
    return key
  }
}
