import { expect, test } from 'vitest'
import type { $ZodIssue, $ZodType } from 'zod/v4/core'
import { safeParse } from 'zod/v4/core'
import { proofHeaders } from '../../functions/http/proof.ts'
import { rows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { ADDRESS } from '../support/buyers.ts'
import { newPerson } from '../support/people.ts'
import { rowKey } from '../support/samples.ts'
import { type JsonSchema, jsonSchema, typesOf } from './contract.ts'

const app = await startApp()

/** The optional fields of a schema that take something else than true and false, by their paths. */
function optionalIn(schema: JsonSchema, path: string[] = []): string[][] {
  const shapes = [schema, ...(schema.anyOf ?? [])]
  return shapes.flatMap(({ properties = {}, required = [] }) =>
    Object.entries(properties).flatMap(([name, each]) => {
      const isFlag = typesOf(each).join() === 'boolean'
      const own = required.includes(name) || isFlag ? [] : [[...path, name]]
      return [...own, ...optionalIn(each, [...path, name])]
    }),
  )
}

/** Every issue, with those of a union's alternatives, at its whole path. */
const issuesIn = (issues: readonly $ZodIssue[], path: PropertyKey[] = []): string[] =>
  issues.flatMap((issue) => {
    const at = [...path, ...issue.path]
    return issue.code === 'invalid_union'
      ? issue.errors.flatMap((each) => issuesIn(each, at))
      : [at.join('.')]
  })

/**
 * Fields that no person fills in, so that an empty one is a fault of the client: repeats would not be recognised, a
 * list would begin again, use would have no tag, a scope would not be required.
 */
const NEVER_EMPTY = ['requestId', 'idempotency-key', 'cursor', 'userHandle', 'ttlSeconds', 'tag', 'requires']

const schemas = rows.flatMap((row) =>
  Object.entries({ query: row.query, headers: row.headers, body: row.body })
    .flatMap(([place, schema]) => (schema ? [{ place: `${rowKey(row)} ${place}`, schema }] : []))
    .concat(row.proof === 'recent' ? [{ place: `${rowKey(row)} proof`, schema: proofHeaders }] : []),
)

/** Why a schema refuses a body that has one value only, at a path. */
function issuesOf(schema: $ZodType, path: string[], value: unknown): string[] {
  const sent = path.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value)
  return issuesIn(safeParse(schema, sent).error?.issues ?? [])
}

test('an optional field of any row may be empty, apart from ids of requests and cursors', () => {
  const refused = schemas.flatMap(({ place, schema }) =>
    optionalIn(jsonSchema(schema, 'input'))
      .filter((path) => `${issuesOf(schema, path, '')}` !== `${issuesOf(schema, path, undefined)}`)
      .map((path) => `${place}.${path.join('.')}`),
  )
  expect(schemas.length).toBeGreaterThan(30)
  expect(refused.filter((path) => !NEVER_EMPTY.some((name) => path.endsWith(`.${name}`)))).toEqual([])
  expect(refused).toContain('v1.consume body.requestId')
})

test('a form changes what has a value, and keeps what was left empty', async () => {
  const person = await app.signUp()
  const { username, email } = newPerson()
  const put = (name: string, form: Record<string, string>) =>
    app.request('PUT', `/rest/users/${name}`, { token: person.accessToken, form })
  const renamed = await put(person.username, { username, email: '' })
  expect([renamed.status, renamed.body.content]).toMatchObject([200, { username, email: person.email }])
  expect((await put(username, { username: '', email })).status).toBe(200)
  expect((await put(username, { username: '', email: '' })).status).toBe(400)
  const registered = newPerson()
  const form = { ...registered, company: '' }
  expect((await app.request('POST', '/rest/users', { form })).status).toBe(201)
  const without = await app.request('POST', '/rest/users', { form: { ...newPerson(), password: '' } })
  expect([without.status, without.body.message]).toEqual([400, 'password is required'])
})

test('pages may send the empty inputs of a sign-in, of an address and of a query', async () => {
  const person = await app.signUp()
  const { accessToken: token, username, password } = person
  const login = { username, email: '', password, twofa: '' }
  expect((await app.request('POST', '/v1/auth/login', { json: login })).status).toBe(200)
  const address = { ...ADDRESS, company: '', district: '' }
  const json = { name: 'STARTER', paymentMethod: 'pm_card_visa', address }
  expect((await app.request('POST', '/v1/user/bundle', { token, json })).status).toBe(204)
  const { body } = await app.request('GET', '/v1/user', { token })
  expect(body.address).toMatchObject({ company: '', district: '', city: ADDRESS.city })
  expect((await app.request('GET', '/v1/usage?from=&to=', { token })).status).toBe(200)
})

test('an empty id of a request is refused, and spends nothing', async () => {
  const person = await app.signUp()
  const { body } = await app.request('GET', '/v1/user', { token: person.accessToken })
  const spend = (json: object, headers = {}) =>
    app.request('POST', '/v1/usage', { token: body.apiKey, json, headers })
  expect((await spend({ units: 1, requestId: '' })).status).toBe(400)
  expect((await spend({ units: 1 }, { 'idempotency-key': '' })).status).toBe(400)
  expect((await spend({ units: 1 })).body).toMatchObject({ left: 99, used: 1 })
})
