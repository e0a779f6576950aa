import { describe, expect, test, vi } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { type SignedInPerson, startApp, type TestAnswer } from '../support/app.ts'
import { rowKey, type Sample, sampleOf } from '../support/samples.ts'
import { targetOf } from './contract.ts'
import { type Reply, services, stationBefore } from './outage.ts'
import { sendRaw } from './raw.ts'

const app = await startApp()
const stations = await Promise.all(services.map(stationBefore))

/** Whatever is printed beside the log, such as a library's warning. */
const printed: string[] = []
for (const method of ['debug', 'info', 'warn', 'error', 'trace'] as const) {
  vi.spyOn(console, method).mockImplementation(
    (...args: unknown[]) => void printed.push(args.map(String).join(' ')),
  )
}

const password = 'Pl4nted!Pass%word'
const guess = 'Wr0ng!Guess%typed'

/** What a planted text could look like by the time it is printed, in lower case. */
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

/** Secrets and personal data by what they are, in all their forms. */
const plants = new Map<string, Set<string>>()
const plant = (name: string, text: string) => plants.set(name, new Set(forms(text)))

// Names and addresses by how all of them begin.
plant('address', 'Planted.Person')
plant('username', 'planted-username')
plant('password', password)
plant('guessed password', guess)
plant('client secret', app.stack.cognito.clientSecret)
plant('root secret', String(process.env.ROOT_SECRET))

/** Which planted texts occur in another, in any case. */
function planted(text: string): string[] {
  const lower = text.toLowerCase()
  return [...plants].flatMap(([name, texts]) =>
    [...texts].some((form) => lower.includes(form)) ? [name] : [],
  )
}

/** A row, somebody planted who asks it, and what they send. */
interface Subject {
  row: Placed
  person: SignedInPerson
  sample: Sample
}

let people = 0

/** Somebody whose name, address, password, codes, tokens and key are all planted. */
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

const person = await plantedPerson()
const { email, username } = person
const code = app.mailedCode(email)
const { apiKey } = (await app.request('GET', '/v1/user', { token: person.accessToken })).body
const subjects: Subject[] = []
for (const row of rows) {
  const asking = await plantedPerson()
  subjects.push({ row, person: asking, sample: await sampleOf(app, row, asking) })
}

/** Every line that was logged, those that were looked at already included. */
const logged: string[] = []

/** That what was printed since the last look shows nothing planted. */
function expectNothingPrinted(): void {
  const lines = app.logs.splice(0)
  logged.push(...lines)
  expect(planted([...lines, ...printed.splice(0)].join('\n'))).toEqual([])
}

/** Nor what was answered, where it is a refusal. */
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

/** One request to each row with what `make` makes of its sample's body. */
const askAll = (make: (body: Record<string, unknown> | undefined) => Sent): Promise<TestAnswer[]> =>
  Promise.all(
    subjects.map(({ row, person, sample }) => {
      const [method, target] = targetOf(row.routes[0], sample.path)
      const { headers = [], query = '', text = '', token = person.accessToken } = make(sample.body)
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
const asJson = (body: Record<string, unknown> | undefined): Sent =>
  body ? { headers: [JSON_TYPE], text: JSON.stringify(body) } : {}

test('the search finds what is planted, in any form', async () => {
  for (const [name, texts] of [...plants].slice(0, 12)) {
    for (const form of texts)
      expect([name, form.length > 8, planted(`x${form.toUpperCase()}y`)[0]]).toEqual([name, true, name])
  }
  const { text } = await app.request('GET', '/v1/user', { token: person.accessToken })
  expect(planted(text)).toEqual(['address', 'username', 'key 1'])
  expect(app.logs.length).toBeGreaterThan(rows.length)
  expectNothingPrinted()
})

describe('attack 114: no log line and no error shows a password, a code, a token, a key, a name or an address', () => {
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
    ['cookie', `session=${person.refreshToken}`],
    ['user-agent', email],
    ['referer', `https://x.example/?t=${code}`],
  ]

  test.each<[string, Sent]>([
    ['a body that is torn', { headers: [JSON_TYPE], text: `{"password":"${password}","email":"${email}` }],
    ['a body that is no JSON', { headers: [JSON_TYPE], text: `${password} ${email}` }],
    ['a body of another type', { headers: [['content-type', 'text/plain']], text: `${password} ${email}` }],
    ['a key given twice', { headers: [JSON_TYPE], text: `{"${password}":"${email}","${password}":1}` }],
    ['a root that is no object', { headers: [JSON_TYPE], text: JSON.stringify([email, password]) }],
    ['a text at the root', { headers: [JSON_TYPE], text: JSON.stringify(password) }],
    ['JSON as a form', { headers: [FORM_TYPE], text: JSON.stringify({ email, password }) }],
    ['a form as JSON', { headers: [JSON_TYPE], text: `email=${email}&password=${password}` }],
    ['a form with a broken escape', { headers: [FORM_TYPE], text: `email=${email}&password=${password}%zz` }],
    ['too large a body', { headers: [JSON_TYPE], text: `{"password":"${password.repeat(5_000)}"}` }],
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

  test('when secrets stand in the wrong fields, as values and as names', async () => {
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
    body: JSON.stringify({ __type: name, message, Message: message }),
  })

  /** Each service in turn answers this to every row's sample. */
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
    ['answers what is no JSON', { status: 200, body: quoted }],
    ['cuts the connection', 'cut'],
  ])('when a service %s', async (_, reply) => {
    expectNothingTold(await whileAnswering(reply))
  })

  test('when a service quotes them on lines that look like a stack frame’s', async () => {
    const message = `refused\n    at ${quoted.replaceAll(' ', '\n    at ')}`
    expectNothingTold(await whileAnswering(failure('ValidationException', message)))
  })

  test('when a stored item is not what it should be', async () => {
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

  test('while everything goes well', async () => {
    const fresh = await Promise.all(
      rows.map(async (row) => {
        const asking = await plantedPerson()
        return { row, person: asking, sample: await sampleOf(app, row, asking) }
      }),
    )
    subjects.splice(0, subjects.length, ...fresh)
    const answers = await askAll(asJson)
    expect(answers.filter(({ status }) => status >= 400)).toEqual([])
    expectNothingTold(answers)
    // And what they did is done: the same again is refused by most.
    expectNothingTold(await askAll(asJson))
  })

  test('when a job fails', async () => {
    const [, ...others] = stations
    for (const station of others) station.answer(failure('InternalErrorException', quoted, 500))
    const someone = { username: 'planted-username-job', email: 'Planted.Person.Job@mail.example', password }
    expect((await app.register(someone)).status).toBe(503)
    app.advance(2 * 3_600_000)
    const said: string[] = []
    for (const job of ['sweep', 'send-mail']) {
      await app.job(job).catch((error: Error) => said.push(`${error.stack}\n${JSON.stringify(error)}`))
    }
    for (const station of others) station.answer()
    // What a job throws the runtime prints.
    expect(planted(said.join('\n'))).toEqual([])
    expectNothingPrinted()
  })
})

describe('attack 120: a newline makes no second line', () => {
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

  test('every line of all that was logged is one line of JSON with known fields', () => {
    const known = ['level', 'requestId', 'route', 'status', 'ms', 'accountId', 'error', 'cause', 'frames']
    for (const line of logged) {
      expect(line).toMatch(/^\{[^\r\n\u2028\u0085]*\}$/)
      const { job, ...fields } = JSON.parse(line)
      // A job's line counts what it did.
      const strange = Object.entries(fields).filter(
        ([name, value]) => !known.includes(name) && !(job !== undefined && typeof value === 'number'),
      )
      expect(strange).toEqual([])
    }
    const routes = new Set(logged.map((line) => JSON.parse(line).route))
    expect(rows.filter(({ dialect, file }) => !routes.has(`${dialect}/${file}`)).map(rowKey)).toEqual([])
  })
})
