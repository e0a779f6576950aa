import type { Profile } from '../account/account.ts'
import type { NewEntry } from '../ledger/entry.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { type Purchase, readPurchase } from './purchase.ts'

/** Units to take back for a reversal of this size, pro rata; a full reversal takes back all units. */
export const unitsForReversal = ({ units, amountCents }: Purchase, reversedCents: number): number =>
  reversedCents >= amountCents ? units : Math.floor((units * reversedCents) / amountCents)

/** Value of `returned` units, so that returning every unit is worth exactly `reversedCents`. */
export function centsForReturnedUnits(purchase: Purchase, reversedCents: number, returned: number): number {
  const owed = unitsForReversal(purchase, reversedCents)
  if (returned >= owed) return reversedCents
  return Math.floor((reversedCents * returned) / owed)
}

/** Where `Profile.owed` keeps the units that an operator has taken and that were not left. No id of a purchase. */
export const TAKEN_BY_OPERATOR = 'operator'

/** All units that an account owes. */
export const unitsOwed = ({ owed }: Pick<Profile, 'owed'>): number =>
  Object.values(owed ?? {}).reduce((sum, units) => sum + units, 0)

/** The owed units that a credit pays. */
export interface Paid {
  entries: NewEntry[]
  writes: Write[]
  /** Value of the paid units, in the currency's minor unit, by which the account's debt shrinks. */
  amountCents: number
  /** Units still owed, as in `Profile.owed`; undefined if no units are owed. */
  owed: Profile['owed']
}

/** The most purchases whose owed units one credit pays: their writes go into its transaction. */
const PURCHASES_PER_CREDIT = 5

/** Takes owed units out of a credit of `units`: the oldest purchase first, what an operator has taken last. */
export async function payOwedUnits(deps: Deps<'table'>, profile: Profile, units: number): Promise<Paid> {
  const paid: Paid = { entries: [], writes: [], amountCents: 0, owed: undefined }
  const left = { ...profile.owed }
  let rest = units
  const purchases = Object.keys(left).filter((key) => key !== TAKEN_BY_OPERATOR)
  for (const purchaseId of purchases.sort().slice(0, PURCHASES_PER_CREDIT)) {
    const purchase = await readPurchase(deps, profile.id, purchaseId)
    if (!purchase) throw new Error('a purchase that owes units does not exist')
    const taken = Math.min(rest, left[purchaseId] ?? 0)
    if (taken === 0) continue
    rest -= taken
    left[purchaseId] = (left[purchaseId] ?? 0) - taken
    if (left[purchaseId] === 0) delete left[purchaseId]
    const returned = purchase.returnedUnits + taken
    const worth = centsForReturnedUnits(purchase, purchase.refundedCents + purchase.disputedCents, returned)
    const amountCents = worth - purchase.returnedCents
    paid.entries.push({ kind: 'return', units: -taken, amountCents, currency: purchase.currency, purchaseId })
    paid.amountCents += amountCents
    paid.writes.push({
      update: keys.purchase(profile.id, purchaseId),
      set: expr`SET #returnedUnits = ${returned}, #returnedCents = ${worth}`,
      if: expr`#returnedUnits = ${purchase.returnedUnits} AND #refundedCents = ${purchase.refundedCents} AND #disputedCents = ${purchase.disputedCents}`,
    })
  }
  const taken = Math.min(rest, left[TAKEN_BY_OPERATOR] ?? 0)
  if (taken > 0) {
    left[TAKEN_BY_OPERATOR] = (left[TAKEN_BY_OPERATOR] ?? 0) - taken
    if (left[TAKEN_BY_OPERATOR] === 0) delete left[TAKEN_BY_OPERATOR]
    paid.entries.push({ kind: 'take', units: -taken, amountCents: 0 })
  }
  if (Object.keys(left).length > 0) paid.owed = left
  return paid
}
