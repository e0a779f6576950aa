/**
 * The services that the domain needs from outside, in the domain's words. Adapters live in `core/adapters`;
 * `needs` in the row of an endpoint names the ports that the endpoint's handler gets.
 *
 * A port throws `DomainError('temporarily_unavailable')` if it is unknown whether a call took effect.
 */

import type { Origin } from './audit/origin.ts'
import type { PasswordHash } from './credentials/password-hash.ts'
import type { MacPurpose, SealPurpose } from './purposes.ts'
import type { Listing, Table } from './table/table.ts'

/** Every port by its name in `needs`. */
export interface Ports {
  clock: Clock
  ids: Ids
  log: Log
  table: Table
  listing: Listing
  identity: Identity
  mail: Mail
  keyring: Keyring
  secrets: Secrets
  totp: Totp
  relyingParty: RelyingParty
  deployment: Deployment
  passkeys: Passkeys
  passwordHashes: PasswordHashes
  mailDomains: MailDomains
  payments: Payments
  paymentScope: PaymentScope
  webhookSecrets: WebhookSecrets
  renewals: Renewals
  events: Events
  hooks: Hooks
  challenge: Challenge
}

/** The ports of a domain function: those it names, always clock, ids and log, and who asks. */
export type Deps<N extends keyof Ports = 'clock'> = Pick<Ports, N | 'clock' | 'ids' | 'log'> & {
  /** Who asks; undefined for work of our own. */
  origin?: Origin | undefined
  /** Sessions that began before this time are over, epoch ms (`core/credentials/session-life.ts`). */
  sessionsSinceMs?: number | undefined
}

/** The ports of everything that charges, holds or gives back money. */
export type MoneyDeps = Deps<'table' | 'payments' | 'paymentScope'>

/** Tells the time, and waits. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number
  /** Resolves when `ms` milliseconds have passed. */
  wait(ms: number): Promise<void>
}

/** Fresh identifiers and randomness. */
export interface Ids {
  /** 24 lower-case hex digits, time-ordered to the second, in the form that the published API pages show. */
  accountId(): string
  /** A version 4 UUID (RFC 9562): 122 random bits. */
  uuid(): string
  /** `bytes` random bytes as lower-case hex. */
  hex(bytes: number): string
}

/**
 * Log lines for the operator about failures that no caller sees. `what` is a fixed sentence, `about` holds
 * our own ids. Neither may contain text that a person or a provider wrote.
 */
export interface Log {
  /** For a failure that is repaired later without an operator. */
  warn(what: string, error: unknown, about?: Readonly<Record<string, string>>): void
  /** For a failure that may happen again until an operator looks into it. */
  error(what: string, error: unknown, about?: Readonly<Record<string, string>>): void
}

/** Starts the job that renews bundles. */
export interface Renewals {
  /**
   * Asks for a look at one account's counter now. Resolves when the job is accepted, before it runs, or
   * rejects within a second.
   */
  start(accountId: string): Promise<void>
}

/** The event bus of the stage, on which other systems hear from Bursar. */
export interface Events {
  /**
   * Puts one event on the bus. Resolves once the bus has accepted it, and rejects if it is unknown or untrue that it
   * has: repeat the call with the same detail, whose id tells its readers of the repeat.
   */
  publish(type: string, detail: Readonly<Record<string, unknown>>): Promise<void>
}

/** Sends events to HTTPS endpoints of the operator. */
export interface Hooks {
  /** Whether an address may get events: https without credentials; on the local stack also http to this machine. */
  permits(url: string): boolean
  /**
   * Posts a body, follows no redirect, and reads no answer beyond its status. An address that resolves to one that is not
   * public gets nothing.
   * @returns the status of the answer, or a word for why there is none; it never throws
   */
  send(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<string>
}

/** Tells people from programs by a service of others, if the deployment uses one. */
export interface Challenge {
  /** With which a page shows the challenge; undefined where nobody is asked. */
  siteKey: string | undefined
  /**
   * Whether a person has solved the challenge and the answer was not used before.
   * @param address the network address of the caller.
   * @throws Error if the service did not say.
   */
  verify(answer: string, address: string): Promise<boolean>
}

/** The result of a sign-in or a refresh. */
export interface Tokens {
  /** Access token (RS256 JWT), valid for `expiresInSeconds`. */
  accessToken: string
  refreshToken: string
  expiresInSeconds: number
  /** The account that the tokens are for. */
  accountId: string
  /** The access token's `origin_jti`: the same value for a sign-in and all its refreshes. */
  sessionId: string
}

/**
 * The password vault and token issuer. It knows accounts by their ids only, without names or addresses. Whether a session
 * lives is decided by the account's own list, which is read with every request: so the vault is not told when all
 * sessions of an account end.
 */
export interface Identity {
  /**
   * Creates the user if there is none and sets the user's password. Idempotent.
   * @throws DomainError `password_refused` if the vault's own policy refuses it.
   */
  enroll(accountId: string, password: string): Promise<void>
  /**
   * Tokens for the right password; undefined for a wrong one or an unknown or disabled account; `locked` if the vault
   * looks at no password of the account for a time, because too many were wrong.
   */
  signIn(accountId: string, password: string): Promise<Tokens | 'locked' | undefined>
  /**
   * Tokens for an account whose holder Bursar itself has verified, such as by a passkey. The vault sends a fresh
   * nonce, and gives the tokens for the right answer alone (`core/credentials/verified-sign-in.ts`).
   * @returns undefined for a wrong answer, and for an unknown or disabled account.
   */
  signInVerified(accountId: string, answerOf: (nonce: string) => string): Promise<Tokens | undefined>
  /** New access token for a live refresh token, which stays valid; undefined for any other string. */
  refresh(refreshToken: string): Promise<Tokens | undefined>
  /**
   * Sets the password.
   * @throws DomainError `password_refused`, or `not_found` if there is no such user.
   */
  setPassword(accountId: string, password: string): Promise<void>
  /** Revokes one refresh token and every token that comes from it. An unknown token is not an error. */
  revoke(refreshToken: string): Promise<void>
  /** Removes the user. An absent user is not an error. */
  remove(accountId: string): Promise<void>
}

/** One e-mail, ready to send. */
export interface Email {
  to: string
  subject: string
  text: string
  html: string
  /** The account that the mail is about, by which the provider's reports of a bounce or complaint find it. */
  accountId?: string | undefined
}

/** Outgoing mail. Resolves once the provider has accepted the message. */
export interface Mail {
  send(email: Email): Promise<void>
  /** Base URL of the team's own frontend, without a slash at the end. Links in mails begin with it. */
  appUrl: string
  /** What customers know the deployment as. Mails are signed with it. */
  appName: string
}

/**
 * The deployment's own symmetric secret, used without any call over the network.
 * `purpose` separates uses from each other: a MAC for one purpose is not valid for another.
 */
export interface Keyring {
  /** HMAC-SHA-256 over `parts` (length-prefixed, so that no two lists collide) by the secret in use: 32 bytes. */
  mac(purpose: MacPurpose, ...parts: string[]): Buffer
  /**
   * The MACs by every live secret, that of the secret in use first: while the secret rotates, what was made with the other
   * one is recognised by these.
   */
  macs(purpose: MacPurpose, ...parts: string[]): [Buffer, ...Buffer[]]
  /** Name the live secrets, the one in use first: 4 hex digits each, which tell nothing of it. */
  versions: [string, ...string[]]
  /** The MAC by the secret that has this version; undefined if no live one has. */
  macBy(version: string, purpose: MacPurpose, ...parts: string[]): Buffer | undefined
  /**
   * AES-256-GCM with a fresh nonce, by the secret in use; `context` is authenticated and must be given again to open. The
   * text begins with the version.
   */
  seal(purpose: SealPurpose, context: string, plaintext: string): string
  /**
   * @returns undefined if the text was sealed with a secret that is not live any more
   * @throws Error if the text was not sealed for this purpose and context.
   */
  open(purpose: SealPurpose, context: string, sealed: string): string | undefined
}

/**
 * Time-based one-time passwords (RFC 6238: 30 s steps, 6 digits, SHA-1, as authenticator apps expect them).
 */
export interface Totp {
  /**
   * A fresh 160-bit seed in base32, or the given one, with the URI and the QR code (SVG) by which an app imports it.
   */
  enrol(account: string, seed?: string): { seed: string; uri: string; svg: string }
  /**
   * The code's time step; undefined unless it is the current or a neighbouring step (RFC 6238, section 5.2).
   */
  stepOf(seed: string, code: string, nowMs: number): number | undefined
}

/** What a browser answers to `navigator.credentials.get`, in the JSON form of WebAuthn Level 3, base64url. */
export interface PasskeyAssertion {
  /** The credential's id. */
  id: string
  rawId: string
  type: 'public-key'
  response: {
    clientDataJSON: string
    authenticatorData: string
    signature: string
    /** The account id, as we named the user when the passkey was made. */
    userHandle?: string | undefined
  }
}

/** What a browser answers to `navigator.credentials.create`, in the same form. */
export interface PasskeyAttestation {
  id: string
  rawId: string
  type: 'public-key'
  response: { clientDataJSON: string; attestationObject: string }
}

/** What is stored of a passkey to verify its assertions. */
export interface PasskeyKey {
  credentialId: string
  /** COSE key, base64url. */
  publicKey: string
  /** The authenticator's signature counter; 0 for ever where it has none, as for passkeys that are synced. */
  counter: number
  /** Whether the passkey may be copied to the user's other devices. */
  synced: boolean
}

/** What passkeys call this deployment (WebAuthn Level 3). */
export interface RelyingParty {
  /** The domain of the frontend. Its passkeys work there, and nowhere else. */
  id: string
  /** The name that the browser shows when it makes a passkey. */
  name: string
}

/** What anybody may know of this deployment: its pages show it. */
export interface Deployment {
  appName: string
  /** With which a browser begins a payment at Stripe. */
  publishableKey: string
  supportEmail: string
  /** `#rrggbb` */
  color?: string
  /** Each an address that begins with https:// and has no character that ends a text in HTML or CSS. */
  logoUrl?: string
  termsUrl?: string
  privacyUrl?: string
  /** With which a page shows a challenge, if the deployment asks people for one. */
  challengeKey?: string
}

/** Verifies passkeys for the relying party that this deployment is. */
export interface Passkeys {
  /** @returns undefined unless a user was verified and answers this challenge on the frontend's own origin. */
  verifyAttestation(answer: PasskeyAttestation, challenge: string): Promise<PasskeyKey | undefined>
  /** As `verifyAttestation`. The caller compares `counter` and `synced` with what is stored. */
  verifyAssertion(
    answer: PasskeyAssertion,
    challenge: string,
    stored: PasskeyKey,
  ): Promise<Pick<PasskeyKey, 'counter' | 'synced'> | undefined>
}

/** What is known of domains of mail. It works in this process. */
export interface MailDomains {
  /** Whether a domain (lower case, ASCII) gives mailboxes to anybody for a moment. */
  isDisposable(domain: string): Promise<boolean>
}

/** Verifies passwords against hashes that another system has made. It works in this process, and takes up to seconds. */
export interface PasswordHashes {
  /** Whether the hash was made from this password. */
  verify(hash: PasswordHash, password: string): Promise<boolean>
}

/** Secrets encrypted under a key that never leaves the provider. Each ciphertext is bound to one account. */
export interface Secrets {
  encrypt(accountId: string, plaintext: string): Promise<string>
  /** @throws Error if the ciphertext was encrypted for another account or altered. */
  decrypt(accountId: string, ciphertext: string): Promise<string>
}

// --- Payments ---

/** What a payment is for. The purpose decides the literal parameters that the card network sees. */
export type PaymentPurpose =
  /** An authorisation that proves a card and sets it up for renewals. It is released, never captured. */
  | 'hold'
  /** A payment while the customer is present and can authenticate. */
  | 'purchase'
  /** A purchase that also sets the card up for renewals. */
  | 'signup'
  /** A payment while the customer is not present. */
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
  /** We refuse the card (`cards/fingerprint.ts`), so its bank was not asked. */
  | 'card_blocked'

export interface Decline {
  reason: DeclineReason
  /** `never`: the card will not succeed unless its holder does something. */
  retry: 'retryable' | 'never'
}

export type PaymentState =
  /** The payment has no effective confirmation yet, so no money can move. */
  | { status: 'unconfirmed' }
  /**
   * No money moved, but the payment is still open. Cancel the payment before you give up on it. With the secret
   * the customer may confirm it again in the browser.
   */
  | { status: 'declined'; decline: Decline; clientSecret?: string | undefined }
  /** The customer must authenticate (3-D Secure) with this secret. */
  | { status: 'action_required'; clientSecret: string }
  | { status: 'processing' }
  /** The money is authorised and not captured. */
  | { status: 'held' }
  | { status: 'succeeded' }
  /**
   * No money can move by this payment any more; a canceled hold is released. `decline`: the last decline
   * before, if any.
   */
  | { status: 'canceled'; decline?: Decline | undefined }

/** One intent to take money, in any state. */
export type Payment = PaymentState & {
  id: string
  /** In the currency's minor unit, as every amount of the provider. */
  amountCents: number
  /** The amount actually taken; 0 unless succeeded. */
  receivedCents: number
  /** ISO 4217, lower case. */
  currency: string
  customerId: string | undefined
  /** The card; also present after a decline. */
  paymentMethodId: string | undefined
  /** Equal for equal card numbers; known after creation for a hold or a sign-up, and after a decline. */
  cardFingerprint: string | undefined
  livemode: boolean
  metadata: Readonly<Record<string, string>>
  latestChargeId: string | undefined
  /** Present only after success, and only in the answers of `confirmPayment` and `readPayment`. */
  receipt: Receipt | undefined
  createdMs: number
}

/** Details of a charge that are shown to the customer. */
export interface Receipt {
  /** When the charge was made. The provider tells whole seconds. */
  chargedAtMs: number
  brand: string | undefined
  last4: string | undefined
  url: string | undefined
}

/** The call may or may not have taken effect. Never treat it as failed. `cause` is for the log. */
export interface OutcomeUnknown {
  status: 'unknown'
  cause: unknown
}

/** The literal parameters of a payment. They are stored before the call, and a retry uses the stored ones. */
export interface NewPayment {
  purpose: PaymentPurpose
  /** In the currency's minor unit. */
  amountCents: number
  /** ISO 4217, lower case. */
  currency: string
  customerId: string
  /** A payment method, or a ConfirmationToken, with which the payment is then confirmed. */
  paymentMethodId: string
  /** `stage` tells the payments of several deployments apart that share one account at the provider. */
  metadata: { account: string; purchase: string; stage: string; sold?: string }
  /** What the payment is for, as the operator's Dashboard and the customer's receipt show it. */
  description: string
  /** What the customer's card statement shows after the operator's own name: up to 10 characters. */
  statementSuffix: string
  /** Where the provider mails the receipt to; the payment goes on without one if the address is refused. */
  receiptEmail?: string | undefined
  /** At most 200 characters. The provider remembers the key for only 24 hours. */
  idempotencyKey: string
}

/**
 * Refused before anything was created, and without asking the bank. `card_unusable`: there is no such card at
 * this account of the provider, or it is another customer's, was detached or is used up; or there is no such
 * ConfirmationToken, or it is used.
 */
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

/** The bank's answer about a detail: `pass`, `fail`, `unavailable` or `unchecked`. */
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
  /** Equal for equal card numbers within one account at the provider. */
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
  /** ASCII only. The provider may refuse an address; the customer then keeps the old one. */
  email?: string
  name?: string
  address?: BillingAddress
  /** A card attached to this customer. */
  defaultPaymentMethodId?: string
}

/** The literal parameters of a refund. They are stored before the call, and a retry uses the stored ones. */
export interface NewRefund {
  paymentId: string
  /** In the currency of the payment, in its minor unit. */
  amountCents: number
  metadata: { account: string; purchase: string; refund: string; stage: string }
  /** At most 200 characters. The provider remembers the key for only 24 hours. */
  idempotencyKey: string
}

/**
 * Refused for good, and no money went back. `disputed`: the bank has the money. `refunded`: less is left to refund than
 * was asked for.
 */
export interface RefundRefused {
  status: 'refused'
  reason: 'disputed' | 'refunded' | 'refused'
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
  /** `open`: the money has been taken back for now. `inquiry`: no money has moved. */
  status: 'inquiry' | 'open' | 'won' | 'lost'
  reason: string
  createdMs: number
}

/** The charge that a payment made on the card. */
export interface Charge {
  id: string
  paymentId: string | undefined
  customerId: string | undefined
  status: 'pending' | 'succeeded' | 'failed'
  /** False for a hold, whose "refund" is a release and returns no money. */
  captured: boolean
  amountCents: number
  currency: string
  /** Sum of all refunds, including pending and excluding failed ones. */
  refundedCents: number
  /** The newest ten refunds. */
  refunds: Refund[]
  disputed: boolean
  /** The newest hundred disputes, newest first. */
  disputes: Dispute[]
  card: { brand: string | undefined; last4: string | undefined; fingerprint: string | undefined } | undefined
  /** The card's id. */
  paymentMethodId: string | undefined
  receiptUrl: string | undefined
  livemode: boolean
  createdMs: number
}

export type ReversalKind = 'refund' | 'dispute' | 'warning'

/** What refunds, disputes or fraud warnings have made of a charge, as a list of them shows it. */
export interface Reversal {
  /** Ids of the refund, dispute or fraud warning, of its charge and of the charge's payment. */
  id: string
  chargeId: string
  paymentId: string | undefined
  /** The charge's own copy of the payment's metadata. */
  metadata: Readonly<Record<string, string>>
  /** False for a hold, whose "refund" is a release and returns no money. */
  captured: boolean
  chargedCents: number
  /** Sum of all refunds of the charge, including pending and excluding failed ones. */
  refundedCents: number
  /** Disputes only: the amount that this dispute has taken; 0 for an inquiry and after a won dispute. */
  disputedCents: number
  customerId: string | undefined
  /** The fingerprint of the card's number; without one, the payment method's id. */
  cardNumber: string | undefined
  /** Disputes only: what the card's holder says about the charge, and how the dispute stands. */
  dispute?: Pick<Dispute, 'reason' | 'status'>
  /** Fraud warnings only: whether it still counts against the card. */
  warns?: boolean
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

/** Reports that an object changed. Read the object again to learn its current state. */
export interface PaymentEvent {
  id: string
  /** The provider's name for the event, such as `payment_intent.succeeded`. */
  type: string
  createdMs: number
  livemode: boolean
  /** The connected account of the event; undefined for our own account. */
  account: string | undefined
  objectKind: string | undefined
  objectId: string | undefined
  /** The object's customer at the time of the event. */
  customerId: string | undefined
  /** The object's metadata at the time of the event. */
  metadata: Readonly<Record<string, string>>
  /** The object's customer before the change, such as that of a card that has been detached. */
  previousCustomerId: string | undefined
}

export interface SignedWebhook {
  /** The body's bytes as received, never parsed and serialised again. */
  body: Uint8Array
  /** The `stripe-signature` header. */
  signature: string | undefined
  /** Every signing secret that is valid now; two during a rotation. */
  secrets: readonly string[]
  nowMs: number
}

/** Every secret with which the provider may sign an event now; two during a rotation. */
export type WebhookSecrets = readonly string[]

/** By what this deployment knows its own payments and events among those of one account at the provider. */
export interface PaymentScope {
  /** Whether this deployment takes real money. */
  livemode: boolean
  /** The deployment's name, which every payment carries in its metadata. */
  stage: string
}

export interface Page<T> {
  items: T[]
  /** The cursor for the next call; undefined on the last page. */
  nextCursor: string | undefined
}

/**
 * Cards and money. A call is retried only once, after a network failure. A call whose effect is not known
 * throws `temporarily_unavailable`, except `confirmPayment`, which answers `unknown`. A call that the provider
 * refused because of a rate limit had no effect. It throws an error whose limit `rateLimitOf` (core/errors.ts)
 * returns: the same call may be repeated later.
 * Cancel, attach, detach and update are idempotent.
 */
export interface Payments {
  /**
   * Creates the account's customer, or finds the customer that an earlier call within 24 hours created.
   * @param deletedCustomerId the customer of an earlier call if that customer is deleted: a new one replaces
   *   it.
   */
  createCustomer(accountId: string, deletedCustomerId?: string): Promise<PaymentCustomer>
  /**
   * @throws DomainError `not_found` if there is no such customer, or the default card is not the customer's.
   */
  updateCustomer(customerId: string, changes: CustomerChanges): Promise<PaymentCustomer>
  /**
   * `deleted` for a customer whose deletion the provider confirms. Undefined for an unknown id, which proves
   * nothing: the secret key may be that of another account.
   */
  readCustomer(customerId: string): Promise<PaymentCustomer | 'deleted' | undefined>
  /**
   * Ids of the account's customers that have this e-mail address now, most recent first: also such a one whose id
   * got lost because the process died after its creation. At most 100.
   */
  findCustomers(accountId: string, email: string): Promise<string[]>
  /**
   * Deletes the customer with its cards for good. Its payments stay. `deleted` also if it was deleted before;
   * `absent` for an unknown id, which proves nothing, as with `readCustomer`.
   */
  deleteCustomer(customerId: string): Promise<'deleted' | 'absent'>

  /** Undefined for an unknown id, and for a payment method that is not a card. */
  readCard(paymentMethodId: string): Promise<PaymentCard | undefined>
  /** The fingerprint of what was sent for a card, a payment method or a ConfirmationToken; undefined for anything else. */
  cardFingerprintOf(asked: string): Promise<string | undefined>
  /** All cards of the customer, newest first. Empty for a customer that does not exist. */
  listCards(customerId: string): Promise<PaymentCard[]>
  /** Attaching a card again to its own customer succeeds. The bank may decline to have the card attached. */
  attachCard(
    paymentMethodId: string,
    customerId: string,
  ): Promise<
    { status: 'attached'; card: PaymentCard } | { status: 'declined'; decline: Decline } | PaymentRefused
  >
  /** Detaches the card for good. An unknown or unattached card is not an error. */
  detachCard(paymentMethodId: string): Promise<void>

  /**
   * Creates the payment unconfirmed. The same key and parameters again return it as it was at creation.
   */
  createPayment(payment: NewPayment): Promise<Payment | PaymentRefused>
  /**
   * The only call that can move money. Idempotent: repeats never charge twice.
   * @throws DomainError `not_found` for an unknown payment
   * @param purpose as at creation, but `purchase` for a renewal whose customer is now present to
   *   authenticate.
   * @param card the ConfirmationToken that the payment was created for; or the payment method again, since a decline
   *   removes it from the payment. A token or a card that the provider does not accept declines as `card_unusable`.
   */
  confirmPayment(paymentId: string, purpose: PaymentPurpose, card?: string): Promise<Payment | OutcomeUnknown>
  /**
   * Cancels the payment if possible. Returns its state afterwards: canceled, else succeeded or processing.
   * @throws DomainError `not_found` for an unknown payment
   */
  cancelPayment(paymentId: string): Promise<Payment>
  /** Undefined for an unknown id. */
  readPayment(paymentId: string): Promise<Payment | undefined>
  /** Newest first, 100 a page. @throws DomainError `not_found` if the payment of the cursor does not exist */
  listPayments(
    filter: { customerId?: string; createdSinceMs?: number; createdUntilMs?: number },
    cursor?: string,
  ): Promise<Page<Payment>>

  /** The charge with its refunds and disputes; undefined for an unknown id. */
  readCharge(chargeId: string): Promise<Charge | undefined>
  readDispute(disputeId: string): Promise<Dispute | undefined>
  /**
   * Gives money of a payment back. The same key and parameters again return the same refund.
   * @throws DomainError `not_found` for an unknown payment
   */
  createRefund(refund: NewRefund): Promise<Refund | RefundRefused>
  /** The refund whose metadata names this refund of ours, among the newest hundred of the payment. */
  findRefund(paymentId: string, refund: string): Promise<Refund | undefined>
  /** The payment that a refund belongs to; undefined for an unknown id. */
  readRefund(refundId: string): Promise<{ paymentId: string | undefined } | undefined>
  readFraudWarning(warningId: string): Promise<FraudWarning | undefined>
  /**
   * Refunds, disputes or fraud warnings created since then, with their charges. Newest first, 100 a page.
   * @throws DomainError `not_found` if the object of the cursor does not exist
   */
  listReversals(kind: ReversalKind, createdSinceMs: number, cursor?: string): Promise<Page<Reversal>>

  /**
   * The event; undefined unless one of the secrets signed these bytes at most 300 s before or after `nowMs`.
   */
  readEvent(webhook: SignedWebhook): Promise<PaymentEvent | undefined>
  /** Events of that time that no webhook accepted, including abandoned ones. Newest first, 100 a page. */
  listUndelivered(created: { sinceMs: number; untilMs: number }, cursor?: string): Promise<Page<PaymentEvent>>
}
