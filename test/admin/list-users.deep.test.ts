import { beforeEach, describe, expect, test } from 'vitest'
import { askAs, newAdminKey, type TestAdminKey } from '../support/admin-keys.ts'
import { startApp } from '../support/app.ts'
import { operate } from '../support/operate.ts'
import type { SignedInPerson } from '../support/people.ts'

const app = await startApp()
let key: TestAdminKey
beforeEach(async () => {
  await app.startAfresh()
  key = await newAdminKey(app, 'read')
})

const list = (query = '') => askAs(app, key, 'GET', `/users${query}`)
const idsOf = ({ body }: { body: { _id: string }[] }) => body.map(({ _id }) => _id)

/** People who were registered a second apart, the newest first. */
async function people(number: number): Promise<SignedInPerson[]> {
  const made: SignedInPerson[] = []
  for (let nth = 0; nth < number; nth++) {
    app.advance(1000)
    made.unshift(await app.signUp())
  }
  return made
}

test('200 with the accounts in the shape that EMCP shows their owners, newest first', async () => {
  const [second, first] = await people(2)
  await operate(app, first!, 'suspend', {})
  const { status, body } = await list()
  const { body: own } = await app.request('GET', '/api/users/current', { token: second!.accessToken })
  expect([status, body]).toEqual([200, [own, expect.objectContaining({ _id: first!.accountId, status: 1 })]])
})

describe('pages', () => {
  test('have each account once, and Link leads from one to the next until the last', async () => {
    const all = (await people(5)).map(({ accountId }) => accountId)
    const seen: string[] = []
    let next: string | undefined = '?limit=2'
    const sizes: number[] = []
    while (next !== undefined) {
      const answer = await list(next)
      seen.push(...idsOf(answer))
      sizes.push(answer.body.length)
      next = /^<\/admin\/api\/users(\?[^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]
    }
    expect([seen, sizes]).toEqual([all, [2, 2, 1]])
  })

  test('after the last one are empty', async () => {
    await people(2)
    const answer = await list('?page=2&limit=2')
    expect([answer.status, answer.body, answer.headers.get('link')]).toEqual([200, [], null])
  })

  test('list accounts of every status, but none that was erased', async () => {
    const [active, closed, erased] = await people(3)
    await app.request('PUT', '/api/users/current/deactivate', { token: closed!.accessToken })
    await app.request('POST', `/ops/admin/accounts/${erased!.accountId}/erase`, {
      operator: 'admin',
      json: { reason: 'wishes it', confirm: erased!.accountId },
    })
    expect(idsOf(await list())).toEqual([active!.accountId, closed!.accountId])
  })

  test('cost four Queries of the index, and one of each account that is shown', async () => {
    await people(4)
    await list()
    app.resetCalls()
    await list('?page=2&limit=3')
    expect(app.calls().dynamodb).toEqual({ Query: 5 })
  })

  test.each([
    '?page=0',
    '?page=x',
    '?limit=26',
    '?limit=0',
    '?page=41&limit=25',
    '?page=1001&limit=1',
    '?a=1',
  ])('400 for %s', async (query) => {
    expect((await list(query)).status).toBe(400)
  })

  test('the last by number is the one that ends with the thousandth account', async () => {
    expect((await list('?page=40&limit=25')).status).toBe(200)
    expect((await list('?page=1000&limit=1')).status).toBe(200)
  })
})
