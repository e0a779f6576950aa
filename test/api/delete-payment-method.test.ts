import { afterEach, describe, expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { api } from '../../functions/api/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import {
  atStripe,
  cardOnFile,
  customerId,
  defaultCard,
  expectSameAsStripe,
  listed,
  newCard,
  remove,
  stripeOf,
  verify,
} from '../support/stripe.ts'

const app = await startApp()
const { double, dashboard } = stripeOf(app)
afterEach(() => double.clearFaults())

const MINUTE_MS = 60_000
const DETACH = 'POST /v1/payment_methods/*/detach'

function removed(answer: TestAnswer): void {
  expect([answer.status, answer.text]).toEqual([204, ''])
  expectContract(api.deletePaymentMethod, answer)
}

const refused = (answer: TestAnswer, code: 'not_found' | 'card_in_use') =>
  expectError(api.deletePaymentMethod, answer, code)

/** Signs up a person with `count` cards on file, added a second apart. The first is the default card. */
async function withCards(count: number): Promise<{ person: SignedInPerson; cards: string[] }> {
  const person = await app.signUp()
  const cards = []
  for (const alias of ['pm_card_visa', 'pm_card_mastercard', 'pm_card_amex'].slice(0, count)) {
    cards.push(await cardOnFile(app, person, alias))
    app.advance(1000)
  }
  return { person, cards }
}

/** Gives the account a bundle, as a purchase does. */
async function giveBundle({ accountId }: SignedInPerson): Promise<void> {
  const { table } = await app.ports()
  await table.update(keys.profile(accountId), expr`SET #bundle = ${'DEVELOPER'}`)
}

async function renewing(person: SignedInPerson, on: boolean): Promise<void> {
  const { accessToken: token } = person
  const json = { bundleAutoRenewal: on, lowQuotaNotification: true }
  expect((await app.request('PUT', '/v1/user/flags', { token, json })).status).toBe(204)
}

describe('204', () => {
  test('the card is removed, both here and at Stripe', async () => {
    const { person, cards } = await withCards(2)
    const [first, second = ''] = cards
    removed(await remove(app, person, second))
    expect(await listed(app, person)).toEqual([first])
    expect((await dashboard.paymentMethods.retrieve(second)).customer).toBeNull()
    await expectSameAsStripe(app, person)
    await double.flushWebhooks()
    expect(await listed(app, person)).toEqual([first])
    await expectSameAsStripe(app, person)
  })

  test('after the default card is removed the newest other card is the default, at Stripe too', async () => {
    const { person, cards } = await withCards(3)
    const [first = '', second, third = ''] = cards
    removed(await remove(app, person, first))
    expect(await defaultCard(app, person)).toBe(third)
    await expectSameAsStripe(app, person)
    await double.flushWebhooks()
    removed(await remove(app, person, third))
    expect(await defaultCard(app, person)).toBe(second)
    await double.flushWebhooks()
    await expectSameAsStripe(app, person)
  })

  test('after another card is removed the default card stays', async () => {
    const { person, cards } = await withCards(2)
    removed(await remove(app, person, cards[1] ?? ''))
    await double.flushWebhooks()
    expect(await defaultCard(app, person)).toBe(cards[0])
    await expectSameAsStripe(app, person)
  })

  test('after the only card is removed there is no default card until the next card is added', async () => {
    const { person, cards } = await withCards(1)
    removed(await remove(app, person, cards[0] ?? ''))
    await double.flushWebhooks()
    expect([await listed(app, person), await defaultCard(app, person)]).toEqual([[], null])
    await expectSameAsStripe(app, person)
    const next = await cardOnFile(app, person)
    expect(await defaultCard(app, person)).toBe(next)
    await expectSameAsStripe(app, person)
  })

  test.each([
    ['a 500', '500'],
    ['no answer', 'lose-reply-before-commit'],
    ['an answer that is lost', 'lose-reply-after-commit'],
  ] as const)(
    'if Stripe gives %s, the card is hidden immediately and detached by the next sweep',
    async (_, fault) => {
      const { person, cards } = await withCards(2)
      const [first = '', second] = cards
      double.addFault({ fault })
      removed(await remove(app, person, first))
      expect(await listed(app, person)).toEqual([second])
      removed(await remove(app, person, first))
      double.clearFaults()
      app.advance(MINUTE_MS)
      await app.job('sweep')
      expect((await atStripe(app, person)).cards).toEqual([second])
      expect(await defaultCard(app, person)).toBe(second)
      await expectSameAsStripe(app, person)
      await double.flushWebhooks()
      await expectSameAsStripe(app, person)
    },
  )

  test('while Stripe is down the default card is a listed card', async () => {
    const { person, cards } = await withCards(2)
    double.addFault({ fault: '500' })
    removed(await remove(app, person, cards[0] ?? ''))
    expect(await defaultCard(app, person)).toBe(cards[1])
  })

  test('a sweep while Stripe is still down leaves the card for the next sweep', async () => {
    const { person, cards } = await withCards(1)
    double.addFault({ fault: '500', match: DETACH })
    removed(await remove(app, person, cards[0] ?? ''))
    app.advance(MINUTE_MS)
    await app.job('sweep')
    expect((await atStripe(app, person)).cards).toEqual(cards)
    double.clearFaults()
    app.advance(MINUTE_MS)
    await app.job('sweep')
    await expectSameAsStripe(app, person)
    expect(await listed(app, person)).toEqual([])
  })

  test('an event of Stripe about a card that is being removed does not bring it back', async () => {
    const { person, cards } = await withCards(1)
    const [card = ''] = cards
    double.addFault({ fault: '500', match: DETACH })
    removed(await remove(app, person, card))
    await dashboard.paymentMethods.update(card, { card: { exp_year: 2040 } })
    await double.flushWebhooks()
    expect(await listed(app, person)).toEqual([])
    // The sweep still detaches the card.
    double.clearFaults()
    app.advance(MINUTE_MS)
    await app.job('sweep')
    await expectSameAsStripe(app, person)
  })

  test('20 concurrent requests are all answered alike, and the card is detached once', async () => {
    const { person, cards } = await withCards(2)
    const answers = await Promise.all(Array.from({ length: 20 }, () => remove(app, person, cards[1] ?? '')))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 204))
    await double.flushWebhooks()
    await expectSameAsStripe(app, person)
  })
})

describe('404', () => {
  /** The content of an answer without the time and the request's id. */
  function comparable({ status, headers, text }: TestAnswer) {
    const { date, ratelimit, 'apigw-requestid': id = '', ...rest } = Object.fromEntries(headers)
    return { status, headers: rest, text: text.replaceAll(id, '<id>') }
  }

  test('another customer’s card, an unknown card and an invalid id have the same answer', async () => {
    const { person, cards } = await withCards(2)
    const { person: other, cards: theirs } = await withCards(1)
    removed(await remove(app, person, cards[1] ?? ''))
    const unattached = await newCard(app, '4242424242424242')
    app.resetCalls()
    const answers = []
    const ids = [theirs[0], unattached, 'pm_1Unknown0000000000000', 'x', 'pm_', await customerId(app, other)]
    for (const id of ids) answers.push(await remove(app, person, id ?? ''))
    for (const answer of answers) refused(answer, 'not_found')
    expect(new Set(answers.map((answer) => JSON.stringify(comparable(answer)))).size).toBe(1)
    expect(app.calls().stripe).toEqual({})
    await double.flushWebhooks()
    expect(await listed(app, other)).toEqual(theirs)
    await expectSameAsStripe(app, other)
    expect(await listed(app, person)).toEqual([cards[0]])
  })

  test('for an account without cards', async () => {
    refused(await remove(app, await app.signUp(), 'pm_1Unknown0000000000000'), 'not_found')
  })

  test.each(['pm_x%00', 'CARD%23pm_x', 'pm_x%3F', '%F0%9F%92%B3'])('for %s', async (id) => {
    refused(await remove(app, await app.signUp(), id), 'not_found')
  })
})

describe('409', () => {
  test('the default card cannot be removed with auto-renewal on, but another card can', async () => {
    const { person, cards } = await withCards(2)
    const [first = '', second = ''] = cards
    await giveBundle(person)
    refused(await remove(app, person, first), 'card_in_use')
    expect(await listed(app, person)).toEqual([second, first])
    removed(await remove(app, person, second))
    refused(await remove(app, person, first), 'card_in_use')
    await double.flushWebhooks()
    expect(await defaultCard(app, person)).toBe(first)
    await expectSameAsStripe(app, person)
  })

  test('the default card can be removed with auto-renewal off or without a bundle', async () => {
    const { person, cards } = await withCards(1)
    await giveBundle(person)
    await renewing(person, false)
    removed(await remove(app, person, cards[0] ?? ''))
    const bare = await withCards(1)
    await renewing(bare.person, true)
    removed(await remove(app, bare.person, bare.cards[0] ?? ''))
  })

  test('the default card cannot be removed while another card is being verified', async () => {
    const { person, cards } = await withCards(1)
    const challenge = await verify(app, person, 'pm_card_authenticationRequired')
    expect(challenge.status).toBe(402)
    refused(await remove(app, person, cards[0] ?? ''), 'card_in_use')
    expect(await listed(app, person)).toEqual(cards)
  })
})
