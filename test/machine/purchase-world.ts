import { setImmediate as turn } from 'node:timers/promises'
import type Stripe from 'stripe'
import { type Account, type Profile, readAccount } from '../../core/account/account.ts'
import { deactivateAccount } from '../../core/account/deactivate.ts'
import { resumeAccount, suspendAccount } from '../../core/account/suspend.ts'
import { changeCard } from '../../core/cards/change.ts'
import { sweepCards } from '../../core/cards/expiry.ts'
import { removeCard } from '../../core/cards/remove.ts'
import { sweepHolds } from '../../core/cards/verify.ts'
import type { Coupon } from '../../core/coupons/coupon.ts'
import { stopCoupon } from '../../core/coupons/coupons.ts'
import { type Redeemable, redeemWrites } from '../../core/coupons/redeem.ts'
import { DomainError } from '../../core/errors.ts'
import { announce } from '../../core/events/outbox.ts'
import { publishEvents } from '../../core/events/publish.ts'
import type { Envelope } from '../../core/events/stored-event.ts'
import { newDefaultKey } from '../../core/keys/default-key.ts'
import { creditBalance, debitBalance } from '../../core/ledger/change-balance.ts'
import { grantUnits, takeUnits } from '../../core/ledger/change-units.ts'
import { renewalLinkCode } from '../../core/notifications/renewal-link.ts'
import { tellAlerts } from '../../core/notifications/tell-alerts.ts'
import type { Ids, MoneyDeps, Ports } from '../../core/ports.ts'
import { buyBundle, type PurchaseRequest } from '../../core/purchases/buy.ts'
import { defaultCatalogue } from '../../core/purchases/catalogue.ts'
import { checkQuota, checkQuotas } from '../../core/purchases/check-quotas.ts'
import { collectOwedUnits } from '../../core/purchases/collect-owed.ts'
import { compareReversals } from '../../core/purchases/compare-reversals.ts'
import { orderRefund, type RefundWanted } from '../../core/purchases/order-refund.ts'
import { comparePayments, compareRecorded } from '../../core/purchases/reconcile.ts'
import {
  type RenewalSettings,
  setFlags,
  setRenewal,
  useRenewalLink,
} from '../../core/purchases/renewal-settings.ts'
import { settlePayments } from '../../core/purchases/settle-payments.ts'
import { settleRefunds } from '../../core/purchases/settle-refunds.ts'
import { consumeUnits } from '../../core/quota/consume.ts'
import { expireReservations } from '../../core/quota/expire-reservations.ts'
import { newQuota } from '../../core/quota/quota.ts'
import { wakeRenewal } from '../../core/quota/renewal-call.ts'
import { reportLease } from '../../core/quota/report-lease.ts'
import type { Unreported } from '../../core/quota/reservation.ts'
import { reserveUnits } from '../../core/quota/reserve.ts'
import { setAlerts } from '../../core/quota/set-alerts.ts'
import { trialCredit } from '../../core/quota/trial.ts'
import { expr } from '../../core/table/expression.ts'
import { couponKey, keys } from '../../core/table/keys.ts'
import { type Item, ignoreRefusal, type Table, type Write } from '../../core/table/table.ts'
import { subscribedEvents } from '../../core/webhooks/event-types.ts'
import { processMissedEvents, receiveWebhook } from '../../core/webhooks/events.ts'
import type { StripeState } from '../local/stripe/state.ts'
import { signatureOf } from '../local/stripe/webhooks.ts'
import { keyringOf } from '../support/keyrings.ts'
import { livePayments } from '../support/live-mode.ts'
import { silentLog } from '../support/log.ts'
import { type Crossing, watchAlerts } from './alert-watch.ts'
import { watchEvents } from './event-watch.ts'
import { Crash, WHOLE_RUN } from './faults.ts'
import { memoryTable } from './memory-table.ts'
import { stripeHere } from './purchase-stripe.ts'
import { watchRenewal } from './renewal-watch.ts'
import { backElsewhere, type Decided, watchTrial } from './trial-watch.ts'

/** The functions under test; a test can replace them with broken ones. */
export const purchases = {
  buyBundle,
  checkQuota,
  checkQuotas,
  settlePayments,
  comparePayments,
  compareRecorded,
  compareReversals,
  setRenewal,
  useRenewalLink,
  consumeUnits,
  reserveUnits,
  reportLease,
  expireReservations,
  collectOwedUnits,
  receiveWebhook,
  processMissedEvents,
  sweepCards,
  sweepHolds,
  removeCard,
  changeCard,
  deactivateAccount,
  suspendAccount,
  resumeAccount,
  setFlags,
  setAlerts,
  tellAlerts,
  grantUnits,
  takeUnits,
  creditBalance,
  debitBalance,
  orderRefund,
  settleRefunds,
  publishEvents,
}
export type Purchases = typeof purchases

/** Stripe's test cards, named after their behaviour. */
export const GOOD = '4242424242424242'
export const OTHER = '6011111111111117'
export const ALWAYS_3DS = '4000002760003184'
export const DECLINED = '4000000000000002'
export const DISPUTED = '4000000000000259'
export const REFUND_FAILS = '4000000000005126'

export const SECOND_MS = 1000
export const MINUTE_MS = 60 * SECOND_MS
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS
const START_MS = Date.UTC(2026, 10, 21, 12)

/** Event types that Stripe sends us; the double also emits others, such as the creation of a payment. */
const SUBSCRIBED = new Set(subscribedEvents)

const ACCOUNT_ID = '6740000000000000000000a1'
const RIVAL_ID = '6740000000000000000000b2'
const SECRET = 'whsec_world'

/** Half of the price, three times; one that gives units once; and one that has expired. */
const COUPONS: readonly Coupon[] = [
  { percent: 50, limit: 3, perAccount: 2, code: 'HALF' },
  { units: 500, limit: 1, perAccount: 1, code: 'BONUS' },
  { percent: 10, limit: 1, perAccount: 1, code: 'LATE', toMs: START_MS },
].map((coupon) => ({
  fromMs: 0,
  toMs: START_MS + 3_650 * DAY_MS,
  left: coupon.limit,
  used: 0,
  createdAtMs: 0,
  ...coupon,
}))

function couponAt(code: string): Redeemable {
  const { perAccount = 0 } = COUPONS.find((coupon) => coupon.code === code) ?? {}
  return { code, perAccount: 10 * perAccount, discountCents: 0, bonusUnits: 0 }
}
const RING = keyringOf('5a'.repeat(32))

/** An answer to a client, with the times of the request and of the answer. */
export interface Said {
  kind: PurchaseRequest['kind']
  key: string | undefined
  /** The card sent, or the default cards meanwhile: ids of payment methods, and the numbers behind them then. */
  cards: string[]
  /** The newest credited purchases before the request and after it. */
  newest: (string | undefined)[]
  /** `paid`, `pending` or the code of an error; `gone` if the process died. */
  answer: string
  fromMs: number
  toMs: number
}

/** What an operator asks for: units, cents, or how much of a purchase goes back. */
export type Order =
  | { kind: 'grant'; units: number }
  | { kind: 'take'; units: number; owe: boolean }
  | { kind: 'credit' | 'debit'; amountCents: number }
  | { kind: 'refund'; purchaseId: string; wanted: RefundWanted }

/** An answer to an operator. `made` is the number of the ledger entry, or the id of the refund, if there is one. */
export interface Ordered {
  order: Order
  key: string | undefined
  answer: string
  made: string | undefined
  atMs: number
}

/** The whole state of a world, from which several runs can start. */
export interface Snapshot {
  nowMs: number
  latestMs: number
  made: number
  items: Item[]
  stripe: StripeState
  said: Said[]
  ordered: Ordered[]
  crossings: number[]
  alertCrossings: Crossing[]
  published: string[]
  told: Envelope[]
  creditedAtMs: [id: string, atMs: number][]
  decided: Decided[]
}

export type PurchaseWorld = Awaited<ReturnType<typeof openPurchaseWorld>>

export const ADDRESS = { street: 'Main st. 1', city: 'Paraná', postCode: '3100', country: 'AR' }

/** Consecutive ids, so that every run is the same. */
function numberedIds(next: () => number): Ids {
  const hex = (bytes: number) =>
    next()
      .toString(16)
      .padStart(bytes * 2, '0')
  return {
    accountId: () => hex(12),
    uuid: () => `00000000-0000-4000-8000-${hex(6)}`,
    hex,
  }
}

/**
 * One account with its own Stripe, table and clock, all in this process, so that thousands of runs take
 * seconds. `functions` replaces the functions under test.
 */
export async function openPurchaseWorld(functions: Purchases = purchases, from?: Snapshot) {
  let nowMs = from?.nowMs ?? START_MS
  let latestMs = from?.latestMs ?? nowMs
  let made = from?.made ?? 0
  const leases: string[] = []
  const said: Said[] = [...(from?.said ?? [])]
  const ordered: Ordered[] = [...(from?.ordered ?? [])]
  const crossings = new Set<number>(from?.crossings)
  /** When each purchase was credited; the purchase itself is dated by its charge, which may be older. */
  const creditedAtMs = new Map<string, number>(from?.creditedAtMs)
  /** The ids of the alerts that the bus has accepted, and the events of the account. */
  const published: string[] = [...(from?.published ?? [])]
  const told: Envelope[] = [...(from?.told ?? [])]
  const alerts = watchAlerts([...(from?.alertCrossings ?? [])])
  const mistakes: string[] = []
  const decided: Decided[] = [...(from?.decided ?? [])]
  const clock = {
    nowMs: () => nowMs,
    wait: async () => {
      for (let turns = 0; turns < 4; turns++) await turn()
    },
  }
  const ids = numberedIds(() => ++made)
  const stripe = stripeHere(clock.nowMs, from && structuredClone(from.stripe))
  const watchRenewals = watchRenewal(mistakes)
  const watchOut = watchEvents(mistakes)
  const watchTrials = watchTrial(decided, mistakes)
  // What a world begins with has happened before.
  let hasBegun = false
  const memory = memoryTable([], (writes, items, apply) => {
    alerts.watch(writes, items, () =>
      watchRenewals(writes, items, () =>
        hasBegun ? watchOut(writes, items, () => watchTrials(writes, items, apply)) : apply(),
      ),
    )
    for (const id of creditedBy(writes)) if (!creditedAtMs.has(id)) creditedAtMs.set(id, nowMs)
  })
  const table: Table = {
    ...memory,
    async update(key, set, condition) {
      const after = await memory.update(key, set, condition)
      if (key.sk === '#QUOTA' && typeof after.n === 'number') crossings.add(after.n)
      return after
    },
    // A lease that takes or returns units together with an item may cross a threshold too.
    async transact(writes) {
      await memory.transact(writes)
      const since = memory.items().find(({ sk }) => sk === '#QUOTA')?.n
      if (typeof since === 'number') crossings.add(since)
    },
  }
  const ports = {
    clock,
    ids,
    log: silentLog,
    table,
    keyring: RING,
    payments: livePayments(stripe.payments),
    paymentScope: { livemode: true, stage: 'world' },
    webhookSecrets: [SECRET],
    renewals: { start: async () => {} },
    events: {
      publish: async (type, detail) =>
        type === 'bursar.quota_alert'
          ? void published.push(String(detail.id))
          : void told.push(detail as unknown as Envelope),
    },
  } as Partial<Ports> as Ports
  const defaultKey = newDefaultKey(
    { ...ports, ids: { ...ids, uuid: () => '6c1f0000-0000-4000-8000-000000000001' } },
    ACCOUNT_ID,
  )
  if (from) await memory.putAll(from.items)
  else await memory.putAll(newAccount(defaultKey, nowMs))
  hasBegun = true

  const account = async (): Promise<Account> => {
    const found = await readAccount(ports, ACCOUNT_ID)
    if (!found) throw new Error('the account is gone')
    return found
  }
  /** The answer of a call. An error that no client should see is added to `mistakes`. */
  const answerOf = async (call: Promise<unknown>): Promise<string> => {
    try {
      const answer = await call
      const { status = 'done' } = Object(answer) as { status?: string }
      return typeof answer === 'string' ? answer : status
    } catch (error) {
      if (error instanceof DomainError) {
        if (error.code === 'internal_error') mistakes.push(String(error.cause))
        return error.code
      }
      if (!(error instanceof Crash)) mistakes.push(String(error instanceof Error ? error.stack : error))
      return 'gone'
    }
  }
  const gated = async (work: (account: Account) => Promise<unknown>): Promise<string> => {
    const caller = await account()
    return caller.status === 'active' ? answerOf(work(caller)) : `account_${caller.status}`
  }
  const request = async (wanted: PurchaseRequest, key: string | undefined, via: Ports): Promise<string> => {
    const fromMs = nowMs
    const cards = () => (wanted.kind === 'signup' ? [wanted.cardId] : defaultOf(memory.items()))
    const cardsBefore = withNumbers(stripe.state, cards())
    const newest = () => [...creditedAtMs.keys()].at(-1)
    const newestBefore = newest()
    const answer = await gated((caller) => functions.buyBundle(via, caller, wanted, key))
    said.push({
      kind: wanted.kind,
      key,
      cards: [...cardsBefore, ...withNumbers(stripe.state, cards())],
      newest: [newestBefore, newest()],
      answer,
      fromMs: Math.min(fromMs, nowMs),
      toMs: Math.max(fromMs, nowMs),
    })
    return answer
  }
  /** An operator's request. Unlike a customer's it passes no gate. */
  const operate = async (order: Order, key: string | undefined, via: Ports): Promise<string> => {
    let made: string | undefined
    const atMs = nowMs
    const answer = await answerOf(
      carryOut(functions, { ...via, origin: { by: 'operator', name: 'bob' } }, order, key).then((done) => {
        made = done.made
        return done.status
      }),
    )
    ordered.push({ order, key, answer, made, atMs })
    return answer
  }
  const done = () => 'done'
  const run = () => ({ untilMs: nowMs + MINUTE_MS, width: 10 })
  const alarms: string[] = []
  const watchful = () => ({ ...run(), alarm: (sentence: string) => void alarms.push(sentence) })

  const world = {
    accountId: ACCOUNT_ID,
    ports,
    functions,
    stripe,
    mistakes,
    said,
    ordered,
    crossings,
    /** What the owner is to be told of by alerts, in the order of the writes. */
    alertCrossings: alerts.crossings,
    published,
    told,
    creditedAtMs,
    /** What the first card has decided about the trial. */
    decided,
    alarms,
    account,
    items: () => memory.items(),
    nowMs: () => nowMs,
    /** Moves the clock forwards or, with a negative number, backwards. */
    advance(ms: number) {
      nowMs += ms
      latestMs = Math.max(latestMs, nowMs)
    },
    /** Undoes setting the clock back, so that nothing stays due in a time that has already been. */
    catchUpClock() {
      nowMs = latestMs
    },
    snapshot: (): Snapshot => ({
      nowMs,
      latestMs,
      made,
      items: structuredClone(memory.items()),
      stripe: structuredClone(stripe.state),
      said: [...said],
      ordered: [...ordered],
      crossings: [...crossings],
      alertCrossings: [...alerts.crossings],
      published: [...published],
      told: [...told],
      creditedAtMs: [...creditedAtMs],
      decided: [...decided],
    }),

    // --- The client ---
    signUp: (cardId: string, via = ports, key?: string, bundle = 'STARTER', coupon?: string) =>
      request({ kind: 'signup', bundle, cardId, address: ADDRESS, coupon }, key, via),
    buy: (via = ports, key?: string, coupon?: string) => request({ kind: 'buy', coupon }, key, via),
    change: (bundle: string, via = ports, key?: string, coupon?: string) =>
      request({ kind: 'change', bundle, coupon }, key, via),
    /** Another account begins a purchase with a coupon. */
    redeemElsewhere: (code: string, via = ports) =>
      answerOf(
        via.table
          .transact(redeemWrites(couponAt(code), { accountId: RIVAL_ID, createdAtMs: nowMs }))
          .catch(ignoreRefusal),
      ),
    /** Another account with a trial puts the card with this number on file, as its first one. */
    backElsewhere: async (number: string, via = ports) => {
      const { card } = await stripe.operator.paymentMethods.retrieve(await world.newCard(number))
      return answerOf(backElsewhere(via, card?.fingerprint ?? ''))
    },
    stopCoupon: (code: string, via = ports) => answerOf(stopCoupon(via, code, 'a test')),
    consume: (units: number, via = ports) => answerOf(functions.consumeUnits(via, defaultKey.key, { units })),
    /** Spends units until `left` units remain. */
    async consumeTo(left: number, via = ports): Promise<string> {
      const { quota } = await account()
      const units = (quota?.left ?? 0) - left
      return units > 0 ? world.consume(units, via) : 'nothing to do'
    },
    /** Takes up to `units` for ten minutes. */
    lease: (units: number, unreported: Unreported, via = ports) =>
      answerOf(
        functions
          .reserveUnits(via, defaultKey.key, { units, ttlSeconds: 600, unreported })
          .then(({ id }) => void leases.push(id)),
      ),
    /** Reports use of an earlier lease, which is kept with `keep` units or ends. */
    report: (which: number, used: number, keep: number, via = ports) =>
      answerOf(
        functions
          .reportLease(via, defaultKey.key, {
            leaseId: leases[which % Math.max(1, leases.length)] ?? '',
            use: [{ units: used }],
            ...(keep > 0 && { renewal: { units: keep, ttlSeconds: 600 } }),
          })
          .then(({ id }) => void leases.push(id)),
      ),
    remove: (cardId: string, via = ports) => gated((caller) => functions.removeCard(via, caller, cardId)),
    changeCard: (cardId: string, via = ports) =>
      gated((caller) => functions.changeCard(via, caller, { cardId, address: ADDRESS })),
    setRenewal: (bundleAutoRenewal: boolean, via = ports) =>
      gated((caller) => functions.setFlags(via, caller, { bundleAutoRenewal, lowQuotaNotification: true })),
    setCap: (cents: number | undefined, via = ports) => world.choose({ monthlyCapCents: cents }, via),
    /** The owner's settings of renewal: limits, and when which bundle is bought. */
    choose: (settings: RenewalSettings, via = ports) =>
      gated((caller) => functions.setRenewal(via, caller, settings)),
    /** The owner chooses alerts. */
    setAlerts: (below: readonly number[], via = ports) =>
      gated((caller) => functions.setAlerts(via, caller, below)),
    /** What a consume starts: a look at this account alone. */
    renewAtOnce: (via = ports) => answerOf(functions.checkQuota(via, { accountId: ACCOUNT_ID })),
    /** The code of the link to stop auto-renewal in a mail that is sent now. */
    stopCode: () => renewalLinkCode(ports, { act: 'stop', accountId: ACCOUNT_ID }),
    openLink: (code: string, via = ports) => answerOf(functions.useRenewalLink(via, code)),
    stopByLink: (via = ports) => world.openLink(world.stopCode(), via),
    allowByLink: (heldAtMs: number, via = ports) =>
      world.openLink(renewalLinkCode(ports, { act: 'allow', accountId: ACCOUNT_ID, heldAtMs }), via),
    deactivate: (via = ports) => gated((caller) => functions.deactivateAccount(via, caller)),
    /** The operator suspends the account, and ends the suspension. */
    suspend: (via = ports) =>
      answerOf(functions.suspendAccount(via, ACCOUNT_ID, { reason: 'A test', silent: false }).then(done)),
    resume: (via = ports) => answerOf(functions.resumeAccount(via, ACCOUNT_ID, 'A test').then(done)),
    /** Writes what `restore` writes after the right password, which lifts no suspension. */
    async restore(): Promise<void> {
      if ((await account()).status !== 'deactivated') return
      const active = { update: keys.profile(ACCOUNT_ID), set: expr`SET #status = ${'active'}` }
      const again = announce(ports, ACCOUNT_ID, 'account.restored', { undoesDeletion: false })
      const isActive = (await account()).status === 'active'
      await table.transact([active, wakeRenewal(ports, ACCOUNT_ID), ...(isActive ? [] : [again])])
      await table.update(keys.quota(ACCOUNT_ID), expr`REMOVE #x`)
    },
    /** Completes 3-D Secure for every payment that waits for it. @returns the number of payments. */
    authenticate(outcome: 'succeed' | 'fail' = 'succeed'): number {
      const waiting = Object.values(stripe.state.paymentIntents).filter(
        ({ status }) => status === 'requires_action',
      )
      for (const { id } of waiting) stripe.authenticate(id, outcome)
      return waiting.length
    },

    // --- Our operator ---
    grant: (units: number, via = ports, key?: string) => operate({ kind: 'grant', units }, key, via),
    take: (units: number, owe: boolean, via = ports, key?: string) =>
      operate({ kind: 'take', units, owe }, key, via),
    credit: (amountCents: number, via = ports, key?: string) =>
      operate({ kind: 'credit', amountCents }, key, via),
    debit: (amountCents: number, via = ports, key?: string) =>
      operate({ kind: 'debit', amountCents }, key, via),
    /** Refunds the n-th purchase that was credited. */
    orderRefund: async (n: number, wanted: RefundWanted, via = ports, key?: string) => {
      const purchaseId = [...creditedAtMs.keys()].at(n)
      return purchaseId === undefined
        ? 'nothing to do'
        : operate({ kind: 'refund', purchaseId, wanted }, key, via)
    },

    // --- Stripe and its operator ---
    /** Creates an unattached card with this test number. @returns its id. */
    newCard: async (number: string): Promise<string> =>
      (
        await stripe.operator.paymentMethods.create({
          type: 'card',
          card: { number, exp_month: 4, exp_year: 2041 },
          billing_details: { name: 'Ada Example', address: { line1: '1 Main st.', postal_code: '3100' } },
        })
      ).id,
    /** A ConfirmationToken of a card with this number. */
    newToken: async (number: string): Promise<string> =>
      (
        await stripe.operator.testHelpers.confirmationTokens.create({
          payment_method: await world.newCard(number),
        })
      ).id,
    /** The id of the default card. */
    defaultCard: async () => (await account()).customer?.defaultCardId,
    /** Charges that took money, oldest first. */
    charges: (): Stripe.Charge[] =>
      Object.values(stripe.state.charges).filter(
        ({ status, captured }) => status === 'succeeded' && captured,
      ),
    /** Refunds `cents` of the n-th charge, or the whole rest. @returns whether Stripe accepted the refund. */
    async refund(n: number, cents?: number): Promise<boolean> {
      const charge = world.charges().at(n)
      if (!charge) return false
      const amount = cents === undefined ? {} : { amount: Math.min(cents, charge.amount) }
      return stripe.operator.refunds.create({ charge: charge.id, ...amount }).then(
        () => true,
        () => false,
      )
    },
    /** The operator answers the newest open dispute, and the bank decides. */
    async decideDispute(verdict: 'winning_evidence' | 'losing_evidence'): Promise<boolean> {
      const open = Object.values(stripe.state.disputes).filter(({ status }) => status === 'needs_response')
      const newest = open.at(-1)
      if (!newest) return false
      await stripe.operator.disputes.update(newest.id, { evidence: { uncategorized_text: verdict } })
      world.advance(6 * SECOND_MS)
      stripe.tick()
      return true
    },

    // --- Webhooks ---
    /** Events that were not accepted yet, oldest first. */
    waiting: (): Stripe.EventBase[] =>
      Object.values(stripe.state.events).filter(
        ({ type, pending_webhooks }) => pending_webhooks > 0 && SUBSCRIBED.has(type),
      ),
    /** Delivers one event as Stripe does. @returns whether the event was accepted. */
    async receive(event: Stripe.EventBase, via: Ports = ports): Promise<boolean> {
      const body = JSON.stringify(event, null, 2)
      const signature = signatureOf(body, SECRET, nowMs)
      const answer = await answerOf(functions.receiveWebhook(via, { body: Buffer.from(body), signature }))
      if (answer === 'done') event.pending_webhooks = 0
      return answer === 'done'
    },
    /** Delivers events until none waits or the rest is refused repeatedly. @returns the number refused. */
    async deliver(via: Ports = ports): Promise<number> {
      for (let round = 0; round < 4; round++) {
        stripe.tick()
        const waiting = world.waiting()
        if (waiting.length === 0) return 0
        for (const event of waiting) await world.receive(event, round === 0 ? via : ports)
      }
      return world.waiting().length
    },
    /** Marks the undelivered events as delivered, so that they are lost. */
    loseEvents(): void {
      for (const event of Object.values(stripe.state.events)) event.pending_webhooks = 0
    },

    // --- Jobs ---
    /** Runs every job once. @returns how many items they left undone because of an error. */
    async jobs(via: Ports = ports): Promise<number> {
      const done = [
        await world.job('settleRefunds', via),
        await world.job('settlePayments', via),
        await world.job('checkQuotas', via),
        await world.job('tellAlerts', via),
        await world.job('publishEvents', via),
        await world.job('sweepEvents', via),
        await world.job('sweepHolds', via),
        await world.job('sweepCards', via),
        await world.job('compareReversals', via),
        await world.job('comparePayments', via),
        await world.job('compareRecorded', via),
        await world.job('expireReservations', via),
      ]
      return done.reduce((sum, failed) => sum + failed, 0)
    },
    /** Runs one job. An error that the job throws counts as one failure. */
    async job(
      name:
        | 'settleRefunds'
        | 'settlePayments'
        | 'checkQuotas'
        | 'tellAlerts'
        | 'publishEvents'
        | 'sweepEvents'
        | 'sweepHolds'
        | 'sweepCards'
        | 'compareReversals'
        | 'comparePayments'
        | 'compareRecorded'
        | 'expireReservations',
      via: Ports = ports,
    ): Promise<number> {
      let failed = 0
      const answer = await answerOf(
        (async () => {
          if (name === 'sweepHolds') return functions.sweepHolds(via, WHOLE_RUN)
          if (name === 'sweepCards') return functions.sweepCards(via, WHOLE_RUN)
          if (name === 'comparePayments') {
            await functions.comparePayments(via, watchful())
            return 'done'
          }
          if (name === 'expireReservations') {
            const collect = (accountId: string) => functions.collectOwedUnits(via, accountId)
            const { failed: postponed } = await functions.expireReservations(via, WHOLE_RUN, collect)
            failed = postponed
            return 'done'
          }
          const result =
            name === 'sweepEvents'
              ? await functions.processMissedEvents(via, watchful())
              : await functions[name](via, watchful())
          failed = result.failed
          return 'done'
        })(),
      )
      return failed + (answer === 'temporarily_unavailable' || answer === 'gone' ? 1 : 0)
    },
  }
  return world
}

async function carryOut(
  functions: Purchases,
  via: MoneyDeps,
  order: Order,
  idempotencyKey: string | undefined,
): Promise<{ status: string; made: string }> {
  const request = { reason: 'a ticket', idempotencyKey }
  if (order.kind === 'refund') {
    const of = { accountId: ACCOUNT_ID, purchaseId: order.purchaseId }
    const { status, id } = await functions.orderRefund(via, of, order.wanted, request)
    return { status, made: id }
  }
  const { entry } = await (order.kind === 'grant'
    ? functions.grantUnits(via, ACCOUNT_ID, { ...order, ...request })
    : order.kind === 'take'
      ? functions.takeUnits(via, ACCOUNT_ID, { ...order, ...request })
      : functions[order.kind === 'credit' ? 'creditBalance' : 'debitBalance'](via, ACCOUNT_ID, {
          ...order,
          ...request,
        }))
  return { status: 'done', made: String(entry.seq) }
}

/** The ids of the purchases that these writes credit. */
const creditedBy = (writes: readonly Write[]): string[] =>
  writes.flatMap((write) =>
    'put' in write && String(write.put.sk).startsWith('PURCHASE#') && write.put.state === 'credited'
      ? [String(write.put.id)]
      : [],
  )

/** The id of the default card, if there is one. */
const defaultOf = (items: readonly Item[]): string[] =>
  items.flatMap(({ sk, defaultCardId: id }) => (sk === '#CUSTOMER' && id !== undefined ? [String(id)] : []))

/** Ids of payment methods, and the fingerprints of the numbers that they stand for now. */
const withNumbers = ({ paymentMethods }: StripeState, ids: readonly string[]): string[] =>
  ids.flatMap((id) => [id, paymentMethods[id]?.card?.fingerprint ?? id])

/** A confirmed account right after its registration, with its 100 trial units. */
function newAccount({ parts, hash, lookup }: ReturnType<typeof newDefaultKey>, nowMs: number): Item[] {
  const trial = trialCredit(ACCOUNT_ID, nowMs, defaultCatalogue.trialUnits)
  const profile: Profile = {
    id: ACCOUNT_ID,
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
    ...parts,
    defaultKeyAtMs: nowMs,
    keyCount: 1,
    nextKeySlot: 1,
    flags: { bundleAutoRenewal: true, lowQuotaNotification: true },
    paid: false,
    balanceCents: 0,
    ledgerSeq: trial.seq,
    trialUnits: defaultCatalogue.trialUnits,
  }
  const entry = trial.writes.flatMap((write) => ('put' in write ? [write.put] : []))
  const units = entry.reduce((sum, { units: each }) => sum + Number(each), 0)
  return [
    { ...keys.profile(ACCOUNT_ID), ...profile },
    { ...newQuota(ACCOUNT_ID, hash, nowMs), l: units, s: trial.seq },
    lookup,
    ...entry,
    ...COUPONS.map((coupon) => ({ ...couponKey(coupon.code), ...coupon })),
  ]
}
