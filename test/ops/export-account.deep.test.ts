import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { newsTo, operate, recordedOf } from '../support/operated.ts'

const app = await startApp()

test('200: the same sections as the owner’s export, page by page; told and recorded once', async () => {
  const person = await app.signUp()
  const first = await operate(app, person.accountId, 'export')
  expect(first.body).toMatchObject({
    version: 1,
    profile: [{ username: person.username, email: person.email }],
  })
  expect(first.body.omitted.length).toBeGreaterThan(0)
  const cursor = Buffer.from('NOTICE#').toString('base64url')
  const second = await operate(app, person.accountId, 'export', { cursor })
  expect([second.status, second.body.next, second.body.exportedAt]).toEqual([
    200,
    null,
    first.body.exportedAt,
  ])
  expect(second.body.profile).toBeUndefined()
  expect(await newsTo(app, person)).toEqual(['Our support team has exported your data'])
  const { audit } = await recordedOf(app, person)
  expect(audit).toMatchObject([{ action: 'operator.exported', reason: 'Ticket 4711' }])
})

test('200: of a suspended account, and however often the owner has exported', async () => {
  const person = await app.signUp()
  for (let n = 0; n < 6; n++) {
    app.advance(61_000)
    expect((await operate(app, person.accountId, 'export')).status).toBe(200)
  }
  await operate(app, person.accountId, 'suspend')
  expect((await operate(app, person.accountId, 'export')).body.profile[0].status).toBe('suspended')
})
