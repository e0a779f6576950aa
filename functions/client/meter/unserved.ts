import type { Clock, SpendRequest } from './spender.ts'

/** Bursar knows a spent id for three days; the customer's next request comes sooner or not at all. */
const KEPT_MS = 60 * 60 * 1000
const MOST_KEPT = 10_000

/** Ids whose units are, or may be, spent without the customer having been served. */
export interface Unserved {
  /** @param isSpent Bursar has confirmed that the id is spent */
  keep(request: SpendRequest, id: string, isSpent: boolean): void
  /** An id that pays for this request, or that spends its units if it has not yet; undefined if there is none. */
  take(request: SpendRequest): string | undefined
}

/**
 * Keeps the ids of work that failed, and of requests that were refused because no answer came. The wire has no refund of a
 * spend, but an id spends once: sent again with the customer's next request of the same size and tag, it is told
 * `replayed` and takes nothing if it was spent, and is spent then if it was not. So the customer is served once for each
 * unit, without another call. Each id is handed to one request at a time. In memory: what a process has kept when it
 * ends is lost to the customer, and so is what is older than an hour.
 */
export function openUnserved(clock: Clock): Unserved {
  // Apart, so that requests with invented keys, to which no answer came, cannot push out what customers have paid.
  const [spent, unknown] = [openIds(clock), openIds(clock)]
  return {
    keep(request, id, isSpent) {
      // A check spends nothing, and an id of the caller's own is repeated by the caller.
      if (request.units === 0 || request.requestId !== undefined) return
      const ids = isSpent ? spent : unknown
      ids.keep(request, id)
    },
    take: (request) => spent.take(request) ?? unknown.take(request),
  }
}

function openIds(clock: Clock) {
  /** By customer, size and tag. Both the map and its lists have the oldest first. */
  const kept = new Map<string, { id: string; untilMs: number }[]>()
  let count = 0

  function dropOldest(): void {
    for (const [name, ids] of kept) {
      count -= ids.length
      kept.delete(name)
      return
    }
  }

  return {
    keep(request: SpendRequest, id: string): void {
      if (count >= MOST_KEPT) dropOldest()
      const name = nameOf(request)
      const ids = kept.get(name) ?? []
      ids.push({ id, untilMs: clock.nowMs() + KEPT_MS })
      kept.delete(name)
      kept.set(name, ids)
      count += 1
    },
    take(request: SpendRequest): string | undefined {
      const name = nameOf(request)
      const ids = kept.get(name)
      while (ids !== undefined && ids.length > 0) {
        const oldest = ids.shift()
        count -= 1
        if (ids.length === 0) kept.delete(name)
        if (oldest !== undefined && oldest.untilMs > clock.nowMs()) return oldest.id
      }
      return undefined
    },
  }
}

const nameOf = ({ key, units, tag }: SpendRequest): string => JSON.stringify([key, units, tag])
