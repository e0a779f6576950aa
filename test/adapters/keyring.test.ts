import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Keyring } from '../../core/ports.ts'
import { keyringOf } from '../support/keyrings.ts'

const ROOT = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'
const MAC = 'mac:limit'
const SEAL = 'seal:answer'
const ring = keyringOf(ROOT)
const other = keyringOf(ROOT.toUpperCase().replace('00', 'FF'))
/** Any JavaScript string, lone surrogates included. */
const anyText = fc.array(fc.nat(0xffff)).map((units) => String.fromCharCode(...units))
const wellFormed = fc.string({ unit: 'binary' })

describe('mac', () => {
  test('is 32 bytes, equal for equal parts, and different for another purpose or root', () => {
    expect(ring.mac(MAC, 'a')).toHaveLength(32)
    expect(ring.mac(MAC, 'a')).toEqual(keyringOf(ROOT).mac(MAC, 'a'))
    expect(ring.mac(MAC, 'a')).not.toEqual(ring.mac('mac:code', 'a'))
    expect(ring.mac(MAC, 'a')).not.toEqual(other.mac(MAC, 'a'))
  })

  test('differs for any two different lists of parts', () => {
    fc.assert(
      fc.property(fc.array(anyText), fc.array(anyText), (a, b) => {
        fc.pre(JSON.stringify(a) !== JSON.stringify(b))
        expect(ring.mac(MAC, ...a)).not.toEqual(ring.mac(MAC, ...b))
      }),
    )
  })

  test.each([
    [
      ['ab', 'c'],
      ['a', 'bc'],
    ],
    [['a', ''], ['a']],
    [[], ['']],
    [['\ud800'], ['\ufffd']],
    [['\ud800'], ['\ud801']],
  ])('tells %j from %j', (a, b) => {
    expect(ring.mac(MAC, ...a)).not.toEqual(ring.mac(MAC, ...b))
  })
})

describe('seal', () => {
  test('returns any text for the same purpose and context', () => {
    fc.assert(
      fc.property(wellFormed, anyText, (plaintext, context) => {
        expect(ring.open(SEAL, context, ring.seal(SEAL, context, plaintext))).toBe(plaintext)
      }),
    )
  })

  test('never gives the same sealed text twice, and hides the content', () => {
    const sealed = Array.from({ length: 100 }, () => ring.seal(SEAL, 'c', 'plain words'))
    expect(new Set(sealed).size).toBe(100)
    for (const text of sealed) {
      expect(text).toMatch(/^[A-Za-z0-9_-]+$/)
      expect(Buffer.from(text, 'base64url').toString('latin1')).not.toContain('plain')
    }
  })

  test('refuses a lone surrogate instead of changing it', () => {
    expect(() => ring.seal(SEAL, 'c', 'a\ud800')).toThrow('lone surrogate')
  })
})

describe('open', () => {
  const sealed = ring.seal(SEAL, 'c', 'words')

  test('refuses another purpose or context', () => {
    expect(() => ring.open('seal:default-key', 'c', sealed)).toThrow('not sealed for this')
    expect(() => ring.open(SEAL, 'd', sealed)).toThrow('not sealed for this')
  })

  test('refuses a text with any one character changed, removed or added', () => {
    const changed = [...sealed].slice(4).flatMap((character, at) => {
      const index = at + 4
      const [before, after] = [sealed.slice(0, index), sealed.slice(index + 1)]
      const swapped = character === 'A' ? 'B' : 'A'
      return [`${before}${swapped}${after}`, `${before}${after}`, `${before}${character}=${after}`]
    })
    for (const text of [...changed, '', 'x', `${sealed}\n`, sealed.slice(0, 30)]) {
      expect(() => ring.open(SEAL, 'c', text), text).toThrow('not sealed for this')
    }
  })

  test('refuses a shortened tag', () => {
    const bytes = Buffer.from(sealed.slice(4), 'base64url')
    for (let length = 0; length < bytes.length; length += 1) {
      const text = sealed.slice(0, 4) + bytes.subarray(0, length).toString('base64url')
      expect(() => ring.open(SEAL, 'c', text)).toThrow('not sealed for this')
    }
  })
})

describe('while the root secret rotates', () => {
  const [old, fresh] = ['a1'.repeat(32), 'b2'.repeat(32)]
  const [before, during, after] = [old, `${fresh},${old}`, fresh].map(keyringOf) as [
    Keyring,
    Keyring,
    Keyring,
  ]

  test('the first secret is in use, and what the other one made is recognised and opened', () => {
    expect(during.mac(MAC, 'a')).toEqual(after.mac(MAC, 'a'))
    expect(during.macs(MAC, 'a')).toEqual([after.mac(MAC, 'a'), before.mac(MAC, 'a')])
    expect(during.open(SEAL, 'c', before.seal(SEAL, 'c', 'words'))).toBe('words')
    expect(after.open(SEAL, 'c', during.seal(SEAL, 'c', 'words'))).toBe('words')
    expect(during.macBy(before.versions[0], MAC, 'a')).toEqual(before.mac(MAC, 'a'))
  })

  test('what was made with a secret that is not live any more is unknown, and no error', () => {
    expect(after.open(SEAL, 'c', before.seal(SEAL, 'c', 'words'))).toBe(undefined)
    expect(after.macBy(before.versions[0], MAC, 'a')).toBe(undefined)
  })

  test('three secrets, or the same one twice, are refused', () => {
    expect(() => keyringOf([old, fresh, 'c3'.repeat(32)].join())).toThrow('or two of these')
    expect(() => keyringOf(`${old},${old.toUpperCase()}`)).toThrow('the same version')
  })
})

test('reads what earlier releases wrote: derivation and framing never change', () => {
  expect(ring.mac(MAC, 'account', 'secret').toString('hex')).toBe(
    '24e54732a79b07f187f8eaaf4ab4d1b6856465b056c9f1877172eb8d200797ea',
  )
  expect(
    ring.open('seal:default-key', 'account', '6752srQHmlR8YQdjcFInrHHt2yZ590R_MqQmHrXOoR8ECgFMJ5cA'),
  ).toBe('a secret')
})

test.each(['', 'abc', ROOT.slice(1), `${ROOT}0`, `${ROOT}\n`, 'g'.repeat(64)])(
  'refuses the root secret %j without repeating it',
  (root) => {
    expect(() => keyringOf(root)).toThrow(
      /^The root secret must be 64 hex digits, or two of these with a comma/,
    )
  },
)
