import { setImmediate } from 'node:timers/promises'

/** A way to spend one unit of one of several accounts, exactly. */
export interface Contender {
  name: string
  /** @returns whether the unit was spent. */
  spend(account: number): Promise<boolean> | boolean
  /** Write units of DynamoDB so far, where there are any. */
  writeUnits?(): Promise<number>
  /** Units spent so far in all accounts, by the contender's own books. */
  counted(): Promise<number>
  close(): Promise<unknown>
}

export interface Result {
  perSecond: number
  /** Time of one spend, ms. */
  p50: number
  p99: number
  writeUnitsPerSpend: number | undefined
  spends: number
}

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN

/**
 * Spends for a while with this many spends under way at once.
 * @param accounts the spends go around the first so many accounts.
 * @throws Error if one is refused, or if the books of the contender show another number of units
 */
export async function load(
  contender: Contender,
  { inFlight, accounts, ms }: { inFlight: number; accounts: number; ms: number },
): Promise<Result> {
  const before = await contender.counted()
  const unitsBefore = await contender.writeUnits?.()
  const times: number[] = []
  let begun = 0
  const startMs = performance.now()
  const untilMs = startMs + ms
  async function spender(): Promise<void> {
    while (performance.now() < untilMs) {
      const sinceMs = performance.now()
      const spent = contender.spend(begun++ % accounts)
      const isSpent = typeof spent === 'boolean' ? spent : await spent
      if (!isSpent) throw new Error(`${contender.name} refused a spend although units are left`)
      times.push(performance.now() - sinceMs)
      // What decides in memory must leave some time to everything else.
      if (begun % 512 === 0) await setImmediate()
    }
  }
  await Promise.all(Array.from({ length: inFlight }, spender))
  const seconds = (performance.now() - startMs) / 1000
  const spends = times.length
  const counted = (await contender.counted()) - before
  if (counted !== spends) throw new Error(`${contender.name} served ${spends} spends and counted ${counted}`)
  const unitsAfter = await contender.writeUnits?.()
  times.sort((a, b) => a - b)
  return {
    spends,
    perSecond: spends / seconds,
    p50: at(times, 0.5),
    p99: at(times, 0.99),
    writeUnitsPerSpend:
      unitsBefore === undefined || unitsAfter === undefined ? undefined : (unitsAfter - unitsBefore) / spends,
  }
}
