import * as z from 'zod/mini'
import { type Account, parseProfile } from '../account/account.ts'
import { emailKey } from '../account/fields.ts'
import { type AuditEntry, parseAudit } from '../audit/entry.ts'
import { isLiveCard, type LiveCard, parseStoredCard } from '../cards/stored.ts'
import { parseCustomer } from '../cards/stored-customer.ts'
import { openRecovery } from '../credentials/recovery-state.ts'
import { isSinceRestore, SESSION_MS } from '../credentials/session-life.ts'
import { parseKey } from '../keys/stored-keys.ts'
import { parseEntry } from '../ledger/entry.ts'
import type { StatementLine } from '../ledger/statement.ts'
import { type Notice, parseNotice } from '../notifications/notices.ts'
import { type MailMark, mailMarkSchema, mailSchema, queuedAtMs } from '../notifications/queued-mail.ts'
import { isUndeliverable } from '../notifications/undeliverable.ts'
import type { Deps } from '../ports.ts'
import { CURRENCY } from '../purchases/catalogue.ts'
import { type Purchase, parsePurchase } from '../purchases/purchase.ts'
import { parseQuota } from '../quota/quota.ts'
import { isLowQuota } from '../quota/thresholds.ts'
import type { Item } from '../table/table.ts'
import { checkLedger, type LedgerCheck } from './ledger-check.ts'
import { type OpenWork, openWorkIn } from './open-work.ts'
import { readPartition } from './partition.ts'
import { type RenewalWords, renewalWords } from './renewal-words.ts'
import { type Standing, standingOf } from './standing.ts'

/** Entries of each section that a page has; the timeline has the others. */
const SHOWN = 20

/** A key as an operator sees it. */
export interface PageKey {
  id: string
  name: string
  prefix: string
  last4: string
  createdAtMs: number
  isDisabled: boolean
  expiresAtMs: number | undefined
}

/** Everything about an account that a person who helps its owner needs, and no secret. */
export interface AccountPage {
  account: Account
  standing: Standing
  /** Why mail to the address does not arrive; undefined as far as it does. */
  undeliverable: string | undefined
  /** Whether less than a tenth of the bundle is left. */
  isLow: boolean
  /** ISO 4217: the currency of the balance. */
  currency: string
  /** When a recovery of lost two-factor codes can be finished, epoch ms; undefined if none is open. */
  recoveryFinishesAtMs: number | undefined
  sessions: { device: string | undefined; sinceMs: number; seenMs: number }[]
  passkeys: { name: string; createdAtMs: number; lastUsedAtMs: number | undefined }[]
  /** The keys that have an item: all further ones. The default key has one only if it has settings. */
  keys: PageKey[]
  /** The newest first, as all further sections. */
  cards: (LiveCard & { isDefault: boolean })[]
  purchases: Purchase[]
  ledger: StatementLine[]
  ledgerCheck: LedgerCheck | undefined
  renewal: RenewalWords
  mails: { queued: { template: string; sinceMs: number; failures: number }[]; ended: MailMark[] }
  notices: Notice[]
  audit: AuditEntry[]
  /** The earliest first. */
  openWork: OpenWork[]
  /** Whether every item of the account was read; otherwise the newest of each kind. */
  isWhole: boolean
}

/** Reads the page of an account: one Query, and no call to Stripe. @returns undefined if there is no such account. */
export async function readAccountPage(
  deps: Deps<'table'>,
  accountId: string,
): Promise<AccountPage | undefined> {
  const { items, isWhole } = await readPartition(deps, accountId)
  const account = accountIn(items)
  if (!account) return undefined
  const nowMs = deps.clock.nowMs()
  const ledger = newest(items, 'LEDGER#', parseEntry)
  return {
    account,
    standing: standingOf(account),
    undeliverable: reasonOf(account),
    isLow: account.quota !== undefined && isLowQuota(account.quota.left, account.quota),
    currency: CURRENCY,
    recoveryFinishesAtMs: openRecovery(account, nowMs)?.finishesAtMs,
    ...waysIn(deps, account),
    keys: newest(items, 'KEY#', pageKey),
    cards: newest(items, 'CARD#', parseStoredCard)
      .filter(isLiveCard)
      .map((card) => ({ ...card, isDefault: card.cardId === account.customer?.defaultCardId }))
      .sort((a, b) => b.card.createdMs - a.card.createdMs),
    purchases: newest(items, 'PURCHASE#', parsePurchase).slice(0, SHOWN),
    ledger: ledger.slice(0, SHOWN).map((entry) => ({ ...entry, currency: entry.currency ?? CURRENCY })),
    ledgerCheck: account.quota && checkLedger(account, account.quota, ledger, isWhole),
    renewal: renewalWords(account),
    mails: mailsIn(items),
    notices: newest(items, 'NOTICE#', parseNotice).slice(0, SHOWN),
    audit: newest(items, 'AUDIT#', parseAudit).slice(0, SHOWN),
    openWork: openWorkIn(items),
    isWhole,
  }
}

const reasonOf = (account: Account): string | undefined =>
  isUndeliverable(account)
    ? (account.undeliverable?.[emailKey(account.email)]?.reason ?? 'unsupported')
    : undefined

/** The account among the items of its partition, as `readAccount` reads it. */
export function accountIn(items: readonly Item[]): Account | undefined {
  const find = (sk: string) => items.find((item) => item.sk === sk)
  const [profile, quota, customer] = [find('#PROFILE'), find('#QUOTA'), find('#CUSTOMER')]
  return (
    profile && {
      ...parseProfile(profile),
      quota: quota && parseQuota(quota),
      customer: customer && parseCustomer(customer),
    }
  )
}

/** The items of a kind, parsed, the one with the greatest key first. */
function newest<T>(items: readonly Item[], prefix: string, parse: (item: Item) => T): T[] {
  const own = items.filter(({ sk }) => String(sk).startsWith(prefix))
  return own.sort((a, b) => (String(a.sk) < String(b.sk) ? 1 : -1)).map(parse)
}

function waysIn(
  deps: Deps,
  { sessions, passkeys = {} }: Account,
): Pick<AccountPage, 'sessions' | 'passkeys'> {
  const nowMs = deps.clock.nowMs()
  return {
    sessions: Object.values(sessions)
      .filter((session) => nowMs < session.sinceMs + SESSION_MS && isSinceRestore(deps, session))
      .map(({ device, sinceMs, seenMs = sinceMs }) => ({ device, sinceMs, seenMs }))
      .sort((a, b) => b.seenMs - a.seenMs),
    passkeys: Object.values(passkeys).map(({ name, createdAtMs, lastUsedAtMs }) => ({
      ...{ name, createdAtMs, lastUsedAtMs },
    })),
  }
}

function pageKey(item: Item): PageKey {
  const { id, name, prefix, last4, createdAtMs, settings } = parseKey(item)
  const isDisabled = settings?.disabled === true
  return { id, name, prefix, last4, createdAtMs, isDisabled, expiresAtMs: settings?.expiresAtMs }
}

function mailsIn(items: readonly Item[]): AccountPage['mails'] {
  const mails = newest(items, 'MAIL#', (item) => item)
  const hasEnded = ({ outcome }: Item) => outcome !== undefined
  return {
    queued: mails
      .filter((item) => !hasEnded(item))
      .map((item) => {
        const { sk, template, readyAtMs, failures } = z.parse(mailSchema, item)
        return { template, failures, sinceMs: queuedAtMs(sk.slice('MAIL#'.length)) ?? readyAtMs }
      }),
    ended: mails
      .filter(hasEnded)
      .slice(0, SHOWN)
      .map((item) => z.parse(mailMarkSchema, item)),
  }
}
