import { beforeEach, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { newBuyer } from '../support/buyers.ts'
import { consume } from '../support/quota.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const DAY_MS = 86_400_000
const top = (search: string) => app.request('GET', `/ops/read/top?${search}`, { operator: 'read' })

test('200: whoever has paid most comes first, and each account is there once with all that it has paid', async () => {
  const [ada, bob] = [await newBuyer(app), await newBuyer(app)]
  await app.job('publish-events')
  await app.request('POST', '/v1/user/buy', { token: bob.accessToken })
  await app.job('publish-events')
  expect((await top('by=paid')).body).toEqual({
    ...{ month: '2026-11', by: 'paid', currency: 'USD' },
    accounts: [
      { id: bob.accountId, username: bob.username, value: 198 },
      { id: ada.accountId, username: ada.username, value: 99 },
    ],
  })
  expect((await top('by=paid&limit=1')).body.accounts).toHaveLength(1)
  expect((await top('by=paid&month=2026-10')).body.accounts).toEqual([])
})

test('200: whoever has used most, and who ran out of units', async () => {
  const person = await newBuyer(app)
  const spend = (units: number) => consume(app, person.key, { units })
  await app.request('PUT', '/v1/user/flags', {
    token: person.accessToken,
    json: { bundleAutoRenewal: false },
  })
  await spend(1100)
  await spend(1)
  await app.job('check-quotas')
  await app.job('publish-events')
  app.advance(2 * DAY_MS)
  await app.job('count-use')
  const account = { id: person.accountId, username: person.username }
  expect((await top('by=used')).body.accounts).toEqual([{ ...account, value: 1100 }])
  expect((await top('by=refused')).body.accounts).toEqual([{ ...account, value: 1 }])
})
