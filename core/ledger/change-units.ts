import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { unitsText } from '../notifications/amounts.ts'
import { timeText } from '../notifications/recovery-texts.ts'
import { MAX_DAYS } from '../plans/mistakes.ts'
import type { Deps } from '../ports.ts'
import { payOwedUnits, TAKEN_BY_OPERATOR, unitsOwed } from '../purchases/owed-units.ts'
import { DAY_MS } from '../time.ts'
import { expiryAtMs } from './entry.ts'
import {
  type Booked,
  type BookedStanding,
  bookIfNeeded,
  bookOperatorChange,
  type OperatedAccount,
  type OperatorChange,
  type OperatorRequest,
} from './operator-entries.ts'

/** Units that an account is given. */
interface Granted {
  /** At least 1. */
  units: number
  /** When those that are left expire, rounded up to the beginning of a day (UTC); never if undefined. */
  expiresAtMs?: number | undefined
}

/**
 * An operator gives an account units. As with every credit, units that the account owes are taken out of them.
 * @throws DomainError `invalid_request` for an expiry that has passed or is more than ten years ahead, `not_found`,
 *   `idempotency_key_reused`, `temporarily_unavailable`
 */
export async function grantUnits(
  deps: Deps<'table'>,
  accountId: string,
  { units, expiresAtMs, ...request }: OperatorRequest & Granted,
): Promise<Booked> {
  const content = ['grant', units, request.reason, ...(expiresAtMs === undefined ? [] : [expiresAtMs])]
  return bookOperatorChange(
    deps,
    accountId,
    { ...request, action: 'operator.granted', content },
    (account) => {
      // A repeat gets this far no more, so it is answered also after the expiry.
      requireAhead(expiresAtMs, deps.clock.nowMs())
      return grantChange(deps, account, { units, expiresAtMs }, gaveText(units))
    },
  )
}

const gaveText = (units: number): string => `We gave you ${unitsText(units)}.`

/** @throws DomainError `invalid_request` */
function requireAhead(expiresAtMs: number | undefined, nowMs: number): void {
  if (expiresAtMs === undefined) return
  const refuse = (message: string) =>
    new DomainError('invalid_request', { fields: [{ field: 'expiresAt', message }] })
  if (expiresAtMs <= nowMs) throw refuse('has passed already')
  if (expiresAtMs > nowMs + MAX_DAYS * DAY_MS) throw refuse(`must be at most ${MAX_DAYS} days from now`)
}

/**
 * What gives an account units.
 * @param given.bundle name of the plan that gives them each month; then nobody is told before they expire.
 * @param text what the owner is told, in a sentence. What becomes of the units follows it.
 */
export async function grantChange(
  deps: Deps<'table'>,
  account: OperatedAccount,
  { units, bundle, ...given }: Granted & { bundle?: string | undefined },
  text: string,
): Promise<OperatorChange> {
  const paid = await payOwedUnits(deps, account, units)
  const owedUnits = paid.entries.reduce((sum, entry) => sum - entry.units, 0)
  const expiry = given.expiresAtMs === undefined ? {} : { expiresAtMs: expiryAtMs(given.expiresAtMs) }
  const entry = { kind: 'grant' as const, units, amountCents: 0, ...expiry }
  const kept = owedUnits > 0 ? ` We kept ${unitsText(owedUnits)} of them that you owed.` : ''
  const until =
    expiry.expiresAtMs !== undefined && owedUnits < units
      ? ` Use them before ${timeText(expiry.expiresAtMs)}.`
      : ''
  return {
    entries: [bundle === undefined ? entry : { ...entry, quiet: true }, ...paid.entries],
    owed: paid.owed,
    creditCents: account.creditCents ?? 0,
    writes: paid.writes,
    announce: (seq) =>
      announce(deps, account.id, 'units.granted', {
        ...{ seq, units, owedUnits, ...expiry },
        ...(bundle !== undefined && { bundle }),
      }),
    notice: { messageType: 'units_granted', text: `${text}${kept}${until}` },
  }
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
  return bookOperatorChange(deps, accountId, { ...request, action: 'operator.took', content }, (account) => {
    if (units > account.quota.left && !owe)
      throw new DomainError('too_few_units', { members: { left: account.quota.left } })
    return takeChange(deps, account, units)
  })
}

/** What is not left of the units is owed. */
function takeChange(
  deps: Deps<'table'>,
  { id, quota, owed, creditCents = 0 }: OperatedAccount,
  units: number,
): OperatorChange {
  const taken = Math.min(units, quota.left)
  const missing = units - taken
  const before = owed?.[TAKEN_BY_OPERATOR] ?? 0
  return {
    // The entry is there even if nothing was left to take: it is what the customer sees of the debt.
    entries: [{ kind: 'take', units: 0 - taken, amountCents: 0 }],
    owed: missing > 0 ? { ...owed, [TAKEN_BY_OPERATOR]: before + missing } : owed,
    creditCents,
    writes: [],
    announce: (seq) => announce(deps, id, 'units.taken', { seq, units: taken, owedUnits: missing }),
    notice: { messageType: 'units_taken', text: takenText(taken, missing) },
  }
}

/**
 * An operator sets how many units are left: a grant of those that are missing, or a take of those that are too many. Of
 * an account that owes units the grant also pays these, so that exactly `units` are left. Reserved units stay reserved.
 * An account that has so many left stays as it is.
 * @param order.units how many are to be left, at least 0.
 * @throws DomainError `not_found`, `idempotency_key_reused`, `temporarily_unavailable`
 */
export async function setUnits(
  deps: Deps<'table'>,
  accountId: string,
  { units, ...request }: OperatorRequest & { units: number },
): Promise<BookedStanding> {
  const content = ['set', units, request.reason]
  const { entry: _, ...standing } = await bookIfNeeded(
    deps,
    accountId,
    { ...request, action: 'operator.units_set', content },
    async (account) => {
      const missing = units - account.quota.left
      if (missing === 0) return undefined
      if (missing < 0) return takeChange(deps, account, -missing)
      // How much of the debt one grant pays is bounded.
      const { entries } = await payOwedUnits(deps, account, missing + unitsOwed(account))
      const paid = entries.reduce((sum, entry) => sum - entry.units, 0)
      const given = missing + paid
      return grantChange(deps, account, { units: given }, gaveText(given))
    },
  )
  return standing
}

function takenText(taken: number, missing: number): string {
  const took = taken > 0 ? [`We took back ${unitsText(taken)}.`] : []
  const owed = missing > 0 ? [`We will take ${unitsText(missing)} from your next purchase.`] : []
  return [...took, ...owed].join(' ')
}
