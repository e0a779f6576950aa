import { describe, expect, test } from 'vitest'
import { BODY_LIMIT, parseBody, parseJson, rawBody } from '../../functions/http/body.ts'
import { cutText } from '../../functions/http/cut-text.ts'
import { parseForm } from '../../functions/http/form.ts'
import { nextPage, numberedPage, pageLimit, pageQuery } from '../../functions/http/page-query.ts'
import { limitHeaders, rateHeaders } from '../../functions/http/rate-headers.ts'
import { calendarDay, time } from '../../functions/http/time-schema.ts'
import { v1 } from '../../functions/v1/routes.ts'

/** The code that a call throws; undefined if it throws none. */
function codeOf(call: () => unknown): string | undefined {
  try {
    call()
    return undefined
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

const json = 'application/json'
const form = 'application/x-www-form-urlencoded'
const sent = (body: string | undefined, type?: string, more: Record<string, string> = {}) => ({
  body,
  isBase64Encoded: false,
  headers: { ...(type === undefined ? {} : { 'content-type': type }), ...more },
})
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

describe('a body', () => {
  test.each([[undefined], ['']])('of nothing (%j) is none, whatever its type says', (body) => {
    expect(parseBody(sent(body, 'text/plain'), false)).toBeUndefined()
  })

  test.each([
    [json],
    ['APPLICATION/JSON'],
    ['application/json; charset=utf-8'],
    ['application/json;charset="UTF-8"'],
    ['application/json ; q=1; charset=utf8'],
  ])('of the type %s is JSON', (type) => {
    expect(parseBody(sent('{"a":1}', type), false)).toEqual({ a: 1 })
  })

  test.each([
    [undefined],
    ['text/plain'],
    ['application/json; charset=iso-8859-1'],
    ['application/json; q=1; charset=utf-16'],
    ['application/jsonp'],
    [form],
  ])('of the type %s is refused where no form is taken', (type) => {
    expect(codeOf(() => parseBody(sent('{"a":1}', type), false))).toBe('unsupported_media_type')
  })

  test('that is compressed is refused, and one that says that it is not is taken', () => {
    expect(codeOf(() => parseBody(sent('{}', json, { 'content-encoding': 'gzip' }), false))).toBe(
      'unsupported_media_type',
    )
    expect(parseBody(sent('{}', json, { 'content-encoding': 'identity' }), false)).toEqual({})
  })

  test('of 64 KiB is taken, and one of a byte more is refused, however few characters it has', () => {
    const text = (bytes: number) => `"${'x'.repeat(bytes - 2)}"`
    expect(parseBody(sent(text(BODY_LIMIT), json), false)).toHaveLength(BODY_LIMIT - 2)
    expect(codeOf(() => parseBody(sent(text(BODY_LIMIT + 1), json), false))).toBe('payload_too_large')
    expect(codeOf(() => rawBody({ body: '€', isBase64Encoded: false }, 2))).toBe('payload_too_large')
    expect(rawBody({ body: '€', isBase64Encoded: false }, 3)).toHaveLength(3)
  })

  test('in Base64 is taken to the byte, and what is no Base64 is refused', () => {
    const base64 = (body: string) => ({ body, isBase64Encoded: true })
    expect(String(rawBody(base64('e30='), 10))).toBe('{}')
    for (const body of ['e30', 'e3 0=', 'e30=!', '====']) {
      expect([body, codeOf(() => rawBody(base64(body), 10))]).toEqual([body, 'malformed_body'])
    }
    expect(String(rawBody({ body: 'e30', isBase64Encoded: false }, 10))).toBe('e30')
    expect(rawBody({ isBase64Encoded: true }, 10)).toHaveLength(0)
  })

  test('that is not UTF-8, or begins with a byte order mark, is refused', () => {
    const bytes = (...each: number[]) => ({
      body: Buffer.from(each).toString('base64'),
      isBase64Encoded: true,
      headers: { 'content-type': json },
    })
    expect(codeOf(() => parseBody(bytes(0x22, 0xff, 0x22), false))).toBe('malformed_body')
    expect(codeOf(() => parseBody(bytes(0xef, 0xbb, 0xbf, 0x31), false))).toBe('malformed_body')
    expect(parseBody(bytes(0x31), false)).toBe(1)
  })
})

describe('JSON', () => {
  test('is nested up to 32 deep, in arrays and objects alike, and no deeper', () => {
    expect(codeOf(() => parseJson(nested(32)))).toBeUndefined()
    expect(codeOf(() => parseJson(nested(33)))).toBe('malformed_body')
    const objects = (depth: number) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)
    expect(codeOf(() => parseJson(objects(32)))).toBeUndefined()
    expect(codeOf(() => parseJson(objects(33)))).toBe('malformed_body')
    // Side by side is not deep, and neither are brackets in a text.
    expect(parseJson(`[${Array(40).fill('{}').join()}]`)).toHaveLength(40)
    expect(codeOf(() => parseJson(JSON.stringify(nested(40))))).toBeUndefined()
  })

  test.each([
    ['{"a":1,"a":2}'],
    ['{"a":1,"\\u0061":2}'],
    ['[{"b":{"a":1,"a":1}}]'],
    ['{"":1, "" :2}'],
    ['{"__proto__":1,"__proto__":2}'],
  ])('with a key twice in one object is refused: %s', (text) => {
    expect(codeOf(() => parseJson(text))).toBe('malformed_body')
  })

  test.each([
    ['{"a":1,"b":{"a":1}}'],
    ['[{"a":1},{"a":2}]'],
    ['{"a":"b\\":","c":"\\\\"}'],
    ['{"a" : null, "b":[":"]}'],
    ['null'],
    ['"a:b"'],
  ])('with each key once in its object is taken: %s', (text) => {
    expect(parseJson(text)).toEqual(JSON.parse(text))
  })

  test.each([['{'], ["{'a':1}"], ['{"a":1}}'], ['NaN'], ['\u00a0{}']])(
    'that is none is refused: %s',
    (text) => {
      expect(codeOf(() => parseJson(text))).toBe('malformed_body')
    },
  )
})

describe('a form', () => {
  test('is flat, and a field that was left empty is absent', () => {
    expect(parseForm('?&a=1&b=&c=x+y%26')).toEqual({ a: '1', c: 'x y&' })
    expect(parseBody(sent('a=1', form), true)).toEqual({ a: '1' })
    expect(parseForm('')).toEqual({})
  })

  test('with a field twice, or with text that is not UTF-8, is refused', () => {
    expect(codeOf(() => parseForm('a=1&a=1'))).toBe('malformed_body')
    expect(codeOf(() => parseForm('a=1&a='))).toBe('malformed_body')
    expect(codeOf(() => parseForm('a=%ff'))).toBe('malformed_body')
    expect(codeOf(() => parseForm('a=%'))).toBe('malformed_body')
  })

  test('or any other body that is refused is told why', () => {
    const bytes = { body: '/w==', isBase64Encoded: true, headers: { 'content-type': json } }
    for (const [call, detail] of [
      [() => parseForm('a=1&a=1'), 'The form has a field twice.'],
      [() => parseForm('a=%ff'), 'The form is not valid percent-encoded UTF-8.'],
      [
        () => rawBody({ body: 'x'.repeat(65_537), isBase64Encoded: false }, 65_536),
        'The body is larger than 64 KiB.',
      ],
      [() => parseBody(bytes, false), 'The body is not valid UTF-8.'],
      [() => parseJson('{'), 'The body is not valid JSON.'],
      [() => parseJson(nested(33)), 'The body is nested too deeply.'],
      [() => parseJson('{"a":1,"a":1}'), 'The body has a key twice in one object.'],
    ] as const)
      expect(call).toThrow(expect.objectContaining({ code: expect.any(String), detail }))
  })
})

describe('the query of a page', () => {
  const accepts = (query: Record<string, string>) => pageQuery.safeParse(query).success

  test('leads to the first 1,000 entries, 25 at most at once', () => {
    expect(numberedPage({})).toEqual({ page: 1, limit: 25 })
    expect(numberedPage({ page: '3', limit: '7' })).toEqual({ page: 3, limit: 7 })
    for (const limit of ['1', '9', '10', '19', '20', '25'])
      expect([limit, accepts({ limit })]).toEqual([limit, true])
    for (const limit of ['0', '26', '30', '01', '1.0', '-1', 'x'])
      expect([limit, accepts({ limit })]).toEqual([limit, false])
    for (const page of ['1', '9', '40']) expect([page, accepts({ page })]).toEqual([page, true])
    for (const page of ['0', '-1', '01', 'x', '41', '10000'])
      expect([page, accepts({ page })]).toEqual([page, false])
    expect(accepts({ other: '1' })).toBe(false)
  })

  test('of a list without numbers has a limit of 1 to 100', () => {
    for (const limit of ['1', '10', '99', '100'])
      expect([limit, pageLimit.safeParse(limit).success]).toEqual([limit, true])
    for (const limit of ['0', '101', '1000', '00', '1 '])
      expect([limit, pageLimit.safeParse(limit).success]).toEqual([limit, false])
  })

  test('leads to the next page only if there is one', () => {
    expect(nextPage('/v1/x', { page: 2, limit: 5 }, true)).toEqual({
      link: '</v1/x?page=3&limit=5>; rel="next"',
    })
    expect(nextPage('/v1/x', { page: 2, limit: 5 }, false)).toEqual({})
  })
})

describe('headers of limits', () => {
  test('say what a key may still do, and nothing without a rate', () => {
    expect(rateHeaders({ rate: { burst: 10, windowSeconds: 5, left: 3, nextSeconds: 2 } })).toEqual({
      'ratelimit-policy': '"key";q=10;w=5',
      ratelimit: '"key";r=3;t=2',
    })
    expect(rateHeaders({})).toEqual({})
  })

  test('name each limit of an address, in order, and nothing without one', () => {
    const state = (what: string, left: number) => ({
      what,
      most: 9,
      windowSeconds: 60,
      left,
      resetSeconds: 30,
    })
    expect(limitHeaders([state('a', 1), state('b', 0)] as never)).toEqual({
      'ratelimit-policy': '"a";q=9;w=60, "b";q=9;w=60',
      ratelimit: '"a";r=1;t=30, "b";r=0;t=30',
    })
    expect(limitHeaders([])).toEqual({})
  })
})

test('the metadata of a key has at most 1,024 bytes as JSON, and a change of a key changes something', () => {
  const takes = (body: object) => v1.changeKey.body.safeParse(body).success
  const of = (bytes: number) => ({ metadata: { a: 'x'.repeat(bytes - 8) } })
  expect([takes(of(1024)), takes(of(1025))]).toEqual([true, false])
  expect(takes({ metadata: { a: 'é'.repeat(508) } })).toBe(true)
  expect(takes({ metadata: { a: `${'é'.repeat(508)}x` } })).toBe(false)
  expect([takes({}), takes({ name: undefined }), takes({ name: 'x' }), takes({ ip: null })]).toEqual([
    ...[false, false, true, true],
  ])
  const networks = ['192.0.2.1', '192.0.2.0/24', '0.0.0.0/0', '192.0.2.1/32', '2001:db8::/128', '::/0']
  for (const ip of networks) expect([ip, takes({ ip: [ip] })]).toEqual([ip, true])
  for (const ip of ['192.0.2.0/33', '::/129', '192.0.2', '192.0.2.1/', '/8', 'x192.0.2.1', '192.0.2.1x', ''])
    expect([ip, takes({ ip: [ip] })]).toEqual([ip, false])
})

test('text that is longer than any that means something is cut, not refused', () => {
  expect(cutText(5).parse('1234567')).toBe('12345')
  expect(cutText(5).parse('12345')).toBe('12345')
})

describe('a time', () => {
  const accepts = (schema: ReturnType<typeof time | typeof calendarDay>, text: string) => [
    text,
    schema.safeParse(text).success,
  ]

  test('has an offset, and a year that can be stored', () => {
    for (const text of [
      '2026-11-21T12:00:00Z',
      '2026-11-21T12:00:00.123+02:00',
      '1970-01-01T00:00:00Z',
      '9999-12-31T23:59:59Z',
    ])
      expect(accepts(time(), text)).toEqual([text, true])
    for (const text of [
      '2026-11-21T12:00:00',
      '1969-12-31T23:59:59Z',
      '9999-12-31T23:59:59-01:00',
      `2026-11-21T12:00:00.${'1'.repeat(30)}Z`,
      '2026-02-30T12:00:00Z',
      '',
    ])
      expect(accepts(time(), text)).toEqual([text, false])
  })

  test('of a day is one of the years 2000 to 2099', () => {
    for (const text of ['2000-01-01', '2099-12-31', '2028-02-29'])
      expect(accepts(calendarDay(), text)).toEqual([text, true])
    for (const text of ['1999-12-31', '2100-01-01', '2026-02-29', '2026-11-21T00:00:00Z', ''])
      expect(accepts(calendarDay(), text)).toEqual([text, false])
  })
})
