import { expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { MINUTE_MS } from '../../core/time.ts'
import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import type { SignedInPerson } from '../support/people.ts'
import { rowKey, type Sample, sampleOf } from '../support/samples.ts'
import { expectContract, targetOf } from './contract.ts'

/**
 * Why an endpoint that changes something for a signed-in caller needs no recent proof. An endpoint that changes
 * who gets into an account, or shows a secret, does not belong here.
 */
const NEEDS_NO_PROOF: Record<string, string> = {
  'v1.endSession': 'ends access and gives none',
  'v1.renamePasskey': 'a label that only its owner sees',
  'v1.setAlerts': 'says what the owner is told',
  'api.setBillingSettings': 'an address for books, by which nothing is sent or charged',
  'v1.setFlags': 'concerns renewals and notices',
  'v1.setRenewal': 'limits what renewals charge',
  'v1.signUpForBundle': 'the bank proves the card',
  'v1.changeBundle': 'charges the card on file',
  'v1.buy': 'charges the card on file',
  'v1.changeCard': 'the bank proves the card',
  'api.verifyPayment': 'the bank proves the card',
  'api.deletePaymentMethod': 'shows and opens nothing',
}

const app = await startApp()
const STALE_MS = 11 * MINUTE_MS

const changing = rows.filter(
  ({ auth, routes }) => auth === 'account' && routes.some((key) => !key.startsWith('GET ')),
)
const proven = changing.filter(({ proof }) => proof)
const guarded = proven.filter(({ proof }) => proof === 'recent')

const named = (some: Placed[]) => some.map((row) => [rowKey(row), row] as const)

function send(row: Placed, { path, body }: Sample, token: string, headers: Record<string, string> = {}) {
  const [method, target] = targetOf(row.routes[0], path)
  return app.request(method, target, { token, headers, ...(body && { json: body }) })
}

/** Body fields that carry a proof. */
const PROOFS = ['oldPassword', 'twofa', 'code', 'password']

const withoutProof = (row: Placed, { body = {}, ...sample }: Sample): Sample => ({
  ...sample,
  body: Object.fromEntries(
    Object.entries(body).filter(
      ([name]) => !PROOFS.includes(name) || (row.name === 'changePassword' && name === 'password'),
    ),
  ),
})

const profileOf = async ({ accountId }: SignedInPerson) =>
  (await app.ports()).table.get(keys.profile(accountId))

test('every endpoint that changes something for a caller has a proof, or a reason why it needs none', () => {
  const without = changing.filter(({ proof }) => !proof).map(rowKey)
  expect(without.sort()).toEqual(Object.keys(NEEDS_NO_PROOF).sort())
})

test.each(named(guarded))('%s: a session of 11 minutes is refused, and nothing changes', async (_, row) => {
  const person = await app.signUp()
  const sample = await sampleOf(app, row, person)
  app.advance(STALE_MS)
  const before = await profileOf(person)
  const refused = await send(row, sample, person.accessToken)
  expectContract(row, refused)
  expect(refused.status).toBe(403)
  expect(refused.text).toContain('X-Proof-Password')
  expect(await profileOf(person)).toEqual(before)
})

test.each(named(guarded))('%s: a session of 11 minutes passes with the password', async (_, row) => {
  const person = await app.signUp()
  const sample = await sampleOf(app, row, person)
  app.advance(STALE_MS)
  // A code of the authenticator app, or the options of a passkey, would have expired meanwhile.
  if (['verifyTwoFactor', 'addPasskey'].includes(row.name)) return void expect(sample.body).toBeDefined()
  const passed = await send(row, sample, person.accessToken, { 'x-proof-password': person.password })
  expect(passed.status).toBeLessThan(300)
})

test.each(named(guarded))('%s: a wrong proof is refused, and nothing changes', async (_, row) => {
  const person = await app.signUp()
  const sample = await sampleOf(app, row, person)
  const before = await profileOf(person)
  const refused = await send(row, sample, person.accessToken, { 'x-proof-password': 'Wrong123!' })
  expect(refused.status).toBe(403)
  expect(await profileOf(person)).toEqual(before)
})

const own = proven.filter((row) => row.proof === 'own' && row.name !== 'updateCurrentUser')
test.each(named(own))('%s: a session of 11 minutes is refused without its proof', async (_, row) => {
  const person = await app.signUp()
  const sample = await sampleOf(app, row, person)
  app.advance(STALE_MS)
  const before = await profileOf(person)
  const refused = await send(row, withoutProof(row, sample), person.accessToken)
  expect([400, 403]).toContain(refused.status)
  expect(await profileOf(person)).toEqual(before)
})
