import type Stripe from 'stripe'
import { readAccount } from '../../core/account/account.ts'
import { rateLimitOf } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'
import { buyBundle } from '../../core/purchases/buy.ts'
import { checkQuotas } from '../../core/purchases/check-quotas.ts'
import { parsePurchase } from '../../core/purchases/purchase.ts'
import { pacedPayments, patientPayments } from '../../core/purchases/rate-limit.ts'
import { settlePayments } from '../../core/purchases/settle-payments.ts'
import type { Run } from '../../core/table/due.ts'
import { dueAt } from '../../core/table/keys.ts'
import { receiveWebhook } from '../../core/webhooks/events.ts'
import type { CallLimits } from '../local/stripe/limits.ts'
import { signatureOf } from '../local/stripe/webhooks.ts'
import { countedClock } from '../support/counted-clock.ts'
import { livePayments } from '../support/live-mode.ts'
import { memoryTable } from './memory-table.ts'
import { held } from './purchase-flows.ts'
import { stripeHere } from './purchase-stripe.ts'
import { MINUTE_MS, openPurchaseWorld, SECOND_MS } from './purchase-world.ts'

/** The answer of a customer who bought, and how long it took. */
export interface Bought {
  answer: string
  tookMs: number
}

/** The functions of a deployment, as the schedule gives them. */
const CHECK = { timeoutMs: 300 * SECOND_MS, endingMs: 50 * SECOND_MS, width: 100 }
const SETTLE = { timeoutMs: 120 * SECOND_MS, endingMs: 40 * SECOND_MS, width: 50 }
const WEBHOOKS_AT_ONCE = 20

/** How long a call to Stripe takes. */
const STRIPE_MS = 300

const SECRET = 'whsec_crowd'

/** The value with every text replaced that has a new name; bytes stay as they are. */
function renamed<T>(value: T, names: ReadonlyMap<string, string>): T {
  if (typeof value === 'string') {
    let text: string = value
    for (const [from, to] of names) text = text.replaceAll(from, to)
    return text as T
  }
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Set)
    return value
  if (Array.isArray(value)) return value.map((each) => renamed(each, names)) as T
  const entries = Object.entries(value).map(([name, each]) => [renamed(name, names), renamed(each, names)])
  return Object.fromEntries(entries) as T
}

/**
 * Many accounts whose renewal is due at once, and customers who buy meanwhile, with the jobs, the webhooks and
 * a Stripe that enforces limits. Time is counted: it passes only while everybody waits, so what a run takes in
 * the counted time is what calls, waits and limits take, whatever the machine.
 */
export async function openCrowd({ renewals, customers }: { renewals: number; customers: number }) {
  const model = await openPurchaseWorld()
  const cardId = await held(model)
  const customerId = (await model.account()).customer?.id ?? ''
  await model.consumeTo(5)
  const { items, stripe: one } = model.snapshot()
  const clock = countedClock(model.nowMs())
  const hex = (n: number) => n.toString(16).padStart(24, '0')
  const accountId = (n: number) => hex(0xa0000 + n)
  const namesOf = (n: number) =>
    new Map([
      [model.accountId, accountId(n)],
      [customerId, `cus_crowd${n}`],
      [(one.paymentMethods[cardId] as Stripe.PaymentMethod).id, `pm_crowd${n}`],
    ])
  const table = memoryTable()
  /** Ids of events that Stripe still has to deliver. */
  const events: string[] = []
  const stripe = stripeHere(
    clock.nowMs,
    structuredClone(one),
    (id) => events.push(id),
    () => clock.wait(STRIPE_MS),
  )
  // Payments of the model stay the model's: an account of the crowd has its card only.
  for (let n = 0; n < renewals + customers; n++) {
    const names = namesOf(n)
    const mine = items.map((item) => renamed(item, names))
    const due = dueAt('QUOTA', accountId(n), clock.nowMs())
    await table.putAll(
      mine.map((item) => {
        if (item.sk !== '#QUOTA') return item
        const { due: _due, dueAtMs: _dueAtMs, ...counter } = item
        return n < renewals ? { ...counter, ...due } : { ...counter, n: undefined, r: undefined }
      }),
    )
    stripe.state.customers[`cus_crowd${n}`] = renamed(one.customers[customerId], names) as Stripe.Customer
    stripe.state.paymentMethods[`pm_crowd${n}`] = renamed(
      one.paymentMethods[cardId],
      names,
    ) as Stripe.PaymentMethod
    const memory = one.cards[cardId]
    if (memory) stripe.state.cards[`pm_crowd${n}`] = { ...memory }
  }
  let made = 0
  const ids = {
    accountId: () => hex(++made),
    uuid: () => `00000000-0000-4000-8000-${hex(++made).slice(12)}`,
    hex: (bytes: number) =>
      hex(++made)
        .slice(-2 * bytes)
        .padStart(2 * bytes, '0'),
  }
  const refused = { people: 0, jobs: 0 }
  const countRefusals = (who: keyof typeof refused) =>
    new Proxy(livePayments(stripe.payments), {
      get(target, name) {
        const call = Reflect.get(target, name)
        return (...args: unknown[]) =>
          Promise.resolve(Reflect.apply(call, target, args)).catch((error: unknown) => {
            if (rateLimitOf(error)) refused[who]++
            throw error
          })
      },
    })
  const ports = {
    ...model.ports,
    clock,
    ids,
    table,
    webhookSecrets: [SECRET],
    payments: countRefusals('jobs'),
  } as Ports
  const front = { ...ports, payments: patientPayments(countRefusals('people'), clock) } as Ports
  let isOver = false

  /** Runs a job each minute; a run that is late delays the next, as reserved concurrency does. */
  async function everyMinute(
    job: typeof CHECK,
    limits: { livemode: boolean },
    work: (deps: Ports, run: Run) => Promise<unknown>,
  ): Promise<void> {
    while (!isOver) {
      const startMs = clock.nowMs()
      const untilMs = startMs + job.timeoutMs - job.endingMs
      const { payments, ready } = pacedPayments(
        { ...ports, paymentScope: { ...model.ports.paymentScope, ...limits } },
        untilMs,
      )
      await work({ ...ports, payments }, { untilMs, width: job.width, ready })
      const nextMs = startMs + MINUTE_MS * Math.max(1, Math.ceil((clock.nowMs() - startMs) / MINUTE_MS))
      while (!isOver && clock.nowMs() < nextMs) await clock.wait(SECOND_MS)
    }
  }

  /** Delivers events of payments as Stripe does, several at once. */
  async function deliverWebhooks(): Promise<void> {
    const worker = async () => {
      while (!isOver) {
        const event = stripe.state.events[events.shift() ?? '']
        if (!event) await clock.wait(200)
        if (event?.type !== 'payment_intent.succeeded') continue
        const body = JSON.stringify(event)
        const signature = signatureOf(body, SECRET, clock.nowMs())
        try {
          await receiveWebhook(front, { body: Buffer.from(body), signature })
        } catch {
          // Time passes before Stripe sends it again.
          await clock.wait(SECOND_MS)
          events.push(event.id)
        }
      }
    }
    await Promise.all(Array.from({ length: WEBHOOKS_AT_ONCE }, worker))
  }

  const bought: Bought[] = []
  async function buyOne(n: number): Promise<void> {
    const startMs = clock.nowMs()
    const caller = await readAccount(front, accountId(renewals + n))
    if (!caller) throw new Error('no such customer')
    const answer = await buyBundle(front, caller, { kind: 'buy' }, `key-${n}`).then(
      ({ status }) => status,
      (error: unknown) => String((error as { code?: string }).code),
    )
    bought.push({ answer, tookMs: clock.nowMs() - startMs })
  }

  const purchasesOf = (first: number, count: number) => {
    const mine = new Set(Array.from({ length: count }, (_, n) => accountId(first + n)))
    return table
      .items()
      .filter(({ sk, accountId: owner }) => String(sk).startsWith('PURCHASE#') && mine.has(String(owner)))
      .map(parsePurchase)
      .filter(({ createdAtMs }) => createdAtMs >= startedMs)
  }
  const startedMs = clock.nowMs()
  /** Renewals of the crowd by state. */
  const renewalStates = () => {
    const states: Record<string, number> = {}
    for (const { state } of purchasesOf(0, renewals)) states[state] = (states[state] ?? 0) + 1
    return states
  }

  return {
    stripe,
    refused,
    bought,
    renewalStates,
    customerPurchases: () => purchasesOf(renewals, customers),
    chargesOfCrowd: () =>
      Object.values(stripe.state.charges).filter(({ customer }) => String(customer).startsWith('cus_crowd')),
    /**
     * Runs jobs and webhooks while customers buy, one each `buyEveryMs`, until `isDone` or the time is over.
     * @returns the seconds that it took.
     */
    async run(options: {
      limits: CallLimits | undefined
      livemode: boolean
      isDone: () => boolean
      mostMs: number
      buyEveryMs?: number
    }): Promise<number> {
      const { limits, livemode, isDone, mostMs, buyEveryMs } = options
      stripe.limit(limits)
      isOver = false
      const startMs = clock.nowMs()
      const waitForEnd = async () => {
        while (!isDone() && clock.nowMs() < startMs + mostMs) await clock.wait(SECOND_MS)
      }
      const buyMeanwhile = async () => {
        const buying: Promise<void>[] = []
        for (let n = 0; buyEveryMs !== undefined && n < customers && !isOver; n++) {
          buying.push(buyOne(n))
          await clock.wait(buyEveryMs)
        }
        await Promise.all(buying)
      }
      const work = [
        everyMinute(CHECK, { livemode }, checkQuotas),
        everyMinute(SETTLE, { livemode }, settlePayments),
        deliverWebhooks(),
        buyMeanwhile(),
      ]
      let tookMs = 0
      const end = waitForEnd().then(() => {
        tookMs = clock.nowMs() - startMs
        isOver = true
      })
      await clock.run(Promise.all([end, ...work]))
      return tookMs / 1000
    },
  }
}
