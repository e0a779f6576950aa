import { beforeEach, describe, expect, test } from 'vitest'
import { ops } from '../../functions/ops/routes.ts'
import { rest } from '../../functions/rest/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { newPerson } from '../support/people.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const rule = (domain: string, decided: string) =>
  app.request('POST', '/ops/admin/mail-domains', {
    operator: 'admin',
    json: { domain, rule: decided, reason: 'floods of accounts' },
  })
const register = (email: string) => app.register(newPerson({ email }))
const statusOf = async (domain: string) => (await register(`${newPerson().username}@${domain}`)).status
const entries = async () => (await app.ports()).table.list('OPERATOR#local-admin', 'AUDIT#')

test('200: a domain is blocked and free again; a repeat is recorded once', async () => {
  for (let sent = 0; sent < 2; sent++)
    expect((await rule('Flood.example', 'block')).body).toEqual({ domain: 'flood.example', rule: 'block' })
  expect(await entries()).toMatchObject([
    { action: 'operator.mail_domain_ruled', after: { domain: 'flood.example', rule: 'block' } },
  ])
  expect(await statusOf('flood.example')).toBe(400)
  expect((await rule('flood.example', 'none')).status).toBe(200)
  expect(await statusOf('flood.example')).toBe(201)
  expect(await entries()).toHaveLength(2)
})

test('400 for what is no domain', async () => {
  for (const domain of ['', 'flood', 'a b.example', 'x@flood.example'])
    expectError(ops.ruleMailDomain, await rule(domain, 'block'), 'invalid_request')
})

describe('an address of a blocked domain', () => {
  const problem = {
    message: 'email must be of another provider: we do not take addresses of this domain',
  }

  test.each([
    'blocked.example',
    'BLOCKED.example',
    'mail.blocked.example',
    'mailinator.com',
    'a.mailinator.com',
  ])('400: nobody registers with one of %s', async (domain) => {
    await rule('blocked.example', 'block')
    const answer = await register(`${newPerson().username}@${domain}`)
    expectError(rest.createUser, answer, 'invalid_request')
    expect(answer.body).toMatchObject(problem)
  })

  test('201: the nearest rule counts, and a disposable domain may be allowed', async () => {
    await rule('blocked.example', 'block')
    await rule('staff.blocked.example', 'allow')
    await rule('mailinator.com', 'allow')
    const statuses = ['staff.blocked.example', 'other.blocked.example', 'mailinator.com'].map(statusOf)
    expect(await Promise.all(statuses)).toEqual([201, 400, 201])
  })

  test('accounts that have one keep working, and nobody changes to one', async () => {
    const { username: name } = newPerson()
    const person = await app.signUpOverHttp({ email: `${name}@later.example` })
    await rule('later.example', 'block')
    const change = (email: string) =>
      app.request('PUT', `/rest/users/${person.username}`, {
        token: person.accessToken,
        json: { username: person.username, email },
      })
    expect((await app.request('GET', '/v1/user', { token: person.accessToken })).status).toBe(200)
    expect((await app.login(person)).accessToken).toBeTruthy()
    const refused = await change(`${name}2@later.example`)
    expect([refused.status, refused.body]).toMatchObject([400, problem])
    expect((await change(person.email)).status).toBe(200)
  })
})
