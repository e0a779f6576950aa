import { type Account, displayName, type Profile, parseProfile, requireActive } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps, Payment } from '../ports.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { expr, unchangedSince } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { isLeased, leaseDue } from '../table/lease.ts'
import { ConditionFailed } from '../table/table.ts'
import { AUTHENTICATION_MS } from './authentication.ts'
import { ensureCustomer, syncCustomer } from './customer.ts'
import { type Hold, holdOf, holdPayment, newHold, parseHold } from './hold.ts'
import { type CardDeps, closeHold, releaseHold, type SettledHold, settleHold } from './settle.ts'
import { countCardAttempt } from './velocity.ts'

/** `pending`: the outcome is unknown; it settles by itself, and the same request may be repeated. */
export type ProofOutcome = 'proved' | 'pending'

export interface CardToProve {
  purpose: Hold['purpose']
  cardId: string
  address?: Profile['address']
}

/**
 * Proves a card with a dollar that is held and released, and puts it on file. An open verification of the same card
 * is resumed, so two concurrent requests create one hold. An abandoned verification of another card is canceled
 * first. Holds and purchases (`core/purchases/advance.ts`) are one design, written once for each.
 * @throws DomainError `email_unconfirmed`, `too_many_cards_tried`, `card_declined`, `payment_action_required`,
 *   `card_pending`, `card_changed_recently`
 */
export async function proveCard(deps: CardDeps, account: Account, input: CardToProve): Promise<ProofOutcome> {
  if (!account.emailVerified) throw new DomainError('email_unconfirmed')
  const open = await openHold(deps, account)
  if (open?.asked === input.cardId && open.purpose === input.purpose) {
    return proofAnswer(await advanceHold(deps, await withPayment(deps, open)))
  }
  if (open) await abandonHold(deps, open)
  const hold = await beginHold(deps, open ? { ...account, openHold: undefined } : account, input)
  return proofAnswer(await advanceHold(deps, hold))
}

function proofAnswer(settled: SettledHold): ProofOutcome {
  switch (settled.status) {
    case 'proved':
    case 'pending':
      return settled.status
    case 'action required':
      throw new DomainError('payment_action_required', { clientSecret: settled.clientSecret })
    default:
      throw new DomainError('card_declined')
  }
}

async function openHold(deps: Deps<'table'>, account: Account): Promise<Hold | undefined> {
  if (account.openHold === undefined) return undefined
  const item = await deps.table.get(keys.hold(account.id, account.openHold))
  return item && parseHold(item)
}

/** Ends an abandoned verification, or finds that it has succeeded meanwhile. */
async function abandonHold(deps: CardDeps, hold: Hold): Promise<void> {
  const settled = await settleAbandonedHold(deps, hold, true)
  if (settled.status === 'pending') throw new DomainError('card_pending')
  if (settled.status === 'proved') await releaseOrLeave(deps, settled.hold)
}

async function beginHold(deps: CardDeps, account: Account, input: CardToProve): Promise<Hold> {
  const nowMs = deps.clock.nowMs()
  const tries = countCardAttempt(account.cardTriesMs ?? [], nowMs)
  const customer = await ensureCustomer(deps, account, displayName(account))
  const { hold, item } = newHold(deps, account, { ...input, customerId: customer.id })
  try {
    await deps.table.transact([
      {
        update: keys.profile(account.id),
        set: expr`SET #openHold = ${hold.id}, #cardTriesMs = ${tries}`,
        if: unchangedSince(account, ['status', 'openHold', 'cardTriesMs', 'cardChangedAtMs']),
      },
      { put: item },
    ])
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const profile = error.failed.get(0)
    if (profile) requireActive(parseProfile(profile))
    throw new DomainError('card_pending')
  }
  return hold
}

/** Continues a hold from its current state, as far as Stripe answers. */
async function advanceHold(deps: CardDeps, hold: Hold): Promise<SettledHold> {
  const settled = await confirmHold(deps, hold)
  if (settled.status === 'proved') await releaseOrLeave(deps, settled.hold)
  return settled
}

/** Releases a hold. The card is proved even if that fails. */
async function releaseOrLeave(deps: CardDeps, hold: Hold): Promise<void> {
  await releaseHold(deps, hold).catch((error: unknown) => {
    const { accountId, id: holdId } = hold
    deps.log.warn('a hold is not released; its webhook or sweep releases it', error, { accountId, holdId })
  })
}

function holdPending(deps: CardDeps, { accountId, id: holdId }: Hold, error: unknown): SettledHold {
  const what = 'the outcome of a hold is unknown; its webhook or sweep settles it'
  deps.log.warn(what, error, { accountId, holdId })
  return { status: 'pending' }
}

async function confirmHold(deps: CardDeps, hold: Hold): Promise<SettledHold> {
  const known = hold.state === 'created' ? await createHoldPayment(deps, hold) : hold
  if (known?.paymentId === undefined) return { status: 'declined' }
  if (known.state === 'releasing') return { status: 'proved', hold: known }
  const payment = await deps.payments.confirmPayment(known.paymentId, 'hold')
  if (payment.status === 'unknown') return holdPending(deps, known, payment.cause)
  return settleHold(deps, known, payment).catch((error: unknown) => {
    // Confirmed, but not settled: the caller cannot be told more than that the outcome is open.
    if (!(error instanceof DomainError && error.code === 'temporarily_unavailable')) throw error
    return holdPending(deps, known, error)
  })
}

/**
 * Creates the payment and saves its id before it is confirmed, so that every hold is known to us.
 * @returns undefined if Stripe refuses the card, or another request has abandoned the verification.
 */
async function createHoldPayment(deps: CardDeps, hold: Hold): Promise<Hold | undefined> {
  const payment = await deps.payments.createPayment(holdPayment(hold))
  if (payment.status === 'refused') {
    await closeHold(deps, hold)
    if (payment.reason !== 'customer_missing') return undefined
    // The operator deleted the customer; the next attempt creates another one.
    await syncCustomer(deps, hold.accountId, hold.customerId)
    throw new DomainError('temporarily_unavailable')
  }
  const known = await savePaymentOfHold(deps, hold, payment)
  // The hold was abandoned or got another payment meanwhile, so this payment belongs to nothing.
  if (known?.paymentId !== payment.id) await deps.payments.cancelPayment(payment.id)
  return known
}

/** @returns the hold afterwards, since another request may have been first; undefined if it was removed. */
async function savePaymentOfHold(
  deps: CardDeps,
  hold: Hold,
  { id, paymentMethodId }: Payment,
): Promise<Hold | undefined> {
  const set = expr`SET #paymentId = ${id}, #cardId = ${paymentMethodId ?? hold.cardId}, #state = ${'saved'}`
  try {
    return parseHold(
      await deps.table.update(keys.hold(hold.accountId, hold.id), set, expr`#state = ${'created'}`),
    )
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const item = error.failed.get(0)
    return item && parseHold(item)
  }
}

/** The hold with its payment, which its request may have created without learning its id. */
async function withPayment(deps: CardDeps, hold: Hold): Promise<Hold> {
  const [payment] = hold.paymentId === undefined ? await paymentsOf(deps, hold) : []
  return (payment && (await savePaymentOfHold(deps, hold, payment))) ?? hold
}

/** The hold's payments among the customer's newest hundred, whatever idempotency key created them. */
async function paymentsOf(deps: CardDeps, { id, customerId }: Hold): Promise<Payment[]> {
  const { items } = await deps.payments.listPayments({ customerId })
  return items.filter((payment) => holdOf(payment)?.holdId === id)
}

/**
 * Settles an abandoned hold according to its payment's state.
 * @param lapsed whether the time for 3-D Secure is over.
 */
async function settleAbandonedHold(deps: CardDeps, hold: Hold, lapsed: boolean): Promise<SettledHold> {
  if (hold.paymentId === undefined) {
    return isLeased(deps, hold) ? { status: 'pending' } : abandonHoldWithoutPayment(deps, hold)
  }
  const payment = await deps.payments.readPayment(hold.paymentId)
  if (!payment) throw new Error('the provider does not know a payment of ours')
  const given = lapsed && payment.status === 'action_required'
  return settleHold(deps, hold, given ? await deps.payments.cancelPayment(payment.id) : payment)
}

/** Without a stored id the payment was never confirmed. It may not exist, or exist more than once. */
async function abandonHoldWithoutPayment(deps: CardDeps, hold: Hold): Promise<SettledHold> {
  for (const { id } of await paymentsOf(deps, hold)) {
    await settleHold(deps, hold, await deps.payments.cancelPayment(id))
  }
  await closeHold(deps, hold)
  return { status: 'given up' }
}

/**
 * Works on abandoned holds: releases proved ones, abandons unconfirmed ones, and settles the others according to
 * their payment's state.
 * @returns how many ended, and how many failed and stay due.
 */
export function sweepHolds(deps: CardDeps, run: Run): Promise<Worked> {
  return eachDue(deps, 'HOLD', run, async (key) => {
    const item = await leaseDue(deps, key)
    if (!item) return false
    const hold = parseHold(item)
    const settled = await settleAbandonedHold(
      deps,
      hold,
      deps.clock.nowMs() >= hold.createdAtMs + AUTHENTICATION_MS,
    )
    if (settled.status === 'proved') await releaseHold(deps, settled.hold)
    return settled.status !== 'pending' && settled.status !== 'action required'
  })
}
