import type { Deps } from '../ports.ts'
import { countEvent, type Limited, waitOf } from './limits.ts'
import { isVariant, mailboxOf } from './mailbox.ts'

/** What is limited by mailbox. Each has a smaller limit for variants of the address. */
export type LimitedMailbox = 'confirm-to' | 'reset-to' | 'sign-up-of'

/** The limits that an event for an address counts under. */
export const mailboxLimits = (address: string, what: LimitedMailbox): [Limited, ...Limited[]] =>
  isVariant(address) ? [what, `${what}-variant`] : [what]

/** Counts a mail to the mailbox of an address. @returns the seconds until the next one counts; 0 if it was counted. */
export const countMailTo = async (
  deps: Deps<'table' | 'keyring'>,
  address: string,
  what: LimitedMailbox,
): Promise<number> => waitOf(await countEvent(deps, mailboxOf(address), ...mailboxLimits(address, what)))
