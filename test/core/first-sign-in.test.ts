import { describe, expect, test } from 'vitest'
import { importUsers } from '../../core/account/import.ts'
import { answerMailRequests, requestMail } from '../../core/credentials/mail-requests.ts'
import { resetPassword } from '../../core/credentials/reset.ts'
import { signIn } from '../../core/credentials/sessions.ts'
import { DomainError } from '../../core/errors.ts'
import type { Identity, Ports } from '../../core/ports.ts'
import { keys } from '../../core/table/keys.ts'
import { codeOf, openAccountWorld, PASSWORD } from '../machine/account-world.ts'
import { WHOLE_RUN } from '../machine/faults.ts'
import { cheapHash } from '../machine/import-flows.ts'
import { interleaved } from '../machine/quota-world.ts'
import { keyringOf } from '../support/keyrings.ts'

/* The first sign-in of an account that was imported with the hash of its password. */

const BOB = 'bob@example.com'
const WRONG = 'Wrong-horse1!'
const NEW = 'Changed-horse1!'

async function open(passwordHash = cheapHash(PASSWORD)) {
  const world = await openAccountWorld()
  const { ports, memory, mails } = world
  const user = { email: BOB, username: 'bob', passwordHash }
  const [result] = await importUsers(ports, [user], { reason: 'moving house', dryRun: false, invite: false })
  if (result?.status !== 'imported') throw new Error(`the import says ${result?.status}`)
  const { id } = result
  const calls: string[] = []
  const counted = (own: Partial<Identity> = {}): Ports => ({
    ...ports,
    identity: new Proxy(
      { ...ports.identity, ...own },
      {
        get: (object, name, receiver) => {
          const call = Reflect.get(object, name, receiver)
          return (...args: unknown[]) => {
            calls.push(String(name))
            return call.apply(object, args)
          }
        },
      },
    ),
  })
  return {
    ...world,
    ...{ id, calls, counted },
    signIn: (password = PASSWORD, through = counted()) => signIn(through, { email: BOB, password }),
    imported: async () => (await memory.get(keys.profile(id))) ?? {},
    tries: () => memory.get(keys.passwordTries(keys.emailGuard(BOB))),
    set: async (change: object) =>
      memory.put({ ...(await memory.get(keys.profile(id))), ...change } as never),
    async reset() {
      await requestMail(ports, 'reset-password', BOB)
      await answerMailRequests(ports, WHOLE_RUN)
      const code = /\b[0-9a-f]{32}\b/.exec(mails.at(-1)?.text ?? '')?.[0] ?? ''
      await resetPassword(ports, { code, password: NEW })
    },
  }
}

const LEFT = ['importedPassword', 'unenrolled', 'changingUntilMs']

describe('the password of before', () => {
  test('signs in, gives the vault its user, and then no hash is left', async () => {
    const { signIn, imported, calls, id, ports } = await open()
    expect(await imported()).toHaveProperty('unenrolled')
    expect(await signIn()).toMatchObject({ accessToken: expect.any(String) })
    for (const name of LEFT) expect(await imported()).not.toHaveProperty(name)
    expect(Object.keys((await imported()).sessions as object)).toHaveLength(1)
    expect(calls).toEqual(['signIn', 'enroll', 'signIn'])
    expect(await ports.identity.signIn(id, PASSWORD)).toBeDefined()
    calls.length = 0
    await signIn()
    expect(calls).toEqual(['signIn'])
  })

  test('that the vault knows already is not set again', async () => {
    const { signIn, imported, calls, id, ports } = await open()
    await ports.identity.enroll(id, PASSWORD)
    await signIn()
    expect(calls).toEqual(['signIn'])
    for (const name of LEFT) expect(await imported()).not.toHaveProperty(name)
  })

  test('is looked at while the vault is asked, and a wrong one makes the same calls as for any name', async () => {
    const { signIn, calls, imported, tries } = await open()
    expect(await codeOf(signIn(WRONG))).toBe('invalid_credentials')
    expect(calls).toEqual(['signIn'])
    expect(await imported()).toHaveProperty('importedPassword')
    expect(await tries()).toMatchObject({ tries: 1 })
  })

  test('forgets wrong ones, and after five none is looked at', async () => {
    const { signIn, tries, calls, advance } = await open()
    for (let n = 0; n < 5; n++) expect(await codeOf(signIn(WRONG))).toBe('invalid_credentials')
    calls.length = 0
    expect(await codeOf(signIn())).toBe('password_locked')
    expect(calls).toEqual([])
    advance(1000)
    await signIn()
    expect(await tries()).toBeUndefined()
  })

  test('is wrong once the root secret is lost that sealed its hash', async () => {
    const { signIn, counted, imported } = await open()
    const lost = { ...counted(), keyring: keyringOf('7'.repeat(64)) }
    expect(await codeOf(signIn(PASSWORD, lost))).toBe('invalid_credentials')
    expect(await imported()).toHaveProperty('importedPassword')
  })

  test('is wrong while the vault has locked the user, and an outage of the vault says nothing', async () => {
    const { signIn, counted, imported, tries } = await open()
    expect(await codeOf(signIn(PASSWORD, counted({ signIn: async () => 'locked' })))).toBe(
      'invalid_credentials',
    )
    const outage = new DomainError('temporarily_unavailable')
    const broken = counted({ signIn: () => Promise.reject(outage) })
    expect(await codeOf(signIn(PASSWORD, broken))).toBe('temporarily_unavailable')
    expect([await tries(), (await imported()).changingUntilMs]).toEqual([undefined, undefined])
    expect(await codeOf(signIn())).toBe('done')
  })

  test('that is shorter than passwords may be by now needs a code, and keeps nobody out', async () => {
    const { signIn, counted, imported } = await open()
    const refusing = counted({ enroll: () => Promise.reject(new DomainError('password_refused')) })
    await expect(signIn(PASSWORD, refusing)).rejects.toMatchObject({
      ...{ code: 'password_refused', detail: expect.stringContaining('Your password is right, but shorter') },
    })
    expect(await imported()).not.toHaveProperty('changingUntilMs')
    expect(await imported()).toHaveProperty('importedPassword')
  })

  test('that an outage of the vault has cut off may be tried again after half a minute', async () => {
    const { signIn, counted, imported, advance, nowMs } = await open()
    const broken = counted({ enroll: () => Promise.reject(new Error('an outage')) })
    await expect(signIn(PASSWORD, broken)).rejects.toThrow('an outage')
    expect((await imported()).changingUntilMs).toBe(nowMs() + 30_000)
    advance(30_000)
    expect(await codeOf(signIn())).toBe('done')
  })

  test('of two sign-ins at once is set once, and both get in', async () => {
    const { signIn, calls, imported } = await open()
    const told = await Promise.all([codeOf(signIn()), codeOf(signIn())])
    expect(told).toEqual(['done', 'done'])
    expect(calls.filter((call) => call === 'enroll')).toHaveLength(1)
    for (const name of LEFT) expect(await imported()).not.toHaveProperty(name)
  })

  test('never comes back once a reset has set another', async () => {
    const { signIn, counted, reset, id, ports, revoked } = await open()
    const during = interleaved(counted(), 'update', 3, reset)
    expect(await codeOf(signIn(PASSWORD, during))).toBe('invalid_credentials')
    expect(await codeOf(signIn())).toBe('invalid_credentials')
    expect(await ports.identity.signIn(id, NEW)).toBeDefined()
    expect(revoked).toEqual([])
  })

  test.each(['suspended', 'erased'])('opens no account that is %s', async (status) => {
    const { signIn, set } = await open()
    await set({ status })
    expect(await codeOf(signIn())).toBe(status === 'suspended' ? 'account_suspended' : 'invalid_credentials')
  })
})

test('a hash that the table has lost part of lets nobody in, and is an error of ours', async () => {
  const { signIn, set, ports, id } = await open()
  await set({ importedPassword: ports.keyring.seal('seal:imported-password', id, 'rubbish') })
  await expect(signIn()).rejects.toThrow('A stored password hash cannot be read.')
})
