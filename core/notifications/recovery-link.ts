import { timingSafeEqual } from 'node:crypto'
import type { Deps } from '../ports.ts'

const LINK_MAC_BYTES = 16
/** Account id 12 bytes, beginning of the recovery 6 bytes, then the MAC. */
const LINK_BYTES = 18 + LINK_MAC_BYTES

/** Which recovery a link stops. */
export interface RecoveryLink {
  accountId: string
  /** The beginning of the recovery, epoch ms. The link has no effect on a later one. */
  beganAtMs: number
}

/**
 * The code of the link that stops a recovery. It carries what it stops under a MAC of the keyring, so nothing is
 * stored, and a made-up code is refused without a call. It needs no expiry, because the recovery has one.
 */
export function recoveryLinkCode(deps: Deps<'keyring'>, { accountId, beganAtMs }: RecoveryLink): string {
  const content = Buffer.alloc(LINK_BYTES - LINK_MAC_BYTES)
  content.write(accountId, 'hex')
  content.writeUIntBE(beganAtMs, 12, 6)
  return Buffer.concat([content, linkTag(deps, content)]).toString('base64url')
}

/** Reads the code of a link. @returns undefined for any code that Bursar did not make */
export function readRecoveryLink(deps: Deps<'keyring'>, code: string): RecoveryLink | undefined {
  const bytes = Buffer.from(code, 'base64url')
  // Node ignores stray characters: only the exact text of a code is a code.
  if (bytes.length !== LINK_BYTES || bytes.toString('base64url') !== code) return undefined
  const content = bytes.subarray(0, -LINK_MAC_BYTES)
  if (!timingSafeEqual(linkTag(deps, content), bytes.subarray(-LINK_MAC_BYTES))) return undefined
  return { accountId: content.toString('hex', 0, 12), beganAtMs: content.readUIntBE(12, 6) }
}

const linkTag = (deps: Deps<'keyring'>, content: Buffer): Buffer =>
  deps.keyring.mac('recovery-link', content.toString('hex')).subarray(0, LINK_MAC_BYTES)
