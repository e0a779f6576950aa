import { asyncProperty, assert as check, integer } from 'fast-check'
import { test } from 'vitest'
import { holdUnits } from './reservation-history.ts'

const RUNS = process.env.DEEP ? 40 : 2

test(`${RUNS} random histories: each reservation and lease ends once, and all units are left, used or held`, async () => {
  await check(
    asyncProperty(integer(), (seed) => holdUnits(seed)),
    { numRuns: RUNS, seed: 20261128, endOnFailure: true },
  )
}, 120_000)
