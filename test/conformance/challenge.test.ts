import { expect, test } from 'vitest'
import { countEvent, limitKey } from '../../core/limits/limits.ts'
import { asksPeople } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { refusals } from '../../functions/http/source-limit.ts'
import { PERSON } from '../local/turnstile.ts'
import { startApp } from '../support/app.ts'
import { newPerson } from '../support/people.ts'
import { rowKey } from '../support/samples.ts'
import { expectError } from './contract.ts'

/** A deployment that asks people to show that they are no program, once their network is near a limit. */
process.env.TURNSTILE_SITE_KEY = 'the-key-of-a-widget'
const app = await startApp()
const challenge = app.stack.challenge ?? expect.unreachable('the stack has no double of Turnstile')

/** Uses a part of the limit of mails for the address from which the tests send. */
async function use(part: number): Promise<void> {
  refusals.clear()
  const deps = await app.ports()
  const [{ most = 0 } = {}] = await countEvent(deps, '127.0.0.1', 'mails-from')
  await deps.table.put({ ...limitKey(deps, 'mails-from', '127.0.0.1'), 'mails-from': most * part })
}

const resend = rows.find((row) => rowKey(row) === 'v1.resend') ?? expect.unreachable()
const ask = (answer?: string) =>
  app.request('POST', '/v1/auth/resend', {
    json: { email: newPerson().email },
    headers: answer === undefined ? {} : { 'x-challenge-response': answer },
  })

test('rows that make accounts or mails or try passwords of strangers may ask, and no others', () => {
  const asking = rows.filter(asksPeople).map(rowKey)
  const strangers = rows.filter(({ auth, guards = [] }) => {
    const tries = guards.some((guard) => guard === 'signup' || guard === 'mail' || guard === 'password')
    return auth === 'public' && tries
  })
  expect(asking).toEqual(strangers.map(rowKey))
})

test('far from every limit nobody is asked, and an answer is not looked at', async () => {
  await use(0.1)
  const judged = challenge.judged()
  expect((await ask()).status).toBe(204)
  expect((await ask('whatever')).status).toBe(204)
  expect(challenge.judged()).toBe(judged)
})

test('near a limit a request without a right answer is refused with the key of the challenge', async () => {
  await use(0.6)
  for (const answer of [undefined, '', 'a robot', 'x'.repeat(3_000)]) {
    const refused = await ask(answer)
    expectError(resend, refused, 'challenge_required')
    expect(refused.body.siteKey).toBe('the-key-of-a-widget')
  }
})

test('near a limit the answer of a person passes, once', async () => {
  await use(0.6)
  expect((await ask(`${PERSON}1`)).status).toBe(204)
  expect((await ask(`${PERSON}1`)).status).toBe(403)
})

test('no answer gets anybody beyond the limit', async () => {
  await use(1)
  expect((await ask(`${PERSON}2`)).status).toBe(429)
})

test('an outage of the service keeps nobody out, and leaves a line for the operator', async () => {
  await use(0.6)
  challenge.fail(true)
  expect((await ask(`${PERSON}3`)).status).toBe(204)
  challenge.fail(false)
  expect(app.logs.join()).toContain('an answer to a challenge could not be checked, and was believed')
})

test('pages learn of the challenge from GET /v1/config', async () => {
  const { body } = await app.request('GET', '/v1/config')
  expect(body.challenge).toEqual({ provider: 'turnstile', siteKey: 'the-key-of-a-widget' })
})
