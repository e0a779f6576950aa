import { expect, test } from 'vitest'
import { type Profile, parseProfile } from '../../core/account/account.ts'
import { emailKey, usernameKey } from '../../core/account/fields.ts'
import { register, sweepPending } from '../../core/account/register.ts'
import { defaultKeyLookup } from '../../core/keys/default-key.ts'
import { CORE_PREFIX, dueShards, keys } from '../../core/table/keys.ts'
import { newPerson, type Person, startApp } from '../support/app.ts'

const app = await startApp()

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

const sweep = () => app.job('sweep')

/** A registration that crashed after the vault had learnt of it. */
async function pending(person: Person = newPerson()) {
  const ports = await app.ports()
  const crash = async (accountId: string, password: string) => {
    await ports.identity.enroll(accountId, password)
    throw new Error('crash')
  }
  await register({ ...ports, identity: { ...ports.identity, enroll: crash } }, person).catch(() => {})
  const guard = await ports.table.get(keys.usernameGuard(usernameKey(person.username)))
  const profile = parseProfile((await ports.table.get(keys.profile(String(guard?.accountId)))) ?? {})
  expect(profile.status).toBe('pending')
  return { person, profile }
}

/** What is left of a registration, in the table and at the vault. */
async function remains(profile: Profile): Promise<string[]> {
  const { table, ...ports } = await app.ports()
  const guards = {
    username: keys.usernameGuard(usernameKey(profile.username)),
    email: keys.emailGuard(emailKey(profile.email)),
    key: defaultKeyLookup(ports, profile),
  }
  const account = await table.list(keys.account(profile.id), CORE_PREFIX)
  const standing = await Promise.all(
    Object.entries(guards).map(async ([name, key]) => ((await table.get(key)) ? [name] : [])),
  )
  const inVault = app.stack.cognito.users().includes(profile.id)
  return [...(account.length > 0 ? ['account'] : []), ...standing.flat(), ...(inVault ? ['vault'] : [])]
}

const EVERYTHING = ['account', 'username', 'email', 'key', 'vault']

test('a registration pending for an hour is gone whole, and its names are free again', async () => {
  const { person, profile } = await pending()
  app.advance(HOUR_MS)
  expect(await sweep()).toMatchObject({ registrationsCleared: 1 })
  expect(await remains(profile)).toEqual([])
  expect((await app.register({ ...person, password: 'Another123!' })).status).toBe(201)
})

test('a younger one is untouched', async () => {
  const { profile } = await pending()
  app.advance(HOUR_MS - 1)
  expect(await sweep()).toMatchObject({ registrationsCleared: 0 })
  expect(await remains(profile)).toEqual(EVERYTHING)
  app.advance(1)
  await sweep()
})

test('one that was resumed in time is untouched', async () => {
  const { person, profile } = await pending()
  app.advance(49 * MINUTE_MS)
  expect((await app.register(person)).status).toBe(201)
  app.advance(HOUR_MS)
  expect(await sweep()).toMatchObject({ registrationsCleared: 0 })
  expect(await remains(profile)).toEqual(EVERYTHING)
  await app.login(person)
})

test('one too old to be resumed waits for the sweep: the two never work on one account at once', async () => {
  const { person, profile } = await pending()
  app.advance(50 * MINUTE_MS)
  expect((await app.register(person)).status).toBe(409)
  app.advance(10 * MINUTE_MS)
  await sweep()
  expect(await remains(profile)).toEqual([])
  expect((await app.register(person)).status).toBe(201)
})

test('a crash between the vault and the table is repaired by the next sweep', async () => {
  const { person, profile } = await pending()
  app.advance(HOUR_MS)
  app.stack.dynamo.fault({ kind: 'error-before', match: 'TransactWriteItems', times: 2 })
  expect(await sweep()).toMatchObject({ registrationsCleared: 0, registrationsFailed: 1 })
  expect(await remains(profile)).toEqual(['account', 'username', 'email', 'key'])
  expect(await sweep()).toMatchObject({ registrationsCleared: 1 })
  expect(await remains(profile)).toEqual([])
  expect((await app.register(person)).status).toBe(201)
})

test('two sweeps at once clear it, and neither fails', async () => {
  const { profile } = await pending()
  app.advance(HOUR_MS)
  await Promise.all([sweep(), sweep()])
  expect(await remains(profile)).toEqual([])
})

test('an account that became active after the index was read is untouched and not counted', async () => {
  const { person, profile } = await pending()
  const { table, ...ports } = await app.ports()
  const late: typeof table = {
    ...table,
    due: async (kind, nowMs, limit) => {
      const due = await table.due(kind, nowMs + HOUR_MS, limit)
      await app.register(person)
      return due
    },
  }
  const cleared = await sweepPending({ ...ports, table: late }, 10)
  expect(await remains(profile)).toEqual(EVERYTHING)
  expect(cleared).toEqual({ done: 0, failed: 0 })
})

test('registrations in every shard are cleared, and accounts that are finished are not', async () => {
  const finished = await app.signUp()
  const crashed = []
  const shards = new Set<string>()
  while (shards.size < dueShards('PENDING').length) {
    const { profile } = await pending()
    const item = await (await app.ports()).table.get(keys.profile(profile.id))
    shards.add(String(item?.due))
    crashed.push(profile)
  }
  app.advance(HOUR_MS)
  expect(await sweep()).toMatchObject({ registrationsCleared: crashed.length })
  expect(await Promise.all(crashed.map(remains))).toEqual(crashed.map(() => []))
  await app.login(finished)
})
