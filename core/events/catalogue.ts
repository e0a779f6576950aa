import * as z from 'zod/mini'

/** A kind of event as other systems receive it. */
interface EventType {
  /** Rises with each change that a reader of the older version would not understand. */
  version: number
  /** When it happens, in one line. */
  summary: string
  data: z.ZodMiniType<Record<string, unknown>>
  example: Record<string, unknown>
}

const nothing = z.object({})
const card = z.object({ cardId: z.string() })
const expiry = z.object({ cardId: z.string(), expMonth: z.number(), expYear: z.number() })
const key = z.object({ keyId: z.string() })
const sold = {
  purchaseId: z.string(),
  /** `signup`, `buy`, `change` or `renewal`. */
  kind: z.string(),
  bundle: z.string(),
  units: z.number(),
  amountCents: z.number(),
  currency: z.string(),
}
/** `units`: how the units left have changed; `owedUnits`: units of the purchase that were spent and are owed now. */
const reversal = z.object({
  purchaseId: z.string(),
  amountCents: z.number(),
  currency: z.string(),
  units: z.number(),
  owedUnits: z.number(),
})

/** What `account.access_changed` tells of. */
export const accessChanges = [
  'password',
  'two-factor-on',
  'two-factor-off',
  'passkey-removed',
  'recovery-stopped',
] as const

/** What `deployment.revoked` tells of. */
export const deploymentRevocations = [
  'service',
  'admin-key',
  'operator',
  'card',
  'mail-domain',
  'coupon',
] as const

const CARD_ID = 'pm_1QnExample4242'
const EXAMPLE_KEY_ID = '0b1c2d3e4f5a6b7c'
const PURCHASE_ID = '0193c0ffee00a1b2c3d4e5f6'
const SOLD = {
  purchaseId: PURCHASE_ID,
  kind: 'renewal',
  bundle: 'STARTER',
  units: 1000,
  amountCents: 99,
  currency: 'USD',
}
const REVERSAL = { purchaseId: PURCHASE_ID, amountCents: 99, currency: 'USD', units: -940, owedUnits: 60 }

/**
 * Every type of event that Bursar announces. Amounts are in the currency's minor unit, times in epoch ms. The data holds
 * ids, numbers and states, and never a name, an address or the number of a card.
 */
export const eventCatalogue = {
  'account.registered': {
    version: 1,
    summary: 'Somebody has registered an account; its e-mail address is not confirmed yet',
    data: nothing,
    example: {},
  },
  'account.confirmed': {
    version: 1,
    summary: 'The owner of an account has confirmed its e-mail address for the first time',
    data: z.object({ trialUnits: z.number() }),
    example: { trialUnits: 100 },
  },
  'units.granted': {
    version: 1,
    summary:
      'An operator has given units to an account, or its plan (`bundle`) has, which does so each month. `owedUnits` of them paid what the account owed',
    data: z.object({
      seq: z.number(),
      units: z.number(),
      owedUnits: z.number(),
      expiresAtMs: z.optional(z.number()),
      bundle: z.optional(z.string()),
    }),
    example: { seq: 7, units: 500, owedUnits: 0, expiresAtMs: 1_798_761_600_000, bundle: 'STARTER' },
  },
  'units.taken': {
    version: 1,
    summary:
      'Units were taken from an account: by an operator, or what was left of its trial, because its first card backs the trial of another account. The next credit also takes `owedUnits`, which were not left',
    data: z.object({ seq: z.number(), units: z.number(), owedUnits: z.number() }),
    example: { seq: 8, units: 200, owedUnits: 0 },
  },
  'balance.changed': {
    version: 1,
    summary:
      "An operator has put money on an account's balance, or taken such money off it (a negative amount)",
    data: z.object({
      seq: z.number(),
      amountCents: z.number(),
      balanceCents: z.number(),
      currency: z.string(),
    }),
    example: { seq: 9, amountCents: 500, balanceCents: 500, currency: 'USD' },
  },
  'account.imported': {
    version: 1,
    summary: 'An operator has imported an account from another system, with a confirmed e-mail address',
    data: z.object({ units: z.number() }),
    example: { units: 5000 },
  },
  'account.suspended': {
    version: 1,
    summary: 'An operator has suspended an account: it can neither sign in nor spend, and nothing is charged',
    data: z.object({ from: z.enum(['active', 'deactivated']) }),
    example: { from: 'active' },
  },
  'account.resumed': {
    version: 1,
    summary: 'An operator has ended the suspension of an account, which is again what it was before',
    data: z.object({ status: z.enum(['active', 'deactivated']) }),
    example: { status: 'active' },
  },
  'account.email_changed': {
    version: 1,
    summary: 'A confirmed account has another e-mail address',
    data: nothing,
    example: {},
  },
  'account.deactivated': {
    version: 1,
    summary: 'The owner has deactivated the account: nobody gets in, and its keys are refused',
    data: nothing,
    example: {},
  },
  'account.closing': {
    version: 1,
    summary:
      'The owner or an operator has deleted the account, which is deactivated and will be erased at `eraseAtMs`',
    data: z.object({ eraseAtMs: z.number() }),
    example: { eraseAtMs: 1_798_761_600_000 },
  },
  'account.restored': {
    version: 1,
    summary: 'A deactivated account is active again; `undoesDeletion` if it would have been erased',
    data: z.object({ undoesDeletion: z.boolean() }),
    example: { undoesDeletion: false },
  },
  'account.erased': {
    version: 1,
    summary: 'A deleted account has no name and no address any more; only its books are left',
    data: nothing,
    example: {},
  },
  'account.access_changed': {
    version: 1,
    summary:
      'The way into an account has changed: another password, two-factor authentication on or off, a passkey removed, or a recovery stopped',
    data: z.object({ what: z.enum(accessChanges), passkeyId: z.optional(z.string()) }),
    example: { what: 'passkey-removed', passkeyId: '3f2a1b0c9d8e7f60' },
  },
  'deployment.revoked': {
    version: 1,
    summary:
      'An operator has revoked or blocked something that belongs to no account; `accountId` is 24 zeros. `id` is the name of the credential, the account of the operator, the digest of the card, the domain, or the code',
    data: z.object({ what: z.enum(deploymentRevocations), id: z.string() }),
    example: { what: 'service', id: 'gateway' },
  },
  'purchase.credited': {
    version: 1,
    summary: 'A payment has succeeded and its units are credited, less `keptUnits` that were owed',
    data: z.object({ ...sold, keptUnits: z.number() }),
    example: { ...SOLD, keptUnits: 0 },
  },
  'purchase.failed': {
    version: 1,
    summary: 'A purchase has ended without units: `declined` by the bank, for a `reason`, or `abandoned`',
    data: z.object({ ...sold, outcome: z.enum(['declined', 'abandoned']), reason: z.optional(z.string()) }),
    example: { ...SOLD, outcome: 'declined', reason: 'insufficient_funds' },
  },
  'renewal.state_changed': {
    version: 1,
    summary:
      'Auto-renewal is `on` or `off`, or `retrying`, `paused`, `action_required`, `capped` or `held_back` for a `reason`',
    data: z.object({
      from: z.string(),
      state: z.string(),
      reason: z.string(),
      bundle: z.optional(z.string()),
      nextAttemptAtMs: z.optional(z.number()),
    }),
    example: { from: 'on', state: 'retrying', reason: 'insufficient_funds', bundle: 'STARTER' },
  },
  'quota.low': {
    version: 1,
    summary: 'The units left have fallen below 10 % of the bundle; `left` is what a later look found',
    data: z.object({ left: z.number(), bundleUnits: z.number() }),
    example: { left: 97, bundleUnits: 1000 },
  },
  'quota.exhausted': {
    version: 1,
    summary: 'A request was refused for want of units, the first one since units were last credited or taken',
    data: z.object({ left: z.number() }),
    example: { left: 0 },
  },
  'quota.alert': {
    version: 1,
    summary: 'The units left have fallen below an alert of the owner, in units or as a `share` of the bundle',
    data: z.object({ threshold: z.number(), left: z.number(), share: z.optional(z.number()) }),
    example: { threshold: 200, left: 199, share: 0.2 },
  },
  'refund.applied': {
    version: 1,
    summary: 'A payment was refunded, and its units were taken back as far as they were left',
    data: reversal,
    example: REVERSAL,
  },
  'refund.failed': {
    version: 1,
    summary: 'A refund did not go through, and the units are back',
    data: reversal,
    example: { ...REVERSAL, units: 940, owedUnits: 0 },
  },
  'dispute.opened': {
    version: 1,
    summary: 'A bank has taken a payment back because its card holder disputes it',
    data: reversal,
    example: REVERSAL,
  },
  'dispute.won': {
    version: 1,
    summary: 'The money of a dispute is back, and so are the units',
    data: reversal,
    example: { ...REVERSAL, units: 940, owedUnits: 0 },
  },
  'dispute.lost': {
    version: 1,
    summary: 'A bank has decided a dispute against us: its money does not come back',
    data: z.object({
      purchaseId: z.string(),
      disputeId: z.string(),
      amountCents: z.number(),
      currency: z.string(),
    }),
    example: { purchaseId: PURCHASE_ID, disputeId: 'dp_1QnExample', amountCents: 99, currency: 'USD' },
  },
  'units.collected': {
    version: 1,
    summary:
      'Units that were owed for a refund or a dispute were taken once they had returned from reservations',
    data: z.object({ units: z.number() }),
    example: { units: 40 },
  },
  'card.added': { version: 1, summary: 'A card is on file', data: card, example: { cardId: CARD_ID } },
  'card.removed': {
    version: 1,
    summary: 'A card is not on file any more',
    data: card,
    example: { cardId: CARD_ID },
  },
  'card.default_changed': {
    version: 1,
    summary: 'Purchases and renewals use another card, or none',
    data: z.object({ cardId: z.optional(z.string()) }),
    example: { cardId: CARD_ID },
  },
  'card.expiring': {
    version: 1,
    summary: 'The last month of a card on file has begun',
    data: expiry,
    example: { cardId: CARD_ID, expMonth: 11, expYear: 2027 },
  },
  'card.expired': {
    version: 1,
    summary: 'A card on file has expired',
    data: expiry,
    example: { cardId: CARD_ID, expMonth: 11, expYear: 2027 },
  },
  'key.created': {
    version: 1,
    summary: 'An application key was made',
    data: key,
    example: { keyId: EXAMPLE_KEY_ID },
  },
  'key.rotated': {
    version: 1,
    summary: 'An application key has a new text; the old one works until `graceUntilMs`, if that is given',
    data: z.object({ keyId: z.string(), graceUntilMs: z.optional(z.number()) }),
    example: { keyId: EXAMPLE_KEY_ID, graceUntilMs: 1_796_083_200_000 },
  },
  'key.changed': {
    version: 1,
    summary:
      'The name or the settings of an application key have changed; `disabled` if it is switched off now',
    data: z.object({ keyId: z.string(), disabled: z.optional(z.literal(true)) }),
    example: { keyId: EXAMPLE_KEY_ID, disabled: true },
  },
  'key.revoked': {
    version: 1,
    summary: 'An application key was revoked',
    data: key,
    example: { keyId: EXAMPLE_KEY_ID },
  },
  'units.expired': {
    version: 1,
    summary: 'Units of an account have expired',
    data: z.object({ units: z.number() }),
    example: { units: 250 },
  },
} as const satisfies Record<string, EventType>

export type EventTypeName = keyof typeof eventCatalogue
export type EventData<T extends EventTypeName> = z.infer<(typeof eventCatalogue)[T]['data']>
