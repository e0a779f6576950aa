/**
 * What the domain needs from outside, in the domain's words. Adapters live in `core/adapters`; a row's
 * `needs` names the ports its handler sees.
 *
 * A port that cannot tell whether its call took effect throws `DomainError('temporarily_unavailable')`.
 */

import type { Table } from './table/table.ts'

/** Every port by the name under which a row asks for it. */
export interface Ports {
  clock: Clock
  ids: Ids
  log: Log
  table: Table
  identity: Identity
  mail: Mail
  keyring: Keyring
  secrets: Secrets
  totp: Totp
  payments: Payments
  webhooks: WebhookConfig
}

/** What a domain function needs: the ports it names; clock, ids and log come with every call. */
export type Deps<N extends keyof Ports = 'clock'> = Pick<Ports, N | 'clock' | 'ids' | 'log'>

/** Time as the domain sees it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number
  /** Resolves when `ms` milliseconds have passed. */
  wait(ms: number): Promise<void>
}

/** Fresh identifiers and randomness. */
export interface Ids {
  /** 24 lower-case hex digits, time-ordered to the second, as the published pages show ids. */
  accountId(): string
  /** A version 4 UUID (RFC 9562): 122 random bits. */
  uuid(): string
  /** `bytes` random bytes as lower-case hex. */
  hex(bytes: number): string
}

/**
 * Lines for the operator about failures that no caller is told of. `what` is a fixed sentence, `about` holds ids of
 * ours. Neither may contain anything that a person or a provider wrote.
 */
export interface Log {
  /** Failed, and is repaired later without anybody's help. */
  warn(what: string, error: unknown, about?: Readonly<Record<string, string>>): void
  /** Failed, and may fail again until somebody looks at it. */
  error(what: string, error: unknown, about?: Readonly<Record<string, string>>): void
}

/** What a sign-in or a refresh yields. */
export interface Tokens {
  /** Access token (RS256 JWT), valid for `expiresInSeconds`. */
  accessToken: string
  refreshToken: string
  expiresInSeconds: number
  /** Whose tokens they are. */
  accountId: string
  /** The access token's `origin_jti`: one value for a sign-in and every refresh that descends from it. */
  sessionId: string
}

/** The password vault and token issuer. It knows accounts by id only: no name and no address. */
export interface Identity {
  /**
   * Creates the user if there is none and sets its password. Safe to repeat.
   * @throws DomainError `password_refused` if the vault's own policy refuses it.
   */
  enroll(accountId: string, password: string): Promise<void>
  /** Tokens for the right password; undefined for a wrong one or an unknown or disabled account. */
  signIn(accountId: string, password: string): Promise<Tokens | undefined>
  /** New access token for a live refresh token, which stays valid; undefined for any other string. */
  refresh(refreshToken: string): Promise<Tokens | undefined>
  /** Sets the password; throws `password_refused`, or `not_found` where there is no such user. */
  setPassword(accountId: string, password: string): Promise<void>
  /** Makes one refresh token, and what descends from it, worthless. Unknown tokens are no error. */
  revoke(refreshToken: string): Promise<void>
  /** Makes every refresh token of the account worthless. An absent user is no error. */
  endSessions(accountId: string): Promise<void>
  /** Removes the user. An absent user is no error. */
  remove(accountId: string): Promise<void>
}

/** One e-mail, ready to go. */
export interface Email {
  to: string
  subject: string
  text: string
  html: string
}

/** Outgoing mail. Resolves once the provider has accepted the message. */
export interface Mail {
  send(email: Email): Promise<void>
  /** Where the team's own frontend is, without a slash at the end: what mailed links begin with. */
  appUrl: string
}

/**
 * The deployment's own symmetric secret, used without any call over the network.
 * `purpose` separates uses from each other: a MAC made for one is worthless for another.
 */
export interface Keyring {
  /** HMAC-SHA-256 over `parts` (length-prefixed, so that no two lists collide): 32 bytes. */
  mac(purpose: string, ...parts: string[]): Buffer
  /** AES-256-GCM with a fresh nonce; `context` is authenticated and must be given again to open. */
  seal(purpose: string, context: string, plaintext: string): string
  /** @throws Error if the text was not sealed for this purpose and context. */
  open(purpose: string, context: string, sealed: string): string
}

/** Time-based one-time passwords (RFC 6238: 30 s steps, 6 digits, SHA-1, as authenticator apps expect them). */
export interface Totp {
  /** A fresh 160-bit seed in base32, and what an app needs to take it over. */
  enrol(account: string): { seed: string; uri: string; svg: string }
  /** The time step that the code belongs to, if it is this one or a neighbour (RFC 6238, section 5.2). */
  stepOf(seed: string, code: string, nowMs: number): number | undefined
}

/** Secrets under a key that never leaves the provider, bound to one account. */
export interface Secrets {
  encrypt(accountId: string, plaintext: string): Promise<string>
  /** @throws Error if it was encrypted for another account or altered. */
  decrypt(accountId: string, ciphertext: string): Promise<string>
}

// --- Payments ---

/** What a payment is for. It decides the literal parameters that the card network sees. */
export type PaymentPurpose =
  /** An authorisation that is released and never taken: it proves a card and sets it up for renewals. */
  | 'hold'
  /** The customer is there and can authenticate. */
  | 'purchase'
  /** The same, and the card is kept for renewals. */
  | 'signup'
  /** Nobody is there. */
  | 'renewal'

/** Why no money moved. `declined` is the bank's refusal without a reason. */
export type DeclineReason =
  | 'declined'
  | 'insufficient_funds'
  | 'limit_exceeded'
  | 'processing_error'
  | 'card_expired'
  | 'wrong_details'
  | 'lost_or_stolen'
  | 'blocked'
  | 'authentication_required'
  | 'authentication_failed'
  /** The card was detached, belongs to another customer, or may not be used again. */
  | 'card_unusable'

export interface Decline {
  reason: DeclineReason
  /** `never`: the same card as it is will not succeed without its holder. */
  retry: 'retryable' | 'never'
}

export type PaymentState =
  /** Never confirmed, or confirmed without effect: no money can move until it is confirmed. */
  | { status: 'unconfirmed' }
  /** No money moved, but the payment is still open: cancel it before giving up on it. */
  | { status: 'declined'; decline: Decline }
  /** The customer must authenticate (3-D Secure) with this secret. */
  | { status: 'action_required'; clientSecret: string }
  | { status: 'processing' }
  /** Authorised and not taken. */
  | { status: 'held' }
  | { status: 'succeeded' }
  /** No money can move by it any more. A hold that was canceled has been released. `decline`: what came before. */
  | { status: 'canceled'; decline?: Decline | undefined }

/** One intent to take money, whatever has become of it. */
export type Payment = PaymentState & {
  id: string
  amountCents: number
  /** What was actually taken: 0 unless succeeded. */
  receivedCents: number
  /** ISO 4217, lower case. */
  currency: string
  customerId: string | undefined
  /** The card, after a decline too. */
  paymentMethodId: string | undefined
  livemode: boolean
  metadata: Readonly<Record<string, string>>
  latestChargeId: string | undefined
  /** Of a payment that succeeded, as far as the provider's answer had it; a confirmation's and a reading have. */
  receipt: Receipt | undefined
  createdMs: number
}

/** What a customer wants to see of a charge. */
export interface Receipt {
  brand: string | undefined
  last4: string | undefined
  url: string | undefined
}

/** It may or may not have taken effect. Never to be read as failed; `cause` is for the log. */
export interface OutcomeUnknown {
  status: 'unknown'
  cause: unknown
}

/** The literal parameters of a payment, stored before the call and never derived again for a retry. */
export interface NewPayment {
  purpose: PaymentPurpose
  amountCents: number
  customerId: string
  paymentMethodId: string
  metadata: { account: string; purchase: string }
  /** At most 200 characters; remembered for 24 hours only. */
  idempotencyKey: string
}

/** Refused before anything was created: the card as in `card_unusable`, or the customer is gone. */
export interface PaymentRefused {
  status: 'refused'
  reason: 'card_unusable' | 'customer_missing'
}

/** A postal address as the payment provider keeps it; `country` is ISO 3166-1 alpha-2. */
export interface BillingAddress {
  line1: string | undefined
  line2: string | undefined
  city: string | undefined
  state: string | undefined
  postalCode: string | undefined
  country: string | undefined
}

/** What the bank said of a detail: `pass`, `fail`, `unavailable` or `unchecked`. */
export type CardCheck = string | undefined

/** A card, attached to a customer or not. */
export interface PaymentCard {
  /** The payment method's id. */
  id: string
  customerId: string | undefined
  brand: string
  last4: string
  expMonth: number
  expYear: number
  /** ISO 3166-1 alpha-2 of the issuer. */
  country: string | undefined
  funding: string
  /** The same for the same card number, within one account of the provider. */
  fingerprint: string | undefined
  networks: { available: string[]; preferred: string | undefined } | undefined
  checks: { line1: CardCheck; postalCode: CardCheck; cvc: CardCheck }
  threeDSecureSupported: boolean
  billing: {
    address: BillingAddress
    email: string | undefined
    name: string | undefined
    phone: string | undefined
  }
  livemode: boolean
  metadata: Readonly<Record<string, string>>
  createdMs: number
}

/** The provider's record of an account. */
export interface PaymentCustomer {
  id: string
  /** From the metadata written at creation. */
  accountId: string | undefined
  email: string | undefined
  name: string | undefined
  phone: string | undefined
  description: string | undefined
  address: BillingAddress | undefined
  defaultPaymentMethodId: string | undefined
  /** Minor units; negative is credit. The provider's own invoicing balance, not ours. */
  balanceCents: number
  currency: string | undefined
  delinquent: boolean
  invoicePrefix: string | undefined
  livemode: boolean
  metadata: Readonly<Record<string, string>>
  createdMs: number
}

/** Fields left out stay as they are. */
export interface CustomerChanges {
  email?: string
  name?: string
  address?: BillingAddress
  /** A card attached to this customer. */
  defaultPaymentMethodId?: string
}

export interface Refund {
  id: string
  amountCents: number
  status: 'pending' | 'action_required' | 'succeeded' | 'failed' | 'canceled'
  createdMs: number
}

export interface Dispute {
  id: string
  chargeId: string
  paymentId: string | undefined
  amountCents: number
  currency: string
  /** `open`: the money has been taken back for now. `inquiry`: it has not. */
  status: 'inquiry' | 'open' | 'won' | 'lost'
  reason: string
  createdMs: number
}

/** What a payment did to the card. */
export interface Charge {
  id: string
  paymentId: string | undefined
  customerId: string | undefined
  status: 'pending' | 'succeeded' | 'failed'
  /** False for a hold: its "refund" is a release and gives back nothing that was taken. */
  captured: boolean
  amountCents: number
  currency: string
  /** In all, pending refunds included, failed ones not. */
  refundedCents: number
  /** The newest ten. */
  refunds: Refund[]
  disputed: boolean
  /** Newest first; the newest hundred. */
  disputes: Dispute[]
  card: { brand: string | undefined; last4: string | undefined } | undefined
  receiptUrl: string | undefined
  livemode: boolean
  createdMs: number
}

/** The card's issuer believes a charge to be fraudulent; a dispute may follow. */
export interface FraudWarning {
  id: string
  chargeId: string
  paymentId: string | undefined
  /** False once the charge is refunded or disputed. */
  actionable: boolean
  livemode: boolean
  createdMs: number
}

/** That something happened to an object; what, the object itself says when it is read again. */
export interface PaymentEvent {
  id: string
  /** The provider's name for it, such as `payment_intent.succeeded`. */
  type: string
  createdMs: number
  livemode: boolean
  /** The connected account it is about; undefined for our own. */
  account: string | undefined
  objectKind: string | undefined
  objectId: string | undefined
  /** The customer the object belonged to when it was made; a card that is detached has none any more. */
  previousCustomerId: string | undefined
}

export interface SignedWebhook {
  /** The body's bytes as they came, never parsed and serialised again. */
  body: Uint8Array
  /** The `stripe-signature` header. */
  signature: string | undefined
  /** Every secret that is valid now: two while they rotate. */
  secrets: readonly string[]
  nowMs: number
}

/** What an incoming event is checked against. */
export interface WebhookConfig {
  /** Every signing secret that is valid now. */
  secrets: readonly string[]
  /** Whether this deployment takes real money. */
  livemode: boolean
}

export interface Page<T> {
  items: T[]
  /** For the next call; undefined on the last page. */
  nextCursor: string | undefined
}

/**
 * Cards and money. Nothing here is retried beyond one network retry; a call whose effect is not known
 * throws `temporarily_unavailable`, except `confirmPayment`, which answers `unknown`.
 * Cancel, attach, detach and update may be repeated freely.
 */
export interface Payments {
  /**
   * Creates the account's customer, or finds the one that an earlier call within 24 hours created.
   * @param deleted the one that an earlier call found and that is deleted: another takes its place.
   */
  createCustomer(accountId: string, deleted?: string): Promise<PaymentCustomer>
  /** @throws DomainError `not_found` if there is no such customer, or the default card is not its own. */
  updateCustomer(customerId: string, changes: CustomerChanges): Promise<PaymentCustomer>
  /** Undefined for a customer that is deleted or never was. */
  readCustomer(customerId: string): Promise<PaymentCustomer | undefined>

  /** Undefined for an unknown id, and for a payment method that is no card. */
  readCard(paymentMethodId: string): Promise<PaymentCard | undefined>
  /** The customer's cards, newest first, all of them. Empty for a customer that is gone. */
  listCards(customerId: string): Promise<PaymentCard[]>
  /** Attaching a card again to its own customer succeeds. The bank may decline it. */
  attachCard(
    paymentMethodId: string,
    customerId: string,
  ): Promise<
    { status: 'attached'; card: PaymentCard } | { status: 'declined'; decline: Decline } | PaymentRefused
  >
  /** Detaches for good. A card that is unknown or attached to nobody is no error. */
  detachCard(paymentMethodId: string): Promise<void>

  /** Creates the payment unconfirmed. The same key and parameters give the same payment, as it was then. */
  createPayment(payment: NewPayment): Promise<Payment | PaymentRefused>
  /**
   * The one call that can move money. `purpose` as at creation, but for a renewal whose customer has come to
   * authenticate: that is a purchase. Safe to repeat: it never charges twice.
   * @param paymentMethodId the card again: a decline takes it off the payment.
   */
  confirmPayment(
    paymentId: string,
    purpose: PaymentPurpose,
    paymentMethodId?: string,
  ): Promise<Payment | OutcomeUnknown>
  /** Cancels it if that is still possible, and answers what it is now: canceled, else succeeded or processing. */
  cancelPayment(paymentId: string): Promise<Payment>
  /** Undefined for an unknown id. */
  readPayment(paymentId: string): Promise<Payment | undefined>
  /** Newest first, 100 a page. */
  listPayments(
    filter: { customerId?: string; createdSinceMs?: number; createdUntilMs?: number },
    cursor?: string,
  ): Promise<Page<Payment>>

  /** With its refunds and disputes; undefined for an unknown id. */
  readCharge(chargeId: string): Promise<Charge | undefined>
  readDispute(disputeId: string): Promise<Dispute | undefined>
  /** Which payment a refund belongs to; undefined for an unknown id. */
  readRefund(refundId: string): Promise<{ paymentId: string | undefined } | undefined>
  readFraudWarning(warningId: string): Promise<FraudWarning | undefined>

  /** The event, or undefined unless one secret signed these bytes within 300 s of `nowMs` either way. */
  readEvent(webhook: SignedWebhook): Promise<PaymentEvent | undefined>
  /** Events of that time that no webhook has taken, given up or not. Newest first, 100 a page. */
  listUndelivered(created: { sinceMs: number; untilMs: number }, cursor?: string): Promise<Page<PaymentEvent>>
}
