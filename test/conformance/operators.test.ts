import { beforeAll, describe, expect, test } from 'vitest'
import { ROLES } from '../../core/operators/operator.ts'
import { operatorRows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { defaultKey } from '../support/keys.ts'
import { operatorToken } from '../support/operators.ts'
import type { SignedInPerson } from '../support/people.ts'
import { rowKey } from '../support/samples.ts'
import { sendRaw } from '../support/send.ts'
import { newService } from '../support/services.ts'
import { outsideCalls, targetOf } from './contract.ts'

/*
 * Who reaches the operators' endpoints: nobody but operators of a role that is high enough. All of it is refused by the
 * gateway, before anything of ours runs or anything is read.
 */

const app = await startApp()

let person: SignedInPerson
let credentials: [what: string, headers: [string, string][]][]

beforeAll(async () => {
  person = await app.signUp()
  const bearer = (token: string): [string, string][] => [['authorization', `Bearer ${token}`]]
  const key = await defaultKey(app, person)
  credentials = [
    ['nothing', []],
    ['an empty header', [['authorization', '']]],
    ['text', bearer('garbage')],
    ['the access token of an account', bearer(person.accessToken)],
    ['its refresh token', bearer(person.refreshToken)],
    ['its application key', bearer(key)],
    ['its application key in X-Api-Key', [['x-api-key', key]]],
    ['the credential of a service', bearer((await newService(app)).credential)],
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
