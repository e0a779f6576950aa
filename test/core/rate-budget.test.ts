import { describe, expect, test } from 'vitest'
import { type RateLimit, rateLimited } from '../../core/errors.ts'
import type { MoneyDeps, Payments } from '../../core/ports.ts'
import {
  type Bucket,
  bucketOf,
  LONGEST_WAIT_MS,
  rateOf,
  reserveCalls,
  slowDown,
  stepOf,
  stripeLimits,
} from '../../core/purchases/rate-budget.ts'
import { pacedPayments } from '../../core/purchases/rate-limit.ts'
import { keys } from '../../core/table/keys.ts'
import type { Table } from '../../core/table/table.ts'
import { memoryTable } from '../machine/memory-table.ts'
import { countedClock } from '../support/counted-clock.ts'
import { silentLog } from '../support/log.ts'
import { losingRaces } from '../support/lost-races.ts'

const NOW_MS = 1_000_000
const LIVE = stripeLimits(true)
const ENDPOINT = 25 * 0.85
const ALL = 100 * 0.85

describe('the rate of calls', () => {
  test('is 85 % of what the provider accepts, of an endpoint and in all', () => {
    expect([rateOf('readCard', undefined, LIVE, NOW_MS), rateOf('all', undefined, LIVE, NOW_MS)]).toEqual([
      ENDPOINT,
      ALL,
    ])
    const sandbox = stripeLimits(false)
    expect([rateOf('readCard', undefined, sandbox, 0), rateOf('all', undefined, sandbox, 0)]).toEqual([
      ENDPOINT,
      ENDPOINT,
    ])
    expect(rateOf('readCard', { nextMs: 5, slowedTo: 3 }, LIVE, NOW_MS)).toBe(ENDPOINT)
    expect(rateOf('readCard', { nextMs: 5, slowedAtMs: 3 }, LIVE, NOW_MS)).toBe(ENDPOINT)
  })

  test('grows by three per cent a second after a refusal, up to that', () => {
    const slowed: Bucket = { nextMs: 0, slowedTo: 10, slowedAtMs: NOW_MS }
    const rate = (seconds: number) => rateOf('readCard', slowed, LIVE, NOW_MS + seconds * 1000)
    expect(rate(0)).toBe(10)
    expect(rate(1)).toBeCloseTo(10.3)
    expect(rate(2)).toBeCloseTo(10.609)
    expect(rate(1000)).toBe(ENDPOINT)
    // The clock was set back: a little is believed, more than a minute is not.
    expect(rate(-60)).toBeCloseTo(10 * 1.03 ** -60)
    expect(rate(-61)).toBe(ENDPOINT)
  })

  test('makes a step between two calls, by the slower of the two buckets', () => {
    expect(stepOf({}, 'readCard', LIVE, NOW_MS)).toBe(1000 / ENDPOINT)
    const slow = { nextMs: 0, slowedTo: 2, slowedAtMs: NOW_MS }
    expect(stepOf({ all: slow }, 'readCard', LIVE, NOW_MS)).toBe(500)
    expect(stepOf({ readCard: slow }, 'readCard', LIVE, NOW_MS)).toBe(500)
    expect(stepOf({ readCharge: slow }, 'readCard', LIVE, NOW_MS)).toBe(1000 / ENDPOINT)
  })
})

describe('times of calls', () => {
  const [step, allStep] = [1000 / ENDPOINT, 1000 / ALL]

  test('begin now, three at once after a pause, and then follow at the step of the endpoint', () => {
    const { timesMs, buckets } = reserveCalls({}, 'readCard', 5, LIVE, NOW_MS)
    const due = timesMs.map((ms) => Math.max(ms, NOW_MS) - NOW_MS)
    expect(due.map((ms) => Math.round(ms / step))).toEqual([0, 0, 0, 1, 2])
    expect(buckets.readCard?.nextMs).toBeCloseTo(NOW_MS + 3 * step)
    expect(buckets.all?.nextMs).toBeCloseTo(NOW_MS - 2 * allStep + 5 * allStep)
  })

  test('are at least one, and at most those of a second', () => {
    const count = (calls: number) => reserveCalls({}, 'readCard', calls, LIVE, NOW_MS).timesMs.length
    expect([count(0), count(1), count(22), count(23), count(500)]).toEqual([1, 1, 22, 22, 22])
  })

  test('delay the next of their endpoint if they have to wait for their turn among all', () => {
    const slow = { all: { nextMs: NOW_MS + 700, slowedTo: 2, slowedAtMs: NOW_MS } }
    const { timesMs, buckets } = reserveCalls(slow, 'readCard', 3, LIVE, NOW_MS)
    expect(timesMs).toEqual([NOW_MS + 700, NOW_MS + 1200, NOW_MS + 1700])
    // Two of the next calls may follow the last at once, a burst of three in all.
    expect(buckets.readCard?.nextMs).toBeCloseTo(NOW_MS + 1700 - 1000 / ENDPOINT)
    expect(buckets.all?.nextMs).toBe(NOW_MS + 2200)
  })

  test('follow those that others have reserved, of the endpoint and in all', () => {
    const own = reserveCalls({ readCard: { nextMs: NOW_MS + 700 } }, 'readCard', 2, LIVE, NOW_MS)
    expect(own.timesMs).toEqual([NOW_MS + 700, NOW_MS + 700 + step])
    const all = reserveCalls({ all: { nextMs: NOW_MS + 700 } }, 'readCard', 2, LIVE, NOW_MS)
    expect(all.timesMs[0]).toBe(NOW_MS + 700)
    expect(all.timesMs[1]).toBeCloseTo(NOW_MS + 700 + allStep)
    // A call that waits for its turn in all delays the next of its endpoint.
    expect(all.buckets.readCard?.nextMs).toBeCloseTo(NOW_MS + 700)
    const kept = { all: { nextMs: 0, slowedTo: 4, slowedAtMs: NOW_MS }, other: { nextMs: 9 } }
    expect(reserveCalls(kept, 'readCard', 1, LIVE, NOW_MS).buckets).toMatchObject({
      all: { slowedTo: 4, slowedAtMs: NOW_MS },
      other: { nextMs: 9 },
    })
  })

  test('that are more than a minute ahead come from a clock that was set back, and do not count', () => {
    const at = (nextMs: number) =>
      reserveCalls({ readCard: { nextMs } }, 'readCard', 1, LIVE, NOW_MS).timesMs[0]
    expect(at(NOW_MS + LONGEST_WAIT_MS)).toBe(NOW_MS + LONGEST_WAIT_MS)
    expect(at(NOW_MS + LONGEST_WAIT_MS + 1)).toBeLessThanOrEqual(NOW_MS)
  })
})

describe('a refusal', () => {
  test('lowers the rate of its bucket by a fifth, once a second, and never below one call', () => {
    const once = slowDown({ other: { nextMs: 1 } }, 'readCard', undefined, LIVE, NOW_MS)
    expect(once).toEqual({
      other: { nextMs: 1 },
      readCard: { nextMs: NOW_MS, slowedTo: ENDPOINT * 0.8, slowedAtMs: NOW_MS },
    })
    const soon = slowDown(once, 'readCard', undefined, LIVE, NOW_MS + 999)
    expect(soon.readCard).toMatchObject({
      slowedTo: ENDPOINT * 0.8,
      slowedAtMs: NOW_MS,
      nextMs: NOW_MS + 999,
    })
    const before = slowDown(once, 'readCard', undefined, LIVE, NOW_MS - 999)
    expect(before.readCard).toMatchObject({ slowedAtMs: NOW_MS })
    const later = slowDown(once, 'readCard', undefined, LIVE, NOW_MS + 1000)
    expect(later.readCard?.slowedAtMs).toBe(NOW_MS + 1000)
    expect(later.readCard?.slowedTo).toBeCloseTo(ENDPOINT * 0.8 * 1.03 * 0.8)
    const slow = slowDown(
      { readCard: { nextMs: 0, slowedTo: 1, slowedAtMs: 0 } },
      'readCard',
      undefined,
      LIVE,
      1000,
    )
    expect(slow.readCard?.slowedTo).toBe(1)
  })

  test('keeps calls back until the provider wants them, for a minute at most, and never sooner than before', () => {
    const next = (seconds: number | undefined, nextMs = 0) =>
      slowDown({ readCard: { nextMs } }, 'readCard', seconds, LIVE, NOW_MS).readCard?.nextMs
    expect([next(undefined), next(0), next(7), next(60), next(61)]).toEqual([
      NOW_MS,
      NOW_MS,
      NOW_MS + 7000,
      NOW_MS + 60_000,
      NOW_MS + 60_000,
    ])
    expect(next(7, NOW_MS + 9000)).toBe(NOW_MS + 9000)
  })

  test('concerns all calls, those of the endpoint, or none', () => {
    expect((['all', 'endpoint', 'object'] as const).map((scope) => bucketOf(scope, 'readCard'))).toEqual([
      'all',
      'readCard',
      undefined,
    ])
  })
})

describe('a run of a job', () => {
  /** A run whose provider answers, or throws what `answer` throws. */
  function open({
    untilMs = 60_000,
    table = memoryTable() as Table,
    answer = (): unknown => undefined,
  } = {}) {
    const clock = countedClock(NOW_MS)
    const calls: number[] = []
    const call = async () => {
      calls.push(clock.nowMs() - NOW_MS)
      return answer()
    }
    const payments = new Proxy({} as Payments, { get: () => call })
    const deps = {
      clock,
      table,
      payments,
      log: silentLog,
      ids: {},
      paymentScope: { livemode: true, stage: 'x' },
    }
    const run = pacedPayments(deps as unknown as MoneyDeps, NOW_MS + untilMs)
    const read = () => (run.payments.readPayment as () => Promise<unknown>)()
    return { clock, calls, run, read, table }
  }
  const refused = (scope: RateLimit['scope'], retryAfterSeconds?: number) =>
    rateLimited({ scope, retryAfterSeconds }, new Error('429'))

  test('begins work at the pace of the slowest endpoint that it has called', async () => {
    const { clock, run, read } = open()
    const begun: number[] = []
    const begin = async () => {
      expect(await run.ready()).toBe(true)
      begun.push(clock.nowMs() - NOW_MS)
    }
    await clock.run(Promise.all([begin(), begin()]))
    // Nothing was called yet, so nothing is waited for.
    expect(begun).toEqual([0, 0])
    await clock.run(read())
    const since = clock.nowMs() - NOW_MS
    await clock.run(Promise.all([begin(), begin(), begin()]))
    const steps = begun.slice(2).map((ms) => Math.round((ms - since) / (1000 / ENDPOINT)))
    expect(steps).toEqual([1, 2, 3].map((n) => n - (since === 0 ? 0 : 1)))
  })

  test('begins no work while more than two seconds of calls wait', async () => {
    const { clock, run, read, calls } = open()
    const reads = Promise.all(Array.from({ length: 100 }, read))
    const ready = run.ready().then((isReady) => [isReady, calls.length])
    const [[isReady, before]] = await clock.run(Promise.all([ready, reads]))
    expect(isReady).toBe(true)
    // Two seconds of calls are left by then.
    expect(100 - Number(before)).toBeLessThanOrEqual(43)
    expect(100 - Number(before)).toBeGreaterThan(38)
  })

  test('begins nothing once its time is over, and waits no longer for its calls', async () => {
    const { clock, run, read, calls } = open({ untilMs: 500 })
    const reads = Promise.all(Array.from({ length: 200 }, read))
    const ready = run.ready().then((isReady) => [isReady, clock.nowMs() - NOW_MS])
    const [[isReady, waitedMs]] = await clock.run(Promise.all([ready, reads]))
    expect(isReady).toBe(false)
    expect(Number(waitedMs)).toBeLessThan(8000)
    expect(calls).toHaveLength(200)
  })

  test('refuses a call that would wait longer than fifteen seconds, which no call waits', async () => {
    const { clock, read, calls } = open()
    const answers = await clock.run(
      Promise.all(
        Array.from({ length: 400 }, () =>
          read().then(
            () => 'read',
            (error) => `${error.code} ${error.retryAfterSeconds}`,
          ),
        ),
      ),
    )
    const late = answers.filter((answer) => answer !== 'read')
    expect(new Set(late)).toEqual(new Set(['temporarily_unavailable 15']))
    expect(calls.length).toBe(400 - late.length)
    expect(Math.abs(calls.length - 15 * ENDPOINT)).toBeLessThan(6)
    expect(Math.max(...calls)).toBeLessThanOrEqual(15_000)
  })

  test('makes a call that waits for fifteen seconds, and none that would wait a millisecond longer', async () => {
    for (const [aheadMs, made] of [
      [15_000, 1],
      [15_001, 0],
    ] as const) {
      const table = memoryTable()
      const buckets = { readPayment: { nextMs: NOW_MS + aheadMs } }
      await table.put({ ...keys.callBudget('stripe'), version: 1, buckets })
      const { clock, read, calls } = open({ table })
      await clock.run(read().catch(() => undefined))
      expect(calls).toHaveLength(made)
    }
  })

  test('repeats a refused call twelve times, and not after its time', async () => {
    const { clock, read, calls } = open({
      untilMs: 600_000,
      answer: () => Promise.reject(refused('endpoint')),
    })
    await expect(clock.run(read())).rejects.toMatchObject({ code: 'temporarily_unavailable' })
    expect(calls).toHaveLength(12)
    const short = open({ untilMs: 0, answer: () => Promise.reject(refused('endpoint')) })
    await expect(short.clock.run(short.read())).rejects.toMatchObject({ code: 'temporarily_unavailable' })
    expect(short.calls).toHaveLength(1)
  })

  test('repeats no call that failed for another reason', async () => {
    const { clock, read, calls } = open({ answer: () => Promise.reject(new TypeError('torn')) })
    await expect(clock.run(read())).rejects.toThrow('torn')
    expect(calls).toHaveLength(1)
  })

  test('waits half a second for another call about the same object, and slows down for nobody', async () => {
    let left = 1
    const { clock, read, calls, table } = open({
      answer: () => (left-- > 0 ? Promise.reject(refused('object')) : 'read'),
    })
    expect(await clock.run(read())).toBe('read')
    expect(calls).toHaveLength(2)
    expect((calls[1] ?? 0) - (calls[0] ?? 0)).toBeGreaterThanOrEqual(500)
    expect(JSON.stringify(await table.get(keys.callBudget('stripe')))).not.toContain('slowed')
  })

  test.each(['all', 'endpoint'] as const)('stores a refusal of %s for every run', async (scope) => {
    let left = 1
    const { clock, read, table } = open({
      answer: () => (left-- > 0 ? Promise.reject(refused(scope, 3)) : 'read'),
    })
    const startMs = clock.nowMs()
    expect(await clock.run(read())).toBe('read')
    expect(clock.nowMs() - startMs).toBeGreaterThanOrEqual(3000)
    const { buckets, version } = (await table.get(keys.callBudget('stripe'))) as never as {
      buckets: Record<string, Bucket>
      version: number
    }
    const name = scope === 'all' ? 'all' : 'readPayment'
    expect(buckets[name]).toMatchObject({ slowedAtMs: expect.any(Number), slowedTo: expect.any(Number) })
    expect(version).toBe(3)
  })

  test('gives up after sixty lost races for the budget, having called nobody', async () => {
    const memory = memoryTable()
    const never = losingRaces(memory, () => true, 1000)
    const { clock, read, calls } = open({ table: never.table })
    await expect(clock.run(read())).rejects.toMatchObject({
      code: 'temporarily_unavailable',
      retryAfterSeconds: 15,
    })
    expect([never.lost(), calls.length]).toEqual([61, 0])
    const once = losingRaces(memory, () => true, 60)
    const late = open({ table: once.table })
    await late.clock.run(late.read())
    expect([once.lost(), late.calls.length]).toEqual([60, 1])
  })
})
