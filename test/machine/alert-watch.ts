import { readAlerts } from '../../core/quota/alerts.ts'
import type { Item, Write } from '../../core/table/table.ts'

/** An alert that the balance fell below, by its threshold as chosen and the counter's ledger number. */
export interface Crossing {
  below: number
  seq: number
}

const unitsIn = (below: number, size: number): number =>
  below < 1 ? Math.ceil(Math.round(size * below * 10_000) / 10_000) : below

/**
 * Counts, write by write, what owners are to be told: an alert is armed when it is chosen or when units are credited,
 * if the balance is then not below it, and fires at the next write that takes the balance below. Of `core` it takes
 * which alerts are chosen, and not whether they are armed.
 */
export function watchAlerts(crossings: Crossing[] = []) {
  let armed: Map<number, boolean> | undefined
  const counterIn = (items: readonly Item[]) => items.find(({ sk }) => sk === '#QUOTA')
  const numbersOf = ({ l, f, q, s, i }: Item) => ({
    left: Number(l) + Number(f),
    size: Number(q),
    seq: Number(s),
    belows: readAlerts(i as Uint8Array | undefined).alerts.map(({ below }) => below),
  })
  const stateOf = ({ i }: Item) =>
    new Map(readAlerts(i as Uint8Array | undefined).alerts.map((alert) => [alert.below, alert.armed]))

  function note(before: Item | undefined, after: Item | undefined): void {
    if (!before || !after) return
    const state = armed ?? stateOf(before)
    const [from, to] = [numbersOf(before), numbersOf(after)]
    const next = new Map<number, boolean>()
    for (const below of to.belows) {
      const isLow = to.left < unitsIn(below, to.size)
      const was = state.get(below)
      const fires = was === true && isLow && from.left >= unitsIn(below, from.size)
      if (fires) crossings.push({ below, seq: to.seq })
      const arms = was === undefined || (to.seq > from.seq && to.left > from.left)
      next.set(below, (was === true && !fires) || (arms && !isLow && !fires))
    }
    armed = next
  }

  return {
    crossings,
    watch: (writes: readonly Write[], items: () => Item[], apply: () => void): void => {
      const isCounter = writes.some(
        (write) => ('update' in write ? write.update : 'put' in write ? write.put : {}).sk === '#QUOTA',
      )
      const before = isCounter ? counterIn(items()) : undefined
      apply()
      if (isCounter) note(before, counterIn(items()))
    },
  }
}
