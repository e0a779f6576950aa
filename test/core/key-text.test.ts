import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../core/adapters/clock.ts'
import { randomIds } from '../../core/adapters/ids.ts'
import { keyHash, newKeyText, readKeyText } from '../../core/keys/key-text.ts'
import { keyringOf } from '../support/keyrings.ts'
import { silentLog } from '../support/log.ts'

const clock = systemClock
const ids = randomIds(clock)
const deps = { clock, ids, log: silentLog, keyring: keyringOf('a1'.repeat(32)) }
const stranger = { clock, ids, log: silentLog, keyring: keyringOf('b2'.repeat(32)) }

const ACCOUNT = '6548a41138406c14db33b606'

test('a key holds 256 random bits, its slot, its account and a checksum', () => {
  const [first, second] = [newKeyText(deps, ACCOUNT, 3), newKeyText(deps, ACCOUNT, 3)]
  expect(first).toMatch(/^bsr_[0-9a-f]{64}_3_6548a41138406c14db33b606_[0-9a-f]{16}$/)
  expect(second.slice(4, 68)).not.toBe(first.slice(4, 68))
})

test('a new key can be read back, for any account and slot', () => {
  const accounts = fc
    .uint8Array({ minLength: 12, maxLength: 12 })
    .map((bytes) => Buffer.from(bytes).toString('hex'))
  fc.assert(
    fc.property(accounts, fc.integer({ min: 0, max: 999_999 }), (accountId, slot) => {
      expect(readKeyText(deps, newKeyText(deps, accountId, slot))).toEqual({ accountId, slot })
    }),
  )
})

test('no key is made for a slot that its text has no room for', () => {
  expect(() => newKeyText(deps, ACCOUNT, 1_000_000)).toThrow('no room for the slot 1000000')
})

describe('a text that is not one of our keys is refused without a call', () => {
  const key = newKeyText(deps, ACCOUNT, 3)

  test('a key with any single character changed, but for the version of the root secret', () => {
    const version = key.length - 16
    for (let at = 0; at < key.length; at++) {
      if (at >= version && at < version + 4) continue
      for (const other of ['0', '1', 'f', '_', 'F', ' ']) {
        if (other === key[at]) continue
        const changed = key.slice(0, at) + other + key.slice(at + 1)
        expect([changed, readKeyText(deps, changed)]).toEqual([changed, undefined])
      }
    }
  })

  test('a key that is cut, extended, in another case, or of another deployment', () => {
    const wrong = [
      '',
      'bsr_',
      key.slice(1),
      key.slice(0, -1),
      `${key}0`,
      `${key}\n`,
      ` ${key}`,
      key.toUpperCase(),
      key.replace('_3_', '_03_'),
      key.replace('_3_', '_+3_'),
      key.replace('_3_', '_1000000_'),
      '92c85d5c-daea-447d-9eac-1d6d64d8b340',
    ]
    for (const text of wrong) expect([text, readKeyText(deps, text)]).toEqual([text, undefined])
  })

  test('any other text', () => {
    fc.assert(fc.property(fc.string(), (text) => readKeyText(deps, text) === undefined))
  })
})

test('a key outlives its root secret: of a version that is not live, only the table knows', () => {
  const key = newKeyText(stranger, ACCOUNT, 3)
  expect(readKeyText(deps, key)).toEqual({ accountId: ACCOUNT, slot: 3 })
  const both = { ...deps, keyring: keyringOf(`${'a1'.repeat(32)},${'b2'.repeat(32)}`) }
  for (const made of [key, newKeyText(deps, ACCOUNT, 3)]) {
    expect(readKeyText(both, made)).toEqual({ accountId: ACCOUNT, slot: 3 })
    const forged = made.slice(0, -1) + (made.endsWith('0') ? '1' : '0')
    expect(readKeyText(both, forged)).toBe(undefined)
  }
})

test('the hash has 96 bits, equal for equal keys and different for another key', () => {
  const [first, second] = [newKeyText(deps, ACCOUNT, 3), newKeyText(deps, ACCOUNT, 4)]
  expect(keyHash(first)).toHaveLength(12)
  expect(keyHash(first)).toEqual(keyHash(first))
  expect(keyHash(second)).not.toEqual(keyHash(first))
})

test('neither the hash nor the checksum of a key reveals anything about the key’s secret', () => {
  const key = newKeyText(deps, ACCOUNT, 3)
  const secret = key.slice(4, 68)
  for (const told of [keyHash(key).toString('hex'), key.slice(-16)]) {
    expect(secret).not.toContain(told.slice(0, 8))
  }
})
