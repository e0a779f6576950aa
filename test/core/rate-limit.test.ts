import { expect, test } from 'vitest'
import type { Payments } from '../../core/ports.ts'
import { pacedPayments } from '../../core/purchases/rate-limit.ts'
import { silentLog } from '../support/log.ts'

/** A clock that stands still but for those who wait: each wakes up when its time has come. */
function sleepers() {
  let nowMs = 1_000_000
  const waiting: { atMs: number; wake: () => void }[] = []
  return {
    nowMs: () => nowMs,
    wait: (ms: number) =>
      new Promise<void>((wake) => {
        waiting.push({ atMs: nowMs + ms, wake })
      }),
    /** Lets time go by until everybody is awake. */
    async run() {
      await Promise.resolve()
      for (let next = earliest(waiting); next; next = earliest(waiting)) {
        nowMs = Math.max(nowMs, next.atMs)
        next.wake()
        for (let turn = 0; turn < 5; turn++) await Promise.resolve()
      }
    },
  }
}

function earliest<T extends { atMs: number }>(waiting: T[]): T | undefined {
  const next = waiting.toSorted((a, b) => a.atMs - b.atMs)[0]
  if (next) waiting.splice(waiting.indexOf(next), 1)
  return next
}

function paced() {
  const clock = sleepers()
  const askedAtMs: number[] = []
  const readPayment = async () => void askedAtMs.push(clock.nowMs())
  const ids = { accountId: String, uuid: String, hex: String }
  const payments = pacedPayments({
    clock,
    ids,
    log: silentLog,
    payments: { readPayment } as unknown as Payments,
  })
  return { clock, payments, askedAtMs }
}

const inAnySecond = (atMs: number[]): number =>
  Math.max(...atMs.map((start) => atMs.filter((at) => at >= start && at < start + 1000).length))

test('a job asks the provider 95 times in any second at most, and no less when it has more to ask', async () => {
  const { clock, payments, askedAtMs } = paced()
  const calls = Array.from({ length: 500 }, () => payments.readPayment('pi_1'))
  await clock.run()
  await Promise.all(calls)
  expect(askedAtMs).toHaveLength(500)
  expect(inAnySecond(askedAtMs)).toBeLessThanOrEqual(96)
  expect((askedAtMs.at(-1) ?? 0) - (askedAtMs[0] ?? 0)).toBeLessThan(5_300)
})

test('time in which nothing was asked is not saved up for a burst', async () => {
  const { clock, payments, askedAtMs } = paced()
  await payments.readPayment('pi_1')
  const pause = clock.wait(60_000)
  await clock.run()
  await pause
  const calls = Array.from({ length: 200 }, () => payments.readPayment('pi_1'))
  await clock.run()
  await Promise.all(calls)
  expect(inAnySecond(askedAtMs)).toBeLessThanOrEqual(96)
})
