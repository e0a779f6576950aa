import type { CredentialText } from '../keys/credential-text.ts'
import type { Key } from '../table/keys.ts'

export const ADMIN_KEY_TEXT: CredentialText = { prefix: 'bsa', purpose: 'admin-key' }

/** The item that leads from a key's hash to its name and role. A revoked key has none. */
export const adminKeyLookup = (hash: string): Key => ({ pk: `ADMINKEY#${hash}`, sk: '#ADMINKEY' })
