import { TOTP } from 'otpauth'
import { blockCard } from '../../core/cards/blocks.ts'
import { recoveryLinkCode } from '../../core/notifications/recovery-link.ts'
import { renewalLinkCode } from '../../core/notifications/renewal-link.ts'
import { defaultCatalogue } from '../../core/purchases/catalogue.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { HOUR_MS } from '../../core/time.ts'
import type { Placed } from '../../functions/http/route.ts'
import { newAdminKey, newAdminKeyName } from './admin-keys.ts'
import type { App } from './app.ts'
import { ADDRESS, shown, signUpFor } from './buyers.ts'
import { makeOperator } from './console.ts'
import { loseFactors, recoveryCode } from './credentials.ts'
import { defaultKey as applicationKey } from './keys.ts'
import { operate } from './operate.ts'
import { adminKeyToken, operatorToken } from './operators.ts'
import { answerOf, newPasskey, withPasskey } from './passkeys.ts'
import { newPerson, type SignedInPerson } from './people.ts'
import { newService, newServiceName } from './services.ts'
import { bodyOf, cardOnFile, customerWithCards, newEvent, signed, stripeOf } from './stripe.ts'

/** Input with which an endpoint succeeds for this person, once. */
export interface Sample {
  path?: Record<string, string>
  query?: Record<string, string>
  body?: Record<string, unknown>
  /** For a row that reads the raw body: the JSON text to send, and its headers. */
  raw?: { body: string; headers: Record<string, string> }
}

/** Every setting of an application key. */
const KEY_SETTINGS = {
  enabled: true,
  expiresAt: '2027-11-21T12:00:00Z',
  scopes: ['read'],
  budget: { units: 1000, per: 'day' },
  rate: { unitsPerSecond: 10, burst: 100 },
  ip: ['203.0.113.0/24', '2001:db8::/32'],
  metadata: { plan: 'gold' },
}

/**
 * A sample for each row that takes input or needs something to exist first, by `<dialect>.<name>`. Every
 * optional field is present, so that tests can try hostile values in each field.
 */
export const samples: Record<string, (app: App, person: SignedInPerson) => Sample | Promise<Sample>> = {
  'api.deletePaymentMethod': async (app, person) => ({ path: { id: await cardOnFile(app, person) } }),
  'api.billingHistory': (_, { accountId }) => ({
    path: { id: accountId },
    query: { page: '1', limit: '10' },
  }),
  'api.lastInvoice': async (app, person) => {
    await withBundle(app, person)
    return { path: { id: person.accountId } }
  },
  'api.setBillingSettings': () => ({
    body: {
      address1: 'Main st. 1',
      address2: 'Floor 2',
      city: 'York',
      company: 'Rezet',
      country: 'GB',
      state: 'North',
      zip: 'YO31 8SB',
      taxId: 'GB 123-4567',
    },
  }),
  'api.notifications': () => ({ query: { limit: '10' } }),
  'api.restore': async (app) => {
    const { email, password, accessToken: token } = await app.signUp()
    await app.request('PUT', '/api/users/current/deactivate', { token })
    return { body: { email, password } }
  },
  'api.retrieve': async (app, person) => {
    await cardOnFile(app, person)
    return {}
  },
  'api.updateCurrentUser': (_, { password }) => ({
    body: { name: 'Sam Ple', oldPassword: password, newPassword: 'Other123!' },
  }),
  'api.verifyPayment': () => ({ body: { paymentMethod: 'pm_card_visa' } }),
  'ops.credit': order({ amountCents: 500 }),
  'ops.debit': async (app, person) => {
    await operate(app, person, 'credit', { amountCents: 1000 })
    return order({ amountCents: 500 })(app, person)
  },
  'ops.grant': order({ units: 500, expiresAt: '2027-11-21T12:00:00Z' }),
  'ops.reconcile': () => ({ body: { reason: 'a ticket' } }),
  'ops.reconcileAccount': order({ cursor: 'f'.repeat(24) }),
  'ops.refund': async (app, person) => {
    await withBundle(app, person)
    const [{ id: purchase }] = await shown(app, person, '/v1/invoice/list')
    const sample = order({ what: 'amount', amountCents: 33 })(app, person)
    return { ...sample, path: { ...sample.path, purchase } }
  },
  'ops.take': order({ units: 50, owe: true }),
  'ops.importUsers': async (app) => {
    const { email, username } = newPerson()
    const user = {
      email,
      username,
      fullName: 'Sam Ple',
      created: '2020-01-31T12:00:00Z',
      units: 5000,
      customer: await customerWithCards(app, 1),
      passwordHash: '$2b$04$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy',
    }
    return { body: { reason: 'moving house', dryRun: false, invite: true, users: [user] } }
  },
  'ops.find': (_, { email }) => ({ query: { query: email } }),
  'ops.listAccounts': () => ({
    query: {
      ...{ standing: 'active', bundle: 'STARTER', paid: 'true', low: 'true', owed: 'true' },
      ...{ undeliverable: 'true', from: '2026-11-01', to: '2026-11-30', cursor: 'f'.repeat(24) },
    },
  }),
  'ops.totals': () => ({ query: { from: '2026-11-01', to: '2026-11-30' } }),
  'ops.top': () => ({ query: { by: 'used', month: '2026-11', limit: '10' } }),
  'ops.timeline': (_, { accountId }) => ({
    path: { id: accountId },
    query: { cursor: Buffer.from('{}').toString('base64url') },
  }),
  'ops.showPlans': () => ({ query: { version: '0' } }),
  'ops.listPlanVersions': () => ({ query: { limit: '10', cursor: '5' } }),
  'ops.comparePlans': () => ({ body: { catalogue: defaultCatalogue } }),
  'ops.applyPlans': () => {
    const more = { name: 'SAMPLE', units: 10, prices: { USD: 100 }, hidden: true }
    const catalogue = { ...defaultCatalogue, plans: [...defaultCatalogue.plans, more] }
    return { body: { catalogue, replaces: 0, reason: 'A sample' } }
  },
  'ops.listCoupons': () => ({ query: { limit: '10', cursor: 'AAAA' } }),
  'ops.addCoupon': () => ({
    body: {
      code: 'SAMPLE',
      percent: 10,
      limit: 5,
      perAccount: 1,
      from: '2026-11-01T00:00:00Z',
      to: '2099-11-21T12:00:00Z',
      reason: 'A sample',
    },
  }),
  'ops.stopCoupon': async (app) => {
    const code = `STOP-${newPerson().username.toUpperCase()}`.slice(0, 32)
    return { path: { code: await newCoupon(app, code) }, body: { reason: 'A sample' } }
  },
  'ops.suspend': (_, { accountId }) => ({
    path: { id: accountId },
    body: { reason: 'A sample', silent: false },
  }),
  'ops.resume': after(['suspend', {}]),
  'ops.signOut': ofOperator(),
  'ops.resetTwoFactor': async (app, person) => {
    await loseFactors(app, person)
    return { path: { id: person.accountId }, body: { reason: 'A sample', proof: 'A passport' } }
  },
  'ops.keepTwoFactor': async (app, person) => {
    await loseFactors(app, person)
    return after(['reset-2fa', {}])(app, person)
  },
  'ops.changeEmail': (_, { accountId }) => ({
    path: { id: accountId },
    body: { reason: 'A sample', email: newPerson().email, proof: 'A passport' },
  }),
  'ops.keepEmail': (app, person) => after(['change-email', { email: newPerson().email }])(app, person),
  'ops.resendMail': ofOperator(),
  'ops.unlock': ofOperator(),
  'ops.close': ofOperator({ units: 'forfeit' }),
  'ops.reopen': after(['close', { units: 'forfeit' }]),
  'ops.erase': (_, { accountId }) => ({
    path: { id: accountId },
    body: { reason: 'A sample', confirm: accountId },
  }),
  'ops.exportAccount': ofOperator({ cursor: Buffer.from('#A').toString('base64url') }),
  'v1.keyLogin': async (app, person) => ({ body: { key: await applicationKey(app, person) } }),
  'v1.register': () => {
    const { email, password } = newPerson()
    return { body: { name: 'Richard', surname: 'Hill', email, password } }
  },
  'rest.createApp': () => ({ body: { appname: 'sample', corsurl: 'app.example.com' } }),
  'rest.getApp': async (app, person) => ({ path: { apiKey: await newKey(app, person) } }),
  'rest.updateApp': async (app, person) => ({
    path: { apiKey: await newKey(app, person) },
    body: { appname: 'renamed', corsurl: 'app.example.com' },
  }),
  'rest.deleteApp': async (app, person) => ({ path: { apiKey: await newKey(app, person) } }),
  'rest.createUser': () => ({ body: { ...newPerson() } }),
  'rest.getUser': (_, { username }) => ({ path: { username } }),
  'rest.updateUser': (_, person) => {
    const { username, email } = newPerson()
    return { path: { username: person.username }, body: { username, email } }
  },
  'v1.addPasskey': async (app, person) => ({
    body: { name: 'sample', passkey: await newPasskey(app, person) },
  }),
  'v1.passkeyLogin': async (app, person) => {
    const passkey = await answerOf(app, await withPasskey(app, person))
    return { body: { passkey } }
  },
  'v1.removePasskey': async (app, person) => ({
    path: { id: (await withPasskey(app, person)).passkeyId },
  }),
  'v1.renamePasskey': async (app, person) => ({
    path: { id: (await withPasskey(app, person)).passkeyId },
    body: { name: 'renamed' },
  }),
  'v1.activate': async (app) => {
    const person = newPerson()
    await app.register(person)
    return { body: { code: app.mailedCode(person.email) } }
  },
  'v1.beginRecovery': async (app) => {
    const person = await app.signUp()
    await loseFactors(app, person)
    return { body: { code: await recoveryCode(app, person.email) } }
  },
  'v1.buy': async (app, person) => {
    await withBundle(app, person)
    return { body: { coupon: await newCoupon(app) } }
  },
  'v1.changeBundle': async (app, person) => {
    await withBundle(app, person)
    return { path: { bundleName: 'developer' }, body: { coupon: await newCoupon(app) } }
  },
  'v1.changeCard': () => ({ body: { paymentMethod: 'pm_card_visa', address: ADDRESS } }),
  'v1.changePassword': (_, { password }) => ({ body: { password: 'Other123!', oldPassword: password } }),
  'v1.confirmSession': (_, { password }) => ({ body: { password } }),
  'v1.consume': () => ({ body: { units: 1, requestId: 'sample-1', tag: 'sample', requires: [] } }),
  'v1.consumeBatch': () => ({
    body: {
      requests: [
        { units: 1, requestId: 'sample-2' },
        { units: 1_000_000, requestId: 'sample-3', tag: 'sample' },
      ],
      tag: 'sample',
      requires: [],
    },
  }),
  'v1.createKey': () => ({ body: { name: 'sample', ...KEY_SETTINGS } }),
  'v1.changeKey': async (app, person) => ({
    path: { id: await newKey(app, person) },
    body: { name: 'changed', ...KEY_SETTINGS },
  }),
  'v1.deleteKey': async (app, person) => ({ path: { id: await newKey(app, person) } }),
  'v1.finishRecovery': async (app) => {
    const person = await app.signUp()
    await loseFactors(app, person, Date.now() - 72 * HOUR_MS)
    return { body: { code: await recoveryCode(app, person.email), password: 'Other123!' } }
  },
  'v1.deleteUser': () => ({ body: { units: 'forfeit' } }),
  'v1.exportUser': () => ({ body: { cursor: Buffer.from('#PROFILE').toString('base64url') } }),
  'v1.getInvoice': async (app, person) => {
    await withBundle(app, person)
    const [invoice] = await shown(app, person, '/v1/invoice/list')
    return { path: { id: invoice.id } }
  },
  'v1.getPurchase': async (app, person) => {
    await withBundle(app, person)
    const [invoice] = await shown(app, person, '/v1/invoice/list')
    return { path: { id: invoice.id } }
  },
  'v1.listInvoices': () => ({ query: { limit: '10', cursor: 'f'.repeat(24) } }),
  'ops.auditOfAccount': (_, { accountId }) => ({ path: { id: accountId } }),
  'ops.auditOfOperator': () => ({ path: { name: 'ada' }, query: { day: '2026-11-21' } }),
  'v1.listActivity': () => ({
    query: { limit: '10', cursor: '1795262400000.0b8e3f5c-7d1a-4c2b-9e6f-1a2b3c4d5e6f' },
  }),
  'v1.listLedger': () => ({ query: { limit: '10', cursor: '0' } }),
  'v1.login': (_, { email, password }) => ({ body: { email, password } }),
  'v1.endSession': async (app, person) => ({ path: { id: await otherSession(app, person) } }),
  'v1.logout': (_, { refreshToken }) => ({ body: { everywhere: true, refreshToken } }),
  'v1.refresh': (_, { refreshToken }) => ({ body: { refreshToken } }),
  'v1.removeTwoFactor': async (app, person) => {
    const json = { code: await enrolled(app, person) }
    const { body } = await app.request('POST', '/v1/auth/verify2FA', { token: person.accessToken, json })
    return { body: { code: body.recoveryCodes[0] } }
  },
  'v1.requestPasswordReset': (_, { email }) => ({ body: { email } }),
  'v1.requestRecovery': (_, { email }) => ({ body: { email } }),
  'v1.resend': (_, { email }) => ({ body: { email } }),
  'v1.resetPassword': async (app, { email }) => {
    await app.request('POST', '/v1/user/resetPassword', { json: { email } })
    await app.job('send-mail')
    return { body: { code: app.mailedCode(email), password: 'Other123!', restore: true } }
  },
  'v1.lease': () => ({
    body: { units: 1, requestId: 'sample-6', ttlSeconds: 60, unreported: 'charge', requires: [] },
  }),
  'v1.renewLease': async (app, person) => ({
    path: { id: await reserved(app, person, 'leases') },
    body: { units: 2, ttlSeconds: 60, use: [{ units: 1, tag: 'chat' }], requestId: 'sample-7' },
  }),
  'v1.returnLease': async (app, person) => ({
    path: { id: await reserved(app, person, 'leases') },
    body: { use: [{ units: 1 }], requestId: 'sample-8' },
  }),
  'v1.reserve': () => ({ body: { units: 1, requestId: 'sample-4', ttlSeconds: 60, requires: [] } }),
  'v1.returnReservation': async (app, person) => ({ path: { id: await reserved(app, person) } }),
  'v1.settleReservation': async (app, person) => ({
    path: { id: await reserved(app, person) },
    body: { units: 1, requestId: 'sample-5', tag: 'sample' },
  }),
  'v1.rotateKey': async (app, person) => ({
    path: { id: await newKey(app, person) },
    body: { graceSeconds: 60 },
  }),
  'v1.setAlerts': () => ({ body: { alerts: [{ below: 50 }, { below: '20%' }] } }),
  'v1.setFlags': () => ({ body: { bundleAutoRenewal: true, lowQuotaNotification: false } }),
  'v1.setRenewal': () => ({
    body: { monthlyCap: 25.5, maxPerHour: 5, maxPerDay: 20, below: '5%', bundle: 'STARTER' },
  }),
  'v1.signUpForBundle': async (app) => ({
    body: {
      name: 'STARTER',
      paymentMethod: 'pm_card_visa',
      address: ADDRESS,
      coupon: await newCoupon(app),
    },
  }),
  'v1.stopRecovery': async (app, { accountId, password }) => {
    const beganAtMs = Date.now()
    const { table } = await app.ports()
    await table.update(keys.profile(accountId), expr`SET #recovery = ${{ beganAtMs }}`)
    return { body: { password, twofa: '123456' } }
  },
  'v1.stopRecoveryByLink': async (app, { accountId }) => {
    const beganAtMs = Date.now()
    const ports = await app.ports()
    await ports.table.update(keys.profile(accountId), expr`SET #recovery = ${{ beganAtMs }}`)
    return { body: { code: recoveryLinkCode(ports, { accountId, beganAtMs }) } }
  },
  'v1.useRenewalLink': async (app, { accountId }) => {
    const ports = await app.ports()
    return { body: { code: renewalLinkCode(ports, { act: 'stop', accountId }) } }
  },
  'v1.usage': () => ({ query: { from: '2026-11-01', to: '2026-11-30' } }),
  'v1.verifyTwoFactor': async (app, person) => ({ body: { code: await enrolled(app, person) } }),
  'ops.listEventEndpoints': () => ({}),
  'ops.addEventEndpoint': () => ({
    body: { url: 'https://hooks.example/bursar', types: ['quota.low'], reason: 'our own system' },
  }),
  'ops.changeEventEndpoint': async (app) => ({
    path: { id: await newEventEndpoint(app) },
    body: { url: 'https://hooks.example/moved', types: ['quota.low'], enabled: true, reason: 'only these' },
  }),
  'ops.rotateEventEndpoint': async (app) => ({
    path: { id: await newEventEndpoint(app) },
    body: { reason: 'once a year' },
  }),
  'ops.listDeliveries': async (app) => ({
    path: { id: await newEventEndpoint(app) },
    query: { limit: '10', cursor: `1767225600000.${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}` },
  }),
  'ops.testEventEndpoint': async (app) => ({
    path: { id: await newEventEndpoint(app, 'http://127.0.0.1:9/') },
    body: { reason: 'does it arrive?' },
  }),
  'ops.replayEvents': async (app) => ({
    path: { id: await newEventEndpoint(app) },
    body: { since: '2026-01-01T00:00:00Z', until: '2033-01-01T00:00:00Z', reason: 'it was down' },
  }),
  'ops.addOperator': (_, { username }) => ({
    body: { account: username, role: 'support', reason: 'joins the support desk' },
  }),
  'ops.removeOperator': async (app, { accountId, username }) => {
    await makeOperator(app, accountId, 'support')
    return { path: { name: username }, body: { reason: 'leaves' } }
  },
  'ops.listBlockedCards': () => ({}),
  'ops.listMailDomains': () => ({}),
  'ops.ruleMailDomain': (_, { accountId }) => ({
    body: { domain: `a${accountId}.example`, rule: 'block', reason: 'floods of accounts' },
  }),
  'ops.blockCard': (_, { accountId }) => ({
    body: { card: `stolen${accountId}`, reason: 'tested with stolen numbers' },
  }),
  'ops.unblockCard': async (app, { accountId }) => {
    const card = `cleared${accountId}`
    await blockCard(await app.ports(), card, 'tested')
    return { body: { card, reason: 'the holder has shown that it is theirs' } }
  },
  'ops.addService': () => ({ body: { name: newServiceName(), reason: 'a gateway' } }),
  'ops.revokeService': async (app) => {
    const { name } = await newService(app)
    return { path: { name }, body: { reason: 'out of use' } }
  },
  'ops.addAdminKey': () => ({
    body: { name: newAdminKeyName(), role: 'support', reason: 'the back office' },
  }),
  'ops.revokeAdminKey': async (app) => {
    const { name } = await newAdminKey(app, 'read')
    return { path: { name }, body: { reason: 'out of use' } }
  },
  'admin.listUsers': () => ({ query: { page: '1', limit: '10' } }),
  'admin.suspendUser': ofOperator(),
  'admin.activateUser': after(['suspend', {}]),
  'admin.listInvoices': () => ({ query: { page: '1', limit: '10' } }),
  'admin.listUserInvoices': (_, { accountId }) => ({
    path: { id: accountId },
    query: { page: '1', limit: '10' },
  }),
  'admin.getQuota': (_, { accountId }) => ({ path: { id: accountId } }),
  'admin.setQuota': ofOperator({ left: 500 }),
  'webhooks.stripe': (app) => {
    const body = bodyOf(newEvent('customer.updated', { id: 'cus_nobody', object: 'customer' }))
    const signature = signed(body, stripeOf(app).double.webhookSecret)
    return { raw: { body, headers: { 'stripe-signature': signature } } }
  },
}

async function withBundle(app: App, person: SignedInPerson): Promise<void> {
  const { status } = await signUpFor(app, person, 'STARTER', 'pm_card_visa')
  if (status !== 204) throw new Error(`signing up for a bundle answered ${status}`)
}

async function reserved(app: App, person: SignedInPerson, kind = 'reservations'): Promise<string> {
  const token = await applicationKey(app, person)
  const { body } = await app.request('POST', `/v1/usage/${kind}`, { token, json: { units: 2 } })
  return body.id
}

/** Signs in once more. @returns the id of that session. */
async function otherSession(app: App, person: SignedInPerson): Promise<string> {
  await app.login(person)
  const sessions = await shown(app, person, '/v1/auth/sessions')
  return sessions.find(({ current }: { current: boolean }) => !current).id
}

async function newKey(app: App, { accessToken: token }: SignedInPerson): Promise<string> {
  const { body } = await app.request('POST', '/v1/keys', { token, json: { name: 'sample' } })
  return body.id
}

/** The sample of an operator's row about the person's account that wants a reason. */
function ofOperator(more: object = {}) {
  return (_: App, { accountId }: SignedInPerson): Sample => ({
    path: { id: accountId },
    body: { reason: 'A sample', ...more },
  })
}

/** As `ofOperator`, for a row that undoes what an operator has done. */
function after([what, body]: [what: string, body: Record<string, unknown>]) {
  return async (app: App, person: SignedInPerson): Promise<Sample> => {
    await operate(app, person, what, body)
    return ofOperator()(app, person)
  }
}

/** Starts the enrolment of two-factor authentication. @returns the code that the app shows now. */
async function enrolled(app: App, { accessToken: token }: SignedInPerson): Promise<string> {
  const { body } = await app.request('POST', '/v1/auth/2FA', { token })
  return new TOTP({ secret: body.seed }).generate({ timestamp: Date.now() })
}

/** A sample of an order of an operator about the person's account. */
function order(body: Record<string, unknown>) {
  return (_: App, { accountId }: SignedInPerson) => ({
    path: { id: accountId },
    body: { ...body, reason: 'a ticket' },
  })
}

/** The access token or application key that a row needs in the Authorization header, if any. */
export async function tokenOf(app: App, row: Placed, person: SignedInPerson): Promise<string | undefined> {
  if (row.auth === 'public' && !row.token) return undefined
  if (row.auth === 'operator') return operatorToken(row.role)
  if (row.auth === 'admin-key') return adminKeyToken((await newAdminKey(app, row.role)).credential)
  return row.auth !== 'key' ? person.accessToken : applicationKey(app, person)
}

export const rowKey = (row: Placed): string => `${row.dialect}.${row.name}`

/** A row's sample; empty for a row that takes no input. */
export const sampleOf = async (app: App, row: Placed, person: SignedInPerson): Promise<Sample> =>
  (await samples[rowKey(row)]?.(app, person)) ?? {}

/** An endpoint for events. @returns its id. */
/** A coupon that gives units on top, as often as anybody likes. @returns its code */
async function newCoupon(app: App, code = 'ON-TOP'): Promise<string> {
  const json = { code, units: 5, perAccount: 1000, reason: 'A sample' }
  await app.request('POST', '/ops/admin/coupons', { operator: 'admin', json })
  return code
}

async function newEventEndpoint(app: App, url = 'https://hooks.example/bursar'): Promise<string> {
  const { body: known } = await app.request('GET', '/ops/read/endpoints', { operator: 'read' })
  // There may be a few of them only.
  const same = known.endpoints?.find((each: { url: string }) => each.url === url)
  if (same) return same.id
  const json = { url, reason: 'our own system' }
  return (await app.request('POST', '/ops/admin/endpoints', { operator: 'admin', json })).body.endpoint.id
}
