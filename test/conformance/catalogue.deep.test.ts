import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { MailValues } from '../../core/notifications/mails.ts'
import type { Catalogue } from '../../core/plans/plan.ts'
import { applyPlans } from '../../core/plans/versions.ts'
import type { Ports } from '../../core/ports.ts'
import { type CatalogueData, openCatalogue } from '../../core/purchases/open-catalogue.ts'
import { renewalStatus } from '../../core/purchases/renewal.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { fromBundles } from '../bundles/module-of.ts'
import {
  ALWAYS_3DS,
  DAY_MS,
  GOOD,
  MINUTE_MS,
  OTHER,
  openPurchaseWorld,
  type PurchaseWorld,
} from '../machine/purchase-world.ts'
import { startApp } from '../support/app.ts'
import {
  authenticate,
  buy,
  changeTo,
  expectBooksAgree,
  expectNothingOpen,
  ledgerOf,
  mailsTo,
  newBuyer,
  noticesOf,
  paymentsOf,
  refund,
  shown,
  signUpFor,
  spendTo,
  unitsLeft,
  waitingPayment,
} from '../support/buyers.ts'
import { defaultKey } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { atStripe, newCard, stripeOf, verify } from '../support/stripe.ts'
import { expectContract, expectError } from './contract.ts'

type Entries = Record<string, { units: number; priceCents: number }>

const plansOf = (bundles: Entries, currency: string): CatalogueData<string>['plans'] =>
  Object.entries(bundles).map(([name, { units, priceCents }]) => ({
    name,
    units,
    prices: { [currency]: priceCents },
  }))

/** The catalogue that the operator has deployed now; the real one until a test sets another. */
const operator = vi.hoisted(() => ({ deployed: undefined as object | undefined }))
vi.mock('../../core/purchases/catalogue.ts', async (load) => {
  const real = await load<object>()
  // The names are read at each use, so that a test can deploy another catalogue.
  return Object.defineProperties(
    {},
    Object.fromEntries(
      Object.keys(real).map((name) => [
        name,
        { enumerable: true, get: () => Reflect.get(operator.deployed ?? real, name) },
      ]),
    ),
  )
})

/** Deploys a catalogue, as an edit of core/purchases/catalogue.ts does. */
const deploy = (bundles: Entries, currency = 'USD') => {
  operator.deployed = openCatalogue({ currency, trialUnits: 100, plans: plansOf(bundles, currency) })
}

/** Makes an account one that took its bundle before terms were stored. */
const forgetTerms = ({ table }: Pick<Ports, 'table'>, accountId: string) =>
  table.update(keys.profile(accountId), expr`REMOVE #plan`)

/** A buyer whose bundle the deployed file no longer has, and who has no stored terms of it. */
async function newOldBuyer(options: Parameters<typeof newBuyer>[1] = {}) {
  const person = await newBuyer(app, options)
  await forgetTerms(await app.ports(), person.accountId)
  return person
}

const STARTER = { units: 1_000, priceCents: 99 }
const DEVELOPER = { units: 100_000, priceCents: 999 }

const app = await startApp()
beforeEach(app.startAfresh)
afterEach(() => {
  operator.deployed = undefined
})
const { double } = stripeOf(app)

const setCap = ({ accessToken: token }: SignedInPerson, monthlyCap: number) =>
  app.request('PUT', '/v1/user/renewal', { token, json: { monthlyCap } })
const minuteLater = async () => {
  app.advance(MINUTE_MS)
  await app.job('settle-payments')
  return app.job('check-quotas')
}

// A test cannot replace the catalogue inside a built bundle.
describe.skipIf(fromBundles).each([
  { currency: 'EUR', priceCents: 499, price: 4.99, text: '€4.99', hold: 100, part: 100, tooFine: 4.999 },
  { currency: 'JPY', priceCents: 150, price: 150, text: '¥150', hold: 100, part: 30, tooFine: 149.5 },
  {
    currency: 'KWD',
    priceCents: 1_500,
    price: 1.5,
    text: 'KWD\u00a01.500',
    hold: 1_000,
    part: 300,
    tooFine: 1.0005,
  },
])('a catalogue in $currency', ({ currency, priceCents, price, text, hold, part, tooFine }) => {
  const amountsAtStripe = async (person: Parameters<typeof atStripe>[1]) =>
    (await atStripe(app, person)).intents.map((intent) => [intent.amount, intent.currency]).reverse()
  const lower = currency.toLowerCase()

  test('a purchase, a renewal, a refund, invoices, the statement and mails are in it', async () => {
    deploy({ STARTER: { units: 1_000, priceCents } }, currency)
    const signedUp = await app.signUp()
    expect((await verify(app, signedUp, 'pm_card_visa')).status).toBe(200)
    expect((await signUpFor(app, signedUp, 'STARTER', 'pm_card_visa')).status).toBe(204)
    await double.flushWebhooks()
    const person = { ...signedUp, key: await defaultKey(app, signedUp) }
    expect(await amountsAtStripe(person)).toEqual([
      [hold, lower],
      [priceCents, lower],
    ])
    expect((await shown(app, person)).bundle).toEqual({ name: 'STARTER', quota: 1_100, price })

    expectError(v1.setRenewal, await setCap(person, tooFine), 'invalid_request')
    expect((await setCap(person, price)).status).toBe(204)
    expect((await shown(app, person)).renewal.monthlyCap).toBe(price)
    await spendTo(app, person, 5)
    app.advance(MINUTE_MS)
    expect(await app.job('check-quotas')).toMatchObject({ renewed: 1, failed: 0 })
    await double.flushWebhooks()
    expect((await amountsAtStripe(person)).at(-1)).toEqual([priceCents, lower])
    await app.job('send-mail')
    const mails = app.stack.mail.messages(person.email).map((mail) => mail.text)
    expect(mails.join()).toContain(`We renewed your STARTER bundle for ${text}.`)

    const [first] = await paymentsOf(app, person)
    await refund(app, first!, part)
    await double.flushWebhooks()
    expect(await unitsLeft(app, person)).toBe(1_005 - Math.floor((1_000 * part) / priceCents))
    const notices: { message: string }[] = await shown(app, person, '/api/users/current/notifications')
    expect(notices.map(({ message }) => message).join('\n')).toMatch(
      /^We refunded \D+[\d.]+ of your STARTER payment\. We took back \d+ units\.$/m,
    )
    const invoices = await shown(app, person, '/v1/invoice/list')
    expect(invoices).toMatchObject([
      { amount: price, currency, state: 'paid' },
      { amount: price, currency, state: 'partially_refunded' },
    ])
    expect(await shown(app, person, `/v1/invoice/${invoices[0].id}`)).toMatchObject({
      amount: price,
      currency,
    })
    expect((await ledgerOf(app, person)).map((entry) => entry.currency)).toEqual(
      Array((await ledgerOf(app, person)).length).fill(currency),
    )
    await expectBooksAgree(app, person)
    app.advance(11 * MINUTE_MS)
    expect((await app.job('sweep')).alarms).toEqual([])

    await spendTo(app, person, 0)
    expect(await minuteLater()).toMatchObject({ renewed: 0 })
    expect((await shown(app, person)).renewal.state).toBe('capped')
  })
})

describe.skipIf(fromBundles)('another currency', () => {
  test('leaves the purchase and the hold that are open in the currency in which they began', async () => {
    const person = await app.signUp()
    const waiting = await newCard(app, ALWAYS_3DS)
    expect((await verify(app, person, waiting)).status).toBe(402)
    deploy({ STARTER: { units: 5, priceCents: 150 } }, 'JPY')
    await authenticate(app, person)
    expect((await atStripe(app, person)).cards).toEqual([waiting])
    operator.deployed = undefined
    expect((await signUpFor(app, person, 'STARTER', await newCard(app, ALWAYS_3DS))).status).toBe(402)
    deploy({ STARTER: { units: 5, priceCents: 150 } }, 'JPY')
    await authenticate(app, person)
    expect(await unitsLeft(app, person)).toBe(1_100)
    expect(await shown(app, person, '/v1/invoice/list')).toMatchObject([{ amount: 0.99, currency: 'USD' }])
    await expectNothingOpen(app, person)
  })
})

/**
 * A buyer of STARTER in a world of its own, without stored terms, whose bundle was then changed in the file or removed
 * from it.
 */
async function worldOf(bundles: Entries, { left = 5, card = GOOD } = {}): Promise<PurchaseWorld> {
  const world = await openPurchaseWorld()
  await world.signUp(await world.newCard(card))
  world.authenticate()
  await world.deliver()
  world.advance(MINUTE_MS)
  await forgetTerms(world.ports, world.accountId)
  deploy(bundles)
  await world.consumeTo(left)
  return world
}

const charged = (world: PurchaseWorld): number[] => world.charges().map(({ amount }) => amount)
const leftIn = async (world: PurchaseWorld) => (await world.account()).quota?.left
const itemsOf = (world: PurchaseWorld, kind: 'NOTICE' | 'MAIL', field: string): unknown[] =>
  world
    .items()
    .filter(({ sk }) => String(sk).startsWith(`${kind}#`))
    .map((item) => item[field])

const reason = 'a test'

describe('a bundle that the present plans have at another price and size', () => {
  const CHANGED = {
    trialUnits: 7,
    plans: [
      { name: 'STARTER', units: 2_000, prices: { USD: 150 } },
      { name: 'LOYAL', units: 5, prices: { USD: 60 }, for: 'existing' as const },
      { name: 'SECRET', units: 9, prices: { USD: 60 }, hidden: true as const },
    ],
  }
  const apply = (world: PurchaseWorld, catalogue: Catalogue = CHANGED) =>
    applyPlans(world.ports, { catalogue, reason })
  const holder = async (left = 1_100) => {
    const world = await openPurchaseWorld()
    await world.signUp(await world.newCard(GOOD))
    await world.deliver()
    world.advance(MINUTE_MS)
    await world.consumeTo(left)
    return world
  }

  test('is renewed and refilled by its holders at the terms with which they took it', async () => {
    const world = await holder(5)
    expect(await apply(world)).toEqual({ version: 1, isNew: true })
    expect(await world.job('checkQuotas')).toBe(0)
    expect([charged(world), await leftIn(world)]).toEqual([[99, 99], 1_005])
    world.advance(MINUTE_MS)
    expect(await world.buy()).toBe('paid')
    expect([charged(world), await leftIn(world)]).toEqual([[99, 99, 99], 2_005])
  })

  test('stays its holders’ if the plans no longer have it: refilled, renewed, and shown with its price', async () => {
    const world = await holder(5)
    await apply(world, { trialUnits: 0, plans: [{ name: 'OTHER', units: 5, prices: { USD: 60 } }] })
    expect(await world.job('checkQuotas')).toBe(0)
    world.advance(MINUTE_MS)
    expect(await world.buy()).toBe('paid')
    expect([charged(world), await leftIn(world)]).toEqual([[99, 99, 99], 2_005])
    expect(renewalStatus(await world.account()).state).toBe('on')
    expect(await world.signUp(await world.newCard(GOOD))).toBe('invalid_request')
    expect(await world.change('OTHER')).toBe('paid')
    expect([charged(world).at(-1), (await world.account()).plan?.version]).toEqual([60, 1])
  })

  test('is taken at the present terms, in the transaction that names them, by a new customer', async () => {
    const world = await openPurchaseWorld()
    await apply(world)
    expect(await world.signUp(await world.newCard(GOOD))).toBe('paid')
    expect([charged(world), await leftIn(world)]).toEqual([[150], 2_100])
    const terms = { version: 1, units: 2_000, priceCents: 150, currency: 'USD' }
    expect((await world.account()).plan).toEqual(terms)
  })

  test('keeps its holders’ terms through a change to it: 409, unless it is for holders too; then it moves once', async () => {
    const world = await holder()
    await apply(world)
    expect(await world.change('STARTER')).toBe('bundle_held')
    const [starter, ...others] = CHANGED.plans
    await apply(world, { trialUnits: 7, plans: [{ ...starter!, for: 'both' }, ...others] })
    expect(await world.change('STARTER')).toBe('paid')
    expect(await world.change('STARTER')).toBe('paid')
    expect([charged(world), await leftIn(world)]).toEqual([[99, 150], 3_100])
    expect((await world.account()).plan).toMatchObject({ version: 2, units: 2_000 })
    world.advance(3 * DAY_MS)
    expect(await world.change('STARTER')).toBe('bundle_held')
    expect(await world.buy()).toBe('paid')
    expect(charged(world)).toEqual([99, 150, 150])
  })

  test('a plan for holders alone is refused to everybody else, and a hidden one is taken by its name', async () => {
    const world = await holder()
    await apply(world)
    expect(await world.change('LOYAL')).toBe('invalid_request')
    expect(await world.choose({ renewalBundle: 'LOYAL' })).toBe('invalid_request')
    expect(await world.choose({ renewalBundle: 'NOPLAN' })).toBe('invalid_request')
    expect(await world.change('secret')).toBe('paid')
    expect([charged(world), await leftIn(world)]).toEqual([[99, 60], 1_109])
    const other = await openPurchaseWorld()
    await apply(other)
    expect(await other.signUp(await other.newCard(GOOD), undefined, undefined, 'LOYAL')).toBe(
      'invalid_request',
    )
    expect(Object.keys(other.stripe.state.customers)).toEqual([])
  })

  test('renewals buy a chosen plan at the terms of the choice, whatever is applied later', async () => {
    const world = await holder(5)
    await apply(world)
    expect(await world.choose({ renewalBundle: 'SECRET' })).toBe('done')
    await apply(world, { trialUnits: 7, plans: [{ name: 'SECRET', units: 1, prices: { USD: 9_000 } }] })
    expect(await world.job('checkQuotas')).toBe(0)
    expect([charged(world), await leftIn(world)]).toEqual([[99, 60], 14])
  })

  test('a plan’s own thresholds tell and renew: at 50 % and 20 % here, and again at 10 % and 1 % after a change', async () => {
    const world = await openPurchaseWorld()
    await apply(world, {
      trialUnits: 0,
      plans: [
        { name: 'STARTER', units: 100, prices: { USD: 150 }, lowPercent: 50, renewalPercent: 20 },
        { name: 'PLAIN', units: 100, prices: { USD: 150 } },
      ],
    })
    await world.signUp(await world.newCard(GOOD))
    await world.deliver()
    world.advance(MINUTE_MS)
    await world.consumeTo(50)
    await world.job('checkQuotas')
    expect(itemsOf(world, 'NOTICE', 'messageType')).not.toContain('low_quota')
    await world.consumeTo(20)
    await world.job('checkQuotas')
    expect(itemsOf(world, 'NOTICE', 'message')).toContain('Less than 50 % of your STARTER bundle is left.')
    expect(charged(world)).toEqual([150])
    await world.consumeTo(19)
    await world.job('checkQuotas')
    expect([charged(world), await leftIn(world)]).toEqual([[150, 150], 119])
    world.advance(MINUTE_MS)
    expect(await world.change('PLAIN')).toBe('paid')
    await world.consumeTo(1)
    await world.job('checkQuotas')
    expect(charged(world)).toEqual([150, 150, 150])
    expect(itemsOf(world, 'NOTICE', 'message')).toContain('Less than 10 % of your PLAIN bundle is left.')
    await world.consumeTo(0)
    await world.job('checkQuotas')
    expect(charged(world)).toEqual([150, 150, 150, 150])
  })
})

describe.skipIf(fromBundles)('a bundle that the deployed file has at another price and size', () => {
  test('is renewed and refilled at the file’s terms by accounts without stored ones', async () => {
    const world = await worldOf({ STARTER: { units: 2_000, priceCents: 150 } })
    expect(await world.job('checkQuotas')).toBe(0)
    expect([charged(world), await leftIn(world)]).toEqual([[99, 150], 2_005])
    world.advance(MINUTE_MS)
    deploy({ DEVELOPER })
    expect(await world.buy()).toBe('paid')
    expect([charged(world), await leftIn(world)]).toEqual([[99, 150, 150], 4_005])
  })

  test('keeps amount and units of a purchase that waits for 3-D Secure', async () => {
    const world = await openPurchaseWorld()
    expect(await world.signUp(await world.newCard(ALWAYS_3DS))).toBe('payment_action_required')
    deploy({ STARTER: { units: 7, priceCents: 5_000 } })
    world.authenticate()
    await world.deliver()
    expect([charged(world), await leftIn(world)]).toEqual([[99], 1_100])
  })
})

describe.skipIf(fromBundles)('a bundle that was removed from the catalogue', () => {
  const renewalOf = async (person: Parameters<typeof shown>[1]) => (await shown(app, person)).renewal
  const PAUSED = { state: 'paused', reason: 'bundle_removed', nextAttemptAt: null, monthlyCap: null }

  test('is shown without a price, and its units stay spendable', async () => {
    const person = await newOldBuyer()
    deploy({ DEVELOPER })
    const answer = await app.request('GET', '/v1/user', { token: person.accessToken })
    expectContract(v1.getUser, answer)
    expect(answer.body.bundle).toEqual({ name: 'STARTER', quota: 1_100, price: null })
    expect(answer.body.renewal).toMatchObject(PAUSED)
    await spendTo(app, person, 0)
    for (const path of ['/v1/usage', '/v1/invoice/list', '/v1/ledger', '/api/users/current']) {
      await shown(app, person, path)
    }
  })

  test('is not refilled: 409 says to choose another one, which then works', async () => {
    const person = await newOldBuyer()
    deploy({ DEVELOPER })
    const refused = await buy(app, person)
    expectError(v1.buy, refused, 'bundle_removed')
    expect(refused.body.detail).toContain('PUT /v1/user/bundle/{bundleName}')
    expectError(v1.changeBundle, await changeTo(app, person, 'STARTER'), 'invalid_request')
    expect(await paymentsOf(app, person)).toHaveLength(1)
    await expectNothingOpen(app, person)
    expect((await changeTo(app, person, 'developer')).status).toBe(204)
    expect((await shown(app, person)).bundle).toEqual({ name: 'DEVELOPER', quota: 101_100, price: 9.99 })
    expect((await renewalOf(person)).state).toBe('on')
  })

  test('pauses renewal, once, with a notice and a mail; no job fails', async () => {
    const person = await newOldBuyer()
    deploy({ DEVELOPER })
    await spendTo(app, person, 5)
    expect(await app.job('check-quotas')).toEqual({ notices: 1, renewed: 0, tried: 0, failed: 0 })
    for (let minutes = 0; minutes < 3; minutes++) expect(await minuteLater()).toMatchObject({ failed: 0 })
    expect(await renewalOf(person)).toMatchObject(PAUSED)
    expect(await noticesOf(app, person)).toEqual(['purchased', 'low_quota', 'renewal_paused'])
    const [notice] = await shown(app, person, '/api/users/current/notifications')
    expect(notice.message).toBe(
      'Auto-renewal has paused, because we no longer sell the STARTER bundle. Nothing was charged, and your units stay yours. Please choose another bundle: auto-renewal then goes on with it.',
    )
    expect((await mailsTo(app, person)).slice(-2).sort()).toEqual([
      'Auto-renewal has paused for your STARTER bundle',
      'Less than 10 % of your STARTER bundle is left',
    ])
    const low = app.stack.mail.messages(person.email).find(({ subject }) => subject.startsWith('Less'))
    expect(low?.text).not.toMatch(/we will renew|refill it/)
    expect(await paymentsOf(app, person)).toHaveLength(1)
  })

  test('two runs at once send one notice and one mail', async () => {
    const world = await worldOf({ DEVELOPER })
    await Promise.all([world.job('checkQuotas'), world.job('checkQuotas')])
    const told = itemsOf(world, 'NOTICE', 'messageType').filter((type) => type === 'renewal_paused')
    expect(told).toHaveLength(1)
    const news = itemsOf(world, 'MAIL', 'values').map((values) => (values as MailValues).news?.reason)
    expect(news.filter((reason) => reason === 'bundle_removed')).toHaveLength(1)
  })

  test('renews again after a change to another bundle', async () => {
    const world = await worldOf({ DEVELOPER })
    await world.job('checkQuotas')
    expect(await world.change('DEVELOPER')).toBe('paid')
    await world.consumeTo(5)
    expect(await world.job('checkQuotas')).toBe(0)
    expect([charged(world), await leftIn(world)]).toEqual([[99, 999, 999], 100_005])
  })

  test('renews again within a day after it has returned', async () => {
    const world = await worldOf({ DEVELOPER })
    for (const days of [0, 1, 2]) {
      expect([days, await world.job('checkQuotas'), charged(world)]).toEqual([days, 0, [99]])
      world.advance(DAY_MS)
    }
    deploy({ STARTER, DEVELOPER })
    expect(renewalStatus(await world.account()).state).toBe('on')
    expect(await world.job('checkQuotas')).toBe(0)
    expect([charged(world), await leftIn(world)]).toEqual([[99, 99], 1_005])
  })

  test('is paused anew with another default card, and still not charged', async () => {
    const world = await worldOf({ DEVELOPER })
    await world.job('checkQuotas')
    await world.setRenewal(false)
    expect(await world.changeCard(await world.newCard(OTHER))).toBe('proved')
    await world.setRenewal(true)
    expect(await world.job('checkQuotas')).toBe(0)
    expect(renewalStatus(await world.account())).toMatchObject({ state: 'paused', reason: 'bundle_removed' })
    expect(charged(world)).toEqual([99])
  })

  test('is credited if its purchase was open: in another try, and after 3-D Secure', async () => {
    const world = await worldOf({ STARTER, DEVELOPER }, { left: 1_100 })
    world.stripe.faults.add({ fault: '500', match: 'POST /v1/payment_intents/*/confirm', times: 1 })
    expect(await world.buy(undefined, 'k')).toBe('pending')
    deploy({ DEVELOPER })
    world.advance(MINUTE_MS)
    expect(await world.buy(undefined, 'k')).toBe('paid')
    expect(await leftIn(world)).toBe(2_100)

    operator.deployed = undefined
    const other = await openPurchaseWorld()
    await other.signUp(await other.newCard(ALWAYS_3DS))
    deploy({ DEVELOPER })
    other.authenticate()
    await other.deliver()
    expect([(await other.account()).bundle, await leftIn(other)]).toEqual(['STARTER', 1_100])
  })

  test('whose renewal waits for 3-D Secure: buy answers the secret of that payment', async () => {
    const person = await newOldBuyer({ card: ALWAYS_3DS })
    await spendTo(app, person, 5)
    await app.job('check-quotas')
    await double.flushWebhooks()
    deploy({ DEVELOPER })
    const { id } = await waitingPayment(app, person)
    const answer = await buy(app, person)
    expectError(v1.buy, answer, 'payment_action_required')
    expect(answer.body.clientSecret).toContain(id)
    await authenticate(app, person)
    expect(await unitsLeft(app, person)).toBe(1_005)
    await expectBooksAgree(app, person)
  })

  test('a refused refill does not end another purchase that is open', async () => {
    const world = await worldOf({ STARTER, DEVELOPER }, { left: 1_100, card: ALWAYS_3DS })
    expect(await world.change('DEVELOPER')).toBe('payment_action_required')
    deploy({ DEVELOPER })
    world.advance(MINUTE_MS)
    expect(await world.buy()).toBe('bundle_removed')
    world.authenticate()
    await world.deliver()
    expect([(await world.account()).bundle, await leftIn(world)]).toEqual(['DEVELOPER', 101_100])
  })
})
