import { DomainError } from '../errors.ts'
import type { KeyLimits } from '../keys/settings.ts'
import type { Deps } from '../ports.ts'
import { attr, type Expression, expr, unchangedSince } from '../table/expression.ts'
import { type Key, reservationKey } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { type Counter, readCounter } from './counter.ts'
import { keyArrivalAttribute, keyTakenAttribute, keyUseAttribute } from './quota.ts'
import { openIn, type Reservation, readOpenReservations } from './reservation.ts'

/** What else the write says that gives a key its stamp, so that the counter holds the key's limits. */
export interface LimitChange {
  sets: Expression[]
  removes: Expression[]
  /** Of the counter. */
  conditions: Expression[]
  /** Of other items, for the same transaction. */
  checks: Write[]
}

/** Most reservations outside the counter that one transaction can check. */
const CHECKS_MOST = 80

/** What the counter says of a new key. */
export const newKeyLimits = (slot: number, { budget, rate }: KeyLimits): Expression[] => [
  ...(budget ? [expr`${attr(keyTakenAttribute(slot))} = ${0}`] : []),
  ...(rate ? [expr`${attr(keyArrivalAttribute(slot))} = ${0}`] : []),
]

/** What the counter says of the limits of a key, which goes with the key. */
export const limitAttributes = (slot: number): Expression[] =>
  [keyTakenAttribute(slot), keyArrivalAttribute(slot)].map((name) => expr`${attr(name)}`)

/**
 * How the counter changes with the limits of a key. A first budget begins with what the key has used and holds, which
 * takes a read. Another rate begins with a full bucket.
 * @throws DomainError `conflict` if the account has more than 80 open reservations outside the counter, because a
 *   transaction has no room to check that they stay open
 */
export async function limitChange(
  deps: Deps<'table'>,
  accountId: string,
  slot: number,
  before: KeyLimits,
  after: KeyLimits,
): Promise<LimitChange> {
  const change: LimitChange = { sets: [], removes: [], conditions: [], checks: [] }
  const [taken, arrival] = [attr(keyTakenAttribute(slot)), attr(keyArrivalAttribute(slot))]
  if (!isSameRate(before, after))
    (after.rate ? change.sets : change.removes).push(after.rate ? expr`${arrival} = ${0}` : expr`${arrival}`)
  if (before.budget && !after.budget) change.removes.push(expr`${taken}`)
  if (before.budget || !after.budget) return change
  const counter = await readCounter(deps, accountId)
  const inCounter = openIn(counter)
  const outside = await openOutside(deps, accountId, counter, inCounter)
  const held = unitsIn([...inCounter, ...outside].filter((each) => each.slot === slot))
  return {
    ...change,
    sets: [...change.sets, expr`${taken} = if_not_exists(${attr(keyUseAttribute(slot))}, ${0}) + ${held}`],
    conditions: [unchangedSince(counter.item, ['v', 'y'])],
    // As these are still open and `v` and `y` are unchanged, no other reservation is open.
    checks: outside.map(({ nonce }) => ({
      check: reservationKey(accountId, nonce.toString('hex')),
      if: expr`attribute_exists(#due)`,
    })),
  }
}

const isSameRate = ({ rate: one }: KeyLimits, { rate: other }: KeyLimits): boolean =>
  one?.unitsPerSecond === other?.unitsPerSecond && one?.burst === other?.burst

/** The open reservations that have an item of their own. */
async function openOutside(
  deps: Deps<'table'>,
  accountId: string,
  counter: Counter,
  inCounter: readonly Reservation[],
): Promise<Reservation[]> {
  const outsideUnits = counter.held - unitsIn(inCounter)
  const found: Reservation[] = []
  let after: Key | undefined
  while (unitsIn(found) < outsideUnits) {
    const page = await readOpenReservations(deps, accountId, after)
    found.push(...page.open)
    if (found.length > CHECKS_MOST) throw new DomainError('conflict')
    after = page.next
    if (!after) break
  }
  return found
}

const unitsIn = (reservations: readonly Reservation[]): number =>
  reservations.reduce((sum, { units }) => sum + units, 0)
