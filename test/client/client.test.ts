import { inspect } from 'node:util'
import { BursarError, type Client, type ClientOptions, createClient, type Tokens } from 'bursar/client'
import { describe, expect, test } from 'vitest'
import { createClientWith } from '../../functions/client/client.ts'
import { startApp } from '../support/app.ts'
import { newBuyer } from '../support/buyers.ts'
import { newPerson } from '../support/people.ts'
import { counterOf, newConsumer } from '../support/quota.ts'
import { stripeOf } from '../support/stripe.ts'

const app = await startApp()
const QUARTER_MS = 15 * 60_000

/** Counts the requests that `fetch` sends, by method and path. */
function counted(fetch: typeof globalThis.fetch = globalThis.fetch) {
  const sent: string[] = []
  const counting: NonNullable<ClientOptions['fetch']> = (url, init) => {
    sent.push(`${init.method} ${new URL(url).pathname}`)
    return fetch(url, init)
  }
  return { sent, fetch: counting }
}

/** A client whose waits move the clock of every part in place of taking time. */
function clientOf(options: Partial<ClientOptions> = {}): { client: Client; waits: number[] } {
  const waits: number[] = []
  const wait = async (ms: number) => {
    waits.push(ms)
    app.advance(ms)
  }
  return { client: createClientWith({ url: app.url, ...options }, { random: () => 0, wait }), waits }
}

/** Does the first `times` requests and loses their answers. */
function lossy(times: number): typeof globalThis.fetch {
  let left = times
  return async (...args) => {
    const answer = await fetch(...args)
    if (left-- <= 0) return answer
    await answer.text()
    throw new TypeError('fetch failed')
  }
}

/** Reads a list to its end. */
async function all<Item>(list: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = []
  for await (const item of list) items.push(item)
  return items
}

const failure = (promise: Promise<unknown>): Promise<BursarError> =>
  promise.then(
    () => expect.fail('the call succeeded'),
    (error) => {
      expect(error).toBeInstanceOf(BursarError)
      return error
    },
  )

test('somebody registers, signs in, makes a key and spends with nothing but the client', async () => {
  const client = createClient({ url: `${app.url}/` })
  const person = newPerson()
  const { content } = await client.users.create(person)
  expect(content.username).toBe(person.username)
  expect(await client.account.activate({ code: app.mailedCode(person.email) })).toHaveProperty('message')
  const { accessToken } = await client.sessions.login({ email: person.email, password: person.password })
  expect(client.tokens()?.accessToken).toBe(accessToken)
  expect((await client.account.get()).email).toBe(person.email)
  const { key, id } = await client.keys.create({ name: 'ci' })
  expect(await client.usage.consume({ units: 3 }, { key })).toMatchObject({ left: 97, used: 3, key: { id } })
  expect(await client.keys.delete(id)).toBeUndefined()
  expect(await client.sessions.logout()).toBeUndefined()
  expect(client.tokens()).toBeUndefined()
  expect((await failure(client.account.get())).code).toBe('unauthorized')
})

describe('access tokens', () => {
  test('calls with an expired token share one refresh, and each is repeated once', async () => {
    const { accessToken, refreshToken } = await app.signUp()
    const heard: (Tokens | undefined)[] = []
    const { sent, fetch } = counted()
    const client = createClient({
      url: app.url,
      fetch,
      tokens: { accessToken, refreshToken },
      onTokens: (tokens) => heard.push(tokens),
    })
    app.advance(QUARTER_MS + 1000)
    await Promise.all([1, 2, 3, 4, 5].map(() => client.account.get()))
    expect(sent.filter((request) => request === 'POST /v1/auth/refresh')).toHaveLength(1)
    expect(sent).toHaveLength(11)
    expect(heard).toEqual([client.tokens()])
    expect(client.tokens()?.accessToken).not.toBe(accessToken)
    await client.account.get()
    expect(sent).toHaveLength(12)
  })

  test('a late answer to an expired token takes the token that is there by then', async () => {
    const { accessToken, refreshToken } = await app.signUp()
    const { sent, fetch } = counted()
    const held = Promise.withResolvers<void>()
    let first = true
    const slow: NonNullable<ClientOptions['fetch']> = async (url, init) => {
      const isFirst = first
      first = false
      const answer = await fetch(url, init)
      if (isFirst) await held.promise
      return answer
    }
    const client = createClient({ url: app.url, fetch: slow, tokens: { accessToken, refreshToken } })
    app.advance(QUARTER_MS + 1000)
    const late = client.account.get()
    await client.account.get()
    held.resolve()
    await late
    expect(sent.filter((request) => request === 'POST /v1/auth/refresh')).toHaveLength(1)
  })

  test('a refresh token alone is enough', async () => {
    const { refreshToken, email } = await app.signUp()
    const client = createClient({ url: app.url, tokens: { refreshToken } })
    expect((await client.account.get()).email).toBe(email)
  })

  test('a session that has ended is not refreshed: the tokens are forgotten, and the call is not repeated', async () => {
    const { accessToken, refreshToken } = await app.signUp()
    const { sent, fetch } = counted()
    const heard: unknown[] = []
    const options = { url: app.url, fetch, tokens: { accessToken, refreshToken } }
    const client = createClient({ ...options, onTokens: (tokens) => heard.push(tokens) })
    await app.request('POST', '/v1/auth/logout', { json: { refreshToken } })
    expect((await failure(client.account.get())).code).toBe('session_ended')
    expect([sent, heard]).toEqual([['GET /v1/user'], [undefined]])
  })

  test('a refresh that is refused ends the session for all who wait for it', async () => {
    const { accessToken, refreshToken } = await app.signUp()
    const { client } = clientOf({ tokens: { accessToken, refreshToken } })
    await app.request('POST', '/v1/auth/logout', { json: { refreshToken } })
    app.advance(QUARTER_MS + 1000)
    const codes = await Promise.all([1, 2].map(async () => (await failure(client.account.get())).code))
    expect(codes).toEqual(['session_ended', 'session_ended'])
    expect(client.tokens()).toBeUndefined()
  })

  test('a refresh that ends after somebody else has signed in does not replace their session', async () => {
    const [ada, bob] = [await app.signUp(), await app.signUp()]
    let login: Promise<unknown> | undefined
    const meddling: NonNullable<ClientOptions['fetch']> = async (url, init) => {
      const answer = await fetch(url, init)
      if (url.endsWith('/refresh')) {
        login = client.sessions.login({ email: bob.email, password: bob.password })
        await login
      }
      return answer
    }
    const client = createClient({ url: app.url, fetch: meddling, tokens: { refreshToken: ada.refreshToken } })
    await client.account.get()
    expect((await client.account.get()).email).toBe(bob.email)
  })

  test('signing out works with an expired access token', async () => {
    const { accessToken, refreshToken } = await app.signUp()
    const client = createClient({ url: app.url, tokens: { accessToken, refreshToken } })
    app.advance(QUARTER_MS + 1000)
    await client.sessions.logout()
    const again = await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })
    expect(again.body.type).toBe('urn:bursar:problem:session_ended')
  })

  test('a proof in letters that no header can hold reaches Bursar', async () => {
    const person = await app.signUpOverHttp({ password: 'Zażółć123!' })
    app.advance(11 * 60_000)
    const client = createClient({ url: app.url, tokens: person })
    expect((await failure(client.keys.create({ name: 'a' }))).code).toBe('reauthentication_required')
    expect((await client.keys.create({ name: 'a' }, { proof: { password: person.password } })).name).toBe('a')
  })
})

describe('lists', () => {
  test('a list is read page by page along its Link headers, each entry once and in order', async () => {
    const person = await newBuyer(app)
    const { sent, fetch } = counted()
    const client = createClient({ url: app.url, fetch, tokens: person })
    expect((await all(client.ledger.list({ limit: '1' }))).map(({ seq }) => seq)).toEqual([1, 2, 3])
    expect(sent).toHaveLength(3)
    const { items, cursor } = await client.ledger.list({ limit: '2' }).page()
    expect(items.map(({ seq }) => seq)).toEqual([1, 2])
    const rest = cursor === undefined ? {} : { cursor }
    expect((await all(client.ledger.list(rest))).map(({ seq }) => seq)).toEqual([3])
  })

  test('an export is a list of its pages, and nothing is sent before it is read', async () => {
    const person = await app.signUp()
    const { sent, fetch } = counted()
    const pages = createClient({ url: app.url, fetch, tokens: person }).account.export()
    expect(sent).toEqual([])
    const [first] = await all(pages)
    expect(first).toMatchObject({ version: 1, profile: [{ username: person.username }] })
  })
})

describe('repeats', () => {
  test('a spend whose answer was lost is repeated under its id, and spent once', async () => {
    const person = await newConsumer(app, 10)
    const { client, waits } = clientOf({ key: person.key, fetch: lossy(2) })
    expect(await client.usage.consume({ units: 4 })).toMatchObject({ left: 6, used: 4, replayed: true })
    expect(waits).toEqual([125, 250])
    expect(await counterOf(app, person)).toMatchObject({ l: 6, u: 4 })
  })

  test('a refill whose answer was lost charges once', async () => {
    const person = await newBuyer(app)
    const { double } = stripeOf(app)
    const before = double.calls()['POST /v1/payment_intents'] ?? 0
    const { client } = clientOf({ tokens: person, fetch: lossy(1) })
    expect(await client.bundle.buy()).toBeUndefined()
    expect((double.calls()['POST /v1/payment_intents'] ?? 0) - before).toBe(1)
  })

  test('the error of a lost answer names the id with which the caller goes on', async () => {
    const person = await newConsumer(app, 10)
    const { client } = clientOf({ key: person.key, fetch: lossy(1), retries: 0 })
    const { code, status, idempotencyKey } = await failure(client.usage.consume({ units: 1 }))
    expect([code, status]).toEqual(['connection_lost', 0])
    expect(await client.usage.consume({ units: 1 }, { idempotencyKey })).toMatchObject({
      used: 1,
      replayed: true,
    })
  })

  test('a requestId in the body takes the place of an Idempotency-Key', async () => {
    const person = await newConsumer(app, 10)
    const { client } = clientOf({ key: person.key })
    await client.usage.consume({ units: 1, requestId: 'mine' })
    expect(await client.usage.consume({ units: 1, requestId: 'mine' })).toMatchObject({
      used: 1,
      replayed: true,
    })
  })

  test('a sign-in whose answer was lost is not repeated, since its code may be used up', async () => {
    const { email, password } = await app.signUp()
    const { sent, fetch } = counted(lossy(1))
    const { client } = clientOf({ fetch })
    expect((await failure(client.sessions.login({ email, password }))).code).toBe('connection_lost')
    expect(sent).toHaveLength(1)
  })

  test('Retry-After is obeyed', async () => {
    const { email, password } = await app.signUp()
    const { client, waits } = clientOf()
    for (let wrong = 0; wrong < 5; wrong += 1) {
      const { code } = await failure(client.sessions.login({ email, password: 'Wrong123!' }))
      expect(code).toBe('invalid_credentials')
    }
    expect(await client.sessions.login({ email, password })).toHaveProperty('accessToken')
    expect(waits).toEqual([1000])
  })

  test('an error that asks for a longer wait than agreed is thrown at once, with the time', async () => {
    const person = await app.signUp()
    const { client, waits } = clientOf({ tokens: person })
    for (let at = 0; at < 5; at += 1) {
      await client.account.export().page()
      app.advance(61_000)
    }
    const error = await failure(client.account.export().page())
    expect([error.code, error.status, waits]).toEqual(['too_many_exports', 429, []])
    expect(error.retryAfter).toBeGreaterThan(3000)
  })

  test('a request whose first copy is still under way is repeated under its key; an empty quota is not asked again', async () => {
    const keys: unknown[] = []
    const answers: [number, string][] = [
      [409, 'request_in_flight'],
      [402, 'quota_exhausted'],
    ]
    const fetch = async (_: string, { headers }: RequestInit) => {
      keys.push((headers as Record<string, string>)['idempotency-key'])
      const [status, code] = answers.shift() ?? expect.fail('asked again')
      return Response.json(
        { type: `urn:bursar:problem:${code}` },
        { status, headers: { 'retry-after': '2' } },
      )
    }
    const { client, waits } = clientOf({ fetch, key: 'k' })
    expect((await failure(client.usage.consume({ units: 1 }))).code).toBe('quota_exhausted')
    expect([keys.length, new Set(keys).size, waits]).toEqual([2, 1, [2000]])
  })

  test('a service that stays away is asked three times in all', async () => {
    const { accessToken } = await app.signUp()
    const { sent, fetch } = counted()
    const { client, waits } = clientOf({ tokens: { accessToken }, fetch })
    app.stack.dynamo.addFault({ fault: 'error-before' })
    const { code } = await failure(client.account.get())
    app.stack.dynamo.clearFaults()
    expect([code, sent.length, waits]).toEqual(['temporarily_unavailable', 3, [1000, 1000]])
  })
})

describe('errors', () => {
  test('a spend beyond what is left tells what is left, what was needed and where to get more', async () => {
    const { key } = await newConsumer(app, 2)
    const error = await failure(createClient({ url: app.url, key }).usage.consume({ units: 3 }))
    expect(error).toMatchObject({ code: 'quota_exhausted', status: 402, left: 2, needed: 3, retryAfter: 60 })
    expect(error).toMatchObject({ refill: '/v1/user/bundle', name: 'BursarError' })
    expect(error.message).toMatch(/^Not enough units are left/)
  })

  test('a payment that needs 3-D Secure has its secret, which a logged error does not show', async () => {
    const client = createClient({ url: app.url, tokens: await app.signUp() })
    const error = await failure(client.cards.verify({ paymentMethod: 'pm_card_authenticationRequired' }))
    expect(error.code).toBe('payment_action_required')
    const secret = error.clientSecret ?? expect.fail('no secret')
    expect(secret).toMatch(/_secret_/)
    expect(JSON.stringify(error) + inspect(error)).not.toContain(secret)
  })

  test('refused fields are listed, and Skylink’s endpoints give their code too', async () => {
    const client = createClient({ url: app.url })
    const person = await app.signUp()
    const taken = await failure(client.users.create({ ...newPerson(), username: person.username }))
    expect(taken.code).toBe('username_taken')
    const refused = await failure(client.users.create({ ...newPerson(), email: 'nowhere' }))
    expect(refused).toMatchObject({ code: 'invalid_request', errors: [{ field: 'email' }] })
  })

  test('what a proxy answers is no error of Bursar, and no redirect is followed', async () => {
    const answers = [
      new Response('<html>', { status: 200 }),
      new Response('<html>', { status: 403 }),
      new Response(null, { status: 302, headers: { location: 'https://elsewhere.example/' } }),
      Response.json({ message: 'Too Many Requests' }, { status: 429 }),
    ]
    const sent: RequestInit[] = []
    const fetch = async (_: string, init: RequestInit) => {
      sent.push(init)
      return answers.shift() ?? expect.fail('too many requests')
    }
    const client = createClient({ url: app.url, fetch, key: 'k', retries: 0 })
    const codes = []
    for (const _ of [1, 2, 3, 4]) codes.push((await failure(client.usage.balance())).code)
    expect(codes).toEqual([
      'unexpected_answer',
      'unexpected_answer',
      'unexpected_answer',
      'too_many_requests',
    ])
    expect(sent.map(({ redirect }) => redirect)).toEqual(Array(4).fill('manual'))
  })

  test('without a key, and with an id that leads elsewhere, nothing is sent', async () => {
    const { sent, fetch } = counted()
    const client = createClient({ url: app.url, fetch, tokens: { accessToken: 'a' } })
    expect((await failure(client.usage.balance())).code).toBe('unauthorized')
    await expect(client.sessions.end('..')).rejects.toThrow(TypeError)
    await expect(client.usage.balance({ key: 'secret\n' })).rejects.toThrow(/^The key or token has/)
    expect(sent).toEqual([])
  })
})

describe('time-outs and aborts', () => {
  /** Never answers, and does not heed its signal. */
  const silent = () => new Promise<Response>(() => {})

  test('a try without an answer ends after its time, and is repeated where that is safe', async () => {
    const { sent, fetch } = counted(silent)
    const { client } = clientOf({ fetch, timeoutMs: 1, key: 'k' })
    const { code, message } = await failure(client.usage.balance())
    expect([code, message, sent.length]).toEqual(['timed_out', 'No answer within 1 ms.', 3])
  })

  test('an aborted call throws the reason of its signal, while it waits for an answer or for a repeat', async () => {
    const controller = new AbortController()
    const { sent, fetch } = counted(silent)
    const client = createClient({ url: app.url, fetch, key: 'k' })
    const call = client.usage.balance({ signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(call).rejects.toThrow('enough')
    await expect(client.usage.balance({ signal: controller.signal })).rejects.toThrow('enough')
    expect(sent).toHaveLength(1)
    const busy = async () => Response.json({}, { status: 503, headers: { 'retry-after': '9' } })
    const waiting = createClient({ url: app.url, key: 'k', fetch: busy }).usage.balance({
      signal: AbortSignal.timeout(1),
    })
    await expect(waiting).rejects.toThrow(/timeout/)
  })

  test('who aborts waits no longer for a refresh, which goes on for the others', async () => {
    const { refreshToken, email } = await app.signUp()
    const held = Promise.withResolvers<void>()
    const { sent, fetch } = counted(async (...args) => {
      await held.promise
      return globalThis.fetch(...args)
    })
    const client = createClient({ url: app.url, fetch, tokens: { refreshToken } })
    const controller = new AbortController()
    const aborted = client.account.get({ signal: controller.signal })
    const other = client.account.get()
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    held.resolve()
    expect((await other).email).toBe(email)
    expect(sent).toEqual(['POST /v1/auth/refresh', 'GET /v1/user'])
  })

  test('a list that leads from a page to the same page ends with an error', async () => {
    const headers = { link: '</v1/ledger?cursor=7>; rel="next"' }
    const client = createClient({
      url: app.url,
      fetch: async () => Response.json([1], { headers }),
      tokens: { accessToken: 'a' },
    })
    await expect(all(client.ledger.list())).rejects.toMatchObject({ code: 'unexpected_answer' })
  })
})
