import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { unitsText } from '../notifications/amounts.ts'
import type { Deps } from '../ports.ts'
import { payOwedUnits, TAKEN_BY_OPERATOR } from '../purchases/owed-units.ts'
import { type Booked, bookOperatorChange, type OperatorRequest } from './operator-entries.ts'

/**
 * An operator gives an account units. As with every credit, units that the account owes are taken out of them.
 * @param order.units how many, at least 1.
 * @throws DomainError `not_found`, `idempotency_key_reused`, `temporarily_unavailable`
 */
export async function grantUnits(
  deps: Deps<'table'>,
  accountId: string,
  { units, ...request }: OperatorRequest & { units: number },
): Promise<Booked> {
  const content = ['grant', units, request.reason]
  return bookOperatorChange(
    deps,
    accountId,
    { ...request, action: 'operator.granted', content },
    async (account) => {
      const paid = await payOwedUnits(deps, account, units)
      const owedUnits = paid.entries.reduce((sum, entry) => sum - entry.units, 0)
      const kept = owedUnits > 0 ? ` We kept ${unitsText(owedUnits)} of them that you owed.` : ''
      return {
        entries: [{ kind: 'grant', units, amountCents: 0 }, ...paid.entries],
        owed: paid.owed,
        creditCents: account.creditCents ?? 0,
        writes: paid.writes,
        announce: (seq) => announce(deps, accountId, 'units.granted', { seq, units, owedUnits }),
        notice: { messageType: 'units_granted', text: `We gave you ${unitsText(units)}.${kept}` },
      }
    },
  )
}

/**
 * An operator takes units from an account, at most those left. Reserved units are not left.
 * @param order.units how many, at least 1.
 * @param order.owe whether units that are not left are owed: the next credit pays them. Without it, a take of more
 *   units than are left changes nothing.
 * @throws DomainError `too_few_units` with the units left, `not_found`, `idempotency_key_reused`,
 *   `temporarily_unavailable`
 */
export async function takeUnits(
  deps: Deps<'table'>,
  accountId: string,
  { units, owe, ...request }: OperatorRequest & { units: number; owe: boolean },
): Promise<Booked> {
  const content = ['take', units, owe, request.reason]
  return bookOperatorChange(
    deps,
    accountId,
    { ...request, action: 'operator.took', content },
    ({ quota, owed, creditCents = 0 }) => {
      const taken = Math.min(units, quota.left)
      const missing = units - taken
      if (missing > 0 && !owe) throw new DomainError('too_few_units', { members: { left: quota.left } })
      const before = owed?.[TAKEN_BY_OPERATOR] ?? 0
      return {
        // The entry is there even if nothing was left to take: it is what the customer sees of the debt.
        entries: [{ kind: 'take', units: 0 - taken, amountCents: 0 }],
        owed: missing > 0 ? { ...owed, [TAKEN_BY_OPERATOR]: before + missing } : owed,
        creditCents,
        writes: [],
        announce: (seq) =>
          announce(deps, accountId, 'units.taken', { seq, units: taken, owedUnits: missing }),
        notice: { messageType: 'units_taken', text: takenText(taken, missing) },
      }
    },
  )
}

function takenText(taken: number, missing: number): string {
  const took = taken > 0 ? [`We took back ${unitsText(taken)}.`] : []
  const owed = missing > 0 ? [`We will take ${unitsText(missing)} from your next purchase.`] : []
  return [...took, ...owed].join(' ')
}
