import { timingSafeEqual } from 'node:crypto'
import type { Deps } from '../ports.ts'
import { DAY_MS } from '../time.ts'

/** How long the links in mails about renewals work. */
export const RENEWAL_LINK_DAYS = 30

/** What a link does without signing in: it stops auto-renewal, or allows more renewals after a hold. */
export type RenewalLink =
  | { act: 'stop'; accountId: string }
  /** `heldAtMs` names the hold that the link ends. It has no effect on a later hold. */
  | { act: 'allow'; accountId: string; heldAtMs: number }

const LINK_MAC_BYTES = 16
/** Account id 12 bytes, time of the hold 6 bytes (0: the link stops auto-renewal), expiry 6 bytes, then the MAC. */
const LINK_BYTES = 24 + LINK_MAC_BYTES

/**
 * The code of a link. It carries the account, the act and its expiry under a MAC of the keyring, so nothing is
 * stored, and a made-up code is refused without a call.
 */
export function renewalLinkCode(deps: Deps<'keyring'>, link: RenewalLink): string {
  const content = Buffer.alloc(LINK_BYTES - LINK_MAC_BYTES)
  content.write(link.accountId, 'hex')
  content.writeUIntBE(link.act === 'allow' ? link.heldAtMs : 0, 12, 6)
  content.writeUIntBE(deps.clock.nowMs() + RENEWAL_LINK_DAYS * DAY_MS, 18, 6)
  return Buffer.concat([content, linkMac(deps, content)]).toString('base64url')
}

/** Reads the code of a link. @returns undefined for any code that Bursar did not make or that has expired */
export function readRenewalLink(deps: Deps<'keyring'>, code: string): RenewalLink | undefined {
  const bytes = Buffer.from(code, 'base64url')
  // Node ignores stray characters: only the exact text of a code is a code.
  if (bytes.length !== LINK_BYTES || bytes.toString('base64url') !== code) return undefined
  const content = bytes.subarray(0, -LINK_MAC_BYTES)
  if (!timingSafeEqual(linkMac(deps, content), bytes.subarray(-LINK_MAC_BYTES))) return undefined
  if (content.readUIntBE(18, 6) <= deps.clock.nowMs()) return undefined
  const accountId = content.toString('hex', 0, 12)
  const heldAtMs = content.readUIntBE(12, 6)
  return heldAtMs === 0 ? { act: 'stop', accountId } : { act: 'allow', accountId, heldAtMs }
}

const linkMac = (deps: Deps<'keyring'>, content: Buffer): Buffer =>
  deps.keyring.mac('renewal-link', content.toString('hex')).subarray(0, LINK_MAC_BYTES)
