import { DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb'
import { unmarshall } from '@aws-sdk/util-dynamodb'
import { expect, test } from 'vitest'
import { AUDIT_PREFIX } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import { startApp } from './app.ts'
import { ALWAYS_3DS, authenticate, newBuyer, signUpFor } from './buyers.ts'
import { newPerson, type SignedInPerson } from './people.ts'
import { cardOnFile, newCard, stripeOf, verify } from './stripe.ts'

/** These tests compare a fixture's result with that of HTTP requests, except names and random parts. */
const app = await startApp()
const { double } = stripeOf(app)
const client = new DynamoDBClient({ endpoint: app.stack.dynamo.rawUrl })

const GOOD = '4242424242424242'

async function itemsInTable(): Promise<Item[]> {
  const { Items = [] } = await client.send(new ScanCommand({ TableName: app.stack.tableName }))
  // What limits count is apart from the account.
  return Items.map((item) => unmarshall(item)).filter(({ pk }) => !String(pk).startsWith('LIMIT#'))
}

interface World {
  items: Item[]
  users: number
  mails: { subject: string; text: string; html: string }[]
  /** Stripe's objects by kind. */
  stripe: [string, unknown[]][]
}

const world = async (): Promise<World> => ({
  items: await itemsInTable(),
  users: app.stack.cognito.users().length,
  mails: app.stack.mail.messages().map(({ subject, text, html }) => ({ subject, text, html })),
  stripe: Object.entries(structuredClone(double.state)).map(([kind, objects]) => [
    kind,
    // Left out: deliveries, which only transport events, and replies, which repeat objects.
    kind === 'deliveries' || kind === 'replies' || typeof objects !== 'object' ? [] : Object.values(objects),
  ]),
})

/** Fields with random text that is too short to be recognised as random. */
const SHORT_RANDOM = new Set([
  'invoice_prefix',
  'invoicePrefix',
  'fingerprint',
  'networks',
  'keyHash',
  'mailbox',
])

/** Replaces random text and the person's names with placeholders, so that two accounts can be compared. */
function normalised(value: unknown, person: SignedInPerson): unknown {
  if (typeof value === 'string') {
    return [person.email, person.username, person.accountId]
      .reduce((text, own) => text.replaceAll(own, '<own>'), value)
      .replace(/^(APIKEY|TRIAL)#.*$/, '$1#<random>')
      .replace(/^key:[0-9a-f]{8}\.\.\.[0-9a-f]{4}$/, 'key:<random>')
      .replace(/\b(cus|pm|pi|ch|evt|req)_[A-Za-z0-9]+(_secret_[A-Za-z0-9]+)?/g, '$1_<id>')
      .replace(/(?=[A-Za-z+/=_-]*\d)[A-Za-z0-9+/=_-]{16,}/g, '<random>')
      .replace(/#[0-3]$/, '#<shard>')
  }
  if (value instanceof Uint8Array) return `${value.length} bytes`
  if (value instanceof Set) return [...value].map((each) => normalised(each, person)).sort()
  if (Array.isArray(value)) return value.map((each) => normalised(each, person))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([name, each]) => [
    normalised(name, person),
    SHORT_RANDOM.has(name) ? '<random>' : normalised(each, person),
  ])
  return Object.fromEntries(entries.sort())
}

/** An item; an entry of the audit log without what only a request has: its id and its network address. */
function withoutRequest(item: Item): Item {
  const { requestId: _, ip: __, ...rest } = item
  return String(item.sk).startsWith(AUDIT_PREFIX) ? rest : item
}

/** Everything that the creation of a person has added to the table and the services. */
async function addedBy(make: () => Promise<SignedInPerson>) {
  const before = await world()
  const person = await make()
  const after = await world()
  const were = new Set(before.items.map(({ pk, sk }) => `${pk} ${sk}`))
  const known = before.stripe.map(([, objects]) => objects.length)
  const readable = (objects: unknown[]) =>
    objects.map((object) => JSON.stringify(normalised(object, person))).sort()
  return {
    // Only requests over HTTP are counted by their network address.
    items: readable(
      after.items
        .filter((item) => !were.has(`${item.pk} ${item.sk}`) && !String(item.pk).startsWith('LIMIT#'))
        .map(withoutRequest),
    ),
    users: after.users - before.users,
    mails: readable(after.mails.slice(before.mails.length)),
    stripe: after.stripe.map(([kind, objects], at) => [kind, readable(objects.slice(known[at]))]),
  }
}

async function buyerOverHttp(card: string): Promise<SignedInPerson> {
  const person = await app.signUpOverHttp()
  const { status } = await signUpFor(app, person, 'STARTER', await newCard(app, card))
  expect(status).toBe(card === ALWAYS_3DS ? 402 : 204)
  if (status === 402) await authenticate(app, person)
  await double.flushWebhooks()
  app.advance(11_000)
  return person
}

test('an account equals what registration, confirmation and sign-in make', async () => {
  const expected = await addedBy(() => app.signUpOverHttp())
  // Of these, two are entries of the audit log, two are events, and one is the mark of the mailbox's trial.
  expect(expected.items).toHaveLength(13)
  expect(await addedBy(() => app.signUp())).toEqual(expected)
})

test.each([GOOD, ALWAYS_3DS])(
  'a buyer equals what a sign-up for a bundle makes, with the card %s',
  async (card) => {
    const start = Date.now()
    const expected = await addedBy(() => buyerOverHttp(card))
    app.advance(start - Date.now())
    expect(await addedBy(() => newBuyer(app, { card }))).toEqual(expected)
  },
)

test('a card on file equals what its verification makes', async () => {
  const expected = await addedBy(async () => {
    const person = await app.signUp()
    expect((await verify(app, person, 'pm_card_visa')).status).toBe(200)
    await double.flushWebhooks()
    return person
  })
  const made = await addedBy(async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    return person
  })
  expect(made).toEqual(expected)
})

test('one more sign-in equals what a request makes', async () => {
  const expected = await addedBy(async () => app.login(await app.signUp()))
  const made = await addedBy(async () => {
    const person = await app.signUp()
    return app.fixtures.login(person.accountId, person)
  })
  expect(made).toEqual(expected)
})

test('an account works: its tokens, its password and its key are accepted', async () => {
  const person = await app.signUp()
  const { status, body } = await app.request('GET', '/v1/user', { token: person.accessToken })
  expect([status, body.apiKey]).toEqual([200, await app.fixtures.defaultKey(person.accountId)])
  const { refreshToken } = person
  expect((await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })).status).toBe(200)
  expect((await app.login(newPerson(person))).accountId).toBe(person.accountId)
})
