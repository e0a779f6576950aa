import { expect } from 'vitest'
import { confirmEmail } from '../../core/account/confirm.ts'
import { usernameKey } from '../../core/account/fields.ts'
import { registerAccount } from '../../core/account/register.ts'
import { answerMailRequests, requestMail } from '../../core/credentials/mail-requests.ts'
import { resetPassword } from '../../core/credentials/reset.ts'
import { signIn } from '../../core/credentials/sessions.ts'
import type { Ports } from '../../core/ports.ts'
import { keys } from '../../core/table/keys.ts'
import { HOUR_MS } from '../../core/time.ts'
import type { App } from '../support/app.ts'
import { newPerson, type Person } from '../support/people.ts'
import { everyBreak, WHOLE_RUN } from './faults.ts'
import { atEveryCall, expectPassword, mailedReset, NEW, overtaken } from './import-flows.ts'

/** Longer than a password may be on its way to the vault. */
const AT_VAULT_MS = 31_000

const ignored = () => {}

interface Registered {
  person: Person
  id: string
  /** The mailed code. */
  code: string
}

async function registered(app: App, ports: Ports): Promise<Registered> {
  const person = newPerson()
  await registerAccount(ports, person)
  const guard = await ports.table.get(keys.usernameGuard(usernameKey(person.username)))
  return { person, id: String(guard?.accountId), code: app.mailedCode(person.email) }
}

/**
 * Breaks a confirmation at every call. Sent again, or left to the first sign-in, it ends with the password of the
 * registration at the vault and the trial credited once.
 */
export const confirmationBroken = async (app: App, ports: Ports, by: 'repeat' | 'sign-in'): Promise<number> =>
  everyBreak(ports, async ({ broken, title }) => {
    const { person, id, code } = await registered(app, ports)
    const first = await confirmEmail(broken, code).then(
      () => true,
      () => false,
    )
    app.advance(AT_VAULT_MS)
    if (!first || by === 'repeat') await confirmEmail(ports, code)
    await expectPassword(app, ports, person, id, person.password, title)
    expect((await ports.table.get(keys.quota(id)))?.l, title).toBe(100)
  })

/** Confirms with many copies of a request at once, and signs in at once as well. */
export async function confirmedAtOnce(app: App, ports: Ports): Promise<void> {
  const { person, id, code } = await registered(app, ports)
  const copies = Array.from({ length: 5 }, () => confirmEmail(ports, code))
  const early = Array.from({ length: 3 }, () => signIn(ports, person).catch(ignored))
  await Promise.all([...copies, ...early])
  await expectPassword(app, ports, person, id, person.password, 'at once')
}

/** Resets the password before each call of a confirmation: once the reset has succeeded, the old one never comes back. */
export const resetBeforeConfirmation = (app: App, ports: Ports): Promise<number> =>
  atEveryCall(async (at) => {
    const { person, id, code } = await registered(app, ports)
    const reset = { code: await mailedReset(app, ports, person), password: NEW }
    let hasReset = false
    const first = overtaken(ports, at, async () => {
      hasReset = await resetPassword(ports, reset).then(
        () => true,
        () => false,
      )
    })
    await confirmEmail(first.ports, code)
    app.advance(AT_VAULT_MS)
    await confirmEmail(ports, code)
    const title = `a reset before call ${at}, ${first.calls[at - 1]}`
    await expectPassword(app, ports, person, id, hasReset ? NEW : person.password, title)
    return first.calls.length
  })

/** Confirms before each call of a reset: once the reset has succeeded, the old password never comes back. */
export const confirmationBeforeReset = (app: App, ports: Ports): Promise<number> =>
  atEveryCall(async (at) => {
    const { person, id, code } = await registered(app, ports)
    const reset = { code: await mailedReset(app, ports, person), password: NEW }
    const begun = overtaken(ports, at, () => confirmEmail(ports, code).catch(ignored))
    const hasReset = await resetPassword(begun.ports, reset).then(
      () => true,
      () => false,
    )
    app.advance(AT_VAULT_MS)
    await confirmEmail(ports, code)
    const title = `a confirmation before call ${at}, ${begun.calls[at - 1]}`
    await expectPassword(app, ports, person, id, hasReset ? NEW : person.password, title)
    return begun.calls.length
  })

/**
 * Moves the account to another address before each call of a confirmation: it moves and its first code works no longer, or
 * it is confirmed and stays. No address counts as confirmed that nobody has shown a code of.
 * @returns the calls, and how often the account moved
 */
export async function moveBeforeConfirmation(
  app: App,
  ports: Ports,
): Promise<{ calls: number; moved: number }> {
  let moved = 0
  const calls = await atEveryCall(async (at) => {
    const { person, id, code } = await registered(app, ports)
    const { email } = newPerson()
    let hasMoved = false
    const begun = overtaken(ports, at, async () => {
      hasMoved = await registerAccount(ports, { ...person, email }).then(
        () => true,
        () => false,
      )
    })
    const isConfirmed = await confirmEmail(begun.ports, code).then(
      () => true,
      () => false,
    )
    if (hasMoved) moved += 1
    const { email: address, emailVerified } = (await ports.table.get(keys.profile(id))) ?? {}
    const title = `a move before call ${at}, ${begun.calls[at - 1]}`
    expect([isConfirmed, address, emailVerified], title).toEqual(
      hasMoved ? [false, email, false] : [true, person.email, true],
    )
    return begun.calls.length
  })
  return { calls, moved }
}

/** Moves the account before each call of a reset whose code went to the old address: never do both succeed. */
export const moveBeforeReset = (app: App, ports: Ports): Promise<number> =>
  atEveryCall(async (at) => {
    const { person, id } = await registered(app, ports)
    const reset = { code: await mailedReset(app, ports, person), password: NEW }
    const { email } = newPerson()
    const begun = overtaken(ports, at, () => registerAccount(ports, { ...person, email }).catch(ignored))
    const hasReset = await resetPassword(begun.ports, reset).then(
      () => true,
      () => false,
    )
    const { email: address } = (await ports.table.get(keys.profile(id))) ?? {}
    expect(address, `a move before call ${at}, ${begun.calls[at - 1]}`).toBe(hasReset ? person.email : email)
    return begun.calls.length
  })

/** Confirms before each call of the job that mails the code again: no confirmed account is left with a code. */
export const confirmationBeforeResend = (app: App, ports: Ports): Promise<number> =>
  atEveryCall(async (at) => {
    const { person, id, code } = await registered(app, ports)
    app.advance(HOUR_MS)
    await requestMail(ports, 'confirm-email', person.email)
    const begun = overtaken(ports, at, () => confirmEmail(ports, code))
    await answerMailRequests(begun.ports, WHOLE_RUN)
    const { confirmCode, emailVerified } = (await ports.table.get(keys.profile(id))) ?? {}
    const title = `a confirmation before call ${at}, ${begun.calls[at - 1]}`
    const isConfirmed = emailVerified === true
    expect(isConfirmed && confirmCode !== undefined, title).toBe(false)
    return begun.calls.length
  })

/**
 * A confirmation reaches the vault, which carries it out only after a reset that was asked for afterwards: that one waits, or
 * its password stays.
 */
export async function lateConfirmation(app: App, ports: Ports): Promise<void> {
  const { person, id, code } = await registered(app, ports)
  const reached = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  const identity: Ports['identity'] = {
    ...ports.identity,
    async enroll(accountId, password) {
      reached.resolve()
      await ended.promise
      await ports.identity.enroll(accountId, password)
    },
  }
  const confirming = confirmEmail({ ...ports, identity }, code)
  await reached.promise
  const reset = { code: await mailedReset(app, ports, person), password: NEW }
  const early = await resetPassword(ports, reset).then(
    () => true,
    () => false,
  )
  ended.resolve()
  await confirming
  app.advance(AT_VAULT_MS)
  if (!early) await resetPassword(ports, reset)
  await expectPassword(app, ports, person, id, NEW, 'late at the vault')
}
