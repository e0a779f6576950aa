import { describe, expect, test } from 'vitest'
import { DomainError } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'
import { consumeBatch } from '../../core/quota/batch.ts'
import { consumeForCustomers } from '../../core/quota/batch-customers.ts'
import { consumeUnits } from '../../core/quota/consume.ts'
import { parseCounter } from '../../core/quota/counter.ts'
import { type Key, keys } from '../../core/table/keys.ts'
import { ConditionFailed, type Table } from '../../core/table/table.ts'
import { openQuotaWorld } from '../machine/quota-world.ts'
import { recordingLog } from '../support/log.ts'

const outage = () => new DomainError('temporarily_unavailable')

/** A world of these units and its lines; `through` gives its ports with other methods of the table. */
async function open(left: number, size = 0) {
  const world = await openQuotaWorld({ left, size })
  const { log, lines } = recordingLog(world.nowMs)
  const ports = { ...world.ports, log }
  const through = (methods: Partial<Table>): Ports => ({ ...ports, table: { ...ports.table, ...methods } })
  return { world, key: world.keys[0] ?? '', ports, lines, through }
}

/** Whether an update notes that a request was refused. */
const isNote = (set: unknown) => JSON.stringify(set).includes('kx')

const refused = (answer: Promise<unknown>) =>
  answer.then(
    () => undefined,
    (error: DomainError) => error,
  )

describe('what a consume leaves for later when the table fails', () => {
  test('ids that could not be archived stay known, the spends are answered, and a later one archives them', async () => {
    const { world, key, ports, lines, through } = await open(1000)
    const failing = through({ put: () => Promise.reject(outage()) })
    const ringSize = async () => parseCounter(await world.counter()).ring.size
    const ids: string[] = []
    const spend = async (by: Ports) => {
      world.advance(1)
      ids.push(world.timed())
      return consumeUnits(by, key, { units: 1, requestId: ids.at(-1) })
    }
    while (lines.length === 0 && ids.length < 60) await spend(failing)
    expect(lines).toMatchObject([
      {
        level: 'warn',
        what: 'old request ids were not archived; a later consume archives them',
        accountId: world.accountId,
      },
    ])
    const full = await ringSize()
    expect(full).toBe(ids.length)
    for (let n = 0; n < 25; n++) await spend(ports)
    expect(await ringSize()).toBeLessThan(full)
    const used = ids.length
    for (const requestId of ids) {
      expect(await consumeUnits(ports, key, { units: 1, requestId })).toMatchObject({ replayed: true, used })
    }
    expect(lines).toHaveLength(1)
  })

  test('a refusal that could not be noted is answered as any other, and the next one calls for the renewal', async () => {
    const { world, key, ports, lines, through } = await open(20, 100)
    await consumeUnits(ports, key, { units: 15 })
    const called = world.started()
    const failing = through({
      update: (item, set, ...rest) =>
        isNote(set) ? Promise.reject(outage()) : world.table.update(item, set, ...rest),
    })
    expect(await refused(consumeUnits(failing, key, { units: 10 }))).toMatchObject({
      code: 'quota_exhausted',
      members: { left: 5, used: 15, needed: 10 },
    })
    expect(lines).toMatchObject([
      {
        level: 'warn',
        what: 'a refusal did not call for a renewal; the next one does',
        accountId: world.accountId,
      },
    ])
    expect(world.started()).toBe(called)
    world.advance(2000)
    expect(await refused(consumeUnits(ports, key, { units: 10 }))).toMatchObject({ code: 'quota_exhausted' })
    expect(world.started()).toBe(called + 1)
    expect(lines).toHaveLength(1)
  })

  test('a refusal that another one overtakes is noted once, and one of an earlier cycle not at all', async () => {
    const { world, key, ports, through } = await open(20, 100)
    await consumeUnits(ports, key, { units: 15 })
    const before = await world.counter()
    const notes: Key[] = []
    const meanwhile = (change: Record<string, unknown>) =>
      through({
        update: async (item, set, ...rest) => {
          if (!isNote(set)) return world.table.update(item, set, ...rest)
          await world.table.put({ ...(await world.counter()), ...change })
          notes.push(item)
          throw new ConditionFailed(new Map([[0, await world.counter()]]))
        },
      })
    // The ledger has moved on, so a renewal has been bought already.
    await refused(consumeUnits(meanwhile({ s: Number(before.s) + 1 }), key, { units: 10 }))
    expect([notes.length, (await world.counter()).kx]).toEqual([1, before.kx])
    // Of two that come at the same time one writes the note, and the other sees it.
    world.advance(2000)
    await refused(
      consumeUnits(meanwhile({ k: Number(before.s) + 1, kx: Number(before.s) + 1 }), key, { units: 10 }),
    )
    expect(notes.length).toBe(2)
  })
})

test('a renewal that could not be started is stored for the job, and a line says so', async () => {
  const { world, key, ports, lines } = await open(20, 100)
  const failing = { ...ports, renewals: { start: () => Promise.reject(outage()) } }
  await consumeUnits(ports, key, { units: 15 })
  expect(await refused(consumeUnits(failing, key, { units: 10 }))).toMatchObject({ code: 'quota_exhausted' })
  expect(lines).toMatchObject([
    {
      level: 'warn',
      what: 'a renewal was not started at once; check-quotas starts it',
      accountId: world.accountId,
    },
  ])
  expect(await world.counter()).toMatchObject({ due: expect.anything(), dueAtMs: expect.any(Number) })
})

test('a consume and a batch that lose every race are answered 503, and spend nothing', async () => {
  const { world, key, through } = await open(1000)
  const losing = through({
    update: async () => {
      throw new ConditionFailed(new Map([[0, await world.counter()]]))
    },
  })
  const lost = { code: 'temporarily_unavailable' }
  expect(await refused(consumeUnits(losing, key, { units: 1 }))).toMatchObject(lost)
  expect(await refused(consumeBatch(losing, key, [{ units: 1 }, { units: 2 }]))).toMatchObject(lost)
  expect(await world.counter()).toMatchObject({ u: 0 })
})

describe('a batch for many customers', () => {
  const times = { units: 1 }

  test('answers in the order of the requests, and what fails for one customer fails for them alone', async () => {
    const { world, key, lines, through } = await open(1000)
    const other = await openQuotaWorld({ left: 2, table: world.table })
    const failing = through({
      update: (item, ...rest) =>
        item.pk === keys.quota(other.accountId).pk
          ? Promise.reject(outage())
          : world.table.update(item, ...rest),
    })
    const requests = [
      { ...times, customer: { accountId: world.accountId } },
      { ...times, customer: { accountId: other.accountId } },
      { ...times, units: 2, customer: { text: key } },
      { ...times, customer: { text: 'no-key' } },
      { ...times, units: 3, customer: { accountId: world.accountId } },
    ]
    const answers = await consumeForCustomers(failing, requests)
    expect(answers).toMatchObject([
      { outcome: 'spent', left: 999 },
      { code: 'temporarily_unavailable' },
      { outcome: 'spent', left: 994 },
      { code: 'unauthorized' },
      { outcome: 'spent', left: 996 },
    ])
    expect(await world.counter()).toMatchObject({ u: 6 })
    expect(await other.counter()).toMatchObject({ u: 0 })
    // What a customer did wrong is no failure of ours.
    expect(lines).toMatchObject([{ level: 'error', what: 'the requests of a batch for one customer failed' }])
  })

  test('a failure that nobody foresaw leaves a line, and the customer is told of an internal error', async () => {
    const { world, lines, through } = await open(1000)
    const failing = through({ update: () => Promise.reject(new TypeError('unforeseen')) })
    const answers = await consumeForCustomers(failing, [
      { ...times, customer: { accountId: world.accountId } },
    ])
    expect(answers).toMatchObject([{ code: 'internal_error', cause: new TypeError('unforeseen') }])
    expect(lines).toHaveLength(1)
  })

  test('spends the requests of one customer from one address by one write, and of two addresses by two', async () => {
    const { world, through } = await open(1000)
    let writes = 0
    const counting = through({
      update: (...request) => {
        writes += 1
        return world.table.update(...request)
      },
    })
    const by = (...ips: string[]) =>
      consumeForCustomers(
        counting,
        ips.map((ip) => ({ ...times, customer: { accountId: world.accountId, ip } })),
      )
    await by('192.0.2.1', '192.0.2.1', '192.0.2.1')
    expect(writes).toBe(1)
    await by('192.0.2.1', '192.0.2.2', '192.0.2.1')
    expect(writes).toBe(3)
    expect(await world.counter()).toMatchObject({ u: 6 })
  })
})
