import { describe, expect, test } from 'vitest'
import { breaksOf, FLOWS, MODES, play } from '../support/card-flows.ts'
import { inLanes } from '../support/stripe-state.ts'

const LANES = 4

describe.each(FLOWS)('$title', (flow) => {
  test.each(MODES)('broken at any call, recovered by %s', async (mode) => {
    const calls = await play(flow, mode)
    const failures: string[] = []
    await inLanes(breaksOf(calls.length), LANES, async (point) => {
      const name = `${point.kind} of call ${point.at}, ${calls[point.at - 1]}`
      await play(flow, mode, { point, name }).catch((error) =>
        failures.push(String(error.message).split('\n')[0]!),
      )
    })
    expect(failures).toEqual([])
  })
})
