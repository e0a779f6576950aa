/**
 * `npm run check:runtime`: every bundle under AWS's own runtime client, with the environment of a deployment and its real
 * names of services, over TLS to stand-ins. Each function answers an event of its kind; then it is frozen, its
 * connections are forgotten, and it has to answer again. A setting that is missing has to be named. Run it before a
 * release, or for some functions by their names: `npm run check:runtime -- v1-consume`. It is no part of `npm run check`,
 * because the runtime client is built from source.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ports } from '../../core/ports.ts'
import { bundleOf } from '../../functions/deploy/bundle.ts'
import { type Deployed, functions } from '../../functions/deploy/functions.ts'
import { environmentOf } from '../../functions/deploy/permissions.ts'
import { cors } from '../../functions/http/cors.ts'
import { needs } from '../../functions/http/needs.ts'
import { exampleKey, readExamples } from '../../functions/http/openapi-examples.ts'
import type { Need, Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { startGateway } from '../local/gateway.ts'
import { gatewayRoutes } from '../local/routes.ts'
import { startStack } from '../local/stack.ts'
import { openFixtures } from '../support/fixtures.ts'
import { operators, operatorToken } from '../support/operators.ts'
import { newPerson, type SignedInPerson } from '../support/people.ts'
import { progressOn } from '../support/progress.ts'
import { sendRaw, type TestAnswer } from '../support/send.ts'
import { type Container, type Outcome, startContainer } from './container.ts'
import { installRuntimeClient } from './install.ts'
import { MARK, startStandIns } from './stand-ins.ts'

const ROOT = join(import.meta.dirname, '..', '..')
/** Functions that live at the same time: each takes 100 MB. */
const GROUP = 8
/** Long enough that a connection may have been forgotten, and too long for any connection to be used. */
const [SHORT_FREEZE_MS, LONG_FREEZE_MS] = [1_200, 11_000]

const tell = progressOn()
const findings: string[] = []
const find = (fn: string, what: string) => void findings.push(`${fn}: ${what}`)

const named = (name: string): Deployed => {
  const fn = functions.find((each) => each.name === name)
  if (!fn) throw new Error(`There is no function ${name}.`)
  return fn
}

/** The functions of the story, and those that are frozen for longest. */
const ALWAYS = [
  ...['authorizer', 'rest-create-user', 'v1-activate', 'v1-login', 'v1-enrol-two-factor', 'v1-get-user'],
  ...['v1-consume', 'api-verify-payment', 'jobs-send-mail'],
]
const asked = process.argv.slice(2)
const chosen = fail(() => (asked.length === 0 ? functions : [...new Set([...ALWAYS, ...asked])].map(named)))

const program = fail(installRuntimeClient)
tell(`building ${chosen.length} bundles`)
build(chosen)
const stack = await startStack({ nowMs: Date.now, poolName: MARK, manualWebhooks: true })
Object.assign(process.env, stack.env)
const standIns = await startStandIns(stack)
const { live } = await import('../../functions/http/live.ts')
const fixtures = openFixtures(stack, () => live(Object.keys(needs) as Need[], 'InJobs') as Promise<Ports>)

/** The values of the local stack, in the form of a deployment's. */
const values = Object.fromEntries(
  Object.entries({ ...stack.env, STAGE: 'runtime' }).map(([name, value]) => [
    name,
    value.replaceAll('Local0001', MARK),
  ]),
)

function environmentFor(fn: Deployed, without?: string): Record<string, string> {
  const settings = environmentOf(fn).filter((name) => name !== without)
  return {
    ...Object.fromEntries(settings.map((name) => [name, values[name] ?? ''])),
    AWS_REGION: 'eu-west-1',
    AWS_DEFAULT_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'ASIAEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'example',
    AWS_SESSION_TOKEN: 'example',
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
    AWS_LAMBDA_FUNCTION_NAME: `bursar-runtime-${fn.name}`,
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(fn.memoryMb),
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    AWS_LAMBDA_LOG_FORMAT: 'JSON',
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/bursar-runtime-${fn.name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: 'check',
    TZ: ':UTC',
    STAND_INS_PORT: String(standIns.port),
    NODE_EXTRA_CA_CERTS: standIns.certificate,
  }
}

const start = (fn: Deployed, without?: string) =>
  startContainer(program, join(ROOT, bundleOf(fn).bundle), bundleOf(fn).handler, environmentFor(fn, without))

/** The containers that live, and the last event of each function. */
const alive = new Map<string, Container>()
const lastEvents = new Map<string, unknown>()

async function invoke(fn: Deployed, event: unknown): Promise<Outcome> {
  const container = alive.get(fn.name) ?? (await start(fn))
  alive.set(fn.name, container)
  lastEvents.set(fn.name, event)
  return container.invoke(event)
}

async function answerOf(fn: Deployed, event: unknown): Promise<unknown> {
  const outcome = await invoke(fn, event)
  if ('answer' in outcome) return outcome.answer
  find(fn.name, outcome.failure)
  throw new Error(outcome.failure)
}

const fnOfFile = (file: string) =>
  functions.find(({ handler }) => handler === file.replace(/\.ts$/, '.handler')) as Deployed

const gateway = await startGateway({
  routes: gatewayRoutes(),
  invoke: (file, event) => answerOf(fnOfFile(file), event),
  authorize: (event) => answerOf(named('authorizer'), event),
  authorizerCacheSeconds: 0,
  principals: Object.values(operators),
  cors: { ...cors, origins: [] },
  nowMs: Date.now,
})

const request = (
  method: string,
  path: string,
  token: string | undefined,
  json?: unknown,
): Promise<TestAnswer> =>
  sendRaw(
    gateway.url,
    method,
    path,
    [
      ...(token === undefined ? [] : [['authorization', `Bearer ${token}`] as [string, string]]),
      ...(json === undefined ? [] : [['content-type', 'application/json'] as [string, string]]),
    ],
    json === undefined ? '' : JSON.stringify(json),
  )

/** Reports log lines beyond level `info`, and those that are no JSON: nobody would find them. */
function checkLog(fn: string, when: string): void {
  for (const line of alive.get(fn)?.takeLog() ?? []) {
    const level = levelOf(line)
    if (level !== 'info' && level !== 'debug') find(fn, `${when}, logged: ${line.slice(0, 600)}`)
  }
}

/** The level of a line: that of our own object in it, or else the runtime client's. */
function levelOf(line: string): string | undefined {
  try {
    const { level, message, ...own } = JSON.parse(line)
    const inner = typeof message === 'string' && message.startsWith('{') ? JSON.parse(message) : message
    return String(inner?.level ?? own.level ?? level).toLowerCase()
  } catch {
    return undefined
  }
}

/** The first use of a stage: every client is used, and each answer is as expected. */
async function playStory(): Promise<SignedInPerson & { key: string }> {
  const person = newPerson()
  const { email, password } = person
  const expect = async (status: number, method: string, path: string, token?: string, json?: unknown) => {
    tell(`${method} ${path}`)
    const answer = await request(method, path, token, json)
    if (answer.status !== status)
      find(`${method} ${path}`, `${answer.status} instead of ${status}: ${answer.text.slice(0, 300)}`)
    return answer.body
  }
  await expect(201, 'POST', '/rest/users', undefined, person)
  const code = /\b[0-9a-f]{32}\b/.exec(stack.mail.messages(email).at(-1)?.text ?? '')?.[0]
  await expect(200, 'POST', '/v1/auth/activate', undefined, { code })
  const { accessToken, refreshToken } = await expect(200, 'POST', '/v1/auth/login', undefined, {
    email,
    password,
  })
  await expect(200, 'POST', '/v1/auth/2FA', accessToken)
  await expect(200, 'POST', '/api/users/current/verify-payment', accessToken, {
    paymentMethod: 'pm_card_visa',
  })
  const { apiKey, id } = await expect(200, 'GET', '/v1/user', accessToken)
  await expect(200, 'POST', '/v1/usage', apiKey, { units: 1, requestId: 'runtime-1' })
  await expect(200, 'POST', '/v1/usage', apiKey, { units: 1 })
  for (const fn of alive.keys()) checkLog(fn, 'in the story')
  return { ...person, accessToken, refreshToken, accountId: String(id), key: apiKey }
}

/** Sends the example of a row's document, with the credential that the row asks for. */
async function sendExample(row: Placed): Promise<void> {
  const person = await fixtures.signUp(newPerson())
  const tokens = {
    public: undefined,
    account: person.accessToken,
    key: await fixtures.defaultKey(person.accountId),
    operator: operatorToken('admin'),
    'admin-key': undefined,
  }
  const example = readExamples()[exampleKey(row)]
  const [method = '', path = ''] = (row.routes[0] ?? '').split(' ')
  const target = path.replaceAll(/\{(\w+)\+?\}/g, (_, name: string) =>
    name === 'username' ? person.username : encodeURIComponent(example?.path?.[name] ?? person.accountId),
  )
  const query = new URLSearchParams(example?.query)
  const { status, text } = await request(
    method,
    query.size > 0 ? `${target}?${query}` : target,
    tokens[row.auth],
    method === 'GET' ? undefined : (example?.body ?? {}),
  )
  if (status >= 500)
    find(`${row.dialect}-${row.file}`, `${method} ${target} answered ${status}: ${text.slice(0, 300)}`)
}

/** An event for a function that no route has. */
function eventFor({ name, kind }: Deployed): unknown {
  if (kind === 'job') return { 'detail-type': 'Scheduled Event' }
  if (kind === 'task') return { accountId: story.accountId }
  if (name === 'jobs-add-notice')
    return {
      id: 'runtime-1',
      source: 'check',
      'detail-type': 'bursar.notice',
      detail: { accountId: story.accountId, type: 'check', text: 'A notice' },
    }
  if (name === 'jobs-note-mail-event')
    return {
      id: 'runtime-2',
      source: 'aws.ses',
      'detail-type': 'Email Bounced',
      detail: {
        eventType: 'Bounce',
        mail: { destination: [story.email], tags: {} },
        bounce: { bounceType: 'Transient', bouncedRecipients: [{ emailAddress: story.email }] },
      },
    }
  if (name === 'custom-auth')
    return {
      triggerSource: 'DefineAuthChallenge_Authentication',
      userName: story.accountId,
      request: { session: [] },
      response: {},
    }
  return { triggerSource: 'TokenGeneration_Authentication', request: {}, response: {} }
}

async function useOnce(fn: Deployed): Promise<void> {
  const row = rows.find(({ dialect, file }) => `${dialect}-${file}` === fn.name)
  if (row) await sendExample(row)
  else if (fn.kind === 'authorizer') await request('GET', '/v1/user', story.accessToken)
  else await answerOf(fn, eventFor(fn))
  checkLog(fn.name, 'at its first event')
}

/** Repeats the last event of each after a freeze in which every connection was forgotten. */
async function freezeAll(fns: readonly Deployed[], ms: number): Promise<number> {
  standIns.takeResets()
  for (const fn of fns) alive.get(fn.name)?.freeze()
  await sleep(ms)
  standIns.forget()
  for (const fn of fns) {
    alive.get(fn.name)?.thaw()
    const outcome = await invoke(fn, lastEvents.get(fn.name))
    const status = 'answer' in outcome && (outcome.answer as { statusCode?: number } | undefined)?.statusCode
    if ('failure' in outcome) find(fn.name, `after a freeze: ${outcome.failure}`)
    else if (typeof status === 'number' && status >= 500)
      find(fn.name, `after a freeze it answered ${status}`)
    checkLog(fn.name, 'after a freeze')
  }
  return standIns.takeResets()
}

async function stopAll(fns: Iterable<string>): Promise<void> {
  for (const name of fns) {
    await alive.get(name)?.stop()
    alive.delete(name)
  }
}

/** Starts a function of each kind without each of its settings. @returns how many starts */
async function startWithoutSettings(): Promise<number> {
  const cases = new Map<string, { fn: Deployed; setting: string }>()
  for (const fn of chosen)
    for (const setting of environmentOf(fn)) {
      const name = `${setting} of ${fn.kind}`
      if (!cases.has(name)) cases.set(name, { fn, setting })
    }
  for (const [name, { fn, setting }] of cases) {
    tell(`without ${name}`)
    const container = await start(fn, setting)
    const outcome = await container.invoke(lastEvents.get(fn.name) ?? eventFor(fn))
    const said = [...container.takeLog(), 'failure' in outcome ? outcome.failure : ''].join('\n')
    if (!said.includes(`${setting} is not set`))
      find(fn.name, `without ${setting}, it says: ${said.slice(0, 400)}`)
    await container.stop()
  }
  return cases.size
}

/** Builds in a process of its own, which gives back gigabytes. */
function build(fns: readonly Deployed[]): void {
  const names = JSON.stringify(fns.map(({ name }) => name))
  const code = `import { buildBundles } from './functions/deploy/build.ts'
    import { functions } from './functions/deploy/functions.ts'
    await buildBundles(functions.filter(({ name }) => ${names}.includes(name)))
    process.exit()`
  execFileSync(process.execPath, ['--input-type=module', '-e', code], { cwd: ROOT, stdio: 'inherit' })
}

/** An error's sentence for the person at the terminal ends the command. */
function fail<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    console.error((error as Error).message)
    process.exit(1)
  }
}

const startedMs = performance.now()
const story = await playStory()
let [used, resets] = [0, 0]
for (let at = 0; at < chosen.length; at += GROUP) {
  const group = chosen.slice(at, at + GROUP)
  for (const fn of group) {
    tell(`${++used} of ${chosen.length}: ${fn.name}`)
    await useOnce(fn).catch((error: Error) => find(fn.name, error.message))
  }
  resets += await freezeAll(
    group.filter(({ name }) => alive.has(name)),
    SHORT_FREEZE_MS,
  )
  await stopAll(group.map(({ name }) => name).filter((name) => name !== 'authorizer'))
}
if (resets === 0) find('the check itself', 'no container has met a connection that was forgotten')

tell('frozen for longer than connections are kept')
const longer = ['v1-consume', 'v1-get-user', 'v1-login', 'jobs-send-mail'].map(named)
for (const fn of longer) await invoke(fn, lastEvents.get(fn.name))
const late = await freezeAll(longer, LONG_FREEZE_MS)
if (late > 0) find('connections', `${late} were used after ${LONG_FREEZE_MS / 1000} s`)

const consume = named('v1-consume')
await request('POST', '/v1/usage', story.key, { units: 1 })
const doubted = await freezeAll([consume], SHORT_FREEZE_MS)
if (doubted > 0) find(consume.name, 'a consume without an id went over a connection that was kept')
await stopAll([...alive.keys()])

const starts = await startWithoutSettings()
for (const host of standIns.strangers) find('a function', `called ${host}, for which nobody stands`)
tell('')
const seconds = Math.round((performance.now() - startedMs) / 1000)
console.log(
  `${used} functions under AWS's runtime client, ${resets} connections forgotten in freezes, ${starts} starts without a setting, in ${seconds} s: ${findings.length} findings`,
)
for (const finding of findings) console.log(`- ${finding}`)
await gateway.close()
await standIns.close()
await stack.close()
process.exit(findings.length > 0 ? 1 : 0)
