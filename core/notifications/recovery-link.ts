import type { Deps } from '../ports.ts'
import { linkCodeOf, linkContent } from './link-code.ts'

/** Account id 12 bytes, beginning of the recovery 6 bytes. */
const CONTENT_BYTES = 18

/** Which recovery, or which change of the address by an operator, a link stops. */
export interface RecoveryLink {
  accountId: string
  /** Its beginning, epoch ms. The link has no effect on a later one. */
  beganAtMs: number
  what?: 'recovery' | 'address'
}

const linkPurposeOf = (what: RecoveryLink['what']) => (what === 'address' ? 'address-link' : 'recovery-link')

/** The code of the link that stops a recovery. It needs no expiry, because the recovery has one. */
export function recoveryLinkCode(
  deps: Deps<'keyring'>,
  { accountId, beganAtMs, what }: RecoveryLink,
): string {
  const content = Buffer.alloc(CONTENT_BYTES)
  content.write(accountId, 'hex')
  content.writeUIntBE(beganAtMs, 12, 6)
  return linkCodeOf(deps, linkPurposeOf(what), content)
}

/** Reads the code of a link. @returns undefined for any code that Bursar did not make */
export function readRecoveryLink(deps: Deps<'keyring'>, code: string): Required<RecoveryLink> | undefined {
  for (const what of ['recovery', 'address'] as const) {
    const content = linkContent(deps, linkPurposeOf(what), code, CONTENT_BYTES)
    if (content)
      return { what, accountId: content.toString('hex', 0, 12), beganAtMs: content.readUIntBE(12, 6) }
  }
  return undefined
}
