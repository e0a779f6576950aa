import { type Account, isActive, type Profile } from '../account/account.ts'
import { changeAccount } from '../account/change.ts'
import { DomainError } from '../errors.ts'
import type { Deps, MoneyDeps, Payment } from '../ports.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { attr, expr, setRemove, unchangedSince } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { isLeased, leaseDue } from '../table/lease.ts'
import { type RequestKey, readRequestKey, storeRequestKey } from '../table/request-key.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { writeAll, writeUnlessDone } from '../table/write-all.ts'
import { isPaymentDeleted } from './absence.ts'
import { AUTHENTICATION_MS } from './authentication.ts'
import { tokenIn } from './confirmation-token.ts'
import { ensureCustomer, syncRefusedCustomer } from './customer.ts'
import { blockRefusal } from './fingerprint.ts'
import { type Hold, hasEnded, holdOf, holdPayment, newHold, parseHold } from './hold.ts'
import { mayProve, numberRefusal, readCardNumber } from './number.ts'
import { wasProved } from './proof.ts'
import { closeHold, releaseHold, type SettledHold, settleHold } from './settle.ts'
import { beginTry, numberTry, sharedNumberRefusal, tryRefusal } from './shared-limits.ts'
import { isUnusable, unusableCard } from './unusable-card.ts'
import { requireVelocity, uncountCardAttempt, withTry } from './velocity.ts'

/** `pending`: the outcome is unknown until a webhook or the sweep settles it. The request may be repeated. */
export interface ProofOutcome {
  status: 'proved' | 'pending'
  /** Set if the verification is that of an earlier copy of the request, and this request has begun none. */
  replayed?: true
}

export interface CardToProve {
  purpose: Hold['purpose']
  cardId: string
  address?: Profile['address']
}

export interface ProofOptions {
  idempotencyKey?: string | undefined
  /** Checks that must not refuse the repetition of a request that was answered. */
  mayBegin?: () => Promise<void>
}

/**
 * Proves a card by holding and releasing a small amount, and puts the card on file. An open verification of the
 * same card is resumed, so that two concurrent requests make one hold. An open verification of another card
 * is ended first. A request that is repeated with its Idempotency-Key gets the same answer.
 * @throws DomainError `too_many_cards_tried`, `card_declined`, `invalid_payment_method`,
 *   `payment_action_required`, `card_pending`, `card_changed_recently`, `idempotency_key_reused`
 */
export function proveCard(
  deps: MoneyDeps,
  caller: Account,
  input: CardToProve,
  options: ProofOptions = {},
): Promise<ProofOutcome> {
  return changeAccount(deps, caller, (account) => proveOnce(deps, account, input, options))
}

/**
 * As `proveCard`, in one try.
 * @throws ConditionFailed if a concurrent request has changed the account
 */
export async function proveOnce(
  deps: MoneyDeps,
  account: Account,
  input: CardToProve,
  { idempotencyKey, mayBegin }: ProofOptions = {},
): Promise<ProofOutcome> {
  let key =
    idempotencyKey === undefined
      ? undefined
      : await readRequestKey(deps, account.id, idempotencyKey, contentOf(input))
  const earlier = key?.replaces === undefined ? undefined : await readHold(deps, account.id, key.replaces)
  // A verification that ended without an answer has held nothing, so the same request may begin again.
  if (earlier) return proofAnswer(await advanceHold(deps, await withPayment(deps, earlier)), REPLAY)
  if (await wasProved(deps, account, input)) return { status: 'proved', ...REPLAY }
  await mayBegin?.()
  const { openHold } = account
  const open = openHold === undefined ? undefined : await readHold(deps, account.id, openHold)
  if (open?.asked === input.cardId && open.purpose === input.purpose) {
    if (key) {
      await joinHold(deps, open, key)
      key = { ...key, replaces: open.id }
    }
    const settled = await advanceHold(deps, await withPayment(deps, open))
    // Its payment has been deleted at the provider, so another verification begins.
    if (settled.status !== 'given up') return proofAnswer(settled, REPLAY)
  } else if (open) await abandonHold(deps, open)
  const hold = await beginHold(deps, open ? { ...account, openHold: undefined } : account, input, key)
  return proofAnswer(await advanceHold(deps, hold))
}

const contentOf = ({ purpose, cardId, address }: CardToProve) => ['prove', purpose, cardId, address]

/** What every answer has that an earlier copy of the request got. */
const REPLAY = { replayed: true } as const

function proofAnswer(settled: SettledHold, replay: { replayed?: true } = {}): ProofOutcome {
  switch (settled.status) {
    case 'proved':
    case 'pending':
      return { status: settled.status, ...replay }
    case 'action required':
      throw new DomainError('payment_action_required', { clientSecret: settled.clientSecret, ...replay })
    default:
      throw new DomainError('card_declined', replay)
  }
}

async function readHold(deps: Deps<'table'>, accountId: string, holdId: string): Promise<Hold | undefined> {
  const item = await deps.table.get(keys.hold(accountId, holdId))
  return item && parseHold(item)
}

/** Lets a request with an Idempotency-Key share the answer of an open verification. */
async function joinHold(deps: MoneyDeps, { accountId, id }: Hold, key: RequestKey): Promise<void> {
  const mark = { update: keys.hold(accountId, id), set: expr`SET #keyed = ${true}` }
  try {
    await deps.table.transact([
      storeRequestKey(deps, accountId, key, id),
      { ...mark, if: expr`attribute_exists(pk)` },
    ])
  } catch (error) {
    if (error instanceof ConditionFailed) throw new DomainError('card_pending')
    throw error
  }
}

/** Ends the open verification of an account that is deactivated. If it has just succeeded, its card is on file. */
export async function stopVerification(deps: MoneyDeps, account: Account): Promise<void> {
  const { openHold } = account
  const open = openHold === undefined ? undefined : await readHold(deps, account.id, openHold)
  const settled = open && (await settleAbandonedHold(deps, open, true))
  if (settled?.status === 'proved') await releaseOrLeave(deps, settled.hold)
}

/**
 * Ends a verification that its customer has abandoned. If it has succeeded meanwhile, its card is on file.
 * @throws DomainError `card_pending` while the outcome is not known
 */
async function abandonHold(deps: MoneyDeps, hold: Hold): Promise<void> {
  const settled = await settleAbandonedHold(deps, hold, true)
  if (settled.status === 'pending') throw new DomainError('card_pending')
  if (settled.status === 'proved') await releaseOrLeave(deps, settled.hold)
}

/** What the decision to prove a card read of the profile, by its purpose; see `proveCard` and `changeCard`. */
const PROOF_FIELDS = {
  verify: ['status', 'emailVerified', 'openHold', 'cardTriesMs', 'cardChangedAtMs'],
  change: ['status', 'emailVerified', 'openHold', 'cardTriesMs', 'cardChangedAtMs', 'flags', 'bundle'],
} as const satisfies Record<Hold['purpose'], (keyof Profile)[]>

/** Indexes of the card check and of the first count in the transaction. */
const CARD = 2
const TRIES = 3

/**
 * @throws ConditionFailed if a concurrent request has changed the account, DomainError `card_declined` for a card
 *   that must not be proved again, `too_many_cards_tried`
 */
async function beginHold(
  deps: MoneyDeps,
  account: Account,
  input: CardToProve,
  key: RequestKey | undefined,
): Promise<Hold> {
  requireVelocity(account.cardTriesMs ?? [], deps.clock.nowMs())
  const customer = await ensureCustomer(deps, account)
  const keyed = key && true
  const { hold, item } = newHold(deps, account, { ...input, customerId: customer.id, keyed })
  const { createdAtMs } = hold
  const cardTriesMs = withTry(account.cardTriesMs ?? [], createdAtMs)
  const tries = beginTry(account, createdAtMs)
  try {
    await deps.table.transact([
      {
        update: keys.profile(account.id),
        set: expr`SET #openHold = ${hold.id}, #cardTriesMs = ${cardTriesMs}`,
        if: unchangedSince(account, PROOF_FIELDS[input.purpose]),
      },
      { put: item },
      { check: keys.cardNumber(account.id, input.cardId), if: mayProve(createdAtMs) },
      ...tries,
      ...(key ? [storeRequestKey(deps, account.id, key, hold.id)] : []),
    ])
  } catch (error) {
    if (!(error instanceof ConditionFailed) || error.failed.has(0)) throw error
    if (error.failed.has(CARD)) throw new DomainError('card_declined')
    throw tryRefusal(error, TRIES, tries, createdAtMs) ?? error
  }
  return hold
}

/** Takes a hold from any state to its end, or as far as the provider's answers allow. */
async function advanceHold(deps: MoneyDeps, hold: Hold): Promise<SettledHold> {
  const settled = await confirmHold(deps, hold)
  if (settled.status === 'proved') await releaseOrLeave(deps, settled.hold)
  return settled
}

/** Releases a hold if possible. The card is proved even if the release fails. */
async function releaseOrLeave(deps: MoneyDeps, hold: Hold): Promise<void> {
  await releaseOrForget(deps, hold).catch((error: unknown) => {
    const { accountId, id: holdId } = hold
    deps.log.warn('a hold could not be released; its webhook or the job sweep will retry it', error, {
      accountId,
      holdId,
    })
  })
}

/** Releases a hold; one whose payment the provider has deleted holds nothing any more. */
async function releaseOrForget(deps: MoneyDeps, hold: Hold): Promise<void> {
  await releaseHold(deps, hold).catch(async (error: unknown) => {
    if (!(await isPaymentDeleted(deps, error, hold))) throw error
    logDeleted(deps, hold, error)
    await writeUnlessDone(deps, [{ remove: keys.hold(hold.accountId, hold.id) }])
  })
}

const logDeleted = (deps: MoneyDeps, { accountId, id: holdId }: Hold, error: unknown) =>
  deps.log.warn('the provider has deleted the payment of a hold; the verification ends', error, {
    accountId,
    holdId,
  })

/** Takes a step of a hold, and ends the hold if the provider has deleted its payment. */
async function endIfDeleted(
  deps: MoneyDeps,
  hold: Hold,
  step: () => Promise<SettledHold>,
): Promise<SettledHold> {
  try {
    return await step()
  } catch (error) {
    if (!(await isPaymentDeleted(deps, error, hold))) throw error
    logDeleted(deps, hold, error)
    await closeHold(deps, hold)
    return { status: 'given up' }
  }
}

function holdPending(deps: MoneyDeps, { accountId, id: holdId }: Hold, error: unknown): SettledHold {
  const what = 'the outcome of a hold is unknown; its webhook or the job sweep will settle it'
  deps.log.warn(what, error, { accountId, holdId })
  return { status: 'pending' }
}

async function confirmHold(deps: MoneyDeps, hold: Hold): Promise<SettledHold> {
  const known = hold.state === 'created' ? await createHoldPayment(deps, hold) : hold
  if (known?.paymentId === undefined) return { status: 'declined' }
  if (known.state === 'releasing') return { status: 'proved', hold: known }
  if (hasEnded(known)) return known.state === 'proved' ? { status: 'proved', hold: known } : DECLINED
  return endIfDeleted(deps, known, () => confirmKnownHold(deps, known, known.paymentId ?? ''))
}

async function confirmKnownHold(deps: MoneyDeps, known: Hold, paymentId: string): Promise<SettledHold> {
  const refused = await refuseClosedHold(deps, known, paymentId)
  if (refused) return refused
  const payment = await deps.payments.confirmPayment(paymentId, 'hold', tokenIn(known.asked))
  if (payment.status === 'unknown') return holdPending(deps, known, payment.cause)
  if (isUnusable(payment))
    return endUnaskedHold(deps, known, paymentId, () => unusableCard(deps, known.accountId))
  return settleHold(deps, known, payment).catch((error: unknown) => {
    // The payment is confirmed but the hold is not settled, so the outcome is still open.
    if (!(error instanceof DomainError && error.code === 'temporarily_unavailable')) throw error
    return holdPending(deps, known, error)
  })
}

const DECLINED = { status: 'declined' } as const

/**
 * Ends a verification before its confirmation if the bank must not be asked about the card's number.
 * @returns undefined if the bank may be asked, else the outcome, if it was asked before.
 * @throws DomainError `card_declined`, `too_many_cards_tried`
 */
async function refuseClosedHold(
  deps: MoneyDeps,
  hold: Hold,
  paymentId: string,
): Promise<SettledHold | undefined> {
  const { accountId, cardFingerprint, cardId } = hold
  const record = await readCardNumber(deps, accountId, cardFingerprint ?? cardId)
  const refusal =
    numberRefusal(record, deps.clock.nowMs()) ?? (await blockRefusal(deps, cardFingerprint, accountId))
  return refusal && endUnaskedHold(deps, hold, paymentId, () => refusal)
}

/**
 * Ends a verification about which no bank was asked; it counts as no try.
 * @returns the outcome, if the bank was asked by another request.
 * @throws the refusal
 */
async function endUnaskedHold(
  deps: MoneyDeps,
  hold: Hold,
  paymentId: string,
  refusal: () => DomainError,
): Promise<SettledHold> {
  const settled = await settleHold(deps, hold, await deps.payments.cancelPayment(paymentId))
  if (settled.status !== 'given up') return settled
  await uncountCardAttempt(deps, hold)
  throw refusal()
}

/**
 * Creates the payment and saves its id before the payment is confirmed, so that Bursar knows of every hold.
 * @returns undefined if another request has abandoned the verification.
 * @throws DomainError `invalid_payment_method` if the provider refuses the card, `temporarily_unavailable` if it does
 *   not know the customer
 */
async function createHoldPayment(deps: MoneyDeps, hold: Hold): Promise<Hold | undefined> {
  const payment = await deps.payments.createPayment(holdPayment(hold, deps.paymentScope))
  if (payment.status === 'refused') {
    await closeHold(deps, hold)
    await uncountCardAttempt(deps, hold)
    if (payment.reason === 'card_unusable') throw unusableCard(deps, hold.accountId)
    await syncRefusedCustomer(deps, hold)
    throw new DomainError('temporarily_unavailable')
  }
  const known = await savePaymentOfHold(deps, hold, payment)
  // If the verification was abandoned meanwhile or has another payment, nothing will use this payment.
  if (known?.paymentId !== payment.id) await deps.payments.cancelPayment(payment.id)
  return known
}

/**
 * Saves the payment's id, unless another request was first or the card was tried too often. Only a saved payment is
 * confirmed.
 * @returns the stored hold, if it still exists.
 * @throws DomainError `too_many_cards_tried`
 */
async function savePaymentOfHold(deps: MoneyDeps, hold: Hold, payment: Payment): Promise<Hold | undefined> {
  const { id, paymentMethodId } = payment
  const { accountId, asked } = hold
  // A payment that is found in a list does not show it.
  const cardFingerprint = payment.cardFingerprint ?? (await deps.payments.cardFingerprintOf(asked))
  const saved = {
    paymentId: id,
    cardId: paymentMethodId ?? hold.cardId,
    state: 'saved',
    ...(cardFingerprint !== undefined && { cardFingerprint }),
  } as const
  const fields = Object.entries(saved).map(([name, value]) => expr`${attr(name)} = ${value}`)
  const save: Write = {
    update: keys.hold(accountId, hold.id),
    set: setRemove(fields, []),
    if: expr`#state = ${'created'}`,
  }
  const tried = cardFingerprint === undefined ? [] : [numberTry(cardFingerprint, hold.createdAtMs)]
  try {
    await writeAll(deps, [save, ...tried])
    return { ...hold, ...saved }
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    if (error.failed.has(0)) {
      const item = error.failed.get(0)
      return item && parseHold(item)
    }
    const refusal = sharedNumberRefusal(error.failed.get(COUNT), hold.createdAtMs)
    return refuseSaving(deps, hold, payment, refusal)
  }
}

/** Position of the count of the card's number among the writes. */
const COUNT = 1

/** Ends a verification whose payment must not be confirmed; it counts as no try. @throws the refusal */
async function refuseSaving(
  deps: MoneyDeps,
  hold: Hold,
  { id }: Payment,
  refusal: DomainError,
): Promise<undefined> {
  const { status } = await settleHold(deps, hold, await deps.payments.cancelPayment(id))
  if (status === 'given up') await uncountCardAttempt(deps, hold)
  throw refusal
}

/** The hold with the payment that its request has created but may not have saved. */
async function withPayment(deps: MoneyDeps, hold: Hold): Promise<Hold> {
  const [payment] = hold.paymentId === undefined ? await paymentsOf(deps, hold) : []
  return (payment && (await savePaymentOfHold(deps, hold, payment))) ?? hold
}

/** The hold's payments among the customer's newest 100 at the provider, whatever their idempotency keys. */
async function paymentsOf(deps: MoneyDeps, { id, customerId }: Hold): Promise<Payment[]> {
  const { items } = await deps.payments.listPayments({ customerId })
  return items.filter((payment) => holdOf(payment)?.holdId === id)
}

/**
 * Settles an abandoned hold according to its payment's state.
 * @param hasLapsed whether to cancel a payment that still waits for its customer to authenticate.
 */
async function settleAbandonedHold(deps: MoneyDeps, hold: Hold, hasLapsed: boolean): Promise<SettledHold> {
  // Its card is on file. Only the release is left, which does not need the payment to exist.
  if (hold.state === 'releasing') return { status: 'proved', hold }
  if (hold.paymentId === undefined) {
    return isLeased(deps, hold) ? { status: 'pending' } : abandonHoldWithoutPayment(deps, hold)
  }
  const { paymentId } = hold
  return endIfDeleted(deps, hold, async () => {
    const payment = await deps.payments.readPayment(paymentId)
    if (!payment) throw new DomainError('not_found')
    return settleHold(deps, hold, payment, [], hasLapsed)
  })
}

/**
 * Abandons a hold whose payment's id was never saved. Its payment may have been created, even more than once,
 * but was never confirmed, because only a saved payment is confirmed.
 */
async function abandonHoldWithoutPayment(deps: MoneyDeps, hold: Hold): Promise<SettledHold> {
  for (const { id } of await paymentsOf(deps, hold)) {
    await settleHold(deps, hold, await deps.payments.cancelPayment(id))
  }
  await closeHold(deps, hold)
  return { status: 'given up' }
}

/**
 * Settles abandoned holds according to their payments' state: proved holds are released, and holds that were
 * never confirmed are canceled.
 * @returns how many holds ended, and how many failed and stay due.
 */
export function sweepHolds(deps: MoneyDeps, run: Run): Promise<Worked> {
  return eachDue(deps, 'HOLD', run, async (key) => {
    const item = await leaseDue(deps, key)
    if (!item) return false
    const hold = parseHold(item)
    const hasLapsed =
      deps.clock.nowMs() >= hold.createdAtMs + AUTHENTICATION_MS ||
      !(await isActive(deps, hold.accountId)) ||
      (await blockRefusal(deps, hold.cardFingerprint, hold.accountId)) !== undefined
    const settled = await settleAbandonedHold(deps, hold, hasLapsed)
    if (settled.status === 'proved') await releaseOrForget(deps, settled.hold)
    return settled.status !== 'pending' && settled.status !== 'action required'
  })
}
