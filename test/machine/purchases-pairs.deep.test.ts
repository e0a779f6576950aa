import { describe, expect, test } from 'vitest'
import { meetAll, scenes } from './purchase-pairs.ts'

// stripe-node takes a stack with every call, which costs as much as the call.
Error.stackTraceLimit = 1

describe('one is paused before each of its calls while another runs to its end: money taken is units credited', () => {
  test.each(scenes)(
    '$title',
    async (scene) => {
      const { runs, failures } = await meetAll(scene)
      expect(runs).toBeGreaterThan(20)
      expect(failures).toEqual([])
    },
    120_000,
  )
})
