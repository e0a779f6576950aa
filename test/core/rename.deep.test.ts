import { expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { confirmEmail } from '../../core/account/confirm.ts'
import { renameAccount } from '../../core/account/profile.ts'
import { registerAccount } from '../../core/account/register.ts'
import type { DomainError } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'
import { keys } from '../../core/table/keys.ts'
import { everyBreak } from '../machine/faults.ts'
import { startApp } from '../support/app.ts'
import { newPerson, type Person } from '../support/people.ts'

const app = await startApp()
const ports = await app.ports()
const code = (error: unknown) => (error as DomainError).code

async function account(accountId: string) {
  const found = await readAccount(ports, accountId)
  if (!found) throw new Error('the account is gone')
  return found
}

async function renameTo(deps: Ports, accountId: string, wanted: Partial<Person>) {
  const found = await account(accountId)
  const [sessionId = ''] = Object.keys(found.sessions)
  return renameAccount(deps, { account: found, sessionId }, wanted)
}

const ownerOf = async (username: string) => (await ports.table.get(keys.usernameGuard(username)))?.accountId
const ownerOfEmail = async (email: string) => (await ports.table.get(keys.emailGuard(email)))?.accountId

test('a rename broken at any call moves the name with its guard, or nothing', async () => {
  await everyBreak(ports, async ({ broken, title }) => {
    const person = await app.signUp()
    const wanted = newPerson()
    await renameTo(broken, person.accountId, { username: wanted.username }).catch(() => {})
    const { username } = await account(person.accountId)
    const was = username === wanted.username ? person.username : wanted.username
    expect(await ownerOf(username), title).toBe(person.accountId)
    expect(await ownerOf(was), title).toBeUndefined()
  })
})

test('a change of a confirmed address, broken at any call, leaves the old or the new address with its guard', async () => {
  await everyBreak(ports, async ({ broken, title }) => {
    const person = await app.signUp()
    const { email } = newPerson()
    await renameTo(broken, person.accountId, { email }).catch(() => {})
    expect((await account(person.accountId)).email, title).toBe(person.email)
    app.advance(61_000)
    await app.job('send-mail')
    if (!(await account(person.accountId)).pendingEmail) return
    await confirmEmail(broken, app.mailedCode(email)).catch(() => {})
    const now = (await account(person.accountId)).email
    expect(await ownerOfEmail(now), title).toBe(person.accountId)
    expect(await ownerOfEmail(now === email ? person.email : email), title).toBeUndefined()
    if (now !== email) await confirmEmail(ports, app.mailedCode(email))
    expect((await account(person.accountId)).email, title).toBe(email)
  })
})

test('ten concurrent renames and ten registrations for one username give it one owner, and nobody loses a name', async () => {
  const { username } = newPerson()
  const people = await Promise.all(Array.from({ length: 10 }, () => app.signUp()))
  const newcomers = Array.from({ length: 10 }, (_, n) => newPerson({ username, password: `Hello${n}23!` }))
  const results = await Promise.allSettled([
    ...people.map(({ accountId }) => renameTo(ports, accountId, { username })),
    ...newcomers.map((person) => registerAccount(ports, person)),
  ])
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  const owner = await ownerOf(username)
  for (const { accountId, username: own } of people) {
    const now = (await account(accountId)).username
    expect(now).toBe(accountId === owner ? username : own)
    expect(await ownerOf(now)).toBe(accountId)
  }
})

test('concurrent registrations, changes and confirmations for one address give it one owner', async () => {
  const { email } = newPerson()
  const confirmed = await Promise.all(Array.from({ length: 5 }, () => app.signUp()))
  const codes: string[] = []
  for (const { accountId } of confirmed) {
    await renameTo(ports, accountId, { email })
    codes.push(app.mailedCode(email))
  }
  const fresh = Array.from({ length: 5 }, () => newPerson())
  for (const person of fresh) await registerAccount(ports, person)
  const ids = await Promise.all(fresh.map(async ({ username }) => String(await ownerOf(username))))
  const results = await Promise.allSettled([
    ...codes.map((each) => confirmEmail(ports, each)),
    ...fresh.map((person) => registerAccount(ports, { ...person, email })),
    ...Array.from({ length: 5 }, () => registerAccount(ports, newPerson({ email }))),
  ])
  // A confirmation takes the address from whoever registered or set it before without proving it.
  expect(results.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(2)
  expect(results.slice(0, codes.length).filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  const accounts = await Promise.all([...confirmed.map(({ accountId }) => accountId), ...ids].map(account))
  const live = accounts.filter(({ status }) => status === 'active')
  const holders = live.filter((each) => each.email === email)
  expect(holders.map(({ id }) => id)).toEqual([await ownerOfEmail(email)])
  for (const each of live) expect(await ownerOfEmail(each.email)).toBe(each.id)
})

test('two concurrent renames of one account leave it one name and free every other name', async () => {
  const person = await app.signUp()
  const wanted = Array.from({ length: 5 }, () => newPerson().username)
  await Promise.allSettled(wanted.map((username) => renameTo(ports, person.accountId, { username })))
  const now = await account(person.accountId)
  for (const name of [person.username, ...wanted]) {
    expect(await ownerOf(name)).toBe(name === now.username ? person.accountId : undefined)
  }
})

test('a rename that changes only the case changes how the name is shown, and keeps its owner', async () => {
  const person = await app.signUp()
  const shown = person.username.toUpperCase()
  await renameTo(ports, person.accountId, { username: shown })
  expect((await account(person.accountId)).username).toBe(shown)
  expect(await ownerOf(person.username)).toBe(person.accountId)
  await expect(registerAccount(ports, newPerson({ username: person.username })).catch(code)).resolves.toBe(
    'username_taken',
  )
})
