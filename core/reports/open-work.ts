import type { DueKind } from '../table/keys.ts'
import type { Item } from '../table/table.ts'

/** Something that a job will do for an account. */
export interface OpenWork {
  kind: string
  /** What is to be done, in words. */
  what: string
  /** The item that waits, by its sort key. */
  item: string
  /** When a job looks at it next, epoch ms. In the past: since then it waits. */
  dueAtMs: number
}

/** What each kind of open work is about. */
const WORDS: Readonly<Partial<Record<DueKind, string>>> = {
  ALERT: 'A crossed quota alert has to be told',
  CARD: 'A notice about a card that expires, or the removal of a card',
  CUSTOMER: 'Stripe has to learn of a changed name or address',
  ERASE: 'The account will be erased',
  EVENT: 'An event for other systems has to be published',
  HOLD: 'A card verification is open, or its hold has to be released',
  MAIL: 'A mail has to be sent',
  PENDING: 'The registration is removed unless it is finished or the address is confirmed',
  PURCHASE: 'A purchase is open, or credited and not finished',
  QUOTA: 'Units run low: a renewal or a notice has to be looked at',
  RECOVERY: 'A recovery of lost two-factor codes is open',
  RESERVED: 'Reserved units may have expired',
}

/** Everything among these items that a job will look at, the earliest first. */
export const openWorkIn = (items: readonly Item[]): OpenWork[] =>
  items
    .filter(({ due }) => typeof due === 'string')
    .map(({ due, dueAtMs, sk }) => {
      const [kind = ''] = String(due).split('#')
      return { kind, what: WORDS[kind as DueKind] ?? kind, item: String(sk), dueAtMs: Number(dueAtMs) }
    })
    .sort((a, b) => a.dueAtMs - b.dueAtMs)
