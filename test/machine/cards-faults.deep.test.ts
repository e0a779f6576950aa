import { describe, expect, test } from 'vitest'
import type { Fault } from '../local/stripe/faults.ts'
import { breaksOf, failuresOf, flows, MODES, play } from './card-flows.ts'
import { openCardWorld } from './card-world.ts'
import { EXHAUSTIVE } from './faults.ts'

// stripe-node captures a stack trace with every call, which costs as much as the call itself.
Error.stackTraceLimit = 1

/** Every second item, so that two modes share all items; with EXHAUSTIVE=1 every item in each mode. */
const share = <T>(all: readonly T[], mode: number): T[] =>
  all.filter((_, at) => EXHAUSTIVE || at % 2 === mode % 2)

describe.each(Object.values(flows))('$title', (flow) => {
  test.each(MODES)('broken at any call, recovered by %s', async (mode) => {
    const { calls } = await play(flow, mode)
    const troubles = share(breaksOf(calls, mode), MODES.indexOf(mode))
    expect(await failuresOf(troubles, (trouble) => play(flow, mode, trouble))).toEqual([])
  })
})

describe.each([flows.authenticated, flows.notAuthenticated])('after $title', (flow) => {
  test.each(['webhooks', 'sweep'] as const)(
    'work of the %s that is broken at any call is completed the next time',
    async (mode) => {
      const { callsAfter } = await play(flow, mode, { after: { at: 1000, kind: 'error-before' } })
      expect(callsAfter.length).toBeGreaterThan(5)
      const troubles = breaksOf(callsAfter, mode).map(({ point, name }) => ({ after: point, name }))
      expect(await failuresOf(troubles, (trouble) => play(flow, mode, trouble))).toEqual([])
    },
  )
})

/**
 * Each fault outlasts the one retry. All but a 429 leave open whether the call took effect. A delayed call takes
 * twice as long as the client waits.
 */
const FAULTS: Fault[] = [
  { fault: 'lose-reply-before-commit' },
  { fault: 'lose-reply-after-commit' },
  { fault: '409' },
  { fault: '429' },
  { fault: '500' },
  { fault: '500', code: 'after-commit' },
  { fault: 'torn-body' },
  { fault: 'delay', delayMs: 2000 },
]

test.each([flows.first, flows.declined, flows.change, flows.removeDefault])(
  '$title: every fault of Stripe at each of its calls, recovered in every way',
  async (flow) => {
    const world = await openCardWorld()
    const card = await flow.prepare(world)
    world.double.resetCalls()
    expect(await world[flow.kind](card)).toBe(flow.answer)
    const calls = Object.keys(world.double.calls())
    await world.close()
    const troubles = calls.flatMap((call) =>
      FAULTS.flatMap((fault, at) =>
        share(['webhooks', 'sweep', 'client'] as const, at).map((mode) => ({
          mode,
          fault: { ...fault, match: `${call}$` },
          name: `${fault.fault} ${fault.code ?? ''} of ${call}`,
        })),
      ),
    )
    expect(await failuresOf(troubles, ({ mode, ...trouble }) => play(flow, mode, trouble), 48)).toEqual([])
  },
)
