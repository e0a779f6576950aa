import { describe, expect, test } from 'vitest'
import { openCatalogue } from '../../core/purchases/open-catalogue.ts'

type Entry = { units: number; priceCents: number }
const GOOD: Entry = { units: 1_000, priceCents: 99 }

const mistake = (bundles: Record<string, Entry>, currency = 'USD'): string => {
  try {
    openCatalogue({ currency, bundles })
    return 'none'
  } catch (error) {
    return (error as Error).message
  }
}

describe('a catalogue is refused with the name of the entry and what to do', () => {
  const price = (priceCents: number) => ({ ONE: { ...GOOD, priceCents } })
  const size = (units: number) => ({ ONE: { ...GOOD, units } })
  test.each<[string, Record<string, Entry>, string, RegExp]>([
    ['no bundle', {}, 'USD', /no bundle: add one/],
    ['a name with a space', { 'MY ONE': GOOD }, 'USD', /"MY ONE" is no name.*use up to 32/],
    ['a name with a slash', { 'A/B': GOOD }, 'USD', /"A\/B" is no name/],
    ['a name with a letter that folds to ASCII', { STARTERſ: GOOD }, 'USD', /is no name/],
    ['a name with markup', { '<b>': GOOD }, 'USD', /is no name/],
    ['an empty name', { '': GOOD }, 'USD', /"" is no name/],
    ['a name of 33 characters', { ['A'.repeat(33)]: GOOD }, 'USD', /is no name/],
    ['a name that begins with a digit', { '1ST': GOOD }, 'USD', /is no name/],
    ['no units', size(0), 'USD', /ONE has 0 units: set a whole number/],
    ['half a unit', size(0.5), 'USD', /ONE has 0.5 units/],
    ['units below zero', size(-1), 'USD', /ONE has -1 units/],
    ['units that are not safe', size(2 ** 53), 'USD', /ONE has 9007199254740992 units/],
    ['units that are no number', size(Number.NaN), 'USD', /ONE has NaN units/],
    ['no price', price(0), 'USD', /ONE costs 0: set a whole number above 0/],
    ['a price in dollars instead of cents', price(0.99), 'USD', /ONE costs 0.99: set a whole number/],
    ['a price below the minimum', price(49), 'USD', /ONE costs 49: Stripe charges at least 50.*USD. Raise/],
    ['a price below the minimum in forint', price(17_499), 'HUF', /at least 17500/],
    ['a price of nine digits', price(100_000_000), 'USD', /at most 99999999.*Lower/],
    ['a price in fils that does not end in 0', price(1_005), 'KWD', /multiples of 10 only.*Round/],
    ['units times price that are not exact', { ONE: { units: 1e12, priceCents: 99_999 } }, 'USD', /too many/],
    ['two names that differ in case', { One: GOOD, ONE: { units: 5, priceCents: 60 } }, 'USD', /One and ONE/],
    ['two equal bundles', { ONE: GOOD, TWO: { ...GOOD } }, 'USD', /ONE and TWO are alike: remove one/],
    ['an unknown currency', { ONE: GOOD }, 'XXX', /currency "XXX" is unknown.*currencies.ts/],
    ['a currency in lower case', { ONE: GOOD }, 'usd', /"usd" is unknown: write an ISO 4217 code in cap/],
    ['a currency that is a property of every object', { ONE: GOOD }, 'constructor', /is unknown/],
  ])('%s', (_, bundles, currency, text) => {
    expect(mistake(bundles, currency)).toMatch(text)
    expect(mistake(bundles, currency)).toMatch(/core\/purchases\/catalogue\.ts/)
  })

  test('all mistakes are told at once', () => {
    expect(mistake({ 'A B': { units: 0, priceCents: 1 }, TWO: { units: 1, priceCents: 0 } })).toMatch(
      /A B.*A B has 0 units.*A B costs 1.*TWO costs 0/,
    )
  })
})

test.each(['USD', 'EUR', 'GBP', 'JPY', 'KRW', 'KWD', 'HUF'])('prices may be in %s', (currency) => {
  expect(mistake({ ONE: { units: 10, priceCents: 20_000 } }, currency)).toBe('none')
})

test('a bundle is found by its name in any case, and by no name of an object’s own properties', () => {
  const { bundleNamed, isSold, bundleOf } = openCatalogue({
    currency: 'USD',
    bundles: { Team_2: GOOD, 'a-b': { units: 5, priceCents: 60 } },
  })
  expect(['team_2', 'TEAM_2', 'A-B'].map(bundleNamed)).toEqual(['Team_2', 'Team_2', 'a-b'])
  expect(['constructor', '__proto__', 'toString', '', 'TEAM', 'ſ', 'a‐b'].map(bundleNamed)).toEqual(
    Array(7).fill(undefined),
  )
  expect(['constructor', 'toString', 'team_2'].map(isSold)).toEqual([false, false, false])
  expect(bundleOf('Team_2')).toEqual({ name: 'Team_2', ...GOOD })
  expect(() => bundleOf('GONE')).toThrow('no bundle GONE')
})
