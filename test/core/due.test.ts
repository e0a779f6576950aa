import { expect, test } from 'vitest'
import { randomIds } from '../../core/adapters/ids.ts'
import type { Deps } from '../../core/ports.ts'
import { eachDue } from '../../core/table/due.ts'
import { expr } from '../../core/table/expression.ts'
import { dueAt, type Key, keys } from '../../core/table/keys.ts'
import { memoryTable } from '../machine/memory-table.ts'
import { silentLog } from '../support/log.ts'

const START_MS = Date.UTC(2026, 10, 21)
const whole = { untilMs: Number.POSITIVE_INFINITY, width: 20 }

/** Stores items of one kind: `count` are due now, and one tomorrow. */
async function waiting(count: number) {
  let nowMs = START_MS
  const clock = { nowMs: () => nowMs, wait: async () => {} }
  const deps: Deps<'table'> = { clock, ids: randomIds(clock), log: silentLog, table: memoryTable() }
  const put = async (atMs: number) => {
    const id = deps.ids.hex(12)
    await deps.table.put({ ...keys.purchase(id, id), ...dueAt('PURCHASE', id, atMs) })
  }
  for (let n = 0; n < count; n++) await put(START_MS - n)
  await put(START_MS + 86_400_000)
  return {
    deps,
    pass: (ms: number) => {
      nowMs += ms
    },
  }
}

const done = async (deps: Deps<'table'>, key: Key) => {
  await deps.table.update(key, expr`REMOVE #due, #dueAtMs`)
  return true
}

test('a run works on every due item, however many there are, and on no other', async () => {
  const { deps } = await waiting(1_500)
  expect(await eachDue(deps, 'PURCHASE', whole, (key) => done(deps, key))).toEqual({ done: 1_500, failed: 0 })
  expect(await eachDue(deps, 'PURCHASE', whole, (key) => done(deps, key))).toEqual({ done: 0, failed: 0 })
})

test('an item that fails or stays due is worked on once in a run and does not delay the others', async () => {
  const { deps } = await waiting(300)
  const seen = new Set<string>()
  let calls = 0
  const worked = await eachDue(deps, 'PURCHASE', whole, async (key) => {
    calls++
    seen.add(key.pk)
    if (seen.size % 10 === 0) throw new Error('it fails')
    return seen.size % 10 === 1 ? false : done(deps, key)
  })
  expect([calls, seen.size]).toEqual([300, 300])
  expect(worked).toEqual({ done: 240, failed: 30 })
})

test('as many items are worked on concurrently as the run allows, and no more', async () => {
  const { deps } = await waiting(200)
  let atOnce = 0
  let most = 0
  await eachDue(deps, 'PURCHASE', { ...whole, width: 7 }, async (key) => {
    most = Math.max(most, ++atOnce)
    await new Promise((resolve) => setImmediate(resolve))
    atOnce--
    return done(deps, key)
  })
  expect(most).toBe(7)
})

test('when the time is up, a run begins no further item, finishes those begun, and leaves and counts the rest', async () => {
  const { deps, pass } = await waiting(200)
  const run = { untilMs: START_MS + 50, width: 10 }
  let ended = 0
  const worked = await eachDue(deps, 'PURCHASE', run, async (key) => {
    pass(1)
    await new Promise((resolve) => setImmediate(resolve))
    ended++
    return done(deps, key)
  })
  expect(worked).toEqual({ done: 50, failed: 0, left: 150 })
  expect(ended).toBe(50)
  expect((await deps.table.due('PURCHASE', START_MS, 1_000)).length).toBe(150)
})
