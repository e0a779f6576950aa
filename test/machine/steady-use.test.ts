import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Ports } from '../../core/ports.ts'
import type { BundleName } from '../../core/purchases/catalogue.ts'
import { GOOD, openPurchaseWorld, type PurchaseWorld, SECOND_MS } from './purchase-world.ts'

/** Usual latencies, ms: of Stripe's calls, and of an asynchronous invocation of Lambda. */
const STRIPE_MS: Record<string, number> = { createPayment: 400, confirmPayment: 1_200 }
const OTHER_STRIPE_MS = 200
const INVOKE_MS = 150
const TICK_MS = 100

/** Enough turns of the event loop for everything that can run until the next wait. */
const TURNS = 60

/** Runs work in counted time: a wait ends when the world's clock reaches its end, and no real time passes. */
function countedTime(world: PurchaseWorld) {
  let waiting: { untilMs: number; end(): void }[] = []
  return {
    wait: (ms: number) => new Promise<void>((end) => void waiting.push({ untilMs: world.nowMs() + ms, end })),
    async pass(ms: number): Promise<void> {
      world.advance(ms)
      const due = waiting.filter(({ untilMs }) => untilMs <= world.nowMs())
      waiting = waiting.filter((each) => !due.includes(each))
      for (const { end } of due) end()
      for (let turns = 0; due.length > 0 && turns < TURNS; turns++) await turn()
    },
  }
}

/** Ports as a container has them: each call to Stripe takes its time, and a started renewal runs on its own. */
function containerOf(world: PurchaseWorld, wait: (ms: number) => Promise<void>, crossedMs: number[]): Ports {
  const payments = new Proxy(world.ports.payments, {
    get: (object, name) => {
      const call = Reflect.get(object, name)
      if (typeof call !== 'function') return call
      return async (...args: unknown[]) => {
        await wait(STRIPE_MS[String(name)] ?? OTHER_STRIPE_MS)
        return call.apply(object, args)
      }
    },
  })
  const ports: Ports = {
    ...world.ports,
    payments,
    renewals: {
      start: async () => {
        crossedMs.push(world.nowMs())
        void wait(INVOKE_MS).then(() => world.renewAtOnce(ports))
      },
    },
  }
  return ports
}

/** A customer who uses a bundle steadily for `seconds`, from `left` units on. No job runs. */
async function useSteadily(
  bundle: BundleName,
  use: { perSecond: number; below: number | undefined; left: number; seconds: number },
) {
  const world = await openPurchaseWorld()
  await world.signUp(await world.newCard(GOOD), world.ports, undefined, bundle)
  // More renewals than the limits of an hour and a day allow by default.
  await world.choose({ below: use.below, maxRenewalsPerHour: 200, maxRenewalsPerDay: 4_000 })
  await world.consumeTo(use.left)
  const { wait, pass } = countedTime(world)
  const crossedMs: number[] = []
  const container = containerOf(world, wait, crossedMs)
  let refused = 0
  const units = (use.perSecond * TICK_MS) / SECOND_MS
  for (let passedMs = 0; passedMs < use.seconds * SECOND_MS; passedMs += TICK_MS) {
    await pass(TICK_MS)
    if ((await world.consume(units, container)) !== 'done') refused++
  }
  const renewedMs = world
    .items()
    .flatMap(({ kind, state, paidAtMs }) =>
      kind === 'renewal' && state === 'credited' ? [Number(paidAtMs)] : [],
    )
    .sort((a, b) => a - b)
  return {
    refused,
    renewals: renewedMs.length,
    delaysMs: renewedMs.map((atMs, n) => atMs - (crossedMs[n] ?? 0)),
  }
}

test.each([
  ['STARTER', { perSecond: 50, below: 500, left: 600, seconds: 70 }, 4],
  ['ENTERPRISE', { perSecond: 500, below: 5_000, left: 6_000, seconds: 15 }, 1],
] as const)(
  '%s used steadily, and renewed at ten seconds of its use, is never refused',
  async (bundle, use, renewals) => {
    const told = await useSteadily(bundle, use)
    expect(told).toMatchObject({ refused: 0, renewals })
    // Charged and credited within two seconds of the crossing.
    expect(Math.max(...told.delaysMs)).toBeLessThanOrEqual(2 * SECOND_MS)
  },
)

test('at the default of 1 % a faster use than that is refused until the renewal, for two seconds at most', async () => {
  const { refused, renewals, delaysMs } = await useSteadily('STARTER', {
    ...{ perSecond: 50, below: undefined, left: 100, seconds: 20 },
  })
  expect(renewals).toBe(1)
  expect(refused).toBeGreaterThan(0)
  expect(refused).toBeLessThanOrEqual((2 * SECOND_MS) / TICK_MS)
  expect(Math.max(...delaysMs)).toBeLessThanOrEqual(2 * SECOND_MS)
})
