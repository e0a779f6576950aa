import { describe, expect, test } from 'vitest'
import { keyIdOf } from '../../core/keys/key-text.ts'
import type { Ports } from '../../core/ports.ts'
import { keyHashAttribute } from '../../core/quota/quota.ts'
import {
  carriedTrialMark,
  hadTrial,
  trialCheck,
  trialClaim,
  trialCredit,
  trialMark,
} from '../../core/quota/trial.ts'
import { decideTrial, importedCardMark, trialLeft } from '../../core/quota/trial-card.ts'
import { type DayRange, readUsage } from '../../core/quota/usage.ts'
import { readTags, splitByTag } from '../../core/quota/usage-tags.ts'
import { attr, expr } from '../../core/table/expression.ts'
import { keys, tagCountsKey, tagsKey, trialKey } from '../../core/table/keys.ts'
import type { Item, Write } from '../../core/table/table.ts'
import { DAY_MS } from '../../core/time.ts'
import { memoryTable } from '../machine/memory-table.ts'
import { openQuotaWorld, type QuotaWorld, START_MS } from '../machine/quota-world.ts'

const FIRST_MS = Math.floor(START_MS / DAY_MS) * DAY_MS
const day = (n: number) => FIRST_MS + n * DAY_MS

/** Units of each day with use, by the number of the day. */
const daysOf = async (world: QuotaWorld, range: DayRange = {}) =>
  (await readUsage(world.ports, world.accountId, range)).days.map(({ startMs, units }) => [
    (startMs - FIRST_MS) / DAY_MS,
    units,
  ])

/** A world in which so many units are used on these days; the last one is today. */
async function used(...units: number[]) {
  const world = await openQuotaWorld({ left: 100_000, keyCount: 2 })
  for (const [n, each] of units.entries()) {
    if (n > 0) world.advance(DAY_MS)
    if (each > 0) await world.spend(each)
  }
  return world
}

describe('the days of use', () => {
  test('are those asked for, both ends included, without days of no use', async () => {
    const world = await used(5, 0, 7, 8, 9)
    expect(await daysOf(world)).toEqual([
      [0, 5],
      [2, 7],
      [3, 8],
      [4, 9],
    ])
    expect(await daysOf(world, { fromMs: day(2), toMs: day(3) })).toEqual([
      [2, 7],
      [3, 8],
    ])
    // Any moment of a day stands for the day.
    expect(await daysOf(world, { fromMs: day(3) - 1, toMs: day(4) - 1 })).toEqual([
      [2, 7],
      [3, 8],
    ])
    expect(await daysOf(world, { fromMs: day(3) })).toEqual([
      [3, 8],
      [4, 9],
    ])
    expect(await daysOf(world, { toMs: day(0) })).toEqual([[0, 5]])
    expect(await daysOf(world, { fromMs: day(1), toMs: day(1) })).toEqual([])
    expect(await daysOf(world, { fromMs: day(9) })).toEqual([])
  })

  test('are the last thirty by default', async () => {
    const world = await used(1, ...Array.from({ length: 29 }, () => 2))
    expect(await daysOf(world)).toHaveLength(30)
    world.advance(DAY_MS)
    await world.spend(3)
    const days = await daysOf(world)
    expect(days).toHaveLength(30)
    expect(days[0]).toEqual([1, 2])
    expect(await daysOf(world, { toMs: day(30) })).toEqual(days)
    expect(await daysOf(world, { toMs: day(29) })).toHaveLength(30)
  })

  test('are at most 366, and at least one', async () => {
    const world = await used(5)
    const range = (fromMs: number, toMs: number) => readUsage(world.ports, world.accountId, { fromMs, toMs })
    expect((await range(day(-365), day(0))).days).toHaveLength(1)
    for (const [from, to] of [
      [day(-366), day(0)],
      [day(1), day(0)],
    ] as const)
      await expect(range(from, to)).rejects.toMatchObject({
        code: 'invalid_request',
        fields: [{ field: 'to', message: 'must make a range of 1 to 366 days, both ends included' }],
      })
  })

  test('have the use of each key, and that of all deleted keys as one', async () => {
    const world = await used(5)
    await world.spend(3, undefined, { slot: 1 })
    const usage = async () => (await readUsage(world.ports, world.accountId, {})).days[0]?.keys
    const id = keyIdOf(world.accountId, 1)
    expect(await usage()).toEqual(
      expect.arrayContaining([
        { id: 'default', units: 5 },
        { id, units: 3 },
      ]),
    )
    await world.table.remove(keys.key(world.accountId, id))
    await world.table.update(keys.quota(world.accountId), expr`REMOVE ${attr(keyHashAttribute(1))}`)
    expect(await usage()).toEqual([
      { id: 'default', units: 5 },
      { id: undefined, units: 3 },
    ])
    world.advance(DAY_MS)
    await world.spend(2)
    const { days, used: total } = await readUsage(world.ports, world.accountId, {})
    expect(days[1]?.keys).toEqual([{ id: 'default', units: 2 }])
    expect(total).toBe(10)
  })

  test('are right while a change of the day is unfinished', async () => {
    const world = await used(5)
    const counter = await world.counter()
    // The snapshot of today is there already, and more was used since.
    await world.table.put({ ...keys.day(world.accountId, Number(counter.d)), u: 2, c: { 0: 2 }, t: {} })
    expect(await daysOf(world)).toEqual([[0, 5]])
  })
})

describe('use by tag', () => {
  const tagged = async (world: QuotaWorld, range: DayRange = { withTags: true }) =>
    (await readUsage(world.ports, world.accountId, range)).days.map(({ keys: [key] }) => key?.tags)

  test('is shown where it was asked for, and for at most 31 days', async () => {
    const world = await openQuotaWorld({ left: 1000 })
    await world.batch([{ units: 5, tag: 'a' }, { units: 3, tag: 'b' }, { units: 1 }])
    const tags = [{ tag: 'a', units: 5 }, { tag: 'b', units: 3 }, { units: 1 }]
    expect(await tagged(world)).toEqual([tags])
    expect(await tagged(world, {})).toEqual([undefined])
    expect(await tagged(world, { withTags: true, fromMs: day(-30), toMs: day(0) })).toEqual([tags])
    expect(await tagged(world, { withTags: true, fromMs: day(-31), toMs: day(0) })).toEqual([undefined])
  })

  test('is read page by page, and each day has its own tags', async () => {
    const table = memoryTable()
    const account = 'account'
    for (let n = 0; n < 30; n++) {
      await table.put({ ...tagsKey(account, 100 + n), tags: [`t${n}`] })
      for (let slot = 0; slot < 8; slot++)
        await table.put({
          ...tagCountsKey(account, 100 + n, slot),
          t0: n + 1,
          ...(slot === 1 && { other: 2 }),
        })
    }
    const byDay = await readTags({ table } as unknown as Ports, account, 100, 128)
    expect(byDay.size).toBe(29)
    for (let n = 0; n < 29; n++) {
      expect(byDay.get(100 + n)?.size).toBe(8)
      expect([...(byDay.get(100 + n)?.get(0) ?? [])]).toEqual([[`t${n}`, n + 1]])
      expect(Object.fromEntries(byDay.get(100 + n)?.get(1) ?? [])).toEqual({ other: 2, [`t${n}`]: n + 1 })
    }
  })

  test('adds up to the units, the most first, and is cut where it is newer', () => {
    const counts = (...all: Record<string, number>[]) => all.map((each) => new Map(Object.entries(each)))
    expect(splitByTag(10, counts({ a: 2, b: 5 }, { a: 1 }))).toEqual([
      { tag: 'b', units: 5 },
      { tag: 'a', units: 3 },
      { units: 2 },
    ])
    expect(splitByTag(8, counts({ a: 3, b: 5 }))).toEqual([
      { tag: 'b', units: 5 },
      { tag: 'a', units: 3 },
    ])
    expect(splitByTag(5, counts({ a: 3, b: 5 }))).toEqual([{ tag: 'b', units: 5 }])
    expect(splitByTag(4, counts({ a: 3, b: 5 }))).toEqual([{ tag: 'b', units: 4 }])
    expect(splitByTag(4, [])).toBeUndefined()
    expect(splitByTag(4, counts({}))).toBeUndefined()
  })
})

describe('the trial of a mailbox or a card', () => {
  const YEAR_MS = 365 * DAY_MS

  function open(nowMs = START_MS) {
    const table = memoryTable()
    const at = (ms: number) => ({ table, clock: { nowMs: () => ms } }) as unknown as Ports
    const holds = (write: Write) =>
      table.transact([write]).then(
        () => true,
        () => false,
      )
    return { table, at, deps: at(nowMs), holds }
  }

  test('can be claimed once a year', async () => {
    const { deps, at, holds } = open()
    expect(await hadTrial(deps, 'ada', 'old')).toBe(false)
    expect(await holds(trialCheck('ada', START_MS))).toBe(true)
    expect(await holds(trialClaim('ada', START_MS))).toBe(true)
    expect(await holds(trialClaim('ada', START_MS))).toBe(false)
    expect(await holds(trialCheck('ada', START_MS))).toBe(false)
    expect(await hadTrial(deps, 'old', 'ada')).toBe(true)
    const untilMs = Number(trialMark('ada', START_MS).untilMs)
    expect(untilMs - START_MS).toBeGreaterThanOrEqual(YEAR_MS)
    expect(await hadTrial(at(untilMs - 1), 'ada')).toBe(true)
    expect(await hadTrial(at(untilMs), 'ada')).toBe(false)
    expect(await holds(trialCheck('ada', untilMs - 1))).toBe(false)
    expect(await holds(trialCheck('ada', untilMs))).toBe(true)
    expect(await holds(trialClaim('ada', untilMs - 1))).toBe(false)
    expect(await holds(trialClaim('ada', untilMs))).toBe(true)
  })

  test('goes with the mailbox to another name of it', async () => {
    const { deps, table, holds } = open()
    expect(await carriedTrialMark(deps, 'new', ['ada', 'old'])).toBeUndefined()
    await holds(trialClaim('old', START_MS))
    const carried = await carriedTrialMark(deps, 'new', ['ada', 'old'])
    await table.transact([carried as Write])
    expect(await hadTrial(deps, 'new')).toBe(true)
    expect(await table.get(trialKey('new'))).toMatchObject({ untilMs: trialMark('old', START_MS).untilMs })
  })

  test('is the first entry of the ledger, once', async () => {
    const { table } = open()
    const { accountId, table: counters } = await openQuotaWorld({ table })
    const item = (await counters.get(keys.quota(accountId))) as Item
    await table.put({ ...item, l: 0, s: 0 })
    const { seq, writes } = trialCredit(accountId, START_MS, 100)
    expect(seq).toBe(1)
    await table.transact(writes)
    expect(await table.get(keys.quota(accountId))).toMatchObject({ l: 100, s: 1 })
    expect(await table.get(keys.ledger(accountId, 1))).toMatchObject({
      seq: 1,
      atMs: START_MS,
      kind: 'trial',
      units: 100,
      amountCents: 0,
    })
    for (const write of writes) await expect(table.transact([write])).rejects.toThrow()
  })

  test('is spent before all else that was credited', () => {
    const entry = (kind: string, units: number) => ({ kind, units }) as never
    expect(trialLeft(70, [entry('trial', 100)])).toBe(70)
    expect(trialLeft(1070, [entry('trial', 100), entry('sale', 1000)])).toBe(70)
    expect(trialLeft(1000, [entry('trial', 100), entry('sale', 1000)])).toBe(0)
    expect(trialLeft(900, [entry('trial', 100), entry('sale', 1000)])).toBe(0)
    // What was taken back was not the trial.
    expect(trialLeft(70, [entry('trial', 100), entry('return', -30), entry('payment', 0)])).toBe(70)
  })

  test('is decided by a card once, and in test mode always left', async () => {
    const { at, holds, table } = open()
    const live = { ...at(START_MS), paymentScope: { livemode: true, stage: 'x' } } as Ports
    const sandbox = { ...live, paymentScope: { livemode: false, stage: 'x' } } as Ports
    expect(await decideTrial(live, 'account', undefined, false)).toBeUndefined()
    const first = await decideTrial(live, 'account', 'print', false)
    expect(first?.writes).toHaveLength(1)
    expect(await holds(first?.writes[0] as Write)).toBe(true)
    expect(await holds(first?.writes[0] as Write)).toBe(false)
    expect((await decideTrial(sandbox, 'account', 'print', false))?.writes).toEqual([])
    const key = keys.profile('account')
    await table.put({ ...key })
    const decides = (decision: typeof first): Write => ({
      update: key,
      set: expr`REMOVE #trialUnits`,
      if: decision?.if[0] as never,
    })
    expect(await holds(decides(first))).toBe(false)
    await table.put({ ...key, trialUnits: 5 })
    expect(await holds(decides(first))).toBe(true)
    expect(importedCardMark(live, 'print', START_MS)).toHaveLength(1)
    expect(importedCardMark(live, undefined, START_MS)).toEqual([])
    expect(importedCardMark(sandbox, 'print', START_MS)).toEqual([])
  })
})
