/**
 * What each step of spending units leaves in the table, what it answers, and which calls it makes, in their order. A
 * change of the snapshot is a change of stored data or of costs: look whether it is meant.
 */
import { describe, expect, test } from 'vitest'
import { SERVICE_SLOT } from '../../core/keys/key-text.ts'
import type { KeyLimits } from '../../core/keys/settings.ts'
import { readUsage } from '../../core/quota/usage.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../core/time.ts'
import { openLotWorld } from '../machine/lot-world.ts'
import type { memoryTable } from '../machine/memory-table.ts'
import { openQuotaWorld } from '../machine/quota-world.ts'
import { playedSteps, type Step as StepIn } from '../support/played-steps.ts'

type World = Awaited<ReturnType<typeof openLotWorld>>
type Step = StepIn<World>
type Options = Parameters<typeof openQuotaWorld>[0]

const pass =
  (ms: number): Step =>
  async (world) =>
    world.advance(ms)
const spend =
  (units: number, slot = 0): Step =>
  (world, through) =>
    world.spend(units, undefined, { through, slot })
/** Spends with an id whose time is so far from now. */
const spendNamed =
  (units: number, offsetMs = 0): Step =>
  (world, through) =>
    world.spend(units, world.timed(offsetMs), { through })
const usage: Step = (world, through) =>
  readUsage(through, world.accountId, { withTags: true }).then((used) =>
    // The id of a key is made with the world's random account.
    JSON.stringify(used, (name, value) => (name === 'id' && value !== 'default' ? 'another key' : value)),
  )
const expire: Step = (world, through) => world.expire(through).then((worked) => JSON.stringify(worked))
const endLots: Step = (world, through) => world.endLots(through).then((worked) => JSON.stringify(worked))

/** A plan is taken: 1,000 units, with what its sale says of thresholds. */
const sale =
  (plan: { size: number; lowPercent?: number; renewalPercent?: number }): Step =>
  async (world, through) => {
    await world.append([{ kind: 'sale', units: 1000, amountCents: 0, ...plan }])
    await world.applyLedger(through)
  }

/** The reservation or lease that the flow is about. */
let held = ''
const reserve =
  (units: number, ttlSeconds = 60, requestId?: string): Step =>
  async (world, through) => {
    const { told, id } = await world.reserve(units, { ttlSeconds, through, ...(requestId && { requestId }) })
    if (id) held = id
    return told
  }
const settle =
  (units: number, requestId?: string): Step =>
  (world, through) =>
    world
      .settle(held, units, { through, ...(requestId && { requestId }) })
      .then((settled) => JSON.stringify(settled))
const lease =
  (units: number, unreported: 'return' | 'charge', ttlSeconds = 60): Step =>
  async (world, through) => {
    const taken = await world.lease(units, { unreported, ttlSeconds, through })
    if (taken.id) held = taken.id
    return JSON.stringify({ told: taken.told, units: taken.units })
  }
const report =
  (used: number, keep: number, requestId?: string): Step =>
  async (world, through) => {
    const { id, ...reported } = await world.report(held, used, {
      keep,
      through,
      ...(requestId && { requestId }),
    })
    if (id) held = id
    return JSON.stringify(reported)
  }
const batch =
  (...units: number[]): Step =>
  (world, through) =>
    world
      .batch(
        units.map((each) => ({ units: each, requestId: world.timed(), tag: each % 2 ? 'odd' : undefined })),
        { through },
      )
      .then((answers) => answers.join(' '))

const LIMITS: KeyLimits = {
  budget: { units: 20, per: 'day' },
  rate: { unitsPerSecond: 1, burst: 10 },
}
const IN_ALL: KeyLimits = { budget: { units: 60, per: 'total' } }

const flows: Record<string, [Options, Record<string, Step>]> = {
  'units that are spent with and without an id': [
    { left: 100, keyCount: 2 },
    {
      'spends without an id': spend(3),
      'spends with an id': spendNamed(4),
      'spends by another key': spend(5, 1),
      'repeats an id': async (world, through) => {
        const id = world.timed()
        await world.spend(2, id, { through })
        return world.spend(2, id, { through })
      },
      'spends with an id of an hour ago': spendNamed(1, -HOUR_MS),
      'spends with an id of an hour ahead': spendNamed(1, HOUR_MS),
      'spends with any text as an id': (world, through) => world.spend(1, 'order-17', { through }),
      'checks without spending': spend(0),
      'asks for more than is left': spend(1000),
      'asks for more again within a second': spend(1000),
      'a day passes': pass(DAY_MS),
      'spends on the next day': spend(6),
      'looks at the use': usage,
    },
  ],
  'so many ids that they leave the ring': [
    { left: 1000 },
    {
      'spends for forty ids': (world) => world.fill(40).then((ids) => ids.length),
      'spends with a new id': spendNamed(1),
      'spends with an old id': spendNamed(1, -HOUR_MS),
      'spends for forty others': (world) => world.fill(40).then((ids) => ids.length),
      'repeats one of the archive': async (world, through) => {
        const id = world.timed(-2 * HOUR_MS)
        await world.spend(1, id, { through })
        await world.fill(60)
        return world.spend(1, id, { through })
      },
    },
  ],
  'a batch of requests': [
    { left: 30, size: 100 },
    {
      'spends for each that fits': batch(5, 7, 40, 8, 1),
      'repeats a batch': async (world, through) => {
        const requests = [1, 2].map((n) => ({ units: n, requestId: ['batch', n] as const, tag: 'again' }))
        await world.batch(requests, { through })
        return (await world.batch(requests, { through })).join(' ')
      },
      'refuses each that does not fit': batch(50, 60),
      'a day passes': pass(DAY_MS),
      'spends on the next day': batch(1, 1),
      'looks at the use': usage,
    },
  ],
  'a batch that takes most of what is left': [
    { left: 70, size: 100 },
    {
      'spends most': batch(60),
      'spends a little and is refused once': batch(2, 30, 4),
      'spends the rest': batch(4),
    },
  ],
  'units that expire in another order than they came': [
    { left: 10 },
    {
      'gets units for six days': (world) => world.credit(60, 6),
      spends: spend(20),
      'gets units for three days': (world) => world.credit(40, 3),
      'gets units for nine days': (world) => world.credit(30, 9),
      'spends of the first': spend(5),
      'four days pass': pass(4 * DAY_MS),
      'spends after the first': spend(5),
      'gets units for one day': (world) => world.credit(15, 1),
      'seven days pass in all': pass(3 * DAY_MS),
      'spends after the second': spend(5),
      'the job ends them': endLots,
      'ten days pass in all': pass(3 * DAY_MS),
      'the job ends the last': endLots,
    },
  ],
  'plans with thresholds of their own': [
    { left: 0 },
    {
      'takes a plan that tells early': sale({ size: 1000, lowPercent: 50, renewalPercent: 20 }),
      'falls below the notice': spend(501),
      'takes a plan that tells late': sale({ size: 1000, lowPercent: 2 }),
      'takes the same again': sale({ size: 1000, lowPercent: 2 }),
      'takes a plan without any': sale({ size: 1000 }),
      'falls below nothing': spend(3000),
      'falls below the usual notice': spend(440),
    },
  ],
  'alerts that a credit takes away again': [
    { left: 30, size: 100, alerts: [200, 25] },
    {
      'falls below one': spend(10),
      'gets units, and is below the other still': (world) => world.credit(100).then(() => 'credited'),
      'has units taken back': (world) => world.take(90),
      'chooses others': (world, through) => world.choose([15], through),
      'has more taken back': (world) => world.take(20),
    },
  ],
  'a bundle that runs low': [
    { left: 150, size: 1000, alerts: [140, 0.05] },
    {
      'falls below an alert': spend(20),
      'falls below the notice': spend(60),
      'falls below another alert': spend(30),
      'falls below the renewal': spend(31),
      'is refused': spend(100),
      'is refused for more than a bundle': spend(5000),
      'gets a new bundle': (world) => world.credit(1000).then(() => 'credited'),
      'chooses other alerts': (world, through) => world.choose([900, 0.5], through),
      'falls below one of them': spend(200),
    },
  ],
  'a key with a budget and a rate': [
    { left: 1000, keyCount: 2, limits: [LIMITS] },
    {
      spends: spend(4),
      'spends the rest of the burst': spend(6),
      'is too fast': spend(1),
      'is too large for a burst': spend(11),
      'another key is free': spend(50, 1),
      'ten seconds pass': pass(10_000),
      'spends again': spend(10),
      'ten seconds pass again': pass(10_000),
      'has used up its budget': spend(1),
      'its owner gives it more': (world, through) =>
        world.limit(0, { budget: { units: 25, per: 'day' } }, through),
      'spends what it has more': spend(5),
      'a day passes': pass(DAY_MS),
      'has a budget again': spend(7),
    },
  ],
  'units that are reserved': [
    { left: 100, size: 1000 },
    {
      reserves: reserve(30, 60, 'r-1'),
      'reserves once': reserve(30, 60, 'r-1'),
      'settles a part': settle(10, 's-1'),
      'settles once': settle(10, 's-1'),
      'settles again with another id': settle(5, 's-2'),
      'reserves more': reserve(40),
      'settles more than was reserved': settle(55),
      'reserves too much': reserve(500),
      'reserves for a minute': reserve(10),
      'two minutes pass': pass(2 * MINUTE_MS),
      'the job returns them': expire,
      'settles too late': settle(3),
      'gives back what it reserves': async (world, through) => {
        await reserve(8)(world, through)
        return settle(0)(world, through)
      },
      'the alarm is switched off': async (world, through) => {
        world.advance(2 * MINUTE_MS)
        return expire(world, through)
      },
    },
  ],
  'a lease that is renewed and ends': [
    { left: 100, size: 1000 },
    {
      'takes a lease': lease(30, 'return'),
      'reports and renews': report(12, 30, 'l-1'),
      'reports and renews again': report(10, 30, 'l-2'),
      'repeats a report': async (world, through) => {
        const id = held
        await report(1, 30, 'l-3')(world, through)
        held = id
        return report(1, 30, 'l-3')(world, through)
      },
      'reports more than it has': report(50, 20),
      'ends the lease': report(3, 0),
      'takes all that is left': lease(500, 'charge'),
      'two minutes pass': pass(2 * MINUTE_MS),
      'the job counts them as used': expire,
      'reports late': report(4, 0),
      'a day passes': pass(2 * DAY_MS),
      'looks at the use': usage,
    },
  ],
  'reservations and leases of a key with limits': [
    { left: 1000, keyCount: 2, limits: [LIMITS, IN_ALL] },
    {
      reserves: reserve(8),
      'reserves more than the burst': reserve(11),
      'settles a part': settle(3),
      'takes what is left of the burst': lease(50, 'return'),
      'reports and renews': report(2, 5),
      'gives back': report(0, 0),
      'twenty seconds pass': pass(20_000),
      'a lease takes the rest of the budget': lease(50, 'charge'),
      'five minutes pass': pass(5 * MINUTE_MS),
      'the job ends it': expire,
      'has used up its budget': spend(5),
      'another key takes its budget in all': async (world, through) => {
        const { id, ...taken } = await world.lease(100, { slot: 1, through })
        return JSON.stringify({ ...taken, settled: await world.settle(id, 10, { slot: 1, through }) })
      },
      'spends the rest of it': spend(50, 1),
      'has nothing left': spend(1, 1),
      'a batch by the key with limits': (world, through) =>
        world
          .batch([{ units: 5 }, { units: 5 }, { units: 1 }], { through, slot: 0 })
          .then((told) => told.join(' ')),
      'a month passes': pass(31 * DAY_MS),
      'a batch by the key with limits again': (world, through) =>
        world
          .batch([{ units: 5 }, { units: 5 }, { units: 1 }], { through, slot: 0 })
          .then((told) => told.join(' ')),
      'its owner takes the limits away': (world, through) => world.limit(0, {}, through),
      'its owner limits it by month': (world, through) =>
        world.limit(0, { budget: { units: 12, per: 'month' } }, through),
      'spends by month': spend(2),
      'spends too much by month': spend(2),
    },
  ],
  'a service that spends for the account': [
    { left: 20, size: 100 },
    {
      spends: spend(5, SERVICE_SLOT),
      'spends several at once': (world, through) =>
        Promise.all(
          [1, 2, 3].map((units) =>
            world.spendTogether(units, world.timed(), { through, slot: SERVICE_SLOT }),
          ),
        ).then((told) => told.join(' ')),
      'keys spend several at once': (world, through) =>
        Promise.all([1, 2, 30].map((units) => world.spendTogether(units, undefined, { through }))).then(
          (told) => told.join(' '),
        ),
      'is refused': spend(500, SERVICE_SLOT),
      'looks at the use': usage,
    },
  ],
  'units that expire': [
    { left: 10 },
    {
      'gets units for two days': (world) => world.credit(50, 2),
      'gets units for five days': (world) => world.credit(70, 5),
      'gets units that last': (world) => world.credit(5),
      spends: spend(20),
      'the job tells of the end': endLots,
      'two days pass': pass(2 * DAY_MS),
      'spends of the next': spend(30),
      'the job books what has expired': endLots,
      'units are taken back': (world) => world.take(10),
      'five days pass': pass(5 * DAY_MS),
      'the job ends the last': endLots,
      'spends what lasts': spend(3),
    },
  ],
}

describe('stored by each step of spending, with its answer and its calls', () => {
  test.each(Object.entries(flows))('%s', async (title, [options, steps]) => {
    const world = await openLotWorld(openQuotaWorld, options)
    let made = 0
    const hex = (bytes: number) => (++made).toString(16).padStart(2 * bytes, '0')
    Object.assign(world.ports.ids, { hex, uuid: () => `00000000-0000-4000-8000-${hex(6)}` })
    const items = () => (world.table as ReturnType<typeof memoryTable>).items()
    const text = await playedSteps(world, items, steps)
    await expect(text).toMatchFileSnapshot(`__snapshots__/spending/${title.replaceAll(/[^a-z]+/g, '-')}.txt`)
  })
})
