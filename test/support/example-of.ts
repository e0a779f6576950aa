import { createHash } from 'node:crypto'
import { expect } from 'vitest'
import type { Example } from '../../functions/http/openapi-examples.ts'
import { mainRoute } from '../../functions/http/openapi-operation.ts'
import type { Placed } from '../../functions/http/route.ts'
import { targetOf } from '../conformance/contract.ts'
import type { App } from './app.ts'
import { signUpFor } from './buyers.ts'
import { defaultKey } from './keys.ts'
import type { SignedInPerson } from './people.ts'
import { rowKey, sampleOf, tokenOf } from './samples.ts'
import { sendRaw, type TestAnswer } from './send.ts'

/** A person who has a bundle, a card and some use, so that lists have something in them. */
async function customer(app: App): Promise<SignedInPerson> {
  const person = await app.signUp()
  const { status } = await signUpFor(app, person, 'STARTER', 'pm_card_visa')
  if (status !== 204) throw new Error(`signing up for a bundle answered ${status}`)
  const token = await defaultKey(app, person)
  await app.request('POST', '/v1/usage', { token, json: { units: 3, requestId: 'call-1', tag: 'chat' } })
  return person
}

/** What is random in a text, by its form, and its substitute: the same for the same text, in the order of appearance. */
const RANDOM: readonly (readonly [RegExp, (found: string, nth: number) => string])[] = [
  [/eyJ[\w-]*(\.[\w-]*){2,4}/g, () => 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmVk'],
  [/person\d+/g, (_, nth) => ['ada', 'ben', 'cleo', 'dan'][nth] ?? `person${nth}`],
  [/http:\/\/127\.0\.0\.1:\d+/g, () => 'https://api.example.com'],
  [/<svg.*<\/svg>/gs, () => '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 45 45"></svg>'],
  [/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, (_, nth) => uuid(`uuid ${nth}`)],
  [/\b[0-9a-f]{8}\.\.\.[0-9a-f]{4}\b/g, () => '3f2a91bc...77d0'],
  [/(?<![\w-])[0-9a-f]{24,128}(?![\w-])/g, (found, nth) => hex(`${found.length} ${nth}`, found.length)],
  [/whsec_[\w+/=]{20,}/g, (_, nth) => `whsec_${hex(`whsec ${nth}`, 44)}`],
  [/\b[A-Z2-7]{32}\b/g, () => 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'],
  [
    /\b(pi|pm|cus|ch|re|txn|in)_(?!card_)[A-Za-z0-9]{8,}(_secret_[A-Za-z0-9]+)?/g,
    (found, nth) => {
      const [kind, , secret] = found.split('_')
      const id = `${kind}_${hex(`${kind} ${nth}`, 24)}`
      return secret ? `${id}_secret_${hex(id, 24)}` : id
    },
  ],
  [
    /(?<![\w/.:-])[\w-]{43,}(?![\w/.:-])/g,
    (found, nth) => spelled(hex(`text ${nth}`, Math.min(found.length, 64))),
  ],
]

const hex = (text: string, length: number): string =>
  createHash('sha512').update(text).digest('hex').slice(0, length)
/** As base64url has it: no bit of the last character is set that no byte needs. */
const spelled = (text: string): string => (text.length % 4 === 0 ? text : `${text.slice(0, -1)}A`)
const uuid = (text: string): string =>
  hex(text, 32).replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5')

/** Replaces in the texts of a value whatever another run would have otherwise. */
function steady<T>(value: T): T {
  const forms = RANDOM.map(([form, substitute]) => {
    const known = new Map<string, string>()
    return (text: string) =>
      text.replace(form, (found) => {
        const given = known.get(found) ?? substitute(found, known.size)
        known.set(found, given)
        return given
      })
  })
  return JSON.parse(JSON.stringify(value), (_, each) =>
    typeof each === 'string' ? forms.reduce((text, replace) => replace(text), each) : each,
  )
}

/** The most entries of a list that an example shows. */
const SHOWN = 2

function short(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, SHOWN).map(short)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([name, each]) => [name, short(each)])
  const { prefix, last4, ...rest } = Object.fromEntries(entries)
  // What tells keys apart is random, and has no form of its own.
  const told = {
    ...(prefix !== undefined && { prefix: '3f2a91bc' }),
    ...(last4 !== undefined && { last4: 'brand' in rest ? last4 : '77d0' }),
  }
  return { ...Object.fromEntries(entries), ...told }
}

const isEmpty = (body: unknown): boolean =>
  Array.isArray(body)
    ? body.length === 0
    : Object.values(body ?? {}).some((each) => Array.isArray(each) && each.length === 0)

/** The queries to try, until an answer has something to show: as it is, without a cursor, without all that may go. */
function queriesOf(row: Placed, query: Record<string, string> = {}): Record<string, string>[] {
  const { cursor: _, ...first } = query
  const shape =
    (row.query as { shape?: Record<string, { _zod: { optin?: string } }> } | undefined)?.shape ?? {}
  const needed = Object.entries(first).filter(([name]) => shape[name]?._zod.optin !== 'optional')
  return [first, Object.fromEntries(needed)]
}

/** What an endpoint answers to the sample of its row, with everything random made steady. */
export async function exampleOf(app: App, row: Placed): Promise<Example> {
  const reads = row.routes[0].startsWith('GET ') && !row.body
  const person = reads ? await customer(app) : await app.signUp()
  const token = await tokenOf(app, row, person)
  const { path, query, body, raw } = await sampleOf(app, row, person)
  const [method, target] = targetOf(mainRoute(row), path)
  const send = (params: Record<string, string>): Promise<TestAnswer> => {
    const search = new URLSearchParams(params).toString()
    const headers = [
      ...(body ? [['content-type', 'application/json'] as [string, string]] : []),
      ...(token === undefined ? [] : [['authorization', `Bearer ${token}`] as [string, string]]),
      ...Object.entries(raw?.headers ?? {}),
    ]
    const text = raw?.body ?? (body ? JSON.stringify(body) : '')
    return sendRaw(app.url, method, search ? `${target}?${search}` : target, headers, text)
  }
  const [asked = {}, bare = {}] = queriesOf(row, query)
  let answer = await send(asked)
  const again = reads && isEmpty(answer.body) && JSON.stringify(asked) !== JSON.stringify(bare)
  if (again) answer = await send(bare)
  expect([rowKey(row), answer.status, answer.status < 300 ? '' : answer.text]).toEqual([
    rowKey(row),
    answer.status,
    '',
  ])
  const sent = again ? bare : asked
  return steady({
    ...(path && { path }),
    ...(Object.keys(sent).length > 0 && { query: sent }),
    ...(raw ? { body: JSON.parse(raw.body) } : body && { body }),
    ...(answer.body !== undefined && { answers: { [answer.status]: short(answer.body) } }),
  })
}
