import { keyNames } from '../keys/stored-keys.ts'
import type { Deps } from '../ports.ts'
import { readUsage } from '../quota/usage.ts'
import { nextMonthMs } from '../time.ts'

/** Units used with an application key. All deleted keys are one entry without a name. */
export interface KeyUse {
  name: string | undefined
  units: number
}

/** Units used in a calendar month (UTC, such as 2026-11) by application key, most first. Keys without use are left out. */
export async function keyUseInMonth(
  deps: Deps<'table'>,
  accountId: string,
  month: string,
): Promise<KeyUse[]> {
  const fromMs = Date.parse(`${month}-01T00:00:00Z`)
  const [{ days }, names] = await Promise.all([
    readUsage(deps, accountId, { fromMs, toMs: nextMonthMs(fromMs) - 1 }),
    keyNames(deps, accountId),
  ])
  const units = new Map<string | undefined, number>()
  for (const use of days.flatMap(({ keys }) => keys)) units.set(use.id, (units.get(use.id) ?? 0) + use.units)
  return [...units]
    .map(([id, used]) => ({ name: id === undefined ? undefined : (names.get(id) ?? id), units: used }))
    .sort((a, b) => b.units - a.units)
}
