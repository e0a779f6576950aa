import * as z from 'zod/mini'
import { ledgerKinds } from '../../core/ledger/kinds.ts'
import { openStates, purchaseKinds } from '../../core/purchases/purchase.ts'
import { standings } from '../../core/reports/standing.ts'

/** What operators' reports answer. Amounts are in whole units of `currency`, times in ISO 8601. */

const time = z.iso.datetime()
const text = z.nullable(z.string())

export const standing = z.enum(standings)

/** An account as the operators' page shows it. */
export const accountPage = z.object({
  account: z.object({
    id: z.string(),
    username: z.string(),
    email: z.string(),
    emailVerified: z.boolean(),
    pendingEmail: text,
    name: text,
    standing,
    createdAt: time,
    lastLoginAt: z.nullable(time),
    eraseAt: z.nullable(time),
    country: text,
    customerId: text,
  }),
  delivery: z.object({ undeliverable: z.boolean(), reason: text }),
  access: z.object({
    twofa: z.boolean(),
    recoveryFinishesAt: z.nullable(time),
    passkeys: z.array(z.object({ name: z.string(), createdAt: time, lastUsedAt: z.nullable(time) })),
    sessions: z.array(z.object({ device: text, since: time, lastSeen: time })),
  }),
  keys: z.object({
    count: z.int(),
    further: z.array(
      z.object({
        id: z.string(),
        name: z.string(),
        prefix: z.string(),
        last4: z.string(),
        createdAt: time,
        enabled: z.boolean(),
        expiresAt: z.nullable(time),
      }),
    ),
  }),
  cards: z.array(
    z.object({
      id: z.string(),
      brand: z.string(),
      last4: z.string(),
      expires: z.string(),
      default: z.boolean(),
      declined: z.boolean(),
      reason: text,
      addedAt: time,
    }),
  ),
  units: z.object({
    bundle: text,
    left: z.int(),
    used: z.int(),
    reserved: z.int(),
    owed: z.int(),
    low: z.boolean(),
  }),
  money: z.object({ balance: z.number(), currency: z.string(), paid: z.boolean() }),
  renewal: z.object({ state: z.string(), reason: text, text: z.string(), nextAttemptAt: z.nullable(time) }),
  ledgerCheck: z.nullable(
    z.object({
      right: z.boolean(),
      by: z.enum(['sums', 'numbers']),
      units: z.nullable(z.object({ ledger: z.int(), counter: z.int() })),
      amount: z.nullable(z.object({ ledger: z.number(), balance: z.number() })),
      waiting: z.int(),
    }),
  ),
  purchases: z.array(
    z.object({
      id: z.string(),
      kind: z.enum(purchaseKinds),
      state: z.enum([...openStates, 'credited', 'declined', 'abandoned']),
      bundle: z.string(),
      units: z.int(),
      amount: z.number(),
      currency: z.string(),
      paymentId: text,
      createdAt: time,
      paidAt: z.nullable(time),
      refunded: z.number(),
      disputed: z.number(),
    }),
  ),
  ledger: z.array(
    z.object({
      seq: z.int(),
      at: time,
      kind: z.enum(ledgerKinds),
      units: z.int(),
      amount: z.number(),
      currency: z.string(),
      purchaseId: z.optional(z.string()),
    }),
  ),
  mails: z.object({
    queued: z.array(z.object({ template: z.string(), since: time, failures: z.int() })),
    sent: z.array(z.object({ template: z.string(), event: text, outcome: z.string(), at: time })),
  }),
  notices: z.array(z.object({ id: z.string(), type: z.string(), message: z.string(), at: time })),
  openWork: z.array(z.object({ kind: z.string(), what: z.string(), item: z.string(), dueAt: time })),
  audit: z.array(
    z.object({
      id: z.string(),
      at: time,
      action: z.string(),
      by: z.string(),
      name: text,
      reason: text,
      before: z.nullable(z.record(z.string(), z.unknown())),
      after: z.nullable(z.record(z.string(), z.unknown())),
    }),
  ),
  complete: z.boolean(),
  alike: z.array(z.string()),
})

/** A line of the list of accounts. */
export const accountLine = z.object({
  id: z.string(),
  username: z.string(),
  email: z.string(),
  standing,
  bundle: text,
  paid: z.boolean(),
  left: z.int(),
  used: z.int(),
  low: z.boolean(),
  owed: z.boolean(),
  balance: z.number(),
  currency: z.string(),
  undeliverable: z.boolean(),
  createdAt: time,
  lastLoginAt: z.nullable(time),
})

export const accountLines = z.object({ accounts: z.array(accountLine), next: text })

export const timelinePage = z.object({
  happenings: z.array(z.object({ at: time, kind: z.string(), text: z.string(), by: text, id: z.string() })),
  next: text,
})

const count = z.int()
const money = z.record(z.string(), z.int())

/** What all accounts did, by day; money in the minor unit of its currency. */
export const totalsPage = z.object({
  days: z.array(
    z.object({
      day: z.iso.date(),
      ...{
        accounts: count,
        confirmed: count,
        paying: count,
        purchases: count,
        refunds: count,
        disputes: count,
      },
      ...{ unitsSold: count, unitsGiven: count, unitsTaken: count, unitsExpired: count, unitsUsed: count },
      ...{ revenueCents: money, refundedCents: money, disputedCents: money },
    }),
  ),
})

/** The accounts that have most of something in a month. */
export const topPage = z.object({
  month: z.string(),
  by: z.string(),
  currency: text,
  accounts: z.array(z.object({ id: z.string(), username: z.string(), value: z.int() })),
})
