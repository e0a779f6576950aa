import type { AuditEntry } from '../../core/audit/entry.ts'
import type { Purchase } from '../../core/purchases/purchase.ts'
import type { AccountPage } from '../../core/reports/account-page.ts'
import type { ListedAccount } from '../../core/reports/list-accounts.ts'
import type { TopAccount } from '../../core/reports/months.ts'
import type { Happening } from '../../core/reports/timeline.ts'
import type { DayTotals } from '../../core/reports/totals.ts'
import { ledgerLine } from './ledger-shapes.ts'
import { amountOf } from './money-shapes.ts'
import { dayText, isoTime, timeOrNull } from './time-shapes.ts'

/** The page of an account. @param alike ids of further accounts that the same text names. */
export const accountPageShape = (page: AccountPage, alike: readonly string[]) => ({
  ...whoShape(page),
  ...booksShape(page),
  cards: page.cards.map(({ cardId, card, isDefault, declined, reason }) => ({
    id: cardId,
    brand: card.brand,
    last4: card.last4,
    expires: `${card.expYear}-${String(card.expMonth).padStart(2, '0')}`,
    default: isDefault,
    declined: declined === true,
    reason: reason ?? null,
    addedAt: isoTime(card.createdMs),
  })),
  mails: {
    queued: page.mails.queued.map(({ template, sinceMs, failures }) => ({
      ...{ template, since: isoTime(sinceMs), failures },
    })),
    sent: page.mails.ended.map(({ template, event, outcome, endedAtMs }) => ({
      ...{ template, event: event ?? null, outcome, at: isoTime(endedAtMs) },
    })),
  },
  notices: page.notices.map(({ id, messageType: type, message, createdAtMs }) => ({
    ...{ id, type, message, at: isoTime(createdAtMs) },
  })),
  openWork: page.openWork.map(({ dueAtMs, ...work }) => ({ ...work, dueAt: isoTime(dueAtMs) })),
  audit: page.audit.map(auditShape),
  complete: page.isWhole,
  alike: [...alike],
})

/** Who the account is, and how its owner gets in. */
function whoShape(page: AccountPage) {
  const { account, standing, sessions, passkeys, keys, recoveryFinishesAtMs } = page
  const { id, username, email, emailVerified, pendingEmail, name } = account
  return {
    account: {
      ...{ id, username, email, emailVerified, standing },
      pendingEmail: pendingEmail ?? null,
      name: name ?? null,
      createdAt: isoTime(account.createdAtMs),
      lastLoginAt: timeOrNull(account.lastLoginAtMs),
      eraseAt: timeOrNull(account.erasedAtMs === undefined ? account.eraseAtMs : undefined),
      country: account.address?.country ?? null,
      customerId: account.customerId ?? null,
    },
    delivery: { undeliverable: page.undeliverable !== undefined, reason: page.undeliverable ?? null },
    access: {
      twofa: account.totp !== undefined,
      recoveryFinishesAt: timeOrNull(recoveryFinishesAtMs),
      passkeys: passkeys.map((passkey) => ({
        name: passkey.name,
        createdAt: isoTime(passkey.createdAtMs),
        lastUsedAt: timeOrNull(passkey.lastUsedAtMs),
      })),
      sessions: sessions.map(({ device, sinceMs, seenMs }) => ({
        ...{ device: device ?? null, since: isoTime(sinceMs), lastSeen: isoTime(seenMs) },
      })),
    },
    keys: {
      count: account.keyCount,
      further: keys.map(({ createdAtMs, expiresAtMs, isDisabled, ...key }) => ({
        ...key,
        createdAt: isoTime(createdAtMs),
        enabled: !isDisabled,
        expiresAt: timeOrNull(expiresAtMs),
      })),
    },
  }
}

/** What the account has bought, has left and owes. */
function booksShape({ account, currency, isLow, renewal, ledgerCheck, purchases, ledger }: AccountPage) {
  const { quota, owed = {} } = account
  const { state, reason, text, nextAttemptAtMs } = renewal
  return {
    units: {
      bundle: account.bundle ?? null,
      left: quota?.left ?? 0,
      used: quota?.used ?? 0,
      reserved: quota?.held ?? 0,
      owed: Object.values(owed).reduce((sum, units) => sum + units, 0),
      low: isLow,
    },
    money: {
      balance: amountOf(account.balanceCents, currency),
      currency,
      paid: account.paid,
    },
    renewal: { state, reason: reason ?? null, text, nextAttemptAt: timeOrNull(nextAttemptAtMs) },
    ledgerCheck: ledgerCheck
      ? {
          right: ledgerCheck.isRight,
          by: ledgerCheck.by,
          units: ledgerCheck.units ?? null,
          amount: ledgerCheck.amountCents
            ? {
                ledger: amountOf(ledgerCheck.amountCents.ledger, currency),
                balance: amountOf(ledgerCheck.amountCents.balance, currency),
              }
            : null,
          waiting: ledgerCheck.waiting,
        }
      : null,
    purchases: purchases.map(purchaseShape),
    ledger: ledger.map(ledgerLine),
  }
}

const purchaseShape = (purchase: Purchase) => ({
  id: purchase.id,
  kind: purchase.kind,
  state: purchase.state,
  bundle: purchase.bundle,
  units: purchase.units,
  amount: amountOf(purchase.amountCents, purchase.currency),
  currency: purchase.currency,
  paymentId: purchase.paymentId ?? null,
  createdAt: isoTime(purchase.createdAtMs),
  paidAt: timeOrNull(purchase.paidAtMs),
  refunded: amountOf(purchase.refundedCents, purchase.currency),
  disputed: amountOf(purchase.disputedCents, purchase.currency),
})

const auditShape = ({ id, atMs, action, by, name, reason, before, after }: AuditEntry) => ({
  ...{ id, at: isoTime(atMs), action, by },
  ...{ name: name ?? null, reason: reason ?? null, before: before ?? null, after: after ?? null },
})

/** A line of the list of accounts. */
export const accountLineShape = ({
  account,
  standing,
  isLow,
  owes,
  isUndeliverable: bounced,
  currency,
}: ListedAccount) => ({
  ...{ id: account.id, username: account.username, email: account.email, standing },
  bundle: account.bundle ?? null,
  paid: account.paid,
  left: account.quota?.left ?? 0,
  used: account.quota?.used ?? 0,
  low: isLow,
  owed: owes,
  balance: amountOf(account.balanceCents, currency),
  currency,
  undeliverable: bounced,
  createdAt: isoTime(account.createdAtMs),
  lastLoginAt: timeOrNull(account.lastLoginAtMs),
})

export const happeningShape = ({ atMs, kind, text, by, id }: Happening) => ({
  ...{ at: isoTime(atMs), kind, text, by: by ?? null, id },
})

/** What all accounts did on a day. */
export const totalsShape = ({ day, ...totals }: DayTotals) => ({ ...totals, day: dayText(day) })

/** The accounts that have most of something in a month. */
export const topShape = (top: {
  month: string
  by: string
  currency: string | undefined
  accounts: readonly TopAccount[]
}) => ({
  ...top,
  currency: top.currency ?? null,
  accounts: top.accounts.map(({ accountId: id, username, value }) => ({ id, username, value })),
})
