import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Profile, parseProfile } from '../../core/account/account.ts'
import { emailKey, usernameKey } from '../../core/account/fields.ts'
import { sweepUnconfirmed } from '../../core/account/unconfirmed.ts'
import { SWEEP_HOLDS_MS } from '../../core/credentials/first-password.ts'
import { defaultKeyLookup } from '../../core/keys/default-key.ts'
import { expr } from '../../core/table/expression.ts'
import { CORE_PREFIX, dueAt, dueShards, keys } from '../../core/table/keys.ts'
import { WHOLE_RUN } from '../machine/faults.ts'
import { startApp } from '../support/app.ts'
import { buy, newBuyer, paymentsOf, refund } from '../support/buyers.ts'
import { resetCode } from '../support/credentials.ts'
import { operate } from '../support/operated.ts'
import { newPerson, type Person, type SignedInPerson } from '../support/people.ts'
import { accountIdOf } from '../support/state.ts'
import {
  atStripe,
  cardOnFile,
  customerId,
  defaultCard,
  expectNothingHeld,
  expectSameAsStripe,
  listed,
  newCard,
  openHolds,
  remove,
  stripeOf,
  verify,
} from '../support/stripe.ts'

const app = await startApp()
beforeEach(app.startAfresh)
const { double, dashboard } = stripeOf(app)
afterEach(() => {
  double.clearFaults()
  app.stack.dynamo.clearFaults()
})

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

const sweep = () => app.job('sweep')

/** A registration that nobody has confirmed. */
async function unconfirmed(person: Person = newPerson()) {
  await app.register(person)
  const { table } = await app.ports()
  const item = await table.get(keys.profile(await accountIdOf(app, person.username)))
  return { person, profile: parseProfile(item ?? {}) }
}

/** The parts of a registration that are left in the table and at the vault. */
async function remains(profile: Profile): Promise<string[]> {
  const { table } = await app.ports()
  const guards = {
    username: keys.usernameGuard(usernameKey(profile.username)),
    email: keys.emailGuard(emailKey(profile.email)),
    key: defaultKeyLookup(profile),
  }
  const account = await table.list(keys.account(profile.id), CORE_PREFIX)
  const standing = await Promise.all(
    Object.entries(guards).map(async ([name, key]) => ((await table.get(key)) ? [name] : [])),
  )
  const inVault = app.stack.cognito.users().includes(profile.id)
  return [...(account.length > 0 ? ['account'] : []), ...standing.flat(), ...(inVault ? ['vault'] : [])]
}

const EVERYTHING = ['account', 'username', 'email', 'key']
const WEEK_MS = 7 * 24 * HOUR_MS

test('an account that nobody confirms for a week is removed completely, and its names are free', async () => {
  const { person, profile } = await unconfirmed()
  app.advance(WEEK_MS - 1)
  expect(await sweep()).toMatchObject({ registrationsCleared: 0 })
  expect(await remains(profile)).toEqual(EVERYTHING)
  app.advance(1)
  expect(await sweep()).toMatchObject({ registrationsCleared: 1 })
  expect(await sweep()).toMatchObject({ registrationsCleared: 0 })
  expect(await remains(profile)).toEqual([])
  expect((await app.register({ ...person, password: 'Another123!' })).status).toBe(201)
})

test('an account that was confirmed in time is untouched', async () => {
  const { person, profile } = await unconfirmed()
  app.advance(HOUR_MS)
  await app.confirm(person)
  app.advance(WEEK_MS)
  expect(await sweep()).toMatchObject({ registrationsCleared: 0 })
  expect(await remains(profile)).toEqual([...EVERYTHING, 'vault'])
  await app.login(person)
})

test('a user of the vault goes, too, that an earlier version had made at registration', async () => {
  const { person, profile } = await unconfirmed()
  app.stack.cognito.addUser(profile.id, person.password)
  app.advance(WEEK_MS)
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems', times: 2 })
  expect(await sweep()).toMatchObject({ registrationsCleared: 0, registrationsFailed: 1 })
  expect(await remains(profile)).toEqual(EVERYTHING)
  expect(await sweep()).toMatchObject({ registrationsCleared: 1 })
  expect(await remains(profile)).toEqual([])
})

describe('a password that still waits after a week, because the vault failed at the confirmation', () => {
  const waiting = async (password = newPerson().password) => {
    const { person, profile } = await unconfirmed(newPerson({ password }))
    app.stack.cognito.addFault({ fault: 'error-before', match: 'AdminCreateUser' })
    expect((await app.confirm(person)).status).toBe(200)
    app.stack.cognito.clearFaults()
    app.advance(WEEK_MS)
    const stored = async () => JSON.stringify(await (await app.ports()).table.get(keys.profile(profile.id)))
    expect(await stored()).toContain('registeredPassword')
    return { person, profile, stored }
  }

  test('goes to the vault', async () => {
    const { person, profile, stored } = await waiting()
    expect(await sweep()).toMatchObject({ registrationsCleared: 0, registrationsFailed: 0 })
    expect(app.stack.cognito.users()).toContain(profile.id)
    expect(await stored()).not.toMatch(/registeredPassword|unenrolled|"due/)
    await app.login(person)
  })

  test('stays while the vault fails, and goes there with a later sweep', async () => {
    const { person } = await waiting()
    app.stack.cognito.addFault({ fault: 'error-before', match: 'AdminCreateUser' })
    expect(await sweep()).toMatchObject({ registrationsFailed: 1 })
    app.stack.cognito.clearFaults()
    // Until then the first sweep may still be at the vault.
    app.advance(SWEEP_HOLDS_MS)
    expect(await sweep()).toMatchObject({ registrationsFailed: 0 })
    await app.login(person)
  })

  test('is forgotten if the vault refuses it, and its owner sets another by mail', async () => {
    app.stack.cognito.refusePassword('Refused-later1!')
    const { person, stored } = await waiting('Refused-later1!')
    await sweep()
    expect(await stored()).not.toMatch(/registeredPassword|"due/)
    const set = { code: await resetCode(app, person.email), password: 'Another123!' }
    expect((await app.request('PUT', '/v1/user/resetPassword', { json: set })).status).toBe(204)
    await app.login({ ...person, password: set.password })
  })

  test('is forgotten after a restore, because it may not be the newest', async () => {
    const { person, profile, stored } = await waiting()
    const ports = { ...(await app.ports()), sessionsSinceMs: Date.now() }
    expect(await sweepUnconfirmed(ports, WHOLE_RUN)).toMatchObject({ failed: 0 })
    expect(await stored()).not.toMatch(/registeredPassword|"due/)
    expect(app.stack.cognito.users()).not.toContain(profile.id)
    const set = { code: await resetCode(app, person.email), password: 'Another123!' }
    expect((await app.request('PUT', '/v1/user/resetPassword', { json: set })).status).toBe(204)
    await app.login({ ...person, password: set.password })
  })

  test('is due again once its account, which was closed, is open', async () => {
    const { person, profile, stored } = await waiting()
    for (const action of ['close', 'reopen']) {
      const { status } = await operate(app, profile.id, action)
      expect([action, status < 300]).toEqual([action, true])
    }
    await sweep()
    expect(await stored()).not.toMatch(/registeredPassword|"due/)
    await app.login(person)
  })

  test('is not looked for in an account that has become due for its erasure', async () => {
    const { person, profile, stored } = await waiting()
    const { table } = await app.ports()
    const { due, dueAtMs } = dueAt('ERASE', profile.id, Date.now() + WEEK_MS)
    await table.update(keys.profile(profile.id), expr`SET #due = ${due}, #dueAtMs = ${dueAtMs}`)
    await app.login(person)
    expect(await stored()).not.toContain('registeredPassword')
    expect(await table.get(keys.profile(profile.id))).toMatchObject({ due, dueAtMs })
  })
})

test('two concurrent sweeps remove an account that nobody confirmed, and neither fails', async () => {
  const { profile } = await unconfirmed()
  app.advance(WEEK_MS)
  await Promise.all([sweep(), sweep()])
  expect(await remains(profile)).toEqual([])
})

test('an account that was confirmed after the index was read is untouched and not counted', async () => {
  const { person, profile } = await unconfirmed()
  const { table, ...ports } = await app.ports()
  const late: typeof table = {
    ...table,
    due: async (kind, nowMs, limit) => {
      const due = await table.due(kind, nowMs + WEEK_MS, limit)
      await app.confirm(person)
      return due
    },
  }
  const cleared = await sweepUnconfirmed({ ...ports, table: late }, WHOLE_RUN)
  expect(await remains(profile)).toEqual([...EVERYTHING, 'vault'])
  expect(cleared).toEqual({ done: 0, failed: 0 })
})

test('unconfirmed accounts in every shard are removed, and confirmed ones are not', async () => {
  const confirmed = await app.signUp()
  const people = []
  const shards = new Set<string>()
  while (shards.size < dueShards('PENDING').length) {
    const { profile } = await unconfirmed()
    const item = await (await app.ports()).table.get(keys.profile(profile.id))
    shards.add(String(item?.due))
    people.push(profile)
  }
  app.advance(WEEK_MS)
  expect(await sweep()).toMatchObject({ registrationsCleared: people.length })
  expect(await Promise.all(people.map(remains))).toEqual(people.map(() => []))
  await app.login(confirmed)
})

describe('abandoned holds', () => {
  const CONFIRM = 'POST /v1/payment_intents/*/confirm'

  /** Verifications that were interrupted in every way that leaves a hold. */
  async function leftBehind() {
    const good = () => newCard(app, '4242424242424242')
    const [created, saved, held, proved] = [
      await app.signUp(),
      await app.signUp(),
      await app.signUp(),
      await app.signUp(),
    ]
    double.addFault({ fault: 'drop-webhooks' })
    double.addFault({ fault: 'torn-body', match: 'POST /v1/payment_intents$', times: 1 })
    expect((await verify(app, created, await good())).status).toBe(503)
    double.addFault({ fault: '500', match: CONFIRM })
    expect((await verify(app, saved, await good())).status).toBe(202)
    double.clearFaults()
    double.addFault({ fault: 'drop-webhooks' })
    double.addFault({ fault: 'torn-body', match: CONFIRM, times: 1 })
    expect((await verify(app, held, await good())).status).toBe(202)
    double.addFault({ fault: '500', match: 'POST /v1/payment_intents/*/cancel', times: 1 })
    expect((await verify(app, proved, await good())).status).toBe(200)
    double.clearFaults()
    return { unproved: [created, saved], proved: [held, proved] }
  }

  test('are ended according to Stripe, and counted', async () => {
    const { unproved, proved } = await leftBehind()
    app.advance(MINUTE_MS)
    expect(await sweep()).toMatchObject({ holdsEnded: 4 })
    for (const person of [...unproved, ...proved]) {
      await expectNothingHeld(app, person)
      await expectSameAsStripe(app, person)
      expect(await listed(app, person)).toHaveLength(proved.includes(person) ? 1 : 0)
    }
    expect(await sweep()).toMatchObject({ holdsEnded: 0 })
  })

  test('are not ended in their first minute, when their own request may be in progress', async () => {
    const { unproved, proved } = await leftBehind()
    app.advance(MINUTE_MS - 1)
    expect(await sweep()).toMatchObject({ holdsEnded: 0 })
    for (const person of [...unproved, ...proved]) expect(await openHolds(app, person)).toHaveLength(1)
    app.advance(1)
    expect(await sweep()).toMatchObject({ holdsEnded: 4 })
  })

  test('a hold that Stripe cannot show stays for a later sweep, and does not delay the others', async () => {
    const person = await app.signUp()
    double.addFault({ fault: 'torn-body', match: CONFIRM, times: 1 })
    await verify(app, person, 'pm_card_visa')
    const [stuck] = (await atStripe(app, person)).intents
    const other = await app.signUp()
    double.addFault({ fault: 'torn-body', match: CONFIRM, times: 1 })
    await verify(app, other, 'pm_card_visa')
    app.advance(MINUTE_MS)
    double.addFault({ fault: '500', match: `GET /v1/payment_intents/${stuck?.id}` })
    expect(await sweep()).toMatchObject({ holdsEnded: 1 })
    await expectNothingHeld(app, other)
    expect(await openHolds(app, person)).toHaveLength(1)
    double.clearFaults()
    app.advance(MINUTE_MS)
    expect(await sweep()).toMatchObject({ holdsEnded: 1 })
    await expectNothingHeld(app, person)
  })

  test('two concurrent sweeps end them once, and neither fails', async () => {
    const { unproved, proved } = await leftBehind()
    app.advance(MINUTE_MS)
    await Promise.all([sweep(), sweep()])
    for (const person of [...unproved, ...proved]) {
      await expectNothingHeld(app, person)
      await expectSameAsStripe(app, person)
    }
  })

  test('a verification whose card could not become the default ends when that card is detached', async () => {
    const person = await app.signUp()
    double.addFault({ fault: '500', match: 'POST /v1/payment_intents/*/cancel', times: 1 })
    await verify(app, person, await newCard(app, '4242424242424242'))
    const [card = ''] = await listed(app, person)
    await dashboard.paymentMethods.detach(card)
    app.advance(MINUTE_MS)
    expect(await sweep()).toMatchObject({ holdsEnded: 1 })
    await double.flushWebhooks()
    await expectNothingHeld(app, person)
    await expectSameAsStripe(app, person)
  })
})

describe('interrupted removals', () => {
  test('are finished, and counted', async () => {
    const person = await app.signUp()
    const first = await cardOnFile(app, person)
    const second = await cardOnFile(app, person, 'pm_card_discover')
    double.addFault({ fault: '500' })
    expect((await remove(app, person, first)).status).toBe(204)
    double.clearFaults()
    expect((await atStripe(app, person)).cards).toContain(first)
    app.advance(MINUTE_MS)
    expect(await sweep()).toMatchObject({ removalsFinished: 1 })
    expect((await atStripe(app, person)).cards).toEqual([second])
    expect(await defaultCard(app, person)).toBe(second)
    await expectSameAsStripe(app, person)
    expect(await sweep()).toMatchObject({ removalsFinished: 0 })
  })
})

describe('cards that expire', () => {
  interface Notice {
    messageType: string
    message: string
  }

  /** Signs the person in. @returns the notices, oldest first. */
  async function notices(person: SignedInPerson): Promise<string[]> {
    const { accessToken: token } = await app.login(person)
    const { body } = await app.request('GET', '/api/users/current/notifications', { token })
    return body.map(({ messageType, message }: Notice) => `${messageType}: ${message}`).reverse()
  }

  /** The expiry fields for the month `months` months from now. */
  function monthsAhead(months: number): { exp_month: number; exp_year: number } {
    const now = new Date()
    const then = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months))
    return { exp_month: then.getUTCMonth() + 1, exp_year: then.getUTCFullYear() }
  }

  /** Moves the clock to the start of the month `months` months from now, minus `beforeMs`. */
  function toMonth(months: number, beforeMs = 0): void {
    const { exp_year: year, exp_month: month } = monthsAhead(months)
    app.advance(Date.UTC(year, month - 1) - Date.now() - beforeMs)
  }

  async function withCard(months: number): Promise<{ person: SignedInPerson; card: string }> {
    const person = await app.signUp()
    const card = await newCard(app, '4242424242424242', {}, monthsAhead(months))
    await cardOnFile(app, person, card)
    return { person, card }
  }

  const EXPIRING =
    'card_expiring: Your card (visa ending in 4242) expires this month. Please add another one in time.'
  const EXPIRED = 'card_expired: Your card (visa ending in 4242) has expired. Please add another one.'

  test('give one notice when their last month begins and one when they have expired', async () => {
    const { person } = await withCard(1)
    await sweep()
    expect(await notices(person)).toEqual([])
    toMonth(1, 1)
    await sweep()
    expect(await notices(person)).toEqual([])
    app.advance(1)
    expect(await sweep()).toMatchObject({ expiryNotices: 1 })
    expect(await notices(person)).toEqual([EXPIRING])
    expect(await sweep()).toMatchObject({ expiryNotices: 0 })
    toMonth(1, 1)
    await sweep()
    expect(await notices(person)).toEqual([EXPIRING])
    app.advance(1)
    expect(await sweep()).toMatchObject({ expiryNotices: 1 })
    toMonth(1)
    expect(await sweep()).toMatchObject({ expiryNotices: 0 })
    expect(await notices(person)).toEqual([EXPIRING, EXPIRED])
  })

  test('give the notice at once if they come on file in their last month', async () => {
    const { person } = await withCard(0)
    expect(await sweep()).toMatchObject({ expiryNotices: 1 })
    expect(await notices(person)).toEqual([EXPIRING])
  })

  test('give only the second notice if no sweep ran in their last month', async () => {
    const { person } = await withCard(0)
    toMonth(1)
    await sweep()
    await sweep()
    expect(await notices(person)).toEqual([EXPIRED])
  })

  test('give one notice from two concurrent sweeps', async () => {
    const { person } = await withCard(0)
    await Promise.all([sweep(), sweep(), sweep()])
    expect(await notices(person)).toEqual([EXPIRING])
  })

  test('give no notice before the new date if the bank has renewed the card meanwhile', async () => {
    const { person, card } = await withCard(1)
    const { exp_month, exp_year } = monthsAhead(3)
    await dashboard.paymentMethods.update(card, { card: { exp_month, exp_year } })
    await double.flushWebhooks()
    toMonth(2)
    await sweep()
    expect(await notices(person)).toEqual([])
    toMonth(1)
    await sweep()
    expect(await notices(person)).toEqual([EXPIRING])
  })

  test('do not repeat the notice after an event about the card', async () => {
    const { person, card } = await withCard(0)
    await sweep()
    await dashboard.paymentMethods.update(card, { metadata: { note: 'seen' } })
    await double.flushWebhooks()
    expect(await sweep()).toMatchObject({ expiryNotices: 0 })
    expect(await notices(person)).toEqual([EXPIRING])
  })

  test('give no notice after their removal', async () => {
    const { person, card } = await withCard(1)
    expect((await remove(app, person, card)).status).toBe(204)
    toMonth(1)
    await sweep()
    expect(await notices(person)).toEqual([])
  })

  test('need no call to Stripe', async () => {
    await withCard(0)
    app.resetCalls()
    expect(await sweep()).toMatchObject({ expiryNotices: 1 })
    const lists = ['events', 'payment_intents', 'refunds', 'disputes', 'radar/early_fraud_warnings'].map(
      (list) => `GET /v1/${list}`,
    )
    const others = Object.keys(app.calls().stripe).filter((call) => !lists.includes(call))
    expect(others).toEqual([])
  })
})

describe('events of Stripe that never arrived', () => {
  test('cards attached, changed and detached meanwhile are as Stripe has them after the sweep', async () => {
    const person = await app.signUp()
    const first = await cardOnFile(app, person)
    const second = await cardOnFile(app, person, 'pm_card_discover')
    const customer = (await customerId(app, person)) ?? ''
    double.addFault({ fault: 'drop-webhooks' })
    const third = await newCard(app, '5555555555554444')
    await dashboard.paymentMethods.attach(third, { customer })
    await dashboard.paymentMethods.detach(second)
    await dashboard.customers.update(customer, { invoice_settings: { default_payment_method: third } })
    double.clearFaults()
    app.advance(10 * MINUTE_MS)
    await sweep()
    expect(await listed(app, person)).toEqual(expect.arrayContaining([first, third]))
    await expectSameAsStripe(app, person)
  })
})

describe('payments compared with the ledger', () => {
  const TEN_MINUTES_MS = 10 * MINUTE_MS
  const alarms = async (): Promise<string[]> => (await sweep()).alarms

  /** Makes a payment as the operator does in the Dashboard. */
  async function byHand(metadata: Record<string, string>, customer?: string) {
    const payment = await dashboard.paymentIntents.create({
      amount: 99,
      currency: 'usd',
      confirm: true,
      payment_method: 'pm_card_visa',
      ...(customer !== undefined && { customer }),
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
      metadata,
    })
    return payment.id
  }

  test('raise no alarm if they agree: credited, declined, abandoned, refunded, disputed, held', async () => {
    await sweep()
    const person = await newBuyer(app)
    await buy(app, person)
    await refund(app, (await paymentsOf(app, person))[0] ?? { id: '' }, 50)
    await newBuyer(app, { card: '4000000000000259' })
    const other = await newBuyer(app)
    double.addFault({ fault: 'decline', match: 'POST /v1/payment_intents/*/confirm', times: 1 })
    expect((await buy(app, other)).status).toBe(402)
    app.advance(MINUTE_MS)
    double.addFault({ fault: '500', match: 'POST /v1/payment_intents/*/confirm' })
    expect((await buy(app, other)).status).toBe(202)
    double.clearFaults()
    await cardOnFile(app, other)
    app.advance(MINUTE_MS)
    await app.job('settle-payments')
    app.advance(TEN_MINUTES_MS)
    const done = await sweep()
    expect(done.alarms).toEqual([])
    expect(done.paymentsCompared).toBeGreaterThanOrEqual(7)
    expect((await sweep()).paymentsCompared).toBeLessThanOrEqual(done.paymentsCompared)
  })

  test('raise an alarm, a separate log line, for money without a purchase', async () => {
    const person = await newBuyer(app)
    const purchase = 'f'.repeat(24)
    const id = await byHand({ account: person.accountId, purchase })
    app.advance(TEN_MINUTES_MS)
    app.logs.length = 0
    expect(await alarms()).toEqual([
      `payment ${id}: charged, but no purchase is recorded; refund it in Stripe`,
    ])
    const lines = app.logs.map((line) => JSON.parse(line)).filter(({ level }) => level === 'alarm')
    expect(lines).toEqual([{ level: 'alarm', job: expect.any(String), alarm: expect.stringContaining(id) }])
    app.advance(TEN_MINUTES_MS)
    expect(await alarms()).toEqual([])
  })

  test('raise an alarm for a second charge of a purchase, and for a charge of another amount', async () => {
    const person = await newBuyer(app)
    const [payment] = await paymentsOf(app, person)
    const twice = await byHand({ ...payment?.metadata })
    const { table } = await app.ports()
    const key = keys.purchase(person.accountId, String(payment?.metadata.purchase))
    app.advance(TEN_MINUTES_MS)
    expect(await alarms()).toEqual([`payment ${twice}: charged, but not credited; refund it in Stripe`])
    const other = await newBuyer(app)
    const [paid] = await paymentsOf(app, other)
    const theirs = keys.purchase(other.accountId, String(paid?.metadata.purchase))
    await table.update(theirs, expr`SET #amountCents = ${1}`)
    app.advance(TEN_MINUTES_MS)
    expect(await alarms()).toEqual([
      `payment ${paid?.id}: differs from its purchase; compare amount, currency, customer and metadata`,
    ])
    expect((await table.get(key))?.state).toBe('credited')
  })

  test('are canceled if Bursar never learned their id, so that they cannot take money later', async () => {
    const person = await newBuyer(app)
    const [bought] = (await dashboard.paymentIntents.list({ limit: 100 })).data.filter(
      ({ metadata }) => metadata.account === person.accountId && metadata.purchase?.length === 24,
    )
    const { id } = await dashboard.paymentIntents.create({
      amount: 99,
      currency: 'usd',
      customer: String(bought?.customer),
      payment_method: String(bought?.payment_method),
      metadata: { ...bought?.metadata },
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
    })
    app.advance(TEN_MINUTES_MS)
    expect(await alarms()).toEqual([])
    expect((await dashboard.paymentIntents.retrieve(id)).status).toBe('canceled')
  })

  test('are ignored if they belong to other applications in the same Stripe account', async () => {
    await byHand({})
    await byHand({ order: '1', purchase: 'x' })
    app.advance(TEN_MINUTES_MS)
    expect(await alarms()).toEqual([])
  })

  test('are compared by the next run if they may still be in progress, and none is left out', async () => {
    const person = await newBuyer(app)
    app.advance(TEN_MINUTES_MS)
    await sweep()
    const id = await byHand({ account: person.accountId, purchase: 'e'.repeat(24) })
    app.advance(TEN_MINUTES_MS - 1)
    expect(await alarms()).toEqual([])
    app.advance(1000)
    expect(await alarms()).toHaveLength(1)
    expect(id).toMatch(/^pi_/)
  })

  test('are compared by the next run if Stripe did not answer', async () => {
    const person = await newBuyer(app)
    await byHand({ account: person.accountId, purchase: 'd'.repeat(24) })
    app.advance(TEN_MINUTES_MS)
    double.addFault({ fault: '500', match: 'GET /v1/payment_intents$' })
    await expect(sweep()).rejects.toThrow()
    double.clearFaults()
    app.advance(TEN_MINUTES_MS)
    expect(await alarms()).toHaveLength(1)
  })
})
