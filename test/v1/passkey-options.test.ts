import { expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { add, askOptions, newPasskey, withPasskey } from '../support/passkeys.ts'

const app = await startApp()

test('200: the options name the frontend’s host, the account, and the passkeys that exist, and nothing is stored', async () => {
  const person = await withPasskey(app, await app.signUp())
  const { table } = await app.ports()
  const before = await table.get(keys.profile(person.accountId))
  const { status, body } = await askOptions(app, person)
  expect([status, body]).toEqual([
    200,
    {
      challenge: expect.stringMatching(/^[\w-]{40,}$/),
      rp: { id: 'app.bursar.example', name: 'Bursar' },
      user: {
        id: Buffer.from(person.accountId).toString('base64url'),
        name: person.email,
        displayName: person.username,
      },
      pubKeyCredParams: [-8, -7, -257].map((alg) => ({ alg, type: 'public-key' })),
      timeout: 300_000,
      excludeCredentials: [{ id: person.authenticator.passkeys[0]?.id, type: 'public-key' }],
      authenticatorSelection: {
        residentKey: 'required',
        requireResidentKey: true,
        userVerification: 'required',
      },
      attestation: 'none',
    },
  ])
  expect(await table.get(keys.profile(person.accountId))).toEqual(before)
})

test('200: every challenge is another one', async () => {
  const person = await app.signUp()
  const challenges = await Promise.all(Array.from({ length: 5 }, () => askOptions(app, person)))
  expect(new Set(challenges.map(({ body }) => body.challenge)).size).toBe(5)
})

test('409: ten passkeys are the most, of eleven at once too', async () => {
  const person = await app.signUp()
  for (let nth = 1; nth <= 9; nth++) {
    expect((await add(app, person, await newPasskey(app, person))).status).toBe(201)
  }
  const [one, another] = [await newPasskey(app, person), await newPasskey(app, person)]
  const answers = await Promise.all([one, another].map((passkey) => add(app, person, passkey)))
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409])
  const full = answers.find(({ status }) => status === 409)
  expectError(v1.addPasskey, full!, 'passkey_limit_reached')
  expectError(v1.passkeyOptions, await askOptions(app, person), 'passkey_limit_reached')
})
