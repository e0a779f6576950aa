import { beforeEach, describe, expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { HOUR_MS } from '../../core/time.ts'
import { consoleKey, type Placed } from '../../functions/http/route.ts'
import { operatorRows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { makeOperator, newOperator } from '../support/console.ts'
import { appCode, withTwoFactor } from '../support/credentials.ts'
import { defaultKey } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { rowKey, sampleOf } from '../support/samples.ts'
import { targetOf } from './contract.ts'

/** Who reaches the operators' endpoints at the paths of the console: accounts that are operators, and nobody else. */

const app = await startApp()
beforeEach(app.startAfresh)

const refused = (code: string) => ({ type: `urn:bursar:problem:${code}` })

async function ask(row: Placed, token: string | undefined, headers: Record<string, string> = {}) {
  const person = await app.signUp()
  const { path, query, body } = await sampleOf(app, row, person)
  const [method, target] = targetOf(consoleKey(row.routes[0]), path)
  const search = new URLSearchParams(query).toString()
  const asked = search === '' ? target : `${target}?${search}`
  return app.request(method, asked, { token, headers, ...(body && { json: body }) })
}

describe.each(operatorRows.map((row) => [rowKey(row), row] as const))('%s at the console', (_, row) => {
  test('2xx for an operator of its role, with a recent session', async () => {
    const { accessToken } = await newOperator(app, row.role ?? 'admin')
    const { status, body } = await ask(row, accessToken)
    expect([status < 300, status < 300 ? undefined : body]).toEqual([true, undefined])
  })

  test('401 without a token, 403 for an application key, and 403 for the owner of an ordinary account', async () => {
    const person = await withTwoFactor(app, await app.signUp())
    expect((await ask(row, undefined)).status).toBe(401)
    expect((await ask(row, await defaultKey(app, person))).status).toBe(403)
    const { status, body } = await ask(row, person.accessToken)
    expect([status, body]).toMatchObject([403, refused('operator_refused')])
  })

  test.runIf(row.role !== 'read')('403 for an operator of a lower role', async () => {
    const { accessToken } = await newOperator(app, row.role === 'admin' ? 'support' : 'read')
    const { status, body } = await ask(row, accessToken)
    expect([status, body]).toMatchObject([403, refused('operator_refused')])
  })

  test.runIf(row.proof === 'recent')(
    '401 for a session that has not proved anything in ten minutes',
    async () => {
      const { accessToken, seed } = await newOperator(app, row.role ?? 'admin')
      app.advance(11 * 60_000)
      const { status, body } = await ask(row, accessToken)
      expect([status, body]).toMatchObject([403, refused('reauthentication_required')])
      expect((await ask(row, accessToken, { 'x-proof-code': appCode(seed) })).status).toBeLessThan(300)
    },
  )
})

const whoami = (person: SignedInPerson) =>
  app.request('GET', '/console/read/whoami', { token: person.accessToken })

describe('a session as an operator', () => {
  test('403 for one that signed in without a second factor, until a code has proved it', async () => {
    const person = await withTwoFactor(app, await app.signUp())
    await makeOperator(app, person.accountId, 'read')
    expect((await whoami(person)).body).toMatchObject(refused('operator_sign_in_required'))
    const json = { twofa: appCode(person.seed) }
    await app.request('POST', '/v1/auth/confirm', { token: person.accessToken, json })
    expect((await whoami(person)).status).toBe(200)
  })

  test('403 for an account that has no second factor any more', async () => {
    const person = await newOperator(app, 'read')
    const { table } = await app.ports()
    await table.update(keys.profile(person.accountId), expr`REMOVE #totp`)
    expect((await whoami(person)).body).toMatchObject(refused('operator_sign_in_required'))
  })

  test('403 from eight hours after its sign-in on, however often it was refreshed', async () => {
    const person = await newOperator(app, 'read')
    const again = async () => {
      const json = { refreshToken: person.refreshToken }
      const { body } = await app.request('POST', '/v1/auth/refresh', { json })
      return whoami({ ...person, accessToken: body.accessToken })
    }
    app.advance(8 * HOUR_MS - 1)
    expect((await again()).status).toBe(200)
    app.advance(1)
    expect((await again()).body).toMatchObject(refused('operator_sign_in_required'))
  })

  test.each(['suspended', 'deactivated'])(
    '403 from the next request on once its account is %s',
    async (status) => {
      const person = await newOperator(app, 'admin')
      const { table } = await app.ports()
      await table.update(keys.profile(person.accountId), expr`SET #status = ${status}`)
      expect((await whoami(person)).body).toMatchObject(refused(`account_${status}`))
    },
  )

  test('401 once it is signed out', async () => {
    const person = await newOperator(app, 'admin')
    await app.request('POST', '/v1/auth/logout', { token: person.accessToken })
    expect((await whoami(person)).body).toMatchObject(refused('session_ended'))
  })

  test('what it changes is in the audit log under its name', async () => {
    const { accessToken: token, username } = await newOperator(app, 'admin')
    const json = { name: 'gateway', reason: 'from the console' }
    expect((await app.request('POST', '/console/admin/services', { token, json })).status).toBe(201)
    const { table } = await app.ports()
    expect(await table.list(`OPERATOR#${username}`, 'AUDIT#')).toHaveLength(1)
  })
})
