import type { Deps } from '../ports.ts'
import { expr, join } from '../table/expression.ts'
import { keys, lotKey } from '../table/keys.ts'
import type { Lot } from './lots.ts'
import { sameLots } from './place-lot.ts'
import type { Quota } from './quota.ts'

/**
 * Moves what is left of the second lot from the counter to the items of its day, and takes the units of lots that have
 * ended out of their items. As long as the counter has the rest, nobody asks the items, so this can break off anywhere.
 * An item has the number of the ledger entry up to which it is true (`asOf`), which keeps a process that was slow from
 * writing what was true earlier: its units alone would not tell, because they can come back to an earlier value.
 * @throws ConditionFailed if another process has changed the lots meanwhile
 */
export async function flushRest(
  deps: Deps<'table'>,
  accountId: string,
  { lots: first, seq }: Pick<Quota, 'lots' | 'seq'>,
  lots: readonly Lot[],
): Promise<void> {
  if (!first?.rest) return
  const { day, rest } = first
  const overridden = lots.filter((lot) => lot.seq <= seq && lot.day > day && lot.day <= rest.day)
  const keeper = overridden.find((lot) => lot.day === rest.day)
  for (const lot of overridden) {
    const units = lot === keeper ? rest.units : 0
    if (units === lot.units) continue
    const key = lotKey(accountId, lot.day, lot.seq)
    const isOlder = expr`#units = ${lot.units} AND (attribute_not_exists(#asOf) OR #asOf < ${seq})`
    await deps.table.update(key, expr`SET #units = ${units}, #asOf = ${seq}`, isOlder)
  }
  const same = [expr`#s = ${seq}`, ...sameLots(first)]
  await deps.table.update(keys.quota(accountId), expr`REMOVE #P, #Q`, join(same, ' AND '))
}
