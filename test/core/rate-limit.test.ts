import { describe, expect, test } from 'vitest'
import { type RateLimit, rateLimited } from '../../core/errors.ts'
import type { MoneyDeps, Payments } from '../../core/ports.ts'
import { rateOf, reserveCalls, slowDown, stripeLimits } from '../../core/purchases/rate-budget.ts'
import { pacedPayments, patientPayments } from '../../core/purchases/rate-limit.ts'
import { memoryTable } from '../machine/memory-table.ts'
import { type CountedClock, countedClock } from '../support/counted-clock.ts'
import { silentLog } from '../support/log.ts'

const LIVE = stripeLimits(true)

type CallMethod = 'readPayment' | 'createPayment' | 'readCharge' | 'cancelPayment' | 'readCard'

/** Stripe that accepts `perSecond` calls of an endpoint and `inAll` calls in any second, and refuses the rest. */
function busyStripe(clock: CountedClock, perSecond = Number.POSITIVE_INFINITY, inAll = perSecond) {
  const accepted: { method: string; atMs: number }[] = []
  let refused = 0
  const call = (method: string) => async () => {
    const lately = accepted.filter(({ atMs }) => atMs > clock.nowMs() - 1000)
    const isOver =
      lately.length >= inAll || lately.filter((each) => each.method === method).length >= perSecond
    if (isOver) {
      refused++
      throw rateLimited({ scope: 'endpoint', retryAfterSeconds: undefined }, new Error('429'))
    }
    accepted.push({ method, atMs: clock.nowMs() })
  }
  const payments = new Proxy({} as Payments, { get: (_, method) => call(String(method)) })
  return { payments, accepted, refused: () => refused }
}

function jobOf(clock: CountedClock, table: MoneyDeps['table'], payments: Payments, livemode = true) {
  const ids = { accountId: String, uuid: String, hex: String }
  const paymentScope = { stage: 'test', livemode }
  const paced = pacedPayments(
    { clock, ids, log: silentLog, table, payments, paymentScope },
    Number.POSITIVE_INFINITY,
  )
  return (method: CallMethod) => (paced.payments[method] as () => Promise<unknown>)()
}

const most = (atMs: number[]): number =>
  Math.max(...atMs.map((start) => atMs.filter((at) => at >= start && at < start + 1000).length))

describe('the budget of the jobs', () => {
  test('two jobs together stay below 25 calls a second of an endpoint, leave room, and waste none', async () => {
    const clock = countedClock()
    const table = memoryTable()
    const { payments, accepted } = busyStripe(clock)
    const jobs = [jobOf(clock, table, payments), jobOf(clock, table, payments)]
    const calls = Array.from({ length: 300 }, (_, at) => jobs[at % 2]?.('readPayment'))
    await clock.run(Promise.all(calls))
    const times = accepted.map(({ atMs }) => atMs)
    expect(times).toHaveLength(300)
    expect(most(times)).toBeLessThanOrEqual(24)
    expect((Math.max(...times) - Math.min(...times)) / 1000).toBeLessThan(14.2)
  })

  test('sixty runs that begin at once, as requests start renewals, all get their turn', async () => {
    const clock = countedClock()
    const table = memoryTable()
    const { payments, accepted } = busyStripe(clock)
    const runs = Array.from({ length: 60 }, () => jobOf(clock, table, payments)('createPayment'))
    await clock.run(Promise.all(runs))
    const times = accepted.map(({ atMs }) => atMs)
    expect(times).toHaveLength(60)
    expect(most(times)).toBeLessThanOrEqual(24)
    expect((Math.max(...times) - Math.min(...times)) / 1000).toBeLessThan(10)
  })

  test('a sandbox has 25 calls a second in all', async () => {
    const clock = countedClock()
    const { payments, accepted } = busyStripe(clock)
    const call = jobOf(clock, memoryTable(), payments, false)
    const methods = ['readPayment', 'createPayment', 'readCharge'] as const
    await clock.run(Promise.all(methods.flatMap((method) => Array.from({ length: 40 }, () => call(method)))))
    expect(accepted).toHaveLength(120)
    expect(most(accepted.map(({ atMs }) => atMs))).toBeLessThanOrEqual(24)
  })

  test('idle time allows no burst later', () => {
    const { timesMs } = reserveCalls({ readPayment: { nextMs: 0 } }, 'readPayment', 20, LIVE, 1_000_000)
    expect(timesMs.filter((at) => at <= 1_000_000)).toHaveLength(3)
  })

  test('learns from refusals that Stripe accepts less, and loses no call', async () => {
    const clock = countedClock()
    const { payments, accepted, refused } = busyStripe(clock, 6)
    const call = jobOf(clock, memoryTable(), payments)
    const startMs = clock.nowMs()
    const work = async () => {
      for (let done = false; !done; )
        done = await call('createPayment')
          .then(() => true)
          .catch(() => false)
    }
    const workers = Array.from({ length: 10 }, async () => {
      for (let calls = 0; calls < 30; calls++) await work()
    })
    await clock.run(Promise.all(workers))
    expect(accepted).toHaveLength(300)
    expect((clock.nowMs() - startMs) / 1000).toBeLessThan(60)
    expect(refused()).toBeLessThan(80)
  })

  test('slows down to one call a second in an outage, and is back in two minutes', () => {
    let buckets = {}
    for (let seconds = 0; seconds < 60; seconds++)
      buckets = slowDown(buckets, 'readPayment', undefined, LIVE, 1_000_000 + seconds * 1000)
    const rateAt = (ms: number) => rateOf('readPayment', Object(buckets).readPayment, LIVE, ms)
    expect(rateAt(1_059_000)).toBe(1)
    expect(rateAt(1_059_000 + 120_000)).toBe(rateOf('readPayment', undefined, LIVE, 0))
  })

  test('refusals of calls that were on their way together count once', () => {
    const once = slowDown({}, 'readPayment', undefined, LIVE, 1_000_000)
    const twice = slowDown(once, 'readPayment', undefined, LIVE, 1_000_500)
    expect(twice.readPayment?.slowedTo).toBe(once.readPayment?.slowedTo)
  })

  test('keeps to Retry-After, but for a minute at most', () => {
    const startOf = (seconds: number) => {
      const buckets = slowDown({}, 'readPayment', seconds, LIVE, 1_000_000)
      return reserveCalls(buckets, 'readPayment', 1, LIVE, 1_000_000).timesMs[0]
    }
    expect(startOf(7)).toBe(1_007_000)
    expect(startOf(86_400)).toBe(1_060_000)
  })

  test('a clock that was set back stops no job', () => {
    const buckets = slowDown({}, 'readPayment', 5, LIVE, 100_000_000)
    const { timesMs } = reserveCalls(buckets, 'readPayment', 1, LIVE, 1_000_000)
    expect(timesMs[0]).toBeLessThanOrEqual(1_000_000)
  })

  test('a run that calls nobody pays nothing; the calls of a second pay one write', async () => {
    const clock = countedClock()
    const table = memoryTable()
    let writes = 0
    const counted = {
      ...table,
      put: (...args: Parameters<typeof table.put>) => {
        writes++
        return table.put(...args)
      },
    }
    const call = jobOf(clock, counted, busyStripe(clock).payments)
    expect(writes).toBe(0)
    await clock.run(Promise.all(Array.from({ length: 100 }, () => call('readPayment'))))
    expect(writes).toBeLessThanOrEqual(6)
  })
})

describe('a request that meets a rate limit', () => {
  const limited = (limit: Partial<RateLimit> = {}) =>
    rateLimited({ scope: 'endpoint', retryAfterSeconds: undefined, ...limit }, new Error('429'))

  /** Stripe that refuses the first calls with these errors. */
  async function ask(errors: Error[]) {
    const clock = countedClock()
    const startMs = clock.nowMs()
    const left = [...errors]
    const readPayment = async () => {
      const error = left.shift()
      if (error) throw error
      return 'read'
    }
    const payments = patientPayments({ readPayment } as unknown as Payments, clock)
    const answer = await clock.run(
      payments.readPayment('pi_1').then(String, (error) => `${error.code} ${error.retryAfterSeconds}`),
    )
    return { answer, waitedMs: clock.nowMs() - startMs, callsLeft: left.length }
  }

  test('sends the call again for a few seconds', async () => {
    expect(await ask([limited(), limited(), limited()])).toMatchObject({ answer: 'read' })
  })

  test('then says when to try again', async () => {
    const { answer, waitedMs } = await ask(Array.from({ length: 4 }, () => limited()))
    expect(answer).toBe('temporarily_unavailable 2')
    expect(waitedMs).toBeLessThan(4_500)
  })

  test('does not wait for a long Retry-After', async () => {
    expect(await ask([limited({ retryAfterSeconds: 30 })])).toMatchObject({
      answer: 'temporarily_unavailable 30',
      waitedMs: 0,
    })
  })

  test('never repeats a call whose effect is unknown', async () => {
    const { answer, callsLeft } = await ask([new Error('no answer'), limited()])
    expect([answer, callsLeft]).toEqual(['undefined undefined', 1])
  })
})
