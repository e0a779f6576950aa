import { expect, test } from 'vitest'
import { outsideCalls } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()

test('200: a fresh challenge for any passkey of the frontend’s host, without a read or a write', async () => {
  app.resetCalls()
  const answers = await Promise.all(
    Array.from({ length: 3 }, () => app.request('POST', '/v1/auth/passkeys/options/get')),
  )
  for (const { status, body } of answers) {
    expect([status, body]).toEqual([
      200,
      {
        challenge: expect.stringMatching(/^[\w-]{40,}$/),
        rpId: 'app.bursar.example',
        timeout: 300_000,
        userVerification: 'required',
        allowCredentials: [],
      },
    ])
  }
  expect(new Set(answers.map(({ body }) => body.challenge)).size).toBe(3)
  expect(outsideCalls(app)).toEqual({})
})
