import { describe, expect, test } from 'vitest'
import { meetAll, scenes } from './purchase-pairs.ts'

// stripe-node captures a stack trace with every call, which costs as much as the call itself.
Error.stackTraceLimit = 1

describe('money taken is units credited if an actor is paused before each call while another one acts', () => {
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
