import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { problems } from '../../functions/http/problems.ts'
import { startApp } from '../support/app.ts'
import { createKey } from '../support/keys.ts'
import { sampleOf, tokenOf } from '../support/samples.ts'
import { cardOnFile } from '../support/stripe.ts'
import { sendSample, writers } from './repeats.ts'

const app = await startApp()

const AT_ONCE = 16

/** What copies of a request may also be answered, because it is a rule and no lost race. */
const ALSO: Record<string, ErrorCode[]> = {
  // Every code counts as a try until it has proved to be right, and there are five.
  'v1.verifyTwoFactor': ['two_factor_locked'],
  'v1.removeTwoFactor': ['two_factor_locked'],
  // The change is still at the vault, or has ended the session.
  'v1.changePassword': ['temporarily_unavailable', 'session_ended', 'password_locked'],
  // And to later copies the old password is a wrong one, of which there may be few.
  'api.updateCurrentUser': ['temporarily_unavailable', 'session_ended', 'password_locked'],
  'v1.resetPassword': ['temporarily_unavailable'],
  // An answer to a challenge begins one session.
  'v1.passkeyLogin': ['passkey_refused'],
  'rest.createApp': ['key_limit_reached'],
  'v1.createKey': ['key_limit_reached'],
  // A name has one operator, one service and one admin key.
  'ops.addOperator': ['operator_exists'],
  'ops.addService': ['service_exists'],
  'ops.addAdminKey': ['admin_key_exists'],
  // Each copy is an order of its own, because none has an Idempotency-Key.
  'ops.debit': ['too_little_credit'],
  'ops.refund': ['refund_open'],
  'ops.erase': ['not_found'],
}

/** The code of a refusal, which Skylink's dialect tells by its sentence only. */
const codeOf = ({ type, message }: { type?: string; message?: string } = {}) =>
  type?.split(':').at(-1) ?? Object.entries(problems).find(([, { detail }]) => detail === message)?.[0]

test.each(writers)(
  '%s: sixteen copies at once are answered as one, and none with a conflict',
  async (name, row) => {
    const person = await app.signUp()
    const sample = await sampleOf(app, row, person)
    const token = await tokenOf(app, row, person)
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, () => sendSample(app, row, sample, token)),
    )
    const successes = answers.filter(({ status }) => status < 300)
    expect(successes.length).toBeGreaterThan(0)
    expect(new Set(successes.map(({ status }) => status)).size).toBe(1)
    const others = answers.filter(({ status }) => status >= 300).map(({ body }) => codeOf(body))
    expect(others.filter((code) => !ALSO[name]?.some((also) => also === code))).toEqual([])
  },
)

const statusesOf = (answers: { status: number }[]) => answers.map(({ status }) => status).sort()

test('sixteen keys created at once are seven, as many as there is room for', async () => {
  const { accessToken: token } = await app.signUp()
  const create = (_: unknown, nth: number) =>
    app.request('POST', '/v1/keys', { token, json: { name: `key ${nth}` } })
  const answers = await Promise.all(Array.from({ length: AT_ONCE }, create))
  expect(statusesOf(answers)).toEqual([...Array(7).fill(201), ...Array(9).fill(409)])
  const refusals = answers.filter(({ status }) => status === 409).map(({ body }) => codeOf(body))
  expect(new Set(refusals)).toEqual(new Set(['key_limit_reached']))
})

test('different keys are deleted, rotated and created at once, and each request succeeds', async () => {
  const person = await app.signUp()
  const token = person.accessToken
  const ids = []
  for (let nth = 0; nth < 6; nth++) ids.push((await createKey(app, person)).id)
  const answers = await Promise.all([
    ...ids.slice(0, 3).map((id) => app.request('DELETE', `/v1/keys/${id}`, { token })),
    ...['default', ...ids.slice(3)].map((id) => app.request('POST', `/v1/keys/${id}/rotate`, { token })),
    app.request('POST', '/v1/keys', { token, json: { name: 'another' } }),
  ])
  expect(statusesOf(answers)).toEqual([...Array(4).fill(200), 201, ...Array(3).fill(204)])
  expect((await app.request('GET', '/v1/keys', { token })).body).toHaveLength(5)
})

test('sixteen requests that differ change one account at once: none is refused for a conflict', async () => {
  const person = await app.signUp()
  const token = person.accessToken
  const requests = Array.from({ length: AT_ONCE }, (_, nth) =>
    nth % 2 === 0
      ? app.request('PUT', '/v1/user/flags', { token, json: { bundleAutoRenewal: nth % 4 === 0 } })
      : app.request('PUT', `/rest/users/${person.username}`, {
          token,
          json: { username: `${person.username}-${nth}` },
        }),
  )
  // The path of a rename that comes after another one names nobody.
  for (const { status } of await Promise.all(requests)) expect([200, 204, 404]).toContain(status)
})

test('different cards are removed at once', async () => {
  const person = await app.signUp()
  const token = person.accessToken
  const first = await cardOnFile(app, person)
  const second = await cardOnFile(app, person, 'pm_card_mastercard')
  const answers = await Promise.all(
    [first, second].map((id) => app.request('DELETE', `/api/users/current/payment-method/${id}`, { token })),
  )
  expect(statusesOf(answers)).toEqual([204, 204])
})
