import { describe, expect, test, vi } from 'vitest'
import { plant } from './plant.ts'
import { purchaseBugs } from './purchase-bugs.ts'
import { purchases } from './purchase-world.ts'

vi.setConfig({ testTimeout: 300_000 })

// stripe-node takes a stack with every call, which costs as much as the call.
Error.stackTraceLimit = 1

describe('a planted bug is found', () => {
  test.each(purchaseBugs)('$title', async ({ foundBy, ...bug }) => {
    const { functions, remove } = await plant(bug, purchases)
    const failures = await foundBy(functions).finally(remove)
    // An assertion that does not hold: a patch that merely throws proves nothing.
    expect(failures).toContainEqual(expect.stringMatching(/^AssertionError/))
  })
})
