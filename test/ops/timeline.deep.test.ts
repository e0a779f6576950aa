import { expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import { startApp } from '../support/app.ts'
import { newBuyer, spendTo } from '../support/buyers.ts'
import { consume } from '../support/quota.ts'

const app = await startApp()

interface Page {
  happenings: { at: string; kind: string; text: string; id: string }[]
  next: string | null
}

async function timelineOf(accountId: string, cursor?: string): Promise<Page> {
  const query = new URLSearchParams(cursor === undefined ? {} : { cursor })
  const path = `/ops/read/accounts/${accountId}/timeline?${query}`
  const { status, body } = await app.request('GET', path, { operator: 'read' })
  expect(status).toBe(200)
  return body as Page
}

/** All pages of a timeline. */
async function wholeTimeline(accountId: string) {
  const pages: Page[] = []
  for (let cursor: string | undefined; ; ) {
    const page = await timelineOf(accountId, cursor)
    pages.push(page)
    if (page.next === null) return { pages, all: pages.flatMap(({ happenings }) => happenings) }
    cursor = page.next
  }
}

test('200 with payments, units, mails, notices, cards and days of use in one order, the newest first', async () => {
  const person = await newBuyer(app)
  await spendTo(app, person, 50)
  await app.job('check-quotas')
  await app.job('send-mail')
  app.advance(24 * 3_600_000)
  await consume(app, person.key, { units: 10 })
  const { all } = await wholeTimeline(person.accountId)
  const times = all.map(({ at }) => at)
  expect(times).toEqual([...times].sort().reverse())
  const texts = all.map(({ kind, text }) => `${kind}: ${text}`)
  for (const text of [
    'ledger: payment: +$0.99',
    'ledger: sale: +1,000 units, -$0.99',
    'ledger: trial: +100 units',
    'mail: mail low-quota was sent',
    'purchase: signup of STARTER for $0.99 was begun, now credited',
    'use: 1,050 units used on that day',
    'card: card visa ending in 4242 was made at Stripe',
  ])
    expect(texts).toContain(text)
  expect(texts.some((text) => text.startsWith('notice: low_quota: '))).toBe(true)
  expect(JSON.stringify(all)).not.toContain(person.email)
})

test('pages have everything once, whatever the kinds, and none costs more than seven Queries', async () => {
  const person = await newBuyer(app)
  const base = Date.now()
  const items: Item[] = Array.from({ length: 130 }, (_, at) => {
    const createdAtMs = base + at * 1000
    const id = createdAtMs.toString(16).padStart(12, '0') + '0'.repeat(12)
    return { ...keys.notice(person.accountId, id), id, messageType: 'test', message: `${at}`, createdAtMs }
  })
  const days = Array.from({ length: 80 }, (_, at) => ({
    ...keys.day(person.accountId, Math.floor(base / 86_400_000) - 100 + at),
    ...{ u: Math.floor(at / 2), c: {}, t: {} },
  }))
  await app.fixtures.put([...items, ...days])
  app.resetCalls()
  const { pages, all } = await wholeTimeline(person.accountId)
  expect(app.calls().dynamodb).toEqual({ Query: 7 * pages.length })
  const names = all.map(({ kind, id }) => `${kind} ${id}`)
  expect(new Set(names).size).toBe(names.length)
  expect(all.filter(({ text }) => text.startsWith('test: '))).toHaveLength(130)
  // Every second day had use.
  expect(all.filter(({ kind }) => kind === 'use').map(({ text }) => text)).toEqual(
    Array(39).fill('1 unit used on that day'),
  )
})

test('200 without a line for an id that no account has', async () => {
  expect(await timelineOf('6'.repeat(24))).toEqual({ happenings: [], next: null })
})

test.each(['x', Buffer.from('[1]').toString('base64url'), Buffer.from('{"AUDIT#":1}').toString('base64url')])(
  '400: a cursor that no page has given (%s)',
  async (cursor) => {
    const path = `/ops/read/accounts/${'6'.repeat(24)}/timeline?cursor=${cursor}`
    expect((await app.request('GET', path, { operator: 'read' })).status).toBe(400)
  },
)
