import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, ScanCommand } from '@aws-sdk/lib-dynamodb'
import { expect } from 'vitest'
import { expr, setRemove } from '../../core/table/expression.ts'
import { keys, recoveryKey } from '../../core/table/keys.ts'
import { handler as noteMailEvent } from '../../functions/jobs/note-mail-event.ts'
import type { App } from './app.ts'
import { ALWAYS_3DS, newBuyer } from './buyers.ts'
import { withTwoFactor } from './credentials.ts'
import { createKey } from './keys.ts'
import { add, newPasskey } from './passkeys.ts'
import type { SignedInPerson } from './people.ts'
import { consume } from './quota.ts'
import { cardOnFile, customerId, newCard, remove, stripeOf, verify } from './stripe.ts'

const DAY_MS = 24 * 60 * 60_000

/** Texts by which a search finds what the person has left, by what they are. */
export type Traces = Record<string, string>

/**
 * A person with something of every kind in the account: a name, an address, cards of which one was removed and one
 * declined, keys of which one was revoked, purchases, days of use, notices, mails that wait, a second factor, a
 * passkey, and a new address that waits and gets no mail.
 */
export async function richPerson(app: App) {
  const buyer = await newBuyer(app)
  const { double, dashboard } = stripeOf(app)
  const atStripe = { phone: '+49111222333', description: 'Planted description' }
  await dashboard.customers.update((await customerId(app, buyer)) ?? '', atStripe)
  const request = async (method: string, path: string, json?: object) => {
    const answer = await app.request(method, path, {
      token: buyer.accessToken,
      headers: { 'idempotency-key': `${method}-${path}` },
      ...(json && { json }),
    })
    expect([path, answer.status]).toSatisfy(([, status]) => status < 300 || status === 402)
    return answer
  }
  await request('PUT', '/api/users/current', { name: 'Planted Fullname' })
  const holder = { name: 'Planted Cardholder', email: 'holder@planted.example', phone: '+49309998887' }
  const other = await newCard(app, '5555555555554444', { billing_details: holder })
  await cardOnFile(app, buyer, other)
  const removed = await cardOnFile(app, buyer, 'pm_card_discover')
  expect((await remove(app, buyer, removed)).status).toBe(204)
  await createKey(app, buyer, 'Planted keyname')
  const second = await createKey(app, buyer, 'Planted revoked')
  await request('DELETE', `/v1/keys/${second.id}`)
  await request('POST', '/v1/keys', { name: 'Planted named' })
  await request('PUT', '/v1/user/alerts', { alerts: [{ below: 1099 }] })
  const settings = { scopes: ['planted'], expiresAt: '2027-11-21T12:00:00Z' }
  await request('PUT', '/v1/keys/default', settings)
  await request('PUT', '/v1/keys/default', { name: 'Planted default', metadata: { for: 'Planted metadata' } })
  await request('PUT', '/v1/keys/default', { metadata: null })
  const spent = await consume(app, buyer.key, {
    units: 3,
    requestId: 'planted-request',
    tag: 'planted-tag',
  })
  expect(spent.status).toBe(200)
  // The alert that is crossed gets an item of its own.
  await request('PUT', '/v1/user/alerts', { alerts: [{ below: '20%' }] })
  app.advance(DAY_MS)
  await consume(app, buyer.key, { units: 2, requestId: 'planted-request-2' })
  const again = await app.login(buyer)
  const person = await withTwoFactor(app, { ...buyer, ...again })
  expect((await add(app, person, await newPasskey(app, person), 'Planted passkey')).status).toBe(201)
  expect((await verify(app, person, await newCard(app, '4000000000000002'))).status).toBe(402)
  await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
  await app.request('POST', '/v1/auth/recovery/code', { json: { email: person.email } })
  await plantRecovery(app, person)
  await requestAddress(app, person, 'planted@pending.example')
  await double.flushWebhooks()
  const traces: Traces = {
    username: person.username.toLowerCase(),
    address: person.email.toLowerCase(),
    name: 'planted fullname',
    'billing address': 'south district',
    company: 'greencloud',
    'card holder': 'planted cardholder',
    'address of the holder': 'at@planted.example',
    phone: '+49309998887',
    'phone of the customer': '+49111222333',
    'description of the customer': 'planted description',
    'tag of use': 'planted-tag',
    'key name': 'planted keyname',
    'named key': 'planted named',
    'default key name': 'planted default',
    'passkey name': 'planted passkey',
    'address that waits and bounced': 'planted@pending.example',
    'last digits': '"4242"',
    'other last digits': '"4444"',
  }
  return { person, traces }
}

/** What a recovery of the account has left, without the second factor that would have to be lost. */
async function plantRecovery(app: App, { accountId }: SignedInPerson): Promise<void> {
  const { table, clock } = await app.ports()
  const beganAtMs = clock.nowMs()
  const planted = expr`#recovery = ${{ beganAtMs }}, #recoveriesMs = ${[beganAtMs]}, #recoveredFrom = ${1}`
  await table.update(
    keys.profile(accountId),
    setRemove(
      [planted, expr`#recoveryCode = ${'00000000000000ff'}, #holderEmail = ${'at@planted.example'}`],
      [],
    ),
  )
  await table.put({ ...recoveryKey(accountId), beganAtMs, daysTold: 0 })
}

/** Asks to change the address to another one, where the code does not arrive. */
async function requestAddress(app: App, { username, accessToken: token }: SignedInPerson, email: string) {
  expect((await app.request('PUT', `/rest/users/${username}`, { token, json: { email } })).status).toBe(200)
  expect((await noteMailEvent(app.stack.mail.report(email, 'bounce'))).mail).toBe('marked')
}

/** Leaves a verification waiting for 3-D Secure. */
export const verifyLater = async (app: App, person: SignedInPerson): Promise<void> =>
  expect((await verify(app, person, await newCard(app, ALWAYS_3DS))).status).toBe(402)

/**
 * Every item of the table, whosever it is. Items that have expired count as gone: DynamoDB removes them, and its double
 * does not. Such are the counts of wrong passwords under any name that somebody has typed within 15 minutes.
 */
export async function wholeTable(app: App): Promise<Record<string, unknown>[]> {
  const client = DynamoDBDocumentClient.from(new DynamoDBClient({ endpoint: app.stack.dynamo.rawUrl }))
  const items: Record<string, unknown>[] = []
  for (let from: Record<string, unknown> | undefined, more = true; more; more = from !== undefined) {
    const page = await client.send(
      new ScanCommand({ TableName: app.stack.tableName, ...(from && { ExclusiveStartKey: from }) }),
    )
    items.push(...(page.Items ?? []).filter(({ ttl = Infinity }) => ttl * 1000 > Date.now()))
    from = page.LastEvaluatedKey
  }
  return items
}

/** Sets read as lists, so that their bytes are searched too. */
const text = (value: unknown): string =>
  JSON.stringify(value, (_, each) => (each instanceof Set ? [...each] : each)).toLowerCase()

/** The traces of a person that are left in the table, in the vault, and in what Stripe knows of its customers. */
export async function tracesLeft(app: App, traces: Traces): Promise<string[]> {
  const { double } = stripeOf(app)
  const everything = {
    table: await wholeTable(app),
    customers: double.state.customers,
  }
  return Object.entries(everything).flatMap(([where, content]) =>
    Object.entries(traces).flatMap(([what, trace]) =>
      text(content).includes(trace) ? [`${what} in the ${where}`] : [],
    ),
  )
}

/** The sort keys of an account's partition, by their kinds. */
export async function kindsOf(app: App, accountId: string): Promise<string[]> {
  const items = await (await app.ports()).table.list(keys.account(accountId), '')
  return [...new Set(items.map(({ sk }) => String(sk).replace(/(?<=.)#.*/, '#')))].sort()
}
