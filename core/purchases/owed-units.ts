import type { Profile } from '../account/account.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import type { NewEntry } from './ledger.ts'
import { type Purchase, readPurchase } from './purchase.ts'

/** Units that should be back for the money that went back: in proportion, and all of them for all of it. */
export const unitsForReversal = ({ units, amountCents }: Purchase, reversedCents: number): number =>
  reversedCents >= amountCents ? units : Math.floor((units * reversedCents) / amountCents)

/** What `returned` of the units owed for `reversedCents` are worth; all of them, to the cent, all of it. */
export function centsForReturnedUnits(purchase: Purchase, reversedCents: number, returned: number): number {
  const owed = unitsForReversal(purchase, reversedCents)
  if (returned >= owed) return reversedCents
  return Math.floor((reversedCents * returned) / owed)
}

/** What a credit pays of the units that are owed. */
export interface Paid {
  entries: NewEntry[]
  writes: Write[]
  /** What they are worth: it evens the balance out. */
  amountCents: number
  /** What is still owed, by purchase; undefined when nothing is. */
  owed: Profile['owed']
}

/** Purchases that one credit pays for: their writes go into its transaction. */
const AT_ONCE = 5

/** Takes owed units out of a credit of `units`, the oldest purchase first. */
export async function payOwedUnits(deps: Deps<'table'>, profile: Profile, units: number): Promise<Paid> {
  const paid: Paid = { entries: [], writes: [], amountCents: 0, owed: undefined }
  const left = { ...profile.owed }
  let rest = units
  for (const purchaseId of Object.keys(left).sort().slice(0, AT_ONCE)) {
    const purchase = await readPurchase(deps, profile.id, purchaseId)
    if (!purchase) throw new Error('a purchase that owes units is gone')
    const taken = Math.min(rest, left[purchaseId] ?? 0)
    if (taken === 0) continue
    rest -= taken
    left[purchaseId] = (left[purchaseId] ?? 0) - taken
    if (left[purchaseId] === 0) delete left[purchaseId]
    const returned = purchase.returnedUnits + taken
    const worth = centsForReturnedUnits(purchase, purchase.refundedCents + purchase.disputedCents, returned)
    const amountCents = worth - purchase.returnedCents
    paid.entries.push({ kind: 'return', units: -taken, amountCents, purchaseId })
    paid.amountCents += amountCents
    paid.writes.push({
      update: keys.purchase(profile.id, purchaseId),
      set: expr`SET #returnedUnits = ${returned}, #returnedCents = ${worth}`,
      if: expr`#returnedUnits = ${purchase.returnedUnits} AND #refundedCents = ${purchase.refundedCents} AND #disputedCents = ${purchase.disputedCents}`,
    })
  }
  if (Object.keys(left).length > 0) paid.owed = left
  return paid
}
