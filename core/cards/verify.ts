import type { Account, Profile } from '../account/account.ts'
import { fullName } from '../account/shapes.ts'
import { DomainError } from '../errors.ts'
import type { BillingAddress, Deps, Payment, PaymentCard } from '../ports.ts'
import { type Expression, expr, join } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { ConditionFailed, ignoreRefusal, type Write } from '../table/table.ts'
import { ensureCustomer, parseCustomer, syncCustomer, writeAll } from './customer.ts'
import {
  AUTHENTICATION_MS,
  HOLD_LEASE_MS,
  type Hold,
  holdPayment,
  isPaymentOf,
  newHold,
  parseHold,
} from './hold.ts'
import { cardItem } from './stored.ts'
import { readCard, unchanged } from './sync.ts'

export type CardDeps = Deps<'table' | 'payments' | 'webhooks'>

/** `pending`: the provider did not say what became of it; it settles by itself and the same request may be repeated. */
export type Outcome = 'proved' | 'pending'

/** What became of a hold; the last two are told to a caller as errors. */
export type Settled =
  | { status: Outcome | 'declined' | 'given up' }
  | { status: 'action required'; clientSecret: string }

/** Limits against card testing (product rule). */
const HOUR_MS = 3_600_000
const LIMITS = [
  { tries: 3, withinMs: HOUR_MS },
  { tries: 10, withinMs: 24 * HOUR_MS },
]

const CHANGE_EVERY_MS = 24 * HOUR_MS

export interface CardToProve {
  purpose: Hold['purpose']
  cardId: string
  address?: Profile['address']
}

/**
 * Proves a card with a dollar that is held and released, and puts it on file. A verification of the same card that
 * is open is gone on with, so two at once make one hold; an abandoned one of another card is cancelled first.
 * @throws DomainError `email_unconfirmed`, `too_many_cards_tried`, `card_declined`, `payment_action_required`,
 *   `card_pending`, `card_changed_recently`
 */
export async function proveCard(deps: CardDeps, account: Account, input: CardToProve): Promise<Outcome> {
  if (!account.emailVerified) throw new DomainError('email_unconfirmed')
  const open = await openHold(deps, account)
  const hold = open?.asked === input.cardId && open.purpose === input.purpose ? open : undefined
  if (open && !hold) await giveUp(deps, open)
  return answer(await advance(deps, hold ?? (await begin(deps, account, input))))
}

function answer(settled: Settled): Outcome {
  if (settled.status === 'action required') {
    throw new DomainError('payment_action_required', { clientSecret: settled.clientSecret })
  }
  if (settled.status === 'declined' || settled.status === 'given up') throw new DomainError('card_declined')
  return settled.status
}

async function openHold(deps: Deps<'table'>, account: Account): Promise<Hold | undefined> {
  if (account.openHold === undefined) return undefined
  const item = await deps.table.get(keys.hold(account.id, account.openHold))
  return item && parseHold(item)
}

/** Ends a verification that its customer left, or finds that it has succeeded meanwhile, which is as good. */
async function giveUp(deps: CardDeps, hold: Hold): Promise<void> {
  // Without a payment's id another request is just creating it.
  if (hold.paymentId === undefined) throw new DomainError('card_pending')
  const settled = await settleHold(deps, hold, await deps.payments.cancelPayment(hold.paymentId))
  if (settled.status === 'pending') throw new DomainError('card_pending')
}

async function begin(deps: CardDeps, account: Account, input: CardToProve): Promise<Hold> {
  const nowMs = deps.clock.nowMs()
  const tries = account.cardTriesMs ?? []
  requireVelocity(tries, nowMs)
  const customer = await ensureCustomer(deps, account, fullName(account))
  const { hold, item } = newHold(deps, account, { ...input, customerId: customer.id })
  const kept = [...tries, nowMs].filter((triedMs) => triedMs > nowMs - 24 * HOUR_MS)
  const same =
    account.cardTriesMs === undefined
      ? expr`attribute_not_exists(#cardTriesMs)`
      : expr`#cardTriesMs = ${account.cardTriesMs}`
  try {
    await deps.table.transact([
      {
        update: keys.profile(account.id),
        set: expr`SET #openHold = ${hold.id}, #cardTriesMs = ${kept}`,
        if: join([expr`attribute_not_exists(#openHold) AND #status = ${'active'}`, same], ' AND '),
      },
      { put: item },
    ])
  } catch (error) {
    if (error instanceof ConditionFailed) throw new DomainError('card_pending')
    throw error
  }
  return hold
}

/** @throws DomainError `too_many_cards_tried` with the seconds until one more is allowed. */
export function requireVelocity(triedMs: readonly number[], nowMs: number): void {
  const waits = LIMITS.map(({ tries, withinMs }) => {
    const recent = triedMs.filter((atMs) => atMs > nowMs - withinMs)
    return recent.length < tries ? 0 : (recent.at(-tries) ?? nowMs) + withinMs - nowMs
  })
  const waitMs = Math.max(...waits)
  if (waitMs > 0)
    throw new DomainError('too_many_cards_tried', { retryAfterSeconds: Math.ceil(waitMs / 1000) })
}

/** Takes a hold from wherever it is to its end, or as far as the provider answers. */
export async function advance(deps: CardDeps, hold: Hold): Promise<Settled> {
  if (hold.state === 'releasing') {
    await release(deps, hold).catch(() => {})
    return { status: 'proved' }
  }
  const saved = hold.paymentId === undefined ? await createPayment(deps, hold) : hold
  if (saved?.paymentId === undefined) return { status: 'declined' }
  const payment = await deps.payments.confirmPayment(saved.paymentId, 'hold')
  return payment.status === 'unknown' ? { status: 'pending' } : settleHold(deps, saved, payment)
}

/** The id is saved before anything is confirmed, so that no hold can exist that we do not know of. */
async function createPayment(deps: CardDeps, hold: Hold): Promise<Hold | undefined> {
  const payment = await deps.payments.createPayment(holdPayment(hold))
  if (payment.status === 'refused') {
    await close(deps, hold, [])
    return undefined
  }
  const cardId = payment.paymentMethodId ?? hold.cardId
  await deps.table
    .update(
      keys.hold(hold.accountId, hold.id),
      expr`SET #paymentId = ${payment.id}, #cardId = ${cardId}, #state = ${'saved'}`,
      expr`#state = ${'created'}`,
    )
    .catch(ignoreRefusal)
  return { ...hold, state: 'saved', paymentId: payment.id, cardId }
}

/**
 * Makes of a hold what its payment says: the one place where that is decided, for the request, the webhook and the
 * sweep alike. Repeating it changes nothing. `marks` are written in the transaction that does the work.
 */
export async function settleHold(
  deps: CardDeps,
  hold: Hold,
  payment: Payment,
  marks: readonly Write[] = [],
): Promise<Settled> {
  if (!isPaymentOf(payment, hold, deps.webhooks.livemode)) {
    throw new DomainError('internal_error', {
      cause: new Error('the payment is not what the hold asked for'),
    })
  }
  switch (payment.status) {
    case 'held':
    case 'succeeded':
      if (hold.state === 'releasing') await mark(deps, marks)
      else if (!(await prove(deps, hold, payment, marks))) return fence(deps, hold, payment, marks)
      await release(deps, { ...hold, state: 'releasing', paymentId: payment.id }).catch(() => {})
      return { status: 'proved' }
    case 'action_required':
      await writeAll(deps, [postpone(deps, hold, AUTHENTICATION_MS), ...marks]).catch(ignoreRefusal)
      return { status: 'action required', clientSecret: payment.clientSecret }
    case 'declined':
    case 'unconfirmed':
      return fence(deps, hold, payment, marks)
    case 'canceled':
      if (hold.state === 'releasing') await finish(deps, hold, marks)
      else await close(deps, hold, marks)
      return { status: hold.state === 'releasing' ? 'proved' : 'given up' }
    case 'processing':
      await mark(deps, marks)
      return { status: 'pending' }
  }
}

/** Cancels before giving up, so that no hold can come of it any more. */
async function fence(
  deps: CardDeps,
  hold: Hold,
  payment: Payment,
  marks: readonly Write[],
): Promise<Settled> {
  const fenced = await deps.payments.cancelPayment(payment.id)
  if (fenced.status !== 'canceled') return settleHold(deps, hold, fenced, marks)
  await close(deps, hold, marks)
  return { status: payment.status === 'unconfirmed' ? 'given up' : 'declined' }
}

/** Only notes that an event was seen to; that it was noted before is no error. */
export const mark = (deps: Deps<'table'>, marks: readonly Write[]): Promise<void> =>
  writeAll(deps, marks).catch(ignoreRefusal)

function postpone(deps: Deps, hold: Hold, byMs: number): Write {
  const { dueAtMs } = dueAt('HOLD', hold.accountId, deps.clock.nowMs() + byMs)
  return {
    update: keys.hold(hold.accountId, hold.id),
    set: expr`SET #dueAtMs = ${dueAtMs}`,
    if: expr`attribute_exists(pk)`,
  }
}

/**
 * The card is proved: it goes on file and the account is free again; only the dollar is still to go back.
 * @returns false if the card is gone meanwhile.
 */
async function prove(
  deps: CardDeps,
  hold: Hold,
  payment: Payment,
  marks: readonly Write[],
): Promise<boolean> {
  const { accountId, customerId, cardId } = hold
  for (let tries = 0; tries < 5; tries++) {
    const stored = await readCard(deps, accountId, cardId)
    const customer = await deps.table.get(keys.customer(accountId))
    const card = await attachedCard(deps, cardId, customerId)
    if (!card) return false
    const known = customer && parseCustomer(customer)
    const setDefault = hold.purpose === 'change' || known?.defaultCardId === undefined
    try {
      await writeAll(deps, [
        {
          update: keys.hold(accountId, hold.id),
          set: expr`SET #state = ${'releasing'}, #paymentId = ${payment.id}`,
          if: expr`#state <> ${'releasing'}`,
        },
        { update: keys.profile(accountId), set: freed(deps, hold), if: expr`#openHold = ${hold.id}` },
        {
          put: cardItem(accountId, card, stored && { ...stored, removing: undefined, declined: undefined }),
          if: unchanged(stored),
        },
        ...(setDefault ? [makeDefault(hold)] : []),
        ...marks,
      ])
      return true
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      // The request, the webhook and the sweep may all be here: one of them has done it.
      const done = error.failed.has(0) || error.failed.has(1)
      if (done) await mark(deps, marks)
      // Else our copies have changed under us, or only a mark was there already.
      const stale = error.failed.has(2) || (setDefault && error.failed.has(3))
      if (done || !stale) return true
    }
  }
  throw new DomainError('temporarily_unavailable')
}

function freed(deps: Deps, { purpose, address }: Hold): Expression {
  const nowMs = deps.clock.nowMs()
  const set = [expr`SET #updatedAtMs = ${nowMs}`]
  if (purpose === 'change') set.push(expr`#cardChangedAtMs = ${nowMs}`)
  if (address) set.push(expr`#address = ${address}`)
  return join([join(set, ', '), expr`#openHold`], ' REMOVE ')
}

/** Ours first, so that the account can buy at once; the provider hears of it with the release. */
const makeDefault = ({ id, accountId, cardId }: Hold): Write => ({
  update: keys.customer(accountId),
  set: expr`SET #defaultCardId = ${cardId}, #defaultBy = ${id}, #version = #version + ${1}`,
  if: expr`attribute_exists(pk)`,
})

/** The card as the provider has it, attached to our customer: the hold's confirmation does that by itself. */
async function attachedCard(
  deps: CardDeps,
  cardId: string,
  customerId: string,
): Promise<PaymentCard | undefined> {
  const card = await deps.payments.readCard(cardId)
  if (card?.customerId === customerId) return card
  const attached = await deps.payments.attachCard(cardId, customerId)
  return attached.status === 'attached' ? attached.card : undefined
}

/** Gives the dollar back and tells the provider of a new default card. What fails is repeated by the sweep. */
async function release(deps: CardDeps, hold: Hold): Promise<void> {
  if (hold.paymentId !== undefined) await deps.payments.cancelPayment(hold.paymentId)
  await finish(deps, hold, [])
}

async function finish(deps: CardDeps, hold: Hold, marks: readonly Write[]): Promise<void> {
  const { accountId, cardId, customerId } = hold
  const item = await deps.table.get(keys.customer(accountId))
  // A later choice, or the card's removal, has taken its place otherwise.
  if (item && parseCustomer(item).defaultBy === hold.id) {
    const address = hold.address && billingAddress(hold.address)
    const changes = { defaultPaymentMethodId: cardId, ...(address && { address }) }
    await deps.payments.updateCustomer(customerId, changes).catch(ignoreMissing)
    const told = expr`SET #version = #version + ${1} REMOVE #defaultBy`
    await deps.table
      .update(keys.customer(accountId), told, expr`#defaultBy = ${hold.id}`)
      .catch(ignoreRefusal)
    await syncCustomer(deps, accountId, customerId)
  }
  await writeAll(deps, [{ remove: keys.hold(accountId, hold.id) }, ...marks]).catch(ignoreRefusal)
}

/** The card or the customer is gone: the provider's own word on the default card holds. */
function ignoreMissing(error: unknown): void {
  if (!(error instanceof DomainError && error.code === 'not_found')) throw error
}

const billingAddress = (address: NonNullable<Profile['address']>): BillingAddress => ({
  line1: address.street,
  line2: address.company,
  city: address.city,
  state: address.district,
  postalCode: address.postCode,
  country: address.country,
})

/** Nothing came of it: the account is free for another try. */
async function close(deps: CardDeps, hold: Hold, marks: readonly Write[]): Promise<void> {
  await writeAll(deps, [
    {
      update: keys.profile(hold.accountId),
      set: expr`REMOVE #openHold`,
      if: expr`#openHold = ${hold.id}`,
    },
    { remove: keys.hold(hold.accountId, hold.id) },
    ...marks,
  ]).catch(ignoreRefusal)
}

/** @throws DomainError `card_changed_recently` with the seconds until the card may be changed again. */
export function requireChangeInterval(account: Account, nowMs: number): void {
  const waitMs = (account.cardChangedAtMs ?? -CHANGE_EVERY_MS) + CHANGE_EVERY_MS - nowMs
  if (waitMs > 0)
    throw new DomainError('card_changed_recently', { retryAfterSeconds: Math.ceil(waitMs / 1000) })
}

/**
 * Goes on with up to `limit` holds that were left behind: proved ones are released, the others settled by what
 * their payment says, unconfirmed ones given up.
 * @returns how many came to an end.
 */
export async function sweepHolds(deps: CardDeps, limit: number): Promise<number> {
  let ended = 0
  for (const key of await deps.table.due('HOLD', deps.clock.nowMs(), limit)) {
    const item = await deps.table.get(key)
    if (!item) continue
    const hold = parseHold(item)
    // Taken for a minute: two sweeps at once do not work on one hold, and one that fails comes back.
    const lease = postpone(deps, hold, HOLD_LEASE_MS)
    await writeAll(deps, [lease])
    const settled = await settleLeft(deps, hold).catch(() => undefined)
    if (settled && settled.status !== 'pending' && settled.status !== 'action required') ended++
  }
  return ended
}

async function settleLeft(deps: CardDeps, hold: Hold): Promise<Settled> {
  if (hold.paymentId === undefined) {
    // Never confirmed, for that takes its id. Finding it again by its key, to cancel it, is tidiness.
    const payment = await deps.payments.createPayment(holdPayment(hold))
    if (payment.status !== 'refused')
      return settleHold(deps, hold, await deps.payments.cancelPayment(payment.id))
    await close(deps, hold, [])
    return { status: 'given up' }
  }
  const payment = await deps.payments.readPayment(hold.paymentId)
  if (!payment) throw new Error('the provider does not know a payment of ours')
  const lapsed = deps.clock.nowMs() - hold.createdAtMs >= AUTHENTICATION_MS
  if (payment.status !== 'action_required' || !lapsed) return settleHold(deps, hold, payment)
  return settleHold(deps, hold, await deps.payments.cancelPayment(payment.id))
}
