import { verifyRegistrationResponse } from '@simplewebauthn/server'
import { expect, test, vi } from 'vitest'
import { webauthnPasskeys } from '../../core/adapters/webauthn.ts'
import { type Lie, newAuthenticator } from '../support/authenticator.ts'

vi.mock('@simplewebauthn/server', () => ({ verifyRegistrationResponse: vi.fn(async () => ({})) }))

const origin = 'https://app.acme.io'
const passkeys = webauthnPasskeys({ appUrl: `${origin}/home` })

/** Whether the library gets to see the answer. */
async function isHandedOver(lie: Lie): Promise<boolean> {
  vi.mocked(verifyRegistrationResponse).mockClear()
  const options = { challenge: 'AAAA', rp: { id: 'app.acme.io' }, user: { id: 'AAAA' } }
  const answer = newAuthenticator({ origin }).create(options, lie) as never
  expect(await passkeys.verifyAttestation(answer, 'AAAA')).toBeUndefined()
  return vi.mocked(verifyRegistrationResponse).mock.calls.length > 0
}

test('the library checks answers without a certificate', async () => {
  expect(await isHandedOver({})).toBe(true)
  expect(await isHandedOver({ selfAttested: true })).toBe(true)
  expect(verifyRegistrationResponse).toHaveBeenCalledWith(
    expect.objectContaining({
      expectedOrigin: origin,
      expectedRPID: 'app.acme.io',
      requireUserVerification: true,
    }),
  )
})

test('an answer with a certificate never reaches the library, which would load what the certificate names', async () => {
  const x5c = new Map([['x5c', [Buffer.alloc(100)]]])
  for (const fmt of ['packed', 'fido-u2f', 'tpm', 'apple', 'android-key', 'android-safetynet']) {
    expect([fmt, await isHandedOver({ attestation: { fmt, attStmt: x5c } })]).toEqual([fmt, false])
  }
})
