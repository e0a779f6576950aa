import type { Deps } from '../ports.ts'
import { type DueKind, type Key, shownKey } from './keys.ts'

/** Result of a run over the due items of one kind. */
export interface Worked {
  /** Items for which `work` returned true. */
  done: number
  /** Items for which `work` threw. They stay due and do not hold up other items. */
  failed: number
  /** Items that were found due and not begun before the time was over, if any; there may be more. */
  left?: number
}

/** Limits of a run. */
export interface Run {
  /** Work on an item does not begin after this moment, epoch ms, because the function's time-out is near. */
  untilMs: number
  /** Number of items worked on at once. */
  width: number
  /**
   * Resolves when the next piece of work that has to keep a pace may begin; false if the run is out of time.
   */
  ready?(): Promise<boolean>
}

/** A run that may find what a person must see. */
export interface WatchfulRun extends Run {
  /** Writes a log line of level `alarm`: a sentence that names the object and says what to do. */
  alarm(sentence: string): void
}

/** Number of keys read from the index at once. */
const DUE_PAGE = 400

/**
 * Runs `work` on every due item of a kind, several at once, until no item is left or the time is over. An
 * item that stays due is worked on only once per run.
 */
export async function eachDue(
  deps: Deps<'table'>,
  kind: DueKind,
  run: Run,
  work: (key: Key) => Promise<boolean>,
): Promise<Worked> {
  const total: Worked = { done: 0, failed: 0 }
  const seen = new Set<string>()
  for (let fresh = true; fresh && deps.clock.nowMs() < run.untilMs; ) {
    // Items that stay due are the oldest, so the page also has room for those that were seen.
    const keys = await deps.table.due(kind, deps.clock.nowMs(), DUE_PAGE + seen.size)
    const waiting = keys.filter(({ pk, sk }) => !seen.has(`${pk} ${sk}`))
    fresh = waiting.length > 0
    for (const { pk, sk } of waiting) seen.add(`${pk} ${sk}`)
    const { done, failed, left } = await eachOf(deps, waiting, run, work)
    total.done += done
    total.failed += failed
    if (left !== undefined) total.left = left
  }
  return total
}

/** Runs `work` on every one of these items, several at once, until the time is over. */
export async function eachOf<K extends Key>(
  deps: Deps,
  keys: readonly K[],
  run: Run,
  work: (key: K) => Promise<boolean>,
): Promise<Worked> {
  const worked: Worked = { done: 0, failed: 0 }
  const waiting = [...keys].reverse()
  const worker = async () => {
    while (deps.clock.nowMs() < run.untilMs) {
      const key = waiting.pop()
      if (!key) return
      try {
        if (await work(key)) worked.done++
      } catch (error) {
        worked.failed++
        deps.log.error('a due item failed and stays due; a later run retries it', error, {
          item: shownKey(key),
        })
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(run.width, keys.length) }, worker))
  if (waiting.length > 0) worked.left = waiting.length
  return worked
}
