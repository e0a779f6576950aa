import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { customerRows } from '../../functions/http/rows.ts'
import { claims } from '../support/app.ts'
import { newPerson, type Person } from '../support/people.ts'
import { copyProject } from '../support/project-copy.ts'
import { startRegistry } from '../support/registry.ts'
import { listen } from './http.ts'
import { pagesUrl } from './pages-url.ts'
import { HELP } from './start-options.ts'
import { shellWalkThrough, walkThrough } from './walk-through.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const MINUTE_MS = 60_000

const changing = copyProject()
const withoutDatabase = copyProject({ without: '@dynoxide' })

/** The commands find this Node first, as in npm's scripts, and inherit no other variable. */
const ENV = { PATH: dirname(process.execPath) + delimiter + process.env.PATH, HOME: tmpdir() }

const folders: string[] = []
const children: ChildProcess[] = []
afterAll(() => {
  for (const { pid, exitCode, signalCode, spawnargs } of children) {
    if (exitCode !== null || signalCode !== null) continue
    process.kill(spawnargs[0] === 'npm' ? -Number(pid) : Number(pid), 'SIGKILL')
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bursar-dev-'))
  folders.push(folder)
  return folder
}

const START = [process.execPath, 'test/local/start.ts']
const NPM = ['npm', 'run', '-s', 'dev', '--']

interface Launch {
  /** `START` or `NPM`. */
  command?: string[]
  cwd?: string
  env?: Record<string, string>
  /** Where the port comes from. If left out, the server gets a free port as an option. */
  port?: 'of the environment'
}

/** Starts a command. `said` holds its output so far; `ended` resolves with its exit code and signal. */
function run(args: string[], { command = START, cwd = ROOT, env = {} }: Launch = {}) {
  const [program = '', ...first] = command
  // npm gets its own process group, as in a terminal.
  const child = spawn(program, [...first, ...args], {
    cwd,
    env: { ...ENV, ...env },
    detached: program === 'npm',
  })
  children.push(child)
  const said = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.err += text
  })
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal }))
  return { child, said, ended }
}

/** Starts a server and waits until it is ready. */
async function start(args: string[], launch?: Launch) {
  const { child, said, ended } = run(launch?.port ? args : ['--port', '0', ...args], launch)
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', () => {
      const ready = /^ready (http:\/\/127\.0\.0\.1:\d+)$/m.exec(said.out)?.[1]
      if (ready) resolve(ready)
    })
    void ended.then(() => reject(new Error(`it ended: ${said.err}`)))
  })
  const stop = (signal: NodeJS.Signals) => {
    child.kill(signal)
    return ended
  }
  return { url, child, said, ended, stop }
}

interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of every shape
  body: any
}

async function send(url: string, request: string, json?: unknown, token?: string): Promise<Answer> {
  const [method = '', path = ''] = request.split(' ')
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (token !== undefined) headers.authorization = `Bearer ${token}`
  const body = json === undefined ? {} : { body: typeof json === 'string' ? json : JSON.stringify(json) }
  const response = await fetch(url + path, { method, headers, ...body })
  const text = await response.text()
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
}

const register = (url: string, person: Person) => send(url, 'POST /rest/users', person)

/** Confirms the address of a person who has registered, with the code in the mail. */
async function confirm(url: string, { email }: Person): Promise<void> {
  const [{ text }] = (await send(url, `GET /_local/mail?to=${email}`)).body
  const code = /\b[0-9a-f]{32}\b/.exec(text)?.[0]
  expect((await send(url, 'POST /v1/auth/activate', { code })).status).toBe(200)
}

const login = (url: string, { email, password }: Person) =>
  send(url, 'POST /v1/auth/login', { email, password })

/** Command lines of the database processes that use this folder. */
const databasesOn = (folder: string): string[] =>
  execFileSync('ps', ['-A', '-ww', '-o', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((args) => args.includes('--db-path') && args.includes(folder))

const expectNoDatabaseOn = (folder: string) =>
  vi.waitFor(() => expect(databasesOn(folder)).toEqual([]), { timeout: 5_000, interval: 20 })

const WALK_ANSWERS = 13

/**
 * The JSON values in a printed text. A value is on one line, or its first and last bracket each start a line.
 */
// biome-ignore lint/suspicious/noExplicitAny: answers have every shape
const answersIn = (out: string): any[] =>
  (out.match(/^(\{\n[\s\S]*?\n\}|\[\n[\s\S]*?\n\]|\{.*\}|\[.*\]|\d{3})$/gm) ?? []).map((each) =>
    JSON.parse(each),
  )

/** Expects the answers of the walk-through, in order. */
// biome-ignore lint/suspicious/noExplicitAny: answers have every shape
function expectWalk(answers: any[]): void {
  const [registered, activated, emcp, greencloud, skylink, proved, cards, signedUp, ...rest] = answers
  const { username, email } = registered.content
  expect(registered).toMatchObject({ status: 1, content: { username: expect.stringMatching(/^ada\d+$/) } })
  expect(activated).toEqual({ message: 'E-mail address is confirmed' })
  expect(emcp).toMatchObject({ email, emailVerified: true, status: 0 })
  expect(greencloud).toMatchObject({ id: emcp._id, email, name: username })
  expect(skylink).toMatchObject({ status: 1, content: { username, status: 'verified' } })
  expect(proved).toEqual({ status: 'ok' })
  expect(cards.data).toMatchObject([{ card: { brand: 'visa', last4: '4242' } }])
  expect(signedUp).toBe(204)
  const [spent, again, usage, ledger, invoice] = rest
  const numbers = { left: 1097, used: 3 }
  expect([spent, again]).toMatchObject([numbers, { ...numbers, replayed: true }])
  expect(spent.replayed).toBeUndefined()
  expect(usage).toMatchObject({ allusage: 3, days: [{ units: 3, keys: [{ id: 'default', units: 3 }] }] })
  expect(ledger.map(({ kind }: { kind: string }) => kind)).toEqual(['trial', 'payment', 'sale'])
  expect(invoice).toMatchObject({ amount: 0.99, description: 'STARTER (1,000 units)', status: 'succeeded' })
}

// One server, whose clock the tests move: they run in this order.
describe('a running server', { shuffle: false }, () => {
  let server: Awaited<ReturnType<typeof start>>
  const local = (request: string, json?: unknown) => send(server.url, request, json)

  /** What the server has printed by the time that it is ready. */
  let said: { out: string; err: string }
  const dataFolder = newFolder()

  beforeAll(async () => {
    server = await start(['--data', dataFolder, '--no-schedule'])
    said = { ...server.said }
  })
  afterAll(() => server.stop('SIGTERM'))

  test('the first screen says what starts, where, what to try, where to look, and that it is ready', () => {
    const { out, err } = said
    for (const part of ['DynamoDB', 'Cognito', 'SES and KMS', 'functions']) {
      expect(out).toMatch(new RegExp(`^ {2}starting {2}${part}`, 'm'))
    }
    expect(out).toContain(`\n  API       ${server.url}\n  data      in ${dataFolder}/, kept; `)
    for (const place of [
      'npm run dev -- --routes',
      'npm run demo',
      `${server.url}/openapi.json`,
      ...['/', '/overview', '/console', '/docs'].map((path) => pagesUrl(server.url) + path),
      'README.md',
    ]) {
      expect(out).toContain(place)
    }
    expect(out.split('\n').length).toBeLessThanOrEqual(28)
    expect(out).toMatch(/\nready http:\/\/127\.0\.0\.1:\d+\n$/)
    expect(err).toBe('')
    expect(out).not.toContain('\x1b')
  })

  test('each of the three commands of the first screen works when it is pasted, and works again', () => {
    const commands = server.said.out.match(/^ {2}curl .*$/gm) ?? []
    const answer = (line: string) =>
      JSON.parse(
        execFileSync('bash', ['-c', line], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
      )
    const [health, registered, mail] = commands.map(answer)
    expect(commands).toHaveLength(3)
    expect(health).toEqual({ status: 'ok' })
    expect(registered).toMatchObject({ status: 1, content: { username: 'ada' } })
    expect(mail).toMatchObject([{ to: 'ada@mail.example', subject: 'Confirm your e-mail address' }])
    const [, again] = commands.map(answer)
    // The same registration again gets the same answer, and makes no second account.
    expect(again).toEqual(registered)
  })

  test('the walk-through works when it is pasted into bash unchanged, and works again', async () => {
    const pasted = shellWalkThrough(server.url)
    const bash = spawn('bash', ['--noprofile', '--norc', '-i'], { env: ENV })
    const out = text(bash.stdout)
    bash.stdin.end(`${pasted}\n${pasted}\nexit\n`)
    const answers = answersIn(await out)
    expect(answers).toHaveLength(2 * WALK_ANSWERS)
    expectWalk(answers.slice(0, WALK_ANSWERS))
    expectWalk(answers.slice(WALK_ANSWERS))
  })

  test('GET /_local returns the addresses of the parts', async () => {
    const { status, body } = await local('GET /_local')
    expect(status).toBe(200)
    expect(body).toMatchObject({ api: server.url, table: 'bursar', now: expect.any(Number) })
    for (const part of [body.dynamodb, body.cognito]) {
      expect(part).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
      await fetch(part)
    }
    expect(Math.abs(body.now - Date.now())).toBeLessThan(MINUTE_MS)
  })

  test('GET /_local/mail returns the mail of one address, oldest first', async () => {
    const [ada, eve] = [newPerson(), newPerson()]
    await register(server.url, ada)
    await register(server.url, eve)
    const { body } = await local(`GET /_local/mail?to=${ada.email}`)
    expect(body).toEqual([
      {
        to: ada.email,
        subject: 'Confirm your e-mail address',
        text: expect.stringMatching(/\b[0-9a-f]{32}\b/),
        sentAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      },
    ])
    const all = (await local('GET /_local/mail')).body.map(({ to }: { to: string }) => to)
    expect(all.indexOf(ada.email)).toBeLessThan(all.indexOf(eve.email))
  })

  test('POST /_local/clock moves every part', async () => {
    const person = newPerson()
    await register(server.url, person)
    await confirm(server.url, person)
    const { accessToken: token } = (await login(server.url, person)).body
    expect((await send(server.url, 'GET /v1/user', undefined, token)).status).toBe(200)

    const before = (await local('GET /_local')).body.now
    const moved = await local('POST /_local/clock', { advanceMs: 15 * MINUTE_MS })
    expect(moved.status).toBe(200)
    const aheadMs = moved.body.now - before
    expect(aheadMs).toBeGreaterThanOrEqual(15 * MINUTE_MS)
    expect(aheadMs).toBeLessThan(16 * MINUTE_MS)

    // The authorizer and its cache, the functions, the user pool and the mail box.
    expect((await send(server.url, 'GET /v1/user', undefined, token)).status).toBe(401)
    const later = newPerson()
    const { created } = (await register(server.url, later)).body.content
    await confirm(server.url, later)
    const { accessToken } = (await login(server.url, later)).body
    const [{ sentAt }] = (await local(`GET /_local/mail?to=${later.email}`)).body
    for (const at of [Date.parse(created), claims(accessToken).iat * 1000, Date.parse(sentAt)]) {
      expect(at).toBeGreaterThan(before + 14 * MINUTE_MS)
    }
  })

  test('POST /_local/jobs runs a job now and returns what it did', async () => {
    expect(await local('POST /_local/jobs/send-mail')).toMatchObject({
      status: 200,
      body: { failed: 0 },
    })
    expect(await local('POST /_local/jobs/sweep')).toMatchObject({
      status: 200,
      body: { registrationsCleared: 0 },
    })
  })

  test.each([
    [
      'an unknown job',
      'POST /_local/jobs/nothing',
      undefined,
      /^There is no job nothing\. There are: .*send-mail/,
    ],
    ['a clock moved by text', 'POST /_local/clock', { advanceMs: '5' }, /^advanceMs must be/],
    ['a clock moved by half a millisecond', 'POST /_local/clock', { advanceMs: 0.5 }, /^advanceMs must be/],
    ['a clock moved beyond all dates', 'POST /_local/clock', '{"advanceMs": 1e300}', /^advanceMs must be/],
    ['a clock without a distance', 'POST /_local/clock', undefined, /^advanceMs must be/],
    ['a body that is not JSON', 'POST /_local/clock', 'garbage', /JSON/],
    ['a body that is not an object', 'POST /_local/clock', 'null', /^The body must be a JSON object/],
  ])('%s is a 400 that says why', async (_, request, json, message) => {
    const { status, body } = await local(request, json)
    expect({ status, body }).toEqual({ status: 400, body: { message: expect.stringMatching(message) } })
  })

  test('an unknown control is a 404 that lists the controls', async () => {
    const { status, body } = await local('GET /_local/nothing')
    expect([status, body.message]).toEqual([404, expect.stringContaining('POST /_local/clock')])
  })

  test('GET /_local/calls counts since the last DELETE', async () => {
    const person = newPerson()
    await register(server.url, person)
    await confirm(server.url, person)
    const { accessToken } = (await login(server.url, person)).body
    expect(await local('DELETE /_local/calls')).toEqual({ status: 204, body: undefined })
    const { body: none } = await local('GET /_local/calls')
    expect(none).toMatchObject({
      dynamodb: { calls: {}, readUnits: 0, writeUnits: 0 },
      cognito: { calls: {} },
      mail: { calls: {} },
    })
    await send(server.url, 'GET /v1/user', undefined, accessToken)
    const { body: one } = await local('GET /_local/calls')
    expect(one).toEqual({ ...none, dynamodb: { calls: { Query: 1 }, readUnits: 1, writeUnits: 0 } })
  })
})

// Four servers start at the same time, which can be slow on a busy machine.
describe.concurrent('data', { timeout: 60_000 }, () => {
  test('survive SIGTERM and a restart: accounts, mail, live sessions and the clock', async () => {
    const folder = newFolder()
    const person = newPerson()
    const first = await start(['--data', folder])
    await send(first.url, 'POST /_local/clock', { advanceMs: 60 * MINUTE_MS })
    await register(first.url, person)
    await confirm(first.url, person)
    const { accessToken, refreshToken } = (await login(first.url, person)).body
    const { now } = (await send(first.url, 'GET /_local')).body
    expect(await first.stop('SIGTERM')).toEqual({ code: 0, signal: null })
    expect(first.said.err).toBe('')
    await expectNoDatabaseOn(folder)

    const second = await start(['--data', folder])
    expect((await login(second.url, person)).status).toBe(200)
    expect((await send(second.url, 'GET /v1/user', undefined, accessToken)).status).toBe(200)
    expect((await send(second.url, 'POST /v1/auth/refresh', { refreshToken })).status).toBe(200)
    expect((await send(second.url, `GET /_local/mail?to=${person.email}`)).body).toHaveLength(1)
    expect((await send(second.url, 'GET /_local')).body.now).toBeGreaterThan(now)
    expect(await second.stop('SIGINT')).toEqual({ code: 0, signal: null })
    await expectNoDatabaseOn(folder)
  })

  test('survive kill -9 during registrations: no registration that was answered is lost', async () => {
    const folder = newFolder()
    const first = await start(['--data', folder])
    const registered: Person[] = []
    const others: Person[] = []
    // Each lane sends requests until it gets no answer, so the kill always interrupts a request.
    const lane = async () => {
      for (let count = 0; count < 100; count++) {
        const person = newPerson()
        const answer = await register(first.url, person).catch(() => undefined)
        if (answer === undefined) return others.push(person)
        expect(answer.status).toBe(201)
        if (registered.push(person) === 2) first.child.kill('SIGKILL')
      }
      throw new Error('the server still answers after it was killed')
    }
    await Promise.all(Array.from({ length: 6 }, lane))
    await first.stop('SIGKILL')

    const second = await start(['--data', folder])
    // Only the right password is told that the address is not confirmed.
    const known = await Promise.all(registered.map((person) => login(second.url, person)))
    expect(known.map(({ status }) => status)).toEqual(registered.map(() => 403))
    // Everyone who got no answer sends the request again and ends up registered once.
    await Promise.all(others.map((person) => register(second.url, person)))
    const later = await Promise.all(others.map((person) => login(second.url, person)))
    expect(later.map(({ status }) => status)).toEqual(others.map(() => 403))
    await second.stop('SIGTERM')
    await expectNoDatabaseOn(folder)
  })
})

describe.concurrent('npm run dev', () => {
  test('SIGTERM to npm stops it with code 0 and leaves no database', async () => {
    const folder = newFolder()
    const server = await start(['--data', folder], { command: NPM })
    expect((await send(server.url, 'GET /health')).status).toBe(200)
    expect(await server.stop('SIGTERM')).toEqual({ code: 0, signal: null })
    await expectNoDatabaseOn(folder)
  })

  test('one or two Ctrl-C, which npm and the server both get, stop it and leave no database', async () => {
    const folder = newFolder()
    const server = await start(['--data', folder], { command: NPM })
    const interrupt = () =>
      server.child.exitCode === null && process.kill(-Number(server.child.pid), 'SIGINT')
    server.child.stdout.once('data', interrupt)
    interrupt()
    // The second Ctrl-C may reach npm after the server has stopped; npm then ends by the signal.
    expect([
      { code: 0, signal: null },
      { code: null, signal: 'SIGINT' },
    ]).toContainEqual(await server.ended)
    expect(server.said.out.match(/^stopping$/gm)).toHaveLength(1)
    await expectNoDatabaseOn(folder)
  })
})

test('--help prints the usage, starts nothing and exits with code 0', async () => {
  const { said, ended } = run(['--help'])
  expect(await ended).toEqual({ code: 0, signal: null })
  expect(said).toEqual({ out: `${HELP}\n`, err: '' })
})

describe('a server with a port from the environment, --routes, forced colours and the schedule', () => {
  let server: Awaited<ReturnType<typeof start>>
  let port: string

  beforeAll(async () => {
    const free = await listen(() => {})
    port = new URL(free.url).port
    await free.close()
    const env = { PORT: port, FORCE_COLOR: '1' }
    server = await start(['--data', ':memory:', '--routes'], { env, port: 'of the environment' })
  })
  afterAll(() => server.stop('SIGTERM'))

  test('listens on the port', async () => {
    expect(server.url).toBe(`http://127.0.0.1:${port}`)
    expect((await send(server.url, 'GET /health')).status).toBe(200)
  })

  test('lists every route and prints the walk-through', () => {
    const words = server.said.out.split('\n').map((line) => line.trim().split(/ +/).slice(0, 2).join(' '))
    expect(words).toEqual(expect.arrayContaining(customerRows.flatMap((row) => row.routes)))
    expect(server.said.out).toContain(`\n\n${walkThrough(server.url)}\n\n`)
  })

  test('has colours except on the line that programs read', () => {
    expect(server.said.out).toContain('\x1b[')
    expect(server.said.out).toMatch(/\nready http:\/\/127\.0\.0\.1:\d+\n/)
  })

  test('lets the pages of this machine read answers, and prints once that those of another origin cannot', async () => {
    const allowed = async (origin: string) =>
      (await fetch(`${server.url}/health`, { headers: { origin } })).headers.get(
        'access-control-allow-origin',
      )
    const own = ['http://localhost:8080', 'http://127.0.0.1:1234']
    expect(await Promise.all(own.map(allowed))).toEqual(own)
    for (let times = 0; times < 2; times += 1) expect(await allowed('https://other.example')).toBeNull()
    await vi.waitFor(() => expect(server.said.out.match(/^CORS: .*$/gm)).toHaveLength(1))
    expect(server.said.out).toContain('CORS: pages of "https://other.example" cannot read answers. ')
  })

  test('prints a line about a job only if the job did something', async () => {
    for (const job of ['check-quotas', 'settle-payments', 'sweep', 'send-mail']) {
      expect((await send(server.url, `POST /_local/jobs/${job}`)).status).toBe(200)
    }
    expect(server.said.out).not.toContain('"job"')
    const person = newPerson()
    await register(server.url, person)
    await send(server.url, 'POST /v1/user/resetPassword', { email: person.email })
    await vi.waitFor(() => expect(server.said.out).toMatch(/"asked":1\b/), { timeout: 15_000, interval: 50 })
  })
})

describe.concurrent('a server that cannot start says why in one sentence and exits with code 1', () => {
  async function expectSentence(args: string[], sentence: RegExp, launch?: Launch): Promise<void> {
    const { said, ended } = run(args, launch)
    expect(await ended).toEqual({ code: 1, signal: null })
    expect(said.err).toMatch(/^Bursar did not start\. [^\n]+\n$/)
    expect(said.err).toMatch(sentence)
    expect(said.out).not.toMatch(/^ready/m)
  }

  test('a port that is taken', async () => {
    const folder = newFolder()
    const other = await listen(() => {})
    const { port } = new URL(other.url)
    const sentence = new RegExp(`Port ${port} is taken\\. Stop .* or choose another: npm run dev -- --port `)
    await expectSentence(['--port', port, '--data', folder], sentence)
    await other.close()
    await expectNoDatabaseOn(folder)
  })

  test('a data folder that another server uses; its data stay intact', async () => {
    const folder = newFolder()
    const first = await start(['--data', folder])
    const sentence =
      /Another local stack uses .* Stop it, or choose another folder: npm run dev -- --data FOLDER/
    await expectSentence(['--port', '0', '--data', folder], sentence)
    const person = newPerson()
    expect((await register(first.url, person)).status).toBe(201)
    await first.stop('SIGTERM')
  })

  test('a broken table file; the server starts once the file is deleted', async () => {
    const folder = newFolder()
    const file = join(folder, 'table.db')
    writeFileSync(file, 'garbage')
    writeFileSync(join(folder, 'format'), '2')
    const sentence = new RegExp(`cannot use ${file} .*Delete that file to start afresh`)
    await expectSentence(['--port', '0', '--data', folder], sentence)
    rmSync(file)
    const server = await start(['--data', folder])
    expect((await register(server.url, newPerson())).status).toBe(201)
    await server.stop('SIGTERM')
  })

  test('data of another version', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'table.db'), '')
    await expectSentence(['--port', '0', '--data', folder], /another version of Bursar.* Delete the folder/)
  })

  test('a broken user pool file', async () => {
    const folder = newFolder()
    const file = join(folder, 'cognito.json')
    writeFileSync(file, '{"users":')
    const sentence = new RegExp(`${file} cannot be read .*Delete its folder to start afresh`)
    await expectSentence(['--port', '0', '--data', folder], sentence)
    await expectNoDatabaseOn(folder)
  })

  test.each([
    ['an unknown flag', ['--prot', '3000'], /'--prot'.* Usage: npm run dev -- \[--port 3000\]/],
    ['a port that is not a number', ['--port', 'abc'], /--port abc is no port\. Usage: /],
    [
      'a data folder that is a file',
      ['--data', join(ROOT, 'package.json')],
      /cannot be made .* npm run dev -- --data FOLDER/,
    ],
  ])('%s', async (_, args, sentence) => {
    await expectSentence(args, sentence)
  })

  test('an endpoint that is not a URL', async () => {
    const sentence = /DYNAMODB_ENDPOINT is garbage, which is no http URL/
    await expectSentence(['--data', ':memory:'], sentence, { env: { DYNAMODB_ENDPOINT: 'garbage' } })
  })

  test('a database that is neither installed nor in the registry', async () => {
    const registry = await startRegistry([])
    const args = ['--port', '0', '--data', newFolder()]
    const launch = { cwd: withoutDatabase, env: { npm_config_registry: registry.url } }
    const { said, ended } = run(args, launch)
    expect(await ended).toEqual({ code: 1, signal: null })
    await registry.close()
    expect(said.err).toMatch(
      /^ {2}fetching [^\n]+\nBursar did not start\. There is no database to run: [^\n]+ set DYNAMODB_ENDPOINT [^\n]+\n$/,
    )
  })
})

test('in memory: a changed handler answers from the next request on, and the data are kept', async () => {
  const person = newPerson()
  const server = await start(['--data', ':memory:'], { cwd: changing })
  expect(server.said.out).toMatch(/^ {2}data {6}in memory/m)
  await register(server.url, person)
  await confirm(server.url, person)
  expect(await send(server.url, 'GET /health')).toEqual({ status: 200, body: { status: 'ok' } })
  writeFileSync(
    join(changing, 'functions/http/health.ts'),
    `export const handler = async () => ({ statusCode: 200, body: '"changed"' })\n`,
  )
  await vi.waitFor(async () => expect((await send(server.url, 'GET /health')).body).toBe('changed'), {
    timeout: 5_000,
    interval: 20,
  })
  expect((await login(server.url, person)).status).toBe(200)
  expect(await server.stop('SIGTERM')).toEqual({ code: 0, signal: null })
})
