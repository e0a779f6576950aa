import { describe, expect, test } from 'vitest'
import type { Plan } from '../../core/plans/plan.ts'
import { openCatalogue } from '../../core/purchases/open-catalogue.ts'

const ONE: Plan = { name: 'ONE', units: 1_000, prices: { USD: 99 } }

const mistake = (plans: Plan[], currency = 'USD', trialUnits = 100): string => {
  try {
    openCatalogue({ currency, trialUnits, plans })
    return 'none'
  } catch (error) {
    return (error as Error).message
  }
}

describe('a catalogue is refused with the name of the entry and what to do', () => {
  const named = (name: string) => [{ ...ONE, name }]
  const price = (cents: number, currency = 'USD') => [{ ...ONE, prices: { [currency]: cents } }]
  const size = (units: number) => [{ ...ONE, units }]
  const set = (fields: Partial<Plan>) => [{ ...ONE, ...fields }]
  const two = (a: Partial<Plan>, b: Partial<Plan>) => [
    { ...ONE, ...a },
    { ...ONE, ...b },
  ]
  test.each<[string, Plan[], string, RegExp]>([
    ['no plan', [], 'USD', /no plan: add one/],
    ['101 plans', Array(101).fill(ONE), 'USD', /101 plans: have at most 100/],
    ['a name with a space', named('MY ONE'), 'USD', /"MY ONE" is no name.*use up to 32/],
    ['a name with a slash', named('A/B'), 'USD', /"A\/B" is no name/],
    ['a name with a letter that folds to ASCII', named('STARTERſ'), 'USD', /is no name/],
    ['a name with markup', named('<b>'), 'USD', /is no name/],
    ['an empty name', named(''), 'USD', /"" is no name/],
    ['a name of 33 characters', named('A'.repeat(33)), 'USD', /is no name/],
    ['a name that begins with a digit', named('1ST'), 'USD', /is no name/],
    ['a title with markup', set({ title: '<b>One</b>' }), 'USD', /ONE has a title that cannot be shown/],
    ['a title of spaces', set({ title: '  ' }), 'USD', /title/],
    ['a title with a line break', set({ title: 'One\nTwo' }), 'USD', /title/],
    ['no units', size(0), 'USD', /ONE has 0 units: set a whole number/],
    ['half a unit', size(0.5), 'USD', /ONE has 0.5 units/],
    ['units below zero', size(-1), 'USD', /ONE has -1 units/],
    ['units that are not safe', size(2 ** 53), 'USD', /ONE has 9007199254740992 units/],
    ['units that are no number', size(Number.NaN), 'USD', /ONE has NaN units/],
    ['no price', price(0), 'USD', /ONE costs 0: set a whole number above 0/],
    ['a price in dollars instead of cents', price(0.99), 'USD', /ONE costs 0.99: set a whole number/],
    ['a price below the minimum', price(49), 'USD', /ONE costs 49: Stripe charges at least 50.*USD. Raise/],
    ['a price below the minimum in forint', price(17_499, 'HUF'), 'HUF', /at least 17500/],
    ['a price of nine digits', price(100_000_000), 'USD', /at most 99999999.*Lower/],
    ['a price in fils that does not end in 0', price(1_005, 'KWD'), 'KWD', /multiples of 10 only.*Round/],
    ['no price in the deployment’s currency', price(99), 'EUR', /ONE has no price in EUR/],
    ['another price below its minimum', set({ prices: { USD: 99, GBP: 29 } }), 'USD', /at least 30.*GBP/],
    ['a price in an unknown currency', set({ prices: { USD: 99, XXX: 99 } }), 'USD', /"XXX"/],
    [
      'units times price that are not exact',
      set({ units: 1e12, prices: { USD: 99_999 } }),
      'USD',
      /too many units/,
    ],
    [
      'two names that differ in case',
      two({ name: 'One' }, { units: 5, prices: { USD: 60 } }),
      'USD',
      /One and ONE/,
    ],
    ['two equal plans', two({}, { name: 'TWO' }), 'USD', /ONE and TWO are alike: remove one/],
    ['a notice above 90 %', set({ lowPercent: 91 }), 'USD', /ONE has lowPercent 91: set.*0 to 90/],
    ['a renewal above half of the plan', set({ renewalPercent: 51 }), 'USD', /renewalPercent 51.*0 to 50/],
    ['units that expire at once', set({ expiresAfterDays: 0 }), 'USD', /expiresAfterDays 0/],
    ['no unit a month', set({ monthlyUnits: 0 }), 'USD', /monthlyUnits 0/],
    ['an unknown currency', [ONE], 'XXX', /currency "XXX" is unknown.*currencies.ts/],
    ['a currency in lower case', [ONE], 'usd', /"usd" is unknown: write an ISO 4217 code in cap/],
    ['a currency that is a property of every object', [ONE], 'constructor', /is unknown/],
  ])('%s', (_, plans, currency, text) => {
    expect(mistake(plans, currency)).toMatch(text)
    expect(mistake(plans, currency)).toMatch(/core\/purchases\/catalogue\.ts/)
  })

  test.each([-1, 0.5, 2 ** 53])('a trial of %s units', (units) => {
    expect(mistake([ONE], 'USD', units)).toMatch(/The trial has/)
  })

  test('all mistakes are told at once', () => {
    const plans = [
      { ...ONE, name: 'A B', units: 0, prices: { USD: 1 } },
      { name: 'TWO', units: 1, prices: { USD: 0 } },
    ]
    expect(mistake(plans)).toMatch(/A B.*A B has 0 units.*A B costs 1.*TWO costs 0/)
  })
})

test.each(['USD', 'EUR', 'GBP', 'JPY', 'KRW', 'KWD', 'HUF'])('prices may be in %s', (currency) => {
  expect(mistake([{ ...ONE, prices: { [currency]: 20_000 } }], currency)).toBe('none')
})

test('two plans of one size and price may differ in what they give, and the trial may be nothing', () => {
  expect(mistake([ONE, { ...ONE, name: 'TWO', expiresAfterDays: 30 }], 'USD', 0)).toBe('none')
})

test('the file’s bundles are found by their exact names, and by no name of an object’s own properties', () => {
  const { isSold, bundleOf } = openCatalogue({
    currency: 'USD',
    trialUnits: 100,
    plans: [{ ...ONE, name: 'Team_2' }],
  })
  expect(['constructor', 'toString', 'team_2'].map(isSold)).toEqual([false, false, false])
  expect(bundleOf('Team_2')).toEqual({
    name: 'Team_2',
    version: 0,
    units: 1_000,
    priceCents: 99,
    currency: 'USD',
  })
  expect(() => bundleOf('GONE')).toThrow('no bundle GONE')
})
