import { describe, expect, test, vi } from 'vitest'
import { PURCHASE_BREAKS } from './purchase-faults.ts'
import { breaksOf, failuresOf, flows, modesOf, play } from './purchase-flows.ts'

vi.setConfig({ testTimeout: 300_000 })

// stripe-node captures a stack trace with every call, which costs as much as the call itself.
Error.stackTraceLimit = 1

describe.each(Object.values(flows))('$title', (flow) => {
  test.each(modesOf(flow))('broken at any call in any way, recovered by %s', async (mode) => {
    const { calls } = await play(flow, mode)
    const troubles = breaksOf(calls, PURCHASE_BREAKS)
    expect(troubles.length).toBeGreaterThanOrEqual(8)
    expect(await failuresOf(troubles, (trouble) => play(flow, mode, trouble))).toEqual([])
  })
})
