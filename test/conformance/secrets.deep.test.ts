import { afterAll, describe, expect, test, vi } from 'vitest'
import type { SecretKeys } from '../../core/purposes.ts'
import { ENDPOINTS, eventEndpointKey, keys } from '../../core/table/keys.ts'
import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { EDGE_HEADER } from '../../functions/http/source-address.ts'
import { startApp } from '../support/app.ts'
import { wholeTable } from '../support/erasure.ts'
import type { SignedInPerson } from '../support/people.ts'
import { rowKey, type Sample, sampleOf, tokenOf } from '../support/samples.ts'
import type { TestAnswer } from '../support/send.ts'
import { sendRaw } from '../support/send.ts'
import {
  atStripe,
  bodyOf,
  cardOnFile,
  newCard,
  newEvent,
  post,
  signed,
  stripeOf,
  verify,
} from '../support/stripe.ts'
import { targetOf } from './contract.ts'
import { type Reply, services, stationBefore } from './outage.ts'

const app = await startApp()
const stations = services.map(stationBefore)

/** Output besides the log, such as a library's warning. */
const printed: string[] = []
for (const method of ['debug', 'info', 'warn', 'error', 'trace'] as const) {
  vi.spyOn(console, method).mockImplementation(
    (...args: unknown[]) => void printed.push(args.map(String).join(' ')),
  )
}

const password = 'Pl4nted!Pass%word'
const guess = 'Wr0ng!Guess%typed'

/** What a distribution would add to each request. */
const edgeSecret = 'Pl4nted-secret-of-the-edge'
vi.stubEnv('EDGE_SECRET', edgeSecret)
afterAll(() => vi.unstubAllEnvs())

/** The forms in which a planted text could be printed, in lower case. */
const forms = (text: string): string[] =>
  [
    text,
    encodeURIComponent(text),
    JSON.stringify(text).slice(1, -1),
    Buffer.from(text)
      .toString('base64')
      .replace(/.{0,3}=*$/, ''),
    Buffer.from(text).toString('hex'),
  ].map((form) => form.toLowerCase())

const [[, rootKeys]] = JSON.parse(String(process.env.KEYRING)) as [SecretKeys]

/** All forms of the planted secrets and personal data, by name. */
const plants = new Map<string, Set<string>>()
const plant = (name: string, text: string) => plants.set(name, new Set(forms(text)))

// These are the common beginnings of all planted names and addresses.
plant('address', 'Planted.Person')
plant('username', 'planted-username')
plant('password', password)
plant('guessed password', guess)
plant('client secret', app.stack.cognito.clientSecret)
for (const [purpose, key] of Object.entries(rootKeys)) plant(`the key for ${purpose}`, key)
plant('edge secret', edgeSecret)
plant('Stripe key', String(process.env.STRIPE_SECRET_KEY))
plant('webhook secret', String(process.env.STRIPE_WEBHOOK_SECRETS))
plant('card number', '4000002760003184')
plant('street', 'Planted Street 7')
plant('phone', '+4930999888777')

/** The names of the planted texts that occur in `text`, in any case. */
function planted(text: string): string[] {
  const lower = text.toLowerCase()
  return [...plants].flatMap(([name, texts]) =>
    [...texts].some((form) => lower.includes(form)) ? [name] : [],
  )
}

/** A row, a planted caller, and a sample request. */
interface Subject {
  row: Placed
  person: SignedInPerson
  sample: Sample
  /** The admin key for a row that takes one, which is made before anything fails. */
  adminKey: string | undefined
}

let people = 0

/** Signs up a person whose name, address, password, codes, tokens and key are all planted. */
async function plantedPerson(): Promise<SignedInPerson> {
  people += 1
  const names = { username: `planted-username-${people}`, email: `Planted.Person.${people}@mail.example` }
  const person = await app.signUp({ ...names, password })
  const { body } = await app.request('GET', '/v1/user', { token: person.accessToken })
  const code = app.mailedCode(names.email)
  const [, claims = '', signature = ''] = person.accessToken.split('.')
  const { refreshToken } = person
  const secrets = { key: body.apiKey, code, half: code.slice(16), claims, signature, refreshToken }
  for (const [name, text] of Object.entries(secrets)) plant(`${name} ${people}`, text)
  return person
}

async function newSubject(row: Placed): Promise<Subject> {
  const asking = await plantedPerson()
  const adminKey = row.auth === 'admin-key' ? await tokenOf(app, row, asking) : undefined
  if (adminKey !== undefined) plant(`admin key ${people}`, adminKey.replace('admin-key:', ''))
  return { row, person: asking, sample: await sampleOf(app, row, asking), adminKey }
}

const person = await plantedPerson()
const { email, username } = person
const code = app.mailedCode(email)
const { apiKey } = (await app.request('GET', '/v1/user', { token: person.accessToken })).body
const subjects: Subject[] = []
for (const row of rows) {
  subjects.push(await newSubject(row))
}

const linesOfSetUp = app.logs.length

/** All log lines, including those that were checked already. */
const logged: string[] = []

/** Asserts that the output since the last check shows nothing planted. */
function expectNothingPrinted(): void {
  const lines = app.logs.splice(0)
  logged.push(...lines)
  expect(planted([...lines, ...printed.splice(0)].join('\n'))).toEqual([])
}

/** As `expectNothingPrinted`, and asserts that no refusal shows anything planted. */
function expectNothingTold(answers: TestAnswer[]): void {
  const refusals = answers.filter(({ status }) => status >= 400)
  const told = refusals.map(({ text, headers }) => [text, ...headers.values()].join('\n'))
  expectNothingPrinted()
  expect(planted(told.join('\n'))).toEqual([])
}

interface Sent {
  headers?: [string, string][]
  query?: string
  text?: string
  token?: string
}

const searchOf = ({ query }: Sample) => (query ? `?${new URLSearchParams(query)}` : '')

/** Sends a request to each row, made by `make` from its sample's body. */
const askAll = (make: (body: Sample['body'], raw?: Sample['raw']) => Sent): Promise<TestAnswer[]> =>
  Promise.all(
    subjects.map(async ({ row, person, sample, adminKey }) => {
      const [method, target] = targetOf(row.routes[0], sample.path)
      const { headers = [], query = searchOf(sample), text = '', ...sent } = make(sample.body, sample.raw)
      const own = adminKey ?? (await tokenOf(app, row, person)) ?? person.accessToken
      // The gateway lets nobody but an operator reach their functions.
      const token = row.role ? own : (sent.token ?? own)
      return sendRaw(
        app.url,
        method,
        target + query,
        [['authorization', `Bearer ${token}`], ...headers],
        text,
      )
    }),
  )

const JSON_TYPE: [string, string] = ['content-type', 'application/json']
const FORM_TYPE: [string, string] = ['content-type', 'application/x-www-form-urlencoded']
const asJson = (body: Sample['body'], raw?: Sample['raw']): Sent => {
  if (raw) return { headers: [JSON_TYPE, ...Object.entries(raw.headers)], text: raw.body }
  return body ? { headers: [JSON_TYPE], text: JSON.stringify(body) } : {}
}

test('the search finds a planted text in any form', async () => {
  for (const [name, texts] of [...plants].slice(0, 12)) {
    for (const form of texts)
      expect([name, form.length > 8, planted(`x${form.toUpperCase()}y`)[0]]).toEqual([name, true, name])
  }
  const { text } = await app.request('GET', '/v1/user', { token: person.accessToken })
  expect(planted(text)).toEqual(['address', 'username', 'key 1'])
  expect(linesOfSetUp).toBeGreaterThan(rows.length)
  expectNothingPrinted()
})

describe('no log line and no error shows a password, a code, a token, a key, a name or an address', () => {
  test('when credentials are wrong', async () => {
    const ask = (path: string, json: object) => app.request('POST', path, { json })
    const swapped = `${code.slice(16)}${code.slice(0, 16)}`
    expectNothingTold([
      await ask('/v1/auth/login', { email, password: guess }),
      await ask('/v1/auth/login', { username, password: guess }),
      await ask('/v1/auth/login', { email, username, password }),
      await ask('/v1/auth/login', { email: password, password: email }),
      await ask('/v1/auth/activate', { code }),
      await ask('/v1/auth/activate', { code: swapped }),
      await ask('/v1/auth/activate', { code: password }),
      await ask('/v1/auth/refresh', { refreshToken: person.accessToken }),
      await ask('/v1/auth/refresh', { refreshToken: `${person.refreshToken}x` }),
      await ask('/v1/auth/refresh', { refreshToken: password }),
      await ask('/rest/users', { username, email: 'free@mail.example', password }),
      await ask('/rest/users', { username: 'free-name', email, password }),
      await ask('/rest/users', { username: email, email: password, password: username }),
      await ask('/rest/users', {
        username: 'free-name',
        email: 'free@mail.example',
        password: `${password}\n`,
      }),
      await app.request('GET', `/rest/users/${encodeURIComponent(email)}`, { token: person.accessToken }),
      await app.request('GET', '/v1/user', { token: `${person.accessToken}x` }),
    ])
  })

  const planting: [string, string][] = [
    ['x-password', password],
    [EDGE_HEADER, edgeSecret],
    ['cookie', `session=${person.refreshToken}`],
    ['user-agent', email],
    ['referer', `https://x.example/?t=${code}`],
  ]

  test.each<[string, Sent]>([
    ['a truncated body', { headers: [JSON_TYPE], text: `{"password":"${password}","email":"${email}` }],
    ['a body that is not JSON', { headers: [JSON_TYPE], text: `${password} ${email}` }],
    ['a body of another type', { headers: [['content-type', 'text/plain']], text: `${password} ${email}` }],
    ['a key given twice', { headers: [JSON_TYPE], text: `{"${password}":"${email}","${password}":1}` }],
    ['a root that is not an object', { headers: [JSON_TYPE], text: JSON.stringify([email, password]) }],
    ['a text at the root', { headers: [JSON_TYPE], text: JSON.stringify(password) }],
    ['JSON as a form', { headers: [FORM_TYPE], text: JSON.stringify({ email, password }) }],
    ['a form as JSON', { headers: [JSON_TYPE], text: `email=${email}&password=${password}` }],
    ['a form with a broken escape', { headers: [FORM_TYPE], text: `email=${email}&password=${password}%zz` }],
    ['a body over the limit', { headers: [JSON_TYPE], text: `{"password":"${password.repeat(5_000)}"}` }],
    ['planted headers', { headers: [...planting, JSON_TYPE], text: '[' }],
    [
      'a planted type',
      { headers: [['content-type', `application/${password}; charset=${email}`]], text: '{}' },
    ],
    [
      'a planted query',
      { query: `?password=${password}&email=${email}&code=${code}`, headers: [JSON_TYPE], text: '[' },
    ],
    ['a planted token', { token: password, headers: [JSON_TYPE], text: '[' }],
  ])('when a request brings %s', async (_, sent) => {
    expectNothingTold(await askAll(() => sent))
  })

  test('when secrets are in the wrong fields, as values or as names', async () => {
    const secrets = [
      email,
      password,
      guess,
      code,
      person.accessToken,
      person.refreshToken,
      plants.get('key 1') ?? '',
    ]
    const all = Object.fromEntries(secrets.map((secret) => [secret, secret]))
    const inEach = (value: unknown) => (body: Record<string, unknown> | undefined) =>
      asJson(Object.fromEntries(Object.keys(body ?? { x: 1 }).map((name) => [name, value])))
    expectNothingTold(await askAll((body) => asJson({ ...body, ...all })))
    expectNothingTold(await askAll(inEach(secrets)))
    expectNothingTold(await askAll(inEach(all)))
    for (const secret of secrets) expectNothingTold(await askAll(inEach(`${secret}\u0000`)))
  })

  const quoted = [...plants].map(([name, [text]]) => `${name}=${text}`).join(' ')
  const failure = (name: string, message: string, status = 400): Reply => ({
    status,
    // The body has the error format of AWS and that of Stripe.
    body: JSON.stringify({
      __type: name,
      message,
      Message: message,
      error: { type: 'invalid_request_error', code: name, param: message, message },
    }),
  })

  /** Sends every row's sample while each service in turn gives this answer. */
  async function whileAnswering(reply: Reply): Promise<TestAnswer[]> {
    const answers: TestAnswer[] = []
    for (const station of stations) {
      station.answer(reply)
      answers.push(...(await askAll(asJson)))
      station.answer()
    }
    expect(answers.some(({ status }) => status >= 500)).toBe(true)
    return answers
  }

  test.each<[string, Reply]>([
    ['answers 500 and quotes them', failure('InternalErrorException', quoted, 500)],
    ['refuses and quotes them', failure('ValidationException', quoted)],
    ['answers with text that is not JSON', { status: 200, body: quoted }],
    ['cuts the connection', 'cut'],
  ])('when a service %s', async (_, reply) => {
    expectNothingTold(await whileAnswering(reply))
  })

  test('when a service quotes them on lines that look like stack frames', async () => {
    const message = `refused\n    at ${quoted.replaceAll(' ', '\n    at ')}`
    expectNothingTold(await whileAnswering(failure('ValidationException', message)))
  })

  test('when a stored item is malformed', async () => {
    const { table } = await app.ports()
    const { accountId, accessToken: token } = await plantedPerson()
    const profile = await table.get(keys.profile(accountId))
    for (const spoilt of [
      { sessions: password },
      { username: [email] },
      { status: password },
      { flags: { [password]: email } },
      { defaultKey: `${apiKey}${password}` },
    ]) {
      await table.put({ ...profile, ...spoilt })
      const answers = [
        await app.request('GET', '/v1/user', { token }),
        await app.request('GET', '/api/users/current', { token }),
      ]
      expect(answers.some(({ status }) => status === 500)).toBe(true)
      expectNothingTold(answers)
    }
  })

  test('when every request succeeds', async () => {
    // The requests before have made as many endpoints for events as there may be.
    const { table } = await app.ports()
    for (const { id } of await table.list(ENDPOINTS, '')) await table.remove(eventEndpointKey(String(id)))
    const fresh: Subject[] = []
    // One after the other: a run of `send-mail` for one may be sending the mail that another waits for.
    for (const row of rows) fresh.push(await newSubject(row))
    subjects.splice(0, subjects.length, ...fresh)
    const answers = await askAll(asJson)
    expect(answers.filter(({ status }) => status >= 400)).toEqual([])
    expectNothingTold(answers)
    // Most rows refuse a second request, because the first one has changed the state.
    expectNothingTold(await askAll(asJson))
  })

  describe('cards', () => {
    const { double, dashboard } = stripeOf(app)
    const [stripe] = stations.slice(-1)
    const billing = {
      address: { line1: 'Planted Street 7', city: 'X', postal_code: '1', country: 'DE' },
      email: 'Planted.Person.Card@mail.example',
      phone: '+4930999888777',
    }
    const ADDRESS = { street: 'Planted Street 7', city: 'X', postCode: '1', country: 'DE' }

    /** A card with a planted holder; its fingerprint is planted too. */
    async function plantedCard(number: string): Promise<string> {
      const id = await newCard(app, number, { billing_details: billing })
      const { card } = await dashboard.paymentMethods.retrieve(id)
      plant(`fingerprint of ${number}`, String(card?.fingerprint))
      return id
    }

    const changeTo = (
      { accessToken: token }: SignedInPerson,
      paymentMethod: unknown,
      address: unknown = ADDRESS,
    ) => app.request('PUT', '/v1/user/card', { token, json: { paymentMethod, address } })

    test('that are declined or do not exist', async () => {
      const asking = await plantedPerson()
      const number = '4000002760003184'
      expectNothingTold([
        await verify(app, asking, await plantedCard('4000000000000002')),
        await verify(app, asking, number),
        await verify(app, asking, `pm_${number}`),
        await changeTo(asking, await plantedCard('4000000000009995')),
        await changeTo(asking, { number, cvc: '123' }),
        await changeTo(asking, 'pm_card_visa', { ...ADDRESS, street: 'Planted Street 7 <br>' }),
        await changeTo(asking, 'pm_card_visa', { ...ADDRESS, country: 'Planted Street 7' }),
        await app.request('DELETE', `/api/users/current/payment-method/${number}`, {
          token: asking.accessToken,
        }),
      ])
    })

    test('that require 3-D Secure: the client secret is in the answer and nowhere else', async () => {
      const asking = await plantedPerson()
      const card = await plantedCard('4000002760003184')
      const challenge = await verify(app, asking, card)
      expect(challenge.status).toBe(402)
      plant('client secret of a payment', challenge.body.clientSecret)
      expectNothingPrinted()
      const { clientSecret, ...others } = challenge.body
      expect(planted(JSON.stringify(others))).toEqual([])
      double.authenticate({ paymentIntent: clientSecret.split('_secret_')[0], outcome: 'succeed' })
      await double.flushWebhooks()
      expect((await atStripe(app, asking)).cards).toEqual([card])
      expectNothingPrinted()
    })

    const asked = async (asking: SignedInPerson, owned: string) => {
      const event = bodyOf(
        newEvent('payment_method.updated', { id: owned, object: 'payment_method', ...billing }),
      )
      return [
        await verify(app, asking, 'pm_card_visa'),
        await changeTo(asking, 'pm_card_visa'),
        await post(app, event, signed(event, double.webhookSecret)),
        await app.request('DELETE', `/api/users/current/payment-method/${owned}`, {
          token: asking.accessToken,
        }),
      ]
    }

    test.each([
      ['declines', 402, { type: 'card_error', code: 'card_declined' }],
      ['refuses the key', 401, { type: 'invalid_request_error' }],
      [
        'refuses the request',
        400,
        { type: 'invalid_request_error', code: 'resource_missing', param: 'customer' },
      ],
      ['forbids it', 403, { type: 'invalid_request_error' }],
      ['has too much to do', 429, { type: 'rate_limit_error' }],
      ['fails', 500, { type: 'api_error' }],
    ])('when Stripe %s and quotes them', async (_, status, error) => {
      const asking = await plantedPerson()
      const owned = await cardOnFile(app, asking, await plantedCard('4242424242424242'))
      const quotes = [...plants].map(([name, [text]]) => `${name}=${text}`).join(' ')
      const whole = {
        ...error,
        message: quotes,
        payment_intent: { client_secret: quotes },
        payment_method: billing,
      }
      stripe?.answer({ status, body: JSON.stringify({ error: whole }) })
      const answers = await asked(asking, owned)
      app.advance(60_000)
      const job = await app.job('sweep').catch((failure: Error) => failure.stack)
      stripe?.answer()
      expectNothingTold(answers)
      expect(planted(JSON.stringify(job))).toEqual([])
      expect(answers.filter((answer) => answer.status >= 400).length).toBeGreaterThanOrEqual(2)
    })

    test('in events of Stripe, signed or not', async () => {
      const quotes = [...plants].map(([name, [text]]) => `${name}=${text}`).join(' ')
      const event = bodyOf(
        newEvent('customer.updated', { id: quotes, object: 'customer', ...billing, quotes }),
      )
      const unknown = bodyOf(newEvent(quotes, { id: quotes, object: quotes }))
      const secret = double.webhookSecret
      expectNothingTold([
        await post(app, event, signed(event, secret)),
        await post(app, unknown, signed(unknown, secret)),
        await post(app, event, undefined),
        await post(app, event, secret),
        await post(app, event, `t=1,v1=${secret}`),
        await post(app, event, signed(event, 'whsec_other')),
        await post(app, `${event}${secret}`, signed(event, secret)),
      ])
    })
  })

  test('when a job fails', async () => {
    const [, ...others] = stations
    for (const station of others) station.answer(failure('InternalErrorException', quoted, 500))
    const someone = { username: 'planted-username-job', email: 'Planted.Person.Job@mail.example', password }
    expect((await app.register(someone)).status).toBe(201)
    // Then nobody has confirmed the address in time.
    app.advance(7 * 24 * 3_600_000)
    const said: string[] = []
    for (const job of ['sweep', 'send-mail']) {
      await app.job(job).catch((error: Error) => said.push(`${error.stack}\n${JSON.stringify(error)}`))
    }
    for (const station of others) station.answer()
    // The Lambda runtime prints the errors that a job throws.
    expect(planted(said.join('\n'))).toEqual([])
    expectNothingPrinted()
  })
})

describe('a newline does not start a second log line', () => {
  test('in any field, name, path or query, a planted line stays out of the log', async () => {
    const { accessToken: token } = await app.login(person)
    const fake = '\n{"level":"info","route":"planted-line","status":200}\r\n\u2028\u0085'
    app.logs.length = 0
    const names = (body: Record<string, unknown> | undefined) => Object.keys(body ?? { x: 1 })
    const answers = [
      ...(await askAll((body) => ({
        ...asJson(Object.fromEntries(names(body).map((name) => [name, fake]))),
        token,
      }))),
      ...(await askAll(() => ({ ...asJson({ [fake]: fake }), token }))),
      ...(await askAll(() => ({
        query: `?x=${encodeURIComponent(fake)}`,
        headers: [JSON_TYPE],
        text: fake,
        token,
      }))),
      await app.request('GET', `/rest/users/${encodeURIComponent(fake)}`, { token }),
    ]
    expect(app.logs).toHaveLength(answers.length)
    expect(app.logs.join('\n')).not.toContain('planted')
    expectNothingPrinted()
  })

  test('every line of all that was logged is one line of JSON with known fields', async () => {
    await askAll((body) => asJson({ ...body, unknown: 1 }))
    expectNothingPrinted()
    const request = [
      'level',
      'requestId',
      'route',
      'status',
      'ms',
      'accountId',
      'source',
      'operator',
      'error',
      'cause',
      'frames',
    ]
    const failure = [
      'what',
      'template',
      'item',
      'purchaseId',
      'holdId',
      'cardId',
      'event',
      'type',
      'leftOut',
      'reason',
    ]
    const known = [...request, ...failure]
    for (const line of logged) {
      expect(line).toMatch(/^\{[^\r\n\u2028\u0085]*\}$/)
      const { job, ...fields } = JSON.parse(line)
      // The line of a job has counts of its work.
      const strange = Object.entries(fields).filter(
        ([name, value]) => !known.includes(name) && !(job !== undefined && typeof value === 'number'),
      )
      expect(strange).toEqual([])
    }
    const routes = new Set(logged.map((line) => JSON.parse(line).route))
    expect(rows.filter(({ dialect, file }) => !routes.has(`${dialect}/${file}`)).map(rowKey)).toEqual([])
  })
})

test('after all of this the audit log and the events hold no secret', async () => {
  const kept = (await wholeTable(app)).filter(({ sk }) => /^(AUDIT|OUTEVENT)#/.test(String(sk)))
  expect(kept.length).toBeGreaterThan(20)
  // What an address was before and after a change is in the log until the account is erased.
  expect(planted(JSON.stringify(kept)).filter((name) => name !== 'address')).toEqual([])
})
