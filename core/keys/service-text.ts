import { timingSafeEqual } from 'node:crypto'
import type { Deps } from '../ports.ts'
import type { Key } from '../table/keys.ts'

/**
 * The credential of one of the operator's services as text: `bss_<secret>_<check>`, where the secret is 256 random bits
 * in hex and the check 16 hex digits of a MAC over everything before it. A credential that Bursar never made is refused
 * without any call.
 */
const SERVICE_TEXT = /^(bss_[0-9a-f]{64}_)([0-9a-f]{16})$/

/** Whether a text is meant as the credential of a service. Whether it is one, `isServiceText` says. */
export const looksLikeService = (text: string): boolean => text.startsWith('bss_')

export function newServiceText(deps: Deps<'keyring'>): string {
  const text = `bss_${deps.ids.hex(32)}_`
  return text + check(deps, text)
}

/** Whether Bursar has made the credential. Calls nothing. */
export function isServiceText(deps: Deps<'keyring'>, credential: string): boolean {
  const [, text = '', given = ''] = SERVICE_TEXT.exec(credential) ?? []
  return timingSafeEqual(Buffer.from(check(deps, text)), Buffer.from(given.padEnd(16)))
}

const check = (deps: Deps<'keyring'>, text: string): string =>
  deps.keyring.mac('service-check', text).toString('hex').slice(0, 16)

/** What is stored of a credential. The hash cannot be reversed, nor checked without the deployment's secret. */
export const serviceHash = (deps: Deps<'keyring'>, credential: string): string =>
  deps.keyring.mac('service-hash', credential).toString('hex')

/** The item that leads from a credential's hash to its service. A revoked credential has none. */
export const serviceKey = (hash: string): Key => ({ pk: `SERVICE#${hash}`, sk: '#SERVICE' })
