import { expect, test } from 'vitest'
import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { rest } from '../../functions/rest/routes.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { startApp } from '../support/app.ts'
import { operatorToken } from '../support/operators.ts'
import { newPerson } from '../support/people.ts'
import { rowKey, sampleOf, tokenOf } from '../support/samples.ts'
import { sendRaw } from '../support/send.ts'
import { expectError, outsideCalls } from './contract.ts'
import { invoke } from './event.ts'

const app = await startApp()

const FORM = { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' }
const JSON_TYPE = { 'content-type': 'application/json' }

const postForm = (body: string) => app.request('POST', '/rest/users/', { body, headers: FORM })
const base64 = (text: string) => Buffer.from(text).toString('base64')

test('a form field given twice is refused, however its name is encoded', async () => {
  const { username, email, password } = newPerson()
  const form = `username=${username}&email=${email}&password=${password}`
  app.resetCalls()
  for (const twice of [
    `${form}&username=other`,
    `username=other&${form}`,
    `${form}&user%6eame=${username}`,
    `${form}&password=`,
    `${form}&username`,
  ]) {
    expectError(rest.createUser, await postForm(twice), 'malformed_body')
  }
  expect(outsideCalls(app)).toEqual({})
  expect((await postForm(form)).status).toBe(201)
})

test('form names with brackets or dots make no objects or lists', async () => {
  const { username, email, password } = newPerson()
  const form = `email=${email}&password=${password}`
  app.resetCalls()
  for (const name of [
    'username[]',
    'username[0]',
    'username[$ne]',
    'username.x',
    '__proto__[username]',
    '[username]',
  ]) {
    const answer = await postForm(`${form}&${encodeURIComponent(name)}=${username}`)
    expectError(rest.createUser, answer, 'invalid_request')
    expect(answer.body.message).toContain('username is required')
  }
  expect(outsideCalls(app)).toEqual({})
  expect((await postForm(`${form}&username=${username}`)).status).toBe(201)
})

test.each(['?&', '?', '&', '', '&&'])(
  'a form that begins with "%s", as Skylink’s example does, registers',
  async (start) => {
    const { username, email, password } = newPerson()
    const answer = await postForm(`${start}username=${username}&email=${email}&password=${password}`)
    expect([answer.status, answer.body.content]).toMatchObject([201, { username, email }])
    await app.confirm({ email })
    expect((await app.login({ username, email, password })).accessToken).toBeTruthy()
  },
)

test('a form’s plus sign is a space and its %2B a plus sign', async () => {
  const { username, password } = newPerson()
  const form = (email: string) => `username=${username}&password=${password}&email=${email}`
  expectError(rest.createUser, await postForm(form('a+b@mail.example')), 'invalid_request')
  const { status, body } = await postForm(form('a%2Bb@mail.example'))
  expect([status, body.content.email]).toEqual([201, 'a+b@mail.example'])
})

test('a Base64 body is decoded if the event flags it', async () => {
  const person = newPerson()
  const body = base64(JSON.stringify(person))
  const { statusCode } = await invoke(rest.createUser, { body, isBase64Encoded: true, headers: JSON_TYPE })
  expect(statusCode).toBe(201)
  await app.confirm(person)
  expect((await app.login(person)).username).toBe(person.username)
})

test('Base64 that is not flagged, is broken or does not hold UTF-8 is refused, and nothing is read', async () => {
  const text = JSON.stringify({ email: 'person@mail.example', password: 'Hello123!' })
  const body = base64(text)
  app.resetCalls()
  for (const content of [
    { body, isBase64Encoded: false },
    { body: text, isBase64Encoded: true },
    { body: `${body.slice(0, 8)}!${body.slice(8)}`, isBase64Encoded: true },
    { body: `${body.slice(0, 8)}\n${body.slice(8)}`, isBase64Encoded: true },
    { body: body.slice(0, -3), isBase64Encoded: true },
    { body: `${body}AAAA`, isBase64Encoded: true },
    { body: base64(body), isBase64Encoded: true },
    {
      body: Buffer.from(text.replace('Hello', 'H\xffllo'), 'latin1').toString('base64'),
      isBase64Encoded: true,
    },
    { body: Buffer.from(text, 'utf16le').toString('base64'), isBase64Encoded: true },
    { body: '====', isBase64Encoded: true },
  ]) {
    const { statusCode, body: said = '' } = await invoke(v1.login, { ...content, headers: JSON_TYPE })
    expect([content.body, statusCode, JSON.parse(said).type]).toEqual([
      content.body,
      400,
      'urn:bursar:problem:malformed_body',
    ])
  }
  expect(outsideCalls(app)).toEqual({})
})

test('the size of a Base64 body is that of the decoded bytes', async () => {
  const filled = (bytes: number) => base64(`{"x":"${'a'.repeat(bytes - 8)}"}`)
  const send = (body: string) => invoke(v1.login, { body, isBase64Encoded: true, headers: JSON_TYPE })
  expect((await send(filled(65_536))).statusCode).toBe(400)
  expect((await send(filled(65_537))).statusCode).toBe(413)
})

test.each(
  rows
    .filter((row) => row.routes.some((route) => route.startsWith('GET ')))
    .map((row) => [rowKey(row), row] as const),
)('%s: the body of a GET never replaces the query, the path or the token', async (_, row: Placed) => {
  const person = await app.signUp()
  const victim = await app.signUp()
  const { path = {} } = await sampleOf(app, row, person)
  const target = row.routes[0].slice('GET '.length).replace(/\{(\w+)\}/g, (_, name) => path[name] ?? 'x')
  const body = JSON.stringify({
    username: victim.username,
    accountId: victim.accountId,
    token: victim.accessToken,
  })
  const headers: [string, string][] = [['content-type', 'application/json']]
  if (row.auth === 'account') {
    expect((await sendRaw(app.url, 'GET', target, headers, body)).status).toBe(401)
    headers.push(['authorization', `Bearer ${person.accessToken}`])
  }
  if (row.auth === 'operator') headers.push(['authorization', `Bearer ${operatorToken(row.role)}`])
  if (row.auth === 'admin-key') headers.push(['authorization', `Bearer ${await tokenOf(app, row, person)}`])
  if (row.auth === 'key') headers.push(['x-api-key', String(await tokenOf(app, row, person))])
  expectError(row, await sendRaw(app.url, 'GET', target, headers, body), 'invalid_request')
})

test.each([
  ['a string that never ends', `"${'\\"'.repeat(32_000)}`],
  ['quotes', '"'.repeat(65_536)],
  ['back-slashes', `"${'\\'.repeat(65_534)}"`],
  ['strings and blanks', `[${'"a"  ,'.repeat(10_000)}1]`],
  ['blanks', `{"a"${' '.repeat(65_000)}:1}`],
  ['open brackets', '['.repeat(65_536)],
  ['keys', `{${Array.from({ length: 6_000 }, (_, at) => `"k${at}":1`).join(',')}}`],
  ['deep objects', '{"a":'.repeat(13_000)],
  ['digits', '1'.repeat(65_536)],
])('64 KiB of %s take almost no time, and the answer is short', async (_, body) => {
  const startedMs = performance.now()
  const { status, text } = await app.request('POST', '/v1/auth/login', { body, headers: JSON_TYPE })
  expect(status).toBe(400)
  expect(performance.now() - startedMs).toBeLessThan(500)
  expect(text.length).toBeLessThan(4_096)
})

test('64 KiB in one field take almost no time', async () => {
  for (const json of [
    { email: `${'a.'.repeat(30_000)}@x`, password: 'x' },
    { email: `a@${'a-'.repeat(30_000)}`, password: 'x' },
    { email: `a@${'a.'.repeat(30_000)}1`, password: 'x' },
    { email: 'a@b.example', password: ' '.repeat(60_000) },
    { username: 'a'.repeat(60_000), password: 'x' },
    { email: '@'.repeat(60_000), password: 'x' },
  ]) {
    const startedMs = performance.now()
    expectError(v1.login, await app.request('POST', '/v1/auth/login', { json }), 'invalid_request')
    expect(performance.now() - startedMs).toBeLessThan(500)
  }
})

test('a form of 64 KiB takes almost no time, and the answer is short', async () => {
  for (const body of [
    'a=b&'.repeat(16_000),
    '&'.repeat(65_000),
    '?'.repeat(65_000),
    '+'.repeat(65_000),
    '%41'.repeat(21_000),
  ]) {
    const startedMs = performance.now()
    const { status, text } = await postForm(body)
    expect(status).toBe(400)
    expect(performance.now() - startedMs).toBeLessThan(500)
    expect(text.length).toBeLessThan(4_096)
  }
})
