import { type Bug, plant } from './planted.ts'
import { type Purchases, purchases } from './purchase-world.ts'

/** Folders that know each other: a patch in one must be seen by all. */
const NOUNS = ['purchases', 'quota', 'cards', 'account', 'webhooks']

/** Where the functions under test are found. */
const MODULES = [
  'purchases/buy.ts',
  'purchases/check-quotas.ts',
  'purchases/settle-payments.ts',
  'purchases/reconcile.ts',
  'purchases/renewal.ts',
  'quota/consume.ts',
  'webhooks/events.ts',
  'cards/expiry.ts',
  'cards/verify.ts',
  'cards/remove.ts',
  'cards/change.ts',
  'account/profile.ts',
]

/** The functions of the purchase machine with a bug in them. */
export async function plantedPurchases(bug: Bug): Promise<{ functions: Purchases; remove(): void }> {
  const { exported, remove } = await plant(bug, NOUNS, MODULES)
  const functions = Object.fromEntries(Object.keys(purchases).map((name) => [name, exported[name]]))
  return { functions: functions as Purchases, remove }
}
