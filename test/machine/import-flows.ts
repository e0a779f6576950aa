import { scryptSync } from 'node:crypto'
import { expect } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { type ImportedUser, importUsers } from '../../core/account/import.ts'
import { answerMailRequests, requestMail } from '../../core/credentials/mail-requests.ts'
import { resetPassword } from '../../core/credentials/reset.ts'
import { signIn } from '../../core/credentials/sessions.ts'
import type { DomainError } from '../../core/errors.ts'
import { parseEntry } from '../../core/ledger/entry.ts'
import type { Ports } from '../../core/ports.ts'
import { keys } from '../../core/table/keys.ts'
import type { App } from '../support/app.ts'
import { newPerson, type Person } from '../support/people.ts'
import { customerWithCards } from '../support/stripe.ts'
import { breaking, everyBreak, WHOLE_RUN } from './faults.ts'
import { memoryTable } from './memory-table.ts'

/** What the flows call, so that a planted bug can take the place of any of it. */
export const genuine = { importUsers, signIn, resetPassword }
export type Imports = typeof genuine

/** The longest time for which a password change or a lock of wrong passwords keeps others out. */
const LOCK_MS = 15 * 60_000
export const NEW = 'Changed1!'
const UNITS = 5000

const code = (error: unknown) => (error as DomainError).code ?? (error as Error).message

/** An encoded hash that takes no time to verify. */
export function cheapHash(password: string): string {
  const salt = Buffer.from('salt of the test')
  const hash = scryptSync(password, salt, 32, { N: 16, r: 1, p: 1 })
  const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
  return `$scrypt$ln=4,r=1,p=1$${base64(salt)}$${base64(hash)}`
}

/** Ports with a table in memory; the vault and Stripe are the doubles. */
export async function importPorts(app: App): Promise<Ports> {
  return { ...(await app.ports()), table: memoryTable() }
}

export const userOf = (
  { email, username, password }: Person,
  more: Partial<ImportedUser> = {},
): ImportedUser => ({
  email,
  username,
  units: UNITS,
  passwordHash: cheapHash(password),
  ...more,
})

const OPTIONS = { reason: 'moving house', dryRun: false, invite: true }

/** Imports a person. @returns the account's id. */
export async function imported(ports: Ports, person: Person): Promise<string> {
  const [result] = await importUsers(ports, [userOf(person)], OPTIONS)
  if (result?.status !== 'imported') throw new Error(`the import says ${result?.status}`)
  return result.id
}

const works = (ports: Ports, { email }: Person, password: string): Promise<boolean> =>
  signIn(ports, { email, password }).then(
    () => true,
    () => false,
  )

/** Asserts that this password alone opens the account, and that nothing of it is left in the table. */
export async function expectPassword(
  app: App,
  ports: Ports,
  person: Person,
  id: string,
  password: string,
  title: string,
) {
  app.advance(LOCK_MS)
  const other = password === NEW ? person.password : NEW
  expect(await works(ports, person, other), `${title}: the other password works`).toBe(false)
  app.advance(LOCK_MS)
  expect(await works(ports, person, password), `${title}: the password does not work`).toBe(true)
  const account = await readAccount(ports, id)
  expect(account, title).not.toHaveProperty('importedPassword')
  expect(account, title).not.toHaveProperty('registeredPassword')
  expect(account, title).not.toHaveProperty('unenrolled')
}

export async function mailedReset(app: App, ports: Ports, { email }: Person): Promise<string> {
  await requestMail(ports, 'reset-password', email)
  await answerMailRequests(ports, WHOLE_RUN)
  return app.mailedCode(email)
}

/** Asserts that there is one account of a person with everything that it was imported with, each once. */
async function expectImported(ports: Ports, { email, username }: Person, customer: string, title: string) {
  const items = (ports.table as ReturnType<typeof memoryTable>).items()
  const guard = items.find(({ pk }) => pk === keys.emailGuard(email).pk)
  const id = String(guard?.accountId)
  const owned = (prefix: string) =>
    items.filter(({ pk, sk }) => pk === keys.account(id) && String(sk).startsWith(prefix))
  const account = await readAccount(ports, id)
  expect(account, title).toMatchObject({
    email,
    username,
    status: 'active',
    emailVerified: true,
    ledgerSeq: 1,
  })
  expect(account?.quota, title).toMatchObject({ left: UNITS, used: 0, seq: 1 })
  expect(owned('LEDGER#').map(parseEntry), title).toMatchObject([{ seq: 1, kind: 'import', units: UNITS }])
  expect(account?.customer, title).toMatchObject({ id: customer })
  expect(account?.customer?.defaultCardId, title).toBe(owned('CARD#')[0]?.cardId)
  for (const prefix of ['CARD#', 'AUDIT#', 'OUTEVENT#', 'MAIL#'])
    expect(owned(prefix), `${title}: ${prefix}`).toHaveLength(1)
  const profiles = items.filter((item) => item.sk === '#PROFILE' && item.username === username)
  expect(profiles, `${title}: accounts`).toHaveLength(1)
}

/** Breaks an import at every call; its repeat makes what is missing and nothing twice. @returns the calls. */
export const importBroken = (app: App, ports: Ports, functions = genuine): Promise<number> =>
  everyBreak(ports, async ({ broken, title }) => {
    const person = newPerson()
    const customer = await customerWithCards(app, 1)
    const user = userOf(person, { customer })
    await functions.importUsers(broken, [user], OPTIONS).catch(() => {})
    const [again] = await functions.importUsers(ports, [user], OPTIONS)
    expect(again?.status, title).toBe('imported')
    await expectImported(ports, person, customer, title)
  })

/** Imports the same people many times at once, in two orders. */
export async function importAtOnce(app: App, ports: Ports, functions = genuine): Promise<void> {
  const people = await Promise.all(
    Array.from({ length: 3 }, async () => ({
      person: newPerson(),
      customer: await customerWithCards(app, 1),
    })),
  )
  const users = people.map(({ person, customer }) => userOf(person, { customer }))
  const runs = [users, users.toReversed(), users, users.toReversed()]
  const results = await Promise.all(runs.map((each) => functions.importUsers(ports, each, OPTIONS)))
  const made = results.flat().filter((result) => result.status === 'imported' && !result.replayed)
  expect(made, 'imported').toHaveLength(people.length)
  for (const { person, customer } of people) await expectImported(ports, person, customer, 'at once')
}

/** The same ports, which do `work` before their call number `at`. */
export function overtaken(
  ports: Ports,
  at: number,
  work: () => Promise<unknown>,
): { ports: Ports; calls: string[] } {
  const { ports: counted, calls } = breaking(ports)
  let isDone = false
  const wrap = <T extends object>(port: T): T =>
    new Proxy(port, {
      get: (target, method, receiver) => {
        const call = Reflect.get(target, method, receiver)
        if (typeof call !== 'function') return call
        return async (...args: unknown[]) => {
          if (calls.length + 1 === at && !isDone) {
            isDone = true
            await work()
          }
          return call.apply(target, args)
        }
      },
    })
  return { ports: { ...counted, table: wrap(counted.table), identity: wrap(counted.identity) }, calls }
}

/** Does `run` as often as it makes calls, each time with something else before another one of them. */
export async function atEveryCall(run: (at: number) => Promise<number>): Promise<number> {
  const calls = await run(0)
  for (let at = 1; at <= calls; at++) await run(at)
  return calls
}

/** Breaks a first sign-in at every call; whatever was done, the password of before works afterwards, and only it. */
export const firstSignInBroken = (app: App, ports: Ports, functions = genuine): Promise<number> =>
  everyBreak(ports, async ({ broken, title }) => {
    const person = newPerson()
    const id = await imported(ports, person)
    await functions.signIn(broken, person).catch(() => {})
    app.advance(LOCK_MS)
    await functions.signIn(ports, { email: person.email, password: person.password }).catch(() => {})
    await expectPassword(app, ports, person, id, person.password, title)
  })

/** Signs in for the first time from several devices at once: all get in. */
export async function firstSignInAtOnce(app: App, ports: Ports, functions = genuine): Promise<void> {
  const person = newPerson()
  const id = await imported(ports, person)
  const { email, username, password } = person
  const names = [{ email }, { username }, { email }]
  const answers = await Promise.all(
    names.map((name) => functions.signIn(ports, { ...name, password }).then(() => 'in', code)),
  )
  expect(answers).toEqual(names.map(() => 'in'))
  await expectPassword(app, ports, person, id, password, 'at once')
}

/** Resets the password before each call of a first sign-in: the old one never comes back. */
export const resetMeanwhile = (app: App, ports: Ports, functions = genuine): Promise<number> =>
  atEveryCall(async (at) => {
    const person = newPerson()
    const id = await imported(ports, person)
    const reset = { code: await mailedReset(app, ports, person), password: NEW }
    const first = overtaken(ports, at, () => functions.resetPassword(ports, reset).catch(() => {}))
    await functions.signIn(first.ports, person).catch(() => {})
    if (at === 0) return first.calls.length
    app.advance(31_000)
    await functions.resetPassword(ports, reset).catch(() => {})
    await expectPassword(app, ports, person, id, NEW, `a reset before call ${at}, ${first.calls[at - 1]}`)
    return first.calls.length
  })

/** Signs in with the old password before each call of a reset: the old one never comes back. */
export const signInMeanwhile = (app: App, ports: Ports, functions = genuine): Promise<number> =>
  atEveryCall(async (at) => {
    const person = newPerson()
    const id = await imported(ports, person)
    const reset = { code: await mailedReset(app, ports, person), password: NEW }
    const begun = overtaken(ports, at, () => functions.signIn(ports, person).catch(() => {}))
    await functions.resetPassword(begun.ports, reset)
    if (at === 0) return begun.calls.length
    const title = `a sign-in before call ${at}, ${begun.calls[at - 1]}`
    await expectPassword(app, ports, person, id, NEW, title)
    return begun.calls.length
  })

/**
 * A first sign-in reaches the vault before each call of a reset, and the vault carries it out only after the reset has
 * ended: the old password never comes back.
 */
export const lateAtVault = (app: App, ports: Ports, functions = genuine): Promise<number> =>
  atEveryCall(async (at) => {
    const person = newPerson()
    const id = await imported(ports, person)
    const reset = { code: await mailedReset(app, ports, person), password: NEW }
    const reached = Promise.withResolvers<void>()
    const ended = Promise.withResolvers<void>()
    const identity = new Proxy(ports.identity, {
      get: (target, method, receiver) =>
        method !== 'enroll'
          ? Reflect.get(target, method, receiver)
          : async (accountId: string, password: string) => {
              reached.resolve()
              await ended.promise
              await target.enroll(accountId, password)
            },
    })
    let late: Promise<unknown> = Promise.resolve()
    const begun = overtaken(ports, at, async () => {
      late = functions.signIn({ ...ports, identity }, person).catch(() => {})
      await Promise.race([reached.promise, late])
    })
    await functions.resetPassword(begun.ports, reset).catch(() => {})
    ended.resolve()
    await late
    if (at === 0) return begun.calls.length
    app.advance(31_000)
    const title = `a sign-in at the vault before call ${at}, ${begun.calls[at - 1]}`
    expect(await functions.resetPassword(ports, reset).catch(code), `${title}: the reset`).toBeUndefined()
    await expectPassword(app, ports, person, id, NEW, title)
    return begun.calls.length
  })

/** Guesses many passwords at once: no more than five are looked at, and then even the right one is refused. */
export async function guessAtOnce(app: App, ports: Ports, functions = genuine): Promise<void> {
  const person = newPerson()
  const id = await imported(ports, person)
  let looks = 0
  const passwordHashes: Ports['passwordHashes'] = {
    verify: (hash, password) => {
      looks += 1
      return ports.passwordHashes.verify(hash, password)
    },
  }
  const guess = (password: string) =>
    functions.signIn({ ...ports, passwordHashes }, { email: person.email, password }).then(() => 'in', code)
  await Promise.all(Array.from({ length: 20 }, (_, n) => guess(`Wrong${n}!!`)))
  expect(looks, 'passwords that were looked at').toBeLessThanOrEqual(5)
  expect(await guess(person.password)).toBe('password_locked')
  await expectPassword(app, ports, person, id, person.password, 'after the lock')
}
