import { auditWrites } from '../audit/entry.ts'
import type { MoneyDeps } from '../ports.ts'
import { paymentIdIn } from '../table/keys.ts'
import { writeAll } from '../table/write-all.ts'
import { DAY_MS } from '../time.ts'
import { compareReversals } from './compare-reversals.ts'
import { readPaymentRecord } from './payment-record.ts'
import { comparePayments, compareRecorded } from './reconcile.ts'
import type { Discrepancy } from './reconcile-account.ts'

/** How long a comparison that an operator waits for begins new work. */
const WAIT_MS = 15_000

/** Payments whose alarms stand that a report shows, at most. */
const STANDING = 100

/** What a comparison of everything has looked at and found. */
export interface Report {
  payments: number
  recorded: number
  reversals: number
  /** What failed and is tried again by the sweep. */
  failed: number
  found: Discrepancy[]
  /** False if time ran out: the next comparison goes on from there. */
  isDone: boolean
}

/**
 * Compares what the sweep compares, for an operator who waits: payments, recorded payments, refunds and disputes.
 * Alarms that were raised before and stand are found, too.
 */
export async function reconcileNow(deps: MoneyDeps, reason: string): Promise<Report> {
  const untilMs = deps.clock.nowMs() + WAIT_MS
  const alarms: string[] = []
  const run = { untilMs, width: 10, alarm: (sentence: string) => void alarms.push(sentence) }
  const reversals = await compareReversals(deps, run)
  const payments = await comparePayments(deps, run)
  const recorded = await compareRecorded(deps, run)
  const report = {
    payments,
    recorded: recorded.done,
    reversals: reversals.done,
    failed: reversals.failed + recorded.failed,
    found: [...alarms.map((text) => ({ about: 'Stripe', text })), ...(await standingAlarms(deps, alarms))],
    isDone: deps.clock.nowMs() < untilMs,
  }
  const { found, ...counts } = report
  const after = { ...counts, found: found.length }
  await writeAll(deps, auditWrites(deps, { action: 'operator.reconciled', reason, after }))
  return report
}

/** Payments of which an alarm was raised before, and which still do not agree: each is due again within a day. */
async function standingAlarms(deps: MoneyDeps, told: readonly string[]): Promise<Discrepancy[]> {
  const due = await deps.table.due('PAYMENT', deps.clock.nowMs() + DAY_MS, STANDING)
  const found: Discrepancy[] = []
  for (const key of due) {
    const id = paymentIdIn(key)
    const { alarmedAtMs } = (await readPaymentRecord(deps, id)) ?? {}
    if (alarmedAtMs === undefined || told.some((sentence) => sentence.includes(id))) continue
    found.push({ about: id, text: 'An alarm was raised before and stands; see the log.' })
  }
  return found
}
