import { parseProfile } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Decline, Deps, MoneyDeps, Payment, PaymentCard, PaymentCustomer } from '../ports.ts'
import { decideStep } from '../purchases/decide.ts'
import { changeRenewal } from '../purchases/renewal-state.ts'
import { wakeRenewal } from '../quota/renewal-call.ts'
import { decideTrial, type TrialDecision } from '../quota/trial-card.ts'
import { expr, join, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { isLeased, LEASE_MS } from '../table/lease.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { writeAll, writeUnlessDone } from '../table/write-all.ts'
import { withCardOf } from './confirmation-token.ts'
import { declineWrites, withProof } from './declined.ts'
import { detachTwins } from './detach-twins.ts'
import { billingAddress } from './details.ts'
import { cardAdded, defaultCardChanged } from './events.ts'
import { endedHold, type Hold, isPaymentOfHold, parseHold } from './hold.ts'
import { readCardEntries } from './on-file.ts'
import { lastProof } from './proof.ts'
import { provedNumber } from './shared-limits.ts'
import { cardItem, isLiveCard, type StoredCard, unchangedCard } from './stored.ts'
import { customerItem, readStoredCustomer, unchangedCustomer } from './stored-customer.ts'
import { readStoredCard } from './sync.ts'
import { retireTwins, twinsOf } from './twins.ts'

/** The outcome of settling a verification. */
export type SettledHold =
  /** The card is on file and the account free for another verification. The caller must release the hold. */
  | { status: 'proved'; hold: Hold }
  | { status: 'action required'; clientSecret: string }
  | { status: 'pending' | 'declined' | 'given up' }

/**
 * Settles a hold according to its payment's state, for the request, the webhook and the sweep alike. Safe to
 * repeat.
 * @param eventDone writes that mark the webhook event as done. They are written together with the work, unless
 *   the card is proved: then the caller passes them to `releaseHold`.
 * @param hasLapsed whether to stop waiting for the customer to authenticate.
 */
export async function settleHold(
  deps: MoneyDeps,
  stored: Hold,
  payment: Payment,
  eventDone: readonly Write[] = [],
  hasLapsed = false,
): Promise<SettledHold> {
  const hold = withCardOf(stored, payment)
  if (hold.state === 'releasing' || hold.state === 'proved') return { status: 'proved', hold }
  if (hold.state === 'declined') {
    await writeUnlessDone(deps, eventDone)
    return { status: 'declined' }
  }
  const step = decideStep('hold', {
    payment,
    matches: isPaymentOfHold(payment, hold, deps.paymentScope),
    isLeased: isLeased(deps, hold),
    hasLapsed,
    canAuthenticate: false,
    wasHeld: payment.status === 'canceled' && (await wasHeld(deps, payment)),
  })
  switch (step) {
    case 'take':
      return putProvedCardOnFile(deps, hold, payment, eventDone)
    case 'cancel':
      return cancelHold(deps, hold, payment, eventDone)
    case 'reject':
      return rejectCard(deps, hold, payment, eventDone)
    case 'end':
      return endHold(deps, hold, payment.status === 'canceled' ? payment.decline : undefined, eventDone)
    case 'ask':
    case 'wait':
      await writeUnlessDone(deps, eventDone)
      return payment.status === 'action_required'
        ? { status: 'action required', clientSecret: payment.clientSecret }
        : { status: 'pending' }
  }
}

/** Abandons a hold, but only after the provider has confirmed that its payment is canceled. */
async function cancelHold(
  deps: MoneyDeps,
  hold: Hold,
  payment: Payment,
  eventDone: readonly Write[],
): Promise<SettledHold> {
  const latest = await deps.payments.cancelPayment(payment.id)
  const confirmedMeanwhile = latest.latestChargeId !== payment.latestChargeId
  if (latest.status !== 'canceled' || confirmedMeanwhile) return settleHold(deps, hold, latest, eventDone)
  return endHold(deps, hold, payment.status === 'declined' ? payment.decline : latest.decline, eventDone)
}

async function endHold(
  deps: MoneyDeps,
  hold: Hold,
  decline: Decline | undefined,
  eventDone: readonly Write[],
): Promise<SettledHold> {
  await closeHold(deps, hold, eventDone, { decline })
  return { status: decline ? 'declined' : 'given up' }
}

/** Whether a canceled payment was held before it was canceled. If so, its card is proved and attached. */
async function wasHeld(deps: MoneyDeps, { latestChargeId }: Payment): Promise<boolean> {
  if (latestChargeId === undefined) return false
  return (await deps.payments.readCharge(latestChargeId))?.status === 'succeeded'
}

const PROVE_TRIES = 5

/**
 * Puts a card on file and frees the account for another verification. A new default card is set at the
 * provider first, so that our copy never runs ahead of it.
 * @throws DomainError `temporarily_unavailable` after too many lost races
 */
async function putProvedCardOnFile(
  deps: MoneyDeps,
  hold: Hold,
  payment: Payment,
  eventDone: readonly Write[],
): Promise<SettledHold> {
  const { accountId, cardId, customerId } = hold
  const proved = { ...hold, state: 'releasing', paymentId: payment.id } as const
  for (let tries = 0; tries < PROVE_TRIES; tries++) {
    const cards = await readCardEntries(deps, accountId)
    const stored = cards.find((each) => each.cardId === cardId)
    const customer = await readStoredCustomer(deps, accountId)
    // A card that its owner is removing cannot be put on file.
    const card = stored?.removing ? undefined : await attachedCard(deps, cardId, customerId)
    const twins = card ? twinsOf(cards.filter(isLiveCard), card) : []
    const isDefault = hold.purpose === 'change' || takesOver(cards, twins, customer?.defaultCardId)
    const changed = card && isDefault ? await makeDefault(deps, hold) : undefined
    if (!card || (isDefault && !changed)) return rejectCard(deps, hold, payment, eventDone)
    // Proved anew, the default card may be charged again.
    const mayRenew = isDefault || customer?.defaultCardId === cardId
    try {
      const trial = hold.trial && (await decideTrial(deps, accountId, card.fingerprint, tries > 0))
      await deps.table.transact([
        markReleasing(deps, proved),
        ...(await profileAfterProof(deps, hold, mayRenew, trial)),
        ...(trial?.writes ?? []),
        {
          put: cardItem(accountId, card, withProof(stored)),
          if: unchangedCard(stored),
        },
        ...(changed
          ? [{ put: customerItem(accountId, changed, customer), if: unchangedCustomer(customer) }]
          : []),
        ...(mayRenew && hold.renews ? [wakeRenewal(deps, accountId)] : []),
        ...retireTwins(deps, accountId, twins),
        ...cardAdded(deps, accountId, cardId, stored),
        ...provedNumber(hold),
        ...(changed
          ? defaultCardChanged(deps, accountId, customer?.defaultCardId, changed.defaultPaymentMethodId)
          : []),
      ])
      await detachTwins(deps, { accountId, customerId }, twins)
      return { status: 'proved', hold: proved }
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      // The profile's condition also fails if the state of renewal has changed since it was read.
      const isOver = error.failed.has(0) || (error.failed.has(1) && error.failed.get(1)?.openHold !== hold.id)
      if (!isOver) continue
      // The request, the webhook and the sweep may run concurrently, and another of them was first.
      if (isLiveCard(await readStoredCard(deps, accountId, cardId))) return { status: 'proved', hold: proved }
      await writeUnlessDone(deps, eventDone)
      return { status: 'given up' }
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/**
 * Whether a proved card becomes the default card without being asked to: there is none, the default card is an
 * older entry of the same card, or the bank must not be asked about it again.
 */
const takesOver = (
  cards: readonly StoredCard[],
  twins: readonly StoredCard[],
  defaultId: string | undefined,
): boolean =>
  defaultId === undefined ||
  twins.some(({ cardId }) => cardId === defaultId) ||
  cards.some(({ cardId, closed }) => cardId === defaultId && closed === true)

const markReleasing = (deps: Deps, { id, accountId, paymentId }: Hold): Write => ({
  update: keys.hold(accountId, id),
  set: expr`SET #state = ${'releasing'}, #paymentId = ${paymentId}, #dueAtMs = ${deps.clock.nowMs() + LEASE_MS}`,
  if: expr`#state IN (${'created'}, ${'saved'})`,
})

/**
 * The profile's update for a proved card. With another default card, or the same proved anew, whatever kept the
 * bundle from renewing is over.
 */
async function profileAfterProof(
  deps: Deps<'table'>,
  hold: Hold,
  mayRenew: boolean,
  trial: TrialDecision | undefined,
): Promise<Write[]> {
  const { id, accountId, purpose, address, renews } = hold
  const nowMs = deps.clock.nowMs()
  const item = mayRenew && renews ? await deps.table.get(keys.profile(accountId)) : undefined
  const renewal = item && changeRenewal(deps, parseProfile(item), { renewal: undefined })
  const set = [
    expr`#updatedAtMs = ${nowMs}`,
    lastProof(deps, hold),
    ...(purpose === 'change' ? [expr`#cardChangedAtMs = ${nowMs}`] : []),
    ...(address ? [expr`#address = ${address}`] : []),
    ...(trial?.set ?? []),
  ]
  const unchanged = [...(renewal ? [renewal.unchanged] : []), ...(trial?.if ?? [])]
  return [
    {
      update: keys.profile(accountId),
      set: setRemove(set, [expr`#openHold`, ...(renewal?.remove ?? []), ...(trial?.remove ?? [])]),
      if: join([expr`#openHold = ${id}`, ...unchanged], ' AND '),
    },
    ...(renewal?.messages ?? []),
  ]
}

/**
 * The provider's copy of a card, attached to the account's customer. A confirmed hold has attached its
 * card already.
 * @returns undefined if the card cannot be attached.
 */
async function attachedCard(
  deps: MoneyDeps,
  cardId: string,
  customerId: string,
): Promise<PaymentCard | undefined> {
  const card = await deps.payments.readCard(cardId)
  if (card?.customerId === customerId) return card
  const attached = await deps.payments.attachCard(cardId, customerId)
  return attached.status === 'attached' ? attached.card : undefined
}

/** Sets the default card at the provider. @returns undefined if the card or the customer no longer exists. */
export async function makeDefault(
  deps: MoneyDeps,
  { cardId, customerId, address }: Pick<Hold, 'cardId' | 'customerId' | 'address'>,
): Promise<PaymentCustomer | undefined> {
  const changes = { defaultPaymentMethodId: cardId, ...(address && { address: billingAddress(address) }) }
  return deps.payments.updateCustomer(customerId, changes).catch((error: unknown) => {
    if (error instanceof DomainError && error.code === 'not_found') return undefined
    throw error
  })
}

/** Declines a card that cannot be put on file, whatever the bank has answered. */
async function rejectCard(
  deps: MoneyDeps,
  hold: Hold,
  payment: Payment,
  eventDone: readonly Write[],
): Promise<SettledHold> {
  await deps.payments.cancelPayment(payment.id)
  await closeHold(deps, hold, eventDone, { answer: 'declined' })
  return { status: 'declined' }
}

const CLOSE_ATTEMPTS = 5

/**
 * Ends a verification that has not proved its card. The account is free for another try.
 * @param ended.decline the bank's refusal, which counts for the card.
 * @param ended.answer what a repetition of the request is answered; undefined if it may begin again.
 * @throws DomainError `temporarily_unavailable` after too many lost races
 */
export async function closeHold(
  deps: Deps<'table'>,
  hold: Hold,
  eventDone: readonly Write[] = [],
  ended: { decline?: Decline | undefined; answer?: 'declined' | undefined } = {},
): Promise<void> {
  let last = hold
  for (let tries = 0; tries < CLOSE_ATTEMPTS; tries++) {
    const { decline, answer = decline && ('declined' as const) } = ended
    const declines = decline
      ? await declineWrites(deps, hold.accountId, { ...hold, isProof: true }, decline)
      : []
    try {
      return await deps.table.transact([
        {
          update: keys.profile(hold.accountId),
          set: expr`REMOVE #openHold`,
          if: expr`#openHold = ${hold.id}`,
        },
        endedHold(deps, last, answer),
        ...eventDone,
        ...declines,
      ])
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      // It has ended already, or another delivery of the event has done this work.
      const isDone = error.failed.has(0) || eventDone.some((_, at) => error.failed.has(2 + at))
      const item = isDone ? undefined : await deps.table.get(keys.hold(hold.accountId, hold.id))
      if (!item) return
      last = parseHold(item)
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/**
 * Releases the amount held, which ends the verification. Until then the hold stays due.
 * @throws DomainError `temporarily_unavailable` if the payment cannot be canceled yet
 */
export async function releaseHold(
  deps: MoneyDeps,
  hold: Hold,
  eventDone: readonly Write[] = [],
): Promise<void> {
  const { status } = await deps.payments.cancelPayment(hold.paymentId ?? '')
  if (status !== 'canceled' && status !== 'succeeded') throw new DomainError('temporarily_unavailable')
  const ended = endedHold(deps, hold, 'proved')
  await writeAll(deps, [ended, ...eventDone]).catch(async (error: unknown) => {
    if (!(error instanceof ConditionFailed)) throw error
    // A request with an Idempotency-Key has joined: its answer is kept.
    const item = error.failed.get(0)
    if (item) await releaseHold(deps, parseHold(item), eventDone)
  })
}
