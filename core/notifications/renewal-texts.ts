import * as z from 'zod/mini'
import { priceText } from './amounts.ts'

/** A change of auto-renewal that its owner must know. It is stored with the mail that tells of it. */
export const renewalNewsSchema = z.object({
  state: z.enum(['on', 'off', 'retrying', 'paused', 'action_required', 'capped', 'held_back']),
  /** Why, in a word: the reason of the state, or how it was switched on or off. */
  reason: z.string(),
  bundle: z.string(),
  /** When the renewal is tried again by itself, epoch ms. */
  nextAttemptAtMs: z.optional(z.number()),
  /** The limit that was reached: cents for the monthly cap, else a number of renewals. */
  limit: z.optional(z.number()),
})

export type RenewalNews = z.infer<typeof renewalNewsSchema>

/** What happened and what it means, and what the owner can do next. */
interface StateText {
  subject: string
  happened: string
  next: string
}

type Text = (news: RenewalNews) => StateText

const DECLINED = 'We could not renew your'
const PAUSED = 'Auto-renewal has paused for your'
const USE_ANOTHER =
  'Please set another card: we then renew the bundle at once. Refilling the bundle yourself also ends the pause.'

/** A moment as texts write it, rounded up to the minute, such as 2026-11-21 18:30 UTC. */
export const momentText = (atMs: number): string =>
  `${new Date(Math.ceil(atMs / 60_000) * 60_000).toISOString().slice(0, 16).replace('T', ' ')} UTC`

const until = ({ nextAttemptAtMs }: RenewalNews): string =>
  nextAttemptAtMs === undefined ? 'later' : `at ${momentText(nextAttemptAtMs)}`

const timesText = (count: number): string => `${count} ${count === 1 ? 'time' : 'times'}`

/** A pause because the bank declined the card: `why` ends the sentence that begins with "because". */
const declinedPause =
  (why: string, next = USE_ANOTHER): Text =>
  ({ bundle }) => ({
    subject: `${DECLINED} ${bundle} bundle`,
    happened: `Auto-renewal of your ${bundle} bundle has paused, because ${why}. Nothing was charged.`,
    next,
  })

const heldBack =
  (within: string): Text =>
  (news) => ({
    subject: `We held back the renewal of your ${news.bundle} bundle`,
    happened: `We renewed your ${news.bundle} bundle ${timesText(news.limit ?? 0)} within ${within} and held back the next renewal, in case your units are used up by mistake. Nothing more is charged for now.`,
    next: `Renewals go on by themselves ${until(news)}. Please check what uses your units. You can allow more renewals at once, raise the limit, or stop auto-renewal.`,
  })

/**
 * What each state of auto-renewal means to its owner, by state and reason. `other` is for reasons that have no
 * text of their own, so that no change is ever silent.
 */
const TEXTS: Readonly<Record<RenewalNews['state'], { other: Text } & Readonly<Record<string, Text>>>> = {
  on: {
    first_bundle: ({ bundle }) => ({
      subject: `Auto-renewal of your ${bundle} bundle is on`,
      happened: `Auto-renewal is on: we renew your ${bundle} bundle with your default card when it runs low.`,
      next: 'You can limit what it charges, or switch it off, at any time.',
    }),
    switched_on: ({ bundle }) => ({
      subject: `Auto-renewal of your ${bundle} bundle is on`,
      happened: `Auto-renewal was switched on: we renew your ${bundle} bundle with your default card when it runs low.`,
      next: 'You can limit what it charges, or switch it off, at any time.',
    }),
    allowed: ({ bundle }) => ({
      subject: `Auto-renewal of your ${bundle} bundle goes on`,
      happened: `You allowed more renewals, so auto-renewal of your ${bundle} bundle goes on.`,
      next: 'We renew the bundle again when it runs low. You can stop that at any time.',
    }),
    other: ({ bundle }) => ({
      subject: `Auto-renewal of your ${bundle} bundle is on again`,
      happened: `Auto-renewal of your ${bundle} bundle is on again.`,
      next: 'We renew the bundle with your default card when it runs low. There is nothing that you need to do.',
    }),
  },
  off: {
    link: ({ bundle }) => ({
      subject: `Auto-renewal of your ${bundle} bundle is off`,
      happened: `Auto-renewal was switched off with the link in one of our mails. No renewal of your ${bundle} bundle begins from now on.`,
      next: 'Once your units are used up, requests are refused until you refill the bundle or switch auto-renewal on again.',
    }),
    other: ({ bundle }) => ({
      subject: `Auto-renewal of your ${bundle} bundle is off`,
      happened: `Auto-renewal was switched off. No renewal of your ${bundle} bundle begins from now on.`,
      next: 'Once your units are used up, requests are refused until you refill the bundle or switch auto-renewal on again.',
    }),
  },
  retrying: {
    too_many_declines: (news) => ({
      subject: `${DECLINED} ${news.bundle} bundle`,
      happened: `Your card was declined so often that we do not charge it for now, so we did not renew your ${news.bundle} bundle.`,
      next: `We will try again ${until(news)}. To go on earlier, set another card.`,
    }),
    other: ({ bundle }) => ({
      subject: `${DECLINED} ${bundle} bundle`,
      happened: `Your card was declined when we tried to renew your ${bundle} bundle. Nothing was charged.`,
      next: 'We will try again in 1, 3 and 7 hours. If your bank refuses for good, auto-renewal pauses until you set another card or refill the bundle yourself.',
    }),
  },
  paused: {
    insufficient_funds: declinedPause('your card has insufficient funds'),
    limit_exceeded: declinedPause('the payment is over a limit of your card'),
    card_expired: declinedPause('your card has expired'),
    wrong_details: declinedPause('your bank refused the details of your card'),
    lost_or_stolen: declinedPause('your card can no longer be used'),
    blocked: declinedPause('your bank or our payment provider blocks the payment'),
    card_blocked: declinedPause(
      'we cannot accept your card',
      'Please set another card: we then renew the bundle at once. If you think this is a mistake, contact us.',
    ),
    card_unusable: declinedPause('your card can no longer be charged'),
    authentication_required: declinedPause(
      'your bank asked you to confirm the payment, and it was not confirmed in time',
      'Please refill the bundle yourself, so that you can confirm the payment, or set another card. Auto-renewal then goes on.',
    ),
    authentication_failed: declinedPause('the confirmation of the payment failed'),
    no_card: ({ bundle }) => ({
      subject: `${PAUSED} ${bundle} bundle`,
      happened: `Auto-renewal of your ${bundle} bundle has paused, because your account has no card that we can charge.`,
      next: 'Please add a card: we then renew the bundle at once.',
    }),
    units_owed: ({ bundle }) => ({
      subject: `${PAUSED} ${bundle} bundle`,
      happened: `Auto-renewal of your ${bundle} bundle has paused, because units that we took back, such as for a refund or dispute, had already been spent and are owed.`,
      next: 'Please refill the bundle yourself: the units owed are taken from it, and auto-renewal goes on once none is owed.',
    }),
    payment_reversed: ({ bundle }) => ({
      subject: `${PAUSED} ${bundle} bundle`,
      happened: `Auto-renewal of your ${bundle} bundle has paused, because a payment was refunded or disputed and we do not charge you again for units that went back.`,
      next: 'Please refill the bundle yourself, or set another card, if you want to go on. Auto-renewal then goes on, too.',
    }),
    bundle_removed: ({ bundle }) => ({
      subject: `${PAUSED} ${bundle} bundle`,
      happened: `Auto-renewal has paused, because we no longer sell the ${bundle} bundle. Nothing was charged, and your units stay yours.`,
      next: 'Please choose another bundle: auto-renewal then goes on with it.',
    }),
    card_disputed: ({ bundle }) => ({
      subject: `${PAUSED} ${bundle} bundle`,
      happened: `Auto-renewal of your ${bundle} bundle has paused, because a payment with your card was disputed as fraud and we do not charge such a card.`,
      next: 'Please set another card: we then renew the bundle when it runs low.',
    }),
    fraud_warning: ({ bundle }) => ({
      subject: `${PAUSED} ${bundle} bundle`,
      happened: `Auto-renewal of your ${bundle} bundle has paused, because your bank reported that a payment with your card may not have been yours, and we do not charge such a card.`,
      next: 'Please set another card: we then renew the bundle when it runs low.',
    }),
    other: declinedPause('your card was declined'),
  },
  action_required: {
    other: ({ bundle }) => ({
      subject: `Please confirm the renewal of your ${bundle} bundle`,
      happened: `Your bank asks you to confirm the renewal of your ${bundle} bundle.`,
      next: 'Please use the link that we mailed you. Nothing is charged until then.',
    }),
  },
  capped: {
    other: (news) => ({
      subject: `Auto-renewal of your ${news.bundle} bundle reached its monthly cap`,
      happened: `We did not renew your ${news.bundle} bundle, because renewals would then cost more than your monthly cap of ${priceText(news.limit ?? 0)}. Nothing more is charged.`,
      next: `Renewals go on by themselves ${until(news)}. To go on earlier, raise the cap or refill the bundle yourself.`,
    }),
  },
  held_back: {
    hourly_limit: heldBack('an hour'),
    other: heldBack('a day'),
  },
}

/** States and reasons that have a text of their own; `other` stands for all other reasons of a state. */
export const renewalTextKeys: readonly { state: RenewalNews['state']; reason: string }[] = Object.entries(
  TEXTS,
).flatMap(([state, texts]) =>
  Object.keys(texts).map((reason) => ({ state: state as RenewalNews['state'], reason })),
)

/** The sentences about a change of auto-renewal, for the notice and for the mail. */
export function renewalText(news: RenewalNews): StateText {
  const texts = TEXTS[news.state]
  const text = Object.hasOwn(texts, news.reason) ? texts[news.reason] : undefined
  return (text ?? texts.other)(news)
}
