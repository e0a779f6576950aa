import { TOTP } from 'otpauth'
import { describe, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { answerMailRequests, requestMail } from '../../core/credentials/mail-requests.ts'
import { changePassword } from '../../core/credentials/password.ts'
import { resetPassword } from '../../core/credentials/reset.ts'
import { signIn } from '../../core/credentials/sessions.ts'
import { activateTwoFactor, enrolTwoFactor } from '../../core/credentials/two-factor.ts'
import { DomainError } from '../../core/errors.ts'
import { startApp } from '../support/app.ts'
import type { Person, SignedInPerson } from '../support/people.ts'
import { everyBreak, WHOLE_RUN } from './faults.ts'

const app = await startApp()
/** From the owner's own network, where no limit of a stranger's passwords comes first. */
const ports = { ...(await app.ports()), origin: { by: 'anyone' as const, ip: '127.0.0.1' } }

const LOCK_MS = 31_000
/** For this long the vault refuses every password at most, after wrong ones. */
const LONGEST_LOCK_MS = 15 * 60_000
const NEW = 'Changed1!'
const code = (error: unknown) => (error as DomainError).code

async function caller(person: SignedInPerson) {
  const account = await readAccount(ports, person.accountId)
  if (!account) throw new Error('the account is gone')
  const [sessionId = ''] = Object.keys(account.sessions)
  return { account, sessionId }
}

const works = (person: Person, password: string) =>
  signIn(ports, { email: person.email, password }).then(
    () => true,
    () => false,
  )

/** Asserts that exactly one of the two passwords works. @returns whether the new one does. */
async function expectOnePassword(person: Person, title: string): Promise<boolean> {
  const [old, changed] = [await works(person, person.password), await works(person, NEW)]
  expect([old, changed].filter(Boolean), `${title}: passwords that work`).toHaveLength(1)
  return changed
}

/** Whether the person's access token is still accepted. */
const sessionLives = async (person: SignedInPerson) =>
  (await app.request('GET', '/v1/user', { token: person.accessToken })).status === 200

async function mailedReset(person: Person): Promise<string> {
  await requestMail(ports, 'reset-password', person.email)
  await answerMailRequests(ports, WHOLE_RUN)
  return app.mailedCode(person.email)
}

async function withTwoFactor(person: SignedInPerson): Promise<{ seed: string; recoveryCodes: string[] }> {
  const { seed } = await enrolTwoFactor(ports, await caller(person))
  const recoveryCodes = await activateTwoFactor(ports, await caller(person), totp(seed))
  app.advance(30_000)
  return { seed, recoveryCodes }
}

const totp = (seed: string) => new TOTP({ secret: seed }).generate({ timestamp: Date.now() })

describe('a password change broken at any call', () => {
  test('leaves one password working, no session alive once the vault was called, and can be retried', async () => {
    const calls = await everyBreak(ports, async ({ broken, title }) => {
      const person = await app.signUp()
      const before = await caller(person)
      const input = { oldPassword: person.password, newPassword: NEW }
      const failed = await changePassword(broken, before, input).catch((error: Error) => error)
      app.advance(LOCK_MS)
      const changed = await expectOnePassword(person, title)
      if (changed) expect(await sessionLives(person), `${title}: an old session lives`).toBe(false)
      if (!failed) expect(changed, title).toBe(true)
      if (changed) return
      const again = await app.login(person)
      await changePassword(ports, await caller(again), input)
      expect(await expectOnePassword(person, title)).toBe(true)
      expect(await sessionLives(again), `${title}: the session that changed it lives`).toBe(false)
    })
    expect(calls).toBe(5)
  })

  test('no sign-in with the old password that began before the change can finish after it', async () => {
    const person = await app.signUp()
    const before = await caller(person)
    const slow = {
      ...ports,
      identity: {
        ...ports.identity,
        async signIn(accountId: string, password: string) {
          const tokens = await ports.identity.signIn(accountId, password)
          await changePassword(ports, before, { newPassword: NEW })
          return tokens
        },
      },
    }
    const late = signIn(slow, { email: person.email, password: person.password })
    await expect(late.catch(code)).resolves.toBe('invalid_credentials')
    expect(Object.keys((await caller(person)).account.sessions)).toEqual([])
  })

  test('no sign-in with the old password can finish during the call to the vault', async () => {
    const person = await app.signUp()
    const during: unknown[] = []
    const watching = {
      ...ports,
      identity: {
        ...ports.identity,
        async setPassword(accountId: string, password: string) {
          during.push(await signIn(ports, { email: person.email, password: person.password }).catch(code))
          await ports.identity.setPassword(accountId, password)
        },
      },
    }
    await changePassword(watching, await caller(person), { newPassword: NEW })
    expect(during).toEqual(['invalid_credentials'])
    expect(await expectOnePassword(person, 'afterwards')).toBe(true)
  })

  test('of ten concurrent changes one wins, and only its password works', async () => {
    const person = await app.signUp()
    const before = await caller(person)
    const all = Array.from({ length: 10 }, (_, n) =>
      changePassword(ports, before, { newPassword: `Parallel${n}!` }),
    )
    const results = await Promise.allSettled(all)
    const winners = results.flatMap(({ status }, n) => (status === 'fulfilled' ? [n] : []))
    expect(winners).toHaveLength(1)
    for (let n = 0; n < 10; n++) {
      // The losers asked the vault whether their change had been made, and it locks after five wrong passwords.
      app.advance(LONGEST_LOCK_MS)
      expect(await works(person, `Parallel${n}!`), `the password of change ${n}`).toBe(n === winners[0])
    }
  })
})

describe('a reset broken at any call', () => {
  test('neither uses up the code nor lets another request use it, and succeeds on retry and on any repeat', async () => {
    const calls = await everyBreak(ports, async ({ broken, title }) => {
      const person = await app.signUp()
      const input = { code: await mailedReset(person), password: NEW }
      const failed = await resetPassword(broken, input).catch((error: Error) => error)
      app.advance(LOCK_MS)
      if (failed) {
        const begun = !(await sessionLives(person))
        if (begun) {
          const other = await resetPassword(ports, { ...input, password: 'Another1!' }).catch(code)
          expect(other, `${title}: the code works for another password`).toBe('invalid_code')
        }
        expect(await resetPassword(ports, input).catch(code), `${title}: the retry`).toBeUndefined()
      }
      expect(await expectOnePassword(person, title)).toBe(true)
      expect(await sessionLives(person), `${title}: an old session lives`).toBe(false)
      const since = await app.login({ ...person, password: NEW })
      expect(await resetPassword(ports, input).catch(code), `${title}: a repeat`).toBeUndefined()
      expect(
        await resetPassword(ports, { ...input, password: 'Another1!' }).catch(code),
        `${title}: the code works twice`,
      ).toBe('invalid_code')
      expect(await sessionLives(since), `${title}: a repeat ends a later session`).toBe(true)
      expect(await expectOnePassword(person, `${title}, repeated`)).toBe(true)
    })
    expect(calls).toBe(6)
  })

  test('a password that the vault refuses leaves the code usable for another password', async () => {
    const person = await app.signUp()
    const input = { code: await mailedReset(person), password: NEW }
    const refusing = {
      ...ports,
      identity: {
        ...ports.identity,
        setPassword: () => Promise.reject(new DomainError('password_refused')),
      },
    }
    await expect(resetPassword(refusing, input).catch(code)).resolves.toBe('password_refused')
    await resetPassword(ports, { ...input, password: 'Another1!' })
    expect(await works(person, 'Another1!')).toBe(true)
  })

  test('with two factors on, a retry finishes the reset and uses up one recovery code', async () => {
    await everyBreak(ports, async ({ broken, title }) => {
      const person = await app.signUp()
      const { recoveryCodes } = await withTwoFactor(person)
      const input = { code: await mailedReset(person), password: NEW, twofa: recoveryCodes[0] }
      await resetPassword(broken, input).catch(() => {})
      app.advance(LOCK_MS)
      expect(await resetPassword(ports, input).catch(code), `${title}: the retry`).toBeUndefined()
      const [second = ''] = recoveryCodes.slice(1)
      await signIn(ports, { email: person.email, password: NEW, twofa: second })
      const used = await signIn(ports, { email: person.email, password: NEW, twofa: recoveryCodes[0] }).catch(
        code,
      )
      expect(used, `${title}: a recovery code works twice`).toBe('two_factor_invalid')
    })
  })
})

describe('asking for a mail, broken at any call', () => {
  test('ends in one live code and at most one duplicate mail', async () => {
    await everyBreak(ports, async ({ broken, title }) => {
      const person = await app.signUp()
      await requestMail(ports, 'reset-password', person.email)
      await answerMailRequests(broken, WHOLE_RUN).catch(() => {})
      app.advance(61_000)
      await app.job('send-mail')
      app.advance(61_000)
      await app.job('send-mail')
      const mails = app.stack.mail
        .messages(person.email)
        .filter(({ subject }) => subject.includes('password'))
      expect(mails.length, title).toBeGreaterThanOrEqual(1)
      expect(mails.length, title).toBeLessThanOrEqual(2)
      await resetPassword(ports, { code: app.mailedCode(person.email), password: NEW })
      expect(await works(person, NEW), title).toBe(true)
    })
  })
})

describe('two factors', () => {
  test('of 50 concurrent sign-ins with one code of the app one succeeds', async () => {
    const person = await app.signUp()
    const { seed } = await withTwoFactor(person)
    const input = { email: person.email, password: person.password, twofa: totp(seed) }
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => signIn(ports, input)))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('of 50 concurrent sign-ins with one recovery code one succeeds', async () => {
    const person = await app.signUp()
    const { recoveryCodes } = await withTwoFactor(person)
    const input = { email: person.email, password: person.password, twofa: recoveryCodes[3] }
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => signIn(ports, input)))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('of 100 concurrent wrong codes five are checked; then even the right code is locked out', async () => {
    const person = await app.signUp()
    const { seed } = await withTwoFactor(person)
    const sealedReads: string[] = []
    const watching = {
      ...ports,
      secrets: {
        ...ports.secrets,
        decrypt: (accountId: string, text: string) => {
          sealedReads.push(accountId)
          return ports.secrets.decrypt(accountId, text)
        },
      },
    }
    const guess = (twofa: string) =>
      signIn(watching, { email: person.email, password: person.password, twofa }).catch(code)
    const wrong = (Number(totp(seed)) + 1) % 1_000_000
    const guesses = Array.from({ length: 100 }, (_, n) =>
      guess(String((wrong + 5 * n) % 1_000_000).padStart(6, '0')),
    )
    await Promise.all(guesses)
    expect(sealedReads.length).toBeLessThanOrEqual(5)
    expect(await guess(totp(seed))).toBe('two_factor_locked')
    app.advance(15 * 60_000)
    expect(await guess(totp(seed))).toHaveProperty('accessToken')
  })

  test('enrolment broken at any call is off or on, and on only if the recovery codes were shown or can be replaced', async () => {
    await everyBreak(ports, async ({ broken, title }) => {
      const person = await app.signUp()
      const enrolled = await enrolTwoFactor(broken, await caller(person)).catch(() => undefined)
      const seed = enrolled?.seed ?? (await enrolTwoFactor(ports, await caller(person))).seed
      const shown = await activateTwoFactor(broken, await caller(person), totp(seed)).catch(() => undefined)
      const { account } = await caller(person)
      if (shown) expect(Object.keys(account.totp?.recovery ?? {}), title).toHaveLength(10)
      app.advance(30_000)
      const twofa = account.totp ? { twofa: totp(seed) } : {}
      await signIn(ports, { email: person.email, password: person.password, ...twofa })
    })
  })
})
