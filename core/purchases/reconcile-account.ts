import { readAccount } from '../account/account.ts'
import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import { type LedgerEntry, parseEntry } from '../ledger/entry.ts'
import type { Deps, MoneyDeps } from '../ports.ts'
import { applyLedger } from '../quota/apply-ledger.ts'
import { keys } from '../table/keys.ts'
import { readPage } from '../table/page.ts'
import { writeAll } from '../table/write-all.ts'
import { finishPurchase } from './credit.ts'
import { isOpen, type Purchase, parsePurchase } from './purchase.ts'
import { examinePayment } from './reconcile.ts'
import { applyReversal, reversedAmounts } from './reversal.ts'

/** One thing of a report, and what there is to say about it. */
export interface Discrepancy {
  /** What it is about: the id of a purchase or payment, `ledger`, `balance` or `counter`. */
  about: string
  text: string
}

/** What a comparison has looked at, mended and found. */
export interface AccountReport {
  entries: number
  purchases: number
  payments: number
  mended: Discrepancy[]
  /** What no job mends: a person has to look at it. */
  found: Discrepancy[]
  /** The cursor of the next page of purchases; undefined on the last page. */
  next: string | undefined
}

/** Purchases compared at once: each takes up to three calls to the provider. */
const PAGE = 25
const WIDTH = 5

/**
 * Compares an account with its ledger and its purchases with Stripe. What a job would mend is mended now; what is
 * wrong otherwise is found, and nothing is changed. The ledger is compared with each page.
 * @param page.cursor id of the last purchase of the previous page.
 * @throws DomainError `not_found`, `temporarily_unavailable`
 */
export async function reconcileAccount(
  deps: MoneyDeps,
  accountId: string,
  { reason, cursor }: { reason: string; cursor?: string | undefined },
): Promise<AccountReport> {
  const report: AccountReport = {
    entries: 0,
    purchases: 0,
    payments: 0,
    mended: [],
    found: [],
    next: undefined,
  }
  const { ledger, customerId } = await compareLedger(deps, accountId, report)
  const after = cursor === undefined ? undefined : keys.purchase(accountId, cursor)
  const page = { limit: PAGE, after, newestFirst: true }
  const { items, last } = await readPage(deps, keys.account(accountId), 'PURCHASE#', page, parsePurchase)
  report.next = last?.id
  const waiting = [...items]
  const worker = async () => {
    for (let purchase = waiting.shift(); purchase; purchase = waiting.shift())
      await comparePurchase(deps, purchase, ledger, report)
  }
  await Promise.all(Array.from({ length: WIDTH }, worker))
  if (cursor === undefined && customerId !== undefined) await compareOthers(deps, customerId, items, report)
  const audited = { action: 'operator.reconciled', accountId, reason, after: countsOf(report) } as const
  await writeAll(deps, auditWrites(deps, audited))
  return report
}

const countsOf = ({ entries, purchases, payments, mended, found }: AccountReport) => ({
  entries,
  purchases,
  payments,
  mended: mended.length,
  found: found.length,
})

/** Checks the sums of the ledger; a counter that is behind is brought up. @returns the entries, and the account's customer. */
async function compareLedger(
  deps: Deps<'table'>,
  accountId: string,
  report: AccountReport,
): Promise<{ ledger: LedgerEntry[]; customerId: string | undefined }> {
  let account = await readAccount(deps, accountId)
  if (!account?.quota || account.status === 'pending') throw new DomainError('not_found')
  const behind = account.ledgerSeq - account.quota.seq
  if (behind > 0) {
    await applyLedger(deps, accountId)
    report.mended.push({ about: 'counter', text: `It was ${behind} entries behind the ledger.` })
    account = await readAccount(deps, accountId)
  }
  if (!account?.quota) throw new DomainError('not_found')
  const all = await readLedger(deps, accountId)
  const { quota, ledgerSeq, balanceCents, creditCents = 0 } = account
  // Later entries were written after the account was read.
  const ledger = all.filter(({ seq }) => seq <= ledgerSeq)
  report.entries = ledger.length
  const say = (about: string, isRight: boolean, text: string) => {
    if (!isRight) report.found.push({ about, text })
  }
  const isGapless = ledger.length === ledgerSeq && ledger.every(({ seq }, at) => seq === at + 1)
  say('ledger', isGapless, `It has ${ledger.length} entries, and the last number is ${ledgerSeq}.`)
  const cents = sumOf(ledger.map(({ amountCents }) => amountCents))
  say('balance', cents === balanceCents, `It is ${balanceCents} cents, and the ledger sums to ${cents}.`)
  const ofOperators = ledger.filter(({ kind }) => kind === 'credit' || kind === 'debit')
  const credit = sumOf(ofOperators.map(({ amountCents }) => amountCents))
  say(
    'balance',
    credit === creditCents,
    `Operators' credit is ${creditCents} cents, and in the ledger ${credit}.`,
  )
  const units = sumOf(all.filter(({ seq }) => seq <= quota.seq).map((entry) => entry.units))
  const has = quota.left + quota.used + quota.held + quota.unbooked
  say('counter', units === has, `Left, used and reserved units are ${has}, and the ledger sums to ${units}.`)
  return { ledger, customerId: account.customerId }
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0)

/** The whole ledger, a page of 1 MB at a time. */
async function readLedger(deps: Deps<'table'>, accountId: string): Promise<LedgerEntry[]> {
  const entries: LedgerEntry[] = []
  for (;;) {
    const last = entries.at(-1)
    const after = last && keys.ledger(accountId, last.seq)
    const items = await deps.table.list(keys.account(accountId), 'LEDGER#', { ...(after && { after }) })
    if (items.length === 0) return entries
    entries.push(...items.map(parseEntry))
  }
}

/** Compares one purchase with the ledger and with its payment. */
async function comparePurchase(
  deps: MoneyDeps,
  purchase: Purchase,
  ledger: readonly LedgerEntry[],
  report: AccountReport,
): Promise<void> {
  const { id, state, paymentId, finished } = purchase
  report.purchases++
  if (state === 'credited') compareEntries(purchase, ledger, report)
  if (state === 'credited' && !finished) {
    await finishPurchase(deps, purchase)
    report.mended.push({ about: id, text: 'It was credited and not finished.' })
  }
  if (paymentId === undefined) return
  const payment = await deps.payments.readPayment(paymentId)
  if (!payment) {
    const text = `Stripe does not know its payment ${paymentId}; check that StripeSecretKey is of the right account.`
    report.found.push({ about: id, text })
    return
  }
  report.payments++
  const verdict = await examinePayment(deps, payment)
  if (typeof verdict === 'object') report.found.push({ about: paymentId, text: verdict.alarm })
  if (isOpen(purchase) && verdict === 'agrees')
    report.mended.push({ about: id, text: 'It was open, and is settled.' })
  if (state !== 'credited' || payment.latestChargeId === undefined) return
  const charge = await deps.payments.readCharge(payment.latestChargeId)
  const now = charge && reversedAmounts(charge)
  const isBehind =
    now && (now.refundedCents !== purchase.refundedCents || now.disputedCents !== purchase.disputedCents)
  if (!isBehind) return
  await applyReversal(deps, purchase, payment.latestChargeId)
  report.mended.push({ about: id, text: 'A refund or dispute was not in the ledger.' })
}

/** The newest hundred payments of the account's customer, apart from those that were just compared. */
async function compareOthers(
  deps: MoneyDeps,
  customerId: string,
  compared: readonly Purchase[],
  report: AccountReport,
): Promise<void> {
  const known = new Set(compared.map(({ paymentId }) => paymentId))
  const { items } = await deps.payments.listPayments({ customerId })
  for (const payment of items.filter(({ id }) => !known.has(id))) {
    report.payments++
    const verdict = await examinePayment(deps, payment)
    if (typeof verdict === 'object') report.found.push({ about: payment.id, text: verdict.alarm })
  }
}

/** A credited purchase has one payment and one sale, of its price and units. */
function compareEntries(
  { id, units, amountCents }: Purchase,
  ledger: readonly LedgerEntry[],
  { found }: AccountReport,
): void {
  const mine = ledger.filter(({ purchaseId }) => purchaseId === id)
  const of = (kind: LedgerEntry['kind']) => mine.filter((entry) => entry.kind === kind)
  const [payments, sales] = [of('payment'), of('sale')]
  const isRight =
    payments.length === 1 &&
    sales.length === 1 &&
    payments[0]?.amountCents === amountCents &&
    sales[0]?.amountCents === -amountCents &&
    sales[0].units === units
  if (!isRight)
    found.push({ about: id, text: 'The ledger has not one payment and one sale of its price and units.' })
}
