import { afterAll, afterEach, expect, vi } from 'vitest'
import { systemClock } from '../../core/adapters/clock.ts'
import type { Role } from '../../core/operators/operator.ts'
import type { Ports } from '../../core/ports.ts'
import { keys } from '../../core/table/keys.ts'
import { openWireTable } from '../../core/table/wire.ts'
import { cors } from '../../functions/http/cors.ts'
import { requestLog } from '../../functions/http/log.ts'
import { needs } from '../../functions/http/needs.ts'
import type { Need } from '../../functions/http/route.ts'
import { refusals } from '../../functions/http/source-limit.ts'
import { moduleOf } from '../bundles/module-of.ts'
import { type Gateway, startGateway } from '../local/gateway.ts'
import { gatewayRoutes } from '../local/routes.ts'
import { clearTable, type Stack, startStack } from '../local/stack.ts'
import { asFunction, ungrantedCalls } from './aws-calls.ts'
import { type Fixtures, openFixtures } from './fixtures.ts'
import { operators, operatorToken } from './operators.ts'
import { newPerson, type Person, type SignedInPerson } from './people.ts'
import { sendRaw, type TestAnswer } from './send.ts'
import { forgetSharedTries } from './shared-tries.ts'
import { shortWays } from './short-ways.ts'

/** A request of a test, with at most one of `json`, `form` and `body`; `body` is sent unchanged. */
export interface TestRequest {
  json?: unknown
  form?: Record<string, string>
  body?: string | Uint8Array<ArrayBuffer>
  token?: string | undefined
  /** Signs the request as an operator of this role. */
  operator?: Role
  headers?: Record<string, string>
}

const ORIGIN = 'https://app.bursar.example'
const START = new Date('2026-11-21T12:00:00.000Z')

export type App = Awaited<ReturnType<typeof startApp>>

interface Running {
  stack: Stack
  gateway: Gateway
  fixtures: Fixtures
}

let running: Promise<Running> | undefined

/** How long a second click waits between two looks at the first one's purchase, ms. */
const JOIN_STEP_MS = 200

/**
 * Waits of a job or a request for a provider that is busy are shortened, because nothing happens meanwhile.
 * A wait for other requests of the test takes its time: the short pauses after lost races, and a second click's.
 */
function shortenWaits(): void {
  const { wait } = systemClock
  vi.spyOn(systemClock, 'wait').mockImplementation((ms) =>
    wait(ms < 30 || ms === JOIN_STEP_MS ? ms : ms / 20),
  )
}

/**
 * Jobs use AWS's client of DynamoDB, whose calls take several times as long as those of our own. Both pass the same
 * tests (`core/table.test.ts`), so only `npm run test:deep` runs the jobs as they are deployed.
 */
function useOwnClientInJobs(): void {
  const setting = (name: string) => process.env[name] ?? ''
  vi.doMock('../../core/table/dynamodb.ts', () => ({
    openTable: (tableName: string) =>
      openWireTable({
        tableName,
        endpoint: setting('AWS_ENDPOINT_URL_DYNAMODB'),
        region: setting('AWS_REGION'),
        credentials: {
          accessKeyId: setting('AWS_ACCESS_KEY_ID'),
          secretAccessKey: setting('AWS_SECRET_ACCESS_KEY'),
        },
      }),
  }))
}

const load = (file: string) => import(/* @vite-ignore */ moduleOf(file))

async function allPorts(): Promise<Ports> {
  const { live } = await import('../../functions/http/live.ts')
  return live(Object.keys(needs) as Need[], 'InJobs') as Promise<Ports>
}

/** Starts the doubles and the gateway. They run until the process ends. */
async function start(): Promise<Running> {
  const stack = await startStack({
    nowMs: () => Date.now(),
    // Each process has its own table, because processes may share one DynamoDB (`DYNAMODB_ENDPOINT`).
    tableName: `bursar-${process.env.VITEST_POOL_ID}`,
    apiUrl: () => gateway.url,
    manualWebhooks: true,
  })
  const gateway = await startGateway({
    routes: gatewayRoutes(),
    invoke: (file, event) => asFunction(file, async () => (await load(file)).handler(event, {})),
    authorize: async (event) => (await load('functions/authorizer.ts')).handler(event),
    authorizerCacheSeconds: 300,
    principals: Object.values(operators),
    cors: { ...cors, origins: [ORIGIN] },
    nowMs: () => Date.now(),
  })
  return { stack, gateway, fixtures: openFixtures(stack, allPorts) }
}

/** The content type that a client would send. */
function contentTypeOf({ json, form, body }: TestRequest): string | undefined {
  if (body === undefined && json !== undefined) return 'application/json'
  if (body === undefined && form !== undefined) return 'application/x-www-form-urlencoded;charset=UTF-8'
  return typeof body === 'string' && body !== '' ? 'text/plain;charset=UTF-8' : undefined
}

/** Removes everything that an earlier test file has left in the stack. */
async function clear(stack: Stack): Promise<void> {
  const { dynamo, cognito, mail, kms, lambda, events, stripe } = stack
  for (const double of [cognito, mail, events, stripe]) double?.clear()
  for (const double of [cognito, mail, kms, lambda, events, stripe]) double?.resetCalls()
  lambda.take()
  for (const double of [dynamo, stripe]) double?.clearFaults()
  for (const double of [cognito, mail, kms, lambda, events]) double.clearFaults()
  await clearTable(stack)
  dynamo.resetCounts()
  // Else the lines of a failure that twenty earlier tests have caused would be left out.
  requestLog.restart()
  refusals.clear()
}

/**
 * The whole of Bursar for one test file: real SDKs, real tokens, real HTTP, and a clock that stands still
 * until a test moves the clock. Functions read their settings once and keep their connections, so a process
 * has one stack. The next file in the same process gets the same stack, emptied and with the clock back at
 * its start.
 */
export async function startApp() {
  vi.useFakeTimers({ toFake: ['Date'], now: START })
  shortenWaits()
  if (!process.env.DEEP) useOwnClientInJobs()
  const logs: string[] = []
  vi.spyOn(console, 'log').mockImplementation((line: string) => void logs.push(line))
  running ??= start()
  const { stack, gateway, fixtures } = await running
  if (!process.env.DEEP) shortWays.set(stack.dynamo.url, stack.dynamo.exchange)
  const startAfresh = async () => {
    await clear(stack)
    vi.setSystemTime(START)
    logs.length = 0
  }
  await startAfresh()
  Object.assign(process.env, stack.env)
  let hasRunJobs = false
  // How late it is does not depend on the tests before, nor do the calls to Stripe that jobs may make now, whose times
  // are reserved and would be in the future of the next test, and the cards that may be tried.
  const payments = () => Object.keys(stack.stripe?.state.paymentIntents ?? {}).length
  let paymentsBefore = payments()
  afterEach(async () => {
    vi.setSystemTime(START)
    const [mistake] = stack.dynamo.mistakes.splice(0)
    if (mistake !== undefined) throw new Error(`DynamoDB refuses such a request. ${mistake}`)
    const made = payments() - paymentsBefore
    paymentsBefore += made
    const removed = [
      ...(hasRunJobs ? [{ remove: keys.callBudget('stripe') }] : []),
      ...(made === 0 ? [] : forgetSharedTries(Date.now())),
    ]
    hasRunJobs = false
    if (removed.length > 0) await fixtures.transact(removed)
  })
  afterAll(async () => {
    vi.useRealTimers()
    expect(await ungrantedCalls(), 'calls that the deployment does not permit; see npm run generate').toEqual(
      [],
    )
  })

  async function runJob(name: string, event?: { accountId: string }) {
    hasRunJobs = true
    const file = `functions/jobs/${name}.ts`
    return asFunction(file, async () => (await load(file)).handler(event))
  }

  async function request(method: string, path: string, options: TestRequest = {}): Promise<TestAnswer> {
    const { json, form, operator, token = operator && operatorToken(operator) } = options
    const headers = new Map(Object.entries(options.headers ?? {}))
    const absent = (name: string) => ![...headers.keys()].some((given) => given.toLowerCase() === name)
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
    const type = contentTypeOf(options)
    if (type !== undefined && absent('content-type')) headers.set('content-type', type)
    const body =
      options.body ?? (json === undefined ? form && String(new URLSearchParams(form)) : JSON.stringify(json))
    const { pathname, search } = new URL(gateway.url + path)
    return sendRaw(gateway.url, method, pathname + search, [...headers], body)
  }

  const register = (person: Person) => request('POST', '/rest/users', { json: person })

  /** The code in the newest mail with a code to an address. */
  function mailedCode(email: string): string {
    const codes = stack.mail.messages(email).map(({ text }) => text.match(/\b[0-9a-f]{32}\b/)?.[0])
    const code = codes.findLast((each) => each !== undefined)
    if (!code) throw new Error(`no code was mailed to ${email}`)
    return code
  }

  /** Confirms the address of a person who has registered. */
  const confirm = ({ email }: Pick<Person, 'email'>) =>
    request('POST', '/v1/auth/activate', { json: { code: mailedCode(email) } })

  async function login(person: Person): Promise<SignedInPerson> {
    const { status, body } = await request('POST', '/v1/auth/login', {
      json: { email: person.email, password: person.password },
    })
    if (status !== 200) throw new Error(`sign-in answered ${status}`)
    const { accessToken, refreshToken } = body
    return { ...person, accessToken, refreshToken, accountId: claims(accessToken).username }
  }

  return {
    url: gateway.url,
    origin: ORIGIN,
    stack,
    /** The log lines so far, as printed. */
    logs,
    request,
    register,
    mailedCode,
    confirm,
    login,
    fixtures,
    /** Makes a person who has registered, confirmed and signed in. */
    signUp: (overrides: Partial<Person> = {}) => fixtures.signUp(newPerson(overrides)),
    /** Does the same as `signUp`, but by requests over HTTP. */
    async signUpOverHttp(overrides: Partial<Person> = {}): Promise<SignedInPerson> {
      const person = newPerson(overrides)
      await register(person)
      await confirm(person)
      return login(person)
    },
    /**
     * For `beforeEach` in files whose tests count everything: removes what an earlier test has left, even a
     * failed test, and sets the clock back to its start.
     */
    startAfresh,
    /** The gateway asks the authorizer again. */
    forgetVerdicts: () => gateway.setRoutes(gatewayRoutes()),
    /** Moves the clock of every part. */
    advance: (ms: number) => void vi.setSystemTime(Date.now() + ms),
    job: (name: string) => runJob(name),
    /** Runs the renewals that were started since the last call. @returns their accounts. */
    async startedRenewals(): Promise<string[]> {
      const events = stack.lambda.take().map(({ event }) => event as { accountId: string })
      for (const event of events) await runJob('renew', event)
      return events.map(({ accountId }) => accountId)
    },
    /** All ports, as the functions get them. */
    ports: allPorts,
    /** Calls to other services since `resetCalls`, by service. */
    calls() {
      const { calls, readUnits, writeUnits } = stack.dynamo.counts()
      return {
        dynamodb: calls,
        readUnits,
        writeUnits,
        cognito: stack.cognito.calls(),
        mail: stack.mail.calls(),
        kms: stack.kms.calls(),
        lambda: stack.lambda.calls(),
        events: stack.events.calls(),
        stripe: stack.stripe?.calls() ?? {},
      }
    },
    resetCalls() {
      stack.dynamo.resetCounts()
      stack.cognito.resetCalls()
      stack.mail.resetCalls()
      stack.kms.resetCalls()
      stack.lambda.resetCalls()
      stack.events.resetCalls()
      stack.stripe?.resetCalls()
    },
  }
}

/** The payload of a token, unverified. */
// biome-ignore lint/suspicious/noExplicitAny: tests read claims of every kind
export const claims = (token: string): any =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
