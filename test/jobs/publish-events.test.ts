import { afterEach, beforeEach, expect, test } from 'vitest'
import { announce } from '../../core/events/outbox.ts'
import { keys, OUT_EVENT_PREFIX } from '../../core/table/keys.ts'
import { writeAll } from '../../core/table/write-all.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()
const ports = await app.ports()
beforeEach(app.startAfresh)
afterEach(() => app.stack.events.clearFaults())

/** Stores an event of the account, a millisecond after the one before. */
async function happen(accountId: string, trialUnits: number): Promise<void> {
  app.advance(1)
  await writeAll(ports, [announce(ports, accountId, 'account.confirmed', { trialUnits })])
}

const newId = () => ports.ids.accountId()

/** What the bus has, by account: the units that tell the events apart, with their numbers. */
const onBus = (accountId: string) =>
  app.stack.events
    .events()
    .map(
      ({ detail }) =>
        detail as { accountId: string; sequence: number; id: string; data: { trialUnits: number } },
    )
    .filter((detail) => detail.accountId === accountId)

const numbered = (accountId: string) =>
  onBus(accountId).map(({ data, sequence }) => [data.trialUnits, sequence])

test('an event comes once with its type, version, number, account, time and data, and is then kept for 30 days', async () => {
  const accountId = newId()
  await happen(accountId, 100)
  const atMs = Date.now()
  app.advance(5_000)
  expect(await app.job('publish-events')).toEqual({
    published: 1,
    failed: 0,
    // What the dashboard adds up.
    added: { confirmed: 1, unitsGiven: 100 },
  })
  expect(await app.job('publish-events')).toEqual({ published: 0, failed: 0 })
  const [event] = app.stack.events.events()
  expect(app.stack.events.events()).toHaveLength(1)
  expect(event).toMatchObject({ source: 'bursar', 'detail-type': 'account.confirmed' })
  expect(event?.detail).toEqual({
    id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    type: 'account.confirmed',
    version: 1,
    sequence: 1,
    accountId,
    atMs,
    data: { trialUnits: 100 },
  })
  const [item] = await ports.table.list(keys.account(accountId), OUT_EVENT_PREFIX)
  expect(item).toMatchObject({ sequence: 1, ttl: Math.ceil(Date.now() / 1000) + 30 * 86_400 })
  expect(item).not.toHaveProperty('due')
})

test('the events of each account are numbered from 1 without a gap, in the order of their times, over many runs', async () => {
  const [ada, bob] = [newId(), newId()]
  for (let units = 1; units <= 60; units++) await happen(ada, units)
  await happen(bob, 7)
  expect(await app.job('publish-events')).toMatchObject({ published: 61, failed: 0 })
  await happen(ada, 61)
  await app.job('publish-events')
  expect(numbered(ada)).toEqual(Array.from({ length: 61 }, (_, n) => [n + 1, n + 1]))
  expect(numbered(bob)).toEqual([[7, 1]])
})

test.each(['error-before', 'lose-reply-after-commit'] as const)(
  'while the bus fails (%s) events wait in order, and keep their ids and numbers, also if newer ones come first',
  async (fault) => {
    const [ada, bob] = [newId(), newId()]
    for (const units of [10, 11, 12]) await happen(ada, units)
    app.stack.events.addFault({ fault, match: 'PutEvents', times: 1 })
    expect(await app.job('publish-events')).toEqual({ published: 0, failed: 1 })
    await happen(bob, 5)
    // The clock of another container is behind.
    app.advance(-60_000)
    await happen(ada, 9)
    app.advance(120_000)
    expect(await app.job('publish-events')).toMatchObject({ published: 5, failed: 0 })
    expect(new Map(numbered(ada) as [number, number][])).toEqual(
      new Map([
        [10, 1],
        [11, 2],
        [12, 3],
        [9, 4],
      ]),
    )
    expect(numbered(bob)).toEqual([[5, 1]])
    expect(new Set(onBus(ada).map(({ id }) => id)).size).toBe(4)
    expect(onBus(ada).length).toBe(fault === 'error-before' ? 4 : 5)
  },
)

test('runs at once give no number twice, and every event comes', async () => {
  const accountId = newId()
  for (let units = 1; units <= 5; units++) await happen(accountId, units)
  await Promise.all([app.job('publish-events'), app.job('publish-events'), app.job('publish-events')])
  await app.job('publish-events')
  const numbers = new Map(numbered(accountId) as [number, number][])
  expect([...numbers].sort()).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 4],
    [5, 5],
  ])
  expect(new Set(numbered(accountId).map(String)).size).toBe(5)
})
