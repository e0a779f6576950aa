// biome-ignore-all lint/suspicious/noTemplateCurlyInString: examples of sources that have them

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import {
  ADDRESS,
  ALWAYS_3DS,
  authenticate,
  buy,
  changeTo,
  mailsTo,
  newBuyer,
  paymentsOf,
  refund,
  shown,
  spendTo,
} from '../support/buyers.ts'
import { createKey } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { type Consumer, consume } from '../support/quota.ts'
import { defaultCard, later, remove, stripeOf } from '../support/stripe.ts'

const app = await startApp()
beforeEach(app.startAfresh)
const { double } = stripeOf(app)
afterEach(() => double.clearFaults())

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const CORE = join(import.meta.dirname, '..', '..', 'core')

describe('every change of the state of auto-renewal tells its owner', () => {
  /** Places in an expression that write one of the attributes: `#renewal = ${…}`, or a removal of `#renewal`. */
  const WRITES =
    /#(renewal|flags|bundle) = \$|REMOVE[^`]*#(renewal|flags|bundle)\b|expr`#(renewal|flags|bundle)`/
  /** A whole profile is written at the registration alone, before there is a bundle. */
  const PROFILE_PUT = /put: \{ ?\.\.\.keys\.profile/

  test('the search finds each way to write the state', () => {
    for (const source of [
      'expr`SET #renewal = ${renewal}`',
      'expr`#updatedAtMs = ${nowMs}, #flags = ${flags}`',
      'expr`SET #a = ${1} REMOVE #openHold, #renewal`',
      'remove: [expr`#renewal`]',
      'expr`#bundle = ${bundle}, #paid = ${true}`',
    ])
      expect(source).toMatch(WRITES)
    expect('expr`#renewed = ${renewed}`').not.toMatch(WRITES)
  })

  test('because one file of core writes it, and makes the messages with it', () => {
    const files = readdirSync(CORE, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.ts'),
    )
    const writers = files.filter((file) => WRITES.test(readFileSync(join(CORE, file), 'utf8')))
    expect(writers).toEqual(['purchases/renewal-state.ts'])
    const registers = files.filter((file) => PROFILE_PUT.test(readFileSync(join(CORE, file), 'utf8')))
    const begin = ['account/import.ts', 'account/register.ts']
    expect(registers.filter((file) => !begin.includes(file))).toEqual([])
  })
})

const check = () => app.job('check-quotas')
const renewalOf = async (person: SignedInPerson) => (await shown(app, person)).renewal
const put = ({ accessToken: token }: SignedInPerson, path: string, json: object) =>
  app.request('PUT', path, { token, json })
const setFlag = (person: SignedInPerson, bundleAutoRenewal: boolean) =>
  put(person, '/v1/user/flags', { bundleAutoRenewal, lowQuotaNotification: true })
const setCap = (person: SignedInPerson, monthlyCap: number | null) =>
  put(person, '/v1/user/renewal', { monthlyCap })
const changeCard = (person: SignedInPerson, paymentMethod = 'pm_card_mastercard') =>
  put(person, '/v1/user/card', { paymentMethod, address: ADDRESS })
const decline = (code: string) =>
  double.addFault({ fault: 'decline', match: 'POST /v1/payment_intents/*/confirm', code })

async function due(options: Parameters<typeof newBuyer>[1] = {}): Promise<Consumer> {
  const person = await newBuyer(app, options)
  await spendTo(app, person, 5)
  return person
}

async function useUp(person: Consumer, times: number, everyMs = MINUTE_MS): Promise<Consumer> {
  let now = person
  for (let time = 0; time < times; time++) {
    await spendTo(app, now, 5)
    await check()
    now = await later(app, now, everyMs)
  }
  return now
}

/** Runs the jobs for some minutes, during which nothing changes. */
async function minutesPass(): Promise<void> {
  for (let minutes = 0; minutes < 3; minutes++) {
    app.advance(MINUTE_MS)
    await app.job('settle-payments')
    await check()
  }
}

/** Texts of the notices about a person, oldest first. */
const notices = async (person: SignedInPerson): Promise<string[]> =>
  (await shown(app, person, '/api/users/current/notifications?limit=100'))
    .map(({ message }: { message: string }) => message)
    .reverse()

const mails = async (person: SignedInPerson) => {
  await mailsTo(app, person)
  return app.stack.mail.messages(person.email)
}

/** What a change says, with the state that the account shows then. */
interface Change {
  state: string
  reason?: string | null
  notice: string
  subject: string
}

/** Expects exactly one notice and one mail with the sentence, both before and after some more minutes. */
async function expectTold(person: SignedInPerson, { state, reason = null, notice, subject }: Change) {
  expect(await renewalOf(person)).toMatchObject({ state, reason })
  await minutesPass()
  const now = { ...person, ...(await app.login(person)) }
  expect((await notices(now)).filter((text) => text.includes(notice))).toHaveLength(1)
  const told = (await mails(now)).filter((mail) => mail.subject === subject)
  expect(told).toHaveLength(1)
  return told[0]!
}

const COULD_NOT = 'We could not renew your STARTER bundle'
const PAUSED = 'Auto-renewal has paused for your STARTER bundle'
const ON_AGAIN = 'Auto-renewal of your STARTER bundle is on again'

describe('once, by a notice and a mail, when auto-renewal', () => {
  test('is on from the sign-up', async () => {
    const person = await newBuyer(app)
    const mail = await expectTold(person, {
      state: 'on',
      notice: 'Payment received: 1,000 units (STARTER) for $0.99. Auto-renewal is on: we renew your STARTER',
      subject: 'Auto-renewal of your STARTER bundle is on',
    })
    expect(mail.text).toContain('/renewal/stop/')
  })

  test('is switched off, and on again', async () => {
    const person = await newBuyer(app)
    await setFlag(person, false)
    const off = await expectTold(person, {
      state: 'off',
      notice: 'Auto-renewal was switched off. No renewal of your STARTER bundle begins from now on.',
      subject: 'Auto-renewal of your STARTER bundle is off',
    })
    expect(off.text).not.toContain('/renewal/stop/')
    await setFlag(person, true)
    await setFlag(person, true)
    expect((await notices(person)).at(-1)).toContain('Auto-renewal was switched on')
    expect((await mails(person)).filter(({ subject }) => subject.endsWith('bundle is on'))).toHaveLength(2)
  })

  test('is declined, pauses after the last try, and is on again with another card', async () => {
    let person = await due()
    decline('insufficient_funds')
    await check()
    await expectTold(person, {
      state: 'retrying',
      reason: 'insufficient_funds',
      notice: 'We will try again in 1, 3 and 7 hours.',
      subject: COULD_NOT,
    })
    for (const hours of [1, 3, 7]) {
      person = await later(app, person, hours * HOUR_MS)
      await check()
    }
    const paused = 'Auto-renewal of your STARTER bundle has paused, because your card has insufficient funds.'
    expect((await notices(person)).filter((text) => text.startsWith(paused))).toHaveLength(1)
    expect((await mails(person)).filter(({ subject }) => subject === COULD_NOT)).toHaveLength(2)
    double.clearFaults()
    await changeCard(person)
    await expectTold(person, { state: 'on', notice: ON_AGAIN, subject: ON_AGAIN })
  })

  test.each([
    ['lost_card', 'lost_or_stolen', 'because your card can no longer be used'],
    ['expired_card', 'card_expired', 'because your card has expired'],
    ['incorrect_cvc', 'wrong_details', 'because your bank refused the details of your card'],
  ])('pauses at once: %s', async (code, reason, notice) => {
    const person = await due()
    decline(code)
    await check()
    const mail = await expectTold(person, { state: 'paused', reason, notice, subject: COULD_NOT })
    expect(mail.text).toContain('Please set another card')
  })

  test('pauses for want of a card, and is on again with one', async () => {
    const person = await newBuyer(app)
    await setFlag(person, false)
    await remove(app, person, (await defaultCard(app, person)) ?? '')
    await double.flushWebhooks()
    await setFlag(person, true)
    await spendTo(app, person, 5)
    await check()
    const notice = 'because your account has no card that we can charge. Please add a card'
    await expectTold(person, { state: 'paused', reason: 'no_card', notice, subject: PAUSED })
    const again = { ...person, ...(await app.login(person)) }
    await changeCard(again)
    await expectTold(again, { state: 'on', notice: ON_AGAIN, subject: ON_AGAIN })
  })

  test('pauses after a refund, and is on again when its owner buys', async () => {
    const person = await newBuyer(app)
    await spendTo(app, person, 1000)
    const [payment] = await paymentsOf(app, person)
    await refund(app, payment!)
    await double.flushWebhooks()
    const notice = 'we do not charge you again for units that went back'
    await expectTold(person, { state: 'paused', reason: 'payment_reversed', notice, subject: PAUSED })
    const now = { ...person, ...(await app.login(person)) }
    expect((await buy(app, now)).status).toBe(201)
    await expectTold(now, { state: 'on', notice: ON_AGAIN, subject: ON_AGAIN })
  })

  test('pauses because units are owed', async () => {
    const person = await newBuyer(app)
    await changeTo(app, person, 'DEVELOPER')
    await changeTo(app, person, 'STARTER')
    const payment = (await paymentsOf(app, person))[1]
    await spendTo(app, person, 500)
    await setFlag(person, false)
    await refund(app, payment!)
    await double.flushWebhooks()
    expect((await changeCard(person)).status).toBe(204)
    await setFlag(person, true)
    await check()
    const notice =
      'units that we took back, such as for a refund or dispute, had already been spent and are owed'
    await expectTold(person, { state: 'paused', reason: 'units_owed', notice, subject: PAUSED })
  })

  test('waits for 3-D Secure, and is on again after it', async () => {
    const person = await due({ card: ALWAYS_3DS })
    await check()
    await expectTold(person, {
      state: 'action_required',
      reason: 'authentication_required',
      notice: 'Your bank asks you to confirm the renewal of your STARTER bundle. Please use the link',
      subject: 'Please confirm the renewal of your STARTER bundle',
    })
    const now = { ...person, ...(await app.login(person)) }
    await buy(app, now)
    await authenticate(app, now)
    const mail = await expectTold(now, {
      state: 'on',
      notice: `We renewed your STARTER bundle: 1,000 units for $0.99. ${ON_AGAIN}.`,
      subject: 'We renewed your STARTER bundle',
    })
    expect(mail.text).toContain(`${ON_AGAIN}.`)
  })

  test('reaches the monthly cap, and is on again with a higher one', async () => {
    const person = await due()
    await setCap(person, 0.98)
    await check()
    const mail = await expectTold(person, {
      state: 'capped',
      reason: 'monthly_cap',
      notice: 'renewals would then cost more than your monthly cap of $0.98',
      subject: 'Auto-renewal of your STARTER bundle reached its monthly cap',
    })
    expect(mail.text).toContain('Renewals go on by themselves at 2026-12-01 00:00 UTC.')
    const now = { ...person, ...(await app.login(person)) }
    await setCap(now, 0.5)
    expect((await renewalOf(now)).state).toBe('capped')
    await setCap(now, 1)
    expect((await notices(now)).at(-1)).toContain('You allowed more renewals')
    await check()
    expect(await paymentsOf(app, now)).toHaveLength(2)
  })
})

describe('a renewal is held back', () => {
  const HELD = 'We held back the renewal of your STARTER bundle'

  test('when it is the fourth within an hour, until the first is an hour old', async () => {
    let person = await newBuyer(app)
    const firstMs = Date.now()
    person = await useUp(person, 4)
    expect(await paymentsOf(app, person)).toHaveLength(4)
    const nextAttemptAt = new Date(firstMs + HOUR_MS).toISOString()
    expect(await renewalOf(person)).toEqual({
      state: 'held_back',
      reason: 'hourly_limit',
      nextAttemptAt,
      monthlyCap: null,
      maxPerHour: 3,
      maxPerDay: 10,
      below: '1%',
      bundle: 'STARTER',
    })
    const mail = await expectTold(person, {
      state: 'held_back',
      reason: 'hourly_limit',
      notice: 'We renewed your STARTER bundle 3 times within an hour and held back the next renewal',
      subject: HELD,
    })
    expect(mail.text).toContain('Charged by auto-renewal in 2026-11: $2.97 for 3 renewals.')
    expect(mail.text).toMatch(/\/renewal\/allow\/[\w-]{54}\n/)
    expect(mail.text).toMatch(/\/renewal\/stop\/[\w-]{54}\n/)
    person = await later(app, person, firstMs + HOUR_MS - Date.now() - 1)
    await check()
    expect(await paymentsOf(app, person)).toHaveLength(4)
    app.advance(1)
    await check()
    expect(await paymentsOf(app, person)).toHaveLength(5)
    expect((await renewalOf(person)).state).toBe('on')
  })

  test('when it is the eleventh within a day', async () => {
    let person = await newBuyer(app)
    const firstMs = Date.now()
    person = await useUp(person, 11, 21 * MINUTE_MS)
    expect(await paymentsOf(app, person)).toHaveLength(11)
    expect(await renewalOf(person)).toMatchObject({
      state: 'held_back',
      reason: 'daily_limit',
      nextAttemptAt: new Date(firstMs + DAY_MS).toISOString(),
    })
    expect((await notices(person)).at(-1)).toContain('10 times within a day')
  })

  test('until a higher limit allows more; a limit that is still reached does not', async () => {
    const person = await useUp(await newBuyer(app), 4)
    // Each hold is mailed while it lasts.
    await mails(person)
    await put(person, '/v1/user/renewal', { maxPerHour: 2 })
    await check()
    expect(await paymentsOf(app, person)).toHaveLength(4)
    await put(person, '/v1/user/renewal', { maxPerHour: 4 })
    expect(await renewalOf(person)).toMatchObject({ state: 'on', maxPerHour: 4 })
    await check()
    expect(await paymentsOf(app, person)).toHaveLength(5)
    await useUp(person, 1)
    expect((await renewalOf(person)).state).toBe('held_back')
    expect((await mails(person)).filter(({ subject }) => subject === HELD)).toHaveLength(2)
  })

  test('and declined renewals do not count, nor what its owner buys', async () => {
    let person = await due()
    decline('insufficient_funds')
    await check()
    double.clearFaults()
    for (let times = 0; times < 3; times++) {
      app.advance(11_000)
      await buy(app, person)
    }
    person = await useUp(person, 3)
    expect((await renewalOf(person)).state).toBe('on')
    await useUp(person, 1)
    expect((await renewalOf(person)).state).toBe('held_back')
  })

  test.each([{ maxPerHour: 1 }, { maxPerDay: 1 }])('after one with %o', async (limit) => {
    const person = await newBuyer(app)
    await put(person, '/v1/user/renewal', limit)
    await useUp(person, 2)
    expect(await paymentsOf(app, person)).toHaveLength(2)
    expect((await notices(person)).at(-1)).toContain('1 time within')
  })
})

test('mails of a renewal say what renewals charged this month, how often, and which keys used the units', async () => {
  let person = await newBuyer(app)
  const { key } = await createKey(app, person, 'batch jobs')
  await consume(app, key, { units: 300 })
  person = await useUp(person, 2)
  const renewed = (await mails(person)).filter(({ subject }) => subject === 'We renewed your STARTER bundle')
  expect(renewed.map(({ text }) => text.match(/Charged by.*|Units used.*/g))).toEqual([
    [
      'Charged by auto-renewal in 2026-11: $0.99 for 1 renewal.',
      expect.stringMatching(
        /^Units used in 2026-11, by application key: “default” .*; “batch jobs” 300 units\.$/,
      ),
    ],
    [
      'Charged by auto-renewal in 2026-11: $1.98 for 2 renewals.',
      expect.stringMatching(
        /^Units used in 2026-11, by application key: “default” .*; “batch jobs” 300 units\.$/,
      ),
    ],
  ])
})
