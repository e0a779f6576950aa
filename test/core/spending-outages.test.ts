/**
 * What is answered if a single call of a request that spends, or of a job, ends in an outage or loses its answer, for
 * every call in turn; what its repetition is answered; and what was spent then. A change of the snapshot is a change of
 * what an outage leads to.
 */
import { describe, expect, test } from 'vitest'
import { DomainError } from '../../core/errors.ts'
import type { KeyLimits } from '../../core/keys/settings.ts'
import type { Ports } from '../../core/ports.ts'
import { consumeForCustomers } from '../../core/quota/batch-customers.ts'
import { readUsage } from '../../core/quota/usage.ts'
import { DAY_MS, MINUTE_MS } from '../../core/time.ts'
import { breaking } from '../machine/faults.ts'
import { openLotWorld } from '../machine/lot-world.ts'
import { openQuotaWorld } from '../machine/quota-world.ts'

type World = Awaited<ReturnType<typeof openLotWorld>>

interface Flow {
  options?: Parameters<typeof openQuotaWorld>[0]
  /** @returns what the request is about. */
  prepare?(world: World): Promise<unknown>
  act(world: World, via: Ports, about: string): Promise<unknown>
}

const LIMITS: KeyLimits = { budget: { units: 500, per: 'day' }, rate: { unitsPerSecond: 50, burst: 400 } }
const nextDay = async (world: World) => {
  await world.spend(1)
  world.advance(DAY_MS)
}
const fullRing = async (world: World) => {
  await world.fill(34)
  world.advance(1)
  return world.timed()
}
const withLots = async (world: World) => {
  await world.credit(60, 2)
  await world.credit(40, 9)
  await world.spend(10)
  world.advance(3 * DAY_MS)
}
const lots = (world: World, via: Ports) => world.endLots(via).then((worked) => JSON.stringify(worked))
const reserved = async (world: World) => (await world.reserve(40, { requestId: 'r-0' })).id
const leased = async (world: World) => (await world.lease(40, { unreported: 'charge', requestId: 'l-0' })).id
const expired = async (world: World) => {
  await reserved(world)
  await leased(world)
  world.advance(5 * MINUTE_MS)
}

const flows: Record<string, Flow> = {
  'a spend with an id': {
    prepare: async (world) => world.timed(),
    act: (world, through, id) => world.spend(7, id, { through }),
  },
  'a spend with an old id': {
    prepare: async (world) => {
      await world.fill(40)
      return world.timed(-MINUTE_MS)
    },
    act: (world, through, id) => world.spend(7, id, { through }),
  },
  'a spend that fills the ring': {
    prepare: fullRing,
    act: (world, through, id) => world.spend(7, id, { through }),
  },
  'a spend on the next day': {
    prepare: async (world) => {
      await nextDay(world)
      return world.timed()
    },
    act: (world, through, id) => world.spend(7, id, { through }),
  },
  'a spend after units have expired': {
    prepare: async (world) => {
      await withLots(world)
      return world.timed()
    },
    act: (world, through, id) => world.spend(7, id, { through }),
  },
  'a spend that crosses the thresholds': {
    options: { left: 1000, size: 1000, alerts: [500] },
    prepare: async (world) => world.timed(),
    act: (world, through, id) => world.spend(995, id, { through }),
  },
  'a spend that is refused': {
    options: { left: 20, size: 1000 },
    prepare: async (world) => world.timed(),
    act: (world, through, id) => world.spend(30, id, { through }),
  },
  'a spend by a key with limits': {
    options: { left: 1000, limits: [LIMITS] },
    prepare: async (world) => world.timed(),
    act: (world, through, id) => world.spend(300, id, { through }),
  },
  'a spend with a tag': {
    prepare: async (world) => world.timed(),
    act: (world, through, id) => world.batch([{ units: 7, requestId: id, tag: 'a' }], { through }),
  },
  'a batch': {
    prepare: async (world) => `${world.timed()} ${world.timed()} ${world.timed(-MINUTE_MS)} ${world.timed()}`,
    act: (world, through, ids) =>
      world.batch(
        ids.split(' ').map((requestId, n) => ({ units: n + 1, requestId })),
        { through },
      ),
  },
  'a batch for customers': {
    prepare: async (world) => world.timed(),
    act: (world, through, id) =>
      consumeForCustomers(through, [
        { units: 3, requestId: id, customer: { accountId: world.accountId } },
        { units: 4, requestId: [id, 1], customer: { text: world.keys[0] ?? '' } },
      ] as never).then((answers) =>
        answers.map((answer) => (answer instanceof DomainError ? answer.code : answer.outcome)).join(' '),
      ),
  },
  'a reservation': {
    act: (world, through) => world.reserve(40, { requestId: 'r-1', through }).then(({ told }) => told),
  },
  'a reservation on the next day by a key with limits': {
    options: { left: 1000, limits: [LIMITS] },
    prepare: nextDay,
    act: (world, through) => world.reserve(40, { requestId: 'r-1', through }).then(({ told }) => told),
  },
  'a settle': {
    prepare: reserved,
    act: (world, through, id) =>
      world.settle(id, 30, { requestId: 's-1', through }).then((settled) => JSON.stringify(settled)),
  },
  'a lease that is renewed': {
    prepare: leased,
    act: (world, through, id) =>
      world
        .report(id, 30, { keep: 40, requestId: 'p-1', through })
        .then(({ id: _, ...reported }) => JSON.stringify(reported)),
  },
  'a late report of a lease': {
    prepare: async (world) => {
      const id = await leased(world)
      world.advance(5 * MINUTE_MS)
      await world.expire()
      return id
    },
    act: (world, through, id) =>
      world
        .report(id, 50, { requestId: 'p-1', through })
        .then(({ id: _, ...reported }) => JSON.stringify(reported)),
  },
  'the job that ends reservations': {
    prepare: expired,
    act: (world, through) => world.expire(through).then((worked) => JSON.stringify(worked)),
  },
  'the job that ends units': { prepare: withLots, act: lots },
  'the ledger with units that expire': {
    prepare: async (world) => {
      await world.sell(5, 4)
      await world.sell(6)
      await world.sell(7, 2)
    },
    act: (world, through) => world.applyLedger(through).then(() => 'applied'),
  },
  'limits that are changed': {
    options: { left: 1000, limits: [LIMITS] },
    prepare: (world) => world.spend(10),
    act: (world, through) => world.limit(0, { budget: { units: 60, per: 'month' } }, through),
  },
  'alerts that are chosen': {
    options: { left: 1000, size: 1000, alerts: [990] },
    prepare: (world) => world.spend(20),
    act: (world, through) => world.choose([400, 0.2], through).then(() => 'chosen'),
  },
  'a look at the use': {
    prepare: async (world) => {
      await nextDay(world)
      await world.spend(4)
    },
    act: (world, through) =>
      readUsage(through, world.accountId, { withTags: true }).then(
        ({ used, days }) => `${used} ${days.length}`,
      ),
  },
}

const told = (call: Promise<unknown>) =>
  call.then(
    (answer) => String(answer ?? 'done'),
    (error) => (error instanceof DomainError ? error.code : `${error}`),
  )

async function played(
  { options = { left: 1000 }, prepare, act }: Flow,
  at: number,
  kind: 'error-before' | 'error-after',
) {
  const world = await openLotWorld(openQuotaWorld, options)
  const prepared = await prepare?.(world)
  const about = typeof prepared === 'string' ? prepared : ''
  const { ports, calls } = breaking(world.ports, { at, kind })
  const answer = await told(act(world, ports, about))
  world.advance(2000)
  const repeated = await told(act(world, world.ports, about))
  const { left, used, held, unbooked, expired } = await world.numbers()
  return {
    calls,
    line: `${answer}, then ${repeated}: ${left} left, ${used} used, ${held} held, ${expired + unbooked} expired`,
  }
}

describe('an outage at each call of', () => {
  test.each(Object.entries(flows))('%s', async (title, flow) => {
    const whole = await played(flow, 0, 'error-before')
    const lines = [`no outage: ${whole.line}`]
    for (const [at, call] of whole.calls.entries()) {
      const [before, after] = [
        await played(flow, at + 1, 'error-before'),
        await played(flow, at + 1, 'error-after'),
      ]
      lines.push(`before ${at + 1} ${call}: ${before.line}`)
      lines.push(`after ${at + 1} ${call}: ${after.line}`)
    }
    const file = title.replaceAll(/[^a-z]+/g, '-')
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(`__snapshots__/spending-outages/${file}.txt`)
  })
})
