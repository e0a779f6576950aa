import { describe, expect, test, vi } from 'vitest'
import { plant } from './plant.ts'
import { purchaseBugs } from './purchase-bugs.ts'
import { purchases } from './purchase-world.ts'

vi.setConfig({ testTimeout: 300_000 })

// stripe-node captures a stack trace with every call, which costs as much as the call itself.
Error.stackTraceLimit = 1

describe('a planted bug is found', () => {
  test.each(purchaseBugs)('$title', async ({ foundBy, ...bug }) => {
    const { functions, remove } = await plant(bug, purchases)
    const failures = await foundBy(functions).finally(remove)
    // A failed assertion is required: a patch that merely throws proves nothing.
    expect(failures).toContainEqual(expect.stringMatching(/^AssertionError/))
  })
})
