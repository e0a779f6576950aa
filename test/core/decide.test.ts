import { describe, expect, test } from 'vitest'
import type { Payment, PaymentState } from '../../core/ports.ts'
import { decideStep, type Observation } from '../../core/purchases/decide.ts'

const decline = { reason: 'declined', retry: 'retryable' } as const
const states: PaymentState[] = [
  { status: 'unconfirmed' },
  { status: 'declined', decline },
  { status: 'action_required', clientSecret: 'secret' },
  { status: 'processing' },
  { status: 'held' },
  { status: 'succeeded' },
  { status: 'canceled' },
]

/** Every combination of a payment's status and the four facts about it, for a payment that matches or not. */
const observations = (matches: boolean): Observation[] =>
  states.flatMap((state) =>
    Array.from({ length: 16 }, (_, bits) => ({
      payment: state as Payment,
      matches,
      isLeased: (bits & 1) > 0,
      hasLapsed: (bits & 2) > 0,
      canAuthenticate: (bits & 4) > 0,
      wasHeld: (bits & 8) > 0,
    })),
  )

describe.each(['purchase', 'hold'] as const)('a %s', (machine) => {
  test('ends only once its payment is canceled, so that no money can move afterwards', () => {
    const ended = observations(true).filter((seen) => decideStep(machine, seen) === 'end')
    expect([...new Set(ended.map(({ payment }) => payment.status))]).toEqual(['canceled'])
  })

  test('takes nothing from a payment that was changed outside Bursar', () => {
    expect(new Set(observations(false).map((seen) => decideStep(machine, seen)))).toEqual(new Set(['reject']))
  })

  test('leaves a payment alone that its request is about to confirm', () => {
    const leased = observations(true).filter((seen) => seen.isLeased && seen.payment.status === 'unconfirmed')
    expect(new Set(leased.map((seen) => decideStep(machine, seen)))).toEqual(new Set(['wait']))
  })
})

test('a purchase is credited exactly if its payment succeeded', () => {
  const taken = observations(true).filter((seen) => decideStep('purchase', seen) === 'take')
  expect(taken).toEqual(observations(true).filter(({ payment }) => payment.status === 'succeeded'))
})

test('a card is proved exactly if its bank has said yes', () => {
  const saidYes = ({ payment: { status }, wasHeld }: Observation) =>
    status === 'held' || status === 'succeeded' || (status === 'canceled' && wasHeld)
  const taken = observations(true).filter((seen) => decideStep('hold', seen) === 'take')
  expect(taken).toEqual(observations(true).filter(saidYes))
})
