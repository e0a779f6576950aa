import type { Ports } from '../../core/ports.ts'
import { consumeTogether } from '../../core/quota/group-commit.ts'
import type { Table } from '../../core/table/table.ts'
import { metered } from '../support/metered-table.ts'
import { memoryTable } from './memory-table.ts'
import { openQuotaWorld } from './quota-world.ts'
import { randomFrom } from './random.ts'

/** How a crowd of callers spends with one key. */
export interface Crowd {
  callers: number
  /** Spends of each caller, one after the other. */
  each: number
  /** Whether each caller is a container of its own, or all are in one process. */
  apart: boolean
  /** Time that the database needs for a write of the counter, ms: it does one after the other. */
  writeMs?: number
  /** Time of a call on its way to the database, and back, ms; up to twice as long at random. */
  wayMs?: number
  named?: boolean
  /** Watches the calls that reach the table. */
  watch?: (table: Table) => Table
}

/**
 * Lets a crowd spend in simulated time: nothing depends on how fast the machine is, and the same crowd costs the same
 * each time.
 * @returns averages over all spends: write units, read units, and how long an answer took (ms)
 */
export async function runCrowd({
  callers,
  each,
  apart,
  writeMs = 1,
  wayMs = 2,
  named = true,
  watch = (table) => table,
}: Crowd) {
  const random = randomFrom(1)
  const time = simulatedTime()
  const { table, units } = metered(slowTable(watch(memoryTable()), time, random, writeMs, wayMs))
  const world = await time.run(openQuotaWorld({ left: 10_000_000, table }))
  const key = world.keys[0] ?? ''
  const started = time.nowMs()
  const clock = { nowMs: () => Math.floor(world.nowMs() + time.nowMs() - started), wait: time.wait }
  const portsOf = (): Ports => ({ ...world.ports, clock, table: apart ? { ...table } : table })
  const shared = portsOf()
  Object.assign(units, { writes: 0, reads: 0 })
  let made = 0
  let waitedMs = 0
  let slowestMs = 0
  const id = () => {
    made += 1
    const at = clock.nowMs().toString(16).padStart(12, '0')
    return `${at.slice(0, 8)}-${at.slice(8)}-7000-8000-${made.toString(16).padStart(12, '0')}`
  }
  let failed = 0
  const spend = async (...request: Parameters<typeof consumeTogether>): Promise<void> => {
    await consumeTogether(...request).catch(() => {
      failed += 1
      return spend(...request)
    })
  }
  const caller = async () => {
    const ports = apart ? portsOf() : shared
    for (let n = 0; n < each; n++) {
      const began = time.nowMs()
      await spend(ports, key, { units: 1, requestId: named ? id() : undefined })
      waitedMs += time.nowMs() - began
      slowestMs = Math.max(slowestMs, time.nowMs() - began)
    }
  }
  const before = time.nowMs()
  await time.run(Promise.all(Array.from({ length: callers }, caller)))
  const took = time.nowMs() - before
  const spends = callers * each
  const { u } = await time.run(world.counter())
  return {
    used: Number(u),
    spends,
    failed,
    writes: units.writes / spends,
    reads: units.reads / spends,
    waitedMs: waitedMs / spends,
    slowestMs,
    perSecond: (1000 * spends) / took,
  }
}

type Time = ReturnType<typeof simulatedTime>

/** A clock that jumps to the next moment at which somebody waits for something. */
function simulatedTime() {
  let nowMs = 0
  let order = 0
  const waiting: { atMs: number; order: number; resolve: () => void }[] = []
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      waiting.push({ atMs: nowMs + ms, order: order++, resolve })
    })
  return {
    nowMs: () => nowMs,
    wait,
    /** Lets time pass until the work is done. */
    async run<T>(work: Promise<T>): Promise<T> {
      let isDone = false
      const finished = work.finally(() => {
        isDone = true
      })
      finished.catch(() => {})
      while (!isDone) {
        // The table takes a turn of the event loop, and so do the promises of whoever was woken.
        for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
        const [next] = waiting.sort((a, b) => a.atMs - b.atMs || a.order - b.order).splice(0, 1)
        if (next === undefined) continue
        nowMs = Math.max(nowMs, next.atMs)
        next.resolve()
      }
      return finished
    },
  }
}

/** A table whose calls take time, and which writes an item once at a time, in the order in which the writes came. */
function slowTable(table: Table, time: Time, random: () => number, writeMs: number, wayMs: number): Table {
  const freeAtMs = new Map<string, number>()
  const way = () => time.wait(wayMs * (1 + random()))
  const write = async <T>(sk: unknown, run: () => Promise<T>): Promise<T> => {
    await way()
    const name = String(sk)
    const atMs = Math.max(time.nowMs(), freeAtMs.get(name) ?? 0)
    freeAtMs.set(name, atMs + writeMs)
    await time.wait(atMs - time.nowMs())
    try {
      return await run()
    } finally {
      await time.wait(writeMs)
      await way()
    }
  }
  const read = async <T>(run: () => Promise<T>): Promise<T> => {
    await way()
    const result = await run()
    await way()
    return result
  }
  return {
    ...table,
    get: (key) => read(() => table.get(key)),
    list: (...query) => read(() => table.list(...query)),
    put: (item, condition) => write(item.sk, () => table.put(item, condition)),
    update: (key, ...rest) => write(key.sk, () => table.update(key, ...rest)),
    putAll: async (items) => {
      await Promise.all(items.map((item) => write(item.sk, () => table.putAll([item]))))
    },
  }
}
