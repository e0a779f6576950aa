import type { Deps } from '../ports.ts'
import { DAY_MS } from '../time.ts'
import { linkCodeOf, linkContent } from './link-code.ts'

/** How long the links in mails about renewals work. */
export const RENEWAL_LINK_DAYS = 30

/** What a link does without signing in: it stops auto-renewal, or allows more renewals after a hold. */
export type RenewalLink =
  | { act: 'stop'; accountId: string }
  /** `heldAtMs` names the hold that the link ends. It has no effect on a later hold. */
  | { act: 'allow'; accountId: string; heldAtMs: number }

/** Account id 12 bytes, time of the hold 6 bytes (0: the link stops auto-renewal), expiry 6 bytes. */
const LINK_BYTES = 24

/** The code of a link, with the account, the act and its expiry. */
export function renewalLinkCode(deps: Deps<'keyring'>, link: RenewalLink): string {
  const content = Buffer.alloc(LINK_BYTES)
  content.write(link.accountId, 'hex')
  content.writeUIntBE(link.act === 'allow' ? link.heldAtMs : 0, 12, 6)
  content.writeUIntBE(deps.clock.nowMs() + RENEWAL_LINK_DAYS * DAY_MS, 18, 6)
  return linkCodeOf(deps, 'renewal-link', content)
}

/** Reads the code of a link. @returns undefined for any code that Bursar did not make or that has expired */
export function readRenewalLink(deps: Deps<'keyring'>, code: string): RenewalLink | undefined {
  const content = linkContent(deps, 'renewal-link', code, LINK_BYTES)
  if (!content) return undefined
  if (content.readUIntBE(18, 6) <= deps.clock.nowMs()) return undefined
  const accountId = content.toString('hex', 0, 12)
  const heldAtMs = content.readUIntBE(12, 6)
  return heldAtMs === 0 ? { act: 'stop', accountId } : { act: 'allow', accountId, heldAtMs }
}
