import { describe, expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import { startApp } from '../support/app.ts'
import { newBuyer, paymentsOf, refund, shown, spendTo } from '../support/buyers.ts'
import { createKey } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { customerId, deliver, newEvent } from '../support/stripe.ts'

const app = await startApp()

const find = (q: string) =>
  app.request('GET', `/ops/read/find?${new URLSearchParams({ query: q })}`, { operator: 'read' })

const found = async (q: string) => {
  const { status, body } = await find(q)
  expect([q, status]).toEqual([q, 200])
  return body
}

/** Refunds the person's payment in Stripe, whose event arrives. */
async function refundAll(person: SignedInPerson): Promise<void> {
  const [payment] = await paymentsOf(app, person)
  const made = await refund(app, payment ?? { id: '' })
  expect((await deliver(app, newEvent('refund.created', made))).status).toBe(200)
}

describe('200', () => {
  test('for every name that a customer may give, with the same account', async () => {
    const person = await newBuyer(app)
    const further = await createKey(app, person, 'further')
    const [payment] = await paymentsOf(app, person)
    const [invoice] = await shown(app, person, '/v1/invoice/list')
    for (const q of [
      person.email,
      person.email.toUpperCase(),
      person.username,
      person.accountId,
      (await customerId(app, person)) ?? '',
      payment?.id ?? '',
      invoice.id,
      `${person.key.slice(0, 8)}...${person.key.slice(-4)}`,
      `${further.key.slice(0, 8)} ${further.key.slice(-4)}`,
    ]) {
      expect([q, (await found(q)).account.id]).toEqual([q, person.accountId])
    }
  })

  test('the page has cards, purchases, units, renewal, mails, notices, sessions and a right ledger', async () => {
    const person = await newBuyer(app)
    await spendTo(app, person, 50)
    await app.job('check-quotas')
    await app.job('send-mail')
    const page = await found(person.email)
    expect(page).toMatchObject({
      account: { standing: 'active', email: person.email, emailVerified: true },
      delivery: { undeliverable: false, reason: null },
      access: { twofa: false, passkeys: [], sessions: [expect.any(Object)] },
      cards: [{ brand: 'visa', last4: '4242', default: true, declined: false }],
      units: { bundle: 'STARTER', left: 50, used: 1050, low: true },
      money: { balance: 0, currency: 'USD', paid: true },
      renewal: { state: 'on', text: expect.stringContaining('STARTER is bought when less than') },
      ledgerCheck: {
        right: true,
        by: 'sums',
        units: { ledger: 1100, counter: 1100 },
        amount: { ledger: 0, balance: 0 },
        waiting: 0,
      },
      purchases: [{ kind: 'signup', state: 'credited', amount: 0.99 }],
      complete: true,
      alike: [],
    })
    expect(page.ledger.map(({ kind }: { kind: string }) => kind)).toEqual(['sale', 'payment', 'trial'])
    expect(page.mails.sent).toContainEqual({
      ...{ template: 'low-quota', event: null, outcome: 'sent', at: expect.any(String) },
    })
    expect(page.notices.map(({ type }: { type: string }) => type)).toContain('low_quota')
  })

  test('a ledger that lacks an entry, or whose units the counter does not have, is not right', async () => {
    const { table } = await app.ports()
    const lacking = await newBuyer(app)
    await table.remove(keys.ledger(lacking.accountId, 2))
    expect((await found(lacking.accountId)).ledgerCheck).toMatchObject({ right: false, by: 'sums' })
    const other = await newBuyer(app)
    const counter = (await table.get(keys.quota(other.accountId))) as Item
    await table.put({ ...counter, l: Number(counter.l) + 1 })
    expect((await found(other.accountId)).ledgerCheck).toMatchObject({
      ...{ right: false, units: { ledger: 1100, counter: 1101 } },
    })
  })

  test('what is due in the account is listed as open work', async () => {
    const person = await newBuyer(app)
    app.stack.mail.addFault({ fault: 'error-before' })
    await app.request('PUT', '/v1/user/password', {
      token: person.accessToken,
      json: { password: 'Other123!', oldPassword: person.password },
    })
    const { openWork, mails } = await found(person.username)
    app.stack.mail.clearFaults()
    expect(openWork).toContainEqual(expect.objectContaining({ kind: 'MAIL', what: 'A mail has to be sent' }))
    expect(mails.queued[0]).toMatchObject({ template: 'security', failures: 0 })
  })

  test('no key, seed, hash, code, password or session id is in the answer', async () => {
    const person = await newBuyer(app)
    await createKey(app, person, 'further')
    await app.request('POST', '/v1/auth/2FA', { token: person.accessToken })
    await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
    await app.job('send-mail')
    const text = JSON.stringify(await found(person.accountId))
    const { table } = await app.ports()
    const profile = (await table.get(keys.profile(person.accountId))) as Item
    const secrets = [
      ...[person.key, person.password, profile.defaultKey, profile.resetCode],
      ...Object.keys(profile.sessions as object),
    ]
    for (const secret of secrets) expect(text).not.toContain(String(secret))
    expect(text).not.toMatch(/"(hash|seed|totp|defaultKey|generation|codeLookup)"/)
  })

  test('it costs one look-up and one Query, and no call to Stripe, whatever the account has', async () => {
    const person = await newBuyer(app)
    for (let at = 0; at < 3; at++) await createKey(app, person, `key ${at}`)
    await app.fixtures.put(noticesOf(person.accountId, 300))
    app.resetCalls()
    const page = await found(person.email)
    const { dynamodb, stripe } = app.calls()
    expect([dynamodb, stripe]).toEqual([{ GetItem: 1, Query: 1 }, {}])
    expect([page.complete, page.notices.length]).toEqual([true, 20])
  })

  test('of an account with more than a thousand items the newest of each kind are read, at a fixed cost', async () => {
    const person = await newBuyer(app)
    await app.fixtures.put(noticesOf(person.accountId, 1100))
    app.resetCalls()
    const page = await found(person.accountId)
    expect(app.calls().dynamodb).toEqual({ Query: 15 })
    expect(page).toMatchObject({
      ...{ complete: false, ledgerCheck: { right: true, by: 'numbers' }, cards: [{ last4: '4242' }] },
    })
    expect(page.notices[0].message).toBe('notice 1099')
  })
})

function noticesOf(accountId: string, count: number): Item[] {
  return Array.from({ length: count }, (_, at) => {
    const createdAtMs = Date.now() + at
    const id = createdAtMs.toString(16).padStart(12, '0') + '0'.repeat(12)
    return { ...keys.notice(accountId, id), id, messageType: 'test', message: `notice ${at}`, createdAtMs }
  })
}

test('two accounts whose keys begin and end alike are both named', async () => {
  const [one, other] = [await newBuyer(app), await newBuyer(app)]
  const { table } = await app.ports()
  const [item] = (await table.list(keys.account(one.accountId), 'LISTED#')) as [Item]
  const alike = { status: 'key:abcdefgh...wxyz' }
  for (const { accountId } of [one, other])
    await table.put({ ...item, pk: `APIKEY#${accountId}`, sk: '#KEY', ...alike, id: accountId })
  const page = await found('abcdefgh...wxyz')
  expect([page.account.id, ...page.alike].sort()).toEqual([one.accountId, other.accountId].sort())
})

test('after a refund of spent units the page shows what is owed', async () => {
  const person = await newBuyer(app)
  await spendTo(app, person, 0)
  await refundAll(person)
  expect(await found(person.accountId)).toMatchObject({
    units: { owed: 1000 },
    renewal: { state: 'paused', text: expect.stringContaining('paused') },
    ledgerCheck: { right: true },
  })
})

test.each([
  'nobody@mail.example',
  'nobody',
  '6'.repeat(24),
  '0'.repeat(24),
  'cus_unknown',
  'pi_unknown',
  '12345678...abcd',
])('404: %s', async (q) => {
  expect((await find(q)).status).toBe(404)
})

test.each([
  '3f2a91bc-0000-4000-8000-0000000077d0',
  `bsr_${'a'.repeat(64)}_1_${'b'.repeat(24)}_${'c'.repeat(16)}`,
])('400: a whole key, which would be in logs (%s)', async (q) => {
  const { status, body } = await find(q)
  expect([status, body.errors?.[0]?.message ?? body.detail]).toEqual([
    400,
    expect.stringContaining('first 8'),
  ])
})
