import { expect, test } from 'vitest'
import type { Ports } from '../../core/ports.ts'
import { ALWAYS_3DS, failuresOf, GOOD, OTHER } from './card-flows.ts'
import {
  type Answer,
  type CardWorld,
  DAY_MS,
  expectSettled,
  expectUsable,
  listed,
  MINUTE_MS,
  openCardWorld,
} from './card-world.ts'
import { BREAK_KINDS, type Break, breaking } from './faults.ts'

// stripe-node captures a stack trace with every call, which costs as much as the call itself.
Error.stackTraceLimit = 1

/** The number of runs, and the seed of the first run; a failure names its seed. */
const RUNS = Number(process.env.CARD_RUNS ?? 100)
const SEED = Number(process.env.CARD_SEED ?? 1)

const STEPS = 10
const NUMBERS = [GOOD, OTHER, ALWAYS_3DS, '4000000000000002', '4000008400001629', '4000000000009979']

/** Pseudo-random integers below `n`, determined by the seed (mulberry32). */
function diceOf(seed: number): (n: number) => number {
  let state = seed
  return (n) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * n)
  }
}

/** Ports whose calls wait a few turns of the event loop, so that concurrent requests overtake each other. */
function dawdling(ports: Ports, dice: (n: number) => number): Ports {
  const slow = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (object, method, receiver) => {
        const call = Reflect.get(object, method, receiver)
        if (typeof call !== 'function') return call
        return async (...args: unknown[]) => {
          for (let turns = dice(8); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve))
          return call.apply(object, args)
        }
      },
    })
  return { ...ports, table: slow(ports.table), payments: slow(ports.payments) }
}

async function run(seed: number): Promise<void> {
  const dice = diceOf(seed)
  const world = await openCardWorld()
  const log: string[] = []
  const title = () => `seed ${seed}: ${log.join(' | ')}`
  try {
    const cards = await Promise.all([0, 1, 2].map(() => world.newCard(NUMBERS[dice(NUMBERS.length)] ?? GOOD)))
    const name = (card: string) => `card ${cards.indexOf(card)}`
    const ports = (): Ports => {
      const slow = dawdling(world.ports, dice)
      if (dice(3) > 0) return slow
      const point: Break = { at: 1 + dice(12), kind: BREAK_KINDS[dice(4)] ?? 'crash-after' }
      return breaking(slow, point).ports
    }
    const request = async (): Promise<void> => {
      const card = cards[dice(cards.length)] ?? ''
      const kind = (['verify', 'verify', 'verify', 'change', 'remove'] as const)[dice(5)] ?? 'verify'
      const answer: Answer = await world[kind](card, ports())
      log.push(`${kind} ${name(card)}: ${answer}`)
    }
    const steps: (() => Promise<void>)[] = [
      request,
      request,
      async () => void (await Promise.all([request(), request()])),
      async () => void (await Promise.all([request(), someEvents(world, dice, ports())])),
      async () => someEvents(world, dice, ports()),
      async () => {
        const { payments } = await world.atStripe()
        const waiting = payments.find(({ status }) => status === 'requires_action')
        if (!waiting) return
        const outcome = dice(4) > 0 ? 'succeed' : 'fail'
        world.double.authenticate({ paymentIntent: waiting.id, outcome })
        log.push(`3-D Secure ${outcome}`)
      },
      async () => {
        world.advance([MINUTE_MS / 2, MINUTE_MS, 5 * MINUTE_MS, DAY_MS][dice(4)] ?? 0)
        log.push('time')
      },
      async () => {
        world.advance(MINUTE_MS)
        await world.sweep(ports()).catch(() => {})
        log.push('sweep')
      },
      async () => void (await Promise.all([request(), world.sweep(ports()).catch(() => {})])),
      async () => {
        const card = cards[dice(cards.length)] ?? ''
        if (dice(3) > 0) return
        await world.operator.paymentMethods.detach(card).catch(() => {})
        log.push(`operator detaches ${name(card)}`)
      },
      async () => {
        const card = cards[dice(cards.length)] ?? ''
        const change = { card: { exp_year: 2032 + dice(8) } }
        await world.operator.paymentMethods.update(card, change).then(
          () => log.push(`${name(card)} updated in place`),
          () => {},
        )
      },
      async () => {
        const { payments } = await world.atStripe()
        // A payment that was never confirmed can hold nothing, and once edited it cannot be known any more.
        const payment = payments.find(({ status }) => status !== 'requires_confirmation')
        if (!payment || dice(2) > 0) return
        const metadata = { purchase: `edited ${payment.id}`, account: 'edited' }
        await world.operator.paymentIntents.update(payment.id, { metadata })
        log.push('metadata edited')
      },
      async () => {
        if (dice(4) > 0) return
        await world.loseEvents()
        log.push('events lost')
      },
    ]
    for (let step = 0; step < STEPS; step++) await steps[dice(steps.length)]?.()
    for (let round = 0; round < 2; round++) {
      expect(await world.deliver(), `${title()}: events refused`).toBe(0)
      world.advance(DAY_MS)
      await world.sweep()
      await world.catchUp()
    }
    await expectSettled(world, title())
    for (const card of await listed(world)) expect([...cards, 'other'], title()).toContain(card)
    await expectUsable(world, title())
  } finally {
    await world.close()
  }
}

/** Delivers some of the events so far, including old ones, in random order. */
async function someEvents(world: CardWorld, dice: (n: number) => number, through: Ports): Promise<void> {
  const events = await world.events()
  for (let n = dice(6); n > 0; n--) {
    const event = events[dice(events.length)]
    if (event) await world.receive(event, through).catch(() => {})
  }
}

test(`${RUNS} random lives of an account: no money stays held, and its cards equal those at Stripe`, async () => {
  const seeds = Array.from({ length: RUNS }, (_, n) => SEED + n)
  expect(await failuresOf(seeds, run)).toEqual([])
}, 600_000)
