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
  /** Grows with each write, so that an older reading never replaces a newer one. */
  version: z.number(),
  /** Absent in the tombstone of a removed card, which keeps a late reading from bringing the card back. */
  card: z.optional(cardSchema),
  /** The owner has removed the card, but it may not be detached at the provider yet. */
  removing: z.optional(z.literal(true)),
  /** Mark of the last expiry notice that was sent, such as `2027-5 expiring`. */
  noticed: optionalString,
  /** The bank declined the card, and no payment with it has succeeded since. */
  declined: z.optional(z.literal(true)),
  /** Why it counts as declined: the bank's reason, or a report of fraud. */
  reason: optionalString,
  /** The bank must not be asked about this card again until its details change or it is replaced. */
  closed: z.optional(z.literal(true)),
  /** The bank must not be asked before this time, epoch ms, after too many declines of the card. */
  restsUntilMs: z.optional(z.number()),
})

export type StoredCard = z.infer<typeof storedCardSchema>
export type Card = z.infer<typeof cardSchema>

/** Reads a stored card. @throws Error if the item is not a card. */
export const parseStoredCard = (item: Item): StoredCard => z.parse(storedCardSchema, item)

/** Condition: the stored card is as it was read. */
export const unchangedCard = (stored: StoredCard | undefined): Expression =>
  stored ? expr`#version = ${stored.version}` : expr`attribute_not_exists(pk)`

/** A card on file. */
export type LiveCard = StoredCard & { card: Card }

/** Whether a card is on file and its owner can use it. */
export const isLiveCard = (stored: StoredCard | undefined): stored is LiveCard =>
  stored?.card !== undefined && !stored.removing

/** The item that stores a card. It is due when the next expiry notice is. */
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
 * The next expiry notice: the first is due when the card's last month begins, the second when this month has
 * ended (UTC). A card is valid through the last day of its month.
 * @returns undefined if no notice is left to send.
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
