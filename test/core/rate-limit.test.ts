import { expect, test } from 'vitest'
import type { Payments } from '../../core/ports.ts'
import { pacedPayments } from '../../core/purchases/rate-limit.ts'
import { silentLog } from '../support/log.ts'

/** A clock that moves only in `run`, from the wake-up time of one waiting caller to that of the next. */
function sleepers() {
  let nowMs = 1_000_000
  const waiting: { atMs: number; wake: () => void }[] = []
  return {
    nowMs: () => nowMs,
    wait: (ms: number) =>
      new Promise<void>((wake) => {
        waiting.push({ atMs: nowMs + ms, wake })
      }),
    /** Moves the clock until no caller waits. */
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

test('a busy job calls the provider at most 95 times in any second, and uses all of these calls', async () => {
  const { clock, payments, askedAtMs } = paced()
  const calls = Array.from({ length: 500 }, () => payments.readPayment('pi_1'))
  await clock.run()
  await Promise.all(calls)
  expect(askedAtMs).toHaveLength(500)
  expect(inAnySecond(askedAtMs)).toBeLessThanOrEqual(96)
  expect((askedAtMs.at(-1) ?? 0) - (askedAtMs[0] ?? 0)).toBeLessThan(5_300)
})

test('idle time does not allow a burst later', async () => {
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
