import { expect, test } from 'vitest'
import { rest } from '../../functions/rest/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { createKey } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'

const app = await startApp()

const get = ({ accessToken: token }: SignedInPerson, apiKey: string) =>
  app.request('GET', `/rest/apps/${apiKey}`, { token })

test('200: any key of the account, however it was made, without its text', async () => {
  const person = await app.signUp()
  const { id, key } = await createKey(app, person)
  for (const appid of [id, 'default']) {
    const answer = await get(person, appid)
    expect(answer.status).toBe(200)
    expectContract(rest.getApp, answer)
    expect(answer.body.content).toMatchObject({ appid, corsurl: '', parent: 'root' })
    expect(answer.text).not.toContain(key)
  }
})

test('404: another account’s, a revoked and an unknown key have the same answer', async () => {
  const [person, other] = [await app.signUp(), await app.signUp()]
  const [theirs, revoked] = [await createKey(app, other), await createKey(app, person)]
  await app.request('DELETE', `/rest/apps/${revoked.id}`, { token: person.accessToken })
  for (const id of [theirs.id, revoked.id, 'f'.repeat(24), 'x', 'a'.repeat(1100)])
    expectError(rest.getApp, await get(person, id), 'not_found')
})
