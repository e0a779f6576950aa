import assert from 'node:assert/strict'
import { parseProfile } from '../../core/account/account.ts'
import { isLiveCard, parseStoredCard } from '../../core/cards/stored.ts'
import type { Envelope } from '../../core/events/stored-event.ts'
import type { Item, Write } from '../../core/table/table.ts'
import { keyOf, visibleState } from './renewal-watch.ts'

/** The events that a change of one item calls for, by the beginning of its sort key. */
const CALLED_FOR: Record<string, (before: Item | undefined, after: Item | undefined) => string[]> = {
  '#PROFILE': (before, after) => {
    if (!before || !after) return []
    const [was, is] = [parseProfile(before), parseProfile(after)]
    return [
      ...(!was.emailVerified && is.emailVerified ? ['account.confirmed'] : []),
      ...(was.status === 'active' && is.status === 'deactivated'
        ? [is.eraseAtMs === undefined ? 'account.deactivated' : 'account.closing']
        : []),
      ...(was.status === 'deactivated' && is.status === 'active' ? ['account.restored'] : []),
      ...(was.status !== 'suspended' && is.status === 'suspended' ? ['account.suspended'] : []),
      ...(was.status === 'suspended' && ['active', 'deactivated'].includes(is.status)
        ? ['account.resumed']
        : []),
      ...(visibleState(before) === visibleState(after) ? [] : ['renewal.state_changed']),
    ]
  },
  'PURCHASE#': (before, after) => {
    if (!after) return []
    const isOver = before?.state !== after.state
    const lost = (item?: Item) => ((item?.lostDisputes ?? []) as string[]).length
    return [
      ...(isOver && after.state === 'credited' ? ['purchase.credited'] : []),
      ...(isOver && ['declined', 'abandoned'].includes(String(after.state)) ? ['purchase.failed'] : []),
      ...Array.from({ length: lost(after) - lost(before) }, () => 'dispute.lost'),
    ]
  },
  'LEDGER#': (_, after) => {
    const types: Record<string, string> = {
      refund: 'refund.applied',
      refund_failed: 'refund.failed',
      dispute: 'dispute.opened',
      dispute_won: 'dispute.won',
      credit: 'balance.changed',
      debit: 'balance.changed',
    }
    return [types[String(after?.kind)] ?? []].flat()
  },
  'CARD#': (before, after) => {
    const isOn = (item: Item | undefined) => item !== undefined && isLiveCard(parseStoredCard(item))
    if (isOn(before) === isOn(after)) return []
    return [isOn(after) ? 'card.added' : 'card.removed']
  },
  '#CUSTOMER': (before, after) =>
    before?.defaultCardId === after?.defaultCardId ? [] : ['card.default_changed'],
  'KEY#': (before, after) => {
    if (before && after) return [before.hash === after.hash ? 'key.changed' : 'key.rotated']
    return [after ? 'key.created' : 'key.revoked']
  },
}

/** Events of changes that a single item does not show. */
const UNSEEN = /^(units\.|quota\.|account\.access_changed$|deployment\.)/

/**
 * Watches the writes of a table in memory, each of which is atomic: each change of an account must be announced by
 * exactly one event of the same write, and nothing else. Code that is not written yet is held to it as well.
 * @param mistakes gets a line for each write that announces too little or too much.
 */
export const watchEvents =
  (mistakes: unknown[]) =>
  (writes: readonly Write[], items: () => Item[], apply: () => void): void => {
    const changed = writes.map(keyOf).filter(({ sk }) => kindOf(sk) !== undefined)
    const find = () => {
      const all = changed.length > 0 ? items() : []
      return changed.map(({ pk, sk }) => all.find((item) => item.pk === pk && item.sk === sk))
    }
    const before = find()
    apply()
    const after = find()
    // A world that begins has no history.
    if (before.every((item) => item === undefined) && after.some(({ sk } = {}) => sk === '#PROFILE')) return
    const wanted = changed.flatMap(({ sk }, at) => kindOf(sk)?.(before[at], after[at]) ?? [])
    const told = writes.flatMap((write) =>
      'put' in write && String(write.put.sk).startsWith('OUTEVENT#') ? [String(write.put.type)] : [],
    )
    const [missing, extra] = [without(wanted, told), without(told, wanted)]
    const surplus = extra.filter((type) => !UNSEEN.test(type) && !isAskedAgain(type, after))
    if (missing.length + surplus.length > 0)
      mistakes.push(
        `events: ${changed.map(({ sk }) => sk).join(', ')} lack ${missing} and have ${surplus} too much`,
      )
  }

const kindOf = (sk: unknown) =>
  Object.entries(CALLED_FOR).find(([prefix]) => String(sk).startsWith(prefix))?.[1]

/** The members of a list, less those of another, each counted. */
function without(list: readonly string[], others: readonly string[]): string[] {
  const rest = [...others]
  return list.filter((each) => {
    const at = rest.indexOf(each)
    if (at >= 0) rest.splice(at, 1)
    return at < 0
  })
}

/** Each renewal that waits for 3-D Secure has an event of its own. */
const isAskedAgain = (type: string, after: readonly (Item | undefined)[]): boolean =>
  type === 'renewal.state_changed' &&
  after.some((item) => item?.sk === '#PROFILE' && visibleState(item).startsWith('action_required'))

/** Checks that every event was published, under a number of its own, in the order of the numbers. @throws AssertionError */
export function checkPublished(told: readonly Envelope[], items: readonly Item[], title: string): void {
  const stored = items.filter(({ sk }) => String(sk).startsWith('OUTEVENT#'))
  const waiting = stored.filter(({ due }) => due !== undefined)
  assert.deepEqual(waiting, [], `${title}: events wait`)
  const numbers = new Map<string, number>()
  for (const { id, sequence } of told) {
    assert.equal(numbers.get(id) ?? sequence, sequence, `${title}: an event has two numbers`)
    numbers.set(id, sequence)
  }
  // The events of the deployment, such as of a coupon that was stopped, have numbers of their own.
  for (const of of new Set(told.map(({ accountId }) => accountId))) {
    const ids = new Set(told.filter(({ accountId }) => accountId === of).map(({ id }) => id))
    const first = [...ids].map((id) => numbers.get(id))
    assert.deepEqual(
      first,
      first.map((_, n) => n + 1),
      `${title}: events are not numbered in order`,
    )
  }
  assert.deepEqual([...numbers.keys()].sort(), stored.map(({ id }) => String(id)).sort(), `${title}: events`)
}
