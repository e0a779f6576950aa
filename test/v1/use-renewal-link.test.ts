import { beforeEach, describe, expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import {
  expectBooksAgree,
  mailsTo,
  newBuyer,
  noticesOf,
  paymentsOf,
  shown,
  spendTo,
} from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { Consumer } from '../support/quota.ts'

const app = await startApp()
// A job works on every account that is due, whichever test made it.
beforeEach(app.startAfresh)

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

const open = (code: unknown) => app.request('POST', '/v1/user/renewal/link', { json: { code } })
const renewalOf = async (person: SignedInPerson) => (await shown(app, person)).renewal

/** The codes of the mailed links of one kind, oldest first. */
async function codes(person: SignedInPerson, act: 'stop' | 'allow'): Promise<string[]> {
  await mailsTo(app, person)
  const link = new RegExp(`https://app\\.bursar\\.example/renewal/${act}/([\\w-]+)`)
  return app.stack.mail.messages(person.email).flatMap(({ text }) => link.exec(text)?.[1] ?? [])
}

/** Uses up the bundle; a minute passes. */
async function useUp(person: Consumer): Promise<void> {
  await spendTo(app, person, 5)
  await app.job('check-quotas')
  app.advance(MINUTE_MS)
}

async function heldBack(): Promise<Consumer> {
  const person = await newBuyer(app)
  for (let times = 0; times < 4; times++) await useUp(person)
  expect((await renewalOf(person)).state).toBe('held_back')
  return person
}

describe('the link to stop', () => {
  test('200: auto-renewal is off without a sign-in, with a notice and a mail, and no renewal begins', async () => {
    const person = await newBuyer(app)
    await useUp(person)
    const [code = ''] = (await codes(person, 'stop')).slice(-1)
    const answer = await open(code)
    expect([answer.status, answer.body]).toEqual([200, { message: 'Auto-renewal is off' }])
    expectContract(v1.useRenewalLink, answer)
    expect((await renewalOf(person)).state).toBe('off')
    expect((await shown(app, person)).flags).toEqual({ bundleAutoRenewal: false, lowQuotaNotification: true })
    expect((await noticesOf(app, person)).at(-1)).toBe('renewal_off')
    expect((await mailsTo(app, person)).at(-1)).toBe('Auto-renewal of your STARTER bundle is off')
    await useUp(person)
    expect(await paymentsOf(app, person)).toHaveLength(2)
    await expectBooksAgree(app, person)
  })

  test('200: again, with the same answer, and nobody is told twice', async () => {
    const person = await newBuyer(app)
    const [code = ''] = await codes(person, 'stop')
    const answers = await Promise.all([open(code), open(code), open(code)])
    expect([...answers, await open(code)].map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect((await noticesOf(app, person)).filter((type) => type === 'renewal_off')).toHaveLength(1)
    expect((await mailsTo(app, person)).filter((subject) => subject.endsWith('is off'))).toHaveLength(1)
  })

  test('200: also if it was switched on again meanwhile', async () => {
    const person = await newBuyer(app)
    const [code] = await codes(person, 'stop')
    await open(code)
    const { accessToken: token } = person
    await app.request('PUT', '/v1/user/flags', { token, json: { bundleAutoRenewal: true } })
    expect((await renewalOf(person)).state).toBe('on')
    await open(code)
    expect((await renewalOf(person)).state).toBe('off')
  })

  test.each(['deactivated', 'suspended'])('200: of a %s account, and its status stays', async (status) => {
    const person = await newBuyer(app)
    const [code] = await codes(person, 'stop')
    const { table } = await app.ports()
    await table.update(keys.profile(person.accountId), expr`SET #status = ${status}`)
    expect((await open(code)).status).toBe(200)
    const profile = await table.get(keys.profile(person.accountId))
    expect([profile?.status, profile?.flags]).toEqual([
      status,
      { bundleAutoRenewal: false, lowQuotaNotification: true },
    ])
  })
})

describe('the link to allow more', () => {
  test('200: the renewal that was held back follows, and as many again as before', async () => {
    const person = await heldBack()
    const [code] = await codes(person, 'allow')
    const answer = await open(code)
    expect([answer.status, answer.body]).toEqual([200, { message: 'Auto-renewal goes on' }])
    expectContract(v1.useRenewalLink, answer)
    expect((await renewalOf(person)).state).toBe('on')
    await app.job('check-quotas')
    for (let times = 0; times < 3; times++) await useUp(person)
    expect(await paymentsOf(app, person)).toHaveLength(7)
    expect((await renewalOf(person)).state).toBe('held_back')
    await expectBooksAgree(app, person)
  })

  test('200: again, it allows nothing more and ends no later hold', async () => {
    const person = await heldBack()
    const [code] = await codes(person, 'allow')
    const both = await Promise.all([open(code), open(code)])
    expect([...both, await open(code)].map(({ body }) => body.message)).toEqual(
      Array.from({ length: 3 }, () => 'Auto-renewal goes on'),
    )
    await app.job('check-quotas')
    for (let times = 0; times < 3; times++) await useUp(person)
    expect((await open(code)).body).toEqual({ message: 'No renewal is held back by this link any more' })
    expect((await renewalOf(person)).state).toBe('held_back')
    const other = (await codes(person, 'allow')).at(-1)
    expect((await open(other)).body.message).toBe('Auto-renewal goes on')
  })
})

describe('400', () => {
  const rubbish = 'A'.repeat(54)

  test('a code that is made up, changed or of no account: one answer, and only the tries are counted', async () => {
    const person = await newBuyer(app)
    const [code = ''] = await codes(person, 'stop')
    app.resetCalls()
    for (const at of [0, 15, 20, 24, 31, 32, 40, 53]) {
      const changed = code.slice(0, at) + (code[at] === 'A' ? 'B' : 'A') + code.slice(at + 1)
      expectError(v1.useRenewalLink, await open(changed), 'invalid_code')
    }
    expectError(v1.useRenewalLink, await open(rubbish), 'invalid_code')
    expect(app.calls().dynamodb).toEqual({ UpdateItem: 9 })
    expect((await renewalOf(person)).state).toBe('on')
  })

  test('a code after 30 days, and not a millisecond before', async () => {
    const person = await newBuyer(app)
    const [code] = await codes(person, 'stop')
    app.advance(30 * DAY_MS)
    expectError(v1.useRenewalLink, await open(code), 'invalid_code')
    app.advance(-1)
    expect((await open(code)).status).toBe(200)
  })

  test.each([undefined, null, 1, '', 'A'.repeat(53), 'A'.repeat(55), `${'A'.repeat(53)}=`, ['A'.repeat(54)]])(
    'the code %j is no code',
    async (code) => {
      expectError(v1.useRenewalLink, await open(code), 'invalid_request')
    },
  )
})
