import type { Key } from '../table/keys.ts'
import { type CredentialText, looksLike } from './credential-text.ts'

/** The credential of one of the operator's services. */
export const SERVICE_TEXT: CredentialText = { prefix: 'bss', purpose: 'service' }

/** Whether a text is meant as the credential of a service. */
export const looksLikeService = (text: string): boolean => looksLike(SERVICE_TEXT, text)

/** The item that leads from a credential's hash to its service. A revoked credential has none. */
export const serviceKey = (hash: string): Key => ({ pk: `SERVICE#${hash}`, sk: '#SERVICE' })
