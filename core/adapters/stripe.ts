import { domainToASCII } from 'node:url'
import Stripe from 'stripe'
import { isConfirmationToken } from '../cards/confirmation-token.ts'
import { DomainError, type RateLimit, rateLimited, rateLimitOf } from '../errors.ts'
import type {
  Charge,
  CustomerChanges,
  Dispute,
  FraudWarning,
  NewPayment,
  NewRefund,
  OutcomeUnknown,
  Page,
  Payment,
  PaymentCard,
  PaymentCustomer,
  PaymentEvent,
  PaymentPurpose,
  PaymentRefused,
  Payments,
  Refund,
  RefundRefused,
  Reversal,
  ReversalKind,
  SignedWebhook,
} from '../ports.ts'
import { keptConnections, wasForgotten } from './kept-connections.ts'
import {
  addressParams,
  cardOf,
  chargeOf,
  declineOf,
  disputeOf,
  eventOf,
  fraudWarningOf,
  type ListedReversal,
  paymentOf,
  refundedPaymentOf,
  refundOf,
  reversalOf,
  toPaymentCustomer,
} from './stripe-views.ts'

/**
 * The API version of the package's types and of the test double. Change it only together with the package.
 */
export const STRIPE_API_VERSION = '2026-10-28.endive'

const WEBHOOK_TOLERANCE_SECONDS = 300

export interface StripeConfig {
  secretKey: string
  /** Base URL of a server with Stripe's API, without a path; Stripe itself by default. */
  apiBase?: string
  /** Longest time of one attempt, ms; there is one retry. */
  timeoutMs?: number
}

/** Payments by Stripe. Import this file only when payments are needed, because it loads the whole SDK. */
export function stripePayments({ secretKey, apiBase, timeoutMs = 8000 }: StripeConfig): Payments {
  const stripe = new Stripe(secretKey, {
    apiVersion: STRIPE_API_VERSION,
    timeout: timeoutMs,
    maxNetworkRetries: 1,
    telemetry: false,
    httpClient: httpClientFor(apiBase?.startsWith('http:') ? 'http:' : 'https:'),
    ...(apiBase === undefined ? {} : addressOf(apiBase)),
  })
  return {
    createCustomer: (accountId, deletedCustomerId) => createCustomer(stripe, accountId, deletedCustomerId),
    updateCustomer: (id, changes) => updateCustomer(stripe, id, changes),
    readCustomer: (id) => readCustomer(stripe, id),
    findCustomers: (accountId, email) => findCustomers(stripe, accountId, email),
    deleteCustomer: (id) => deleteCustomer(stripe, id),
    readCard: (id) => readCard(stripe, id),
    cardFingerprintOf: (asked) => cardFingerprintOf(stripe, asked),
    listCards: (customerId) => listCards(stripe, customerId),
    attachCard: (id, customerId) => attachCard(stripe, id, customerId),
    detachCard: (id) => detachCard(stripe, id),
    createPayment: (payment) => createPayment(stripe, payment),
    confirmPayment: (id, purpose, card) => confirmPayment(stripe, id, purpose, card),
    cancelPayment: (id) => cancelPayment(stripe, id),
    readPayment: (id) => readPayment(stripe, id),
    listPayments: (filter, cursor) => listPayments(stripe, filter, cursor),
    readCharge: (id) => readCharge(stripe, id),
    readDispute: (id) => readDispute(stripe, id),
    createRefund: (refund) => createRefund(stripe, refund),
    findRefund: (paymentId, refund) => findRefund(stripe, paymentId, refund),
    readRefund: (id) => readRefund(stripe, id),
    readFraudWarning: (id) => readFraudWarning(stripe, id),
    listReversals: (kind, sinceMs, cursor) => listReversals(stripe, kind, sinceMs, cursor),
    readEvent: async (webhook) => readEvent(stripe, webhook),
    listUndelivered: (created, cursor) => listUndelivered(stripe, created, cursor),
  }
}

/** A try over a connection that Stripe had forgotten does not count. Its repetition has the same idempotency key. */
function httpClientFor(protocol: string): Stripe.HttpClient {
  const client = Stripe.createNodeHttpClient(keptConnections(protocol))
  const makeRequest = client.makeRequest.bind(client)
  client.makeRequest = (...request) =>
    makeRequest(...request).catch((error: unknown) => {
      if (!wasForgotten(error)) throw error
      return makeRequest(...request)
    })
  return client
}

function addressOf(apiBase: string): { host: string; port: string; protocol: 'http' | 'https' } {
  const { hostname, port, protocol } = new URL(apiBase)
  const secure = protocol === 'https:'
  return { host: hostname, port: port || (secure ? '443' : '80'), protocol: secure ? 'https' : 'http' }
}

// --- Answers and refusals ---

/** Stripe understood the request and refused it. Nothing happened beyond what the error says. */
type Refusal = Stripe.errors.StripeCardError | Stripe.errors.StripeInvalidRequestError

/**
 * Returns the answer or the refusal. After any other outcome (no connection, a time-out, a torn body, 409,
 * 5xx, an idempotency key reused with other parameters, a body of another kind) the effect of the call is
 * unknown. After a 429 the call had no effect, because Stripe refuses it before it begins the work; but the
 * SDK may have lost an earlier attempt of the same call.
 * @throws DomainError `temporarily_unavailable` if the effect is unknown; the same with a `RateLimit` after a
 *   429; `internal_error` if Stripe refuses our secret key.
 */
async function answerOf<T extends { object: string }>(
  object: T['object'],
  call: PromiseLike<T>,
): Promise<T | Refusal> {
  try {
    const answer = await call
    // The SDK treats any JSON without an `error` member as a success, whatever the status.
    if (answer.object === object) return answer
  } catch (error) {
    if (isRefusal(error)) return error
    if (error instanceof Stripe.errors.StripeRateLimitError) throw limited(error)
    const misconfigured =
      error instanceof Stripe.errors.StripeAuthenticationError ||
      error instanceof Stripe.errors.StripePermissionError
    throw new DomainError(misconfigured ? 'internal_error' : 'temporarily_unavailable', {
      cause: traceOf(error),
    })
  }
  throw new DomainError('temporarily_unavailable', { cause: new Error(`Stripe answered with no ${object}`) })
}

function isRefusal(answer: unknown): answer is Refusal {
  return (
    answer instanceof Stripe.errors.StripeCardError ||
    answer instanceof Stripe.errors.StripeInvalidRequestError
  )
}

const isMissing = (refusal: Refusal) => refusal.code === 'resource_missing'

/** Why the card or the customer cannot be used at all; undefined if the refusal has another reason. */
function refusedFor(refusal: Refusal): PaymentRefused | undefined {
  if (refusal.param === 'customer' && isMissing(refusal)) {
    return { status: 'refused', reason: 'customer_missing' }
  }
  // Stripe refuses a used-up or detached card without a code or a parameter; only the message says so.
  if (refusal.param === 'payment_method' || /may not be used again/.test(refusal.message)) {
    return { status: 'refused', reason: 'card_unusable' }
  }
  return undefined
}

/** The error for a refusal that no input of a caller can cause. */
function unexpected(refusal: Refusal): DomainError {
  return new DomainError('internal_error', { cause: traceOf(refusal) })
}

/** Kinds of limits by the first word of Stripe's header. `resource-specific` and others concern one object. */
const LIMIT_SCOPES: Readonly<Record<string, RateLimit['scope']>> = { global: 'all', endpoint: 'endpoint' }

/** The error for a 429. `lock_timeout` means that another call is working on the same object. */
function limited(error: Stripe.errors.StripeRateLimitError): DomainError {
  const { headers, code } = error
  const [kind = ''] = (headers?.['stripe-rate-limited-reason'] ?? 'endpoint').split('-')
  const scope = code === 'lock_timeout' ? 'object' : (LIMIT_SCOPES[kind] ?? 'object')
  const retryAfterSeconds = Number(headers?.['retry-after'])
  return rateLimited(
    { scope, retryAfterSeconds: retryAfterSeconds > 0 ? retryAfterSeconds : undefined },
    traceOf(error),
  )
}

/** Stripe's error without its message and body, which would carry secrets and personal data into a log. */
function traceOf(error: unknown): Error {
  if (!(error instanceof Stripe.errors.StripeError)) {
    return new Error(`Stripe client: ${error instanceof Error ? error.name : typeof error}`)
  }
  const { type, statusCode, code, param, requestId, detail, headers } = error
  const network = detail instanceof Error && 'code' in detail ? detail.code : undefined
  const parts = { status: statusCode, code, param, network, request: requestId }
  const known = Object.entries(parts).flatMap(([name, value]) =>
    value === undefined ? [] : `${name}=${value}`,
  )
  return Object.assign(new Error([type, ...known].join(' ')), {
    replayed: headers?.['idempotent-replayed'] === 'true',
  })
}

/**
 * Creates an object under an idempotency key. After an internal failure, Stripe repeats that failure under
 * the same key for 24 hours, so a second key is tried. If the first call created an object nevertheless, the
 * object is harmless: an unconfirmed intent or a customer without cards.
 */
async function createOnce<T extends { object: string }>(
  object: T['object'],
  key: string,
  create: (options: Stripe.RequestOptions) => PromiseLike<T>,
): Promise<T | Refusal> {
  try {
    return await answerOf(object, create({ idempotencyKey: key }))
  } catch (error) {
    if (!isReplayed(error)) throw error
    return await answerOf(object, create({ idempotencyKey: `${key}:again` }))
  }
}

/** Whether Stripe repeated the failure of an earlier call under the same key: that call has ended. */
function isReplayed(error: unknown): boolean {
  const cause = error instanceof DomainError ? error.cause : undefined
  return cause instanceof Error && 'replayed' in cause && cause.replayed === true
}

// --- Customers ---

async function createCustomer(
  stripe: Stripe,
  accountId: string,
  deletedCustomerId: string | undefined,
): Promise<PaymentCustomer> {
  const key = ['customer', accountId, deletedCustomerId].filter((part) => part !== undefined).join(':')
  const answer = await createOnce<Stripe.Customer>('customer', key, (options) =>
    stripe.customers.create({ metadata: { account: accountId } }, options),
  )
  if (isRefusal(answer)) throw unexpected(answer)
  return toPaymentCustomer(answer)
}

async function updateCustomer(
  stripe: Stripe,
  customerId: string,
  changes: CustomerChanges,
): Promise<PaymentCustomer> {
  const { email, name, address, defaultPaymentMethodId } = changes
  const params: Stripe.CustomerUpdateParams = {
    ...(email !== undefined && { email }),
    ...(name !== undefined && { name }),
    ...(address !== undefined && { address: addressParams(address) }),
    ...(defaultPaymentMethodId !== undefined && {
      invoice_settings: { default_payment_method: defaultPaymentMethodId },
    }),
  }
  const answer = await answerOf<Stripe.Customer>('customer', stripe.customers.update(customerId, params))
  if (!isRefusal(answer)) return toPaymentCustomer(answer)
  if (isMissing(answer)) throw new DomainError('not_found', { cause: traceOf(answer) })
  // An address that Stripe does not take must not stop a payment.
  if (answer.param === 'email' && email !== undefined) {
    const { email: _, ...others } = changes
    return updateCustomer(stripe, customerId, others)
  }
  throw unexpected(answer)
}

async function readCustomer(
  stripe: Stripe,
  customerId: string,
): Promise<PaymentCustomer | 'deleted' | undefined> {
  const answer = await answerOf<Stripe.Customer | Stripe.DeletedCustomer>(
    'customer',
    stripe.customers.retrieve(customerId),
  )
  if (!isRefusal(answer)) return answer.deleted ? 'deleted' : toPaymentCustomer(answer)
  if (isMissing(answer)) return undefined
  throw unexpected(answer)
}

async function findCustomers(stripe: Stripe, accountId: string, email: string): Promise<string[]> {
  const page = await answerOf<Stripe.ApiList<Stripe.Customer>>(
    'list',
    stripe.customers.list({ email, limit: 100 }),
  )
  if (isRefusal(page)) throw unexpected(page)
  return page.data.filter(({ metadata }) => metadata.account === accountId).map(({ id }) => id)
}

async function deleteCustomer(stripe: Stripe, customerId: string): Promise<'deleted' | 'absent'> {
  const answer = await answerOf<Stripe.DeletedCustomer>('customer', stripe.customers.del(customerId))
  if (!isRefusal(answer)) return 'deleted'
  if (!isMissing(answer)) throw unexpected(answer)
  // Stripe refuses a second deletion as it refuses an unknown id.
  const found = await readCustomer(stripe, customerId)
  if (found === undefined) return 'absent'
  if (found === 'deleted') return 'deleted'
  throw unexpected(answer)
}

// --- Cards ---

/**
 * Whether the text has the form of an id. Card ids come from outside. A text without this form cannot be an
 * id, and as part of a path could lead to another resource.
 */
const isId = (text: string) => /^\w{1,255}$/.test(text)

async function readCard(stripe: Stripe, paymentMethodId: string): Promise<PaymentCard | undefined> {
  if (!isId(paymentMethodId)) return undefined
  const answer = await answerOf<Stripe.PaymentMethod>(
    'payment_method',
    stripe.paymentMethods.retrieve(paymentMethodId),
  )
  if (!isRefusal(answer)) return cardOf(answer)
  if (isMissing(answer)) return undefined
  throw unexpected(answer)
}

async function cardFingerprintOf(stripe: Stripe, asked: string): Promise<string | undefined> {
  if (!isConfirmationToken(asked)) return (await readCard(stripe, asked))?.fingerprint
  const token = isId(asked) ? await readToken(stripe, asked) : undefined
  return token?.payment_method_preview?.card?.fingerprint ?? undefined
}

async function listCards(stripe: Stripe, customerId: string): Promise<PaymentCard[]> {
  const cards: PaymentCard[] = []
  let cursor: string | undefined
  do {
    const answer = await answerOf<Stripe.ApiList<Stripe.PaymentMethod>>(
      'list',
      stripe.customers.listPaymentMethods(customerId, {
        type: 'card',
        limit: 100,
        ...(cursor !== undefined && { starting_after: cursor }),
      }),
    )
    if (isRefusal(answer)) {
      if (isMissing(answer)) return cards
      throw unexpected(answer)
    }
    cards.push(...answer.data.flatMap((method) => cardOf(method) ?? []))
    cursor = answer.has_more ? answer.data.at(-1)?.id : undefined
  } while (cursor !== undefined)
  return cards
}

async function attachCard(
  stripe: Stripe,
  paymentMethodId: string,
  customerId: string,
): ReturnType<Payments['attachCard']> {
  if (!isId(paymentMethodId)) return { status: 'refused', reason: 'card_unusable' }
  const answer = await answerOf<Stripe.PaymentMethod>(
    'payment_method',
    stripe.paymentMethods.attach(paymentMethodId, { customer: customerId }),
  )
  if (!isRefusal(answer)) {
    const card = cardOf(answer)
    return card ? { status: 'attached', card } : { status: 'refused', reason: 'card_unusable' }
  }
  if (answer instanceof Stripe.errors.StripeCardError) {
    return { status: 'declined', decline: declineOf(answer) }
  }
  const refused = refusedFor(answer)
  if (refused) return refused
  // Stripe gives no code for "already attached", so read to which customer the card is attached.
  const card = await readCard(stripe, paymentMethodId)
  return card?.customerId === customerId
    ? { status: 'attached', card }
    : { status: 'refused', reason: 'card_unusable' }
}

async function detachCard(stripe: Stripe, paymentMethodId: string): Promise<void> {
  if (!isId(paymentMethodId)) return
  const answer = await answerOf<Stripe.PaymentMethod>(
    'payment_method',
    stripe.paymentMethods.detach(paymentMethodId),
  )
  if (!isRefusal(answer) || isMissing(answer)) return
  // Stripe gives no code for "not attached to a customer", so read whether the card is attached.
  const card = await readCard(stripe, paymentMethodId)
  if (card?.customerId !== undefined) throw unexpected(answer)
}

// --- Payments ---

async function createPayment(stripe: Stripe, payment: NewPayment): Promise<Payment | PaymentRefused> {
  const { paymentMethodId: asked, customerId } = payment
  if (!isId(asked)) return UNUSABLE
  if (!isConfirmationToken(asked)) return createIntent(stripe, payment, { payment_method: asked })
  const token = await readToken(stripe, asked)
  const card = token?.payment_method_preview?.card
  const owner = token?.payment_method_preview?.customer
  if (!token || !card || token.setup_intent !== null) return UNUSABLE
  if (owner && (typeof owner === 'string' ? owner : owner.id) !== customerId) return UNUSABLE
  const created = await createIntent(stripe, payment, {})
  if (created.status === 'refused') return created
  // A repetition of this call finds the token used by the very payment that it is for.
  if (token.payment_intent !== null && token.payment_intent !== created.id) {
    await cancelPayment(stripe, created.id)
    return UNUSABLE
  }
  return { ...created, cardFingerprint: created.cardFingerprint ?? card.fingerprint ?? undefined }
}

const UNUSABLE: PaymentRefused = { status: 'refused', reason: 'card_unusable' }

/** Undefined for a token that Stripe does not show, whatever it says about why. */
async function readToken(stripe: Stripe, token: string): Promise<Stripe.ConfirmationToken | undefined> {
  const answer = await answerOf<Stripe.ConfirmationToken>(
    'confirmation_token',
    stripe.confirmationTokens.retrieve(token),
  )
  return isRefusal(answer) ? undefined : answer
}

async function createIntent(
  stripe: Stripe,
  payment: NewPayment,
  card: { payment_method?: string },
): Promise<Payment | PaymentRefused> {
  const params = {
    amount: payment.amountCents,
    currency: payment.currency,
    customer: payment.customerId,
    ...card,
    metadata: payment.metadata,
    description: payment.description,
    statement_descriptor_suffix: payment.statementSuffix,
    automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
    ...PURPOSE_PARAMS[payment.purpose],
  } satisfies Stripe.PaymentIntentCreateParams
  const create = (key: string, more: Stripe.PaymentIntentCreateParams | object) =>
    createOnce<Stripe.PaymentIntent>('payment_intent', key, (options) =>
      stripe.paymentIntents.create({ ...params, ...more }, options),
    )
  const receipt = receiptTo(payment.receiptEmail)
  let answer = await create(payment.idempotencyKey, receipt)
  // A receipt that cannot be mailed is no reason to refuse the payment. Other parameters need another key.
  if (isRefusal(answer) && answer.param === 'receipt_email') {
    answer = await create(`${payment.idempotencyKey}:plain`, {})
  }
  if (!isRefusal(answer)) return paymentOf(answer)
  const refused = refusedFor(answer)
  if (refused) return refused
  throw unexpected(answer)
}

/** Stripe takes addresses in ASCII only, so a domain with other letters is sent in its Punycode form. */
function receiptTo(email = ''): { receipt_email?: string } {
  const at = email.lastIndexOf('@')
  const domain = domainToASCII(email.slice(at + 1))
  const isMailable = /^[!-~]+@$/.test(email.slice(0, at + 1)) && domain !== ''
  return isMailable ? { receipt_email: email.slice(0, at + 1) + domain } : {}
}

/** Parameters for the card networks, by purpose. A renewal also sends `off_session` at confirmation. */
const PURPOSE_PARAMS: Record<PaymentPurpose, Partial<Stripe.PaymentIntentCreateParams>> = {
  hold: {
    // The card's number decides whether the bank may be asked.
    expand: ['payment_method'],
    capture_method: 'manual',
    setup_future_usage: 'off_session',
    payment_method_options: { card: { setup_credential_usage: 'unscheduled' } },
  },
  purchase: { expand: ['payment_method'] },
  signup: {
    expand: ['payment_method'],
    setup_future_usage: 'off_session',
    payment_method_options: { card: { setup_credential_usage: 'unscheduled' } },
  },
  renewal: {
    expand: ['payment_method'],
    payment_method_options: { card: { stored_credential_usage: 'unscheduled' } },
  },
}

async function confirmPayment(
  stripe: Stripe,
  paymentId: string,
  purpose: PaymentPurpose,
  card: string | undefined,
): Promise<Payment | OutcomeUnknown> {
  const token = card !== undefined && isConfirmationToken(card)
  const attempts = attemptsOf(stripe, `/v1/payment_intents/${paymentId}/confirm`)
  let isAnswered = false
  try {
    const answer = await answerOf<Stripe.PaymentIntent>(
      'payment_intent',
      stripe.paymentIntents.confirm(paymentId, {
        ...(purpose === 'renewal' && { off_session: true }),
        // A hold needs no receipt.
        ...(purpose !== 'hold' && { expand: ['latest_charge'] }),
        ...(card !== undefined && { [token ? 'confirmation_token' : 'payment_method']: card }),
      }),
    )
    isAnswered = true
    return isRefusal(answer) ? await afterRefusal(stripe, paymentId, answer, token) : paymentOf(answer)
  } catch (error) {
    if (!(error instanceof DomainError && error.code === 'temporarily_unavailable')) throw error
    // A 429 says nothing about an attempt that the SDK has lost before.
    if (rateLimitOf(error) && attempts.count() === 1 && !isAnswered) throw error
    return { status: 'unknown', cause: error.cause }
  } finally {
    attempts.end()
  }
}

/** How often the SDK has sent the call to each path that somebody counts. */
const countedPaths = new WeakMap<Stripe, Map<string, number>>()

/** Counts how often the SDK sends a call. Two calls of the same path at once count for each other. */
function attemptsOf(stripe: Stripe, path: string): { count(): number; end(): void } {
  const counts = countedPaths.get(stripe) ?? new Map<string, number>()
  if (!countedPaths.has(stripe)) {
    countedPaths.set(stripe, counts)
    stripe.on('request', (sent: Stripe.RequestEvent) => {
      const count = counts.get(sent.path)
      if (count !== undefined) counts.set(sent.path, count + 1)
    })
  }
  counts.set(path, counts.get(path) ?? 0)
  return { count: () => counts.get(path) ?? Number.POSITIVE_INFINITY, end: () => counts.delete(path) }
}

/** A confirmation may be refused because an earlier one took effect, so the intent's own state decides. */
async function afterRefusal(
  stripe: Stripe,
  paymentId: string,
  refusal: Refusal,
  token: boolean,
): Promise<Payment> {
  const current = refusal.payment_intent
    ? paymentOf(refusal.payment_intent)
    : await readPayment(stripe, paymentId)
  if (!current) throw new DomainError('not_found', { cause: traceOf(refusal) })
  if (current.status !== 'unconfirmed') return current
  // The payment was absent a moment ago: the secret key has just been replaced.
  if (isMissing(refusal) && refusal.param === 'intent') {
    throw new DomainError('temporarily_unavailable', { cause: traceOf(refusal) })
  }
  if (refusal instanceof Stripe.errors.StripeCardError) {
    return { ...current, status: 'declined', decline: declineOf(refusal) }
  }
  if (refusedFor(refusal)?.reason === 'card_unusable' || (token && isAboutToken(refusal))) {
    return { ...current, status: 'declined', decline: { reason: 'card_unusable', retry: 'never' } }
  }
  throw unexpected(refusal)
}

/**
 * Whether a token is the reason: unknown, expired, used, or made by an element that was set up for another payment.
 * Stripe gives no code for these, and a parameter for some of them only.
 */
const isAboutToken = ({ param, message }: Refusal): boolean =>
  param === 'confirmation_token' || /confirmation_?token|same parameters as Stripe Elements/i.test(message)

async function cancelPayment(stripe: Stripe, paymentId: string): Promise<Payment> {
  const answer = await answerOf<Stripe.PaymentIntent>(
    'payment_intent',
    stripe.paymentIntents.cancel(paymentId),
  )
  if (!isRefusal(answer)) return paymentOf(answer)
  if (isMissing(answer)) throw new DomainError('not_found', { cause: traceOf(answer) })
  if (answer.code !== 'payment_intent_unexpected_state') throw unexpected(answer)
  const current = await readPayment(stripe, paymentId)
  if (!current) throw unexpected(answer)
  return current
}

async function readPayment(stripe: Stripe, paymentId: string): Promise<Payment | undefined> {
  const answer = await answerOf<Stripe.PaymentIntent>(
    'payment_intent',
    stripe.paymentIntents.retrieve(paymentId, { expand: ['latest_charge'] }),
  )
  if (!isRefusal(answer)) return paymentOf(answer)
  if (isMissing(answer)) return undefined
  throw unexpected(answer)
}

async function listPayments(
  stripe: Stripe,
  filter: Parameters<Payments['listPayments']>[0],
  cursor: string | undefined,
): Promise<Page<Payment>> {
  const { customerId, createdSinceMs, createdUntilMs } = filter
  const created = {
    ...(createdSinceMs !== undefined && { gte: Math.floor(createdSinceMs / 1000) }),
    ...(createdUntilMs !== undefined && { lte: Math.floor(createdUntilMs / 1000) }),
  }
  const answer = await answerOf<Stripe.ApiList<Stripe.PaymentIntent>>(
    'list',
    stripe.paymentIntents.list({
      limit: 100,
      ...(customerId !== undefined && { customer: customerId }),
      ...(Object.keys(created).length > 0 && { created }),
      ...(cursor !== undefined && { starting_after: cursor }),
    }),
  )
  if (isRefusal(answer)) {
    if (isMissing(answer) && cursor === undefined) return { items: [], nextCursor: undefined }
    if (isMissing(answer)) throw new DomainError('not_found', { cause: traceOf(answer) })
    throw unexpected(answer)
  }
  return {
    items: answer.data.map(paymentOf),
    nextCursor: answer.has_more ? answer.data.at(-1)?.id : undefined,
  }
}

// --- Charges, disputes, refunds and fraud warnings ---

async function readCharge(stripe: Stripe, chargeId: string): Promise<Charge | undefined> {
  const charge = await answerOf<Stripe.Charge>(
    'charge',
    stripe.charges.retrieve(chargeId, { expand: ['refunds'] }),
  )
  if (isRefusal(charge)) {
    if (isMissing(charge)) return undefined
    throw unexpected(charge)
  }
  if (!charge.disputed) return chargeOf(charge, [])
  const disputes = await answerOf<Stripe.ApiList<Stripe.Dispute>>(
    'list',
    stripe.disputes.list({ charge: chargeId, limit: 100 }),
  )
  if (isRefusal(disputes)) throw unexpected(disputes)
  return chargeOf(charge, disputes.data.map(disputeOf))
}

async function readDispute(stripe: Stripe, disputeId: string): Promise<Dispute | undefined> {
  const answer = await answerOf<Stripe.Dispute>('dispute', stripe.disputes.retrieve(disputeId))
  if (!isRefusal(answer)) return disputeOf(answer)
  if (isMissing(answer)) return undefined
  throw unexpected(answer)
}

/**
 * After an internal failure, Stripe repeats that failure under the same key for 24 hours. A second key is tried only
 * once the list of refunds shows that the first call, which has ended, gave nothing back.
 */
async function createRefund(stripe: Stripe, refund: NewRefund): Promise<Refund | RefundRefused> {
  const { paymentId, amountCents, metadata, idempotencyKey } = refund
  const create = (key: string) =>
    answerOf<Stripe.Refund>(
      'refund',
      stripe.refunds.create(
        { payment_intent: paymentId, amount: amountCents, metadata },
        { idempotencyKey: key },
      ),
    )
  try {
    return refundAnswer(await create(idempotencyKey))
  } catch (error) {
    if (!isReplayed(error)) throw error
    const made = await findRefund(stripe, paymentId, metadata.refund)
    return made ?? refundAnswer(await create(`${idempotencyKey}:again`))
  }
}

function refundAnswer(answer: Stripe.Refund | Refusal): Refund | RefundRefused {
  if (!isRefusal(answer)) return refundOf(answer)
  if (isMissing(answer)) throw new DomainError('not_found', { cause: traceOf(answer) })
  const { code, param, message } = answer
  // Stripe gives a code for some of these refusals only.
  if (code === 'charge_disputed' || /charged back/.test(message))
    return { status: 'refused', reason: 'disputed' }
  if (code === 'charge_already_refunded' || param === 'amount')
    return { status: 'refused', reason: 'refunded' }
  return { status: 'refused', reason: 'refused' }
}

async function findRefund(stripe: Stripe, paymentId: string, refund: string): Promise<Refund | undefined> {
  const page = await answerOf<Stripe.ApiList<Stripe.Refund>>(
    'list',
    stripe.refunds.list({ payment_intent: paymentId, limit: 100 }),
  )
  if (isRefusal(page)) {
    if (isMissing(page)) throw new DomainError('not_found', { cause: traceOf(page) })
    throw unexpected(page)
  }
  const found = page.data.find(({ metadata }) => metadata?.refund === refund)
  return found && refundOf(found)
}

async function readRefund(
  stripe: Stripe,
  refundId: string,
): Promise<{ paymentId: string | undefined } | undefined> {
  const answer = await answerOf<Stripe.Refund>('refund', stripe.refunds.retrieve(refundId))
  if (!isRefusal(answer)) return { paymentId: refundedPaymentOf(answer) }
  if (isMissing(answer)) return undefined
  throw unexpected(answer)
}

async function readFraudWarning(stripe: Stripe, warningId: string): Promise<FraudWarning | undefined> {
  const answer = await answerOf<Stripe.Radar.EarlyFraudWarning>(
    'radar.early_fraud_warning',
    stripe.radar.earlyFraudWarnings.retrieve(warningId),
  )
  if (!isRefusal(answer)) return fraudWarningOf(answer)
  if (isMissing(answer)) return undefined
  throw unexpected(answer)
}

async function listReversals(
  stripe: Stripe,
  kind: ReversalKind,
  createdSinceMs: number,
  cursor: string | undefined,
): Promise<Page<Reversal>> {
  const params = {
    limit: 100,
    created: { gte: Math.floor(createdSinceMs / 1000) },
    expand: ['data.charge'],
    ...(cursor !== undefined && { starting_after: cursor }),
  }
  const list = {
    refund: () => stripe.refunds.list(params),
    dispute: () => stripe.disputes.list(params),
    warning: () => stripe.radar.earlyFraudWarnings.list(params),
  } satisfies Record<ReversalKind, unknown>
  const answer = await answerOf<Stripe.ApiList<ListedReversal>>('list', list[kind]())
  if (isRefusal(answer)) {
    if (isMissing(answer)) throw new DomainError('not_found', { cause: traceOf(answer) })
    throw unexpected(answer)
  }
  return {
    items: answer.data.flatMap((listed) => reversalOf(listed) ?? []),
    nextCursor: answer.has_more ? answer.data.at(-1)?.id : undefined,
  }
}

// --- Webhooks ---

function readEvent(stripe: Stripe, webhook: SignedWebhook): PaymentEvent | undefined {
  const { body, signature, secrets, nowMs } = webhook
  if (signature === undefined || !isFresh(signature, nowMs)) return undefined
  // Pass a text: from bytes, the SDK would drop a byte order mark before it checks the signature.
  const text = Buffer.from(body).toString('utf8')
  for (const secret of secrets) {
    try {
      const event = stripe.webhooks.constructEvent(
        text,
        signature,
        secret,
        WEBHOOK_TOLERANCE_SECONDS,
        undefined,
        nowMs,
      )
      return eventOf(event)
    } catch {
      // Another secret may match. A body that is not an event fails with every secret.
    }
  }
  return undefined
}

async function listUndelivered(
  stripe: Stripe,
  { sinceMs, untilMs }: { sinceMs: number; untilMs: number },
  cursor: string | undefined,
): Promise<Page<PaymentEvent>> {
  const answer = await answerOf<Stripe.ApiList<Stripe.Event>>(
    'list',
    stripe.events.list({
      delivery_success: false,
      limit: 100,
      created: { gte: Math.floor(sinceMs / 1000), lte: Math.floor(untilMs / 1000) },
      ...(cursor !== undefined && { starting_after: cursor }),
    }),
  )
  if (isRefusal(answer)) throw unexpected(answer)
  return {
    items: answer.data.map(eventOf),
    nextCursor: answer.has_more ? answer.data.at(-1)?.id : undefined,
  }
}

/** Refuses timestamps in the future and non-numeric ones. The SDK only refuses those that are too old. */
function isFresh(signature: string, nowMs: number): boolean {
  const [stamp, ...more] = signature.split(',').filter((part) => part.trim().startsWith('t='))
  const [, seconds] = /^t=(\d{1,12})$/.exec(stamp ?? '') ?? []
  if (seconds === undefined || more.length > 0) return false
  return Number(seconds) <= Math.floor(nowMs / 1000) + WEBHOOK_TOLERANCE_SECONDS
}
