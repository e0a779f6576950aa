import { describe, expect, test } from 'vitest'
import { breaksOf, type Flow, failuresOf, flows, type Mode, onFile, play } from './card-flows.ts'
import { confirmMeanwhile, meanwhiles, overtake, playWith, tenAtOnce } from './card-moments.ts'
import type { Cards } from './card-world.ts'
import type { Patch } from './planted.ts'
import { plantedCards } from './planted-cards.ts'

// stripe-node takes a stack with every call, which costs as much as the call.
Error.stackTraceLimit = 1

/** Scenarios of the other files, played with the functions given. @returns how those that failed did. */
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
    if (!found) throw new Error(`nothing is called ${title}`)
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

const planted: (Patch & { title: string; foundBy: Finder })[] = [
  {
    title: 'the webhook answers 200 on a database fault, with the sweep off',
    file: 'webhooks/events.ts',
    find: '  await workOff(deps, event)\n}',
    put: '  await workOff(deps, event).catch(() => {})\n}',
    foundBy: brokenAfter(flows.authenticated, 'webhooks'),
  },
  {
    title: 'an event is marked as done before its work, in a write of its own',
    file: 'webhooks/events.ts',
    find: 'await work(deps, event, [{ put: { ...done, ...expiry }, if: expr`attribute_not_exists(pk)` }])',
    put: 'await deps.table.put({ ...done, ...expiry }, expr`attribute_not_exists(pk)`)\n  await work(deps, event, [])',
    foundBy: brokenAfter(flows.authenticated, 'webhooks'),
  },
  {
    title: 'an event is done though its dollar is not back',
    file: 'webhooks/events.ts',
    find: 'await release(deps, settled.hold, marks)',
    put: 'await release(deps, settled.hold, marks).catch(() => writeUnlessDone(deps, marks))',
    foundBy: brokenAfter(flows.authenticated, 'webhooks'),
  },
  {
    title: 'the webhook gives up a payment that its request is about to confirm',
    file: 'settle.ts',
    find: 'if (!isLeased(deps, hold)) return fence',
    put: 'if (isLeased(deps, hold) || true) return fence',
    foundBy: meanwhile(flows.first, 'every event comes, also those that nobody asked for'),
  },
  {
    title: 'a verification is closed without cancelling its payment',
    file: 'settle.ts',
    find: 'const fenced = await deps.payments.cancelPayment(payment.id)',
    put: "const fenced = { ...payment, status: 'canceled' } as const",
    foundBy: unbroken(flows.declined, 'sweep'),
  },
  {
    title: 'a payment that was confirmed while it was being given up is taken for one that was not',
    file: 'settle.ts',
    find: "if (fenced.status !== 'canceled' || confirmedMeanwhile)",
    put: "if (fenced.status !== 'canceled')",
    foundBy: confirmed('sweep'),
  },
  {
    title: 'a payment that was held and released is taken for one that never was',
    file: 'settle.ts',
    find: 'if (await wasHeld(deps, payment)) return prove',
    put: 'if ((await wasHeld(deps, payment)) && false) return prove',
    foundBy: confirmed('another card'),
  },
  {
    title: '3-D Secure is a decline',
    file: 'settle.ts',
    find: "      await writeUnlessDone(deps, marks)\n      return { status: 'action required'",
    put: "      if (deps) return fence(deps, hold, payment, marks)\n      return { status: 'action required'",
    foundBy: unbroken(flows.authenticated, 'webhooks'),
  },
  {
    title: 'the default card is ours alone',
    file: 'settle.ts',
    find: '  return deps.payments.updateCustomer(customerId, changes).catch',
    put: '  return deps.payments.readCustomer(customerId).then((read) => read && { ...read, defaultPaymentMethodId: cardId, changes }).catch',
    foundBy: unbroken(flows.first, 'webhooks'),
  },
  {
    title: 'a card whose owner is removing it can be proved',
    file: 'settle.ts',
    find: 'stored?.removing ? undefined : await attachedCard',
    put: 'await attachedCard',
    foundBy: meanwhile(flows.againSecond, 'the card is removed, and Stripe does not answer'),
  },
  {
    title: 'the release is not repeated',
    file: 'verify.ts',
    find: "    if (settled.status === 'proved') await release(deps, settled.hold)\n",
    put: '',
    foundBy: broken(flows.first, 'sweep'),
  },
  {
    title: 'two verifications of an account at once',
    file: 'verify.ts',
    find: "['status', 'openHold', 'cardTriesMs', 'cardChangedAtMs']",
    put: "['status']",
    foundBy: (functions) => failuresOf([functions], tenAtOnce),
  },
  {
    title: 'a payment is confirmed though its id could not be saved',
    file: 'verify.ts',
    find: '    const item = error.failed.get(0)\n    return item && parseHold(item)',
    put: "    return { ...hold, state: 'saved', paymentId: payment.id }",
    foundBy: meanwhile(flows.first, 'after a minute another card is verified'),
  },
  {
    title: 'an older reading of a card wins',
    file: 'sync.ts',
    find: 'copy.push({ put: cardItem(owner.accountId, card, stored), if: unchanged(stored) })',
    put: 'copy.push({ put: cardItem(owner.accountId, card, stored) })',
    foundBy: overtaken('card', 1),
  },
  {
    title: 'a card that is detached before we had it leaves no trace',
    file: 'sync.ts',
    find: '(!stored || stored.card)',
    put: 'stored?.card',
    foundBy: meanwhile(flows.first, 'the operator detaches the card, and only that event comes'),
  },
  {
    title: 'an older reading of the customer wins',
    file: 'customer.ts',
    find: 'customerItem(accountId, customer, stored), if: unchangedCustomer(stored) }]\n      :',
    put: 'customerItem(accountId, customer, stored) }]\n      :',
    foundBy: overtaken('customer', 2),
  },
  {
    title: 'a customer that was deleted leaves its cards behind',
    file: 'customer.ts',
    find: 'if (!customer) await forgetCards(deps, accountId, customerId)',
    put: '',
    foundBy: overtaken('customer', 3),
  },
  {
    title: 'a card is detached before another one is the default',
    file: 'remove.ts',
    find: 'if (next !== undefined) await deps.payments.updateCustomer',
    put: 'if (next === cardId) await deps.payments.updateCustomer',
    foundBy: unbroken(flows.removeDefault, 'webhooks'),
  },
]

describe('a planted bug is found', () => {
  test.each(planted)('$title', async ({ foundBy, ...patch }) => {
    const { functions, remove } = await plantedCards(patch)
    const failures = await foundBy(functions).finally(remove)
    expect(failures.length).toBeGreaterThan(0)
  })
})
