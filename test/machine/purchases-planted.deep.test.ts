// biome-ignore-all lint/suspicious/noTemplateCurlyInString: patches of sources that have them

import { describe, expect, test, vi } from 'vitest'
import type { Bug } from './planted.ts'
import { plantedPurchases } from './planted-purchases.ts'
import type { PurchaseBreak } from './purchase-faults.ts'
import { breaksOf, type Flow, failuresOf, flows, type Mode, play } from './purchase-flows.ts'
import { meetTwo } from './purchase-pairs.ts'
import {
  backoff,
  cap,
  changedPayment,
  crossings,
  fiftyAtOnce,
  givenUp,
  indebted,
  neverRetry,
  outage,
  refunded,
  restoredMeanwhile,
  type Scenario,
  switchedOff,
} from './purchase-scenarios.ts'
import { HOUR_MS, type Purchases } from './purchase-world.ts'

vi.setConfig({ testTimeout: 300_000 })

// stripe-node takes a stack with every call, which costs as much as the call.
Error.stackTraceLimit = 1

/** Scenarios of the other files, played with the functions given. @returns how those that failed did. */
type Finder = (functions: Purchases) => Promise<string[]>

const unbroken =
  (flow: Flow, mode: Mode): Finder =>
  (functions) =>
    failuresOf([mode], () => play(flow, mode, { functions }))

const broken =
  (flow: Flow, mode: Mode, kind: PurchaseBreak['kind'] = 'crash-after', afterMs = 0): Finder =>
  async (functions) => {
    const { calls } = await play(flow, mode)
    return failuresOf(breaksOf(calls, [kind]), (trouble) =>
      play(flow, mode, { ...trouble, afterMs, functions }),
    )
  }

/** Its process is gone after its confirmation, and then what comes after it is broken too. */
const brokenAfter =
  (flow: Flow, mode: Mode): Finder =>
  async (functions) => {
    const { calls } = await play(flow, mode)
    const breaks: PurchaseBreak[] = [
      { at: calls.indexOf('payments.confirmPayment') + 1, kind: 'crash-after' },
    ]
    const { callsAfter } = await play(flow, mode, { breaks })
    const troubles = breaksOf(callsAfter, ['error-before'])
    return failuresOf(troubles, ({ breaks: after, name }) =>
      play(flow, mode, { breaks, after, name, functions }),
    )
  }

const met =
  (scene: string, first: string, second: string): Finder =>
  (functions) =>
    meetTwo(scene, [first, second], functions)

const told =
  (scenario: Scenario): Finder =>
  (functions) =>
    failuresOf([scenario], (each) => each(functions))

const BUNDLE = 'there is a bundle'
const LOW = 'a renewal is due'
const leftAfter = (call: number) => `a buy was left after its call ${call}`

const planted: (Bug & { title: string; foundBy: Finder })[] = [
  // --- Charging ---
  {
    title: 'a confirmation that timed out is a decline',
    file: 'purchases/advance.ts',
    find: '? pending(deps, purchase, payment.cause)',
    put: "? end(deps, purchase, { reason: 'declined', retry: 'retryable' })",
    foundBy: broken(flows.buy, 'jobs', 'error-after'),
  },
  {
    title: 'an outage is a decline of a renewal',
    file: 'purchases/advance.ts',
    find: 'return pending(deps, purchase, error)',
    put: "return { status: 'declined' }",
    foundBy: broken(flows.buy, 'jobs', 'error-after'),
  },
  {
    title: 'a payment is confirmed before its id is saved',
    file: 'purchases/advance.ts',
    find: 'const saved = await save(deps, purchase, payment)',
    put: 'await deps.payments.confirmPayment(payment.id, purposeOf(purchase.kind))\n  const saved = await save(deps, purchase, payment)',
    foundBy: broken(flows.buy, 'client', 'crash-after', 25 * HOUR_MS),
  },
  {
    title: 'a payment that is given up was confirmed meanwhile, and nobody looks',
    file: 'purchases/advance.ts',
    find: "if (fenced.status !== 'canceled') return settlePurchase(deps, purchase, fenced)",
    put: '',
    more: [
      {
        file: 'purchases/settle.ts',
        find: "purchase.paymentId === undefined ? expr`#state = ${'created'}` : stillOpen",
        put: 'stillOpen',
      },
    ],
    foundBy: met(leftAfter(3), 'settle-payments', 'the same, gone once it was confirmed'),
  },
  {
    title: 'a purchase is given up though its payment has become known',
    file: 'purchases/settle.ts',
    find: "purchase.paymentId === undefined ? expr`#state = ${'created'}` : stillOpen",
    put: 'stillOpen',
    foundBy: met(leftAfter(2), 'settle-payments', 'the same, gone once it was confirmed'),
  },
  {
    title: 'two purchases of an account at once',
    file: 'purchases/begin.ts',
    find: ' AND attribute_not_exists(#openPurchase)`,',
    put: '`,',
    foundBy: told(fiftyAtOnce((n) => `key-${n}`)),
  },
  {
    title: 'the slot is given to who read the account before the last purchase',
    file: 'purchases/begin.ts',
    find: "['bundle', 'lastPurchase']",
    put: "['bundle']",
    foundBy: met(BUNDLE, 'buy', 'buy'),
  },
  {
    title: 'a second click is a purchase of its own',
    file: 'purchases/buy.ts',
    find: 'Math.abs(deps.clock.nowMs() - last.atMs) < SAME_CLICK_MS',
    put: 'Math.abs(deps.clock.nowMs() - last.atMs) < 0',
    foundBy: broken(flows.buy, 'click'),
  },
  {
    title: 'an Idempotency-Key is not stored with its purchase',
    file: 'purchases/begin.ts',
    find: '...(key ? [remember(deps, purchase, key)] : []),',
    put: '',
    foundBy: broken(flows.buy, 'client'),
  },
  {
    title: 'two requests with one key both store it',
    file: 'purchases/begin.ts',
    find: "if: replaces === undefined ? free : join([free, expr`#purchaseId = ${replaces}`], ' OR '),",
    put: '',
    more: [{ file: 'purchases/begin.ts', find: "['bundle', 'lastPurchase']", put: "['bundle']" }],
    foundBy: met(BUNDLE, 'buy with a key', 'buy with a key'),
  },
  {
    title: 'a request that was given up cannot be sent again with its key',
    file: 'purchases/buy.ts',
    find: "const again = !earlier || earlier.state === 'abandoned'",
    put: 'const again = !earlier',
    foundBy: told(givenUp),
  },
  {
    title: 'a purchase that is open does not stop a request with another key',
    file: 'purchases/buy.ts',
    find: "if (open.state !== 'action_required' && isLeased(deps, open)) throw new DomainError('purchase_open')\n",
    put: 'if (open) await end(deps, open, undefined)\n',
    more: [
      {
        file: 'purchases/buy.ts',
        find: "import type { Outcome } from './settle.ts'",
        put: "import { end, type Outcome } from './settle.ts'",
      },
    ],
    foundBy: told(fiftyAtOnce((n) => `key-${n}`)),
  },
  // --- Settling ---
  {
    title: 'a decline leaves its payment open',
    file: 'purchases/settle.ts',
    find: ': fence(deps, purchase, payment, marks)\n    case',
    put: ': end(deps, purchase, payment.decline, marks)\n    case',
    foundBy: unbroken(flows.buyDeclined, 'jobs'),
  },
  {
    title: 'a payment that could not be cancelled any more is given up',
    file: 'purchases/settle.ts',
    find: 'return settlePurchase(deps, purchase, fenced, marks)',
    put: 'return end(deps, purchase, undefined, marks)',
    foundBy: met(
      'a customer is asked to authenticate',
      'the jobs a day later',
      '3-D Secure succeeds, and no event comes',
    ),
  },
  {
    title: 'an event gives up a payment that its request is about to confirm',
    file: 'purchases/settle.ts',
    find: 'if (!isLeased(deps, purchase)) return fence',
    put: 'if (deps) return fence',
    foundBy: met(BUNDLE, 'buy', 'every event, asked for or not'),
  },
  {
    title: '3-D Secure is a decline',
    file: 'purchases/settle.ts',
    find: 'return ask(deps, purchase, payment, payment.clientSecret, marks)',
    put: 'return fence(deps, purchase, payment, marks)',
    foundBy: unbroken(flows.signUp3ds, 'webhooks'),
  },
  {
    title: 'the amount is not compared',
    file: 'purchases/purchase.ts',
    find: "payment.amountCents === purchase.amountCents &&\n  (payment.status !== 'succeeded' || payment.receivedCents === purchase.amountCents) &&",
    put: '',
    foundBy: told(changedPayment({ amount: 50 })),
  },
  {
    title: 'the currency is not compared',
    file: 'purchases/purchase.ts',
    find: "payment.currency === 'usd' &&",
    put: '',
    foundBy: told(changedPayment({ currency: 'eur' })),
  },
  {
    title: 'a purchase that is at its end can be credited',
    file: 'purchases/credit.ts',
    find: '...due }, if: stillOpen },',
    put: '...due } },',
    foundBy: met(BUNDLE, 'buy', 'events'),
  },
  {
    title: 'ledger numbers are not guarded',
    file: 'purchases/credit.ts',
    find: 'if: expr`#ledgerSeq = ${profile.ledgerSeq}`,',
    put: 'if: expr`attribute_exists(pk)`,',
    more: [{ file: 'purchases/ledger.ts', find: 'if: expr`attribute_not_exists(pk)`,', put: '' }],
    foundBy: met(BUNDLE, 'buy', 'refund'),
  },
  {
    title: 'the job forgets what is credited and not finished',
    file: 'purchases/settle-payments.ts',
    find: '    await finish(deps, outcome.purchase)\n',
    put: '',
    foundBy: broken(flows.buy, 'jobs'),
  },
  {
    title: 'a credited purchase is not due until its units are there',
    file: 'purchases/credit.ts',
    find: '...credited, ...due }, if',
    put: '...credited }, if',
    foundBy: broken(flows.buy, 'jobs'),
  },
  {
    title: 'the card of a sign-up is not kept',
    file: 'purchases/credit.ts',
    find: "if (kind === 'signup' && !finished",
    put: "if (kind === 'buy' && !finished",
    foundBy: unbroken(flows.signUp, 'both'),
  },
  {
    title: 'units are applied twice',
    file: 'quota/apply-ledger.ts',
    find: 'if: expr`#s = ${quota.seq} AND #f = ${quota.floor} AND',
    put: 'if: expr`#f = ${quota.floor} AND',
    foundBy: met(leftAfter(8), 'settle-payments', 'events'),
  },
  {
    title: 'a consume between is lost',
    file: 'quota/apply-ledger.ts',
    find: 'expr`#l = #l + ${delta}, #f',
    put: 'expr`#l = ${balance - floor}, #f',
    foundBy: met(BUNDLE, 'buy', 'consume'),
  },
  // --- Webhooks ---
  {
    title: 'a database fault is answered 200',
    file: 'webhooks/events.ts',
    find: '  await workOff(deps, event)\n}',
    put: '  await workOff(deps, event).catch(() => {})\n}',
    foundBy: brokenAfter(flows.buy, 'webhooks'),
  },
  {
    title: 'an event is done before its work',
    file: 'webhooks/events.ts',
    find: 'await work(deps, event, [{ put: { ...done, ...expiry }, if: expr`attribute_not_exists(pk)` }])',
    put: 'await deps.table.put({ ...done, ...expiry }, expr`attribute_not_exists(pk)`)\n  await work(deps, event, [])',
    foundBy: brokenAfter(flows.buy, 'webhooks'),
  },
  {
    title: 'an event is done when the units are not there yet',
    file: 'webhooks/events.ts',
    find: 'await finish(deps, settled.purchase, marks)',
    put: 'await finish(deps, settled.purchase, marks).catch(() => writeUnlessDone(deps, marks))',
    foundBy: brokenAfter(flows.buy, 'webhooks'),
  },
  // --- Refunds and disputes ---
  {
    title: 'a refund is booked again with the next one',
    file: 'purchases/reversal.ts',
    find: 'const refunded = purchase.refundedCents - target.refundedCents',
    put: 'const refunded = 0 - target.refundedCents',
    foundBy: met(BUNDLE, 'partial refund', 'refund'),
  },
  {
    title: 'an older reading of the charge wins',
    file: 'purchases/reversal.ts',
    find: '  for (let tries = 0; tries < TRIES; tries++) {\n',
    put: '  const reading = await deps.payments.readCharge(chargeId)\n  for (let tries = 0; tries < TRIES; tries++) {\n',
    more: [
      {
        file: 'purchases/reversal.ts',
        find: 'const charge = await deps.payments.readCharge(chargeId)\n    if',
        put: 'const charge = reading\n    if',
      },
    ],
    foundBy: met(BUNDLE, 'partial refund', 'refund'),
  },
  {
    title: 'units are taken back without a look at what is left',
    file: 'purchases/reversal.ts',
    find: '    ...taken(deps, accountId, quota, { units, seq }),\n',
    put: '',
    foundBy: met(BUNDLE, 'refund', 'consume all'),
  },
  {
    title: 'owed units are not taken from the next credit',
    file: 'purchases/credit.ts',
    find: '      ...paid.entries,\n',
    put: '',
    foundBy: unbroken(flows.buyOwing, 'both'),
  },
  {
    title: 'a dispute that is won gives nothing back',
    file: 'purchases/reversal.ts',
    find: "status === 'open' || status === 'lost'",
    put: "status === 'open' || status === 'lost' || status === 'won'",
    foundBy: unbroken(flows.disputeWon, 'webhooks'),
  },
  // --- Renewals and notices ---
  {
    title: 'a renewal does not look at its cycle',
    file: 'purchases/begin.ts',
    find: 'expr`#ledgerSeq = ${cycle} AND #flags',
    put: 'expr`#flags',
    foundBy: told(restoredMeanwhile),
  },
  {
    title: 'a renewal does not look at the flag again',
    file: 'purchases/begin.ts',
    find: 'expr`#ledgerSeq = ${cycle} AND #flags.#bundleAutoRenewal = ${true}`',
    put: 'expr`#ledgerSeq = ${cycle}`',
    foundBy: told(switchedOff),
  },
  {
    title: 'a renewal is tried with the counter behind its ledger',
    file: 'purchases/check-quotas.ts',
    find: 'if (account?.quota?.seq !== account?.ledgerSeq) {',
    put: 'if (account === undefined) {',
    more: [
      {
        file: 'purchases/begin.ts',
        find: 'expr`#ledgerSeq = ${cycle} AND #flags',
        put: 'expr`#flags',
      },
    ],
    foundBy: met(LOW, 'buy', 'check-quotas'),
  },
  {
    title: 'a low-quota notice is given twice',
    file: 'purchases/check-quotas.ts',
    find: ', ...keys.notice(accountId, id), id }',
    put: ', noticeId: id }',
    foundBy: broken(flows.renewal, 'jobs'),
  },
  {
    title: 'a low-quota mail is sent twice',
    file: 'purchases/check-quotas.ts',
    find: '{ put: notice, if: expr`attribute_not_exists(pk)` }',
    put: '{ put: notice }',
    foundBy: told(crossings),
  },
  {
    title: 'a credit drops the notice that waits',
    file: 'quota/apply-ledger.ts',
    find: '[quota.noticeSinceMs === undefined ? expr`#r, #due, #dueAtMs` : expr`#r`]',
    put: '[expr`#r, #due, #dueAtMs`]',
    foundBy: met(LOW, 'buy', 'consume'),
  },
  {
    title: 'a call for a renewal that comes while the job looks is cleared',
    file: 'purchases/check-quotas.ts',
    find: 'renewalCall === 0 ? expr`attribute_not_exists(#r)` : expr`#r = ${renewalCall}`,',
    put: 'expr`attribute_exists(pk)`,',
    more: [{ file: 'purchases/check-quotas.ts', find: ', renewalCall } = quota', put: ' } = quota' }],
    foundBy: met('a renewal is due and switched off', 'check-quotas', 'switched on'),
  },
  {
    title: 'each decline is told of',
    file: 'purchases/renewal.ts',
    find: 'if (wasTold) return { set, writes: [] }',
    put: '',
    foundBy: told(backoff),
  },
  {
    title: 'a declined renewal does not wait',
    file: 'purchases/renewal.ts',
    find: "if (untilMs > nowMs) return { act: 'wait', untilMs }",
    put: '',
    foundBy: told(backoff),
  },
  {
    title: 'a card that will never work is tried again',
    file: 'purchases/renewal.ts',
    find: "decline.retry === 'never' ? undefined : BACKOFF_MS",
    put: 'BACKOFF_MS',
    foundBy: told(neverRetry),
  },
  {
    title: 'a refund makes the bundle renew itself',
    file: 'purchases/renewal.ts',
    find: 'set: reversedMore && isLow && !isPaused ? [expr`#renewal = ${paused}`] : [],',
    put: 'set: [],',
    more: [
      {
        file: 'purchases/renewal.ts',
        find: 'if (account.owed !== undefined)\n',
        put: 'if (account === undefined)\n',
      },
    ],
    foundBy: told(refunded),
  },
  {
    title: 'a debt is paid off bundle by bundle',
    file: 'purchases/renewal.ts',
    find: 'if (account.owed !== undefined)\n',
    put: 'if (account === undefined)\n',
    foundBy: told(indebted),
  },
  {
    title: 'the monthly cap is not looked at',
    file: 'purchases/renewal.ts',
    find: 'if (cents > (account.monthlyCapCents ?? Number.POSITIVE_INFINITY))',
    put: 'if (cents < 0)',
    foundBy: told(cap),
  },
  {
    title: 'a renewal that is not known yet is told as declined',
    file: 'purchases/advance.ts',
    find: '? pending(deps, purchase, payment.cause)',
    put: "? end(deps, purchase, { reason: 'processing_error', retry: 'retryable' })",
    foundBy: told(outage('POST /v1/payment_intents/*/confirm')),
  },
  {
    title: 'a customer is asked twice to finish a renewal',
    file: 'purchases/settle.ts',
    find: "if: expr`#state IN (${'created'}, ${'saved'})`,",
    put: 'if: stillOpen,',
    foundBy: met('a renewal is due by a card that asks for 3-D Secure', 'check-quotas', 'events'),
  },
]

describe('a planted bug is found', () => {
  test.each(planted)('$title', async ({ foundBy, ...bug }) => {
    const { functions, remove } = await plantedPurchases(bug)
    const failures = await foundBy(functions).finally(remove)
    expect(failures.length).toBeGreaterThan(0)
  })
})
