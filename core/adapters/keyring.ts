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

/**
 * A keyring over one root secret: every purpose gets keys of its own by HKDF-SHA-256 (RFC 5869).
 * A sealed text is base64url of nonce, ciphertext and tag. Purposes must be constants of the code,
 * because the derived keys stay in memory for good.
 * @param rootSecret 64 hex digits: 32 random bytes.
 * @throws Error if the root secret is anything else.
 */
export function openKeyring(rootSecret: string): Keyring {
  if (!/^[0-9a-f]{64}$/i.test(rootSecret)) {
    throw new Error('The root secret must be 64 hex digits; `openssl rand -hex 32` makes one.')
  }
  const keyFor = derivedKeys(Buffer.from(rootSecret, 'hex'))
  return {
    mac: (purpose, ...parts) => createHmac('sha256', keyFor('mac', purpose)).update(framed(parts)).digest(),
    seal(purpose, context, plaintext) {
      if (!plaintext.isWellFormed()) throw new Error('Sealing would change a lone surrogate.')
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', keyFor('seal', purpose), nonce)
      cipher.setAAD(framed([purpose, context]))
      const ciphertext = [cipher.update(plaintext, 'utf8'), cipher.final()]
      return Buffer.concat([nonce, ...ciphertext, cipher.getAuthTag()]).toString('base64url')
    },
    open(purpose, context, sealed) {
      // One spelling only: otherwise several sealed texts would open to the same plaintext.
      const bytes = bytesOfBase64url(sealed)
      if (!bytes || bytes.length < NONCE_BYTES + TAG_BYTES) throw wrongSeal()
      const decipher = createDecipheriv(
        'aes-256-gcm',
        keyFor('seal', purpose),
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
