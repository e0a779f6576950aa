import * as z from 'zod/mini'
import type { PaymentCard } from '../ports.ts'
import { type Expression, expr } from '../table/expression.ts'
import { dueAt, keys, REMOVED_CARD_KEPT_MS, ttlAt } from '../table/keys.ts'
import type { Item } from '../table/table.ts'

const optionalString = z.optional(z.string())

export const billingAddressSchema = z.object({
  line1: optionalString,
  line2: optionalString,
  city: optionalString,
  state: optionalString,
  postalCode: optionalString,
  country: optionalString,
})

const cardSchema = z.object({
  id: z.string(),
  customerId: optionalString,
  brand: z.string(),
  last4: z.string(),
  expMonth: z.number(),
  expYear: z.number(),
  country: optionalString,
  funding: z.string(),
  fingerprint: optionalString,
  networks: z.optional(z.object({ available: z.array(z.string()), preferred: optionalString })),
  checks: z.object({ line1: optionalString, postalCode: optionalString, cvc: optionalString }),
  threeDSecureSupported: z.boolean(),
  billing: z.object({
    address: billingAddressSchema,
    email: optionalString,
    name: optionalString,
    phone: optionalString,
  }),
  livemode: z.boolean(),
  createdMs: z.number(),
})

const storedCardSchema = z.object({
  cardId: z.string(),
  /** Grows with each write, so that an older reading from Stripe never wins. */
  version: z.number(),
  /** Absent once the card is removed. The item stays as a tombstone, so a late reading cannot bring it back. */
  card: z.optional(cardSchema),
  /** Its owner has removed it, and Stripe may not know yet. */
  removing: z.optional(z.literal(true)),
  /** The last notice about its expiry, with the expiry date of that notice. */
  noticed: optionalString,
  /** The bank declined it, and it has not succeeded since. */
  declined: z.optional(z.literal(true)),
})

export type StoredCard = z.infer<typeof storedCardSchema>
export type Card = z.infer<typeof cardSchema>

/** Reads a stored card. @throws Error if it is not one. */
export const parseStoredCard = (item: Item): StoredCard => z.parse(storedCardSchema, item)

/** That nobody has written a card since it was read. */
export const unchangedCard = (stored: StoredCard | undefined): Expression =>
  stored ? expr`#version = ${stored.version}` : expr`attribute_not_exists(pk)`

/** Whether the owner can use the card. */
export const isLiveCard = (stored: StoredCard | undefined): stored is StoredCard & { card: Card } =>
  stored?.card !== undefined && !stored.removing

/** The item for a card; it is due when its next expiry notice is. */
export function cardItem(accountId: string, card: PaymentCard, last: StoredCard | undefined): Item {
  const version = (last?.version ?? 0) + 1
  const stored: StoredCard = { ...last, cardId: card.id, version, card: z.parse(cardSchema, card) }
  const next = nextNotice(stored)
  const due = next && dueAt('CARD', accountId, next.atMs)
  return { ...keys.card(accountId, card.id), ...stored, ...due }
}

/** The item that replaces a removed card. */
export const cardTombstone = (
  accountId: string,
  cardId: string,
  lastVersion: number,
  nowMs: number,
): Item => ({
  ...keys.card(accountId, cardId),
  cardId,
  version: lastVersion + 1,
  ...ttlAt(nowMs + REMOVED_CARD_KEPT_MS),
})

/**
 * The next notice about a card's expiry: one when its last month begins, and one when it has expired. A card is valid
 * through the last day of its month.
 */
export function nextNotice({
  card,
  noticed,
}: StoredCard): { kind: 'expiring' | 'expired'; mark: string; atMs: number } | undefined {
  if (!card) return undefined
  const date = `${card.expYear}-${card.expMonth}`
  const [expiring, expired] = [`${date} expiring`, `${date} expired`]
  if (noticed === expired) return undefined
  if (noticed === expiring)
    return { kind: 'expired', mark: expired, atMs: Date.UTC(card.expYear, card.expMonth) }
  return { kind: 'expiring', mark: expiring, atMs: Date.UTC(card.expYear, card.expMonth - 1) }
}
