import { beforeAll, describe, expect, test } from 'vitest'
import { ROLES } from '../../core/operators/operator.ts'
import { adminKeyRows, rows as allRows, operatorRows } from '../../functions/http/rows.ts'
import { newAdminKey } from '../support/admin-keys.ts'
import { startApp } from '../support/app.ts'
import { defaultKey } from '../support/keys.ts'
import { operatorToken } from '../support/operators.ts'
import type { SignedInPerson } from '../support/people.ts'
import { rowKey, sampleOf } from '../support/samples.ts'
import { sendRaw } from '../support/send.ts'
import { newService } from '../support/services.ts'
import { outsideCalls, targetOf } from './contract.ts'

/*
 * Who reaches the operators' endpoints: nobody but operators of a role that is high enough. Those under /ops/ are refused
 * by the gateway, before anything of ours runs or anything is read; those of admin keys by the function, which reads the
 * key and nothing else.
 */

const app = await startApp()

let person: SignedInPerson
let adminKey: string
let credentials: [what: string, headers: [string, string][]][]

beforeAll(async () => {
  person = await app.signUp()
  const bearer = (token: string): [string, string][] => [['authorization', `Bearer ${token}`]]
  const key = await defaultKey(app, person)
  adminKey = (await newAdminKey(app, 'admin')).credential
  credentials = [
    ['nothing', []],
    ['an empty header', [['authorization', '']]],
    ['text', bearer('garbage')],
    ['the access token of an account', bearer(person.accessToken)],
    ['its refresh token', bearer(person.refreshToken)],
    ['its application key', bearer(key)],
    ['its application key in X-Api-Key', [['x-api-key', key]]],
    ['the credential of a service', bearer((await newService(app)).credential)],
    ['an admin key', bearer(adminKey)],
    ['an admin key in its header', [['api-key', adminKey]]],
  ]
})

const rows = operatorRows.flatMap((row) => row.routes.map((route) => [route, row] as const))

describe.each(rows)('%s', (route, row) => {
  const [method, target] = targetOf(route)
  const send = (headers: [string, string][]) => {
    app.resetCalls()
    return sendRaw(app.url, method, target, headers)
  }

  test('403 for everything that is no signature of an operator', async () => {
    for (const [what, headers] of credentials) {
      const { status, body } = await send(headers)
      expect([what, status, body, outsideCalls(app)]).toEqual([what, 403, { message: 'Forbidden' }, {}])
    }
  })

  test('403 for an operator of a lower role', async () => {
    for (const role of ROLES.slice(0, ROLES.indexOf(row.role as 'read'))) {
      const { status, body } = await send([['authorization', `Bearer ${operatorToken(role)}`]])
      expect([role, status, body, outsideCalls(app)]).toEqual([role, 403, { message: 'Forbidden' }, {}])
    }
  })

  test('the path begins with the role, so that an IAM policy can name it', () => {
    expect(target).toMatch(new RegExp(`^/ops/${row.role}/`))
  })
})

test('no row of customers is in the folder of operators, and none of operators elsewhere', () => {
  const misplaced = operatorRows.filter(({ dialect }) => dialect !== 'ops')
  expect(misplaced.map(rowKey)).toEqual([])
})

const ofKeys = adminKeyRows.flatMap((row) => row.routes.map((route) => [route, row] as const))

describe.each(ofKeys)('%s', (route, row) => {
  const [method, target] = targetOf(route)
  const send = (headers: [string, string][]) => {
    app.resetCalls()
    return sendRaw(app.url, method, target, headers)
  }

  test('401 for everything that is no admin key in its header, and nothing is read', async () => {
    const inHeader = (text: string): [string, string][] => [['api-key', text]]
    const others = credentials.filter(([what]) => what !== 'an admin key in its header')
    const inKeysPlace = others.flatMap(([what, headers]) =>
      headers.map(([, text]) => [`${what} as Api-Key`, inHeader(text.replace('Bearer ', ''))] as const),
    )
    const version = adminKey.slice(-16, -12)
    const forged = `bsa_${'0'.repeat(64)}_${version}${'0'.repeat(12)}`
    const cut: [string, [string, string][]] = ['a part of a key', inHeader(adminKey.slice(0, -1))]
    const signed: [string, [string, string][]] = [
      'the signature of an operator',
      [['authorization', `Bearer ${operatorToken('admin')}`]],
    ]
    const tried = [...others, ...inKeysPlace, cut, ['a forged key', inHeader(forged)] as const, signed]
    for (const [what, headers] of tried.filter(([what]) => what !== 'an admin key as Api-Key')) {
      const answer = await send([...headers])
      expect([what, answer.status, answer.body.type, outsideCalls(app)]).toEqual([
        ...[what, 401, 'urn:bursar:problem:admin_key_refused', {}],
      ])
    }
  })

  test('403 for a key of a lower role, and nothing but the key is read', async () => {
    for (const role of ROLES.slice(0, ROLES.indexOf(row.role as 'read'))) {
      const { credential } = await newAdminKey(app, role)
      const { status, body } = await send([['api-key', credential]])
      expect([role, status, body.type]).toEqual([role, 403, 'urn:bursar:problem:operator_refused'])
      expect(outsideCalls(app)).toEqual({ GetItem: 1 })
    }
  })

  test('the path begins with /admin/api/', () => {
    expect(target).toMatch(/^\/admin\/api\//)
  })
})

test('rows of admin keys are in their folder, and nothing else is', () => {
  const misplaced = allRows.filter(({ dialect, auth }) => (dialect === 'admin') !== (auth === 'admin-key'))
  expect(misplaced.map(rowKey)).toEqual([])
})

const forAccounts = allRows.filter(({ auth }) => auth === 'account' || auth === 'key')

test('an admin key is no access token and no application key: no row of customers takes one', async () => {
  const places = [
    ['authorization', `Bearer ${adminKey}`],
    ['x-api-key', adminKey],
    ['api-key', adminKey],
  ] as [string, string][]
  for (const row of forAccounts) {
    // What a row of application keys spends by is checked after its input.
    const { path, body } = row.auth === 'key' ? await sampleOf(app, row, person) : {}
    const [method, target] = targetOf(row.routes[0], path)
    for (const place of places) {
      const headers: [string, string][] = [place, ['content-type', 'application/json']]
      const { status } = await sendRaw(app.url, method, target, headers, body && JSON.stringify(body))
      expect([rowKey(row), place[0], [401, 403].includes(status), status]).toEqual([
        ...[rowKey(row), place[0], true, status],
      ])
    }
  }
})
