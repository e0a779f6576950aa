import { expect, test } from 'vitest'
import { SWEEP_HOLDS_MS } from '../../core/credentials/first-password.ts'
import { CHANGING_MS } from '../../core/credentials/set-password.ts'
import { functions, scheduled } from '../../functions/deploy/functions.ts'

test('whoever sets a password at the vault keeps others from it for longer than the function may run', () => {
  const setters = functions.filter(({ kind, needs }) => kind === 'endpoint' && needs.includes('identity'))
  expect(setters.length).toBeGreaterThan(10)
  for (const { name, timeoutSeconds } of setters)
    expect([name, timeoutSeconds * 1000 < CHANGING_MS]).toEqual([name, true])
  const sweep = scheduled.find(({ name }) => name === 'jobs-sweep')
  expect(Number(sweep?.timeoutSeconds) * 1000).toBeLessThan(SWEEP_HOLDS_MS)
})
