import { type Profile, parseProfile } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { BillingAddress, Deps, MoneyDeps, Payment, PaymentCard, PaymentCustomer } from '../ports.ts'
import { decideStep } from '../purchases/decide.ts'
import { changeRenewal } from '../purchases/renewal-state.ts'
import { wakeRenewal } from '../quota/renewal-call.ts'
import { expr, join, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { isLeased, LEASE_MS } from '../table/lease.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { writeUnlessDone } from '../table/write-all.ts'
import { type Hold, isPaymentOfHold } from './hold.ts'
import { lastProof } from './proof.ts'
import { cardItem, isLiveCard, unchangedCard } from './stored.ts'
import { customerItem, readStoredCustomer, unchangedCustomer } from './stored-customer.ts'
import { readStoredCard } from './sync.ts'

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
  hold: Hold,
  payment: Payment,
  eventDone: readonly Write[] = [],
  hasLapsed = false,
): Promise<SettledHold> {
  if (hold.state === 'releasing') return { status: 'proved', hold }
  const step = decideStep('hold', {
    payment,
    matches: isPaymentOfHold(payment, hold, deps.webhooks),
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
      await closeHold(deps, hold, eventDone)
      return { status: 'given up' }
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
  await closeHold(deps, hold, eventDone)
  return { status: payment.status === 'declined' ? 'declined' : 'given up' }
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
    const stored = await readStoredCard(deps, accountId, cardId)
    const customer = await readStoredCustomer(deps, accountId)
    // A card that its owner is removing cannot be put on file.
    const card = stored?.removing ? undefined : await attachedCard(deps, cardId, customerId)
    const isDefault = hold.purpose === 'change' || customer?.defaultCardId === undefined
    const changed = card && isDefault ? await makeDefault(deps, hold) : undefined
    if (!card || (isDefault && !changed)) return rejectCard(deps, hold, payment, eventDone)
    try {
      await deps.table.transact([
        markReleasing(deps, proved),
        ...(await profileAfterProof(deps, hold, isDefault)),
        {
          put: cardItem(accountId, card, stored && { ...stored, declined: undefined }),
          if: unchangedCard(stored),
        },
        ...(changed
          ? [{ put: customerItem(accountId, changed, customer), if: unchangedCustomer(customer) }]
          : []),
        ...(isDefault && hold.renews ? [wakeRenewal(deps, accountId)] : []),
      ])
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

const markReleasing = (deps: Deps, { id, accountId, paymentId }: Hold): Write => ({
  update: keys.hold(accountId, id),
  set: expr`SET #state = ${'releasing'}, #paymentId = ${paymentId}, #dueAtMs = ${deps.clock.nowMs() + LEASE_MS}`,
  if: expr`#state IN (${'created'}, ${'saved'})`,
})

/**
 * The profile's update for a proved card. With another default card whatever kept the bundle from renewing is
 * over.
 */
async function profileAfterProof(deps: Deps<'table'>, hold: Hold, isDefault: boolean): Promise<Write[]> {
  const { id, accountId, purpose, address, renews } = hold
  const nowMs = deps.clock.nowMs()
  const item = isDefault && renews ? await deps.table.get(keys.profile(accountId)) : undefined
  const renewal = item && changeRenewal(deps, parseProfile(item), { renewal: undefined })
  const set = [
    expr`#updatedAtMs = ${nowMs}`,
    lastProof(deps, hold),
    ...(purpose === 'change' ? [expr`#cardChangedAtMs = ${nowMs}`] : []),
    ...(address ? [expr`#address = ${address}`] : []),
  ]
  return [
    {
      update: keys.profile(accountId),
      set: setRemove(set, [expr`#openHold`, ...(renewal?.remove ?? [])]),
      if: join([expr`#openHold = ${id}`, ...(renewal ? [renewal.unchanged] : [])], ' AND '),
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

const billingAddress = (address: NonNullable<Profile['address']>): BillingAddress => ({
  line1: address.street,
  line2: address.company,
  city: address.city,
  state: address.district,
  postalCode: address.postCode,
  country: address.country,
})

/** Declines a card that cannot be put on file, whatever the bank has answered. */
async function rejectCard(
  deps: MoneyDeps,
  hold: Hold,
  payment: Payment,
  eventDone: readonly Write[],
): Promise<SettledHold> {
  await deps.payments.cancelPayment(payment.id)
  await closeHold(deps, hold, eventDone)
  return { status: 'declined' }
}

/** Ends a verification that has not proved its card. The account is free for another try. */
export async function closeHold(
  deps: Deps<'table'>,
  hold: Hold,
  eventDone: readonly Write[] = [],
): Promise<void> {
  await writeUnlessDone(deps, [
    {
      update: keys.profile(hold.accountId),
      set: expr`REMOVE #openHold`,
      if: expr`#openHold = ${hold.id}`,
    },
    { remove: keys.hold(hold.accountId, hold.id) },
    ...eventDone,
  ])
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
  await writeUnlessDone(deps, [{ remove: keys.hold(hold.accountId, hold.id) }, ...eventDone])
}
