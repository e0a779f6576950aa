import { beforeEach, expect, test } from 'vitest'
import { type Resealed, resealAccounts } from '../../core/account/reseal.ts'
import { keys } from '../../core/table/keys.ts'
import { WHOLE_RUN } from '../machine/faults.ts'
import { startApp } from '../support/app.ts'
import { keyringOf } from '../support/keyrings.ts'
import type { SignedInPerson } from '../support/people.ts'

const app = await startApp()
const ports = await app.ports()
beforeEach(app.startAfresh)

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

const NEW = 'b2'.repeat(32)
const after = keyringOf(NEW)
/** The keyring of the local stack, after a new secret that is in use. */
const { versions, mac, macs, macBy, open } = ports.keyring
const during = {
  ...after,
  versions: [after.versions[0], versions[0]] as [string, string],
  macs: (...of: Parameters<typeof macs>): [Buffer, Buffer] => [after.mac(...of), mac(...of)],
  macBy: (...of: Parameters<typeof macBy>) => after.macBy(...of) ?? macBy(...of),
  open: (...of: Parameters<typeof open>) => after.open(...of) ?? open(...of),
}

const run = (): Promise<Resealed | undefined> =>
  resealAccounts({ ...ports, keyring: during }, { ...WHOLE_RUN, untilMs: Date.now() + MINUTE_MS })

const sealedWith = async (people: SignedInPerson[]): Promise<string[]> => {
  const profiles = await Promise.all(people.map(({ accountId }) => ports.table.get(keys.profile(accountId))))
  return profiles.map((profile) => String(profile?.defaultKey).slice(0, 4))
}

test('without a rotation under way it makes no call', async () => {
  app.resetCalls()
  expect(await app.job('reseal')).toEqual({})
  expect(app.calls().dynamodb).toEqual({})
})

test('it begins when no function of the deployment before is left, and says when the old secret may go', async () => {
  const people = [await app.signUp(), await app.signUp()]
  expect(await run()).toEqual({ resealed: 0, lost: 0, failed: 0, oldMayGoMs: undefined })
  expect(await sealedWith(people)).toEqual([versions[0], versions[0]])
  const oldMayGoMs = Date.now() + 20 * MINUTE_MS + 8 * DAY_MS
  app.advance(21 * MINUTE_MS)
  expect(await run()).toEqual({ resealed: 2, lost: 0, failed: 0, oldMayGoMs })
  expect(await sealedWith(people)).toEqual([after.versions[0], after.versions[0]])
  expect(await run()).toEqual({ resealed: 2, lost: 0, failed: 0, oldMayGoMs })
})

test('accounts that failed are looked at again, and the old secret may not go before', async () => {
  const people = [await app.signUp(), await app.signUp()]
  await run()
  app.advance(21 * MINUTE_MS)
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems', times: 20 })
  expect(await run()).toMatchObject({ failed: 2, oldMayGoMs: undefined })
  app.stack.dynamo.clearFaults()
  expect(await run()).toMatchObject({ failed: 0, oldMayGoMs: expect.any(Number) })
  expect(await sealedWith(people)).toEqual([after.versions[0], after.versions[0]])
})

test('a key that its owner rotates meanwhile stays the new one', async () => {
  const signedUp = await app.signUp()
  await run()
  app.advance(21 * MINUTE_MS)
  const person = await app.login(signedUp)
  const { table } = ports
  let rotated = ''
  const get = async (key: Parameters<typeof table.get>[0]) => {
    const item = await table.get(key)
    if (key.sk === '#PROFILE')
      rotated = (
        await app.request('POST', '/v1/keys/default/rotate', { token: person.accessToken, json: {} })
      ).body.key
    return item
  }
  const rotating = { ...ports, keyring: during, table: { ...table, get } }
  await resealAccounts(rotating, { ...WHOLE_RUN, untilMs: Date.now() + MINUTE_MS })
  expect(await app.fixtures.defaultKey(person.accountId)).toBe(rotated)
})

test('an account whose secret is lost is counted and left alone', async () => {
  const person = await app.signUp()
  const lost = { ...during, open: after.open, versions: [after.versions[0], 'ffff'] as [string, string] }
  const work = () =>
    resealAccounts({ ...ports, keyring: lost }, { ...WHOLE_RUN, untilMs: Date.now() + MINUTE_MS })
  await work()
  app.advance(21 * MINUTE_MS)
  expect(await work()).toMatchObject({ lost: 1, failed: 0 })
  expect(await sealedWith([person])).toEqual([versions[0]])
})
