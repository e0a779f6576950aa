import { createHmac } from 'node:crypto'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { webhooks } from '../../functions/webhooks/routes.ts'
import { startApp } from '../support/app.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import {
  atStripe,
  bodyOf,
  cardOnFile,
  customerId,
  defaultCard,
  deliver,
  eventsAbout,
  expectNothingHeld,
  expectSameAsStripe,
  listed,
  newCard,
  newEvent,
  post,
  signed,
  stripeOf,
  verify,
} from '../support/stripe.ts'
import { expectContract, expectError, outsideCalls } from './contract.ts'

const app = await startApp()
const { double, dashboard } = stripeOf(app)
const NEXT_SECRET = 'whsec_next0000000000000000000000000'
const REVOKED_SECRET = 'whsec_revoked00000000000000000000'
// The first request reads this setting, once.
process.env.STRIPE_WEBHOOK_SECRETS = `${double.webhookSecret},${NEXT_SECRET}`

afterEach(() => {
  double.clearFaults()
  app.stack.dynamo.clearFaults()
})

const MINUTE_MS = 60_000

const received = (answer: TestAnswer) => {
  expect([answer.status, answer.body]).toEqual([200, { received: true }])
  expectContract(webhooks.stripe, answer)
}

let person: SignedInPerson
/** The body of an undelivered event, whose delivery puts `card` on the list. */
let body: string
let card: string

/** The operator attaches a second card, and its event is lost. */
async function lostEvent() {
  const owner = await app.signUp()
  await cardOnFile(app, owner)
  const attached = await newCard(app, '5555555555554444')
  double.addFault({ fault: 'drop-webhooks' })
  await dashboard.paymentMethods.attach(attached, { customer: (await customerId(app, owner)) ?? '' })
  double.clearFaults()
  const [event] = await eventsAbout(app, attached)
  const text = bodyOf(event ?? {})
  expect(JSON.parse(text)).toMatchObject({
    type: 'payment_method.attached',
    data: { object: { id: attached } },
  })
  return { owner, attached, text }
}

beforeAll(async () => {
  const { owner, attached, text } = await lostEvent()
  person = owner
  card = attached
  body = text
})

/** Asserts that the event is refused as unsigned, and that nothing is read or changed. */
async function expectRefused(signature: string | undefined, sent = body): Promise<void> {
  app.resetCalls()
  const answer = await post(app, sent, signature)
  expectError(webhooks.stripe, answer, 'webhook_refused')
  expect(outsideCalls(app)).toEqual({})
  expect(await listed(app, person)).not.toContain(card)
}

const secret = () => double.webhookSecret
const mac = (key: string, text: string) => createHmac('sha256', key).update(text).digest('hex')
/** Time and v1 signature of a valid header. */
function parts(text = body, key = secret()): { t: string; v1: string } {
  const [, t = '', v1 = ''] = /^t=(\d+),v1=(\w+)/.exec(signed(text, key)) ?? []
  return { t, v1 }
}

describe('an event without a valid signature for us is refused and has no effect', () => {
  test.each([
    ['none', undefined],
    ['an empty one', ''],
    ['a word', 'garbage'],
    ['commas', ',,,'],
    ['names without values', 't,v1'],
    ['values without names', '=,='],
    ['a time only', () => `t=${parts().t}`],
    ['a signature only', () => `v1=${parts().v1}`],
    ['a short one', () => `t=${parts().t},v1=${parts().v1.slice(0, 63)}`],
    ['a long one', () => `t=${parts().t},v1=${parts().v1}0`],
    ['an empty v1', () => `t=${parts().t},v1=`],
    ['a v1 in capitals', () => `t=${parts().t},v1=${parts().v1.toUpperCase()}`],
    ['one of other bytes', () => signed(`${body} `, secret())],
    ['one by another secret', () => signed(body, 'whsec_other')],
    ['one by an empty secret', () => signed(body, '')],
    ['one by the secret without its prefix', () => signed(body, secret().replace('whsec_', ''))],
    ['one of the body alone', () => `t=${parts().t},v1=${mac(secret(), body)}`],
    ['a header of 100 KB', () => `t=${parts().t}${',v1=00'.repeat(1500)}`],
  ] as const)('with this signature: %s', async (_, signature) => {
    await expectRefused(typeof signature === 'function' ? signature() : signature)
  })

  test.each([
    ['a second later', 1],
    ['a second earlier', -1],
    ['now, for a signature that has expired', 0],
  ])('with the time of the signature changed to %s', async (_, seconds) => {
    const { t, v1 } = parts()
    const old = signed(body, secret(), Date.now() - 301_000).split('v1=')[1]
    await expectRefused(`t=${Number(t) + seconds},v1=${seconds === 0 ? old : v1}`)
  })

  test.each([
    ['twice, the right one first', () => `t=${parts().t},t=1,v1=${parts().v1}`],
    ['twice, the right one last', () => `t=1,t=${parts().t},v1=${parts().v1}`],
    ['that is no number', () => `t=NaN,v1=${mac(secret(), `NaN.${body}`)}`],
    ['that is negative', () => `t=-1,v1=${mac(secret(), `-1.${body}`)}`],
    ['that is endless', () => `t=1e400,v1=${mac(secret(), `1e400.${body}`)}`],
    ['in milliseconds', () => `t=${Date.now()},v1=${mac(secret(), `${Date.now()}.${body}`)}`],
    ['with a fraction', () => `t=${parts().t}.5,v1=${mac(secret(), `${parts().t}.5.${body}`)}`],
  ] as const)('with a time %s', async (_, signature) => {
    await expectRefused(signature())
  })

  test('with a signature that is 301 s old', async () => {
    await expectRefused(signed(body, secret(), Date.now() - 301_000))
  })

  test('with a signature from 301 s or years in the future', async () => {
    await expectRefused(signed(body, secret(), Date.now() + 301_000))
    await expectRefused(signed(body, secret(), Date.now() + 10 * 365 * 86_400_000))
  })

  test('with a body that was parsed and serialised again, or has an extra byte', async () => {
    const signature = signed(body, secret())
    for (const other of [
      JSON.stringify(JSON.parse(body)),
      JSON.stringify(JSON.parse(body), null, 4),
      `${body}\n`,
      ` ${body}`,
      `\ufeff${body}`,
      body.replaceAll('\n', '\r\n'),
      body.replace('"livemode": false', '"livemode":  false'),
    ]) {
      expect(other).not.toBe(body)
      await expectRefused(signature, other)
    }
  })

  test('with a signature of scheme v0 only, or of an unknown scheme', async () => {
    const { t, v1 } = parts()
    for (const scheme of ['v0', 'v2', 'V1', 'v10', 'v1 ', 's1']) await expectRefused(`t=${t},${scheme}=${v1}`)
    await expectRefused(`t=${t},v0=${v1},v1=${'0'.repeat(64)}`)
  })

  test('with a signature by a revoked secret, or by both secrets as one text', async () => {
    await expectRefused(signed(body, REVOKED_SECRET))
    await expectRefused(signed(body, String(process.env.STRIPE_WEBHOOK_SECRETS)))
  })

  /** The event with these members changed, validly signed. */
  const signedAs = (change: object) => {
    const text = bodyOf({ ...JSON.parse(body), ...change })
    return [signed(text, secret()), text] as const
  }

  test('of live mode, or of none', async () => {
    for (const livemode of [true, 'true', 1, null, undefined]) await expectRefused(...signedAs({ livemode }))
  })

  test('of another account', async () => {
    for (const account of ['acct_1Foreign', '']) await expectRefused(...signedAs({ account }))
  })

  test('one right v1 of several is enough, wherever it stands', async () => {
    const { owner, attached, text } = await lostEvent()
    const { t, v1 } = parts(text)
    const wrong = '0'.repeat(64)
    for (const header of [
      `t=${t},v1=${wrong},v1=${v1}`,
      `t=${t},v1=${v1},v1=${wrong}`,
      `t=${t},v0=${wrong},v1=${wrong},v1=${v1}`,
    ]) {
      received(
        await post(app, bodyOf(newEvent('payment_method.updated', {})), 'x').then(() =>
          post(app, text, header),
        ),
      )
    }
    expect(await listed(app, owner)).toContain(attached)
  })

  test('both secrets are accepted during a rotation', async () => {
    for (const key of [secret(), NEXT_SECRET]) {
      const text = bodyOf(newEvent('customer.updated', { id: 'cus_nobody', object: 'customer' }))
      received(await post(app, text, signed(text, key)))
    }
    // During a rotation Stripe signs with both.
    const text = bodyOf(newEvent('customer.updated', { id: 'cus_nobody', object: 'customer' }))
    const { t, v1 } = parts(text, REVOKED_SECRET)
    received(await post(app, text, `t=${t},v1=${v1},v1=${parts(text, NEXT_SECRET).v1}`))
  })

  test('a signature from 300 s in the past or future is accepted', async () => {
    for (const ms of [-300_000, 300_000]) {
      const text = bodyOf(newEvent('customer.updated', { id: 'cus_nobody', object: 'customer' }))
      received(await post(app, text, signed(text, secret(), Date.now() + ms)))
    }
  })
})

/** All items of an account, without the versions that grow with each reading. */
async function stored({ accountId }: SignedInPerson): Promise<unknown[]> {
  const { table } = await app.ports()
  const items = await table.list(keys.account(accountId), '')
  return items.map(({ version, ...item }) => item)
}

describe('deliveries', () => {
  test('100 concurrent deliveries of one event do its work once', async () => {
    const asking = await app.signUp()
    await cardOnFile(app, asking)
    double.addFault({ fault: 'drop-webhooks' })
    await dashboard.paymentIntents.create({
      amount: 2000,
      currency: 'usd',
      customer: (await customerId(app, asking)) ?? '',
      confirm: true,
      payment_method: 'pm_card_createIssuerFraudRecord',
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
    })
    const [warning] = (await dashboard.radar.earlyFraudWarnings.list({ limit: 1 })).data
    const [event = {}] = await eventsAbout(app, warning?.id ?? '')
    const answers = await Promise.all(Array.from({ length: 100 }, () => deliver(app, event)))
    for (const answer of answers) received(answer)
    const { body: told } = await app.request('GET', '/api/users/current/notifications', {
      token: asking.accessToken,
    })
    expect(told.map(({ messageType }: { messageType: string }) => messageType)).toEqual(['card_warning'])
  })

  test('100 concurrent deliveries of the event that finishes 3-D Secure put one card on file', async () => {
    const asking = await app.signUp()
    const wanted = await newCard(app, '4000002760003184')
    await verify(app, asking, wanted)
    const [intent] = (await atStripe(app, asking)).intents
    double.addFault({ fault: 'drop-webhooks' })
    double.authenticate({ paymentIntent: intent?.id ?? '', outcome: 'succeed' })
    const event = (await eventsAbout(app, intent?.id ?? '')).find(
      ({ type }) => type === 'payment_intent.amount_capturable_updated',
    )
    const answers = await Promise.all(Array.from({ length: 100 }, () => deliver(app, event ?? {})))
    // A delivery that loses the race too often answers 503, so that Stripe retries.
    expect(answers.filter(({ status }) => status !== 200 && status !== 503)).toEqual([])
    received(await deliver(app, event ?? {}))
    expect(await listed(app, asking)).toEqual([wanted])
    await expectSameAsStripe(app, asking)
    await expectNothingHeld(app, asking)
  })

  test('another event of the same payment changes nothing more', async () => {
    const asking = await app.signUp()
    await verify(app, asking, 'pm_card_authenticationRequired')
    const [intent] = (await atStripe(app, asking)).intents
    double.authenticate({ paymentIntent: intent?.id ?? '', outcome: 'succeed' })
    await double.flushWebhooks()
    const before = await stored(asking)
    for (const type of [
      'payment_intent.amount_capturable_updated',
      'payment_intent.succeeded',
      'payment_intent.requires_action',
      'payment_intent.payment_failed',
      'payment_intent.canceled',
      'payment_intent.created',
    ]) {
      received(await deliver(app, newEvent(type, intent ?? {})))
    }
    expect(await stored(asking)).toEqual(before)
    await expectNothingHeld(app, asking)
  })

  test('all events in reverse order, even the release before the hold, lead to the same result', async () => {
    const asking = await app.signUp()
    const wanted = await newCard(app, '4242424242424242')
    double.addFault({ fault: 'drop-webhooks' })
    double.addFault({ fault: '500', code: 'after-commit', match: 'POST /v1/payment_intents/*/confirm' })
    expect((await verify(app, asking, wanted)).status).toBe(202)
    double.clearFaults()
    expect((await verify(app, asking, wanted)).status).toBe(200)
    // The list is newest first, so `charge.refunded` and `canceled` come before `succeeded` and `attached`.
    const { data: all } = await dashboard.events.list({ limit: 100 })
    const [intent] = (await atStripe(app, asking)).intents
    const since = all.slice(
      0,
      all.findIndex(({ data }) => (data.object as { id: string }).id === intent?.id) + 20,
    )
    const types = since.map(({ type }) => type)
    expect(types.indexOf('charge.refunded')).toBeLessThan(types.indexOf('charge.succeeded'))
    for (const event of since) received(await deliver(app, event))
    expect([await listed(app, asking), await defaultCard(app, asking)]).toEqual([[wanted], wanted])
    await expectSameAsStripe(app, asking)
    await expectNothingHeld(app, asking)
  })

  test.each(['GetItem', 'PutItem', 'TransactWriteItems', undefined])(
    'an event is never answered 200 if the database fails at %s, and its retry does the work',
    async (match) => {
      await double.flushWebhooks()
      const asking = await app.signUp()
      await cardOnFile(app, asking)
      const added = await newCard(app, '5555555555554444')
      const at = (await customerId(app, asking)) ?? ''
      await dashboard.paymentMethods.attach(added, { customer: at })
      await dashboard.customers.update(at, { description: `seen ${match}` })
      expect(double.pendingWebhooks()).toBeGreaterThanOrEqual(2)
      const waiting = double.pendingWebhooks()
      const events = [...(await eventsAbout(app, added)), ...(await eventsAbout(app, at)).slice(0, 1)]
      app.stack.dynamo.addFault({ fault: 'error-before', ...(match !== undefined && { match }) })
      const answers = []
      for (const event of events) answers.push(await deliver(app, event))
      await double.flushWebhooks()
      app.stack.dynamo.clearFaults()
      const failed = answers.filter(({ status }) => status !== 200)
      for (const answer of failed) expectError(webhooks.stripe, answer, 'temporarily_unavailable')
      // The work of some events needs no PutItem, but that of every event needs the other calls.
      if (match !== 'PutItem') expect(failed).toHaveLength(events.length)
      if (match !== 'PutItem') expect(double.pendingWebhooks()).toBe(waiting)
      app.advance(MINUTE_MS)
      await double.flushWebhooks()
      expect(double.pendingWebhooks()).toBe(0)
      await expectSameAsStripe(app, asking)
      const { body: shown } = await app.request('GET', '/api/users/current/retrieve', {
        token: asking.accessToken,
      })
      expect(shown.description).toBe(`seen ${match}`)
    },
  )

  test('an event whose write lost its reply is not answered 200, but its retry is', async () => {
    const asking = await app.signUp()
    const wanted = await newCard(app, '4000002760003184')
    await verify(app, asking, wanted)
    const [intent] = (await atStripe(app, asking)).intents
    double.authenticate({ paymentIntent: intent?.id ?? '', outcome: 'succeed' })
    app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'TransactWriteItems' })
    const event = (await eventsAbout(app, intent?.id ?? ''))[0] ?? {}
    expectError(webhooks.stripe, await deliver(app, event), 'temporarily_unavailable')
    app.stack.dynamo.clearFaults()
    received(await deliver(app, event))
    await double.flushWebhooks()
    expect(await listed(app, asking)).toEqual([wanted])
    await expectSameAsStripe(app, asking)
    await expectNothingHeld(app, asking)
  })

  test.each([
    ['invoice.paid', { id: 'in_1', object: 'invoice' }],
    ['checkout.session.completed', { id: 'cs_1', object: 'checkout.session' }],
    ['v1.something.new', { id: 'x', object: '__proto__' }],
    ['v1.something.new', { id: 'x', object: 'constructor' }],
    ['v1.something.new', { id: 'x', object: 'toString' }],
    ['v1.something.new', { id: 'x', object: 1 }],
    ['v1.something.new', { id: 'x' }],
    ['charge.succeeded', { id: 'ch_1', object: 'charge' }],
  ])('%s, which Bursar does not use, is answered 200 without a read', async (type, object) => {
    app.resetCalls()
    received(await deliver(app, newEvent(type, object)))
    expect(outsideCalls(app)).toEqual({})
  })
})
