import { describe, expect, test } from 'vitest'
import { DomainError } from '../../core/errors.ts'
import {
  deletedAccount,
  emcpAccount,
  greencloudAccount,
  skylinkAccount,
} from '../../functions/http/account-shapes.ts'
import { auditEntry, ownActivity } from '../../functions/http/activity-shapes.ts'
import { adminKeyShape } from '../../functions/http/admin-key-shapes.ts'
import { adminInvoice, orderedQuota, userQuota } from '../../functions/http/admin-shapes.ts'
import { batchAnswer } from '../../functions/http/batch-shapes.ts'
import { billingChange, billingSettings, emcpInvoice } from '../../functions/http/billing-shapes.ts'
import { blockedCardShape } from '../../functions/http/block-shapes.ts'
import { stripeCardList, stripeCustomer } from '../../functions/http/card-shapes.ts'
import { configShape } from '../../functions/http/config-shapes.ts'
import { batchAnswers } from '../../functions/http/customers.ts'
import { deliveryShape, endpointShape } from '../../functions/http/event-endpoint-shapes.ts'
import { exportedPage } from '../../functions/http/export-shapes.ts'
import { invoiceLine, wholeInvoice } from '../../functions/http/invoice-shapes.ts'
import { listedKey, settingsChange, shownApp, shownKey, skylinkApp } from '../../functions/http/key-shapes.ts'
import { ledgerLine } from '../../functions/http/ledger-shapes.ts'
import { centsOf, isWholeCents } from '../../functions/http/money-shapes.ts'
import { emcpNotice } from '../../functions/http/notice-shapes.ts'
import { operatorShape } from '../../functions/http/operator-account-shapes.ts'
import { bookedShape, pendingRefundShape, refundShape } from '../../functions/http/operator-money-shapes.ts'
import { standingOf } from '../../functions/http/operator-shapes.ts'
import { listedPasskey } from '../../functions/http/passkey-shapes.ts'
import { couponShape, versionShape } from '../../functions/http/plan-shapes.ts'
import { purchaseShape } from '../../functions/http/purchase-shapes.ts'
import { belowOf, isShare, shownBelow } from '../../functions/http/renewal-shapes.ts'
import {
  accountLineShape,
  accountPageShape,
  happeningShape,
  topShape,
  totalsShape,
} from '../../functions/http/report-shapes.ts'
import { leaseShape, reservationShape } from '../../functions/http/reservation-shapes.ts'
import { serviceShape } from '../../functions/http/service-shapes.ts'
import { accessToken, listedSession, sessionTokens } from '../../functions/http/session-shapes.ts'
import {
  dayEndMs,
  dayOfTime,
  dayStartMs,
  dayText,
  epochSeconds,
  isoMonth,
  timeMs,
} from '../../functions/http/time-shapes.ts'
import { usageRange, usageReport } from '../../functions/http/usage-shapes.ts'

/*
 * What answers look like: times are ISO 8601 in UTC, amounts are in the unit of their currency, and what is absent is null
 * or left out as the schema of its row says. Each shape is shown with all that it can have, and with the least.
 */

/** 21 November 2026, 12:00:00.789 UTC, and the same an hour and two hours later. */
const [T1, T2, T3] = [1_795_262_400_789, 1_795_266_000_789, 1_795_269_600_789] as const
const [ISO1, ISO2, ISO3] = [
  '2026-11-21T12:00:00.789Z',
  '2026-11-21T13:00:00.789Z',
  '2026-11-21T14:00:00.789Z',
] as const

/** A value of a domain type, of which a shape reads only these members. */
// biome-ignore lint/suspicious/noExplicitAny: a part of whatever type the shape takes
const part = (value: object): any => value

const ADDRESS = { street: 'Way 1', city: 'Ulm', postCode: '89073', country: 'DE' }
const RENEWAL = { state: 'off', maxPerHour: 5, maxPerDay: 10, below: 0.1 }
const OVERVIEW = {
  id: 'a1',
  email: 'ada@example.com',
  displayName: 'ada',
  hasTwoFactor: false,
  defaultKey: 'k',
  usage: { left: 1, used: 2, reserved: 3 },
  currency: 'USD',
  renewal: RENEWAL,
  flags: { bundleAutoRenewal: true, lowQuotaNotification: false },
  alerts: [],
}
const PROFILE = {
  id: 'a1',
  username: 'ada',
  email: 'ada@example.com',
  emailVerified: false,
  createdAtMs: T1,
  updatedAtMs: T2,
  balanceCents: -150,
  status: 'active',
  paid: false,
  keyCount: 1,
}

describe('an account', () => {
  test('has its balance in its currency, and one of three statuses, in EMCP’s shape', () => {
    const shown = {
      _id: 'a1',
      email: 'ada@example.com',
      name: 'Ada',
      createdAt: ISO1,
      balance: -1.5,
      status: 0,
      emailVerified: false,
    }
    expect(emcpAccount(part(PROFILE), 'Ada', 'USD')).toEqual(shown)
    expect(emcpAccount(part(PROFILE), 'Ada', 'JPY').balance).toBe(-150)
    const statuses = ['pending', 'active', 'suspended', 'deactivated', 'erased'].map(
      (status) => emcpAccount(part({ ...PROFILE, status }), 'Ada', 'USD').status,
    )
    expect(statuses).toEqual([1, 0, 1, 2, 2])
  })

  test('has a name in two parts, and null for what it lacks, in GreenCloud’s shape', () => {
    expect(greencloudAccount(part(OVERVIEW), 'ada')).toEqual({
      ...{ id: 'a1', username: 'ada', email: 'ada@example.com', pendingEmail: undefined },
      ...{ name: 'ada', surname: '', address: null, twofa: false, apiKey: 'k' },
      usage: { left: 1, used: 2, reserved: 3 },
      bundle: null,
      renewal: {
        ...{ state: 'off', reason: null, nextAttemptAt: null, monthlyCap: null },
        ...{ maxPerHour: 5, maxPerDay: 10, below: '10%', bundle: null },
      },
      flags: { bundleAutoRenewal: true, lowQuotaNotification: false },
      alerts: [],
    })
  })

  test('has all that it can have in GreenCloud’s shape', () => {
    const full = {
      ...OVERVIEW,
      isEmailUndeliverable: true,
      pendingEmail: 'new@example.com',
      displayName: 'Ada King Lovelace',
      address: { ...ADDRESS, company: 'Acme', street2: 'left', district: 'BW' },
      hasTwoFactor: true,
      recoveryFinishesAtMs: T1,
      bundle: { name: 'STARTER', unitsLeft: 7, priceCents: 99 },
      renewal: {
        ...RENEWAL,
        ...{ state: 'paused', reason: 'declined', nextAttemptAtMs: T2, monthlyCapCents: 500 },
        ...{ below: 30, bundle: 'BIG' },
      },
      alerts: [
        { below: 0.25, armed: true },
        { below: 5, armed: false },
      ],
    }
    expect(greencloudAccount(part(full), 'ada')).toMatchObject({
      ...{ emailUndeliverable: true, pendingEmail: 'new@example.com', twofa: true },
      ...{ name: 'Ada King', surname: 'Lovelace' },
      address: {
        ...{ street: 'Way 1', city: 'Ulm', postCode: '89073', country: 'Germany' },
        ...{ company: 'Acme', district: 'BW' },
      },
      recovery: { finishesAt: ISO1 },
      bundle: { name: 'STARTER', quota: 7, price: 0.99 },
      renewal: {
        ...{ state: 'paused', reason: 'declined', nextAttemptAt: ISO2, monthlyCap: 5 },
        ...{ below: 30, bundle: 'BIG' },
      },
      alerts: [
        { below: '25%', armed: true },
        { below: 5, armed: false },
      ],
    })
    const unsold = { ...OVERVIEW, bundle: { name: 'OLD', unitsLeft: 7, priceCents: undefined } }
    expect(greencloudAccount(part(unsold), 'ada').bundle).toEqual({ name: 'OLD', quota: 7, price: null })
    const { address } = greencloudAccount(part({ ...OVERVIEW, address: ADDRESS }), 'ada')
    expect(address).toEqual({
      ...{ street: 'Way 1', city: 'Ulm', postCode: '89073', country: 'Germany' },
      ...{ company: '', district: '' },
    })
  })

  test('is free, unverified and without a card until it is not, in Skylink’s shape', () => {
    expect(skylinkAccount(part(PROFILE))).toEqual({
      status: 1,
      content: {
        ...{ allusage: 0, created: ISO1, email: 'ada@example.com', lastlogin: null, role: 'free' },
        ...{ status: 'unverified', type: 'invoice', update: ISO2, username: 'ada' },
      },
    })
    const full = {
      ...PROFILE,
      ...{ lastLoginAtMs: T3, paid: true, emailVerified: true, quota: { used: 5 } },
      customer: { defaultCardId: 'pm_1' },
    }
    expect(skylinkAccount(part(full)).content).toMatchObject({
      ...{ allusage: 5, lastlogin: ISO3, role: 'paid', status: 'verified', type: 'card' },
    })
    expect(skylinkAccount(part({ ...PROFILE, customer: {} })).content.type).toBe('invoice')
  })

  test('says when it is erased', () => {
    expect(deletedAccount(T1)).toEqual({ status: 'deleted', eraseAt: ISO1 })
    expect(standingOf(part({ ...PROFILE, eraseAtMs: T1 }))).toEqual({
      ...{ id: 'a1', status: 'active', eraseAt: ISO1 },
    })
    expect(standingOf(part(PROFILE)).eraseAt).toBeNull()
  })
})

describe('an entry of the audit log', () => {
  const ENTRY = { id: 'e1', atMs: T1, action: 'account.x', text: 'X', by: 'owner', ip: '192.0.2.1' }

  test('shows its owner the network address, unless an operator has acted', () => {
    const shown = { id: 'e1', at: ISO1, action: 'account.x', text: 'X', by: 'owner', ip: '192.0.2.1' }
    expect(ownActivity(part(ENTRY))).toEqual({ ...shown, before: null, after: null })
    const byOperator = { ...ENTRY, by: 'operator', before: { a: 1 }, after: { a: 2 } }
    expect(ownActivity(part(byOperator))).toEqual({
      ...{ ...shown, by: 'operator', ip: null, before: { a: 1 }, after: { a: 2 } },
    })
    expect(ownActivity(part({ ...ENTRY, ip: undefined })).ip).toBeNull()
  })

  test('shows operators everything', () => {
    const { atMs: _, ...rest } = ENTRY
    expect(auditEntry(part(ENTRY))).toEqual({ ...rest, at: ISO1 })
  })
})

describe('a credential', () => {
  test('of a program has its end, and when it was revoked', () => {
    const key = { name: 'crm', role: 'read', last4: 'abcd', createdAtMs: T1 }
    const shown = { name: 'crm', role: 'read', last4: 'abcd', createdAt: ISO1 }
    expect(adminKeyShape(part(key))).toEqual({ ...shown, revokedAt: null })
    expect(adminKeyShape(part({ ...key, revokedAtMs: T2 }))).toEqual({ ...shown, revokedAt: ISO2 })
    const service = { name: 'gw', scopes: ['meter'], last4: 'abcd', createdAtMs: T1, revokedAtMs: T2 }
    expect(serviceShape(part(service))).toEqual({
      ...{ name: 'gw', scopes: ['meter'], last4: 'abcd', createdAt: ISO1, revokedAt: ISO2 },
    })
    expect(serviceShape(part({ ...service, revokedAtMs: undefined })).revokedAt).toBeNull()
  })

  test('of an operator has the account and the role', () => {
    const operator = { name: 'ada', accountId: 'a1', role: 'admin', addedAtMs: T1 }
    const shown = { name: 'ada', accountId: 'a1', role: 'admin', addedAt: ISO1 }
    expect(operatorShape(part(operator))).toEqual({ ...shown, removedAt: null })
    expect(operatorShape(part({ ...operator, removedAtMs: T2 })).removedAt).toBe(ISO2)
  })

  test('of a session or passkey has its times', () => {
    const tokens = { accessToken: 'a', refreshToken: 'r', expiresInSeconds: 900, accountId: 'a1' }
    expect(sessionTokens(part(tokens))).toEqual({ accessToken: 'a', refreshToken: 'r', expiresIn: 900 })
    expect(accessToken(part(tokens))).toEqual({ accessToken: 'a', expiresIn: 900 })
    const session = { id: 's', sinceMs: T1, seenMs: T2, isCurrent: true }
    const shown = { id: 's', since: ISO1, lastSeen: ISO2, current: true }
    expect(listedSession(part(session))).toEqual({ ...shown, userAgent: null })
    expect(listedSession(part({ ...session, device: 'Firefox' })).userAgent).toBe('Firefox')
    const passkey = { id: 'p', name: 'phone', synced: true, createdAtMs: T1 }
    const shownPasskey = { id: 'p', name: 'phone', synced: true, createdAt: ISO1 }
    expect(listedPasskey(part(passkey))).toEqual({ ...shownPasskey, lastUsedAt: null })
    expect(listedPasskey(part({ ...passkey, lastUsedAtMs: T2 })).lastUsedAt).toBe(ISO2)
  })
})

describe('an application key', () => {
  const KEY = { id: 'k1', name: 'mine', prefix: 'bsr_1234', last4: 'abcd', createdAtMs: T1, updatedAtMs: T2 }
  const SHOWN = {
    ...{ id: 'k1', name: 'mine', prefix: 'bsr_1234', last4: 'abcd', createdAt: ISO1, enabled: true },
    ...{ expiresAt: null, scopes: [], budget: null, rate: null, ip: null, metadata: null, graceUntil: null },
  }

  test('without settings limits nothing', () => {
    const key = part({ ...KEY, settings: {} })
    expect(listedKey(key)).toEqual({ ...SHOWN, updatedAtMs: undefined, lastUsedDay: null })
    expect(listedKey(part({ ...key, lastUsedDayMs: T1 })).lastUsedDay).toBe('2026-11-21')
    expect(shownKey(part({ ...key, key: 'text' }))).toEqual({ ...SHOWN, key: 'text' })
    expect(shownKey(part({ ...key, key: 'text', replayed: true })).replayed).toBe(true)
  })

  test('has every setting', () => {
    const settings = {
      ...{ disabled: true, expiresAtMs: T3, scopes: ['a'], ip: ['192.0.2.1'], metadata: '{"a":1}' },
      ...{ budget: { units: 1, per: 'day' }, rate: { unitsPerSecond: 1, burst: 2 } },
    }
    expect(shownKey(part({ ...KEY, settings, graceUntilMs: T2, key: 'text' }))).toEqual({
      ...SHOWN,
      ...{ enabled: false, expiresAt: ISO3, scopes: ['a'], ip: ['192.0.2.1'], metadata: { a: 1 } },
      ...{ budget: { units: 1, per: 'day' }, rate: { unitsPerSecond: 1, burst: 2 } },
      ...{ graceUntil: ISO2, key: 'text' },
    })
  })

  test('is changed by what was sent alone: null takes a setting away', () => {
    expect(settingsChange({})).toEqual({})
    expect(Object.keys(settingsChange({ scopes: undefined, ip: null }))).toEqual(['ip'])
    expect(settingsChange({ name: 'x', enabled: false, expiresAt: ISO1, metadata: { a: 1 } })).toEqual({
      ...{ name: 'x', enabled: false, expiresAtMs: T1, metadata: '{"a":1}' },
    })
    const removed = settingsChange({ expiresAt: null, metadata: null })
    expect([Object.keys(removed), removed.expiresAtMs, removed.metadata]).toEqual([
      ['expiresAtMs', 'metadata'],
      undefined,
      undefined,
    ])
    expect(settingsChange({ metadata: {} }).metadata).toBeUndefined()
  })

  test('is an app in Skylink’s envelope', () => {
    const content = {
      ...{ appid: 'k1', appname: 'mine', created: ISO1, update: ISO2, deleted: false, parent: 'root' },
      corsurl: '',
    }
    expect(skylinkApp(part(KEY), undefined)).toEqual({ status: 1, content })
    expect(skylinkApp(part(KEY), 'a.example').content.corsurl).toBe('a.example')
    const shown = { status: 1, content: { ...content, key: 'text' } }
    expect(shownApp(part({ ...KEY, key: 'text' }), undefined)).toEqual(shown)
    expect(shownApp(part({ ...KEY, key: 'text', replayed: true }), undefined)).toEqual({
      ...{ ...shown, replayed: true },
    })
  })
})

describe('money', () => {
  const INVOICE = { id: 'i1', amountCents: 150, currency: 'USD', status: 'paid', paidAtMs: T1 }

  test('of an invoice is in its currency', () => {
    const face = { amount: 1.5, currency: 'USD', status: 'succeeded', state: 'paid', paidOn: '2026-11-21' }
    expect(invoiceLine(part(INVOICE))).toEqual({ id: 'i1', ...face, paidDay: '1795262400' })
    const whole = { ...INVOICE, bundle: 'STARTER', units: 1000 }
    expect(wholeInvoice(part(whole))).toEqual({
      ...face,
      paidDay: 1_795_262_400,
      description: 'STARTER (1,000 units)',
      payment: { card: { brand: '', last4: '' }, receiptUrl: null },
    })
    const full = {
      ...{ ...whole, cardBrand: 'visa', cardLast4: '4242', receiptUrl: 'https://r' },
      discount: { code: 'SAVE', amountCents: 50, units: 3 },
    }
    expect(wholeInvoice(part(full))).toMatchObject({
      coupon: { code: 'SAVE', discount: 0.5, units: 3 },
      payment: { card: { brand: 'visa', last4: '4242' }, receiptUrl: 'https://r' },
    })
    expect(adminInvoice(part({ ...INVOICE, accountId: 'a1', currency: 'JPY' }))).toEqual({
      ...{ _id: 'i1', user: 'a1', amount: 150, currency: 'JPY', status: 'paid', createdAt: ISO1 },
    })
    const emcp = { _id: 'i1', invoiceId: 'i1', user: 'a1', status: 'paid', amount: 150, currency: 'USD' }
    const times = { createdAt: ISO1, updatedAt: ISO1 }
    expect(emcpInvoice('a1', part(INVOICE))).toEqual({ ...emcp, ...times, invoicePdf: null })
    expect(emcpInvoice('a1', part({ ...INVOICE, receiptUrl: 'https://r' })).invoicePdf).toBe('https://r')
  })

  test('of a purchase comes with what it still needs', () => {
    const purchase = { id: 'p1', bundle: 'STARTER', amountCents: 99, currency: 'USD', state: 'open' }
    const shown = { id: 'p1', bundle: 'STARTER', amount: 0.99, currency: 'USD', state: 'open' }
    expect(purchaseShape(part(purchase))).toEqual({ ...shown, clientSecret: null, paymentMethod: null })
    expect(purchaseShape(part({ ...purchase, clientSecret: 's', cardId: 'pm' }))).toEqual({
      ...{ ...shown, clientSecret: 's', paymentMethod: 'pm' },
    })
  })

  test('of a line of the statement leaves out what the line lacks', () => {
    const line = { seq: 1, atMs: T1, kind: 'purchase', units: 5, amountCents: 99, currency: 'USD' }
    const shown = { seq: 1, at: ISO1, kind: 'purchase', units: 5, amount: 0.99, currency: 'USD' }
    expect(ledgerLine(part(line))).toEqual(shown)
    expect(Object.keys(ledgerLine(part(line)))).toEqual(Object.keys(shown))
    const full = { ...line, purchaseId: 'p1', expiresAtMs: T2, coupon: 'SAVE', discountCents: 10 }
    expect(ledgerLine(part(full))).toEqual({
      ...{ ...shown, purchaseId: 'p1', expiresAt: ISO2, coupon: 'SAVE', discount: 0.1 },
    })
    expect(ledgerLine(part({ ...line, coupon: 'GIFT' })).discount).toBe(0)
  })

  test('that an operator has moved comes with the standing after it', () => {
    const entry = { seq: 1, kind: 'grant', units: 5, amountCents: 0 }
    const booked = { entry, left: 5, owedUnits: 0, balanceCents: 0, currency: 'USD' }
    expect(bookedShape(part(booked))).toEqual(booked)
    expect(Object.keys(bookedShape(part(booked)).entry)).toEqual(Object.keys(entry))
    const full = { ...booked, entry: { ...entry, expiresAtMs: T1 }, replayed: true }
    expect(bookedShape(part(full))).toEqual({
      ...{ ...booked, entry: { ...entry, expiresAt: ISO1 }, replayed: true },
    })
    const refund = { id: 'r1', amountCents: 99, currency: 'USD', state: 'done' }
    expect(refundShape(part(refund))).toEqual({ id: 'r1', amountCents: 99, currency: 'USD' })
    expect(refundShape(part({ ...refund, replayed: true })).replayed).toBe(true)
    expect(pendingRefundShape(part(refund))).toEqual({ id: 'r1', status: 'pending' })
    expect(pendingRefundShape(part({ ...refund, replayed: true })).replayed).toBe(true)
  })

  test('of EMCP’s page goes with null for what is not stored, and a change names what was sent alone', () => {
    const none = {
      ...{ _id: 'a1', user: 'a1', address1: null, address2: null, city: null, company: null },
      ...{ country: null, state: null, zip: null, taxId: null, createdAt: ISO1, updatedAt: ISO2 },
    }
    expect(billingSettings(part(PROFILE))).toEqual(none)
    const address = { ...ADDRESS, street2: 'left', company: 'Acme', district: 'BW' }
    expect(billingSettings(part({ ...PROFILE, address, taxId: 'DE1' }))).toEqual({
      ...{ ...none, address1: 'Way 1', address2: 'left', city: 'Ulm', company: 'Acme' },
      ...{ country: 'DE', state: 'BW', zip: '89073', taxId: 'DE1' },
    })
    const change = billingChange({ address1: 'Way 2', company: null, zip: undefined })
    expect(change).toEqual({ address: { street: 'Way 2', company: undefined } })
    expect([Object.keys(change), Object.keys(change.address ?? {})]).toEqual([
      ['address'],
      ['street', 'company'],
    ])
    expect(billingChange({ taxId: 'DE1' }).taxId).toBe('DE1')
    expect(Object.hasOwn(billingChange({ taxId: null }), 'taxId')).toBe(true)
    expect(billingChange({ taxId: null }).taxId).toBeUndefined()
  })
})

describe('a card', () => {
  const CARD = {
    ...{ id: 'pm_1', brand: 'visa', expMonth: 2, expYear: 2032, funding: 'credit', last4: '4242' },
    ...{ threeDSecureSupported: true, createdMs: T1, livemode: false, checks: {}, billing: { address: {} } },
  }
  const NO_ADDRESS = { city: null, country: null, line1: null, line2: null, postal_code: null, state: null }

  test('has null for all that Stripe does not know of it', () => {
    expect(stripeCardList([part(CARD)], undefined)).toEqual({
      object: 'list',
      has_more: false,
      url: '/v1/customers//payment_methods',
      data: [
        {
          ...{ id: 'pm_1', object: 'payment_method', created: 1_795_262_400, customer: null },
          ...{ livemode: false, metadata: {}, type: 'card' },
          billing_details: { address: NO_ADDRESS, email: null, name: null, phone: null },
          card: {
            ...{ brand: 'visa', country: null, exp_month: 2, exp_year: 2032, fingerprint: null },
            ...{ funding: 'credit', generated_from: null, last4: '4242', wallet: null },
            checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: null },
            networks: { available: ['visa'], preferred: null },
            three_d_secure_usage: { supported: true },
          },
        },
      ],
    })
  })

  test('has all that Stripe knows of it', () => {
    const full = {
      ...{ ...CARD, country: 'DE', fingerprint: 'f', customerId: 'cus_1', livemode: true },
      checks: { line1: 'pass', postalCode: 'fail', cvc: 'pass' },
      networks: { available: ['visa', 'cartes_bancaires'], preferred: 'visa' },
      billing: {
        ...{ email: 'e', name: 'n', phone: 'p' },
        address: { city: 'c', country: 'DE', line1: 'l', line2: 'm', postalCode: 'z', state: 's' },
      },
    }
    const { data, url } = stripeCardList([part(full)], 'cus_1')
    expect(url).toBe('/v1/customers/cus_1/payment_methods')
    expect(data[0]).toMatchObject({
      customer: 'cus_1',
      livemode: true,
      billing_details: {
        ...{ email: 'e', name: 'n', phone: 'p' },
        address: { city: 'c', country: 'DE', line1: 'l', line2: 'm', postal_code: 'z', state: 's' },
      },
      card: {
        ...{ country: 'DE', fingerprint: 'f' },
        checks: { address_line1_check: 'pass', address_postal_code_check: 'fail', cvc_check: 'pass' },
        networks: { available: ['visa', 'cartes_bancaires'], preferred: 'visa' },
      },
    })
  })

  test('has a customer, with null for all that Stripe does not know', () => {
    const customer = { id: 'cus_1', balanceCents: -5, createdMs: T1, delinquent: false, livemode: false }
    const none = {
      ...{ id: 'cus_1', object: 'customer', address: null, balance: -5, created: 1_795_262_400 },
      ...{ currency: null, default_source: null, delinquent: false, description: null, discount: null },
      ...{ email: null, invoice_prefix: null, livemode: false, metadata: {}, name: null, phone: null },
      ...{ preferred_locales: [], shipping: null, tax_exempt: 'none', test_clock: null },
      invoice_settings: {
        ...{ custom_fields: null, default_payment_method: null, footer: null, rendering_options: null },
      },
    }
    expect(stripeCustomer(part(customer))).toEqual(none)
    const full = {
      ...{ ...customer, currency: 'USD', description: 'd', email: 'e', invoicePrefix: 'P', name: 'n' },
      ...{ phone: 'p', defaultCardId: 'pm_1', address: { city: 'c' } },
    }
    expect(stripeCustomer(part(full))).toMatchObject({
      ...{ currency: 'USD', description: 'd', email: 'e', invoice_prefix: 'P', name: 'n', phone: 'p' },
      invoice_settings: { default_payment_method: 'pm_1' },
      address: { ...NO_ADDRESS, city: 'c' },
    })
  })

  test('that is blocked says who has reported it', () => {
    expect(blockedCardShape(part({ digest: 'd' }))).toEqual({
      ...{ digest: 'd', blockedAt: null, byOperator: false, reports: [], owing: [] },
    })
    const full = {
      ...{ digest: 'd', blockedAtMs: T1, orderedAtMs: T2, debtors: ['a1'] },
      reports: { ch_1: { accountId: 'a2', reason: 'fraud', atMs: T3 } },
    }
    expect(blockedCardShape(part(full))).toEqual({
      ...{ digest: 'd', blockedAt: ISO1, byOperator: true, owing: ['a1'] },
      reports: [{ charge: 'ch_1', account: 'a2', reason: 'fraud', at: ISO3 }],
    })
  })
})

describe('an answer about units', () => {
  test('of a batch has the status and the problem of its own', () => {
    const use = { units: 3, left: 4 }
    const answer = (outcome: string, more = {}) => batchAnswer('r1', part({ outcome, ...use, ...more }))
    expect(answer('spent')).toEqual({ requestId: 'r1', ...use, status: 200 })
    expect(batchAnswer(undefined, part({ outcome: 'spent' }))).not.toHaveProperty('requestId')
    for (const [outcome, status, code] of [
      ['exhausted', 402, 'quota_exhausted'],
      ['key_budget_exhausted', 402, 'key_budget_exhausted'],
      ['over_burst', 403, 'over_burst'],
      ['rate_limited', 429, 'rate_limited'],
    ] as const)
      expect(answer(outcome)).toEqual({ requestId: 'r1', ...use, status, type: `urn:bursar:problem:${code}` })
    expect(answer('rate_limited', { retryAfterSeconds: 0 })).toMatchObject({ retryAfter: 0 })
    expect(answer('rate_limited')).not.toHaveProperty('retryAfter')
  })

  test('of a batch for many customers refuses one of them alone, and is a replay if all of it is', () => {
    const refusal = new DomainError('insufficient_scope', { members: { missing: ['a'] } })
    const spent = part({ outcome: 'spent', units: 1, left: 2 })
    const sent = [{ units: 1, requestId: 'r1' }, { units: 1 }]
    const { answers, replayed } = batchAnswers(sent, [refusal, spent])
    expect(answers).toEqual([
      {
        ...{ missing: ['a'], requestId: 'r1', status: 403, type: 'urn:bursar:problem:insufficient_scope' },
        detail: 'The application key lacks a scope that the request requires, and nothing was spent.',
      },
      { units: 1, left: 2, status: 200 },
    ])
    expect(replayed).toBe(false)
    const again = part({ outcome: 'spent', units: 1, left: 2, replayed: true })
    expect(batchAnswers(sent, [again, again]).replayed).toBe(true)
    expect(batchAnswers(sent, [again, spent]).replayed).toBe(false)
    expect(batchAnswers(sent, [again, refusal]).replayed).toBe(false)
    const [unavailable] = batchAnswers(
      [{ units: 1 }],
      [new DomainError('temporarily_unavailable', { detail: 'Of its own.' })],
    ).answers
    expect(unavailable).toEqual({
      ...{ status: 503, type: 'urn:bursar:problem:temporarily_unavailable', detail: 'Of its own.' },
      retryAfter: 1,
    })
  })

  test('of a reservation or lease has its expiry', () => {
    const reserved = { id: 'r', left: 5, units: 3, expiresAtMs: T1 }
    expect(reservationShape(part(reserved))).toEqual({ id: 'r', left: 5, units: 3, expiresAt: ISO1 })
    expect(reservationShape(part({ id: 'r', left: 5 }))).toEqual({ id: 'r', left: 5 })
    expect(Object.keys(reservationShape(part({ id: 'r' })))).toEqual(['id'])
    expect(leaseShape(part(reserved))).toEqual({ id: 'r', left: 5, units: 3, expiresAt: ISO1 })
    expect(leaseShape(part({ id: 'r' }))).toEqual({ id: 'r', units: 0 })
  })

  test('of operators’ programs has null for no bundle', () => {
    expect(userQuota(part({ left: 1, bundle: undefined }))).toEqual({ left: 1, bundle: null })
    expect(userQuota(part({ left: 1, bundle: 'BIG' }))).toEqual({ left: 1, bundle: 'BIG' })
    expect(orderedQuota(part({ left: 1, owedUnits: 2 }))).toEqual({ left: 1, owed: 2 })
    expect(orderedQuota(part({ left: 1, owedUnits: 2, replayed: true })).replayed).toBe(true)
  })

  test('of days has them by key and by tag, and null for what no key has any more', () => {
    const days = [
      {
        startMs: T1,
        units: 5,
        keys: [
          { id: 'k1', units: 3, tags: [{ tag: 'x', units: 1 }, { units: 2 }] },
          { id: undefined, units: 2 },
        ],
      },
    ]
    expect(usageReport(part({ used: 9, days }))).toEqual({
      allusage: 9,
      days: [
        {
          ...{ day: '2026-11-21', units: 5 },
          keys: [
            {
              ...{ id: 'k1', units: 3 },
              tags: [
                { tag: 'x', units: 1 },
                { tag: null, units: 2 },
              ],
            },
            { id: null, units: 2 },
          ],
        },
      ],
    })
    expect(usageRange({})).toEqual({ fromMs: undefined, toMs: undefined })
    expect(usageRange({ from: '2026-11-21', to: '2026-11-22' })).toEqual({
      ...{ fromMs: Date.UTC(2026, 10, 21), toMs: Date.UTC(2026, 10, 22) },
    })
  })

  test('has a level in units or as a share with two decimals', () => {
    expect(['1%', '12.34%', '0.01%', '50%'].map(belowOf)).toEqual([0.01, 0.1234, 0.0001, 0.5])
    expect([0.01, 0.1234, 0.0001, 0.5, 1, 250].map(shownBelow)).toEqual([
      ...['1%', '12.34%', '0.01%', '50%', 1, 250],
    ])
    expect(belowOf(250)).toBe(250)
    const shares = ['0%', '0.00%', '0.01%', '50%', '50.01%', '1.234%', '5', '%', 'a5%', '5%b', '100%']
    expect(shares.filter((text) => isShare(text))).toEqual(['0.01%', '50%'])
    expect([isShare('90%', 0.9), isShare('91%', 0.9)]).toEqual([true, false])
  })
})

test('an amount is of whole minor units, but for what a sum of amounts is off', () => {
  const whole = [0, 0.01, 0.29, 1.1, 19.99, 1_000_000.01, 0.1 + 0.2, -0.29]
  expect(whole.map((amount) => isWholeCents(amount, 'USD'))).toEqual(whole.map(() => true))
  expect([0.001, 0.015, 1e-8, 19.995].map((amount) => isWholeCents(amount, 'USD'))).toEqual(
    Array(4).fill(false),
  )
  expect([isWholeCents(150, 'JPY'), isWholeCents(1.5, 'JPY'), centsOf(150, 'JPY')]).toEqual([
    true,
    false,
    150,
  ])
  expect([centsOf(0.29, 'USD'), centsOf(1.1, 'USD')]).toEqual([29, 110])
})

test('a deployment’s settings are null where it has none', () => {
  const bundle = { units: 1000, priceCents: 99, currency: 'USD' }
  const offers = [{ plan: { name: 'STARTER' }, bundle }]
  const shown = (deployment: object, sold: object[] = offers) =>
    configShape(part(deployment), part({ catalogue: { trialUnits: 7 } }), part(sold), 'rules')
  const bare = { appName: 'Acme', publishableKey: 'pk', supportEmail: 'help@acme.io' }
  const offer = {
    ...{ name: 'STARTER', title: 'STARTER', units: 1000, price: 0.99, currency: 'USD' },
    ...{ monthlyUnits: 0, expiresAfterDays: null },
  }
  expect(shown(bare)).toEqual({
    ...bare,
    ...{ bundles: [offer], trialUnits: 7, password: 'rules', factors: { totp: true, passkeys: true } },
    ...{ challenge: null, theme: { color: null, logoUrl: null }, links: { terms: null, privacy: null } },
  })
  const full = {
    ...{ ...bare, color: '#000000', logoUrl: 'https://l', termsUrl: 'https://t', privacyUrl: 'https://p' },
    challengeKey: 'site',
  }
  const sold = [
    { plan: { name: 'BIG', title: 'Big' }, bundle: { ...bundle, monthlyUnits: 5, expiresAfterDays: 30 } },
  ]
  expect(shown(full, sold)).toMatchObject({
    bundles: [{ name: 'BIG', title: 'Big', monthlyUnits: 5, expiresAfterDays: 30 }],
    challenge: { provider: 'turnstile', siteKey: 'site' },
    theme: { color: '#000000', logoUrl: 'https://l' },
    links: { terms: 'https://t', privacy: 'https://p' },
  })
})

describe('for operators', () => {
  test('an endpoint and a delivery have their times', () => {
    const endpoint = { id: 'e1', url: 'https://e', createdAtMs: T1 }
    const shown = { id: 'e1', url: 'https://e', createdAt: ISO1 }
    expect(endpointShape(part(endpoint))).toEqual({ ...shown, failingSince: null, disabledAt: null })
    expect(endpointShape(part({ ...endpoint, failingSinceMs: T2, disabledAtMs: T3 }))).toEqual({
      ...{ ...shown, failingSince: ISO2, disabledAt: ISO3 },
    })
    const delivery = { eventId: 'ev', type: 't', state: 's', tries: 0, atMs: T1 }
    const told = { eventId: 'ev', type: 't', state: 's', tries: 0, happenedAt: ISO1 }
    expect(deliveryShape(part(delivery))).toEqual({ ...told, lastTriedAt: null, result: null })
    expect(deliveryShape(part({ ...delivery, lastTriedAtMs: T2, lastResult: '200' }))).toEqual({
      ...{ ...told, lastTriedAt: ISO2, result: '200' },
    })
  })

  test('a version of the plans and a coupon are null where they say nothing', () => {
    expect(versionShape(part({ version: 0 }))).toEqual({ version: 0, at: null, by: null, reason: null })
    expect(versionShape(part({ version: 2, atMs: T1, by: 'ada', reason: 'sale' }))).toEqual({
      ...{ version: 2, at: ISO1, by: 'ada', reason: 'sale' },
    })
    const coupon = { code: 'SAVE', fromMs: T1, perAccount: 1, used: 0, createdAtMs: T1 }
    const none = {
      ...{ code: 'SAVE', percent: null, amountCents: null, currency: null, units: null, from: ISO1 },
      ...{ to: null, limit: null, perAccount: 1, used: 0, createdAt: ISO1, stoppedAt: null },
    }
    expect(couponShape(part(coupon))).toEqual(none)
    const full = { percent: 0, amountCents: 0, currency: 'USD', units: 0, limit: 0 }
    expect(couponShape(part({ ...coupon, ...full, toMs: T2, stoppedAtMs: T3 }))).toEqual({
      ...{ ...none, ...full, to: ISO2, stoppedAt: ISO3 },
    })
  })

  test('lists have their accounts in a line each', () => {
    const line = { account: PROFILE, standing: 'active', isLow: false, owes: false, currency: 'USD' }
    const shown = {
      ...{ id: 'a1', username: 'ada', email: 'ada@example.com', standing: 'active', bundle: null },
      ...{ paid: false, left: 0, used: 0, low: false, owed: false, balance: -1.5, currency: 'USD' },
      ...{ undeliverable: true, createdAt: ISO1, lastLoginAt: null },
    }
    expect(accountLineShape(part({ ...line, isUndeliverable: true }))).toEqual(shown)
    const account = { ...PROFILE, bundle: 'BIG', quota: { left: 3, used: 4 }, lastLoginAtMs: T2 }
    expect(accountLineShape(part({ ...line, account }))).toMatchObject({
      ...{ bundle: 'BIG', left: 3, used: 4, lastLoginAt: ISO2 },
    })
  })

  test('a happening, the totals of a day and the top accounts', () => {
    const happening = { atMs: T1, kind: 'k', text: 't', id: 'h1' }
    expect(happeningShape(part(happening))).toEqual({ at: ISO1, kind: 'k', text: 't', by: null, id: 'h1' })
    expect(happeningShape(part({ ...happening, by: 'ada' })).by).toBe('ada')
    expect(totalsShape(part({ day: 20_778, units: 5 }))).toEqual({ day: '2026-11-21', units: 5 })
    const accounts = [{ accountId: 'a1', username: 'ada', value: 5, more: 1 }]
    const top = { month: '2026-11', by: 'units', currency: undefined, accounts }
    expect(topShape(part(top))).toEqual({
      ...{ month: '2026-11', by: 'units', currency: null },
      accounts: [{ id: 'a1', username: 'ada', value: 5 }],
    })
    expect(topShape(part({ ...top, currency: 'USD' })).currency).toBe('USD')
  })

  const PAGE = {
    ...{ account: PROFILE, standing: 'active', sessions: [], passkeys: [], keys: [], currency: 'USD' },
    ...{ isLow: false, renewal: { state: 'off', text: 'Off.' }, purchases: [], ledger: [], cards: [] },
    ...{ mails: { queued: [], ended: [] }, notices: [], openWork: [], audit: [], isWhole: true },
  }

  test('the page of a new account has null, zero and nothing', () => {
    expect(accountPageShape(part(PAGE), [])).toEqual({
      account: {
        ...{ id: 'a1', username: 'ada', email: 'ada@example.com', emailVerified: false, standing: 'active' },
        ...{ pendingEmail: null, name: null, createdAt: ISO1, lastLoginAt: null, eraseAt: null },
        ...{ country: null, customerId: null },
      },
      delivery: { undeliverable: false, reason: null },
      access: { twofa: false, recoveryFinishesAt: null, passkeys: [], sessions: [] },
      keys: { count: 1, further: [] },
      units: { bundle: null, left: 0, used: 0, reserved: 0, owed: 0, low: false },
      money: { balance: -1.5, currency: 'USD', paid: false },
      renewal: { state: 'off', reason: null, text: 'Off.', nextAttemptAt: null },
      ledgerCheck: null,
      ...{ purchases: [], ledger: [], cards: [], mails: { queued: [], sent: [] } },
      ...{ notices: [], openWork: [], audit: [], complete: true, alike: [] },
    })
  })

  test('the page of an account has all that is known of it', () => {
    const page = {
      ...PAGE,
      account: {
        ...{ ...PROFILE, pendingEmail: 'new@example.com', name: 'Ada', lastLoginAtMs: T2, eraseAtMs: T3 },
        ...{ address: ADDRESS, customerId: 'cus_1', totp: {}, bundle: 'BIG', owed: { p1: 2, p2: 3 } },
        quota: { left: 7, used: 8, held: 9 },
      },
      ...{ undeliverable: 'bounced', recoveryFinishesAtMs: T1, isLow: true, isWhole: false },
      passkeys: [{ name: 'phone', createdAtMs: T1, lastUsedAtMs: T2 }],
      sessions: [
        { device: 'Firefox', sinceMs: T1, seenMs: T2 },
        { sinceMs: T2, seenMs: T3 },
      ],
      keys: [
        { id: 'k1', createdAtMs: T1, expiresAtMs: T2, isDisabled: true },
        { id: 'k2', createdAtMs: T1, isDisabled: false },
      ],
      renewal: { state: 'paused', reason: 'declined', text: 'Paused.', nextAttemptAtMs: T1 },
      ledgerCheck: { isRight: false, by: 3, units: 4, amountCents: { ledger: 100, balance: 50 }, waiting: 1 },
      purchases: [
        {
          ...{ id: 'p1', kind: 'buy', state: 'credited', bundle: 'BIG', units: 5, amountCents: 99 },
          ...{ currency: 'USD', createdAtMs: T1, refundedCents: 50, disputedCents: 0, paymentId: 'pi_1' },
          paidAtMs: T2,
        },
        {
          ...{ id: 'p2', kind: 'buy', state: 'open', bundle: 'BIG', units: 5, amountCents: 99 },
          ...{ currency: 'USD', createdAtMs: T1, refundedCents: 0, disputedCents: 99 },
        },
      ],
      cards: [
        {
          ...{ cardId: 'pm_1', isDefault: true, declined: true, reason: 'lost' },
          card: { brand: 'visa', last4: '4242', expYear: 2032, expMonth: 2, createdMs: T1 },
        },
        {
          ...{ cardId: 'pm_2', isDefault: false },
          card: { brand: 'visa', last4: '0005', expYear: 2030, expMonth: 11, createdMs: T1 },
        },
      ],
      mails: {
        queued: [{ template: 'security', sinceMs: T1, failures: 2, to: 'hidden' }],
        ended: [
          { template: 'security', event: 'key-created', outcome: 'sent', endedAtMs: T2 },
          { template: 'code', outcome: 'sent', endedAtMs: T2 },
        ],
      },
      notices: [{ id: 'n1', messageType: 'm', message: 'M', createdAtMs: T1 }],
      openWork: [{ kind: 'MAIL', dueAtMs: T1 }],
      audit: [
        { id: 'e1', atMs: T1, action: 'a', by: 'owner', ip: 'hidden' },
        {
          ...{ id: 'e2', atMs: T1, action: 'a', by: 'operator', name: 'eve', reason: 'r' },
          ...{ before: { a: 1 }, after: { a: 2 } },
        },
      ],
    }
    expect(accountPageShape(part(page), ['a2'])).toMatchObject({
      account: {
        ...{ pendingEmail: 'new@example.com', name: 'Ada', lastLoginAt: ISO2, eraseAt: ISO3 },
        ...{ country: 'DE', customerId: 'cus_1' },
      },
      delivery: { undeliverable: true, reason: 'bounced' },
      access: {
        ...{ twofa: true, recoveryFinishesAt: ISO1 },
        passkeys: [{ name: 'phone', createdAt: ISO1, lastUsedAt: ISO2 }],
        sessions: [
          { device: 'Firefox', since: ISO1, lastSeen: ISO2 },
          { device: null, since: ISO2, lastSeen: ISO3 },
        ],
      },
      keys: {
        count: 1,
        further: [
          { id: 'k1', createdAt: ISO1, enabled: false, expiresAt: ISO2 },
          { id: 'k2', createdAt: ISO1, enabled: true, expiresAt: null },
        ],
      },
      units: { bundle: 'BIG', left: 7, used: 8, reserved: 9, owed: 5, low: true },
      renewal: { state: 'paused', reason: 'declined', nextAttemptAt: ISO1 },
      ledgerCheck: { right: false, by: 3, units: 4, amount: { ledger: 1, balance: 0.5 }, waiting: 1 },
      purchases: [
        { amount: 0.99, paymentId: 'pi_1', createdAt: ISO1, paidAt: ISO2, refunded: 0.5, disputed: 0 },
        { paymentId: null, paidAt: null, refunded: 0, disputed: 0.99 },
      ],
      cards: [
        {
          ...{ id: 'pm_1', brand: 'visa', last4: '4242', expires: '2032-02', default: true },
          ...{ declined: true, reason: 'lost', addedAt: ISO1 },
        },
        { expires: '2030-11', default: false, declined: false, reason: null },
      ],
      mails: {
        queued: [{ template: 'security', since: ISO1, failures: 2 }],
        sent: [
          { template: 'security', event: 'key-created', outcome: 'sent', at: ISO2 },
          { template: 'code', event: null, outcome: 'sent', at: ISO2 },
        ],
      },
      notices: [{ id: 'n1', type: 'm', message: 'M', at: ISO1 }],
      openWork: [{ kind: 'MAIL', dueAt: ISO1 }],
      audit: [
        { id: 'e1', at: ISO1, action: 'a', by: 'owner', name: null, reason: null, before: null, after: null },
        { id: 'e2', name: 'eve', reason: 'r', before: { a: 1 }, after: { a: 2 } },
      ],
      complete: false,
      alike: ['a2'],
    })
    expect(JSON.stringify(accountPageShape(part(page), []))).not.toContain('hidden')
    const erased = { ...page, account: { ...page.account, erasedAtMs: T3 }, ledgerCheck: { isRight: true } }
    const { account, ledgerCheck } = accountPageShape(part(erased), [])
    expect(account.eraseAt).toBeNull()
    expect(ledgerCheck).toMatchObject({ right: true, units: null, amount: null })
  })

  test('a notice has EMCP’s names', () => {
    expect(emcpNotice(part({ id: 'n1', messageType: 'm', message: 'M', createdAtMs: T1 }))).toEqual({
      ...{ _id: 'n1', messageType: 'm', message: 'M', createdAt: ISO1 },
    })
  })
})

describe('an export', () => {
  test('has times and amounts in all depths, and says in which currency', () => {
    const purchase = {
      ...{ id: 'p1', currency: 'jpy', amountCents: 150, atMs: T1, ttl: 1_795_262_400, triedMs: [T1, T2] },
      ...{ never: 0, neverAtMs: 0, plan: { priceCents: 5, sinceMs: T2 }, list: [{ cents: 3 }, 'x', null] },
    }
    const entries = [purchase, { name: 'ada', nested: { whenMs: T3 } }, { feeCents: 150 }]
    const page = { exportedAtMs: T1, currency: 'USD', sections: { purchases: entries } }
    expect(exportedPage(part(page))).toEqual({
      ...{ version: 1, exportedAt: ISO1, next: null },
      purchases: [
        {
          ...{ id: 'p1', currency: 'JPY', amount: 150, at: ISO1, expires: '2026-11-21T12:00:00.000Z' },
          ...{ tried: [ISO1, ISO2], never: 0, plan: { price: 5, since: ISO2 } },
          list: [{ amount: 3 }, 'x', null],
        },
        { name: 'ada', nested: { when: ISO3 } },
        { fee: 1.5, currency: 'USD' },
      ],
    })
    const more = exportedPage(part({ ...page, sections: {}, omitted: { a: 1 }, elsewhere: ['x'], next: 'c' }))
    expect(more).toEqual({
      ...{ version: 1, exportedAt: ISO1, omitted: { a: 1 }, elsewhere: ['x'], next: 'c' },
    })
  })

  test('leaves values of other types as they are', () => {
    const page = { exportedAtMs: T1, currency: 'USD' }
    const entry = { ttl: 'never', feeCents: 'none', atMs: 'unknown', currency: 7 }
    expect(exportedPage(part({ ...page, sections: { odd: [entry] } })).odd).toEqual([
      { ttl: 'never', feeCents: 'none', at: 'unknown', currency: 'USD' },
    ])
  })
})

test('times and days', () => {
  expect([epochSeconds(T1), timeMs(ISO1), isoMonth(T1)]).toEqual([1_795_262_400, T1, '2026-11'])
  expect([dayText(20_778), dayOfTime(T1), dayOfTime('2026-11-21')]).toEqual(['2026-11-21', 20_778, 20_778])
  const startMs = Date.UTC(2026, 10, 21)
  expect([dayStartMs('2026-11-21'), dayEndMs('2026-11-21')]).toEqual([startMs, startMs + 86_399_999])
})
