import type { Deps } from '../ports.ts'
import { linkCodeOf, linkContent } from './link-code.ts'

/** Account id 12 bytes, beginning of the recovery 6 bytes. */
const CONTENT_BYTES = 18

/** Which recovery a link stops. */
export interface RecoveryLink {
  accountId: string
  /** The beginning of the recovery, epoch ms. The link has no effect on a later one. */
  beganAtMs: number
}

/** The code of the link that stops a recovery. It needs no expiry, because the recovery has one. */
export function recoveryLinkCode(deps: Deps<'keyring'>, { accountId, beganAtMs }: RecoveryLink): string {
  const content = Buffer.alloc(CONTENT_BYTES)
  content.write(accountId, 'hex')
  content.writeUIntBE(beganAtMs, 12, 6)
  return linkCodeOf(deps, 'recovery-link', content)
}

/** Reads the code of a link. @returns undefined for any code that Bursar did not make */
export function readRecoveryLink(deps: Deps<'keyring'>, code: string): RecoveryLink | undefined {
  const content = linkContent(deps, 'recovery-link', code, CONTENT_BYTES)
  return content && { accountId: content.toString('hex', 0, 12), beganAtMs: content.readUIntBE(12, 6) }
}
