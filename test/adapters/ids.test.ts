import { expect, test } from 'vitest'
import { randomIds } from '../../core/adapters/ids.ts'

function idsAt(nowMs: number) {
  return randomIds({ nowMs: () => nowMs, wait: async () => {} })
}

test('an account id is 24 lower-case hex digits that begin with the second of its creation', () => {
  expect(idsAt(1_767_225_600_999).accountId()).toMatch(/^6955b900[0-9a-f]{16}$/)
  expect(idsAt(1_000).accountId()).toMatch(/^00000001[0-9a-f]{16}$/)
})

test('account ids sort by the second of their creation', () => {
  const seconds = [1, 255, 256, 1_767_225_600, 4_000_000_000]
  const ids = seconds.map((second) => idsAt(second * 1000).accountId())
  expect(ids.toSorted()).toEqual(ids)
})

test('ids made in one moment differ', () => {
  const ids = idsAt(0)
  const made = Array.from({ length: 1000 }, () => [ids.accountId(), ids.uuid(), ids.hex(8)]).flat()
  expect(new Set(made).size).toBe(made.length)
})

test('a UUID is of version 4, and hex has two digits for each byte', () => {
  const ids = idsAt(0)
  expect(ids.uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(ids.hex(16)).toMatch(/^[0-9a-f]{32}$/)
})
