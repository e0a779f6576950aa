import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { beginTry } from '../../core/cards/shared-limits.ts'
import { startApp } from '../support/app.ts'
import { signUpFor } from '../support/buyers.ts'
import { newPerson, type SignedInPerson } from '../support/people.ts'
import { later, newCard, newToken, stripeOf, verify } from '../support/stripe.ts'

/** New cards are limited by what is protected: one card, one mailbox, and the deployment, whichever account tries. */

const app = await startApp()
const { double } = stripeOf(app)
beforeEach(() => app.startAfresh())
afterEach(() => double.clearFaults())

const CONFIRM = 'POST /v1/payment_intents/*/confirm'
const HOUR_MS = 3_600_000
const DECLINED = '4000000000000002'
const GOOD = '4242424242424242'
const GOOD_NUMBERS = ['4242424242424242', '5555555555554444', '6011111111111117', '378282246310005']

const asked = (): number => app.calls().stripe[CONFIRM] ?? 0
const many = <T>(count: number, make: (at: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => make(at)))

/** So many accounts, one after another, because each has a mail. */
async function accounts(count: number, emailOf?: (at: number) => string): Promise<SignedInPerson[]> {
  const people = []
  for (let at = 0; at < count; at++)
    people.push(emailOf ? await app.signUpOverHttp({ email: emailOf(at) }) : await app.signUp())
  return people
}

const counts = (statuses: readonly number[]) =>
  Object.fromEntries(
    [...new Set(statuses)]
      .sort()
      .map((status) => [status, statuses.filter((each) => each === status).length]),
  )

describe('one card', () => {
  test.each([
    ['proved by payment method', newCard, verify],
    ['proved by ConfirmationToken', newToken, verify],
    [
      'signed up with',
      newCard,
      (...[a, person, card]: Parameters<typeof verify>) => signUpFor(a, person, 'STARTER', card),
    ],
  ])('429: of 12 accounts at once, ten reach the bank, %s', async (_, made, tried) => {
    const people = await accounts(12)
    const cards = await many(12, () => made(app, DECLINED))
    app.resetCalls()
    const answers = await many(12, (at) => tried(app, people[at]!, cards[at]!))
    expect([counts(answers.map(({ status }) => status)), asked()]).toEqual([{ 402: 10, 429: 2 }, 10])
    for (const { status, headers } of answers)
      if (status === 429) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    // What was refused has reached no bank, so it counts for no account.
    const refused = people[answers.findIndex(({ status }) => status === 429)]
    for (let tries = 0; tries < 3; tries++)
      expect((await verify(app, refused!, await newCard(app, GOOD))).status).toBe(200)
  })

  test('429: twenty tries in a day, whatever the hour', async () => {
    let tried = 0
    for (let hours = 0; hours < 3; hours++) {
      for (const person of await accounts(11)) {
        app.resetCalls()
        const { status } = await verify(app, person, await newCard(app, DECLINED))
        tried += asked()
        expect(status).toBe(asked() === 1 ? 402 : 429)
      }
      app.advance(HOUR_MS)
    }
    expect(tried).toBe(20)
  })

  test('200: a card that works may be on file in any number of accounts', async () => {
    for (const person of await accounts(8)) {
      expect((await verify(app, person, await newCard(app, GOOD))).status).toBe(200)
      app.advance(1_000)
    }
  })
})

describe('one mailbox', () => {
  test('429: of 15 tries of its accounts at once, six reach a bank', async () => {
    const name = newPerson().username
    const people = await accounts(4, (at) => `${name}+${at}@mail.example`)
    people.push(...(await accounts(1, () => `${name}@mail.example`)))
    // A card on file each, so that only the mailbox limits them. Three accounts have two tries left.
    const tries = people.flatMap((person) => [person, person, person])
    const cards = await many(15, (at) => newCard(app, at % 2 ? '4000000000009995' : DECLINED))
    app.resetCalls()
    const statuses = []
    // One account has one open try at a time.
    for (const round of [0, 1, 2]) {
      const answers = await many(5, (at) => verify(app, tries[3 * at + round]!, cards[3 * at + round]!))
      statuses.push(...answers.map(({ status }) => status))
    }
    expect([counts(statuses), asked()]).toEqual([{ 402: 6, 429: 9 }, 6])
    const person = await later(app, people[0]!, HOUR_MS)
    expect((await verify(app, person, await newCard(app, GOOD))).status).toBe(200)
  })

  test('429: 30 requests an hour that reach no bank, because each costs calls to Stripe', async () => {
    const name = newPerson().username
    const people = await accounts(3, (at) => `${name}+${at}@mail.example`)
    const statuses = []
    for (let tries = 0; tries < 32; tries++) {
      app.resetCalls()
      const { status } = await verify(app, people[tries % 3]!, 'pm_neverwas')
      statuses.push(status)
      if (status === 429) expect(app.calls().stripe).toEqual({})
      app.advance(2_000)
    }
    expect(counts(statuses)).toEqual({ 400: 30, 429: 2 })
  })
})

describe('the deployment', () => {
  test('429: of 30 accounts without a card at once, as many try theirs as there is room for; accounts with a card are served', async () => {
    const customer = await app.signUp()
    expect((await verify(app, customer, await newCard(app, GOOD))).status).toBe(200)
    app.advance(10_000)
    const people = await accounts(30)
    // Forty others have tried theirs at this moment.
    const { table, clock } = await app.ports()
    const [, tries] = beginTry({ id: 'others', customer: undefined }, clock.nowMs())
    if (!tries || !('update' in tries)) throw new Error('a stranger counts in two places')
    for (let n = 0; n < 40; n++) await table.update(tries.update, tries.set)
    const cards = await many(30, (at) => newCard(app, GOOD_NUMBERS[at % 4]!))
    const statuses = []
    // Six waves, so that no card is in so many tries at once.
    for (let wave = 0; wave < 6; wave++) {
      const answers = await many(5, (at) => verify(app, people[5 * wave + at]!, cards[5 * wave + at]!))
      statuses.push(...answers.map(({ status }) => status))
    }
    expect(counts(statuses)).toEqual({ 200: 20, 429: 10 })
    const [other] = (await accounts(1)) as [SignedInPerson]
    const refused = await verify(app, other, await newCard(app, GOOD))
    expect([refused.status, Number(refused.headers.get('retry-after'))]).toEqual([429, 10])
    expect((await verify(app, customer, await newCard(app, '5555555555554444'))).status).toBe(200)
    app.advance(10_000)
    expect((await verify(app, other, await newCard(app, GOOD))).status).toBe(200)
  })
})
