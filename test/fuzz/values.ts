import type { JsonSchema } from '../conformance/contract.ts'

/** A value as JSON text, because some have no form in JavaScript, and what it is called in a report. */
export interface Value {
  name: string
  json: string
}

const text = (name: string, value: string): Value => ({ name, json: JSON.stringify(value) })

/** Texts that break out of something, or that look like something else. */
const TEXTS: Record<string, string> = {
  'no text': '',
  'a space': ' ',
  NUL: '\0',
  'a lone surrogate': '\ud800',
  'a line break': 'a\r\nset-cookie: b=1',
  'right to left': '\u202eabc',
  'zero width': 'a\u200bb',
  'a decomposed letter': 'e\u0301',
  'a dotted capital I': '\u0130',
  'a ligature': '\ufb03',
  'an emoji': '\u{1f469}\u200d\u{1f4bb}',
  'a key of the table': 'ACCOUNT#0',
  'a sort key': '#PROFILE',
  'an expression': '#a = :b OR attribute_exists(pk)',
  'a dotted name': 'sessions.x',
  __proto__: '__proto__',
  constructor: 'constructor',
  'a path': '../../../etc/passwd',
  'an encoded path': '..%2f..%2f',
  'a template': '{{7*7}}#{7*7}',
  markup: '<script>alert(1)</script>',
  SQL: "' OR 1=1 --",
  'a shell command': '$(sleep 5)',
  'a URL of the cloud': 'http://169.254.169.254/latest/meta-data/',
  'a URL of this machine': 'http://127.0.0.1:1/',
  'another scheme': 'javascript:alert(1)',
  true: 'true',
  null: 'null',
  'a number': '1e400',
  NaN: 'NaN',
  'a far day': '9999-12-31',
  'a day before all': '0001-01-01',
  'a day that there is not': '2026-02-31',
  'a far time': '9999-12-31T23:59:59.999Z',
  '24 hex digits': '0'.repeat(24),
  'upper hex': 'ABCDEF0123456789ABCDEF01',
  'a UUID': '00000000-0000-4000-8000-000000000000',
  'a UUIDv7 of the end of time': 'ffffffff-ffff-7fff-bfff-ffffffffffff',
  'a ULID of the end of time': '7ZZZZZZZZZZZZZZZZZZZZZZZZZ',
  'a card': 'pm_card_visa',
  'a refused card': 'pm_card_chargeDeclined',
  'a payment': 'pi_0',
  'base64url with spare bits': 'AB',
  'an e-mail address': 'nobody@mail.example',
  'an address with a quote': '"a b"@mail.example',
  'an address without a domain': 'a@',
  'a long domain': `a@${'b'.repeat(250)}.example`,
  'an IPv6 network': '2001:db8::/32',
  'every address': '0.0.0.0/0',
  'a long text': 'x'.repeat(5_000),
  'a long text of wide characters': '\u{1f600}'.repeat(300),
}

/** Values of other types, and numbers at the edges of what a double or DynamoDB holds. */
const OTHERS: Record<string, string> = {
  'null, not a text': 'null',
  'true, not a text': 'true',
  '0': '0',
  '-0': '-0',
  '-1': '-1',
  '1.5': '1.5',
  '1e-7': '1e-7',
  '2^31': '2147483648',
  '2^53': '9007199254740992',
  '2^53 - 1': '9007199254740991',
  '1e21': '1e21',
  '1e308': '1e308',
  '1e400': '1e400',
  '-1e400': '-1e400',
  'an empty list': '[]',
  'a list of a list': '[[]]',
  'a list of 1,000': `[${Array(1_000).fill('1').join(',')}]`,
  'an empty object': '{}',
  'an operator': '{"$ne":null}',
  'an object with __proto__': '{"__proto__":{"isAdmin":true}}',
  'a set of DynamoDB': '{"S":"x"}',
  'a deep list': '['.repeat(40) + ']'.repeat(40),
}

/** Values that hardly any field takes. */
export const HOSTILE: readonly Value[] = [
  ...Object.entries(TEXTS).map(([name, value]) => text(name, value)),
  ...Object.entries(OTHERS).map(([name, json]) => ({ name, json })),
]

/** Texts for paths, queries and headers. */
export const HOSTILE_TEXTS: readonly string[] = Object.values(TEXTS)

/** Values at the edges of what a schema takes, on both sides. */
export function edgesOf(schema: JsonSchema): Value[] {
  const {
    minimum,
    maximum,
    minLength = 0,
    maxLength,
    minItems = 0,
    maxItems,
    format,
  } = schema as JsonSchema & Edges
  const numbers = [minimum, maximum]
    .filter((edge) => edge !== undefined && Math.abs(edge) <= Number.MAX_SAFE_INTEGER)
    .flatMap((edge) => [edge as number, (edge as number) - 1, (edge as number) + 1])
  const lengths = maxLength === undefined || maxLength > 50_000 ? [] : [minLength, maxLength, maxLength + 1]
  const sizes = maxItems === undefined ? [] : [minItems, maxItems, maxItems + 1]
  const member = JSON.stringify(schema.items?.enum?.[0] ?? 'x')
  return [
    ...numbers.map((value) => ({ name: `the edge ${value}`, json: String(value) })),
    ...lengths.map((length) => text(`${length} characters`, 'a'.repeat(Math.max(length, 0)))),
    ...sizes.map((size) => ({ name: `${size} members`, json: `[${Array(size).fill(member).join(',')}]` })),
    ...(schema.enum ?? []).map((value) => ({ name: `the choice ${value}`, json: JSON.stringify(value) })),
    ...('const' in schema ? [{ name: 'the constant', json: JSON.stringify(schema.const) }] : []),
    ...(format === 'date' ? ['2000-01-01', '2099-12-31', '2100-01-01', '2024-02-29'] : []).map((day) =>
      text(day, day),
    ),
    ...(format === 'date-time' ? ['1970-01-01T00:00:00Z', '2026-11-21T12:00:00+14:00'] : []).map((at) =>
      text(at, at),
    ),
  ]
}

interface Edges {
  minimum?: number
  maximum?: number
  minLength?: number
  minItems?: number
  maxItems?: number
  format?: string
}
