import { beforeEach, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { deactivateAccount } from '../../core/account/deactivate.ts'
import { announceRecoveries } from '../../core/credentials/announce-recoveries.ts'
import { beginRecovery, stopRecoveryByLink } from '../../core/credentials/recovery.ts'
import { finishRecovery, resetPassword } from '../../core/credentials/reset.ts'
import { signIn } from '../../core/credentials/sessions.ts'
import type { DomainError } from '../../core/errors.ts'
import { recoveryLinkCode } from '../../core/notifications/recovery-link.ts'
import { keys, recoveryKey } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { loseFactors, recoveryCode, resetCode } from '../support/credentials.ts'
import type { Person, SignedInPerson } from '../support/people.ts'
import { everyBreak, WHOLE_RUN } from './faults.ts'

const app = await startApp()
const ports = await app.ports()
// The job works on every recovery that is open.
beforeEach(app.startAfresh)

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Longer than a change of the password, or a job's lease, keeps others away. */
const LOCK_MS = 61_000
const NEW = 'Changed1!'
const code = (error: unknown) => (error as DomainError).code

const works = ({ email }: Person, password: string) =>
  signIn(ports, { email, password }).then(
    () => true,
    () => false,
  )

const account = async ({ accountId }: SignedInPerson) => (await readAccount(ports, accountId))!

/** How often a subject was mailed, once every mail is out. */
async function told({ email }: Person, subject: string): Promise<number> {
  app.advance(LOCK_MS)
  await app.job('send-mail')
  return app.stack.mail.messages(email).filter((mail) => mail.subject === subject).length
}

test('a beginning broken at any call begins one recovery, announces it once, and is never moved by a repeat', async () => {
  await everyBreak(ports, async ({ broken, title }) => {
    const person = await app.signUp()
    await loseFactors(app, person)
    const typed = await recoveryCode(app, person.email)
    const atMs = Date.now()
    await beginRecovery(broken, typed).catch(() => {})
    const begun = (await account(person)).recovery
    app.advance(1000)
    expect(await beginRecovery(ports, typed).catch(code), title).toBeUndefined()
    const now = (await account(person)).recovery
    expect(now, title).toEqual(begun ?? { beganAtMs: atMs + 1000 })
    expect(await told(person, 'Someone has begun to recover your account'), title).toBe(1)
  })
})

test('a finish broken at any call ends with one password, no second factor, new keys and an active account', async () => {
  await everyBreak(ports, async ({ broken, title }) => {
    const person = await app.signUp()
    const key = (await account(person)).defaultKey
    await deactivateAccount(ports, await account(person))
    await loseFactors(app, person, Date.now() - 3 * DAY_MS)
    const input = { code: await recoveryCode(app, person.email), password: NEW }
    const failed = await finishRecovery(broken, input).catch((error: Error) => error)
    app.advance(LOCK_MS)
    if (!failed) expect((await account(person)).status, title).toBe('active')
    else {
      const isBegun = (await account(person)).totp === undefined
      if (isBegun) {
        const other = await finishRecovery(ports, { ...input, password: 'Another1!' }).catch(code)
        expect(other, `${title}: the code works for another password`).toBe('invalid_code')
      }
      expect(await finishRecovery(ports, input).catch(code), `${title}: the retry`).toBeUndefined()
    }
    expect([await works(person, person.password), await works(person, NEW)], title).toEqual([false, true])
    const now = await account(person)
    expect([now.status, now.totp, now.recovery, now.recoveredFrom !== undefined], title).toEqual([
      'active',
      undefined,
      undefined,
      true,
    ])
    expect(now.defaultKey, title).not.toBe(key)
    expect(await ports.table.get(recoveryKey(person.accountId)), title).toBeUndefined()
    expect((await ports.table.get(keys.quota(person.accountId)))?.x, title).toBeUndefined()
    expect(await finishRecovery(ports, input).catch(code), `${title}: a repeat`).toBeUndefined()
    expect(await told(person, 'Your account was recovered'), title).toBe(1)
    expect(await told(person, 'The recovery of your account has stopped'), title).toBe(0)
  })
})

test('a finish that nobody repeats is finished with another code, without other 72 hours', async () => {
  await everyBreak(ports, async ({ broken, title }) => {
    const person = await app.signUp()
    await loseFactors(app, person, Date.now() - 3 * DAY_MS)
    const input = { code: await recoveryCode(app, person.email), password: NEW }
    const failed = await finishRecovery(broken, input).catch((error: Error) => error)
    app.advance(LOCK_MS)
    if (!failed || !(await account(person)).recovery) return
    const second = { code: await recoveryCode(app, person.email), password: 'Another1!' }
    expect(await finishRecovery(ports, second).catch(code), title).toBeUndefined()
    expect([await works(person, NEW), await works(person, 'Another1!')], title).toEqual([false, true])
  })
})

test('a reset of a deactivated account, broken at any call, is not answered before it is active, and can be repeated', async () => {
  await everyBreak(ports, async ({ broken, title }) => {
    const person = await app.signUp()
    await deactivateAccount(ports, await account(person))
    const input = { code: await resetCode(app, person.email), password: NEW }
    const failed = await resetPassword(broken, input).catch((error: Error) => error)
    const { status } = await account(person)
    if (!failed) expect(status, title).toBe('active')
    app.advance(LOCK_MS)
    expect(await resetPassword(ports, input).catch(code), `${title}: the retry`).toBeUndefined()
    expect([await works(person, person.password), await works(person, NEW)], title).toEqual([false, true])
    expect((await ports.table.get(keys.quota(person.accountId)))?.x, title).toBeUndefined()
    expect(await told(person, 'Your account is active again'), title).toBe(1)
  })
})

test('a stop broken at any call stops, and is told once', async () => {
  await everyBreak(ports, async ({ broken, title }) => {
    const person = await app.signUp()
    const beganAtMs = Date.now()
    await loseFactors(app, person, beganAtMs)
    const link = recoveryLinkCode(ports, { accountId: person.accountId, beganAtMs })
    await stopRecoveryByLink(broken, link).catch(() => {})
    expect(await stopRecoveryByLink(ports, link).catch(code), title).toBeUndefined()
    expect((await account(person)).recovery, title).toBeUndefined()
    expect(await told(person, 'The recovery of your account has stopped'), title).toBe(1)
  })
})

test('a reminder broken at any call is sent once for its day', async () => {
  const beganAtMs = Date.now()
  await everyBreak(ports, async ({ broken, title }) => {
    const person = await app.signUp()
    await loseFactors(app, person, Date.now() - DAY_MS)
    await ports.table.put({
      ...(await ports.table.get(recoveryKey(person.accountId))),
      ...recoveryKey(person.accountId),
      due: 'RECOVERY#0',
      dueAtMs: beganAtMs,
    })
    await announceRecoveries(broken, WHOLE_RUN).catch(() => {})
    expect(await told(person, 'Your account is being recovered'), title).toBe(1)
    expect(await told(person, 'Your account is being recovered'), title).toBe(1)
    await ports.table.remove(recoveryKey(person.accountId))
  })
})

test('of finishing and stopping at once, the recovery is finished or stopped, and never both', async () => {
  for (let round = 0; round < 10; round++) {
    const person = await app.signUp()
    const beganAtMs = Date.now() - 3 * DAY_MS
    await loseFactors(app, person, beganAtMs)
    const link = recoveryLinkCode(ports, { accountId: person.accountId, beganAtMs })
    const input = { code: await recoveryCode(app, person.email), password: NEW }
    const [finished, stopped] = await Promise.all([
      finishRecovery(ports, input).then(() => 'finished', code),
      stopRecoveryByLink(ports, link).then(() => 'stopped', code),
    ])
    const { totp, recovery } = await account(person)
    expect(recovery).toBeUndefined()
    expect(await works(person, NEW)).toBe(finished === 'finished')
    expect(totp === undefined).toBe(finished === 'finished')
    expect([finished, stopped]).toEqual(
      finished === 'finished' ? ['finished', 'invalid_code'] : ['invalid_code', 'stopped'],
    )
  }
})

test('a stop that loses the race with the beginning of the finish is refused, as is every later one', async () => {
  const person = await app.signUp()
  const beganAtMs = Date.now() - 3 * DAY_MS
  await loseFactors(app, person, beganAtMs)
  const link = recoveryLinkCode(ports, { accountId: person.accountId, beganAtMs })
  const input = { code: await recoveryCode(app, person.email), password: NEW }
  const refusing = { ...ports.identity, setPassword: () => Promise.reject(new Error('crash')) }
  let isFirst = true
  const overtaken = {
    ...ports,
    table: {
      ...ports.table,
      async transact(writes: Parameters<typeof ports.table.transact>[0]) {
        if (isFirst) await finishRecovery({ ...ports, identity: refusing }, input).catch(() => {})
        isFirst = false
        return ports.table.transact(writes)
      },
    },
  }
  expect(await stopRecoveryByLink(overtaken, link).catch(code)).toBe('invalid_code')
  expect(await stopRecoveryByLink(ports, link).catch(code)).toBe('invalid_code')
  app.advance(LOCK_MS)
  await finishRecovery(ports, input)
  expect(await works(person, NEW)).toBe(true)
})
