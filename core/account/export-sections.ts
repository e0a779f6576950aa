import { readAlerts } from '../quota/alerts.ts'
import { usesBySlot } from '../quota/day-snapshot.ts'
import { readLot } from '../quota/lots.ts'
import { openIn } from '../quota/reservation.ts'
import {
  AUDIT_PREFIX,
  DAY_PREFIX,
  LISTED_PREFIX,
  LOT_PREFIX,
  MONTHLY_PREFIX,
  OUT_EVENT_PREFIX,
  TAGS_PREFIX,
} from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { DAY_MS } from '../time.ts'

/** An attribute to show: its name, or the name of an object with the names inside it. */
type Shown = string | readonly [name: string, inner: readonly string[]]

/** How the items of one kind appear in an export. */
export interface ExportedKind {
  /** Beginning of the sort keys. */
  prefix: string
  section: string
  shows: readonly Shown[]
  /** Attributes that are left out, each with the reason. Index and key attributes are left out everywhere. */
  omits?: Readonly<Record<string, string>>
  /** Values that are not an attribute of their own. */
  adds?(item: Item): Item
  /** For a section that is one attribute of the item: its name, and the entries in it, with all that they have. */
  within?: { attribute: string; entries(item: Item): Item[] }
}

const SECRET = 'A secret: whoever has it can get into the account.'
const MARK = 'A mark by which Bursar recognises a repeated request. It says nothing outside Bursar.'
const LIST = 'By which those who run this service find the account: it repeats what is shown.'
const FENCE = 'A number that only counts writes, so that no write undoes another one.'

const LOTS = 'It follows from the ledger, which says when units expire, and the units used.'

/** What follows the kind in a sort key. */
const idOf = ({ sk }: Item): string => String(sk).slice(String(sk).indexOf('#') + 1)

/**
 * Every kind of item in an account's partition. An attribute of a later version is in no export until it has its
 * place here; `test/v1/export-user.test.ts` holds that each has one.
 */
export const exportedKinds: readonly ExportedKind[] = [
  {
    prefix: '#PROFILE',
    section: 'profile',
    shows: [
      ...['id', 'username', 'email', 'emailVerified', 'pendingEmail', 'undeliverable', 'addressSinceMs'],
      ...['movedAtMs', 'name', 'status', 'suspension', 'address', 'taxId', 'addressMove'],
      ...[
        'renamedFrom',
        'emailChangesMs',
        'exportsMs',
        'operatorExportsMs',
        'createdAtMs',
        'updatedAtMs',
        'lastLoginAtMs',
        'devices',
      ],
      ...['twofaTriedAtMs', 'defaultKeyAtMs', 'keyCount', 'flags', 'customerId', 'openHold', 'cardTriesMs'],
      ...['chargeDeclinesMs', 'cardChangedAtMs', 'bundle', 'plan', 'openPurchase'],
      ...['renewal', 'renewalBundle', 'renewalPlan'],
      ...['monthlyCapCents', 'maxRenewalsPerHour', 'maxRenewalsPerDay', 'renewed', 'owed', 'paid'],
      ...[
        'balanceCents',
        'creditCents',
        'ledgerSeq',
        'trialUnits',
        'recovery',
        'recoveriesMs',
        'recoveredFrom',
        'holderEmail',
      ],
      ['keyRotations', ['day', 'count']],
      ['lastProof', ['cardId', 'atMs']],
      ['lastPurchase', ['id', 'outcome', 'atMs']],
    ],
    omits: {
      totp: SECRET,
      totpPending: SECRET,
      defaultKey: `${SECRET} GET /v1/user shows it.`,
      keyHash: MARK,
      confirmCode: SECRET,
      changeCode: SECRET,
      resetCode: SECRET,
      recoveryCode: SECRET,
      restoredBy: MARK,
      networks: MARK,
      removedPasskey: MARK,
      twofaOffBy: MARK,
      mailbox: MARK,
      request: MARK,
      fingerprint: MARK,
      importedPassword: `The hash of the password that you had elsewhere, until you sign in. ${SECRET}`,
      registeredPassword: `The password that you registered with, until your address is confirmed. ${SECRET}`,
      unenrolled: 'Says that Amazon Cognito may not know the account yet.',
      generation: FENCE,
      keysReplacedIn: FENCE,
      nextKeySlot: FENCE,
      twofaTries: 'A count of wrong codes, which would tell somebody who guesses how many tries are left.',
      keySessions: 'Which access tokens application keys have got, until each ends; activity has them all.',
      changingUntilMs: 'Set for seconds, while a password changes.',
      eraseAtMs: 'An account that will be erased exports nothing.',
      erasing: 'An account that will be erased exports nothing.',
      erasedAtMs: 'An account that was erased exports nothing.',
    },
    adds: ({ totp }) => ({ twofa: totp !== undefined }),
  },
  {
    prefix: '#PROFILE',
    section: 'sessions',
    shows: ['sinceMs', 'provedMs', 'seenMs', 'device', 'factor'],
    omits: { provedBy: MARK },
    within: {
      attribute: 'sessions',
      entries: ({ sessions }) => Object.values(sessions as Record<string, Item>),
    },
  },
  {
    prefix: '#PROFILE',
    section: 'passkeys',
    shows: ['id', 'name', 'createdAtMs', 'lastUsedAtMs', 'synced'],
    omits: {
      credentialId: `${MARK} \`id\` is its digest.`,
      publicKey:
        'The public half of a key pair, which says nothing without the private half in the authenticator.',
      counter: 'A number by which Bursar recognises a copy of the passkey.',
      madeBy: MARK,
    },
    within: {
      attribute: 'passkeys',
      entries: ({ passkeys = {} }) =>
        Object.entries(passkeys as Record<string, Item>).map(([id, passkey]) => ({ ...passkey, id })),
    },
  },
  {
    prefix: '#QUOTA',
    section: 'units',
    shows: [],
    omits: {
      h: `A hash of an application key. ${SECRET}`,
      a: MARK,
      s: FENCE,
      m: FENCE,
      g: FENCE,
      o: FENCE,
      e: FENCE,
      k: FENCE,
      j: FENCE,
      n: FENCE,
      kx: FENCE,
      nx: FENCE,
      r: FENCE,
      x: 'An active account has none.',
      z: FENCE,
      E: LOTS,
      M: LOTS,
      P: LOTS,
      Q: LOTS,
    },
    adds: (counter) => ({
      left: Number(counter.l) + Number(counter.f),
      used: counter.u,
      reserved: counter.y,
      expired: counter.X,
      dayMs: Number(counter.d) * DAY_MS,
      bundleUnits: counter.q,
      lowPercent: counter.L,
      renewalPercent: counter.R,
      renewsBelow: counter.b,
      alerts: readAlerts(counter.i as Uint8Array | undefined).alerts.map(({ below, armed }) => ({
        below,
        armed,
      })),
      renewalBundleUnits: counter.w,
      usedByKeySlot: usesBySlot(counter),
    }),
  },
  {
    prefix: '#QUOTA',
    section: 'reservations',
    shows: ['nonce', 'units', 'expiresAtMs', 'slot', 'unreported'],
    within: {
      attribute: 'v',
      entries: (item) => openIn({ item }).map((open) => ({ ...open, nonce: open.nonce.toString('hex') })),
    },
  },
  {
    prefix: 'RESERVED#',
    section: 'reservations',
    shows: ['units', 'expiresAtMs', 'slot', 'unreported', 'expired', 'covered', 'ttl'],
    adds: (item) => ({ nonce: idOf(item) }),
  },
  {
    prefix: '#CUSTOMER',
    section: 'stripeCustomer',
    shows: [
      ...['id', 'email', 'name', 'phone', 'description', 'address', 'defaultCardId', 'balanceCents'],
      ...['currency', 'delinquent', 'invoicePrefix', 'livemode', 'createdMs'],
    ],
    omits: { version: FENCE },
  },
  {
    prefix: 'CARD#',
    section: 'cards',
    shows: ['cardId', 'card', 'removing', 'noticed', 'declined', 'reason', 'closed', 'restsUntilMs', 'ttl'],
    omits: { version: FENCE },
  },
  {
    prefix: 'NUMBER#',
    section: 'cardNumbers',
    shows: ['declinesMs', 'closed', 'signals', 'ttl'],
    omits: { version: FENCE },
    adds: (item) => ({ fingerprint: idOf(item) }),
  },
  {
    prefix: 'HOLD#',
    section: 'cardVerifications',
    shows: [
      ...['id', 'purpose', 'state', 'asked', 'cardId', 'customerId', 'amountCents', 'currency', 'address'],
      ...['cardFingerprint', 'paymentId', 'renews', 'trial', 'createdAtMs', 'ttl'],
    ],
    omits: { keyed: MARK, accountId: 'It is in the profile.' },
  },
  {
    prefix: 'LEDGER#',
    section: 'ledger',
    shows: [
      'seq',
      'atMs',
      'kind',
      'units',
      'amountCents',
      'currency',
      'purchaseId',
      'size',
      'lowPercent',
      'renewalPercent',
      'expiresAtMs',
    ],
  },
  {
    prefix: LOT_PREFIX,
    section: 'unitsThatExpire',
    shows: ['purchaseId'],
    adds: (item) => ({ expiresAtMs: readLot(item).day * DAY_MS, ledgerSeq: readLot(item).seq }),
    omits: { units: LOTS },
  },
  { prefix: MONTHLY_PREFIX, section: 'monthlyUnits', shows: ['day', 'untilMs'] },
  {
    prefix: 'PURCHASE#',
    section: 'purchases',
    shows: [
      ...[
        'id',
        'kind',
        'state',
        'bundle',
        'units',
        'amountCents',
        'plan',
        'coupon',
        'currency',
        'customerId',
        'asked',
        'cardId',
      ],
      ...['cardFingerprint', 'address', 'receiptEmail', 'paymentId', 'promised', 'createdAtMs', 'cycle'],
      ...['paidAtMs', 'ledgerSeq', 'finished', 'brand', 'last4', 'receiptUrl', 'receiptAtMs'],
      ...['refundedCents', 'disputedCents', 'returnedUnits', 'returnedCents', 'lostDisputes', 'ttl'],
    ],
    omits: {
      fingerprint: MARK,
      accountId: 'It is in the profile.',
      openRefund: 'Names a refund that is under way.',
    },
  },
  { prefix: 'COUPON#', section: 'coupons', shows: ['code', 'count'] },
  {
    prefix: 'INVOICE#',
    section: 'invoices',
    shows: ['id', 'amountCents', 'currency', 'paidAtMs', 'refundedCents', 'disputedCents'],
    omits: { status: LIST },
  },
  {
    prefix: DAY_PREFIX,
    section: 'usage',
    shows: [],
    adds: (item) => ({
      startMs: Number(idOf(item)) * DAY_MS,
      usedUntilThen: item.u,
      usedByKeySlot: item.c,
      lastUsedDayByKeySlot: item.t,
    }),
  },
  {
    prefix: TAGS_PREFIX,
    section: 'usageTags',
    shows: ['tags'],
    adds: ({ pk: _, sk, tags, ...counts }) => {
      const [, day, slot] = String(sk).split('#')
      const startMs = Number(day) * DAY_MS
      return slot === undefined ? { startMs } : { startMs, keySlot: Number(slot), unitsByTag: counts }
    },
  },
  {
    prefix: 'KEY#',
    section: 'keys',
    shows: ['id', 'name', 'slot', 'prefix', 'last4', 'createdAtMs', 'changedAtMs', 'settings'],
    omits: {
      status: LIST,
      hash: SECRET,
      previous: `A hash of a key before a rotation. ${SECRET}`,
      revision: FENCE,
    },
  },
  { prefix: 'REVOKED#', section: 'revokedKeys', shows: ['ttl'], adds: (item) => ({ id: idOf(item) }) },
  {
    prefix: 'ALERT#',
    section: 'crossedAlerts',
    shows: ['id', 'below', 'threshold', 'left', 'atMs', 'told', 'ttl'],
  },
  {
    prefix: OUT_EVENT_PREFIX,
    section: 'events',
    shows: ['id', 'type', 'version', 'sequence', 'atMs', 'data', 'publishedAtMs', 'ttl'],
  },
  {
    prefix: 'NOTICE#',
    section: 'notices',
    shows: ['id', 'messageType', 'message', 'createdAtMs'],
  },
  {
    prefix: AUDIT_PREFIX,
    section: 'activity',
    shows: ['id', 'atMs', 'action', 'by', 'before', 'after', 'requestId', 'ip'],
    omits: {
      accountId: 'It is in the profile.',
      name: 'Who of the company acted is about that person.',
      reason: 'A note of the company for its own people.',
    },
  },
  { prefix: 'RECOVERY', section: 'recoveryReminders', shows: ['beganAtMs', 'daysTold', 'by'] },
  {
    prefix: 'MAIL#',
    section: 'mails',
    shows: [
      ...['to', 'template', 'values', 'heldAtMs', 'isLimited', 'readyAtMs', 'failures', 'ttl'],
      ...['event', 'outcome', 'endedAtMs'],
    ],
    omits: { codeLookup: SECRET, accountId: 'It is in the profile.' },
    adds: (item) => ({ id: idOf(item) }),
  },
]

/** Requests by anyone for mails to the address. They are not in the partition: their key is the address. */
export const mailRequestKind: ExportedKind = {
  prefix: '#ASK',
  section: 'mailRequests',
  shows: ['purpose', 'email', 'askedAtMs', 'sentAtMs', 'ttl'],
  omits: { lanes: 'It says in which order requests are answered.' },
}

/** Kinds that no export shows, each with what is in it and the reason. */
export const omittedKinds: readonly { prefix: string; section: string; why: string }[] = [
  {
    prefix: 'ALARM#',
    section: 'reservationAlarm',
    why: 'Says when Bursar looks at open reservations next. They are in `reservations`.',
  },
  {
    prefix: 'REFUND#',
    section: 'refunds',
    why: 'Orders to give money back, by which Bursar gives it back once. What they did is in `purchases` and `ledger`.',
  },
  {
    prefix: 'MONTH#',
    section: 'months',
    why: 'Sums by month of what was used and paid, which `usage` and `ledger` have one by one.',
  },
  {
    prefix: LISTED_PREFIX,
    section: 'lists',
    why: 'Lists the account by its bundle, and by whether it has paid, owes, runs low or gets no mail. All of that is in the profile.',
  },
  {
    prefix: 'OUTNUMBERS',
    section: 'eventNumbers',
    why: 'Says how many `events` have a number. It is in the newest one.',
  },
  { prefix: 'REQUEST#', section: 'requests', why: `Digests of Idempotency-Keys, for 48 hours. ${MARK}` },
  { prefix: 'SPENT#', section: 'spentIds', why: `Digests of request ids, for 4 days. ${MARK}` },
  { prefix: 'SPENTID#', section: 'spentIds', why: `Digests of request ids, for 4 days. ${MARK}` },
]

/** What is stored about a person in places that no export reads. */
export const storedElsewhere: readonly { where: string; what: string }[] = [
  {
    where: 'Look-ups of the same table',
    what: 'The account id under the e-mail address and a new one that waits to be confirmed, the username, the customer id, the payments’ ids and a hash of the default key, and under mailed codes until they expire. All are in the sections, apart from keys and codes, which are secrets. For 15 minutes, how many wrong passwords were typed for the address and the username.',
  },
  {
    where: 'Stripe',
    what: 'Your name, e-mail address, billing address and cards, of which stripeCustomer and cards are our copies; and your payments with their receipts, which Stripe keeps as its own records.',
  },
  {
    where: 'Amazon Cognito',
    what: 'The account id, your password in a form that nobody can read, and the tokens of your sessions. No name and no address.',
  },
  {
    where: 'Logs',
    what: 'The account id, with the time and the outcome of each request. No name and no address.',
  },
]

/** What an export shows of an item: one entry of the section, or several. */
export function exportedEntries({ shows, adds, within }: ExportedKind, item: Item): Item[] {
  if (within) return within.entries(item).map((entry) => shownOf(shows, entry))
  return [{ ...shownOf(shows, item), ...adds?.(item) }]
}

function shownOf(shows: readonly Shown[], item: Item): Item {
  const shown = shows.flatMap((each) => {
    const [name, inner] = typeof each === 'string' ? [each, undefined] : each
    const value = item[name]
    return value === undefined ? [] : [[name, inner ? shownOf(inner, value as Item) : value] as const]
  })
  return Object.fromEntries(shown)
}
