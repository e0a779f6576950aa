/**
 * What a customer is told if a single call of a request or a job ends in an outage, for every call in turn, and what there
 * is once the jobs and events have made up for it. A change of the snapshot is a change of what an outage leads to.
 */
import { describe, expect, test } from 'vitest'
import { proveCard } from '../../core/cards/verify.ts'
import { DomainError } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { breaking } from '../machine/faults.ts'
import {
  DAY_MS,
  GOOD,
  HOUR_MS,
  MINUTE_MS,
  OTHER,
  openPurchaseWorld,
  type PurchaseWorld,
} from '../machine/purchase-world.ts'

Error.stackTraceLimit = 1

interface Flow {
  prepare?(world: PurchaseWorld): Promise<unknown>
  act(world: PurchaseWorld, via: Ports): Promise<unknown>
  /** The table was restored a minute before. */
  isRestored?: true
}

const held = async (world: PurchaseWorld) => {
  await world.signUp(await world.newCard(GOOD))
  await world.deliver()
  world.advance(DAY_MS)
}
const runLow = async (world: PurchaseWorld) => {
  await held(world)
  await world.consumeTo(3)
}
const told = (call: Promise<unknown>) =>
  call.then(
    (answer) => JSON.stringify(answer ?? 'done'),
    (error) => (error instanceof DomainError ? error.code : `${error}`),
  )
const verify = async (world: PurchaseWorld, via: Ports) =>
  told(proveCard(via, await world.account(), { purpose: 'verify', cardId: await world.newCard(OTHER) }))

const flows: Record<string, Flow> = {
  'a sign-up': { act: async (world, via) => world.signUp(await world.newCard(GOOD), via) },
  'a purchase': { prepare: held, act: (world, via) => world.buy(via, 'key') },
  'a first card': { act: verify },
  'a second card': { prepare: held, act: verify },
  'a change of the card': {
    prepare: async (world) => {
      await held(world)
      await world.setRenewal(false)
    },
    act: async (world, via) => world.changeCard(await world.newCard(OTHER), via),
  },
  'the same number typed again': {
    prepare: async (world) => {
      await held(world)
      await world.setRenewal(false)
    },
    act: async (world, via) => world.changeCard(await world.newCard(GOOD), via),
  },
  'a removal of the default card': {
    prepare: async (world) => {
      await held(world)
      await world.setRenewal(false)
      await verify(world, world.ports)
      await world.deliver()
    },
    act: async (world, via) => world.remove((await world.defaultCard()) ?? '', via),
  },
  'a renewal': { prepare: runLow, act: (world, via) => world.job('checkQuotas', via) },
  'a renewal that is declined': {
    prepare: async (world) => {
      await runLow(world)
      const card = world.stripe.state.cards[(await world.defaultCard()) ?? '']
      if (card) card.number = '4000000000000002'
    },
    act: (world, via) => world.job('checkQuotas', via),
  },
  'the event of a refund': {
    prepare: async (world) => {
      await held(world)
      await world.consume(700)
      await world.refund(0)
    },
    act: (world, via) => world.deliver(via),
  },
  'the job that collects owed units': {
    prepare: async (world) => {
      await held(world)
      await world.lease(900, 'return')
      await world.refund(0)
      await world.deliver()
      world.advance(HOUR_MS)
    },
    act: (world, via) => world.job('expireReservations', via),
  },
  'a refund that an operator orders': {
    prepare: held,
    act: (world, via) => world.orderRefund(0, { what: 'units_left' }, via, 'key'),
  },
  'a setting of renewals': { prepare: held, act: (world, via) => world.choose({ below: 200 }, via) },
  'the job that settles what a crash has left': {
    prepare: async (world) => {
      await held(world)
      const down = () => Promise.reject(new DomainError('temporarily_unavailable'))
      await world.buy({ ...world.ports, payments: { ...world.ports.payments, confirmPayment: down } })
      world.advance(2 * MINUTE_MS)
    },
    act: (world, via) => world.job('settlePayments', via),
  },
  'the job that makes a lost purchase again': {
    prepare: async (world) => {
      await world.signUp(await world.newCard(GOOD))
      await world.deliver()
      world.advance(HOUR_MS)
      const isLost = /^PURCHASE#|^INVOICE#|^#PAYMENT|^#CUSTOMER/
      for (const { pk, sk } of world.items())
        if (isLost.test(String(sk))) await world.ports.table.remove({ pk, sk } as never)
      await world.ports.table.update(keys.profile(world.accountId), expr`REMOVE #customerId`)
    },
    isRestored: true,
    act: (world, via) => world.job('comparePayments', via),
  },
  'the events of a sign-up': {
    prepare: async (world) => world.signUp(await world.newCard(GOOD)),
    act: (world, via) => world.deliver(via),
  },
}

/** What there is once nothing is under way any more. */
async function settled(world: PurchaseWorld, via: Ports): Promise<string> {
  for (let round = 0; round < 2; round++) {
    world.advance(HOUR_MS)
    await world.deliver()
    await world.jobs(via)
  }
  const { quota, owed, openPurchase, openHold, renewal, customer } = await world.account()
  const cards = world
    .items()
    .filter(({ sk, card, removing }) => String(sk).startsWith('CARD#') && card && !removing)
  const isOpen = openPurchase !== undefined || openHold !== undefined
  return [
    `${quota?.left} units`,
    `${world.charges().length} charges`,
    `${cards.length} cards`,
    ...(customer?.defaultCardId === undefined ? ['no default card'] : []),
    ...(owed ? ['owes'] : []),
    ...(renewal ? [renewal.state] : []),
    ...(isOpen ? ['still open'] : []),
  ].join(', ')
}

async function played({ prepare, act, isRestored }: Flow, at: number) {
  const world = await openPurchaseWorld()
  await prepare?.(world)
  const restored = isRestored && { sessionsSinceMs: world.nowMs() - MINUTE_MS }
  const { ports, calls } = breaking(world.ports, { at, kind: 'error-before' })
  const answer = await act(world, { ...ports, ...restored })
  const then = await settled(world, { ...world.ports, ...restored })
  return { calls, line: `${answer}; then ${then}`, mistakes: world.mistakes }
}

describe('an outage at each call of', () => {
  test.each(Object.entries(flows))('%s', async (title, flow) => {
    const whole = await played(flow, 0)
    const lines = [`no outage: ${whole.line}`]
    for (const [at, call] of whole.calls.entries()) {
      const { line, mistakes } = await played(flow, at + 1)
      lines.push(`${at + 1} ${call}: ${line}`)
      // What a flow prepares by hand makes no events.
      expect(
        mistakes.filter((mistake) => !mistake.startsWith('events: #CUSTOMER')),
        call,
      ).toEqual([])
    }
    const file = title.replaceAll(/[^a-z]+/g, '-')
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(`__snapshots__/outages/${file}.txt`)
  })
})
