import { describe, expect, test, vi } from 'vitest'
import { consumeUnits } from '../../core/quota/consume.ts'
import { plant } from './plant.ts'
import { quotaBugs } from './quota-bugs.ts'
import { scenarios } from './quota-scenarios.ts'
import { openQuotaWorld, type QuotaFunctions, quotaFunctions } from './quota-world.ts'

vi.setConfig({ testTimeout: 300_000 })

/** What a scenario comes to with these functions: `undefined` if all that it asserts holds. */
async function failureOf(name: string, functions: QuotaFunctions): Promise<unknown> {
  const scenario = scenarios[name]
  if (!scenario) throw new Error(`nothing is called ${name}`)
  return scenario((options) => openQuotaWorld({ ...options, functions })).catch((error) => error)
}

describe('a planted bug is found', () => {
  test.each(quotaBugs)('$title', async ({ foundBy, ...bug }) => {
    const { functions, remove } = await plant(bug, quotaFunctions)
    const failure = await failureOf(foundBy, functions).finally(remove)
    // An assertion that does not hold: a patch that merely throws proves nothing.
    expect(failure).toMatchObject({ name: 'AssertionError' })
  })

  test('by its bug alone: an unchanged copy passes every scenario that finds one', async () => {
    const same = { near: consumeUnits, find: 'TRIES = 20', put: 'TRIES = 20' }
    const { functions, remove } = await plant(same, quotaFunctions)
    const failures: unknown[] = []
    for (const name of new Set(quotaBugs.map(({ foundBy }) => foundBy)))
      failures.push(await failureOf(name, functions))
    remove()
    expect(failures.filter((failure) => failure !== undefined)).toEqual([])
  })
})
