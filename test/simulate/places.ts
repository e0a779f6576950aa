import { OPERATIONS, type Operation, type OperationName, type Places } from './operations.ts'
import type { Watch } from './peaks.ts'
import { busiestSecond } from './random.ts'
import type { Settings } from './settings.ts'

/** Adds what an operation writes to shared places so many times. */
export function addPlaces(places: Places, name: OperationName, times: number): void {
  const { places: units }: Operation = OPERATIONS[name]
  for (const place in units) places[place] = (places[place] ?? 0) + times * (units[place] ?? 0)
}

/** Compares what shared places take in a minute with what their partitions bear. */
export function watchPlaces(watch: Watch, minute: number, places: Places, settings: Settings): void {
  const { totalsKeys, dueShards, listShards } = settings
  for (const place in places) {
    const busiest = (partitions: number) => busiestSecond((places[place] ?? 0) / 60 / partitions)
    if (place === 'totals') watch('totals', minute, busiest(totalsKeys), 'TOTALS')
    else if (place.startsWith('due ')) watch('due', minute, busiest(dueShards), place)
    // Look-ups of keys are in many lists of a few each.
    else if (place !== 'listed key') watch('listed', minute, busiest(listShards), place)
  }
}
