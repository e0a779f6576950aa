import { asyncProperty, assert as check, integer } from 'fast-check'
import { test } from 'vitest'
import { liveTogetherWithLots, liveWithLots } from './lot-history.ts'

const RUNS = process.env.DEEP ? 60 : 4

test(`${RUNS} random lives with units that expire: what is spent first, what expires and what is left is as counted by hand`, async () => {
  await check(
    asyncProperty(integer(), (seed) => liveWithLots(seed)),
    {
      numRuns: RUNS,
      seed: 20261129,
      endOnFailure: true,
    },
  )
}, 120_000)

test(`${RUNS} random lives of several processes with units that expire: nothing is lost, and nothing stays behind`, async () => {
  await check(
    asyncProperty(integer(), (seed) => liveTogetherWithLots(seed)),
    {
      numRuns: RUNS,
      seed: 20261129,
      endOnFailure: true,
    },
  )
}, 120_000)
