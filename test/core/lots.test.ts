import { describe, expect, test } from 'vitest'
import { firstLot, hasLotEnded, lotGroups, unitsByDay } from '../../core/quota/lots.ts'

const lot = (day: number, seq = 1, units = 10) => ({ day, seq, units })

describe('the first lot of a counter', () => {
  test('has a day and a mark, and what is left of another one that was first before', () => {
    expect(firstLot({})).toBeUndefined()
    expect(firstLot({ E: 5 })).toBeUndefined()
    expect(firstLot({ M: 5 })).toBeUndefined()
    expect(firstLot({ E: 5, M: 100 })).toEqual({ day: 5, mark: 100 })
    expect(firstLot({ E: 5, M: 100, P: 7 })).toEqual({ day: 5, mark: 100 })
    expect(firstLot({ E: 5, M: 100, Q: 9 })).toEqual({ day: 5, mark: 100 })
    expect(firstLot({ E: 5, M: 100, P: 7, Q: 9 })).toEqual({ day: 5, mark: 100, rest: { units: 7, day: 9 } })
    expect(firstLot({ E: 5, M: 100, P: -1, Q: 9 })?.rest).toEqual({ units: 0, day: 9 })
  })
})

describe('a lot', () => {
  test('has ended if it has begun and expires before the first one, or if none is left', () => {
    expect(hasLotEnded(lot(3), { day: 4, mark: 0 }, 1)).toBe(true)
    expect(hasLotEnded(lot(4), { day: 4, mark: 0 }, 1)).toBe(false)
    expect(hasLotEnded(lot(5), { day: 4, mark: 0 }, 1)).toBe(false)
    expect(hasLotEnded(lot(3), undefined, 1)).toBe(true)
  })

  test('that the counter does not include yet has not ended', () => {
    expect(hasLotEnded(lot(3, 2), { day: 4, mark: 0 }, 1)).toBe(false)
    expect(hasLotEnded(lot(3, 2), undefined, 1)).toBe(false)
    expect(hasLotEnded(lot(3, 2), undefined, 2)).toBe(true)
  })

  test('between the first one and that which was first before has ended', () => {
    const first = { day: 4, mark: 0, rest: { units: 1, day: 8 } }
    expect([3, 4, 5, 7, 8, 9].map((day) => hasLotEnded(lot(day), first, 1))).toEqual([
      true,
      false,
      true,
      true,
      false,
      false,
    ])
  })
})

describe('lots by day', () => {
  test('begin with the first one, whose mark the counter has; the mark of each is that of the one before and its units', () => {
    const lots = [lot(4), lot(6, 1, 20), lot(6, 2, 5), lot(9, 3, 7)]
    expect(lotGroups({ day: 4, mark: 100 }, lots, 3)).toEqual([
      { day: 4, mark: 100 },
      { day: 6, mark: 125 },
      { day: 9, mark: 132 },
    ])
    expect(lotGroups(undefined, lots, 3)).toEqual([])
  })

  test('leave out what the counter does not include, and what has ended', () => {
    const lots = [lot(3), lot(6, 1, 20), lot(9, 4, 7)]
    expect(lotGroups({ day: 4, mark: 100 }, lots, 3)).toEqual([
      { day: 4, mark: 100 },
      { day: 6, mark: 120 },
    ])
    const rest = { units: 3, day: 9 }
    expect(lotGroups({ day: 4, mark: 100, rest }, [lot(6), lot(9, 2, 50), lot(12, 3, 1)], 3)).toEqual([
      { day: 4, mark: 100 },
      { day: 9, mark: 103 },
      { day: 12, mark: 104 },
    ])
  })
})

describe('units left by day', () => {
  const groups = [
    { day: 4, mark: 100 },
    { day: 6, mark: 120 },
    { day: 9, mark: 150 },
  ]

  test('are spent from the first one on, and what is held counts as spent', () => {
    expect(unitsByDay(groups, { used: 0, held: 0, left: 1000 })).toEqual([
      { day: 4, units: 100 },
      { day: 6, units: 20 },
      { day: 9, units: 30 },
    ])
    expect(unitsByDay(groups, { used: 90, held: 15, left: 1000 })).toEqual([
      { day: 6, units: 15 },
      { day: 9, units: 30 },
    ])
    expect(unitsByDay(groups, { used: 100, held: 0, left: 1000 })[0]).toEqual({ day: 6, units: 20 })
    expect(unitsByDay(groups, { used: 200, held: 0, left: 1000 })).toEqual([])
  })

  test('are no more than there are', () => {
    expect(unitsByDay(groups, { used: 0, held: 0, left: 110 })).toEqual([
      { day: 4, units: 100 },
      { day: 6, units: 10 },
    ])
    expect(unitsByDay(groups, { used: 0, held: 0, left: 0 })).toEqual([])
  })
})
