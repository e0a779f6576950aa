import { expect, test } from 'vitest'
import { restoreDrill } from './restore-drill.ts'

test('after a restore nothing that was revoked since lives, and every payment since is credited once or told', async () => {
  const steps: string[] = []
  const checks = await restoreDrill((step) => steps.push(step))
  expect(checks.filter(({ found }) => found !== undefined)).toEqual([])
  expect(checks.length).toBeGreaterThan(25)
  expect(steps).toHaveLength(6)
})
