import Stripe from 'stripe'
import { expect } from 'vitest'
import { type Account, type Profile, readAccount } from '../../core/account/account.ts'
import { randomIds } from '../../core/adapters/ids.ts'
import { STRIPE_API_VERSION, stripePayments } from '../../core/adapters/stripe.ts'
import { changeCard } from '../../core/cards/change.ts'
import { sweepCards } from '../../core/cards/expiry.ts'
import { removeCard } from '../../core/cards/remove.ts'
import { isLiveCard, parseStoredCard } from '../../core/cards/stored.ts'
import { proveCard, sweepHolds } from '../../core/cards/verify.ts'
import { DomainError } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'
import { newQuota } from '../../core/quota/quota.ts'
import { keys } from '../../core/table/keys.ts'
import { subscribedEvents } from '../../core/webhooks/event-types.ts'
import { processMissedEvents, receiveWebhook } from '../../core/webhooks/events.ts'
import { signatureOf } from '../local/stripe/webhooks.ts'
import { startStripe } from '../local/stripe.ts'
import { silentLog } from '../support/log.ts'
import { watchEvents } from './event-watch.ts'
import { WHOLE_RUN } from './faults.ts'
import { memoryTable } from './memory-table.ts'

/** Event types that Stripe sends us; the double also emits others, such as the creation of a payment. */
const SUBSCRIBED = new Set(subscribedEvents)

/** The functions under test; a test can replace them with broken ones. */
export const cards = {
  proveCard,
  changeCard,
  removeCard,
  receiveWebhook,
  sweepHolds,
  sweepCards,
  processMissedEvents,
}
export type Cards = typeof cards

export type CardWorld = Awaited<ReturnType<typeof openCardWorld>>

export const SECOND_MS = 1000
export const MINUTE_MS = 60 * SECOND_MS
export const DAY_MS = 24 * 60 * MINUTE_MS
const START_MS = Date.UTC(2026, 10, 21, 12)

/** A busy machine is no fault of Stripe: only a call that a test delays may time out. */
const PATIENT_MS = 20_000

/** The outcome of a call, or the code of its error. */
export type Answer = string

export const answerOf = (call: Promise<unknown>): Promise<Answer> =>
  call.then(
    (outcome) => (Object(outcome) as { status?: string }).status ?? String(outcome ?? 'done'),
    (error: unknown) => (error instanceof DomainError ? error.code : String(error)),
  )

/**
 * One account with its own Stripe, table and clock, so that scenarios run concurrently. `overrides` is merged
 * into the account's profile; `functions` replaces the functions under test; `timeoutMs` is the real time that a
 * call to Stripe may take.
 */
export async function openCardWorld(
  overrides: Partial<Profile> = {},
  functions: Cards = cards,
  timeoutMs = PATIENT_MS,
) {
  let nowMs = START_MS
  const clock = { nowMs: () => nowMs, wait: async () => {} }
  const mistakes: unknown[] = []
  const double = await startStripe({
    nowMs: clock.nowMs,
    onError: (error) => mistakes.push(error),
    // Nothing listens at this address: the world takes the events from the double and delivers them itself.
    webhookUrl: 'http://127.0.0.1:9',
    delivery: 'manual',
  })
  const { hostname: host, port } = new URL(double.url)
  const operator = new Stripe('sk_test_operator', {
    host,
    port,
    protocol: 'http',
    apiVersion: STRIPE_API_VERSION,
    telemetry: false,
  })
  const ids = randomIds(clock)
  const accountId = ids.accountId()
  const { pk } = keys.profile(accountId)
  const table = memoryTable([], watchEvents(mistakes))
  await table.put({ ...keys.profile(accountId), ...newProfile(accountId, nowMs), ...overrides })
  await table.put(newQuota(accountId, Buffer.alloc(12), nowMs))
  const ports = {
    clock,
    ids,
    log: silentLog,
    table,
    payments: stripePayments({ secretKey: 'sk_test_world', apiBase: double.url, timeoutMs }),
    paymentScope: { livemode: false, stage: 'world' },
    webhookSecrets: [double.webhookSecret],
  } as Partial<Ports> as Ports
  const taken = new Set<string>()
  const isSubscribed = ({ id, type }: Stripe.Event) => !taken.has(id) && SUBSCRIBED.has(type)

  const account = async (): Promise<Account> => {
    const found = await readAccount(ports, accountId)
    if (!found) throw new Error('the account is gone')
    return found
  }
  /** Oldest first. */
  const events = async (): Promise<Stripe.Event[]> =>
    (await operator.events.list({ limit: 100 }).autoPagingToArray({ limit: 1000 })).reverse()

  const world = {
    accountId,
    ports,
    functions,
    double,
    operator,
    mistakes,
    account,
    events,
    advance: (ms: number) => {
      nowMs += ms
    },
    /**
     * The client's request: authentication reads the account, then the call runs with the ports `through`.
     */
    verify: async (cardId: string, through: Ports = ports): Promise<Answer> =>
      answerOf(functions.proveCard(through, await account(), { purpose: 'verify', cardId })),
    change: async (cardId: string, through: Ports = ports): Promise<Answer> =>
      answerOf(functions.changeCard(through, await account(), { cardId, address: ADDRESS })),
    remove: async (cardId: string, through: Ports = ports): Promise<Answer> =>
      answerOf(functions.removeCard(through, await account(), cardId)),
    /** Processes events that were never delivered. */
    catchUp: () =>
      functions.processMissedEvents(ports, { ...WHOLE_RUN, alarm: (sentence) => mistakes.push(sentence) }),
    /** Creates an unattached card with this test number. @returns its id. */
    newCard: async (number: string): Promise<string> =>
      (
        await operator.paymentMethods.create({
          type: 'card',
          card: { number, exp_month: 4, exp_year: 2031 },
          billing_details: { name: 'Ada Example', address: { line1: '1 Main st.', postal_code: '3100' } },
        })
      ).id,
    /** A ConfirmationToken of a card with this number. */
    newToken: async (number: string): Promise<string> =>
      (await operator.testHelpers.confirmationTokens.create({ payment_method: await world.newCard(number) }))
        .id,
    /** Delivers one event as Stripe does. */
    receive(event: Stripe.Event, through: Ports = ports): Promise<void> {
      const body = JSON.stringify(event, null, 2)
      const signature = signatureOf(body, double.webhookSecret, nowMs)
      return functions.receiveWebhook(through, { body: Buffer.from(body), signature })
    },
    /** Marks the undelivered events as delivered, so that they are lost. */
    async loseEvents(): Promise<void> {
      for (const { id } of await events()) taken.add(id)
    },
    /**
     * Delivers events until none is left, and retries refused ones a minute later. Only the first delivery
     * uses `through`. @returns the number of events that stayed refused.
     */
    async deliver(through: Ports = ports): Promise<number> {
      let refused: Stripe.Event[] = []
      for (let round = 0; round < 5; round++) {
        const waiting = (await events()).filter(isSubscribed)
        refused = []
        for (const event of waiting) {
          await world.receive(event, round === 0 ? through : ports).then(
            () => taken.add(event.id),
            () => refused.push(event),
          )
        }
        if (waiting.length === 0) return 0
        if (refused.length > 0) nowMs += MINUTE_MS
      }
      return refused.length
    },
    async sweep(through: Ports = ports): Promise<void> {
      await functions.sweepHolds(through, WHOLE_RUN)
      await functions.sweepCards(through, WHOLE_RUN)
    },
    /** Waits `ms` of real time, so that requests which Stripe delays arrive. */
    async pass(ms: number): Promise<void> {
      double.addFault({ fault: 'delay', match: 'GET /v1/customers$', times: 1, delayMs: ms })
      await operator.customers.list()
    },
    /** The items of this account in the table. */
    async stored() {
      const items = await ports.table.list(pk, 'CARD#')
      const { customer, openHold } = await account()
      return {
        cards: items
          .map(parseStoredCard)
          .filter(isLiveCard)
          .map(({ card }) => card),
        removing: items.filter(({ removing }) => removing).map(({ cardId }) => cardId),
        customer,
        openHold,
        // The answers kept for requests with an Idempotency-Key are no verifications any more.
        holds: (await ports.table.list(pk, 'HOLD#')).filter(({ ttl }) => ttl === undefined),
      }
    },
    /** All customers, payments and charges of the double; they belong to this account. */
    async atStripe() {
      const [customers, payments, charges] = await Promise.all([
        operator.customers.list({ limit: 100 }),
        operator.paymentIntents.list({ limit: 100 }),
        operator.charges.list({ limit: 100 }),
      ])
      return { customers: customers.data, payments: payments.data, charges: charges.data }
    },
    close: () => double.close(),
  }
  return world
}

/** The profile of a confirmed account right after its registration. */
const newProfile = (id: string, nowMs: number): Profile => ({
  id,
  username: 'ada',
  email: 'ada@mail.example',
  status: 'active',
  emailVerified: true,
  createdAtMs: nowMs,
  updatedAtMs: nowMs,
  sessions: {},
  generation: 0,
  twofaTries: 0,
  twofaTriedAtMs: 0,
  defaultKey: 'sealed',
  keyHash: '',
  defaultKeyAtMs: nowMs,
  keyCount: 1,
  nextKeySlot: 1,
  flags: { bundleAutoRenewal: true, lowQuotaNotification: true },
  paid: false,
  balanceCents: 0,
  ledgerSeq: 0,
})

export const ADDRESS = {
  street: 'Main st. 1',
  district: 'Entre Ríos',
  city: 'Paraná',
  postCode: '3100',
  country: 'AR',
}

/** Ids of the account's cards in our list. */
export const listed = async (world: CardWorld): Promise<string[]> =>
  (await world.stored()).cards.map(({ id }) => id)

/**
 * Asserts what must hold once nothing is under way: no money is held, no money was ever taken, our cards and
 * customer equal Stripe's, and no verification is left.
 */
export async function expectSettled(world: CardWorld, title: string): Promise<void> {
  const [{ customers, payments, charges }, stored] = await Promise.all([world.atStripe(), world.stored()])
  expect(world.mistakes, `${title}: mistakes of the double`).toEqual([])
  const left = payments.filter(({ status }) => status !== 'canceled')
  expect(
    left.map(({ id, status }) => `${id} ${status}`),
    `${title}: payments left`,
  ).toEqual([])
  for (const { captured, amount_captured, status, refunded } of charges) {
    expect({ captured, amount_captured }, `${title}: a charge`).toEqual({
      captured: false,
      amount_captured: 0,
    })
    if (status === 'succeeded') expect(refunded, `${title}: a hold that was not released`).toBe(true)
  }
  const heldFor = charges.flatMap(({ status, payment_intent }) => {
    const payment = payments.find(({ id }) => id === payment_intent)
    return status === 'succeeded' && payment ? [payment.metadata.purchase] : []
  })
  expect(new Set(heldFor).size, `${title}: two holds of one verification`).toBe(heldFor.length)

  expect(stored.holds, `${title}: holds in the table`).toEqual([])
  expect(stored.openHold, `${title}: openHold`).toBeUndefined()
  expect(stored.removing, `${title}: removals`).toEqual([])
  const kept = stored.customer && (await world.ports.payments.readCustomer(stored.customer.id))
  const theirs = (await Promise.all(customers.map(({ id }) => world.ports.payments.listCards(id)))).flat()
  const byId = (a: { id: string }, b: { id: string }) => a.id.localeCompare(b.id)
  expect(stored.cards.sort(byId), `${title}: cards`).toEqual(theirs.map(withoutMetadata).sort(byId))
  const numbers = stored.cards.map(({ id, fingerprint }) => fingerprint ?? id)
  expect(new Set(numbers).size, `${title}: two entries of one card`).toBe(numbers.length)
  // A customer that was created but never stored does no harm, because it has no cards.
  if (!kept || kept === 'deleted') return expect(stored.customer, `${title}: the customer`).toBeUndefined()
  const { accountId: _, defaultPaymentMethodId, ...customer } = kept
  const expected = { ...withoutMetadata(customer), defaultCardId: defaultPaymentMethodId }
  expect(stored.customer, `${title}: the customer`).toEqual({ ...expected, version: expect.any(Number) })
}

const withoutMetadata = <T extends { metadata: unknown }>({ metadata: _, ...rest }: T): Omit<T, 'metadata'> =>
  rest

/**
 * Asserts that the account still works: another card can be verified, and every guarantee holds afterwards.
 */
export async function expectUsable(world: CardWorld, title: string): Promise<void> {
  world.advance(DAY_MS)
  const card = await world.newCard('5555555555554444')
  expect(await world.verify(card), `${title}: another card`).toBe('proved')
  expect(await world.deliver(), `${title}: events refused`).toBe(0)
  expect(await listed(world), title).toContain(card)
  await expectSettled(world, `${title}, then another card`)
}

/** The same ports, but `meanwhile` runs to its end before call number `at` that leaves the process. */
export function interrupted(ports: Ports, at: number, meanwhile: () => Promise<unknown>) {
  const calls: string[] = []
  const wrap = (name: string, target: object) =>
    new Proxy(target, {
      get: (object, method, receiver) => {
        const call = Reflect.get(object, method, receiver)
        if (typeof call !== 'function') return call
        return async (...args: unknown[]) => {
          calls.push(`${name}.${String(method)}`)
          if (calls.length === at) await meanwhile()
          return call.apply(object, args)
        }
      },
    })
  return {
    ports: {
      ...ports,
      table: wrap('table', ports.table),
      payments: wrap('payments', ports.payments),
    } as Ports,
    calls,
  }
}
