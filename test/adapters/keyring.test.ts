import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openKeyring } from '../../core/adapters/keyring.ts'

const ROOT = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'
const ring = openKeyring(ROOT)
const other = openKeyring(ROOT.toUpperCase().replace('00', 'FF'))
/** Any JavaScript string, lone surrogates included. */
const anyText = fc.array(fc.nat(0xffff)).map((units) => String.fromCharCode(...units))
const wellFormed = fc.string({ unit: 'binary' })

describe('mac', () => {
  test('is 32 bytes, equal for equal parts, and different for another purpose or root', () => {
    expect(ring.mac('key', 'a')).toHaveLength(32)
    expect(ring.mac('key', 'a')).toEqual(openKeyring(ROOT).mac('key', 'a'))
    expect(ring.mac('key', 'a')).not.toEqual(ring.mac('code', 'a'))
    expect(ring.mac('key', 'a')).not.toEqual(other.mac('key', 'a'))
  })

  test('differs for any two different lists of parts', () => {
    fc.assert(
      fc.property(fc.array(anyText), fc.array(anyText), (a, b) => {
        fc.pre(JSON.stringify(a) !== JSON.stringify(b))
        expect(ring.mac('p', ...a)).not.toEqual(ring.mac('p', ...b))
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
    expect(ring.mac('p', ...a)).not.toEqual(ring.mac('p', ...b))
  })
})

describe('seal', () => {
  test('returns any text for the same purpose and context', () => {
    fc.assert(
      fc.property(wellFormed, anyText, (plaintext, context) => {
        expect(ring.open('p', context, ring.seal('p', context, plaintext))).toBe(plaintext)
      }),
    )
  })

  test('never gives the same sealed text twice, and hides the content', () => {
    const sealed = Array.from({ length: 100 }, () => ring.seal('p', 'c', 'plain words'))
    expect(new Set(sealed).size).toBe(100)
    for (const text of sealed) {
      expect(text).toMatch(/^[A-Za-z0-9_-]+$/)
      expect(Buffer.from(text, 'base64url').toString('latin1')).not.toContain('plain')
    }
  })

  test('refuses a lone surrogate instead of changing it', () => {
    expect(() => ring.seal('p', 'c', 'a\ud800')).toThrow('lone surrogate')
  })
})

describe('open', () => {
  const sealed = ring.seal('p', 'c', 'words')

  test('refuses another purpose, context or root', () => {
    expect(() => ring.open('q', 'c', sealed)).toThrow('not sealed for this')
    expect(() => ring.open('p', 'd', sealed)).toThrow('not sealed for this')
    expect(() => other.open('p', 'c', sealed)).toThrow('not sealed for this')
  })

  test('refuses a text with any one character changed, removed or added', () => {
    const changed = [...sealed].flatMap((character, index) => {
      const [before, after] = [sealed.slice(0, index), sealed.slice(index + 1)]
      const swapped = character === 'A' ? 'B' : 'A'
      return [`${before}${swapped}${after}`, `${before}${after}`, `${before}${character}=${after}`]
    })
    for (const text of [...changed, '', 'x', `${sealed}\n`, sealed.slice(0, 30)]) {
      expect(() => ring.open('p', 'c', text), text).toThrow('not sealed for this')
    }
  })

  test('refuses a shortened tag', () => {
    const bytes = Buffer.from(sealed, 'base64url')
    for (let length = 0; length < bytes.length; length += 1) {
      const text = bytes.subarray(0, length).toString('base64url')
      expect(() => ring.open('p', 'c', text)).toThrow('not sealed for this')
    }
  })
})

test('reads what earlier releases wrote: derivation and framing never change', () => {
  expect(ring.mac('api-key', 'account', 'secret').toString('hex')).toBe(
    '6d94b1e45edc2f606ec607b94eaa6a0973414b1444524f899edd63d81a3f4d96',
  )
  expect(ring.open('default-key', 'account', '-U0ewelOI2p4mo5mEPP7NjutvA1nu4xndCh9ZsNZytd4hOM_')).toBe(
    'a secret',
  )
})

test.each(['', 'abc', ROOT.slice(1), `${ROOT}0`, `${ROOT}\n`, 'g'.repeat(64)])(
  'refuses the root secret %j without repeating it',
  (root) => {
    expect(() => openKeyring(root)).toThrow(
      /^The root secret must be 64 hex digits; `openssl rand -hex 32` makes/,
    )
  },
)
