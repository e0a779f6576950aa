import { absentObject } from '../cards/absence.ts'
import { DomainError } from '../errors.ts'
import type { Charge, MoneyDeps, Page, Payment } from '../ports.ts'
import { eachDue, type WatchfulRun, type Worked } from '../table/due.ts'
import { keys, paymentIdIn } from '../table/keys.ts'
import { leaseDue } from '../table/lease.ts'
import { DAY_MS, MINUTE_MS } from '../time.ts'
import { finishPurchase } from './credit.ts'
import { remakeLostPurchase } from './lost-purchase.ts'
import { ownerOfPayment, type PaymentOwner } from './payment-owner.ts'
import {
  alarmAboutPayment,
  closePaymentRecord,
  parsePaymentRecord,
  postponePaymentRecord,
  removePaymentRecord,
} from './payment-record.ts'
import { isOpen, isPaymentOfPurchase, type Purchase, readPurchase } from './purchase.ts'
import { reversedAmounts } from './reversal.ts'
import { settlePurchase } from './settle.ts'

/** Payments younger than this may still be in progress, so they are compared later. */
const YOUNG_MS = 10 * MINUTE_MS

/** How far back the first run compares payments. */
const FIRST_MS = 30 * DAY_MS

/** Money that is taken and not credited after this time raises an alarm, even if a job may still credit it. */
const CREDITED_WITHIN_MS = 50 * MINUTE_MS

/** The result of comparing a payment with the ledger; a text is an alarm for the operator. */
export type Verdict = 'agrees' | 'open' | { alarm: string }

/** Progress of the comparison, as stored. */
interface Progress {
  /** Payments created up to this moment are compared, epoch ms. */
  untilMs: number
  /** The window that is being compared ends here; undefined between two windows. */
  windowMs?: number
  /** The last payment of the window that is compared; payments are listed newest first. */
  cursor?: string
  /** A payment of ours. If it cannot be read, the secret key belongs to another account. */
  witness?: string | undefined
  /** Since when the witness cannot be read. */
  lostSinceMs?: number
}

/**
 * Compares the payments that the provider lists with the purchases in the table, each once it is ten minutes
 * old. A run that is out of time stops after a page of 100, and the next run resumes there.
 * @returns how many payments were compared.
 * @throws DomainError `temporarily_unavailable` as long as the secret key finds none of our own payments
 */
export async function comparePayments(deps: MoneyDeps, run: WatchfulRun): Promise<number> {
  const nowMs = deps.clock.nowMs()
  const key = keys.job('compare-payments')
  const stored = (await deps.table.get(key)) as (Partial<Progress> & object) | undefined
  const save = (now: Progress) => deps.table.put({ ...key, ...now })
  let progress = await requireWitness(
    deps,
    run,
    { ...stored, untilMs: Number(stored?.untilMs ?? nowMs - FIRST_MS) },
    save,
  )
  const windowMs = progress.windowMs ?? nowMs - YOUNG_MS
  let compared = 0
  while (progress.untilMs < windowMs && deps.clock.nowMs() < run.untilMs) {
    const page = await listWindow(deps, progress, windowMs)
    // The provider's times are whole seconds: payments at `untilMs` were compared in the previous window.
    const fresh = page.items.filter(({ createdMs }) => createdMs > progress.untilMs)
    const witness = await compareEach(deps, run, fresh)
    compared += fresh.length
    const rest = page.nextCursor === undefined ? {} : { windowMs, cursor: page.nextCursor }
    progress = {
      untilMs: page.nextCursor === undefined ? windowMs : progress.untilMs,
      witness: witness ?? progress.witness,
      ...rest,
    }
    await save(progress)
  }
  return compared
}

/** The next page of the window; its first one again if the payment of the cursor has been deleted. */
async function listWindow(
  deps: MoneyDeps,
  { untilMs, cursor }: Progress,
  windowMs: number,
): Promise<Page<Payment>> {
  const window = { createdSinceMs: untilMs, createdUntilMs: windowMs }
  return deps.payments.listPayments(window, cursor).catch((error: unknown) => {
    if (!(error instanceof DomainError && error.code === 'not_found')) throw error
    return deps.payments.listPayments(window)
  })
}

/**
 * With the secret key of another account the provider lists that account's payments, and ours would count as
 * compared. So a payment of ours must be readable first. If it is not for a day, the operator is told and
 * another one takes its place, because test data may be deleted.
 */
async function requireWitness(
  deps: MoneyDeps,
  { alarm }: WatchfulRun,
  progress: Progress,
  save: (progress: Progress) => Promise<void>,
): Promise<Progress> {
  const { witness, lostSinceMs = deps.clock.nowMs(), ...rest } = progress
  if (witness === undefined) return rest
  if (await deps.payments.readPayment(witness)) return { ...rest, witness }
  if (deps.clock.nowMs() - lostSinceMs >= DAY_MS) {
    alarm(
      `payment ${witness}: paid, but Stripe does not know it; check that StripeSecretKey is of the right account`,
    )
    return rest
  }
  await save({ ...progress, lostSinceMs })
  throw absentObject()
}

/**
 * Compares payments, several at once. A payment that fails holds up no other: its record brings it back.
 * @returns the id of one that is ours and has been paid.
 */
async function compareEach(
  deps: MoneyDeps,
  run: WatchfulRun,
  payments: Payment[],
): Promise<string | undefined> {
  const waiting = [...payments]
  let witness: string | undefined
  const worker = async () => {
    for (let payment = waiting.shift(); payment; payment = waiting.shift()) {
      const { id } = payment
      try {
        if (await compareOne(deps, run, payment)) witness ??= id
      } catch (error) {
        deps.log.error('a payment could not be compared; it is looked at again', error, { item: id })
        await postponePaymentRecord(deps, id)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(run.width, waiting.length) }, worker))
  return witness
}

/** @returns whether the payment is ours and has been paid. */
async function compareOne(deps: MoneyDeps, run: WatchfulRun, payment: Payment): Promise<boolean> {
  const owner = await ownerOfPayment(deps, payment)
  await record(deps, run, payment.id, await verdictOn(deps, payment, owner), owner)
  return owner.kind === 'purchase' && payment.status === 'succeeded'
}

/**
 * Reads each recorded payment that was open, absent or in disagreement when it was compared last, or that no
 * list has shown, and compares it again.
 */
export function compareRecorded(deps: MoneyDeps, run: WatchfulRun): Promise<Worked> {
  return eachDue(deps, 'PAYMENT', run, async (key) => {
    const item = await leaseDue(deps, key)
    if (!item) return false
    const id = paymentIdIn(key)
    const payment = await deps.payments.readPayment(id)
    const owner = payment && (await ownerOfPayment(deps, payment))
    const verdict = owner
      ? await verdictOn(deps, payment, owner)
      : await verdictOnAbsent(deps, id, parsePaymentRecord(item))
    if (verdict === 'agrees' && owner?.kind !== 'purchase') await removePaymentRecord(deps, id)
    else await record(deps, run, id, verdict, owner)
    return true
  })
}

async function record(
  deps: MoneyDeps,
  run: WatchfulRun,
  id: string,
  verdict: Verdict,
  owner: PaymentOwner | undefined,
): Promise<void> {
  if (verdict === 'open') await postponePaymentRecord(deps, id)
  else if (verdict !== 'agrees') await alarmAboutPayment(deps, run, id, verdict.alarm)
  else if (owner?.kind === 'purchase') {
    // A purchase that is not credited expires, and its record with it.
    const isOver = owner.purchase.state === 'declined' || owner.purchase.state === 'abandoned'
    await (isOver ? removePaymentRecord(deps, id) : closePaymentRecord(deps, id))
  }
}

/** Compares one payment now. A charge that its job should have credited long ago is credited. */
export const examinePayment = async (deps: MoneyDeps, payment: Payment): Promise<Verdict> =>
  verdictOn(deps, payment, await ownerOfPayment(deps, payment))

async function verdictOn(deps: MoneyDeps, payment: Payment, owner: PaymentOwner): Promise<Verdict> {
  switch (owner.kind) {
    case 'foreign':
      return 'agrees'
    case 'purchase':
      return verdictOnPurchase(deps, payment, owner.purchase)
    case 'hold':
      return payment.status === 'succeeded' ? unlessReturned(deps, payment, CHARGED_HOLD) : isFinal(payment)
    default: {
      if (payment.status === 'succeeded') {
        const mayBeLost = owner.purchase === undefined && !owner.isHold
        const lost = mayBeLost ? await remakeLostPurchase(deps, payment) : undefined
        if (lost) return creditLate(deps, payment, lost)
        const uncredited = owner.purchase ? UNCREDITED : UNRECORDED
        return unlessReturned(deps, payment, owner.isHold ? CHARGED_HOLD : uncredited)
      }
      return owner.kind === 'stray' ? cancelLeft(deps, payment) : isFinal(payment)
    }
  }
}

const CHARGED_HOLD = 'a card verification took money; refund it in Stripe'
const UNCREDITED = 'charged, but not credited; refund it in Stripe'
const UNRECORDED = 'charged, but no purchase is recorded; refund it in Stripe'

async function verdictOnPurchase(deps: MoneyDeps, payment: Payment, purchase: Purchase): Promise<Verdict> {
  const isPaid = payment.status === 'succeeded'
  if (isOpen(purchase)) {
    // settle-payments settles the purchase within minutes.
    const isLate = deps.clock.nowMs() - payment.createdMs >= CREDITED_WITHIN_MS
    return isPaid && isLate ? creditLate(deps, payment, purchase) : 'open'
  }
  if (purchase.state !== 'credited')
    return isPaid ? unlessReturned(deps, payment, UNCREDITED) : cancelLeft(deps, payment)
  if (!isPaid) return { alarm: 'credited, but not charged; check the ledger of the account' }
  return isPaymentOfPurchase(payment, purchase, deps.paymentScope)
    ? 'agrees'
    : { alarm: 'differs from its purchase; compare amount, currency, customer and metadata' }
}

/** Credits a charge that its job should have credited long ago. */
async function creditLate(deps: MoneyDeps, payment: Payment, purchase: Purchase): Promise<Verdict> {
  const outcome = await settlePurchase(deps, purchase, payment)
  if (outcome.status !== 'credited')
    return { alarm: 'charged, but not credited yet; see why settle-payments fails' }
  await finishPurchase(deps, outcome.purchase)
  return 'agrees'
}

const isFinal = ({ status }: Payment): Verdict =>
  status === 'succeeded' || status === 'canceled' ? 'agrees' : 'open'

/** A payment that nothing of ours uses any more is canceled, so that it cannot take money later. */
async function cancelLeft(deps: MoneyDeps, payment: Payment): Promise<Verdict> {
  if (payment.status === 'canceled') return 'agrees'
  const { status } = await deps.payments.cancelPayment(payment.id)
  return status === 'canceled' ? 'agrees' : 'open'
}

/** No alarm for money that has gone back to the customer meanwhile. */
async function unlessReturned(deps: MoneyDeps, payment: Payment, alarm: string): Promise<Verdict> {
  const { latestChargeId } = payment
  const charge = latestChargeId === undefined ? undefined : await deps.payments.readCharge(latestChargeId)
  return charge && isReturned(charge) ? 'agrees' : { alarm }
}

function isReturned(charge: Charge): boolean {
  const { refundedCents, disputedCents } = reversedAmounts(charge)
  return refundedCents + disputedCents >= charge.amountCents
}

/**
 * The verdict on a recorded payment that the provider does not know. With the secret key of another account the
 * customer is absent, too: that proves nothing about the payment, but the operator is told within the hour.
 */
async function verdictOnAbsent(
  deps: MoneyDeps,
  id: string,
  { accountId = '', purchaseId = '' }: { accountId?: string | undefined; purchaseId?: string | undefined },
): Promise<Verdict> {
  const purchase = purchaseId === '' ? undefined : await readPurchase(deps, accountId, purchaseId)
  if (purchase && isOpen(purchase)) return 'open'
  if (purchase?.state !== 'credited') return 'agrees'
  const isKnown = (await deps.payments.readCustomer(purchase.customerId)) !== undefined
  if (!isKnown) {
    const isLate = deps.clock.nowMs() - (purchase.paidAtMs ?? 0) >= CREDITED_WITHIN_MS
    return isLate ? { alarm: UNKNOWN } : 'open'
  }
  // The key may have been put right between the two calls.
  const isAbsent = (await deps.payments.readPayment(id)) === undefined
  return isAbsent
    ? { alarm: 'credited, but Stripe has no such payment; check the ledger of the account' }
    : 'open'
}

const UNKNOWN =
  'credited, but Stripe knows neither it nor its customer; check that StripeSecretKey is of the right account'
