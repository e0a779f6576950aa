import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import type { Cost } from '../conformance/costs.ts'
import { startApp } from '../support/app.ts'
import { signUpFor } from '../support/buyers.ts'
import { wholeTable } from '../support/erasure.ts'
import { defaultKey } from '../support/keys.ts'
import { newPerson } from '../support/people.ts'
import { type Consumer, consume, sizeOf, uuidv7 } from '../support/quota.ts'
import { newCard, stripeOf } from '../support/stripe.ts'
import { KEPT_BYTES } from './assumptions.ts'
import { MEASURED } from './measured-costs.ts'
import { OPERATIONS, type Operation, type OperationName, type Tally, totalOf } from './operations.ts'
import { EACH_MINUTE, measureScenes } from './scenes.ts'
import { PACES } from './settings.ts'

const app = await startApp()
beforeEach(app.startAfresh)

test('what jobs and webhooks do, and consumes on average, cost what the simulation takes them to', async () => {
  const measured = await measureScenes(app)
  const costs = Object.entries(measured).map(([name, { cost, count }]) => [name, { cost, count }])
  // Those of requests are what the tests of the rows say.
  const requests = Object.keys(measured).filter((name) => !(name in MEASURED)) as OperationName[]
  const pinned = requests.map((name) => [name, { cost: OPERATIONS[name].cost, count: 1 }])
  expect(Object.fromEntries(costs)).toEqual({ ...MEASURED, ...Object.fromEntries(pinned) })
  // The places of an operation are what it writes into the indexes.
  const indexes = Object.entries(OPERATIONS as Record<string, Operation>).flatMap(([name, { places }]) => {
    const found = measured[name] ?? measured[`${name}s`]
    const of = (prefix: string) =>
      Object.entries(places).reduce((sum, [place, units]) => sum + (place.startsWith(prefix) ? units : 0), 0)
    const counted = (index: string) => (found?.indexes[index] ?? 0) / (found?.count ?? 1)
    return found ? [[name, of('due '), of('listed '), counted('due'), counted('listed')]] : []
  })
  expect(indexes.map(([name, due, listed]) => [name, due, listed])).toEqual(
    indexes.map(([name, , , due, listed]) => [name, due, listed]),
  )
})

test('the simulation works as wide as the jobs do', () => {
  const widthOf = (file: string) => {
    const text = readFileSync(join(import.meta.dirname, '../..', file), 'utf8')
    return Number(/^const WIDTH = (\d+)$/m.exec(text)?.[1])
  }
  const { sendMail, publishEvents, countUse, checkQuotas } = PACES
  expect({ sendMail, publishEvents, countUse, checkQuotas }).toMatchObject({
    sendMail: { width: widthOf('core/credentials/send-waiting-mail.ts') },
    publishEvents: { width: widthOf('functions/jobs/publish-events.ts') },
    countUse: { width: widthOf('functions/jobs/count-use.ts') },
    checkQuotas: { width: widthOf('functions/jobs/check-quotas.ts') },
  })
})

const DAY_MS = 86_400_000

/** Plays a month of five accounts on the local stack. @returns how often each operation took place. */
async function playSmallMonth(): Promise<Partial<Tally>> {
  const tally: Partial<Tally> = {}
  const count = (name: keyof Tally, times = 1) => {
    tally[name] = (tally[name] ?? 0) + times
  }
  const { double } = stripeOf(app)
  /** Runs the jobs of a minute, one of which publishes. `looks` is how often they look again, because they found work. */
  const runMinute = async (looks: number) => {
    for (const job of EACH_MINUTE) await app.job(job)
    count('idleMinute')
    count('readEndpoints')
    count('lookAgain', looks)
  }
  const spend = async (person: Consumer, units = 1) => {
    const { status } = await consume(app, person.key, { units, requestId: uuidv7() })
    expect(status).toBe(200)
    count('consume')
  }
  const people: Consumer[] = []
  // Once for each day, as the schedule does. Two days of an account that are counted at once may race.
  const countUseOfDay = async () => {
    await app.job('count-use')
    count('countUse', people.length)
    count('lookAgain', 2)
  }

  for (let n = 0; n < 5; n++) {
    const person = newPerson()
    await app.register(person)
    await app.request('POST', '/v1/auth/activate', { json: { code: app.mailedCode(person.email) } })
    const signedIn = await app.login(person)
    await app.request('GET', '/v1/user', { token: signedIn.accessToken })
    people.push({ ...signedIn, key: await defaultKey(app, signedIn) })
  }
  for (const name of ['register', 'confirm', 'signIn', 'publishNew', 'look'] as const) count(name, 5)
  await runMinute(1)
  const buyers = people.slice(0, 2)
  for (const person of buyers) {
    expect((await signUpFor(app, person, 'STARTER', await newCard(app, '4242424242424242'))).status).toBe(204)
    await double.flushWebhooks()
    for (const name of ['buyFirst', 'webhooksOfFirst', 'publishFirst', 'sendMail'] as const) count(name)
  }
  await runMinute(4)

  for (const person of people) for (let n = 0; n < 12; n++) await spend(person)
  app.advance(DAY_MS)
  await countUseOfDay()
  for (const person of people) for (let n = 0; n < 12; n++) await spend(person)
  count('newDay', 5)

  for (const person of buyers) {
    // 100 units of the trial and 1,000 of the bundle, less 24 that were used: 110 are left, and then 90.
    await spend(person, 966)
    await spend(person, 20)
    count('crossLow')
  }
  await runMinute(2)
  for (const name of ['tellLow', 'publishLow', 'sendMail'] as const) count(name, 2)
  for (const person of buyers) {
    await spend(person, 81)
    count('crossRenewal')
    await app.startedRenewals()
    await double.flushWebhooks()
    for (const name of ['renew', 'webhooksOfRenewal', 'publishRenewal', 'sendMail'] as const) count(name)
  }
  await runMinute(4)

  app.advance(DAY_MS)
  await countUseOfDay()
  return tally
}

/** What DynamoDB stores besides each item, bytes. */
const ITEM_BYTES = 100

/** How much the table holds, bytes. */
async function tableBytes(): Promise<number> {
  const items = await wholeTable(app)
  return items.reduce((bytes, item) => bytes + ITEM_BYTES + sizeOf(item), 0)
}

const sum = (calls: Record<string, number> = {}) => Object.values(calls).reduce((a, b) => a + b, 0)

test('a month of five accounts costs on the local stack what the simulation says, units and storage within 5 %', async () => {
  app.resetCalls()
  const tally = await playSmallMonth()
  const played: Cost = app.calls()
  const simulated = totalOf(tally)
  expect(simulated.cognito).toEqual(played.cognito)
  expect(simulated.mail).toEqual(played.mail)
  expect(simulated.events).toEqual(played.events)
  expect(simulated.lambda).toEqual(played.lambda)
  // The test makes its two cards at Stripe itself.
  expect(sum(simulated.stripe) + 2).toBe(sum(played.stripe))
  const { register = 0, buyFirst = 0, renew = 0, newDay = 0 } = tally
  const { account, firstPayment, renewal, dayOfUse } = KEPT_BYTES
  const bytes = register * account + buyFirst * firstPayment + renew * renewal + newDay * dayOfUse
  const compared = {
    writes: [simulated.writeUnits, played.writeUnits],
    reads: [simulated.readUnits, played.readUnits],
    bytes: [bytes, await tableBytes()],
  }
  const far = Object.entries(compared).filter(([, [said = 0, was = 0]]) => Math.abs(said / was - 1) > 0.05)
  expect(far).toEqual([])
})
