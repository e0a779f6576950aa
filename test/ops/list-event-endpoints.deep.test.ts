import { beforeEach, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { addedEndpoint, HOOK_URL, listedEndpoints } from '../support/event-endpoints.ts'

const app = await startApp()
beforeEach(app.startAfresh)

test('200 with no endpoint, then with every one; nothing of a secret is shown', async () => {
  expect(await listedEndpoints(app)).toEqual([])
  const some = await addedEndpoint(app, { types: ['account.erased'] })
  const all = await addedEndpoint(app)
  const listed = await listedEndpoints(app)
  const shown = {
    url: HOOK_URL,
    enabled: true,
    createdAt: expect.stringMatching(/Z$/),
    failingSince: null,
    disabledAt: null,
  }
  expect(listed).toHaveLength(2)
  expect(listed).toEqual(
    expect.arrayContaining([
      { ...shown, id: some.id, types: ['account.erased'] },
      { ...shown, id: all.id, types: [] },
    ]),
  )
  expect(JSON.stringify(listed)).not.toContain('whsec_')
})
