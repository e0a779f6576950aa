import { describe, expect, test, vi } from 'vitest'
import { cardBugs } from './card-bugs.ts'
import { cards } from './card-world.ts'
import { plant } from './plant.ts'

vi.setConfig({ testTimeout: 300_000 })

// stripe-node captures a stack trace with every call, which costs as much as the call itself.
Error.stackTraceLimit = 1

describe('a planted bug is found', () => {
  test.each(cardBugs)('$title', async ({ foundBy, ...bug }) => {
    const { functions, remove } = await plant(bug, cards)
    const failures = await foundBy(functions).finally(remove)
    // A failed assertion is required: a patch that merely throws proves nothing.
    expect(failures).toContainEqual(expect.stringMatching(/^AssertionError/))
  })
})
