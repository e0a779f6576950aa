import { Secret, URI } from 'otpauth'
import { describe, expect, test } from 'vitest'
import { otpauthTotp } from '../../core/adapters/totp.ts'
import { readQr } from '../support/qr.ts'

const totp = otpauthTotp('Bursar')

/** RFC 6238, appendix B: the SHA-1 seed; times in seconds with the last six of the code's eight digits. */
const SEED = Secret.fromLatin1('12345678901234567890').base32
const VECTORS = [
  [59, '287082'],
  [1111111109, '081804'],
  [1111111111, '050471'],
  [1234567890, '005924'],
  [2000000000, '279037'],
  [20000000000, '353130'],
] as const

const STEP_SEC = 30
const stepAt = (atSec: number) => Math.floor(atSec / STEP_SEC)

describe('RFC 6238, appendix B', () => {
  test.each(VECTORS)('at %i s the code is %s', (atSec, code) => {
    expect(totp.stepOf(SEED, code, atSec * 1000)).toBe(stepAt(atSec))
  })

  test.each(VECTORS)(
    'the code of %i s is accepted one step before and one step after, and gives its own step',
    (atSec, code) => {
      const startMs = stepAt(atSec) * STEP_SEC * 1000
      const at = (ms: number) => totp.stepOf(SEED, code, startMs + ms)
      const step = stepAt(atSec)
      expect([at(-30_000), at(-1), at(0), at(29_999), at(30_000), at(59_999)]).toEqual(Array(6).fill(step))
      expect([at(-30_001), at(60_000), at(-60_000), at(90_000)]).toEqual(Array(4).fill(undefined))
    },
  )
})

test.each(['287081', '28708', '2870820', '000000', '', ' 287082', '287082 ', 'abcdef', '94287082'])(
  '"%s" is not a valid code',
  (code) => {
    expect(totp.stepOf(SEED, code, 59_000)).toBe(undefined)
  },
)

test('a code of another seed is refused', () => {
  const { seed } = totp.enrol('john.doe@mail.com')
  expect(VECTORS.filter(([atSec, code]) => totp.stepOf(seed, code, atSec * 1000) !== undefined)).toEqual([])
})

describe('enrolment', () => {
  test('makes a seed of 160 random bits in base32', () => {
    const seeds = Array.from({ length: 20 }, () => totp.enrol('john.doe@mail.com').seed)
    for (const seed of seeds) expect(seed).toMatch(/^[A-Z2-7]{32}$/)
    expect(new Set(seeds).size).toBe(20)
    expect(Secret.fromBase32(seeds[0] ?? '').bytes).toHaveLength(20)
  })

  test('gives an otpauth URI with the fields that authenticator apps read', () => {
    const { seed, uri } = totp.enrol('john.doe@mail.com')
    const { protocol, host, pathname, searchParams } = new URL(uri)
    expect([protocol, host, decodeURIComponent(pathname)]).toEqual([
      'otpauth:',
      'totp',
      '/Bursar:john.doe@mail.com',
    ])
    expect(Object.fromEntries(searchParams)).toEqual({
      issuer: 'Bursar',
      secret: seed,
      algorithm: 'SHA1',
      digits: '6',
      period: '30',
    })
  })

  test.each(['zoë@mäil.example', 'a&secret=x@mail.example', 'a?b#c@mail.example', "o'hara+50%@mail.example"])(
    'puts the address %s only into the label',
    (address) => {
      const { seed, uri } = totp.enrol(address)
      expect(URI.parse(uri)).toMatchObject({ issuer: 'Bursar', label: address, secret: { base32: seed } })
      expect([...new URL(uri).searchParams.keys()].sort()).toEqual([
        'algorithm',
        'digits',
        'issuer',
        'period',
        'secret',
      ])
    },
  )

  test.each(['a@mail.example', `${'long.'.repeat(12)}name@${'label.'.repeat(20)}example`])(
    'draws the URI as a QR code in SVG, for %s',
    (address) => {
      const { uri, svg } = totp.enrol(address)
      expect(readQr(svg)).toBe(uri)
    },
  )

  test('fits the longest address that an account may have', () => {
    const { uri, svg } = totp.enrol(`${'漢'.repeat(64)}@${`${'漢'.repeat(60)}.`.repeat(3)}漢字`)
    expect(uri.length).toBeGreaterThan(2_000)
    expect(svg).toMatch(/^<svg .*<\/svg>$/s)
  })

  test('the SVG contains only drawing', () => {
    const { svg } = totp.enrol('"><script>alert(1)</script>@mail.example')
    const tags = [...svg.matchAll(/<\/?([a-z]+)/gi)].map(([, tag]) => tag)
    expect(new Set(tags)).toEqual(new Set(['svg', 'rect', 'path']))
    expect(svg).not.toMatch(/script|href|\bon\w+=|url\(/i)
  })
})
