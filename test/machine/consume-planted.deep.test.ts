import { describe, expect, test, vi } from 'vitest'
import { consumeUnits } from '../../core/quota/consume.ts'
import { plant } from './plant.ts'
import { quotaBugs } from './quota-bugs.ts'
import { scenarios } from './quota-scenarios.ts'
import { openQuotaWorld, type QuotaFunctions, quotaFunctions } from './quota-world.ts'

vi.setConfig({ testTimeout: 300_000 })

/** The error of a scenario played with these functions; `undefined` if all its assertions hold. */
async function failureOf(name: string, functions: QuotaFunctions): Promise<unknown> {
  const scenario = scenarios[name]
  if (!scenario) throw new Error(`No scenario is called ${name}. Use a title from quota-scenarios.ts.`)
  return scenario((options) => openQuotaWorld({ ...options, functions })).catch((error) => error)
}

describe('a planted bug is found', () => {
  test.each(quotaBugs)('$title', async ({ foundBy, ...bug }) => {
    const { functions, remove } = await plant(bug, quotaFunctions)
    const failure = await failureOf(foundBy, functions).finally(remove)
    // A failed assertion is required: a patch that merely throws proves nothing.
    expect(failure).toMatchObject({ name: 'AssertionError' })
  })

  test('only because of the bug: an unchanged copy passes every scenario that finds a bug', async () => {
    const same = { near: consumeUnits, find: 'TRIES = 20', put: 'TRIES = 20' }
    const { functions, remove } = await plant(same, quotaFunctions)
    const failures: unknown[] = []
    for (const name of new Set(quotaBugs.map(({ foundBy }) => foundBy)))
      failures.push(await failureOf(name, functions))
    remove()
    expect(failures.filter((failure) => failure !== undefined)).toEqual([])
  })
})
