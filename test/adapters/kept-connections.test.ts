import { readdirSync, readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { cognitoIdentity } from '../../core/adapters/cognito.ts'
import { eventBridgeBus } from '../../core/adapters/event-bus.ts'
import { kmsSecrets } from '../../core/adapters/kms.ts'
import { lambdaRenewals } from '../../core/adapters/lambda-renewals.ts'
import { sesMail } from '../../core/adapters/ses.ts'
import { stripePayments } from '../../core/adapters/stripe.ts'
import { turnstileChallenge } from '../../core/adapters/turnstile.ts'
import { openTable } from '../../core/table/dynamodb.ts'
import { expr } from '../../core/table/expression.ts'
import { ConditionFailed, type Table } from '../../core/table/table.ts'
import { openWireTable } from '../../core/table/wire.ts'
import { listen, readBody } from '../local/http.ts'

/*
 * What a freeze does to connections: the peer forgets them, and the next request over one is answered with a reset. The
 * container cannot know before, since nothing arrives while it is frozen and its timers stand still.
 */

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' }
const region = 'eu-west-1'
const key = { pk: 'A', sk: 'B' }

/** What every service here understands as a success. */
const SUCCESS = {
  ...{ FailedEntryCount: 0, MessageId: '1', Plaintext: 'YQ==', success: true },
  ...{ object: 'customer', id: 'cus_1', deleted: true },
}

/** The connections of the requests, in their order. Those over a forgotten one are marked. */
const asked: { socket: Socket; isForgotten: boolean }[] = []
const open = new Set<Socket>()
const forgotten = new Set<Socket>()
let answer: (response: ServerResponse) => void

const server = await listen(async (request, response) => {
  await readBody(request)
  const isForgotten = forgotten.has(request.socket)
  asked.push({ socket: request.socket, isForgotten })
  if (isForgotten) request.socket.resetAndDestroy()
  else answer(response)
})
server.server.on('connection', (socket) => open.add(socket))
afterAll(() => server.close())

const json = (status: number, body: unknown) => (response: ServerResponse) =>
  void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
const succeed = json(200, SUCCESS)

/** Makes calls at the same time, each over a connection of its own: none is answered before all are there. */
async function together(calls: (() => Promise<unknown>)[]): Promise<void> {
  const waiting: ServerResponse[] = []
  answer = (response) => {
    waiting.push(response)
    if (waiting.length === calls.length) waiting.forEach(succeed)
  }
  await Promise.all(calls.map((call) => call()))
  answer = succeed
}

/** The container is frozen for so long, and meanwhile its connections are forgotten. */
function freeze(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1000)
  for (const socket of open) forgotten.add(socket)
}

const connections = () => new Set(asked.map(({ socket }) => socket)).size
const resets = () => asked.filter(({ isForgotten }) => isForgotten).length

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] })
  vi.stubEnv('AWS_ENDPOINT_URL', server.url)
  vi.stubEnv('AWS_REGION', region)
  vi.stubEnv('AWS_ACCESS_KEY_ID', credentials.accessKeyId)
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', credentials.secretAccessKey)
  answer = succeed
  asked.splice(0)
  for (const service of ['DYNAMODB', 'KMS', 'SESV2', 'COGNITO_IDENTITY_PROVIDER'])
    vi.stubEnv(`AWS_ENDPOINT_URL_${service}`, server.url)
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
  // No test finds connections of another.
  for (const socket of open) socket.destroy()
  open.clear()
  forgotten.clear()
})

const at = { region, credentials, endpoint: server.url }
const leanTable = () => openWireTable({ tableName: 'bursar', ...at })
const awsTable = () => openTable('bursar')
const pool = { userPoolId: 'eu-west-1_Test00001', clientId: 'client', clientSecret: 'secret' }
const sender = { from: 'no-reply@bursar.example', appUrl: 'https://bursar.example', appName: 'Bursar' }
const message = { to: 'ada@mail.example', subject: 'Hello', text: 'Hello', html: 'Hello' }

/** A call of each client that keeps connections, and how often the client tries. */
const clients: [string, () => () => Promise<unknown>, number][] = [
  ['our client of DynamoDB', () => over(leanTable(), (table) => table.get(key)), 2],
  ['AWS’s client of DynamoDB', () => over(awsTable(), (table) => table.get(key)), 2],
  [
    'our client of EventBridge',
    () =>
      over(eventBridgeBus({ ...at, busName: 'bus' }), (bus) =>
        bus.publish('bursar.quota_alert' as never, {} as never),
      ),
    1,
  ],
  [
    'our client of Lambda',
    () =>
      over(lambdaRenewals({ ...at, functionName: 'renew' }), (renewals) =>
        renewals.start('1').catch(notLambda),
      ),
    1,
  ],
  ['AWS’s client of Cognito', () => over(cognitoIdentity(pool), (identity) => identity.remove('1')), 2],
  ['AWS’s client of SES', () => over(sesMail(sender), (mail) => mail.send(message as never)), 2],
  [
    'AWS’s client of KMS',
    () => over(kmsSecrets({ keyId: 'key' }), (secrets) => secrets.decrypt('1', 'YQ==')),
    2,
  ],
  [
    'Stripe’s client',
    () =>
      over(stripePayments({ secretKey: 'sk_test_1', apiBase: server.url }), (stripe) =>
        stripe.deleteCustomer('cus_1'),
      ),
    2,
  ],
]

const over =
  <P>(port: P, call: (port: P) => Promise<unknown>) =>
  () =>
    call(port)

/** Lambda answers 202. */
function notLambda(error: Error): void {
  if (error.message !== 'Lambda answered 200') throw error
}

describe.each(clients)('%s', (_, start, tries) => {
  test('keeps its connection while it is idle for ten seconds at most', async () => {
    const call = start()
    await call()
    vi.setSystemTime(Date.now() + 10_000)
    await call()
    expect([asked.length, connections()]).toEqual([2, 1])
  })

  test('uses no connection that has been idle for longer by the wall clock, so a freeze costs no reset', async () => {
    const call = start()
    await together([call, call])
    for (let freezes = 0; freezes < 3; freezes++) {
      freeze(11)
      await together([call, call])
    }
    expect([asked.length, resets()]).toEqual([8, 0])
  })

  test('does not count the try over a connection that was forgotten', async () => {
    const call = start()
    await call()
    freeze(2)
    const failures = Array.from({ length: tries - 1 }, () => json(500, {}))
    answer = (response) => (failures.pop() ?? succeed)(response)
    await call()
    expect([asked.length, resets()]).toEqual([2 + tries, 1])
  })

  test('uses none of the other connections after the first reset', async () => {
    const call = start()
    await together([call, call, call])
    expect(connections()).toBe(3)
    freeze(2)
    await call()
    await together([call, call, call])
    expect([asked.length, resets()]).toEqual([8, 1])
  })

  test('counts the reset of a connection that was in use a moment ago: that is an outage', async () => {
    const call = start()
    await call()
    answer = (response) => void response.socket?.resetAndDestroy()
    await expect(call()).rejects.toThrow()
    expect(asked).toHaveLength(1 + tries)
  })
})

describe.each<[string, () => Table]>([
  ['our client of DynamoDB', leanTable],
  ['AWS’s client of DynamoDB', awsTable],
])('%s', (_, openIt) => {
  test('sends a write that must not be repeated over no connection that was kept', async () => {
    const table = openIt()
    await table.get(key)
    const spend = () => table.update(key, expr`ADD #n ${1}`, undefined, { once: true })
    for (let spent = 0; spent < 14; spent++) {
      await spend()
      freeze(spent % 2)
    }
    expect([asked.length, connections(), resets()]).toEqual([15, 15, 0])
  })

  test('says that a refused write may have taken effect if it was sent again', async () => {
    const table = openIt()
    await table.get(key)
    freeze(2)
    answer = json(400, { __type: 'com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException' })
    const error = await table.update(key, expr`ADD #n ${1}`, expr`#n = ${1}`).catch((thrown) => thrown)
    expect([error instanceof ConditionFailed, error.inDoubt, resets()]).toEqual([true, true, 1])
    const second = await table.update(key, expr`ADD #n ${1}`, expr`#n = ${1}`).catch((thrown) => thrown)
    expect(second.inDoubt).toBe(false)
  })
})

test('an answer to a challenge, which is judged once, goes over no connection that was kept', async () => {
  const challenge = turnstileChallenge({ secretKey: 'secret', apiBase: server.url })
  for (let asks = 0; asks < 3; asks++) {
    expect(await challenge.verify('answer', '192.0.2.1')).toBe(true)
    freeze(1)
  }
  expect([connections(), resets()]).toEqual([3, 0])
})

test('no other deployed code opens a client of AWS, an agent or a fetch of its own', () => {
  const root = join(import.meta.dirname, '..', '..')
  const deployed = ['core', 'functions'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((file) => join(folder, file).replaceAll('\\', '/'))
      .filter(
        (file) => file.endsWith('.ts') && !/^functions\/(deploy|ops\/command|client|pages)\//.test(file),
      ),
  )
  const opening = /\bnew \w*Agent\(|\bnew \w+Client\(|\bfetch\(|\bhttps?\.request\(|from 'undici'/
  expect('const client = new KMSClient({})').toMatch(opening)
  expect(deployed.filter((file) => opening.test(readFileSync(join(root, file), 'utf8'))).sort()).toEqual([
    'core/adapters/aws-post.ts',
    'core/adapters/kept-connections.ts',
    // Only on the local stack.
    'functions/http/access-token.ts',
  ])
})
