import * as z from 'zod/mini'
import { DomainError } from '../errors.ts'
import type { Decline, Deps } from '../ports.ts'
import { type Expression, expr } from '../table/expression.ts'
import { keys, ttlAt } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { DAY_MS } from '../time.ts'

/**
 * Card networks allow 15 declined tries of one card in 30 days and charge for more. We stop below that, since
 * our clock is not theirs.
 */
const DECLINES_ALLOWED = 10
const DECLINES_WITHIN_MS = 30 * DAY_MS

/** Why a charge with a card was reported as fraud. */
export const signalReasons = ['card_disputed', 'fraud_warning'] as const
export type SignalReason = (typeof signalReasons)[number]

export const isSignal = (reason: string | undefined): reason is SignalReason =>
  (signalReasons as readonly (string | undefined)[]).includes(reason)

/**
 * What an account remembers about the number of a card, whichever payment method stands for it. A payment
 * method is only an entry of a card: the same number can be typed again.
 */
const numberSchema = z.object({
  /** Grows with each write, so that concurrent writes are not lost. */
  version: z.number(),
  /** Times of declines by the bank, epoch ms, oldest first. */
  declinesMs: z.array(z.number()),
  /** The bank said, when the card was to be proved, that it will never work. */
  closed: z.optional(z.object({ reason: z.string(), atMs: z.number() })),
  /** Reports of fraud, by the id of the charge. They hold however long ago they came. */
  signals: z.optional(z.record(z.string(), z.enum(signalReasons))),
})

export type CardNumber = z.infer<typeof numberSchema>

export const UNKNOWN_NUMBER: CardNumber = { version: 0, declinesMs: [] }

/** What is remembered of a number. Without a fingerprint, a payment method's id stands for its number. */
export async function readCardNumber(
  deps: Deps<'table'>,
  accountId: string,
  number: string,
): Promise<CardNumber> {
  const item = await deps.table.get(keys.cardNumber(accountId, number))
  return item ? z.parse(numberSchema, item) : UNKNOWN_NUMBER
}

/** The item to put under `unchangedNumber`. It expires once nothing in it matters any more. */
export function cardNumberItem(accountId: string, number: string, record: CardNumber, nowMs: number): Item {
  const lasts = Object.keys(record.signals ?? {}).length > 0
  return {
    ...keys.cardNumber(accountId, number),
    ...record,
    version: record.version + 1,
    ...(lasts ? {} : ttlAt(nowMs + DECLINES_WITHIN_MS)),
  }
}

export const unchangedNumber = ({ version }: CardNumber): Expression =>
  version === 0 ? expr`attribute_not_exists(pk)` : expr`#version = ${version}`

const recentDeclines = ({ declinesMs }: CardNumber, nowMs: number): number[] =>
  declinesMs.filter((atMs) => atMs > nowMs - DECLINES_WITHIN_MS)

/** When the bank may be asked about the card again, epoch ms; 0 if it may be asked now. */
export const restsUntilMs = (record: CardNumber, nowMs: number): number =>
  (recentDeclines(record, nowMs).at(-DECLINES_ALLOWED) ?? -DECLINES_WITHIN_MS) + DECLINES_WITHIN_MS

/** Whether the bank was asked at all. */
export const reachedBank = ({ reason }: Decline): boolean =>
  reason !== 'card_unusable' && reason !== 'card_blocked'

/** Reasons that concern what was typed or asked, and not the card: typed anew, the same card can work. */
const DETAILS: readonly string[] = [
  'card_expired',
  'wrong_details',
  'authentication_required',
  'authentication_failed',
  'card_unusable',
]

/** Whether the payment method can be charged again only once it is proved anew or its card's details change. */
export const closesEntry = ({ reason, retry }: Decline): boolean =>
  retry === 'never' && reason !== 'authentication_required' && reason !== 'card_unusable'

/** Whether another payment method of the same number is as useless to its bank. */
export const closesNumber = (decline: Decline): boolean =>
  closesEntry(decline) && !DETAILS.includes(decline.reason)

/** The record of a number after one more decline. */
export const withDecline = (record: CardNumber, decline: Decline, nowMs: number): CardNumber =>
  reachedBank(decline) ? { ...record, declinesMs: [...recentDeclines(record, nowMs), nowMs] } : record

/** The record of a card that was declined for good when it was to be proved. */
export const withClosure = (record: CardNumber, { reason }: Decline, nowMs: number): CardNumber => ({
  ...record,
  closed: { reason, atMs: nowMs },
})

/** Condition on a number's record: a card may be proved with it at `nowMs`. */
export const mayProve = (nowMs: number): Expression =>
  expr`attribute_not_exists(#closed) OR #closed.#atMs <= ${nowMs - DECLINES_WITHIN_MS}`

/** The answer for a card about which the bank must not be asked. Nothing is sent. */
export function cardRefusal(
  { isClosed, untilMs }: { isClosed: boolean; untilMs: number },
  nowMs: number,
): DomainError | undefined {
  if (isClosed) return new DomainError('card_declined')
  if (untilMs <= nowMs) return undefined
  return new DomainError('too_many_cards_tried', {
    detail:
      'The bank has declined this card 10 times in 30 days. Use another card, or try again after the time in Retry-After.',
    retryAfterSeconds: Math.ceil((untilMs - nowMs) / 1000),
  })
}

/** As `cardRefusal`, for a number: a bank's refusal is kept for 30 days, a report of fraud for good. */
export function numberRefusal(record: CardNumber, nowMs: number): DomainError | undefined {
  const closedAtMs = record.closed?.atMs ?? 0
  const isReported = Object.keys(record.signals ?? {}).length > 0
  const isClosed = isReported || closedAtMs > nowMs - DECLINES_WITHIN_MS
  return cardRefusal({ isClosed, untilMs: restsUntilMs(record, nowMs) }, nowMs)
}
