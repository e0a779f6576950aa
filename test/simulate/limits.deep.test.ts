import { describe, expect, test } from 'vitest'
import { type Assumptions, assumptions } from './assumptions.ts'
import { eased, LIMITS, limitsMet } from './limits.ts'
import { playMonth } from './month.ts'
import type { Measure } from './peaks.ts'
import { deployed, type Settings } from './settings.ts'

/** Two days, the second of which is viral. */
const DAYS = 2
/** What gives may let more through to the next limit. */
const ROUNDS = 8

type Change = Partial<Omit<Assumptions, 'viral'>> & { viral?: Partial<Assumptions['viral']> }
const about = ({ viral, ...rest }: Change = {}): Assumptions => ({
  ...assumptions,
  ...rest,
  viral: { ...assumptions.viral, day: 1, ...viral },
})

/** Months in which a limit is met, with what the deployment grants less of. */
const PLANTED: Record<
  Measure,
  { accounts: number; days?: number; change?: Change; settings?: Partial<Settings> }
> = {
  account: { accounts: 10_000_000 },
  due: {
    accounts: 10_000_000,
    change: { active: 1, unitsPerAccount: 2_000 },
    settings: { dueShards: 1, jobParts: 4, totalsKeys: 8, listShards: 8, countUseMinutes: 1 },
  },
  listed: { accounts: 10_000_000, settings: { jobParts: 4, totalsKeys: 8 } },
  totals: { accounts: 10_000_000, settings: { jobParts: 4, listShards: 8 } },
  requests: { accounts: 10_000_000 },
  creations: { accounts: 10_000_000, settings: { creationsPerSecond: 30 } },
  creationWait: {
    accounts: 10_000_000,
    change: { viral: { newAccounts: 1 } },
    settings: { creationsWait: true, creationsPerSecond: 30 },
  },
  signIns: { accounts: 10_000_000, settings: { signInsPerSecond: 20 } },
  stripe: { accounts: 10_000_000, settings: { paced: false, stripe: { all: 50, endpoint: 25 } } },
  stripeEndpoint: { accounts: 10_000_000, settings: { paced: false, stripe: { all: 100, endpoint: 5 } } },
  renewalWait: { accounts: 20_000_000, settings: { stripe: { all: 100, endpoint: 1 } } },
  webhookWait: { accounts: 10_000_000, settings: { webhooksAtOnce: 4 } },
  mailWait: { accounts: 10_000_000 },
  eventWait: {
    accounts: 10_000_000,
    change: { viral: { newAccounts: 3 } },
    settings: { creationsPerSecond: 10_000 },
  },
  useWait: { accounts: 10_000_000, days: 3, settings: { countUseMinutes: 10_000 } },
  accountRenewals: { accounts: 10_000_000 },
}

describe('a limit that is planted is noticed, and does not hold once what gives has given', () => {
  test.each(LIMITS)('$name', ({ measure, most }) => {
    const { accounts, days = DAYS, change, settings: planted } = PLANTED[measure]
    const scale = { accounts, days, seed: 7 }
    let settings = { ...deployed, ...planted }
    const before = playMonth(scale, settings, about(change))
    const first = before.peaks[measure]?.value ?? 0
    expect([measure, first > most(settings)]).toEqual([measure, true])
    let after = before
    for (let round = 0; round < ROUNDS && limitsMet(after, settings).length > 0; round++) {
      settings = eased(settings, limitsMet(after, settings))
      after = playMonth(scale, settings, about(change))
    }
    expect(limitsMet(after, settings).map(({ name }) => name)).toEqual([])
    expect(after.refused).toMatchObject({ spends: 0, registrations: 0, payments: 0 })
  })
})

test('a hundred thousand accounts meet no limit', () => {
  const month = playMonth({ accounts: 100_000, days: DAYS, seed: 7 }, deployed, about())
  expect(limitsMet(month, deployed).map(({ name }) => name)).toEqual([])
  expect(month.refused).toEqual({ requests: 0, spends: 0, registrations: 0, payments: 0 })
})
