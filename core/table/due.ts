import type { Deps } from '../ports.ts'
import { type DueKind, type Key, shownKey } from './keys.ts'

/** What a job did with the items of one kind that were due. */
export interface Worked {
  /** Items of which `work` said that something came of them. */
  done: number
  /** Items on which it threw: they stay due, and one of them does not keep the others waiting. */
  failed: number
}

/** How long and how wide a run may go. */
export interface Run {
  /** Nothing is begun after this moment, epoch ms: the function's time is nearly over. */
  untilMs: number
  /** Items worked on at once. */
  width: number
}

/** Items taken from the index at once. */
const DUE_PAGE = 400

/**
 * Does `work` on everything of a kind that is due, many at once, until nothing is left or the time is over. One that
 * stays due is worked on once in a run.
 */
export async function eachDue(
  deps: Deps<'table'>,
  kind: DueKind,
  run: Run,
  work: (key: Key) => Promise<boolean>,
): Promise<Worked> {
  const worked = { done: 0, failed: 0 }
  const seen = new Set<string>()
  const inTime = () => deps.clock.nowMs() < run.untilMs
  for (let fresh = true; fresh && inTime(); ) {
    const keys = await deps.table.due(kind, deps.clock.nowMs(), DUE_PAGE)
    const waiting = keys.filter(({ pk, sk }) => !seen.has(`${pk} ${sk}`))
    fresh = waiting.length > 0
    for (const { pk, sk } of waiting) seen.add(`${pk} ${sk}`)
    const worker = async () => {
      for (let key = waiting.shift(); key && inTime(); key = waiting.shift()) {
        try {
          if (await work(key)) worked.done++
        } catch (error) {
          worked.failed++
          deps.log.error('an item of the run failed', error, { item: shownKey(key) })
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(run.width, waiting.length) }, worker))
  }
  return worked
}
