import { OPERATIONS, type OperationName } from './operations.ts'

/** Work that waits, oldest first. */
export interface Queue {
  add(minute: number, name: OperationName, count: number): void
  /**
   * Does what is due and for which there is time.
   * @param seconds of work, all workers together
   * @param most items
   * @returns how many of each were done
   */
  serve(minute: number, seconds: number, most?: number): Partial<Record<OperationName, number>>
  /** How long the oldest item has waited, minutes. */
  waited(minute: number): number
  size(): number
}

export function openQueue(): Queue {
  let waiting: { minute: number; name: OperationName; count: number }[] = []
  let first = 0
  let size = 0
  return {
    add(minute, name, count) {
      if (count <= 0) return
      waiting.push({ minute, name, count })
      size += count
    },
    serve(minute, seconds, most = Number.POSITIVE_INFINITY) {
      const done: Partial<Record<OperationName, number>> = {}
      for (let next = waiting[first]; next && next.minute <= minute; next = waiting[first]) {
        const each = OPERATIONS[next.name].seconds
        const count = Math.min(next.count, Math.floor(seconds / each), Math.floor(most))
        if (count <= 0) break
        done[next.name] = (done[next.name] ?? 0) + count
        next.count -= count
        size -= count
        seconds -= count * each
        most -= count
        if (next.count > 0) break
        first++
      }
      if (first > 10_000) {
        waiting = waiting.slice(first)
        first = 0
      }
      return done
    },
    waited: (minute) => Math.max(0, minute - (waiting[first]?.minute ?? minute)),
    size: () => size,
  }
}
