import { timingSafeEqual } from 'node:crypto'
import { bytesOfBase64url } from '../base64url.ts'
import type { Deps } from '../ports.ts'

const LINK_MAC_BYTES = 16

/** What a link in a mail is for. A code made for one purpose does not work for another. */
type LinkPurpose = 'renewal-link' | 'recovery-link' | 'address-link'

/**
 * The code of a link in a mail. It carries its content under a MAC of the keyring, so nothing is stored, and a made-up
 * code is refused without a call.
 */
export const linkCodeOf = (deps: Deps<'keyring'>, purpose: LinkPurpose, content: Buffer): string =>
  Buffer.concat([content, ...linkMacs(deps, purpose, content).slice(0, 1)]).toString('base64url')

/**
 * Reads the content of a link's code.
 * @param size the content's length in bytes.
 * @returns undefined for any code that Bursar did not make for this purpose
 */
export function linkContent(
  deps: Deps<'keyring'>,
  purpose: LinkPurpose,
  code: string,
  size: number,
): Buffer | undefined {
  const bytes = bytesOfBase64url(code)
  if (bytes?.length !== size + LINK_MAC_BYTES) return undefined
  const content = bytes.subarray(0, size)
  const sent = bytes.subarray(size)
  return linkMacs(deps, purpose, content).some((mac) => timingSafeEqual(mac, sent)) ? content : undefined
}

const linkMacs = (deps: Deps<'keyring'>, purpose: LinkPurpose, content: Buffer): Buffer[] =>
  deps.keyring
    .macs('mac:link', purpose, content.toString('hex'))
    .map((mac) => mac.subarray(0, LINK_MAC_BYTES))
