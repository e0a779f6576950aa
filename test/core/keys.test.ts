import { describe, expect, test } from 'vitest'
import { dayKey, keys, lotKey, msKey, plansKey, timeKey } from '../../core/table/keys.ts'

/** Numbers in sort keys, which DynamoDB compares as text. */

const ID = '6548a41138406c14db33b606'

const NUMBERED: Record<string, [make: (value: number) => string, last: number]> = {
  'a day': [dayKey, 99_999],
  'a time in ms': [msKey, 99_999_999_999_999],
  'the time of a request id': [timeKey, 0xff_ffff_ffff],
  'the number of a ledger entry': [(seq) => keys.ledger(ID, seq).sk, 999_999_999_999],
  'the number of a lot': [(seq) => lotKey(ID, 1, seq).sk, 999_999_999_999],
  'the version of the plans': [(version) => plansKey(version).sk, 99_999_999],
}

describe.each(Object.entries(NUMBERED))('%s', (_, [make, last]) => {
  test('sorts as its number does, up to the last one that fits', () => {
    const numbers = [0, 1, 9, 10, 99, 100, last - 1, last]
    const texts = numbers.map(make)
    expect([...texts].sort()).toEqual(texts)
    expect(new Set(texts.map((text) => text.length)).size).toBe(1)
  })

  test.each([last + 1, -1, 0.5, Number.NaN, 1e21])('%s fits nowhere', (value) => {
    expect(() => make(value)).toThrow('does not fit')
  })
})
