import { describe, expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { newPerson } from '../support/people.ts'
import { rowKey, sampleOf } from '../support/samples.ts'
import type { TestAnswer } from '../support/send.ts'
import { sendRaw } from '../support/send.ts'
import { expectError, outsideCalls, targetOf } from './contract.ts'

const app = await startApp()
const person = await app.signUp({ username: 'Person.One' })
const other = await app.signUp({ username: 'Other-Two' })

/** The content of an answer without the time and the request's id. */
function comparable({ status, headers, text }: TestAnswer) {
  // How many requests are left follows from those before.
  const { date, ratelimit, 'apigw-requestid': id = '', ...rest } = Object.fromEntries(headers)
  return { status, headers: rest, text: text.replaceAll(id, '<id>') }
}

let names = 0

const named = rows.filter((row) => row.auth === 'account' && row.routes[0].includes('{username}'))

describe.each(named.map((row) => [rowKey(row), row] as const))('%s', (_, row: Placed) => {
  async function ask(username: string, who = person): Promise<TestAnswer> {
    const { body } = await sampleOf(app, row, who)
    const [method, pattern] = targetOf(row.routes[0], { username: 'NAME' })
    const headers: [string, string][] = [['authorization', `Bearer ${who.accessToken}`]]
    if (body) headers.push(['content-type', 'application/json'])
    app.resetCalls()
    const target = pattern.replace('NAME', username)
    return sendRaw(app.url, method, target, headers, body && JSON.stringify(body))
  }

  test.each<[string, (name: string) => string]>([
    ['as it is', (name) => name],
    ['in lower case', (name) => name.toLowerCase()],
    ['in upper case', (name) => name.toUpperCase()],
    ['with its dot encoded', (name) => name.replace('.', '%2E')],
    ['with its first letter encoded', (name) => name.replace('O', '%4f')],
    ['with its first letter encoded in lower case', (name) => name.replace('O', '%6F')],
  ])('the caller’s own name is found %s', async (_, written) => {
    names += 1
    const own = await app.signUp({ username: `Own.Name-${row.name}-${names}` })
    const { status, body } = await ask(written(own.username), own)
    expect(Object.keys(row.responses)).toContain(String(status))
    if (!row.body) expect(body.content).toMatchObject({ username: own.username, email: own.email })
  })

  test.each([
    'Other-Two',
    'other-two',
    'OTHER-TWO',
    'Other%2DTwo',
    '%4fther-Two',
    '%6fther-two',
    'Other-Two%20',
    'Other-Two%00',
    'Other-Two%3fPerson.One',
    'Other-Two%23',
    'Other-Two%2cPerson.One',
    'Person.One%2cOther-Two',
    'Person%252EOne',
    'Person.One%20',
    'Person.One%00',
    'Person.One.',
    'Pers%D0%BEn.One',
    '%EF%BC%B0erson.One',
    'me',
    'current',
    '*',
    '%7Busername%7D',
    'undefined',
    '__proto__',
  ])('%s is not found: 404, and no other account is read or changed', async (name) => {
    expectError(row, await ask(name), 'not_found')
    const counted = row.guards && { UpdateItem: 1 }
    expect(outsideCalls(app)).toEqual({ Query: 1, ...counted })
  })

  test('the id or address of another account is not found either', async () => {
    for (const name of [other.accountId, person.accountId, other.email, person.email]) {
      expectError(row, await ask(encodeURIComponent(name)), 'not_found')
    }
  })

  test('another account’s name and an unknown name have the same answer and the same calls', async () => {
    const [foreign, calls] = [await ask('Other-Two'), app.calls()]
    const [missing, sameCalls] = [await ask('Nobody-99'), app.calls()]
    expect(comparable(missing)).toEqual(comparable(foreign))
    expect(sameCalls).toEqual(calls)
    expect(foreign.headers.get('apigw-requestid')).not.toBe(missing.headers.get('apigw-requestid'))
  })
})

test('the path of an account requires a token of its owner', async () => {
  for (const [token, name] of [
    [other.accessToken, person.username],
    [person.accessToken, other.username],
  ] as const) {
    const { status, text } = await app.request('GET', `/rest/users/${name}`, { token })
    expect(status).toBe(404)
    expect(text).not.toContain('mail.example')
  }
})

test('an account named in a query, a header or a body is not read', async () => {
  const claim = { accountId: other.accountId, username: other.username, id: other.accountId }
  const query = new URLSearchParams(claim)
  const headers = { 'x-account-id': other.accountId, 'x-user': other.username }
  const { status, body } = await app.request('GET', `/v1/user?${query}`, {
    token: person.accessToken,
    headers,
  })
  expect([status, body.id]).toEqual([200, person.accountId])
})

test.each<[string, (wanted: { username: string; email: string }) => object]>([
  ['JSON', (json) => ({ json })],
  ['a form', (form) => ({ form })],
])('PUT of another account’s username, as %s, changes neither account', async (_, content) => {
  const { table } = await app.ports()
  const stored = async () => [
    await table.list(keys.account(person.accountId), ''),
    await table.list(keys.account(other.accountId), ''),
  ]
  const [before, sent] = [await stored(), app.stack.mail.messages().length]
  for (const name of ['Other-Two', 'other-two', 'OTHER-TWO', 'Other%2DTwo', other.accountId]) {
    const { username, email } = newPerson()
    const options = { token: person.accessToken, ...content({ username, email }) }
    expect((await app.request('PUT', `/rest/users/${name}`, options)).status).toBe(404)
  }
  const owned = { username: other.username, email: other.email }
  const { status } = await app.request('PUT', `/rest/users/${other.username}`, {
    token: person.accessToken,
    ...content(owned),
  })
  expect(status).toBe(404)
  expect([await stored(), app.stack.mail.messages().length]).toEqual([before, sent])
})

test('a rename of the caller to another account’s username is refused as taken', async () => {
  const { table } = await app.ports()
  const stored = () => table.list(keys.account(person.accountId), '')
  const before = await stored()
  for (const username of [other.username, other.username.toLowerCase()]) {
    const options = { token: person.accessToken, json: { username } }
    expect((await app.request('PUT', `/rest/users/${person.username}`, options)).status).toBe(409)
  }
  expect(await stored()).toEqual(before)
  expect(
    (await app.request('GET', `/rest/users/${other.username}`, { token: other.accessToken })).status,
  ).toBe(200)
})
