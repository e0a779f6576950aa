import { DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb'
import { afterEach, expect, test } from 'vitest'
import { countEvent, type Limited, limitKey } from '../../core/limits/limits.ts'
import { networkOf } from '../../core/limits/network.ts'
import { HOUR_MS } from '../../core/time.ts'
import { functions, routesOf, tightRoutes } from '../../functions/deploy/functions.ts'
import { type Guard, guardsOf } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { refusals } from '../../functions/http/source-limit.ts'
import { reachableCode } from '../bundles/reads.ts'
import { startApp } from '../support/app.ts'
import { newPerson } from '../support/people.ts'
import { rowKey, sampleOf } from '../support/samples.ts'
import { expectError } from './contract.ts'
import { sendSample } from './repeats.ts'

/** What each request costs or tries is counted by the network address that it comes from, whoever it is about. */
const app = await startApp()

afterEach(app.startAfresh)

/** What the code of a row shows about what its requests cost or let their sender try. */
const SIGNS: [RegExp, Guard][] = [
  [/identity\.signIn\(|isRegisteredPassword\(/, 'password'],
  [/identity\.(signIn|signInVerified|refresh|enroll|setPassword)\(/, 'vault'],
  [/registerAccount\(/, 'signup'],
  [/totp\.stepOf\(|passkeys\.verifyAssertion\(|checkCode\(|readLinkCode\(/, 'code'],
  [/payments\.(createPayment|attachCard)\(/, 'card'],
  // The templates that strangers can have sent to any address (`core/notifications/mail-causes.ts`).
  [/mailRequest\(|template: "(confirm|change)-email",\s*values: \{[^}]*\},\s*codeLookup/, 'mail'],
]

/** Rows that only finish payments that have begun: nobody tries a card with them. */
const FINISHING = ['api.deactivate', 'v1.deleteUser', 'webhooks.stripe']

/** Operators have names, prove themselves and are in the audit log. */
const forCustomers = rows.filter(({ auth }) => auth !== 'operator' && auth !== 'admin-key')

test('no row whose code tries a secret or a card, mails, or calls the vault is without that guard', async () => {
  const found = await Promise.all(
    forCustomers.map(async (row) => {
      const fn = functions.find(({ name }) => name === `${row.dialect}-${row.file}`)
      const code = fn ? await reachableCode(fn) : ''
      const shown = SIGNS.flatMap(([sign, guard]) => (sign.test(code) ? [guard] : []))
      const missing = shown.filter((guard) => !guardsOf(row).includes(guard))
      return missing.map((guard) => `${rowKey(row)}: ${guard}`)
    }),
  )
  expect(found.flat()).toEqual(FINISHING.map((row) => `${row}: card`))
})

test('every guarded route has the tighter throttle of the gateway, those of the console too', () => {
  for (const row of rows)
    for (const { key } of routesOf(row)) expect(tightRoutes.includes(key), key).toBe(guardsOf(row).length > 0)
})

const guarded = forCustomers.filter(({ guards }) => guards).map((row) => [rowKey(row), row] as const)

const LIMIT_OF: Record<Guard, Limited> = {
  password: 'passwords-from',
  code: 'codes-from',
  card: 'cards-from',
  mail: 'mails-from',
  vault: 'vault-from',
  signup: 'sign-ups-from',
}

/** Leaves so much room of a limit for the address from which the tests send. */
async function leave(room: number, what: Limited, address = '127.0.0.1'): Promise<void> {
  const deps = await app.ports()
  const [{ most = 0 } = {}] = await countEvent(deps, address, what)
  refusals.clear()
  await deps.table.put({ ...limitKey(deps, what, address), [what]: most - room })
}

test.each(guarded)('%s: each of its limits answers 429 with Retry-After and RateLimit', async (_, row) => {
  const person = await app.signUp()
  const sample = await sampleOf(app, row, person)
  const token = row.auth === 'account' ? person.accessToken : undefined
  for (const guard of row.guards ?? []) {
    await leave(0, LIMIT_OF[guard])
    const refused = await sendSample(app, row, sample, token)
    expectError(row, refused, 'too_many_requests')
    expect(refused.headers.get('retry-after')).toBe('3600')
    expect(refused.headers.get('ratelimit')).toContain(`"${LIMIT_OF[guard]}";r=0;t=3600`)
  }
})

const ask = (email = newPerson().email) => app.request('POST', '/v1/auth/resend', { json: { email } })

test('of many requests at once exactly as many pass as the limit has room for', async () => {
  await leave(7, 'mails-from')
  const statuses = (await Promise.all(Array.from({ length: 30 }, () => ask()))).map(({ status }) => status)
  expect(statuses.filter((status) => status === 204)).toHaveLength(7)
  expect(statuses.filter((status) => status === 429)).toHaveLength(23)
  app.advance(HOUR_MS)
  expect((await ask()).status).toBe(204)
})

test('a flood from one address costs no more writes than the limit allows', async () => {
  await leave(0, 'mails-from')
  await ask()
  app.resetCalls()
  await Promise.all(Array.from({ length: 20 }, () => ask()))
  expect(app.calls().writeUnits).toBe(0)
})

test('a proof in a header is limited as a sign-in is, and a request without one is not counted', async () => {
  const { accessToken: token, password } = await app.signUp()
  await leave(0, 'passwords-from')
  const json = { name: 'worker' }
  expect((await app.request('POST', '/v1/keys', { token, json })).status).toBe(201)
  const headers = { 'x-proof-password': password }
  expect((await app.request('POST', '/v1/keys', { token, json, headers })).status).toBe(429)
})

test('an answer says how many requests are left', async () => {
  await leave(5, 'mails-from')
  const { headers } = await ask()
  expect(headers.get('ratelimit-policy')).toBe('"mails-from";q=600;w=3600')
  expect(headers.get('ratelimit')).toMatch(/^"mails-from";r=4;t=\d+$/)
})
test('neither the table nor the log has the network address of a request', async () => {
  await app.register(newPerson())
  const client = new DynamoDBClient({})
  const { Items = [] } = await client.send(new ScanCommand({ TableName: app.stack.tableName }))
  expect(Items.some(({ pk }) => pk?.S?.startsWith('LIMIT#'))).toBe(true)
  expect(JSON.stringify([Items, app.logs])).not.toContain('127.0.0.1')
})

test('a network is an IPv4 address, or the first half of an IPv6 address', () => {
  for (const [address, network] of [
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ] as const)
    expect(networkOf(address)).toBe(network)
})
