import type { Cost } from '../conformance/costs.ts'
import type { App } from '../support/app.ts'
import { newBuyer, paymentsOf, refund, signUpFor, spendTo } from '../support/buyers.ts'
import { defaultKey } from '../support/keys.ts'
import { newPerson, type Person } from '../support/people.ts'
import { type Consumer, consume, consumeBatch, uuidv7 } from '../support/quota.ts'
import { newCard, stripeOf } from '../support/stripe.ts'
import { LOOK, READ_ENDPOINTS } from './operations.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** The jobs that run each minute, and those that run more rarely. */
export const EACH_MINUTE = [
  ...['send-mail', 'check-quotas', 'tell-alerts', 'publish-events', 'deliver-events'],
  ...['expire-reservations', 'expire-lots', 'grant-monthly', 'settle-payments'],
]

export interface Measured {
  cost: Cost
  /** How many of it the cost is for. */
  count: number
  indexes: Record<string, number>
}

const minus = (of: Record<string, number> = {}, less: Record<string, number> = {}) =>
  Object.fromEntries(
    Object.entries(of)
      .map(([name, value]) => [name, value - (less[name] ?? 0)] as const)
      .filter(([, value]) => value !== 0),
  )

/** What a run costs more than another one. */
const less = (cost: Cost, other: Cost): Cost => ({
  dynamodb: minus(cost.dynamodb, other.dynamodb),
  readUnits: cost.readUnits - other.readUnits,
  writeUnits: cost.writeUnits - other.writeUnits,
  cognito: minus(cost.cognito, other.cognito),
  mail: minus(cost.mail, other.mail),
  kms: minus(cost.kms, other.kms),
  lambda: minus(cost.lambda, other.lambda),
  events: minus(cost.events, other.events),
  stripe: minus(cost.stripe, other.stripe),
})

const NOTHING: Cost = { dynamodb: {}, readUnits: 0, writeUnits: 0 }

const withoutEmpty = (cost: Cost): Cost =>
  Object.fromEntries(
    Object.entries(cost).filter(([, value]) => typeof value === 'number' || Object.keys(value).length > 0),
  ) as unknown as Cost

const confirm = (app: App, { email }: Person) =>
  app.request('POST', '/v1/auth/activate', { json: { code: app.mailedCode(email) } })

/**
 * Plays the life of an account on the local stack and measures each scene with what it writes into the indexes. What a
 * job does for one item is the run less a run with nothing to do.
 */
export async function measureScenes(app: App): Promise<Record<string, Measured>> {
  const measured: Record<string, Measured> = {}
  const idle = new Map<string, Cost>()
  const { double } = stripeOf(app)

  async function scene(name: string, play: () => Promise<unknown>, count = 1, base?: Cost): Promise<void> {
    app.resetCalls()
    await play()
    const indexes = app.stack.dynamo.indexUnits()
    const cost = less(app.calls(), base ?? NOTHING)
    measured[name] = { cost: withoutEmpty(cost), count, indexes }
  }
  /** @param looks how often the run looks at all shards again, because it has found work */
  async function jobScene(name: string, job: string, { count = 1, looks = 1 } = {}): Promise<void> {
    await scene(name, () => app.job(job), count, idle.get(job))
    const { cost = LOOK, indexes = {} } = measured[name] ?? {}
    const looked = Array.from({ length: looks }).reduce<Cost>((rest) => less(rest, LOOK), cost)
    const own = job === 'publish-events' ? less(looked, READ_ENDPOINTS) : looked
    measured[name] = { cost: withoutEmpty(own), count, indexes }
  }
  async function idleRun(job: string): Promise<void> {
    // The first run of a job may note that it has begun.
    await app.job(job)
    app.resetCalls()
    await app.job(job)
    idle.set(job, app.calls())
  }
  const quiet = async () => {
    for (const job of ['send-mail', 'publish-events', 'check-quotas']) await app.job(job)
  }
  const spend = (person: Consumer, units = 1) => consume(app, person.key, { units, requestId: uuidv7() })
  for (const job of [...EACH_MINUTE, 'count-use', 'sweep']) await idleRun(job)
  await scene('idleMinute', async () => {
    for (const job of EACH_MINUTE) await app.job(job)
  })
  await scene('idleSweep', () => app.job('sweep'))

  const person = newPerson()
  await scene('register', () => app.register(person))
  await scene('confirm', () => confirm(app, person))
  await jobScene('publishNew', 'publish-events')
  const signedIn = await app.login(person)
  const ada: Consumer = { ...signedIn, key: await defaultKey(app, signedIn) }
  const card = await newCard(app, '4242424242424242')
  await scene('buyFirst', () => signUpFor(app, ada, 'STARTER', card))
  await scene('webhooksOfFirst', () => double.flushWebhooks())
  await jobScene('publishFirst', 'publish-events')
  await jobScene('sendMail', 'send-mail', { looks: 2 })
  app.advance(30_000)

  const plain: Cost = { dynamodb: { UpdateItem: 1 }, readUnits: 0, writeUnits: 1 }
  await spendTo(app, ada, 110)
  await scene('crossLow', () => spend(ada, 20), 1, plain)
  await jobScene('tellLow', 'check-quotas')
  await jobScene('publishLow', 'publish-events')
  await quiet()
  await spendTo(app, ada, 12)
  await scene('crossRenewal', () => spend(ada, 5), 1, plain)
  await scene('renew', () => app.startedRenewals())
  app.advance(61_000)
  await scene('webhooksOfRenewal', () => double.flushWebhooks())
  await jobScene('publishRenewal', 'publish-events')
  await quiet()

  app.advance(DAY_MS)
  await scene('newDay', () => spend(ada), 1, plain)
  app.advance(DAY_MS + 2 * HOUR_MS)
  await app.job('count-use')
  await spend(ada)
  app.advance(DAY_MS + 2 * HOUR_MS)
  await jobScene('countUse', 'count-use')
  await jobScene('comparePayments', 'sweep', { count: 2, looks: 0 })

  const [renewal, first] = await paymentsOf(app, ada)
  await refund(app, renewal ?? { id: '' })
  await scene('webhooksOfRefund', () => double.flushWebhooks())
  await jobScene('publishRefund', 'publish-events')
  await quiet()
  double.dispute({ charge: String(first?.latest_charge) })
  await scene('webhooksOfDispute', () => double.flushWebhooks())
  await quiet()

  const bob = newPerson()
  await app.register(bob)
  await confirm(app, bob)
  await quiet()
  const json = { email: bob.email }
  await scene('askReset', () => app.request('POST', '/v1/user/resetPassword', { json }))
  await jobScene('answerReset', 'send-mail')
  const reset = { code: app.mailedCode(bob.email), password: 'Changed1!' }
  await scene('reset', () => app.request('PUT', '/v1/user/resetPassword', { json: reset }))

  const big = await newBuyer(app, { bundle: 'ENTERPRISE' })
  await spend(big)
  let atMs = Date.now()
  const id = () => uuidv7(++atMs)
  const CONSUMES = 600
  await scene(
    'consumes',
    async () => {
      for (let n = 0; n < CONSUMES; n++) await consume(app, big.key, { units: 1, requestId: id() })
    },
    CONSUMES,
  )
  const [BATCHES, SIZE] = [60, 20]
  await scene(
    'batches',
    async () => {
      for (let n = 0; n < BATCHES; n++)
        await consumeBatch(
          app,
          big.key,
          Array.from({ length: SIZE }, () => ({ units: 1, requestId: id() })),
        )
    },
    BATCHES,
  )
  return measured
}
