import { hkdfSync } from 'node:crypto'
import type { Purpose, SecretKeys } from '../../core/purposes.ts'

/** Most root secrets that are live at once: the one in use, and the one before or after it. */
const MOST_SECRETS = 2

/**
 * The keys that a function gets of each live root secret, by HKDF-SHA-256 (RFC 5869): those for its purposes. No function
 * gets the secret itself, so what leaks from one opens and forges nothing of another one's.
 * @param rootSecret 64 hex digits: 32 random bytes; or two such secrets with a comma between, that in use first.
 * @returns what `openKeyring` takes
 * @throws Error if the root secret is anything else; the message never quotes it.
 */
export function keysTextOf(rootSecret: string, purposes: readonly Purpose[]): string {
  const texts = rootSecret.split(',')
  if (texts.length > MOST_SECRETS || !texts.every((each) => /^[0-9a-f]{64}$/i.test(each)))
    throw new Error(
      'The root secret must be 64 hex digits, or two of these with a comma between while it rotates; `openssl rand -hex 32` makes one.',
    )
  const secrets = texts.map((text): SecretKeys => {
    const root = Buffer.from(text, 'hex')
    const keys = purposes.map(
      (purpose) => [purpose, derived(root, purpose, 32).toString('base64url')] as const,
    )
    return [derived(root, 'version', 2).toString('hex'), Object.fromEntries(keys)]
  })
  if (new Set(secrets.map(([version]) => version)).size < secrets.length)
    throw new Error('Two root secrets have the same version. Make another one with `openssl rand -hex 32`.')
  return JSON.stringify(secrets)
}

const derived = (root: Buffer, info: string, bytes: number): Buffer =>
  Buffer.from(hkdfSync('sha256', root, '', `bursar:${info}`, bytes))
