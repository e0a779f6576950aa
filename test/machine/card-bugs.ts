// biome-ignore-all lint/suspicious/noTemplateCurlyInString: patches of sources that have them

import { syncCustomer } from '../../core/cards/customer.ts'
import { settleHold } from '../../core/cards/settle.ts'
import { uncountCardAttempt } from '../../core/cards/velocity.ts'
import { proveCard } from '../../core/cards/verify.ts'
import { writeAll, writeUnlessDone } from '../../core/table/write-all.ts'
import { breaksOf, type Flow, failuresOf, flows, type Mode, onFile, play } from './card-flows.ts'
import { confirmMeanwhile, meanwhiles, overtake, playWith, tenAtOnce } from './card-moments.ts'
import {
  detachedDefault,
  sentAgain,
  sentTwice,
  stolenTwice,
  typedTwice,
  unknownCards,
} from './card-scenarios.ts'
import type { Cards } from './card-world.ts'
import type { Bug } from './patch.ts'

/** Plays scenarios of the other files with the given functions. @returns the messages of the failures. */
type Finder = (functions: Cards) => Promise<string[]>

const unbroken =
  (flow: Flow, mode: Mode): Finder =>
  (functions) =>
    failuresOf([mode], () => play(flow, mode, { functions }))

const broken =
  (flow: Flow, mode: Mode): Finder =>
  async (functions) => {
    const { calls } = await play(flow, mode)
    return failuresOf(breaksOf(calls, mode), (trouble) => play(flow, mode, { ...trouble, functions }))
  }

const brokenAfter =
  (flow: Flow, mode: 'webhooks' | 'sweep'): Finder =>
  async (functions) => {
    const { callsAfter } = await play(flow, mode, { after: { at: 1000, kind: 'error-before' } })
    const troubles = breaksOf(callsAfter, mode).map(({ point, name }) => ({ after: point, name }))
    return failuresOf(troubles, (trouble) => play(flow, mode, { ...trouble, functions }))
  }

const meanwhile =
  (flow: Flow, title: string): Finder =>
  async (functions) => {
    const found = meanwhiles.find((each) => each.title === title)
    if (!found) throw new Error(`No interruption has the title ${title}. Use one from card-moments.ts.`)
    const calls = await playWith(flow, found, 0)
    const moments = Array.from({ length: calls }, (_, n) => n + 1)
    return failuresOf(moments, (at) => playWith(flow, found, at, functions))
  }

const overtaken =
  (about: 'card' | 'customer', change: number): Finder =>
  async (functions) => {
    const calls = await overtake(onFile, about, change, 0)
    const moments = Array.from({ length: calls }, (_, n) => n + 1)
    return failuresOf(moments, (at) => overtake(onFile, about, change, at, functions))
  }

const confirmed =
  (by: 'sweep' | 'another card'): Finder =>
  async (functions) => {
    const calls = await confirmMeanwhile(by, 0)
    const moments = Array.from({ length: calls }, (_, n) => n + 1)
    return failuresOf(moments, (at) => confirmMeanwhile(by, at, functions))
  }

export const cardBugs: readonly (Bug & { title: string; foundBy: Finder })[] = [
  {
    title: 'the webhook answers 200 on a database fault, with the sweep off',
    find: [
      "if (!event || !isOurs(deps, event)) throw new DomainError('webhook_refused')",
      'await workOff(deps, event)',
    ],
    put: [
      "if (!event || !isOurs(deps, event)) throw new DomainError('webhook_refused')",
      'await workOff(deps, event).catch(() => {})',
    ],
    foundBy: brokenAfter(flows.authenticated, 'webhooks'),
  },
  {
    title: 'an event is marked as done before its work, in a write of its own',
    find: 'await work(deps, event, eventDoneWrites(deps, event))',
    put: ['await writeAll(deps, eventDoneWrites(deps, event))', 'await work(deps, event, [])'],
    using: { writeAll },
    foundBy: brokenAfter(flows.authenticated, 'webhooks'),
  },
  {
    title: 'an event is marked as done though its hold is not released',
    find: "if (settled.status === 'proved') await release(deps, settled.hold, marks)",
    put: "if (settled.status === 'proved') await release(deps, settled.hold, marks).catch(() => writeUnlessDone(deps, marks))",
    using: { writeUnlessDone },
    foundBy: brokenAfter(flows.authenticated, 'webhooks'),
  },
  {
    title: 'the webhook abandons a payment that its request is about to confirm',
    near: settleHold,
    find: [
      '{ payment, matches: isPayment(payment, hold, deps.paymentScope),',
      'leased: isLeased(deps, hold),',
    ],
    put: ['{ payment, matches: isPayment(payment, hold, deps.paymentScope),', 'leased: !deps,'],
    // Of the types that we subscribe to, none comes while a payment waits to be confirmed.
    more: [
      {
        find: 'if (!work || event.objectId === undefined || !subscribed.has(event.type)) return false',
        put: 'if (!work || event.objectId === undefined) return false',
      },
    ],
    foundBy: meanwhile(flows.first, 'every event is delivered, including types without a subscription'),
  },
  {
    title: 'a verification is closed without cancelling its payment',
    find: [
      'const fenced = await deps.payments.cancelPayment(payment.id)',
      'const confirmedMeanwhile = fenced.latestChargeId !== payment.latestChargeId',
      "if (fenced.status !== 'canceled'",
    ],
    put: [
      "const fenced = { ...payment, status: 'canceled' } as const",
      'const confirmedMeanwhile = fenced.latestChargeId !== payment.latestChargeId',
      "if (fenced.status !== 'canceled'",
    ],
    foundBy: unbroken(flows.declined, 'sweep'),
  },
  {
    title: 'a payment that was confirmed during its cancellation is treated as unconfirmed',
    find: "if (fenced.status !== 'canceled' || confirmedMeanwhile)",
    put: "if (fenced.status !== 'canceled')",
    foundBy: confirmed('sweep'),
  },
  {
    title: 'a payment that was held and released is treated as never held',
    find: "held: payment.status === 'canceled' && (await wasHeld(deps, payment))",
    put: "held: payment.status === 'canceled' && (await wasHeld(deps, payment)) && false",
    foundBy: confirmed('another card'),
  },
  {
    title: 'a payment that waits for 3-D Secure is treated as declined',
    find: ["case 'ask':", "case 'wait':"],
    put: ["case 'ask':", 'if (deps) return fence(deps, hold, payment, marks)', "case 'wait':"],
    near: settleHold,
    namesFrom: [["case 'cancel':", 'return fence(deps, hold, payment, marks)']],
    foundBy: unbroken(flows.authenticated, 'webhooks'),
  },
  {
    title: 'the default card is set in our copy but not at Stripe',
    find: [
      'const changes = { defaultPaymentMethodId: cardId, ...(address && { address: billingAddress(address) }) }',
      'return deps.payments.updateCustomer(customerId, changes)',
    ],
    put: 'return deps.payments.readCustomer(customerId).then(($read) => $read && { ...$read, defaultPaymentMethodId: cardId })',
    namesFrom: [
      [
        'const found = await deps.payments.readCustomer(customerId)',
        'if (!found) throw absentObject()',
        "const customer = found === 'deleted'",
      ],
    ],
    foundBy: unbroken(flows.first, 'sweep'),
  },
  {
    title: 'a card can be proved while its owner removes it',
    find: 'stored?.removing ? undefined : await attachedCard(',
    put: 'await attachedCard(',
    foundBy: meanwhile(flows.againSecond, 'the card is removed, and Stripe does not answer'),
  },
  {
    title: 'a failed release is not retried',
    find: [
      "if (settled.status === 'proved') await release(deps, settled.hold)",
      "return settled.status !== 'pending'",
    ],
    put: "return settled.status !== 'pending'",
    foundBy: broken(flows.first, 'sweep'),
  },
  {
    title: 'an account can have two open verifications',
    find: "['status', 'emailVerified', 'openHold', 'cardTriesMs', 'cardChangedAtMs']",
    put: "['status']",
    foundBy: (functions) => failuresOf([functions], tenAtOnce),
  },
  {
    title: 'a payment is confirmed though its id could not be saved',
    find: ['const item = error.failed.get(0)', 'return item && parseHold(item)'],
    put: 'return { ...hold, ...saved }',
    namesFrom: ['return { ...hold, ...saved }'],
    foundBy: meanwhile(flows.first, 'after a minute another card is verified'),
  },
  {
    title: 'a card that another account has misused is proved',
    near: proveCard,
    find: 'numberRefusal(record, deps.clock.nowMs()) ?? (await blockRefusal(deps, cardFingerprint, accountId))',
    put: 'numberRefusal(record, deps.clock.nowMs())',
    foundBy: unbroken(flows.misused, 'webhooks'),
  },
  {
    title: 'an older reading of a card overwrites a newer one',
    find: 'if (stored?.card) return [{ put: item, if: unchanged(stored) }, ...writes]',
    put: 'if (stored?.card) return [{ put: item }, ...writes]',
    foundBy: overtaken('card', 1),
  },
  {
    title: 'the detachment of a card that is not stored yet is not recorded',
    find: 'if (stored && !stored.card) return []',
    put: 'if (!stored?.card) return []',
    more: [
      // The event of the attachment would repair it.
      { find: 'event.previousCustomerId ?? event.customerId ??', put: 'event.previousCustomerId ??' },
    ],
    foundBy: meanwhile(flows.second, 'the operator detaches the card, and only that event is delivered'),
  },
  {
    title: 'an older reading of the customer overwrites a newer one',
    near: syncCustomer,
    find: '[{ put: customerItem(accountId, customer, stored), if: unchangedCustomer(stored) }]',
    put: '[{ put: customerItem(accountId, customer, stored) }]',
    foundBy: overtaken('customer', 2),
  },
  {
    title: 'the cards of a deleted customer stay stored',
    find: 'if (!customer) await forgetCards(deps, accountId, customerId)',
    put: '',
    foundBy: overtaken('customer', 3),
  },
  {
    title: 'an older entry of a proved card stays on file',
    near: settleHold,
    find: 'const twins = card ? twinsOf(cards.filter(isLiveCard), card) : []',
    put: 'const twins = card ? [] : []',
    foundBy: (functions) => failuresOf([functions], typedTwice),
  },
  {
    title: 'a repeated request with its Idempotency-Key begins a second verification',
    near: proveCard,
    find: '...(key ? [storeRequestKey(deps, account.id, key, hold.id)] : [])',
    put: '...[]',
    foundBy: (functions) => failuresOf([functions], sentTwice),
  },
  {
    title: 'the answer of a verification with an Idempotency-Key is not kept',
    find: 'if (!answer) return { remove: key }',
    put: 'if (key) return { remove: key }',
    foundBy: (functions) => failuresOf([functions], sentTwice),
  },
  {
    title: 'a repeated request without a key begins a second verification',
    find: "if (await wasProved(deps, account, input)) return { status: 'proved', ...REPLAY }",
    put: '',
    foundBy: (functions) => failuresOf([functions], sentAgain),
  },
  {
    title: 'a number that was declined for good can be proved under another payment method',
    near: proveCard,
    find: ['const refused = await refuse(deps, known, paymentId)', 'if (refused) return refused'],
    put: '',
    foundBy: (functions) => failuresOf([functions], stolenTwice),
  },
  {
    title: 'a payment method that Stripe does not know counts as a try',
    near: uncountCardAttempt,
    find: 'if (!profile || !before || at < 0) return',
    put: 'if (!profile || !before || at > -2) return',
    foundBy: (functions) => failuresOf([functions], unknownCards),
  },
  {
    title: 'no card takes the place of a default card that is detached at Stripe',
    find: 'return await deps.payments.updateCustomer(id, { defaultPaymentMethodId: cardId })',
    put: 'if (cardId) return customer',
    near: syncCustomer,
    namesFrom: ['if (defaultPaymentMethodId !== undefined && isUnchanged) return customer'],
    foundBy: (functions) => failuresOf([functions], detachedDefault),
  },
]
