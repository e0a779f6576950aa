import { createHash } from 'node:crypto'
import { DAY_MS, MINUTE_MS } from '../time.ts'

/**
 * Every key of the one table, and what its item holds.
 *
 * | entity            | pk                     | sk                                 | holds                                                            | kept                                              |
 * | ----------------- | ---------------------- | ---------------------------------- | ---------------------------------------------------------------- | ------------------------------------------------- |
 * | profile           | ACCOUNT#<id>           | #PROFILE                           | the account: names, status, sessions, flags, balance             | for good                                          |
 * | quota             | ACCOUNT#<id>           | #QUOTA                             | the hot counter: units left and used                             | for good                                          |
 * | customer          | ACCOUNT#<id>           | #CUSTOMER                          | our copy of Stripe's customer                                    | until deleted at Stripe                           |
 * | card              | ACCOUNT#<id>           | CARD#<pm_>                         | our copy of a card, or the mark of a removed card                | for good; 30 days once removed                    |
 * | card number       | ACCOUNT#<id>           | NUMBER#<fingerprint>               | declines of a card, whichever payment method stands for it       | 30 days; for good once reported as misused        |
 * | card verification | ACCOUNT#<id>           | HOLD#<id>                          | a $1 hold from its first call until it is released               | until the verification ends                       |
 * | ledger entry      | ACCOUNT#<id>           | LEDGER#<seq>                       | one credit or debit, numbered without gaps                       | for good                                          |
 * | lot               | ACCOUNT#<id>           | LOT#<day>#<seq>                    | units that expire, from the entry that credits them              | until they have expired                           |
 * | monthly units     | ACCOUNT#<id>           | MONTHLY#                           | when the plan gives its units each month, and until when it has  | until the account holds no such plan              |
 * | purchase          | ACCOUNT#<id>           | PURCHASE#<id>                      | a payment for units from its first call on; ids are time-ordered | for good; 35 days if it ended uncharged           |
 * | refund            | ACCOUNT#<id>           | REFUND#<id>                        | a refund that an operator ordered, from its first call on        | for good                                          |
 * | request           | ACCOUNT#<id>           | REQUEST#<mac>                      | the purchase, refund or answer that an Idempotency-Key is for    | 48 hours                                          |
 * | spent ids         | ACCOUNT#<id>           | SPENT#<span>#<newest time>#<nonce> | request ids that left the counter's ring, many in one item       | 4 days                                            |
 * | spent id          | ACCOUNT#<id>           | SPENTID#<entry>                    | one request id that does not share an item with others           | 4 days                                            |
 * | reservation       | ACCOUNT#<id>           | RESERVED#<nonce>                   | a reservation that had no room in the counter, or how it ended   | until 4 days after its expiry                     |
 * | reservation alarm | ACCOUNT#<id>           | ALARM#                             | makes the job look at reservations in the counter each minute    | until none is open                                |
 * | crossed alert     | ACCOUNT#<id>           | ALERT#<seq>#<revision>#<code>      | a crossed alert until all are told, then the mark of it          | 7 days                                            |
 * | day               | ACCOUNT#<id>           | DAY#<day>                          | the counters of use as they stood when a day ended               | for good                                          |
 * | tags of a day     | ACCOUNT#<id>           | TAGS#<day>                         | the tags under which use of a day is counted, by number          | for good                                          |
 * | use by tag        | ACCOUNT#<id>           | TAGS#<day>#<slot>                  | units that a key has used on a day, by the numbers of their tags | for good                                          |
 * | application key   | ACCOUNT#<id>           | KEY#<id>                           | name, slot and settings; of the default key only if it has any   | until revoked                                     |
 * | revoked key       | ACCOUNT#<id>           | REVOKED#<id>                       | the mark of an application key that its owner has revoked        | 48 hours                                          |
 * | redemptions       | ACCOUNT#<id>           | COUPON#<code>                      | how often the account has redeemed a coupon                      | for good                                          |
 * | invoice           | ACCOUNT#<id>           | INVOICE#<purchase id>              | what the list of invoices shows of a purchase that was paid      | for good                                          |
 * | notice            | ACCOUNT#<id>           | NOTICE#<id>                        | something to tell the user; ids are time-ordered                 | for good                                          |
 * | month             | ACCOUNT#<id>           | MONTH#<month>#<measure>            | what the account has used or paid in a month; lists it by that   | 400 days                                          |
 * | mark in a list    | ACCOUNT#<id>           | LISTED#<mark>                      | lists the account by what the mark says (`core/account/listed.ts`) | as long as that is true                         |
 * | recovery          | ACCOUNT#<id>           | RECOVERY                           | reminders of a recovery of lost two-factor codes                 | until the recovery ends                           |
 * | address move      | ACCOUNT#<id>           | RECOVERY#ADDRESS                   | the same of a change of the address that an operator has begun   | until the change ends                             |
 * | queued mail       | ACCOUNT#<id>           | MAIL#<id>                          | a mail that is not yet known to be sent, then the mark of it     | until sent; 7 days (with a code: as long as it); the mark 90 days |
 * | audit entry       | ACCOUNT#<id>           | AUDIT#<ms>#<id>                    | who did what to the account: append-only                         | for good                                          |
 * | operator's entry  | OPERATOR#<name>        | AUDIT#<ms>#<id>                    | the same, of everything that an operator has done                | for good                                          |
 * | event             | ACCOUNT#<id>           | OUTEVENT#<ms>#<id>                 | an event for other systems; due until it is published            | 30 days after it was published                    |
 * | event numbers     | ACCOUNT#<id>           | OUTNUMBERS                         | how many events of the account have a number                     | for good                                          |
 * | event endpoint    | ENDPOINTS              | ENDPOINT#<id>                      | an HTTPS endpoint of the operator for events, with its secrets   | for good                                          |
 * | delivery          | ENDPOINT#<id>          | DELIVERY#<ms>#<event id>           | an event on its way to an endpoint, and what came of it          | 30 days                                           |
 * | e-mail guard      | EMAIL#<normalised>     | #GUARD                             | account of the address: makes addresses unique, finds accounts   | as long as the address                            |
 * | username guard    | USERNAME#<lower>       | #GUARD                             | account of the username                                          | as long as the username                           |
 * | import mark       | IMPORT#<mac>           | #IMPORT                            | the account that was imported for an address, digest of the line | for good                                          |
 * | trial mark        | TRIAL#<mac or digest>  | #TRIAL                             | nothing: a mailbox (by a MAC) or a card (by a digest) has had the trial | a year                                            |
 * | password tries    | as the guard           | #TRIES                             | wrong passwords typed for the name, known or not                 | 15 minutes after the last                         |
 * | mailed code       | CODE#<look-up half>    | #CODE                              | purpose, account, expiry, tries left                             | 2 hours longer than it is valid                   |
 * | passkey challenge | CHALLENGE#<id>         | #CHALLENGE                         | a challenge that was answered, so that nobody answers it again   | 10 minutes                                        |
 * | mail asked for    | ASK#<purpose>#<e-mail> | #ASK                               | a request by anyone for a mail with a code                       | 24 hours                                          |
 * | address change    | CHANGE#<e-mail>        | #CHANGE#<id>                       | an account that asked to change its address to this one          | 7 days                                            |
 * | limit             | LIMIT#<mac or id>      | #LIMIT#<window>                    | how often things have happened within an hour or a day           | an hour after the window                          |
 * | key look-up       | APIKEY#<hash>          | #KEY                               | account of the default application key                           | until rotated                                     |
 * | service           | SERVICES               | SERVICE#<name>                     | one of the operator's services, its credential live or revoked   | for good                                          |
 * | service look-up   | SERVICE#<hash>         | #SERVICE                           | the name of the service that a live credential belongs to        | until revoked                                     |
 * | admin key         | ADMINKEYS              | ADMINKEY#<name>                    | a credential of a program that acts as an operator, with its role | for good                                         |
 * | admin key look-up | ADMINKEY#<hash>        | #ADMINKEY                          | the name and the role of a live admin key                        | until revoked                                     |
 * | plans now         | PLANS                  | #CURRENT                           | the plans that are sold now; without it the deployed file counts | for good                                          |
 * | plans             | PLANS                  | VERSION#<n>                        | each version of the plans, who applied it and why: append-only   | for good                                          |
 * | mail domain       | MAILDOMAINS            | DOMAIN#<domain>                    | whether operators block or allow addresses of a domain           | until an operator decides otherwise               |
 * | totals of a day   | TOTALS                 | DAY#<day>#<shard>                  | what all accounts did on a day, in parts                         | for good                                          |
 * | coupon            | COUPONS                | COUPON#<code>                      | what a coupon gives, and how often it was redeemed               | for good                                          |
 * | card fingerprint  | FINGERPRINT#<digest>   | #FINGERPRINT                       | whether a card's number is blocked for all accounts, and who owes for payments with it | for good                    |
 * | customer look-up  | CUSTOMER#<cus_>        | #CUSTOMER                          | account of Stripe's customer                                     | until deleted at Stripe                           |
 * | payment look-up   | PAYMENT#<pi_>          | #PAYMENT                           | purchase of a payment; due until the two were compared           | for good                                          |
 * | job               | JOB#<name>             | #JOB                               | progress of a job                                                | for good                                          |
 * | call budget       | CALLS#<provider>       | #CALLS                             | how many calls the jobs may make to a provider, by endpoint      | for good                                          |
 * | event guard       | EVENT#<source>:<id>    | #EVENT                             | an event from outside: processed, or absent since a time         | 30 days (EventBridge: 7 days)                     |
 *
 * `#` sorts before every letter: one Query with `begins_with(sk, '#')` reads profile and quota together. Text
 * from outside is only in `pk`, after a prefix, and never in `sk`, so no input can name an item of another
 * kind.
 *
 * Of an erased account (`core/account/erase.ts`) profile, quota, ledger entries, purchases and invoices stay as
 * bookkeeping, without anything that says whose they were, and so do the look-ups of its payments. All else goes.
 *
 * Index `due` (sparse): an item that waits for work carries `due` = `<KIND>#<shard>` and `dueAtMs`.
 *
 * Index `listed` (sparse): an item with `status` and `id` is in the list of its `status`, by descending `id`. So a
 * profile is in the list of its status, with no attribute beyond those that it has anyway; marks, invoices and the
 * look-ups of keys have a `status` for the index only. Ids are texts.
 */
export interface Key {
  pk: string
  sk: string
}

/**
 * A number in the form for sort keys, which are compared as text: always so many digits.
 * @throws Error for a number that has more, or is none that is counted: it would be in a wrong place, where nobody finds it
 */
function digits(value: number, width: number, radix = 10): string {
  const text = value.toString(radix).padStart(width, '0')
  if (text.length > width || !Number.isSafeInteger(value) || value < 0)
    throw new Error(`${value} does not fit into the ${width} digits of a sort key`)
  return text
}

const ownedBy = (accountId: string) => `ACCOUNT#${accountId}`

/** Id of the account that owns an item of its partition. */
export const accountIdIn = ({ pk }: Key): string => pk.slice(ownedBy('').length)

/** Outside `keys`, so that functions without passkeys do not carry it. */
export const challengeKey = (challengeId: string): Key => ({
  pk: `CHALLENGE#${challengeId}`,
  sk: '#CHALLENGE',
})

/** Outside `keys`, so that functions without payments do not carry it. */
export const paymentKey = (paymentId: string): Key => ({ pk: `PAYMENT#${paymentId}`, sk: '#PAYMENT' })

/**
 * The mark that an account was imported for an address, by a MAC of it. It outlives the account, so that no repeat of
 * an import brings an erased person back. Outside `keys` too.
 */
export const importKey = (mac: string): Key => ({ pk: `IMPORT#${mac}`, sk: '#IMPORT' })
/** What operators have decided about a domain of mail, which is checked to be one. Outside `keys` too. */
export const mailDomainKey = (domain: string): Key => ({ pk: 'MAILDOMAINS', sk: `DOMAIN#${domain}` })

/** What is known of a card's number in all accounts, by a digest of its fingerprint. Outside `keys` too. */
export const fingerprintKey = (digest: string): Key => ({ pk: `FINGERPRINT#${digest}`, sk: '#FINGERPRINT' })

/**
 * The mark that a mailbox has had the trial, by a MAC of it, or a card, by a digest of its fingerprint. It outlives the
 * account. Outside `keys` too.
 */
export const trialKey = (mailboxOrCard: string): Key => ({ pk: `TRIAL#${mailboxOrCard}`, sk: '#TRIAL' })
/** The versions of the plans. Outside `keys`, so that spending does not carry them. */
export const PLANS = 'PLANS'
export const PLANS_PREFIX = 'VERSION#'
export const currentPlansKey = (): Key => ({ pk: PLANS, sk: '#CURRENT' })
export const plansKey = (version: number): Key => ({
  pk: PLANS,
  sk: `${PLANS_PREFIX}${digits(version, 8)}`,
})

/** Coupons, and how often an account has redeemed one. A code is checked to have letters, digits and hyphens only. */
export const COUPONS = 'COUPONS'
export const COUPONS_PREFIX = 'COUPON#'
export const couponKey = (code: string): Key => ({ pk: COUPONS, sk: COUPONS_PREFIX + code })
export const redemptionsKey = (accountId: string, code: string): Key => ({
  pk: ownedBy(accountId),
  sk: COUPONS_PREFIX + code,
})

/** A time in the form for sort keys, epoch ms. */
export const msKey = (atMs: number): string => digits(atMs, 14)

/** Entries of the audit log, and events for other systems, in the order of their times. Outside `keys` as well. */
export const AUDIT_PREFIX = 'AUDIT#'
export const accountAuditKey = (accountId: string, atMs: number, id: string): Key => ({
  pk: ownedBy(accountId),
  sk: `${AUDIT_PREFIX}${msKey(atMs)}#${id}`,
})
export const operatorPartition = (operator: string): string => `OPERATOR#${operator}`
/** The ends of a span of times, the second not included, as `between` takes them after `AUDIT_PREFIX`. */
export const auditSpan = (fromMs: number, toMs: number): [string, string] => [msKey(fromMs), msKey(toMs)]
export const operatorAuditKey = (operator: string, atMs: number, id: string): Key => ({
  pk: operatorPartition(operator),
  sk: `${AUDIT_PREFIX}${msKey(atMs)}#${id}`,
})
export const OUT_EVENT_PREFIX = 'OUTEVENT#'
export const outEventKey = (accountId: string, atMs: number, id: string): Key => ({
  pk: ownedBy(accountId),
  sk: `${OUT_EVENT_PREFIX}${msKey(atMs)}#${id}`,
})
/** The operator's endpoints for events, and what is on its way to each. */
export const ENDPOINTS = 'ENDPOINTS'
export const eventEndpointKey = (endpointId: string): Key => ({ pk: ENDPOINTS, sk: `ENDPOINT#${endpointId}` })
export const eventDeliveryKey = (endpointId: string, atMs: number, eventId: string): Key => ({
  pk: eventDeliveryPartition(endpointId),
  sk: `${DELIVERY_PREFIX}${msKey(atMs)}#${eventId}`,
})
export const eventDeliveryPartition = (endpointId: string): string => `ENDPOINT#${endpointId}`
export const DELIVERY_PREFIX = 'DELIVERY#'
export const eventNumbersKey = (accountId: string): Key => ({ pk: ownedBy(accountId), sk: 'OUTNUMBERS' })

/** A refund that an operator ordered. Outside `keys` as well. */
export const refundKey = (accountId: string, refundId: string): Key => ({
  pk: ownedBy(accountId),
  sk: `REFUND#${refundId}`,
})

/** Totals of all accounts by day (days since 1970), in parts, so that no item takes every write. */
export const TOTALS = 'TOTALS'
export const totalsKey = (day: number, shard: number): Key => ({
  pk: TOTALS,
  sk: `${DAY_PREFIX}${dayKey(day)}#${shard}`,
})
/** What an account has of a measure in a month such as 2026-11. */
export const monthKey = (accountId: string, month: string, measure: string): Key => ({
  pk: ownedBy(accountId),
  sk: `MONTH#${month}#${measure}`,
})

/** Lists an account by something that is true of it. */
export const LISTED_PREFIX = 'LISTED#'
export const listedKey = (accountId: string, mark: string): Key => ({
  pk: ownedBy(accountId),
  sk: `${LISTED_PREFIX}${mark}`,
})

/** Outside `keys` too, so that a consume does not carry them. */
export const RESERVATION_PREFIX = 'RESERVED#'
export const reservationKey = (accountId: string, nonceHex: string): Key => ({
  pk: ownedBy(accountId),
  sk: `${RESERVATION_PREFIX}${nonceHex}`,
})
/** An alert that was crossed after a ledger entry, by the revision of the alerts and the code of its threshold. */
export const crossedAlertKey = (accountId: string, seq: number, revision: number, code: number): Key => ({
  pk: ownedBy(accountId),
  sk: `ALERT#${seq}#${revision}#${code}`,
})
export const reservationAlarmKey = (accountId: string): Key => ({ pk: ownedBy(accountId), sk: 'ALARM#' })

/** Outside `keys`, so that functions without sign-ins do not carry it. */
export const recoveryKey = (accountId: string): Key => ({ pk: ownedBy(accountId), sk: 'RECOVERY' })
export const addressMoveKey = (accountId: string): Key => ({ pk: ownedBy(accountId), sk: 'RECOVERY#ADDRESS' })

/** The provider's id of the payment that a look-up item is about. */
export const paymentIdIn = ({ pk }: Key): string => pk.slice('PAYMENT#'.length)

/** Sort-key prefix of the archive items of one span. The newest time in the item follows it. */
export const spentPrefix = (span: number): string => `SPENT#${span}#`

/** Sort-key prefix of the archive items of one id. The id's ring entry in hex follows it, so its time first. */
export const SPENT_ID_PREFIX = 'SPENTID#'

/** A time of request ids (`core/quota/request-id.ts`) in the form for sort keys. */
export const timeKey = (time: number): string => digits(time, 10, 16)

export const DAY_PREFIX = 'DAY#'

/** A day (days since 1970) in the form for sort keys. */
export const dayKey = (day: number): string => digits(day, 5)

/** Units that expire when a day begins, by the number of the ledger entry that credits them. */
export const LOT_PREFIX = 'LOT#'
export const lotKey = (accountId: string, day: number, seq: number): Key => ({
  pk: ownedBy(accountId),
  sk: `${LOT_PREFIX}${dayKey(day)}#${seqKey(seq)}`,
})

/** When an account gets the units that its plan gives each month. Outside `keys` as well. */
export const MONTHLY_PREFIX = 'MONTHLY#'
export const monthlyKey = (accountId: string): Key => ({ pk: ownedBy(accountId), sk: MONTHLY_PREFIX })

export const TAGS_PREFIX = 'TAGS#'

/** The list of a day's tags. */
export const tagsKey = (accountId: string, day: number): Key => ({
  pk: ownedBy(accountId),
  sk: `${TAGS_PREFIX}${dayKey(day)}`,
})

/** The units that a key has used on a day, by tag. */
export const tagCountsKey = (accountId: string, day: number, slot: number): Key => ({
  pk: ownedBy(accountId),
  sk: `${TAGS_PREFIX}${dayKey(day)}#${slot}`,
})

/**
 * The first and the last sort key that an item can have: between them is the whole partition of an account. DynamoDB
 * takes no empty prefix.
 */
export const WHOLE_PARTITION = ['#', '~'] as const

/** The number of a ledger entry in the form for sort keys. */
const seqKey = (seq: number): string => digits(seq, 12)

/** A sort key after every one that begins with `prefix`. */
export const endOfKind = (prefix: string): string => `${prefix}~`

/** Sort-key prefix of the accounts that asked to change their address to one address. */
export const ADDRESS_CHANGE_PREFIX = '#CHANGE#'

/** Prefix of the items that every request for an account reads at once. */
export const CORE_PREFIX = '#'

export const keys = {
  account: ownedBy,
  profile: (accountId: string): Key => ({ pk: ownedBy(accountId), sk: '#PROFILE' }),
  quota: (accountId: string): Key => ({ pk: ownedBy(accountId), sk: '#QUOTA' }),
  customer: (accountId: string): Key => ({ pk: ownedBy(accountId), sk: '#CUSTOMER' }),
  customerOwner: (customerId: string): Key => ({ pk: `CUSTOMER#${customerId}`, sk: '#CUSTOMER' }),
  card: (accountId: string, cardId: string): Key => ({ pk: ownedBy(accountId), sk: `CARD#${cardId}` }),
  cardNumber: (accountId: string, fingerprint: string): Key => ({
    pk: ownedBy(accountId),
    sk: `NUMBER#${fingerprint}`,
  }),
  hold: (accountId: string, holdId: string): Key => ({ pk: ownedBy(accountId), sk: `HOLD#${holdId}` }),
  ledger: (accountId: string, seq: number): Key => ({
    pk: ownedBy(accountId),
    sk: `LEDGER#${seqKey(seq)}`,
  }),
  purchase: (accountId: string, purchaseId: string): Key => ({
    pk: ownedBy(accountId),
    sk: `PURCHASE#${purchaseId}`,
  }),
  request: (accountId: string, mac: string): Key => ({ pk: ownedBy(accountId), sk: `REQUEST#${mac}` }),
  spent: (accountId: string, span: number, newestTime: number, nonce: string): Key => ({
    pk: ownedBy(accountId),
    sk: `${spentPrefix(span)}${timeKey(newestTime)}#${nonce}`,
  }),
  spentId: (accountId: string, entryHex: string): Key => ({
    pk: ownedBy(accountId),
    sk: SPENT_ID_PREFIX + entryHex,
  }),
  day: (accountId: string, day: number): Key => ({
    pk: ownedBy(accountId),
    sk: `${DAY_PREFIX}${dayKey(day)}`,
  }),
  key: (accountId: string, keyId: string): Key => ({ pk: ownedBy(accountId), sk: `KEY#${keyId}` }),
  revokedKey: (accountId: string, keyId: string): Key => ({
    pk: ownedBy(accountId),
    sk: `REVOKED#${keyId}`,
  }),
  invoice: (accountId: string, purchaseId: string): Key => ({
    pk: ownedBy(accountId),
    sk: `INVOICE#${purchaseId}`,
  }),
  notice: (accountId: string, noticeId: string): Key => ({
    pk: ownedBy(accountId),
    sk: `NOTICE#${noticeId}`,
  }),
  mail: (accountId: string, mailId: string): Key => ({ pk: ownedBy(accountId), sk: `MAIL#${mailId}` }),
  emailGuard: (normalisedEmail: string): Key => ({ pk: `EMAIL#${normalisedEmail}`, sk: '#GUARD' }),
  usernameGuard: (lowerUsername: string): Key => ({ pk: `USERNAME#${lowerUsername}`, sk: '#GUARD' }),
  passwordTries: ({ pk }: Key): Key => ({ pk, sk: '#TRIES' }),
  code: (lookup: string): Key => ({ pk: `CODE#${lookup}`, sk: '#CODE' }),
  ask: (purpose: string, normalisedEmail: string): Key => ({
    pk: `ASK#${purpose}#${normalisedEmail}`,
    sk: '#ASK',
  }),
  addressChanges: (normalisedEmail: string): string => `CHANGE#${normalisedEmail}`,
  addressChange: (normalisedEmail: string, accountId: string): Key => ({
    pk: `CHANGE#${normalisedEmail}`,
    sk: `${ADDRESS_CHANGE_PREFIX}${accountId}`,
  }),
  limit: (subject: string, window: number): Key => ({ pk: `LIMIT#${subject}`, sk: `#LIMIT#${window}` }),
  job: (name: string): Key => ({ pk: `JOB#${name}`, sk: '#JOB' }),
  callBudget: (provider: 'stripe'): Key => ({ pk: `CALLS#${provider}`, sk: '#CALLS' }),
  event: (eventId: string): Key => ({ pk: `EVENT#${eventId}`, sk: '#EVENT' }),
  defaultKey: (hash: string): Key => ({ pk: `APIKEY#${hash}`, sk: '#KEY' }),
}

// How long items that expire are kept. The table above lists the same times.
export const REMOVED_CARD_KEPT_MS = 30 * DAY_MS
/** Longer than the 30 days for which the provider's payments are compared with the purchases. */
export const UNCHARGED_PURCHASE_KEPT_MS = 35 * DAY_MS
/** Longer than the 24 hours for which the API promises to recognise an Idempotency-Key. */
export const REQUEST_KEPT_MS = 2 * DAY_MS
/** As long as an Idempotency-Key, so that one rule holds for repeats. */
export const REVOKED_KEY_KEPT_MS = REQUEST_KEPT_MS
/** Longer than the three days for which a repeated consume is recognised. */
export const SPENT_IDS_KEPT_MS = 4 * DAY_MS
/** As long as a request id, so that one rule holds for repeats. */
export const RESERVATION_KEPT_MS = SPENT_IDS_KEPT_MS
export const NEWS_MAIL_KEPT_MS = 7 * DAY_MS
/** As long as people ask what became of a mail. */
export const MAIL_MARK_KEPT_MS = 90 * DAY_MS
/** As long as its mail. */
export const ALERT_KEPT_MS = NEWS_MAIL_KEPT_MS
export const INVITATION_CODE_KEPT_MS = 7 * DAY_MS
/** Longer than a year, so that a month can be compared with the same one of the year before. */
export const MONTH_KEPT_MS = 400 * DAY_MS
/** For so long a published event can be replayed. */
export const PUBLISHED_EVENT_KEPT_MS = 30 * DAY_MS
/** For so long a mailbox or a card that had the trial gets no other, whatever became of the account. */
export const TRIAL_KEPT_MS = 365 * DAY_MS
/** As long as the longest-lived code. Before a mail is sent, its own code decides. */
export const CODE_MAIL_KEPT_MS = INVITATION_CODE_KEPT_MS
export const CONFIRMATION_CODE_KEPT_MS = DAY_MS
export const RESET_CODE_KEPT_MS = 10 * MINUTE_MS
/** Longer than the five minutes for which a challenge may be answered, because clocks differ. */
export const CHALLENGE_KEPT_MS = 10 * MINUTE_MS
/** After its expiry a code can be made valid again for as long as an address may get no more mails. */
export const EXPIRED_CODE_KEPT_MS = 120 * MINUTE_MS
export const ADDRESS_CHANGE_KEPT_MS = 7 * DAY_MS
/** After the end of the window. */
export const LIMIT_KEPT_MS = 60 * MINUTE_MS
export const MAIL_REQUEST_KEPT_MS = DAY_MS
/** Stripe redelivers an event for three days and lists it for thirty. */
export const STRIPE_EVENT_KEPT_MS = 30 * DAY_MS
/** EventBridge redelivers an event for a day. */
export const BUS_EVENT_KEPT_MS = 7 * DAY_MS

/** The TTL attribute: the epoch second after which DynamoDB may delete the item. Deletion may lag by days. */
export const ttlAt = (atMs: number): { ttl: number } => ({ ttl: Math.ceil(atMs / 1000) })

/**
 * A key as log lines show it. Text from outside, such as an e-mail address, is replaced by the first digits
 * of its SHA-256, so that an operator who knows the text can find the line.
 */
export function shownKey({ pk, sk }: Key): string {
  if (pk.startsWith(ownedBy(''))) return `${pk} ${sk}`
  const at = pk.lastIndexOf('#') + 1
  const digest = createHash('sha256').update(pk.slice(at)).digest('hex').slice(0, 12)
  return `${pk.slice(0, at)}${digest} ${sk}`
}

/** What an item can wait for. Each kind has its own job. */
export type DueKind =
  | 'ALERT'
  | 'ASK'
  | 'CARD'
  | 'CUSTOMER'
  | 'DELIVERY'
  | 'ERASE'
  | 'EVENT'
  | 'HOLD'
  | 'LOT'
  | 'MAIL'
  | 'MONTHLY'
  | 'PAYMENT'
  | 'PENDING'
  | 'PURCHASE'
  | 'QUOTA'
  | 'RECOVERY'
  | 'REFUND'
  | 'RESERVED'
  | 'USE'

/** Shards per kind. One partition of the index takes 1,000 writes a second; a job reads all shards. */
export const DUE_SHARDS = 4

/**
 * The index attributes of an item that is due at `atMs`. The last digits of `hexId`, such as an account id,
 * choose the shard.
 */
export function dueAt(kind: DueKind, hexId: string, atMs: number): { due: string; dueAtMs: number } {
  const shard = Number.parseInt(hexId.slice(-4), 16) % DUE_SHARDS
  return { due: `${kind}#${shard}`, dueAtMs: atMs }
}

/** The index partitions of a kind. */
export const dueShards = (kind: DueKind): string[] =>
  Array.from({ length: DUE_SHARDS }, (_, shard) => `${kind}#${shard}`)
