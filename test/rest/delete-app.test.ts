import { expect, test } from 'vitest'
import { rest } from '../../functions/rest/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { createKey, liveKeys } from '../support/keys.ts'

const app = await startApp()

test('200: the key is refused from then on, and a repeat is 200 again; 409 for the first key', async () => {
  const person = await app.signUp()
  const { id, key } = await createKey(app, person)
  const remove = (apiKey: string) =>
    app.request('DELETE', `/rest/apps/${apiKey}`, { token: person.accessToken })
  const answer = await remove(id)
  expectContract(rest.deleteApp, answer)
  expect(answer.body).toEqual({ status: 1 })
  expect(await liveKeys(app, person, [key])).toEqual([])
  expect((await remove(id)).body).toEqual({ status: 1 })
  expectError(rest.deleteApp, await remove('default'), 'default_key_required')
  expectError(rest.deleteApp, await remove('f'.repeat(24)), 'not_found')
})
