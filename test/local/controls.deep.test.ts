import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { newPerson, type Person } from '../support/people.ts'
import { type Server, startServer } from './server.ts'
import { signatureOf } from './stripe/webhooks.ts'

interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of every shape
  body: any
}

async function send(server: Server, request: string, json?: unknown, token?: string): Promise<Answer> {
  const [method = '', path = ''] = request.split(' ')
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (token !== undefined) headers.authorization = `Bearer ${token}`
  const body = json === undefined ? {} : { body: JSON.stringify(json) }
  const response = await fetch(server.url + path, { method, headers, ...body })
  const text = await response.text()
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
}

const start = () => startServer({ port: 0, schedule: false, reload: false, quiet: true })

const MINUTE_MS = 60_000
const SERVICES = ['dynamodb', 'cognito', 'mail', 'kms', 'lambda'] as const
const COMMON = [
  'error-before',
  'error-after',
  'lose-reply-before-commit',
  'lose-reply-after-commit',
  'delay',
  'throttle',
]
const DONE = { status: 204, body: undefined }

let server: Server
const local = (request: string, json?: unknown) => send(server, request, json)
const register = (person: Person) => local('POST /rest/users', person)
const login = ({ email, password }: Person) => local('POST /v1/auth/login', { email, password })

async function confirm({ email }: { email: string }): Promise<void> {
  const [mail] = (await local(`GET /_local/mail?to=${email}`)).body
  const code = /[0-9a-f]{32}/.exec(mail.text)?.[0]
  expect((await local('POST /v1/auth/activate', { code })).status).toBe(200)
}

async function signUp(): Promise<string> {
  const person = newPerson()
  expect((await register(person)).status).toBe(201)
  await confirm(person)
  return (await login(person)).body.accessToken
}

const enrol = (token: string) => send(server, 'POST /v1/auth/2FA', undefined, token)

beforeAll(async () => {
  server = await start()
})
afterEach(async () => {
  vi.restoreAllMocks()
  for (const service of SERVICES) await local(`DELETE /_local/${service}/faults`)
})
afterAll(() => server.close())

describe('GET /_local', () => {
  test('returns the secret with which the API verifies the events of Stripe’s double', async () => {
    const { webhookSecret, now } = (await local('GET /_local')).body
    const event = {
      id: 'evt_000000000000000000000001',
      object: 'event',
      api_version: '2026-10-28.endive',
      created: Math.floor(now / 1000),
      data: { object: { id: 'cus_1', object: 'customer' } },
      livemode: false,
      pending_webhooks: 1,
      request: { id: null, idempotency_key: null },
      type: 'customer.updated',
    }
    const body = JSON.stringify(event)
    const deliver = async (secret: string) => {
      const headers = { 'stripe-signature': signatureOf(body, secret, now) }
      return (await fetch(`${server.url}/webhooks/stripe`, { method: 'POST', headers, body })).status
    }
    expect(await deliver(webhookSecret)).toBe(200)
    expect(await deliver(`${webhookSecret}x`)).toBe(400)
  })
})

test('POST /_local/jobs/renew runs what requests have started, while there is no schedule', async () => {
  const person = newPerson()
  await register(person)
  await confirm(person)
  const token = (await login(person)).body.accessToken
  const address = { street: 'Main st. 1', city: 'York', postCode: 'YO31 8SB', country: 'GB' }
  const bundle = { name: 'STARTER', paymentMethod: 'pm_card_visa', address }
  expect((await send(server, 'POST /v1/user/bundle', bundle, token)).status).toBe(204)
  const { apiKey } = (await send(server, 'GET /v1/user', undefined, token)).body
  const spend = (units: number) => send(server, 'POST /v1/usage', { units }, apiKey)
  expect((await spend(1080)).body.left).toBe(20)
  expect((await spend(30)).status).toBe(402)
  const renewed = { notices: 1, renewed: 1, tried: 0, failed: 0 }
  expect((await local('POST /_local/jobs/renew')).body).toEqual([renewed])
  expect((await local('POST /_local/jobs/renew')).body).toEqual([])
  expect((await send(server, 'GET /v1/user', undefined, token)).body.bundle.quota).toBe(1020)
  expect((await local('POST /_local/jobs/send-mail')).body).toMatchObject({ failed: 0 })
})

test('POST /_local/mail/events: an address that bounced is suppressed, marked and gets no mail until its owner sets it again', async () => {
  const person = newPerson()
  await register(person)
  await confirm(person)
  const token = (await login(person)).body.accessToken
  const read = async () => (await send(server, 'GET /v1/user', undefined, token)).body
  const event = { to: person.email, event: 'bounce' }
  expect((await local('POST /_local/mail/events', event)).body).toEqual({ mail: 'marked' })
  expect(await read()).toMatchObject({ emailUndeliverable: true })
  expect(await local('DELETE /_local/mail/suppressed')).toEqual(DONE)
  const path = `PUT /rest/users/${person.username}`
  expect((await send(server, path, { email: person.email }, token)).status).toBe(200)
  expect(await read()).not.toHaveProperty('emailUndeliverable')
  expect(await local('POST /_local/mail/events', { ...event, event: 'burst' })).toMatchObject({
    status: 400,
    body: { message: expect.stringMatching(/^There is no report burst\. There are: bounce, /) },
  })
  expect(await local('POST /_local/mail/events', { ...event, to: 'nobody@mail.example' })).toMatchObject({
    status: 400,
    body: { message: 'No mail was sent to nobody@mail.example.' },
  })
})

describe('POST and DELETE /_local/{service}/faults', () => {
  test('dynamodb: every request that needs the table is unavailable until DELETE', async () => {
    expect(await local('POST /_local/dynamodb/faults', { fault: 'error-before' })).toEqual(DONE)
    expect((await register(newPerson())).status).toBe(503)
    expect(await local('DELETE /_local/dynamodb/faults')).toEqual(DONE)
    expect((await register(newPerson())).status).toBe(201)
  })

  test('dynamodb: a conflict occurs `times` times, and the API retries the transaction', async () => {
    const transactions = async () => {
      await local('DELETE /_local/calls')
      expect((await register(newPerson())).status).toBe(201)
      return (await local('GET /_local/calls')).body.dynamodb.calls.TransactWriteItems
    }
    const usual = await transactions()
    const conflict = { fault: 'conflict', match: 'TransactWriteItems', times: 1 }
    expect(await local('POST /_local/dynamodb/faults', conflict)).toEqual(DONE)
    expect(await transactions()).toBe(usual + 1)
    expect(await transactions()).toBe(usual)
  })

  test('cognito: sign-in is throttled and other operations are not', async () => {
    const throttle = { fault: 'throttle', match: 'AdminInitiateAuth' }
    expect(await local('POST /_local/cognito/faults', throttle)).toEqual(DONE)
    const person = newPerson()
    expect((await register(person)).status).toBe(201)
    await confirm(person)
    expect((await login(person)).status).toBe(503)
    expect(await local('DELETE /_local/cognito/faults')).toEqual(DONE)
    expect((await login(person)).status).toBe(200)
  })

  test('mail: the job sends a mail that SES did not accept, once', async () => {
    const lost = { fault: 'lose-reply-before-commit', match: 'SendEmail' }
    expect(await local('POST /_local/mail/faults', lost)).toEqual(DONE)
    const person = newPerson()
    const mails = async () => (await local(`GET /_local/mail?to=${person.email}`)).body.length
    expect((await register(person)).status).toBe(201)
    expect(await mails()).toBe(0)
    await local('DELETE /_local/mail/faults')
    await local('POST /_local/clock', { advanceMs: MINUTE_MS })
    expect((await local('POST /_local/jobs/send-mail')).body).toMatchObject({ sent: 1, failed: 0 })
    expect(await mails()).toBe(1)
  })

  test('kms: no second factor can be set up until DELETE', async () => {
    const token = await signUp()
    const error = { fault: 'error-after', match: 'Encrypt' }
    expect(await local('POST /_local/kms/faults', error)).toEqual(DONE)
    expect((await enrol(token)).status).toBe(503)
    expect(await local('DELETE /_local/kms/faults')).toEqual(DONE)
    expect((await enrol(token)).status).toBe(200)
  })

  test('with a fault in every service at once the stack stays up, and it recovers after DELETE', async () => {
    // A failing job writes its error to stderr.
    vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    for (const fault of COMMON) {
      const delay = fault === 'delay' ? { delayMs: 1 } : {}
      for (const service of SERVICES) {
        expect(await local(`POST /_local/${service}/faults`, { fault, times: 3, ...delay })).toEqual(DONE)
      }
      const person = newPerson()
      await register(person)
      await enrol(String((await login(person)).body.accessToken))
      await local('POST /_local/jobs/send-mail')
      expect((await local('GET /_local')).status).toBe(200)
      for (const service of SERVICES) await local(`DELETE /_local/${service}/faults`)
      expect((await enrol(await signUp())).status).toBe(200)
    }
  })

  test.each([
    ['dynamodb', { fault: 'gremlin' }, `No such fault: gremlin. There are: ${COMMON.join(', ')}, conflict.`],
    ['cognito', { fault: 'conflict' }, `No such fault: conflict. There are: ${COMMON.join(', ')}.`],
    ['mail', {}, `No such fault: undefined. There are: ${COMMON.join(', ')}.`],
    ['kms', { fault: 'toString' }, `No such fault: toString. There are: ${COMMON.join(', ')}.`],
    ['kms', { fault: 'throttle', match: 'Sign' }, /^No operation Sign .* There are: Encrypt, Decrypt\.$/],
    ['mail', { fault: 'throttle', match: 'sendemail' }, /^No operation sendemail .* There are: SendEmail\.$/],
    ['cognito', { fault: 'delay', match: '' }, /^No operation {2}.* There are: .*AdminInitiateAuth, /],
    [
      'dynamodb',
      { fault: 'throttle', match: 'toString' },
      /^No operation toString .*: GetItem, .*UpdateItem/,
    ],
    ['dynamodb', { fault: 'conflict', match: 'GetItem' }, /^No operation GetItem .*: PutItem, UpdateItem, /],
    ['kms', { fault: 'delay', match: 5 }, /^match must be text\.$/],
    ['kms', { fault: 'throttle', time: 1 }, /^No such member of a fault: time\. There are: .*times/],
    ...[0, -1, 0.5, '1', null, true].map((times) => {
      return ['mail', { fault: 'throttle', times }, /^times must be a whole number above 0/] as const
    }),
    ...[-1, '1', null, true, 2 ** 31].map((delayMs) => {
      return [
        'mail',
        { fault: 'delay', delayMs },
        /^delayMs must be a number .* from 0 to 2147483647\.$/,
      ] as const
    }),
    ['stripe', { fault: '500', times: '1' }, /^times must be a whole number above 0/],
    ['stripe', { fault: 'delay', delayMs: '1' }, /^delayMs must be a number/],
    ['stripe', { fault: '500', match: 5 }, /^match must be text\.$/],
  ] as const)('%s: %j is a 400 that lists the known faults', async (service, fault, sentence) => {
    const message = typeof sentence === 'string' ? sentence : expect.stringMatching(sentence)
    expect(await local(`POST /_local/${service}/faults`, fault)).toEqual({ status: 400, body: { message } })
  })

  test('a refused fault has no effect', async () => {
    for (const service of SERVICES) {
      await local(`POST /_local/${service}/faults`, { fault: 'error-before', times: 0 })
      await local(`POST /_local/${service}/faults`, { fault: 'error-before', match: 'Nothing' })
      await local(`POST /_local/${service}/faults`, { fault: 'error-before', delayMs: '1' })
      await local(`POST /_local/${service}/faults`, { fault: 'error-before', code: '1' })
    }
    const person = newPerson()
    await register(person)
    expect((await local(`GET /_local/mail?to=${person.email}`)).body).toHaveLength(1)
    expect((await enrol(await signUp())).status).toBe(200)
  })
})

test('POST /_local/clock refuses to leave the years 1970 to 9999', async () => {
  for (const advanceMs of [8e15, 3e14, -3e12]) {
    const { status, body } = await local('POST /_local/clock', { advanceMs })
    expect({ status, body }).toEqual({
      status: 400,
      body: { message: expect.stringMatching(/the years 1970 to 9999 only\.$/) },
    })
  }
  expect((await register(newPerson())).status).toBe(201)
})

test('a stack stops at once while a request waits in a delay', async () => {
  const other = await start()
  await send(other, 'POST /_local/dynamodb/faults', { fault: 'delay', delayMs: 3_600_000 })
  const answer = send(other, 'POST /rest/users', newPerson()).then(
    () => 'answered',
    () => 'cut',
  )
  const waits = async () =>
    Object.keys((await send(other, 'GET /_local/calls')).body.dynamodb.calls).length > 0
  while (!(await waits()));
  await other.close()
  expect(await answer).toBe('cut')
})
