import type { JsonSchema } from '../conformance/contract.ts'
import type { Sample } from '../support/samples.ts'
import type { Dice } from './dice.ts'
import type { Operation } from './operations.ts'
import { edgesOf, HOSTILE, HOSTILE_TEXTS, type Value } from './values.ts'

/** A request, and what was done to a right one, by which a report and two runs of a seed name it. */
export interface FuzzRequest {
  method: string
  target: string
  headers: [name: string, value: string][]
  body: string
  changes: string[]
}

/** What a right request would have, and credentials of every kind by their names. */
export interface Material {
  sample: Sample
  /** What the row asks for; undefined for a public row. */
  credential: string | undefined
  /** Credentials that are wrong here. */
  credentials: Record<string, string>
  /** Ids and names of another account's things. */
  foreign: Record<string, string>
  /** Signs the raw body of a webhook. */
  sign(body: string): Record<string, string>
}

/** A right request, or one in which up to three things are wrong. */
export function makeRequest(dice: Dice, operation: Operation, material: Material): FuzzRequest {
  const { row, route } = operation
  const { sample } = material
  const draft: Draft = {
    path: { ...sample.path },
    query: Object.entries(sample.query ?? {}),
    headers: [],
    body: sample.raw?.body ?? (sample.body ? JSON.stringify(sample.body) : ''),
    type: sample.raw || sample.body ? 'application/json' : undefined,
    credential: material.credential,
    isSigned: row.raw === true,
    isWhole: false,
    changes: [],
  }
  const times = dice.pick([0, 1, 1, 1, 1, 2, 2, 3])
  for (let time = 0; time < times; time++) dice.pick(changesFor(operation))(dice, draft, operation, material)
  const [method = ''] = route.split(' ')
  const search = draft.query.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')
  const headers = [...draft.headers]
  if (draft.type !== undefined) headers.push(['content-type', draft.type])
  if (draft.credential !== undefined) headers.push(['authorization', `Bearer ${draft.credential}`])
  if (sample.raw)
    headers.push(...Object.entries(draft.isSigned ? material.sign(draft.body) : sample.raw.headers))
  return {
    method,
    target: fillPath(route, draft.path) + (search && `?${search}`),
    headers: headers.map(([name, value]) => [name, headerText(value)]),
    body: draft.body,
    changes: draft.changes,
  }
}

interface Draft {
  path: Record<string, string>
  query: [string, string][]
  headers: [string, string][]
  body: string
  type: string | undefined
  credential: string | undefined
  isSigned: boolean
  /** Whether the whole body was replaced, so that it has no field to change. */
  isWhole: boolean
  changes: string[]
}

type Change = (dice: Dice, draft: Draft, operation: Operation, material: Material) => void

const fillPath = (route: string, path: Record<string, string>): string =>
  route
    .slice(route.indexOf(' ') + 1)
    .replace(/\{(\w+)\}/g, (_, name: string) => (name in path ? encode(path[name] ?? '') : 'x'))

/** Percent-encodes, a lone surrogate as the bytes that UTF-8 does not have. */
const encode = (text: string): string =>
  text.startsWith('%') ? text : text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%80'

/** What HTTP lets through in the value of a header. */
const headerText = (text: string): string =>
  Buffer.from(text)
    .toString('latin1')
    .replace(/[^\t\x20-\x7e\x80-\xff]/g, '')

function changesFor({ row, route, query, headers, body }: Operation): Change[] {
  return [
    changeCredential,
    changeHeader,
    changeBody,
    ...(/\{/.test(route) ? [changePath, changePath, changePath] : []),
    ...(Object.keys(query).length > 0 ? [changeQuery, changeQuery, changeQuery] : [addQuery]),
    ...(Object.keys(headers).length > 0 ? [changeOwnHeader, changeOwnHeader] : []),
    ...(body || row.raw ? [changeField, changeField, changeField, changeField] : []),
  ]
}

/** A text and how a report and two runs of a seed name it; ids, which are random, go by other names. */
const shown = (text: string): [what: string, text: string] => [JSON.stringify(text).slice(0, 24), text]

const changePath: Change = (dice, draft, { route }, { foreign }) => {
  const [name = ''] = dice.pick([...route.matchAll(/\{(\w+)\}/g)].map(([, each]) => [each]))
  const hostile = [...HOSTILE_TEXTS, '%2F', '%00', '%', '%ff', '.', '..', '%2e%2e']
  const [what, value] = dice.chance(0.4) ? dice.pick(Object.entries(foreign)) : shown(dice.pick(hostile))
  draft.path[name] = value
  draft.changes.push(`path ${name}: ${what}`)
}

/** A parameter besides the right ones, by itself, twice, or for all that look alike: two days make a range, for example. */
const changeQuery: Change = (dice, draft, { query }, { foreign }) => {
  const name = dice.pick(Object.keys(query))
  const schema = query[name] ?? {}
  const edges = edgesOf(schema).map(({ json }) => String(JSON.parse(json)))
  const own = [...edges, ...edges, ...HOSTILE_TEXTS].map(shown)
  const [what, value] = dice.pick([...own, ...Object.entries(foreign)])
  const how = dice.pick(['besides', 'besides', 'alone', 'twice', 'for all that look alike'] as const)
  const alike = Object.keys(query).filter((each) => JSON.stringify(query[each]) === JSON.stringify(schema))
  const changed = how === 'for all that look alike' ? alike : [name]
  if (how === 'alone') draft.query = []
  if (how !== 'twice') draft.query = draft.query.filter(([each]) => !changed.includes(each))
  draft.query.push(...changed.map((each): [string, string] => [each, value]))
  draft.changes.push(`query ${name} ${how}: ${what}`)
}

const addQuery: Change = (dice, draft) => {
  const [name, value] = dice.pick([
    ['x', '1'],
    ['access_token', 'x'],
    ['__proto__', '1'],
    ['a[]', '1'],
    ['', ''],
  ])
  draft.query.push([name ?? '', value ?? ''])
  draft.changes.push(`query ${name} that there is not`)
}

const changeOwnHeader: Change = (dice, draft, { headers }) => {
  const name = dice.pick(Object.keys(headers))
  const edges = edgesOf(headers[name] ?? {}).map(({ json }) => String(JSON.parse(json)))
  const value = dice.pick([...edges, ...HOSTILE_TEXTS])
  draft.headers.push([name, value])
  draft.changes.push(`header ${name}: ${JSON.stringify(value).slice(0, 24)}`)
}

const HEADERS: [name: string, value: string][] = [
  ['accept', 'application/problem+json'],
  ['accept', 'text/html'],
  ['accept-encoding', 'gzip, br'],
  ['content-encoding', 'gzip'],
  ['cookie', '__Host-bursar-session=x; a=b'],
  ['cookie', '='],
  ['forwarded', 'for=127.0.0.1'],
  ['host', 'evil.example'],
  ['idempotency-key', ''],
  ['if-none-match', '*'],
  ['origin', 'null'],
  ['origin', 'https://evil.example'],
  ['range', 'bytes=0-1'],
  ['sec-fetch-site', 'cross-site'],
  ['x-amzn-requestid', 'x'],
  ['x-bursar-account', '0'.repeat(24)],
  ['x-bursar-edge', 'x'],
  ['x-bursar-key', 'x'],
  ['x-forwarded-for', '127.0.0.1, 10.0.0.1'],
  ['x-http-method-override', 'DELETE'],
  ['x-proof-code', '000000'],
  ['x-proof-password', '\0'],
  ['x-test', 'x'.repeat(6_000)],
]

const changeHeader: Change = (dice, draft) => {
  const [name, value] = dice.pick(HEADERS)
  draft.headers.push([name, value])
  draft.changes.push(`header ${name}: ${JSON.stringify(value).slice(0, 24)}`)
}

const changeCredential: Change = (dice, draft, _, { credentials }) => {
  const [what, value] = dice.pick(Object.entries(credentials))
  if (what === 'a second one') draft.headers.push(['authorization', 'Bearer x'])
  else draft.credential = what === 'none' ? undefined : value
  draft.changes.push(`credential: ${what}`)
}

/** Bodies that are no object of fields. */
const BODIES: [what: string, body: string, type: string | undefined][] = [
  ['no body', '', undefined],
  ['an empty object', '{}', 'application/json'],
  ['a list', '[]', 'application/json'],
  ['null', 'null', 'application/json'],
  ['a text', '"x"', 'application/json'],
  ['a number', '1e400', 'application/json'],
  ['half an object', '{"a":', 'application/json'],
  ['two objects', '{}{}', 'application/json'],
  ['a byte order mark', '\ufeff{}', 'application/json'],
  ['a comment', '{/**/}', 'application/json'],
  ['a key twice', '{"a":1,"a":2}', 'application/json'],
  ['an escaped key twice', '{"a":1,"\\u0061":2}', 'application/json'],
  ['deep nesting', `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`, 'application/json'],
  ['many keys', `{${Array.from({ length: 3_000 }, (_, at) => `"k${at}":1`).join(',')}}`, 'application/json'],
  ['a large body', `{"a":"${'x'.repeat(70_000)}"}`, 'application/json'],
  ['an unterminated text', `{"a":"${'\\"'.repeat(5_000)}`, 'application/json'],
  ['a form', 'a=1&a=2&b[c]=3', 'application/x-www-form-urlencoded'],
  ['a form of percent signs', '%&%zz=%ff', 'application/x-www-form-urlencoded'],
  ['a form that is JSON', '{"a":1}', 'application/x-www-form-urlencoded'],
  ['another charset', '{}', 'application/json; charset=utf-16'],
  ['another type', '<a/>', 'text/xml'],
  ['no type', '{}', undefined],
  ['several parts', '--x\r\n\r\n--x--', 'multipart/form-data; boundary=x'],
]

const changeBody: Change = (dice, draft) => {
  const [what, body, type] = dice.pick(BODIES)
  Object.assign(draft, { body, type, isWhole: true })
  draft.changes.push(`body: ${what}`)
}

type Path = readonly (string | number)[]

/** The paths of all values in a body, and of the fields that its schema has besides. */
function placesIn(value: unknown, schema: JsonSchema, path: Path = []): { path: Path; schema: JsonSchema }[] {
  const shapes = [schema, ...(schema.anyOf ?? []), ...((schema as { oneOf?: JsonSchema[] }).oneOf ?? [])]
  const here = path.length === 0 ? [] : shapes.map((shape) => ({ path, schema: shape }))
  if (Array.isArray(value))
    return [...here, ...value.flatMap((each, at) => placesIn(each, schema.items ?? {}, [...path, at]))]
  const known = Object.assign({}, ...shapes.map(({ properties }) => properties ?? {})) as Record<
    string,
    JsonSchema
  >
  const own = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  const names = path.length > 3 ? [] : [...new Set([...Object.keys(own), ...Object.keys(known)])]
  return [...here, ...names.flatMap((name) => placesIn(own[name], known[name] ?? {}, [...path, name]))]
}

/** Stands in a body for JSON text that `JSON.stringify` would not write. */
const PLACE = '\u2318place\u2318'

const changeField: Change = (dice, draft, { body: schema = {} }, { foreign }) => {
  const body = draft.isWhole ? undefined : JSON.parse(draft.body || '{}')
  if (typeof body !== 'object' || body === null) return
  const places = placesIn(body, schema)
  const how = dice.pick(['value', 'value', 'value', 'value', 'value', 'value', 'absent', 'further'] as const)
  if (how === 'further' || places.length === 0) {
    const name = dice.pick([
      'surprise',
      '__proto__',
      'constructor',
      'role',
      'balance',
      'accountId',
      '',
      'a.b',
    ])
    draft.body = withMember(draft.body, name)
    draft.changes.push(`field ${JSON.stringify(name)} that there is not`)
    return
  }
  const place = dice.pick(places)
  if (how === 'absent') {
    draft.body = JSON.stringify(changed(body, place.path, undefined))
    draft.changes.push(`field ${place.path.join('.')}: absent`)
    return
  }
  const value = valueFor(dice, place.schema, foreign)
  draft.body = JSON.stringify(changed(body, place.path, PLACE)).replace(`"${PLACE}"`, () => value.json)
  draft.changes.push(`field ${place.path.join('.')}: ${value.name}`)
}

function valueFor(dice: Dice, schema: JsonSchema, foreign: Record<string, string>): Value {
  const edges = edgesOf(schema)
  if (edges.length > 0 && dice.chance(0.45)) return dice.pick(edges)
  if (dice.chance(0.15)) {
    const [name, text] = dice.pick(Object.entries(foreign))
    return { name, json: JSON.stringify(text) }
  }
  return dice.pick(HOSTILE)
}

const withMember = (text: string, name: string): string =>
  text.startsWith('{') ? `{${JSON.stringify(name)}:1${text === '{}' ? '' : ','}${text.slice(1)}` : text

/** A copy of a body with another value at a path; undefined removes it. */
function changed(body: unknown, [name, ...rest]: Path, value: unknown): unknown {
  if (name === undefined) return value
  if (Array.isArray(body)) return body.map((each, at) => (at === name ? changed(each, rest, value) : each))
  const own = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
  return { ...own, [name]: changed(own[name], rest, value) }
}
