import { expect, test } from 'vitest'
import { safeParse } from 'zod/v4/core'
import { proofHeaders } from '../../functions/http/proof.ts'
import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { rowKey, tokenOf } from '../support/samples.ts'
import { sendRaw, type TestAnswer } from '../support/send.ts'
import { expectContract, type JsonSchema, jsonSchema, targetOf } from './contract.ts'

const app = await startApp()

/** What a row takes of a request, by the place where it stands. */
const inputsOf = (row: Placed) =>
  Object.entries({
    path: row.path,
    query: row.query,
    headers: row.headers,
    proof: row.proof === 'recent' ? proofHeaders : undefined,
    body: row.body,
  }).flatMap(([place, schema]) => (schema ? [{ place, schema }] : []))

/** Every string in a schema, by its path. */
function stringsIn(schema: JsonSchema, path: string): [path: string, schema: JsonSchema][] {
  const inner = [
    ...Object.entries(schema.properties ?? {}).map(([name, each]) => [`${path}.${name}`, each] as const),
    ...[schema.items ?? []].flat().map((each) => [`${path}[]`, each] as const),
    ...(schema.anyOf ?? []).map((each) => [path, each] as const),
  ].flatMap(([at, each]) => stringsIn(each, at))
  return [schema.type].flat().includes('string') && !schema.enum && !('const' in schema)
    ? [[path, schema], ...inner]
    : inner
}

/** The most characters that a schema of a string takes; Infinity if it sets no limit. */
function longest({ maxLength, pattern, format }: JsonSchema): number {
  if (maxLength !== undefined) return maxLength
  if (format === 'date') return 10
  const plain = pattern?.replaceAll(/\[[^\]]*\]|\\./g, 'x') ?? ''
  const isBounded = /^\^[^$]*\$$/.test(plain) && !/[*+]|\{\d+,\}/.test(plain)
  const counts = [...plain.matchAll(/\{(?:\d+,)?(\d+)\}/g)].map(([, most]) => Number(most))
  return isBounded ? plain.length + counts.reduce((sum, most) => sum + most, 0) : Number.POSITIVE_INFINITY
}

const strings = rows.flatMap((row) =>
  inputsOf(row).flatMap(({ place, schema }) =>
    stringsIn(jsonSchema(schema, 'input'), `${rowKey(row)} ${place}`),
  ),
)

/** Texts that are too long for a key of the table, and why none has them. */
const NEVER_IN_A_KEY: Record<string, string> = {
  authorization: 'is verified',
  refreshToken: 'goes to the vault',
  'stripe-signature': 'is compared',
  'user-agent': 'is shortened, and only shown',
  'exportUser body.cursor': 'is ASCII, and read part by part',
  'exportAccount body.cursor': 'is ASCII, and read part by part',
  'timeline query.cursor': 'is decoded, and its parts are short',
  'body.reason': 'is kept in the audit log',
  'body.proof': 'is kept in the audit log',
  'addEventEndpoint body.url': 'is kept in an endpoint',
  'changeEventEndpoint body.url': 'is kept in an endpoint',
  'passkey.id': 'is ASCII, and compared',
  'passkey.rawId': 'is ASCII, and compared',
  clientDataJSON: 'is verified',
  authenticatorData: 'is verified',
  attestationObject: 'is verified',
  signature: 'is verified',
}

const isNeverInAKey = (path: string) =>
  Object.keys(NEVER_IN_A_KEY).some((name) =>
    ` ${path}`.replaceAll('.', ' ').endsWith(` ${name.replaceAll('.', ' ')}`),
  )

/** A sort key has at most 1,024 bytes; a character has at most three in UTF-8, and the key has a prefix. */
const KEY_CHARACTERS = 320

test('every text that a row takes has a limit, far below the longest key of the table', () => {
  const long = strings.filter(([, schema]) => longest(schema) > KEY_CHARACTERS)
  expect(long.map(([path]) => path).filter((path) => !isNeverInAKey(path))).toEqual([])
  expect(long.filter(([, schema]) => longest(schema) > 10_240)).toEqual([])
})

const LETTERS = ['a', '1', '%', '..', '🔑', 'pm_', 'A.b-']

test('every limit holds: 1,500 characters are refused, or cut in a path, where a row says less', () => {
  const taken = rows.flatMap((row) =>
    inputsOf(row).flatMap(({ place, schema }) => {
      const names = Object.keys(jsonSchema(schema, 'input').properties ?? {})
      return names.flatMap((name) =>
        LETTERS.filter((each) => {
          const long = each.repeat(1500)
          // A path always has all its parts.
          const sent = (place === 'path' ? names : [name]).map((part) => [part, long] as const)
          const { error, data } = safeParse(schema, Object.fromEntries(sent))
          if (data) return String(Reflect.get(data, name)).length > KEY_CHARACTERS
          return !error?.issues.some(({ path }) => path[0] === name)
        }).map(() => `${rowKey(row)} ${place}.${name}`),
      )
    }),
  )
  expect(taken.filter((path) => !isNeverInAKey(path))).toEqual([])
})

/** Texts as they stand in a path or a query, percent-encoded. */
const ENCODED = [
  `pm_${'a'.repeat(1500)}`,
  'a'.repeat(8000),
  'pm_%00',
  'a%0d%0ab',
  '%ff',
  '%ed%a0%80',
  '%2F',
  '%252F',
  '..',
  '%2e%2e',
  '%F0%9F%94%91',
  `${'%C3%A9'.repeat(120)}`,
  '-1',
  '1e400',
  'NaN',
  '__proto__',
  '%7B%22%24ne%22:1%7D',
  '%20',
]

/** Texts as they stand in a header: Node sends no control characters. */
const HEADERS = [
  '',
  ' ',
  'a'.repeat(1500),
  'a'.repeat(8000),
  '\xff\xfe',
  '\xc3\xa9',
  '\t',
  ',,,',
  '%00',
  '..',
  '1e400',
]

/** Asserts that an answer is no failure, and is in the shape of the row's dialect, or the gateway's own. */
function expectNoFailure(row: Placed, sent: string, answer: TestAnswer): void {
  expect([sent.slice(0, 60), answer.status < 500]).toEqual([sent.slice(0, 60), true])
  const isGateways = Object.keys(answer.body ?? {}).join() === 'message'
  if (!isGateways) expectContract(row, answer)
}

type Headers = [name: string, value: string][]

/** A caller of a row: sends to a target, by default the row's own, with the row's token. */
async function callerOf(row: Placed) {
  const token = await tokenOf(app, row, await app.signUp())
  const own: Headers = token === undefined ? [] : [['authorization', `Bearer ${token}`]]
  const [method, target] = targetOf(row.routes[0])
  return (sent: { target?: string; headers?: Headers }) =>
    sendRaw(app.url, method, sent.target ?? target, [...own, ...(sent.headers ?? [])])
}

const namesOf = (schema: Placed['path']) =>
  Object.keys((schema && jsonSchema(schema, 'input').properties) ?? {})

const headersOf = (row: Placed) => [
  ...namesOf(row.headers),
  ...(row.proof === 'recent' ? namesOf(proofHeaders) : []),
]

const table = rows.map((row) => [rowKey(row), row] as const)
const only = (holds: (row: Placed) => unknown) => table.filter(([, row]) => holds(row))

test.each(only(({ path }) => path))('%s: no path parameter is a failure', async (_, row) => {
  const send = await callerOf(row)
  const [, pattern = ''] = row.routes[0].split(' ')
  for (const text of ENCODED)
    expectNoFailure(row, text, await send({ target: pattern.replace(/\{\w+\}/g, text) }))
})

test.each(only(({ query }) => query))('%s: no query is a failure', async (_, row) => {
  const send = await callerOf(row)
  const [, target] = targetOf(row.routes[0])
  const names = namesOf(row.query)
  // A request line and its headers have at most 10,240 bytes at the gateway.
  const most = Math.min(2000, Math.floor(9000 / names.length))
  for (const text of ENCODED) {
    const query = names.map((name) => `${name}=${text.slice(0, most)}`).join('&')
    expectNoFailure(row, text, await send({ target: `${target}?${query}` }))
    expectNoFailure(row, text, await send({ target: `${target}?${text}=${text.slice(0, 900)}` }))
  }
})

test.each(only((row) => headersOf(row).length > 0))('%s: no header is a failure', async (_, row) => {
  const send = await callerOf(row)
  for (const text of HEADERS) {
    for (const name of headersOf(row)) expectNoFailure(row, text, await send({ headers: [[name, text]] }))
  }
})

test.each(
  only(({ auth }) => auth !== 'public').filter(
    ([, row], at, all) => all.findIndex(([, { auth }]) => auth === row.auth) === at,
  ),
)('%s: no token, key or cookie is a failure', async (_, row) => {
  const [method, target] = targetOf(row.routes[0])
  for (const text of HEADERS) {
    for (const name of ['authorization', 'x-api-key', 'api-key', 'cookie']) {
      const value = name === 'authorization' ? `Bearer ${text}` : text
      expectNoFailure(row, text, await sendRaw(app.url, method, target, [[name, value]]))
    }
  }
})
