import { describe, expect, test } from 'vitest'
import { profileSchema } from '../../core/account/account.ts'
import { exportedKinds, mailRequestKind, omittedKinds } from '../../core/account/export-sections.ts'
import type { ErrorCode } from '../../core/errors.ts'
import { newNotice } from '../../core/notifications/notices.ts'
import { mailSchema } from '../../core/notifications/queued-mail.ts'
import { OPEN_IN_COUNTER } from '../../core/quota/reservation.ts'
import * as tableKeys from '../../core/table/keys.ts'
import { keys, monthlyKey, redemptionsKey } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import { HOUR_MS, MINUTE_MS } from '../../core/time.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { mailsTo } from '../support/buyers.ts'
import { withTwoFactor } from '../support/credentials.ts'
import { richPerson, verifyLater } from '../support/erasure.ts'
import { defaultKey } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { creditUnits } from '../support/quota.ts'
import { reserve } from '../support/reservations.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const exportUser = ({ accessToken: token }: SignedInPerson, json?: object) =>
  app.request('POST', '/v1/user/export', { token, ...(json && { json }) })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.exportUser, answer, code)
const partition = async ({ accountId }: SignedInPerson): Promise<Item[]> =>
  (await app.ports()).table.list(keys.account(accountId), '')
const cursorAt = (sk: string) => Buffer.from(sk).toString('base64url')

type Sections = Record<string, Record<string, unknown>[]>

/** Reads every page. @returns the sections put together, and the size of each page in bytes. */
async function wholeExport(person: SignedInPerson): Promise<{ sections: Sections; sizes: number[] }> {
  const sections: Sections = {}
  const sizes: number[] = []
  let cursor: string | undefined
  do {
    const { status, body, text } = await exportUser(person, cursor === undefined ? undefined : { cursor })
    expect(status).toBe(200)
    sizes.push(Buffer.byteLength(text))
    const { version, exportedAt, next, ...lists } = body
    for (const [name, list] of Object.entries(lists as Sections))
      sections[name] = [...(sections[name] ?? []), ...list]
    cursor = next ?? undefined
  } while (cursor !== undefined)
  return { sections, sizes }
}

/** Attributes that every kind may have and no export shows: the key, and when Bursar works on the item next. */
const INDEX = ['pk', 'sk', 'due', 'dueAtMs']

/** The one-letter name of a counter's attribute, without the slot of a key. */
const plainName = (kind: string, name: string) => (kind === 'units' ? name.replace(/\d+$/, '') : name)

/** Attributes of the counter that its section shows under names that people can read. */
const COUNTED = ['l', 'f', 'u', 'd', 'q', 'b', 'w', 'i', 'c', 'y', 'X']

/** The texts in a value, and its times as an export writes them. */
function facts(value: unknown, name = ''): string[] {
  if (typeof value === 'string') return [JSON.stringify(value)]
  if (typeof value === 'number' && value > 0 && name.endsWith('Ms')) return [new Date(value).toISOString()]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([inner, each]) => facts(each, Array.isArray(value) ? name : inner))
}

/** Every kind of item that an account may have. */
async function personOfAllKinds() {
  const { person } = await richPerson(app)
  await verifyLater(app, person)
  // One more than the counter holds.
  for (let nth = 0; nth <= OPEN_IN_COUNTER; nth++)
    expect((await reserve(app, person.key, { units: 1 })).status).toBe(201)
  await creditUnits(app, person, 10, 30)
  const { table, clock } = await app.ports()
  // What needs thousands of requests, or an outage, to come about.
  await table.put({ ...keys.spent(person.accountId, 0, 1, 'x'), ids: new Uint8Array([1]) })
  await table.put({ ...redemptionsKey(person.accountId, 'LAUNCH'), code: 'LAUNCH', count: 1 })
  await table.put({ ...monthlyKey(person.accountId), day: 21, untilMs: clock.nowMs() })
  await table.put({ ...keys.spentId(person.accountId, '00'), ttl: 1 })
  await table.put({
    ...keys.ask('reset-password', person.email.toLowerCase()),
    purpose: 'reset-password',
    email: person.email,
    sentAtMs: [clock.nowMs()],
  })
  return person
}

/** A schema as far as this test looks into it. */
interface Shape {
  _zod: { def: { shape?: Record<string, Shape>; innerType?: Shape; valueType?: Shape } }
}

/** The names in an object, in an optional one, and in the values of a record of such. */
function namesIn(schema: unknown): string[] {
  const { shape, innerType, valueType } = (schema as Shape)._zod.def
  if (shape) return Object.keys(shape)
  return innerType || valueType ? namesIn(innerType ?? valueType) : []
}

const nameOf = (shown: string | readonly [string, ...unknown[]]): string =>
  typeof shown === 'string' ? shown : shown[0]

describe('each thing that can be stored has its place in an export, or a reason why it has none', () => {
  test.each([
    ['#PROFILE', profileSchema],
    ['MAIL#', mailSchema],
  ])('each attribute of %s, once', (prefix, schema) => {
    const kinds = exportedKinds.filter((kind) => kind.prefix === prefix)
    const placed = kinds.flatMap(({ shows, omits = {}, within }) =>
      within ? [within.attribute] : [...shows.map(nameOf), ...Object.keys(omits)],
    )
    const names = namesIn(schema).filter((name) => !INDEX.includes(name))
    expect(names.filter((name) => placed.filter((each) => each === name).length !== 1)).toEqual([])
  })

  test('each attribute of an object in the profile that is shown in part', () => {
    const kinds = exportedKinds.filter(({ prefix }) => prefix === '#PROFILE')
    const inPart = kinds.flatMap(({ shows, omits = {}, within }): [string, string[]][] => {
      const left = Object.keys(omits)
      if (within) return [[within.attribute, [...shows.map(nameOf), ...left]]]
      return shows.flatMap((each) => (typeof each === 'string' ? [] : [[each[0], [...each[1], ...left]]]))
    })
    expect(inPart.map(([name]) => name)).toEqual(
      expect.arrayContaining(['sessions', 'passkeys', 'lastProof']),
    )
    const missing = inPart.flatMap(([name, placed]) =>
      namesIn(profileSchema.shape[name as keyof typeof profileSchema.shape])
        .filter((inner) => !placed.includes(inner))
        .map((inner) => `${name}.${inner}`),
    )
    expect(missing).toEqual([])
  })

  test('each kind of item in the partition of an account', () => {
    const more = Object.entries(tableKeys).filter(([name]) => /[a-z]Key$/.test(name) && name !== 'shownKey')
    const makers = [...Object.values(keys), ...more.map(([, make]) => make)] as ((
      ...args: unknown[]
    ) => unknown)[]
    const made = makers.map((make) => make(7, 1, 1, 1) as { pk?: string; sk?: string })
    const own = made.flatMap(({ pk, sk }) => (pk === 'ACCOUNT#7' && sk ? [sk] : []))
    expect(own.length).toBeGreaterThan(15)
    const kinds = [...exportedKinds, ...omittedKinds]
    expect(own.filter((sk) => !kinds.some(({ prefix }) => sk.startsWith(prefix)))).toEqual([])
  })
})

describe('200', () => {
  test('shows every attribute that is stored about the account, or says why it is left out', async () => {
    const person = await personOfAllKinds()
    const { sections } = await wholeExport(person)
    const items = await partition(person)
    const missing: string[] = []
    for (const item of items) {
      const sk = String(item.sk)
      if (omittedKinds.some(({ prefix }) => sk.startsWith(prefix))) continue
      const kinds = exportedKinds.filter(({ prefix }) => sk.startsWith(prefix))
      const shown = JSON.stringify(kinds.map(({ section }) => sections[section]))
      for (const [name, value] of Object.entries(item).filter(([name]) => !INDEX.includes(name))) {
        const isOmitted = kinds.some(({ section, omits = {} }) => plainName(section, name) in omits)
        const isShown = kinds.some(
          ({ section, shows, within }) =>
            shows.some((each) => nameOf(each) === name) ||
            (section === 'units' && COUNTED.includes(plainName(section, name))) ||
            (section === 'usage' && ['u', 'c', 't'].includes(name)) ||
            (section === 'usageTags' && /^(t\d+|other)$/.test(name)) ||
            within?.attribute === name,
        )
        if (isOmitted === isShown) missing.push(`${sk} ${name}`)
        const omitted = new Set(kinds.flatMap(({ omits = {} }) => Object.keys(omits)))
        const wanted = isShown ? facts(withoutOmitted(value, omitted), name) : []
        missing.push(...wanted.filter((fact) => !shown.includes(fact)).map((fact) => `${sk} ${name} ${fact}`))
      }
    }
    expect(missing).toEqual([])
    const all = [...exportedKinds, mailRequestKind].map(({ section }) => section)
    expect(Object.keys(sections).sort()).toEqual([...new Set(all), 'elsewhere', 'omitted'].sort())
  })

  /** A value without what its kind leaves out at any depth. */
  function withoutOmitted(value: unknown, omitted: ReadonlySet<string>): unknown {
    if (Array.isArray(value) || typeof value !== 'object' || value === null) return value
    const kept = Object.entries(value).filter(([name]) => !omitted.has(name))
    return Object.fromEntries(kept.map(([name, each]) => [name, withoutOmitted(each, omitted)]))
  }

  test('has the names and values of the API’s own answers, with times in ISO 8601 and amounts in a currency', async () => {
    const { person } = await richPerson(app)
    const { sections } = await wholeExport(person)
    const [profile] = sections.profile ?? []
    expect(profile).toMatchObject({
      username: person.username,
      email: person.email,
      name: 'Planted Fullname',
      createdAt: '2026-11-21T12:00:00.000Z',
      balance: 0,
      currency: 'USD',
      twofa: true,
    })
    const { body: ledger } = await app.request('GET', '/v1/ledger', { token: person.accessToken })
    expect(sections.ledger).toMatchObject(ledger)
    const { body: listed } = await app.request('GET', '/v1/keys', { token: person.accessToken })
    const byId = (keys: { id: unknown }[] = []) =>
      keys.toSorted((a, b) => (String(a.id) < String(b.id) ? -1 : 1))
    const named = (some: Record<string, unknown>[]) =>
      byId(some.map(({ id, name, prefix, last4, createdAt }) => ({ id, name, prefix, last4, createdAt })))
    expect(named(sections.keys as never)).toEqual(named(listed))
    expect(sections.keys).toContainEqual(
      expect.objectContaining({ settings: { scopes: ['planted'], expiresAt: '2027-11-21T12:00:00.000Z' } }),
    )
    expect(sections.units).toMatchObject([{ left: 1095, used: 5, usedByKeySlot: { 0: 5 } }])
    expect(sections.usage).toEqual([
      {
        start: '2026-11-21T00:00:00.000Z',
        usedUntilThen: 3,
        usedByKeySlot: { 0: 3 },
        lastUsedDayByKeySlot: { 0: 20778 },
      },
    ])
    expect(sections.purchases).toMatchObject([
      { amount: 0.99, currency: 'USD', last4: '4242', state: 'credited' },
    ])
  })

  test('shows no key, seed, recovery code, mailed code, or mark of one', async () => {
    const person = await withTwoFactor(app, await app.signUp())
    const key = await defaultKey(app, person)
    await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
    await app.job('send-mail')
    const code = app.mailedCode(person.email)
    const stored = (await partition(person)).find(({ sk }) => sk === '#PROFILE') ?? {}
    const { seed } = stored.totp as { seed: string }
    const { text } = await exportUser(person)
    const secrets = [key, person.seed, seed, code, code.slice(0, 16), String(stored.defaultKey)]
    for (const secret of [...secrets, ...person.recoveryCodes]) expect(text).not.toContain(secret)
  })

  test('pages put together are the whole partition once, and each is far below the 6 MB of Lambda', async () => {
    const person = await app.signUp()
    const ports = await app.ports()
    const longest = '𝄞'.repeat(1000)
    const notices = Array.from({ length: 1200 }, () => newNotice(ports, person.accountId, 'long', longest))
    const marks = Array.from({ length: 30 }, (_, n) => ({
      ...keys.spent(person.accountId, 0, n, 'x'),
      ids: new Uint8Array(90_000),
    }))
    for (const page of [notices.slice(0, 600), notices.slice(600), marks])
      for (let at = 0; at < page.length; at += 100) await ports.table.putAll(page.slice(at, at + 100))
    const { sections, sizes } = await wholeExport(person)
    const ids = (sections.notices ?? []).map(({ id }) => id)
    expect(ids.filter((id) => notices.some((notice) => notice.id === id))).toHaveLength(1200)
    expect(new Set(ids).size).toBe(ids.length)
    expect(sizes.length).toBeGreaterThanOrEqual(3)
    expect(Math.max(...sizes)).toBeLessThan(3_000_000)
  })

  test('a start tells the owner once; a repeat within a minute and further pages do not count', async () => {
    const person = await app.signUp()
    const first = await exportUser(person)
    app.advance(30_000)
    const second = await exportUser(person)
    expect([second.status, second.body]).toEqual([first.status, first.body])
    await exportUser(person, { cursor: cursorAt('LEDGER#') })
    const told = (await mailsTo(app, person)).filter((subject) => subject.includes('exported'))
    expect(told).toHaveLength(1)
  })

  test('a page without a start before it is a start: nobody reads the data untold', async () => {
    const person = await app.signUp()
    expect((await exportUser(person, { cursor: cursorAt('#PROFILE') })).status).toBe(200)
    expect((await mailsTo(app, person)).join()).toContain('exported')
  })

  test('a cursor of another account reads the caller’s own data', async () => {
    const [person, other] = [await app.signUp(), await app.signUp()]
    const cursor = cursorAt(keys.profile(other.accountId).sk)
    const { text } = await exportUser(person, { cursor })
    expect(text).not.toContain(other.username)
  })
})

test('400: a cursor that is no position in a partition', async () => {
  const person = await app.signUp()
  const texts = ['', '\u0000', '~', '~~', 'ü', 'LEDGER#\n', 'LEDGER#\u007f', 'x'.repeat(302), 'x'.repeat(400)]
  for (const text of texts) refused(await exportUser(person, { cursor: cursorAt(text) }), 'invalid_request')
})

test('429: a sixth start within an hour waits', async () => {
  const person = await app.signUp()
  for (let start = 0; start < 5; start++) {
    expect((await exportUser(person)).status).toBe(200)
    app.advance(MINUTE_MS)
  }
  const answer = await exportUser(person)
  refused(answer, 'too_many_exports')
  expect(answer.headers.get('retry-after')).toBe(String((HOUR_MS - 5 * MINUTE_MS) / 1000))
})

test('concurrent starts count as one', async () => {
  const person = await app.signUp()
  for (const { status } of await Promise.all(Array.from({ length: 8 }, () => exportUser(person))))
    expect(status).toBe(200)
  expect((await mailsTo(app, person)).filter((subject) => subject.includes('exported'))).toHaveLength(1)
})

test('503: while the database is down nothing is answered', async () => {
  const person = await app.signUp()
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems' })
  refused(await exportUser(person), 'temporarily_unavailable')
  app.stack.dynamo.clearFaults()
})
