import { TOTP } from 'otpauth'
import { describe, expect, test } from 'vitest'
import { changePassword } from '../../core/credentials/password.ts'
import {
  endEverySession,
  endSession,
  refreshSession,
  restoreAccount,
  type SignInInput,
  signIn,
  signOut,
  signOutAccount,
  staleSessions,
} from '../../core/credentials/sessions.ts'
import { DomainError } from '../../core/errors.ts'
import { readDefaultKey } from '../../core/keys/default-key.ts'
import type { Identity, Ports } from '../../core/ports.ts'
import { keys, OUT_EVENT_PREFIX } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import { codeOf, EMAIL, openAccountWorld, PASSWORD, SESSION } from '../machine/account-world.ts'
import { interleaved } from '../machine/quota-world.ts'
import { keyringOf } from '../support/keyrings.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const SEED = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
const FIREFOX = 'Mozilla/5.0 (X11; Linux) Firefox/130'
const WRONG = 'Wrong-horse1!'

async function open(change: Item = {}) {
  const world = await openAccountWorld(change)
  const { id, ports, profile, nowMs } = world
  return {
    ...world,
    totp: { seed: JSON.stringify([id, SEED]), lastStep: 0, recovery: {} },
    appCode: (steps = 0) => new TOTP({ secret: SEED }).generate({ timestamp: nowMs() + steps * 30_000 }),
    signIn: (input: Partial<SignInInput> = {}, through: Ports = ports, userAgent?: string) =>
      signIn(through, { email: EMAIL, password: PASSWORD, ...input }, userAgent),
    restore: (input: Partial<SignInInput> = {}, through: Ports = ports) =>
      restoreAccount(through, { email: EMAIL, password: PASSWORD, ...input }),
    sessions: async () => (await profile()).sessions as Record<string, Item>,
    with: (identity: Partial<Identity>) => ({ ...ports, identity: { ...ports.identity, ...identity } }),
  }
}

describe('a sign-in', () => {
  test('by address or name, however these are spelled, begins a session and shows its tokens', async () => {
    const { ports, sessions, profile, nowMs, advance } = await open()
    advance(1000)
    const told = await signIn(ports, { email: 'ADA@example.com', password: PASSWORD }, FIREFOX)
    expect(told).toEqual({ accessToken: 'access-1', refreshToken: 'refresh-1', expiresInSeconds: 900 })
    await signIn(ports, { username: 'Ada', password: PASSWORD })
    expect(await sessions()).toMatchObject({
      [SESSION]: {},
      'signed-in-1': { sinceMs: nowMs(), provedMs: nowMs(), device: 'Firefox on Linux' },
      'signed-in-2': { sinceMs: nowMs(), provedMs: nowMs() },
    })
    for (const name of ['factor', 'device'])
      expect((await sessions())['signed-in-2']).not.toHaveProperty(name)
    expect((await profile()).lastLoginAtMs).toBe(nowMs())
  })

  test('with a wrong password or an unknown name is refused alike, and costs the same calls', async () => {
    const { ports, revoked } = await open()
    const callsOf = async (input: SignInInput) => {
      const calls: string[] = []
      const table = new Proxy(ports.table, {
        get: (object, name, receiver) => {
          const call = Reflect.get(object, name, receiver)
          return typeof call === 'function'
            ? (...args: unknown[]) => {
                calls.push(String(name))
                return call.apply(object, args)
              }
            : call
        },
      })
      let shown = 0
      const identity = {
        ...ports.identity,
        signIn(accountId: string, password: string) {
          shown += 1
          return ports.identity.signIn(accountId, password)
        },
      }
      expect(await codeOf(signIn({ ...ports, table, identity }, input))).toBe('invalid_credentials')
      return [shown, calls.sort()]
    }
    const wrong = await callsOf({ email: EMAIL, password: WRONG })
    expect(wrong).toEqual([1, ['get', 'list', 'list', 'update', 'update']])
    for (const unknown of [{ email: 'nobody@example.com' }, { username: 'nobody' }, {}])
      expect(await callsOf({ ...unknown, password: PASSWORD })).toEqual(wrong)
    expect(revoked).toEqual([])
  })

  test('after five wrong passwords waits a second, and forgets them with the right one', async () => {
    const { signIn, advance, memory, items } = await open()
    const tries = () => memory.get(keys.passwordTries(keys.emailGuard(EMAIL)))
    for (let n = 0; n < 5; n++) expect(await codeOf(signIn({ password: WRONG }))).toBe('invalid_credentials')
    expect(await codeOf(signIn())).toBe('password_locked')
    advance(1000)
    expect(await tries()).toBeDefined()
    await signIn()
    expect(await tries()).toBeUndefined()
    const entry = (await items('AUDIT#')).find(({ action }) => action === 'account.signed-in')
    expect(entry).toMatchObject({ by: 'owner', after: { isNewDevice: true, wrongPasswordsBefore: 5 } })
  })

  test('whose user the vault has locked looks like a wrong password', async () => {
    const { signIn, with: through } = await open()
    expect(await codeOf(signIn({}, through({ signIn: async () => 'locked' })))).toBe('invalid_credentials')
  })

  test.each([
    ['suspended', 'account_suspended'],
    ['deactivated', 'account_deactivated'],
    ['erased', 'invalid_credentials'],
    ['pending', 'invalid_credentials'],
  ])('to an account that is %s is refused, and its tokens are revoked', async (status, expected) => {
    const { signIn, revoked, sessions } = await open({ status })
    expect(await codeOf(signIn())).toBe(expected)
    expect(revoked).toEqual(['refresh-1'])
    expect(Object.keys(await sessions())).toEqual([SESSION])
  })

  test('asks for a code where two-factor authentication is on, and uses it up', async () => {
    const { signIn, set, totp, appCode, revoked, sessions } = await open()
    await set({ totp })
    expect(await codeOf(signIn())).toBe('two_factor_required')
    expect(await codeOf(signIn({ twofa: '123' }))).toBe('two_factor_invalid')
    expect(revoked).toEqual(['refresh-1', 'refresh-2'])
    const twofa = appCode()
    await signIn({ twofa })
    expect((await sessions())['signed-in-3']).toMatchObject({ factor: true })
    expect(await codeOf(signIn({ twofa }))).toBe('two_factor_invalid')
  })

  test('with a code ends a recovery, and without a second factor one goes on', async () => {
    const recovery = { beganAtMs: 1000 }
    const { signIn, set, totp, appCode, profile, announced } = await open({ recovery })
    await signIn()
    expect((await profile()).recovery).toEqual(recovery)
    await set({ totp })
    expect((await announced(() => signIn({ twofa: appCode() }))).notices).toContain('recovery-stopped')
    expect(await profile()).not.toHaveProperty('recovery')
  })

  test('is not finished after a change of the password that has overtaken it', async () => {
    for (const change of [{ generation: 7 }, { status: 'suspended' }, { changingUntilMs: 1e15 }]) {
      const { signIn, set, ports, revoked } = await open()
      const during = interleaved(ports, 'transact', 1, () => set(change))
      expect(await codeOf(signIn({}, during))).toBe('invalid_credentials')
      expect(revoked).toEqual(['refresh-1'])
    }
    const ended = await open({ changingUntilMs: Date.UTC(2026, 10, 21, 12) })
    expect(await codeOf(ended.signIn())).toBe('done')
  })

  test('that an outage ends has no session: the tokens are revoked', async () => {
    const { signIn, ports, revoked } = await open()
    const broken = {
      ...ports,
      table: { ...ports.table, transact: () => Promise.reject(new Error('an outage')) },
    }
    await expect(signIn({}, broken)).rejects.toThrow('an outage')
    expect(revoked).toEqual(['refresh-1'])
  })

  test('seals the default key again where the root secret has changed', async () => {
    const { signIn, ports, account, profile } = await open()
    const before = readDefaultKey(ports, await account())
    const sealed = (await profile()).defaultKey
    await signIn()
    expect((await profile()).defaultKey).toBe(sealed)
    const keyring = keyringOf(`${'6'.repeat(64)},${'5'.repeat(64)}`)
    await signIn({}, { ...ports, keyring })
    expect((await profile()).defaultKey).not.toBe(sealed)
    expect(readDefaultKey({ ...ports, keyring: keyringOf('6'.repeat(64)) }, await account())).toBe(before)
  })
})

describe('the devices of an account', () => {
  test('are remembered by name, the newest first, 20 at most, and the owner is told of a new one', async () => {
    const { signIn, ports, profile, announced } = await open()
    const told = (userAgent?: string) => announced(() => signIn({}, ports, userAgent))
    expect((await told(FIREFOX)).notices).toEqual([])
    expect((await told(FIREFOX)).notices).toEqual([])
    expect((await told('curl/8')).notices).toEqual(['new-sign-in'])
    expect((await told()).notices).toEqual(['new-sign-in'])
    expect((await told()).notices).toEqual([])
    expect((await profile()).devices).toEqual(['unnamed', 'curl', 'Firefox on Linux'])
    const known = Array.from({ length: 20 }, (_, n) => `device ${n}`)
    await ports.table.put({ ...(await profile()), devices: known } as never)
    await signIn({}, ports, 'curl/8')
    expect((await profile()).devices).toEqual(['curl', ...known.slice(0, 19)])
  })

  test('are stored once by two sign-ins at once, and neither fails', async () => {
    const { signIn, ports, profile, sessions } = await open()
    const during = interleaved(ports, 'transact', 1, () => signIn({}, ports, 'curl/8'))
    await signIn({}, during, FIREFOX)
    expect((await profile()).devices).toEqual(['Firefox on Linux', 'curl'])
    expect(Object.keys(await sessions())).toHaveLength(3)
  })

  test('come with their network, by which the owner is known', async () => {
    const { signIn, ports, profile } = await open()
    await signIn()
    expect((await profile()).networks).toEqual([expect.stringMatching(/^[\w-]{11}$/)])
    const elsewhere = { ...ports, origin: { by: 'anyone', ip: '198.51.100.7' } } as Ports
    await signIn({}, elsewhere)
    expect((await profile()).networks).toHaveLength(2)
    await signIn({}, { ...ports, origin: { by: 'system' } } as Ports)
    expect((await profile()).networks).toHaveLength(2)
  })
})

describe('strangers’ passwords', () => {
  const from = (ports: Ports, ip: string) => ({ ...ports, origin: { by: 'anyone', ip } }) as Ports

  test('are shown to the vault eight times, and then only what comes from the owner’s network', async () => {
    const { signIn, ports, id } = await open()
    await signIn()
    const shown: string[] = []
    const identity = {
      ...ports.identity,
      signIn(accountId: string, password: string) {
        shown.push(accountId)
        return ports.identity.signIn(accountId, password)
      },
    }
    for (let n = 0; n < 10; n++)
      await codeOf(signIn({ password: WRONG }, from({ ...ports, identity }, `198.51.${n}.7`)))
    expect(shown.filter((each) => each === id)).toHaveLength(8)
    // Those that the vault must not see are shown as those of nobody.
    expect(new Set(shown.slice(8)).size).toBe(1)
    expect(await codeOf(signIn({}, from(ports, '198.51.77.7')))).toBe('invalid_credentials')
    expect(await codeOf(signIn())).toBe('done')
  })

  test('that are right begin the count again', async () => {
    const { signIn, ports } = await open()
    for (let n = 0; n < 7; n++) await codeOf(signIn({ password: WRONG }, from(ports, `198.51.${n}.7`)))
    expect(await codeOf(signIn({}, from(ports, '198.51.8.7')))).toBe('done')
    for (let n = 9; n < 17; n++) await codeOf(signIn({ password: WRONG }, from(ports, `198.51.${n}.7`)))
    expect(await codeOf(signIn({}, from(ports, '198.51.8.7')))).toBe('done')
  })
})

describe('sessions that a sign-in drops', () => {
  const deps = (nowMs: number, sessionsSinceMs?: number) =>
    ({ clock: { nowMs: () => nowMs }, ...(sessionsSinceMs !== undefined && { sessionsSinceMs }) }) as never
  const session = (sinceMs: number) => ({ sinceMs, provedMs: sinceMs })

  test('are those beyond 20 with the new one, the oldest first', () => {
    const sessions = Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`s${n}`, session(1000 + n)]))
    expect(staleSessions(deps(2000), sessions)).toEqual(['s1', 's0'])
    const { s0: _, s1: __, ...nineteen } = sessions
    expect(staleSessions(deps(2000), nineteen)).toEqual([])
  })

  test('are those that are over, and those of before a restore', () => {
    const sessions = { old: session(1000), new: session(1001) }
    expect(staleSessions(deps(1000 + 30 * DAY_MS), sessions)).toEqual(['old'])
    expect(staleSessions(deps(2000, 1001), sessions)).toEqual(['old'])
    expect(staleSessions(deps(2000, 1000), sessions)).toEqual([])
  })

  test('are gone with it', async () => {
    const { signIn, sessions, set } = await open()
    await set({ sessions: { old: session(1) } })
    await signIn()
    expect(Object.keys(await sessions())).toEqual(['signed-in-1'])
  })
})

describe('undoing a deletion', () => {
  const DELETED = { status: 'deactivated', eraseAtMs: Date.UTC(2026, 11, 21) }

  test('is what a sign-in does, and the owner is told', async () => {
    const { signIn, profile, announced } = await open(DELETED)
    const told = await announced(() => signIn())
    expect(told.events).toEqual([['account.restored', { undoesDeletion: true }]])
    expect(told.notices).toEqual(['deletion-undone'])
    expect(await profile()).toMatchObject({ status: 'active' })
    expect(await profile()).not.toHaveProperty('eraseAtMs')
  })

  test('uses up the code of the sign-in, and its session begins all the same', async () => {
    const { signIn, set, totp, appCode, sessions, profile, revoked } = await open(DELETED)
    await set({ totp, pendingEmail: 'x@example.com' })
    expect(await codeOf(signIn())).toBe('two_factor_required')
    expect((await profile()).status).toBe('deactivated')
    const twofa = appCode()
    await signIn({ twofa })
    expect(Object.keys(await sessions())).toContain('signed-in-2')
    expect(await profile()).not.toHaveProperty('pendingEmail')
    expect(await codeOf(signIn({ twofa }))).toBe('two_factor_invalid')
    expect(revoked).toEqual(['refresh-1', 'refresh-3'])
  })
})

describe('restoring an account', () => {
  const OFF = { status: 'deactivated' }

  test('makes it active, begins no session, and tells the owner once', async () => {
    const { restore, profile, sessions, revoked, announced } = await open({ ...OFF, sessions: {} })
    const told = await announced(() => restore())
    expect(told).toMatchObject({
      ...{ events: [['account.restored', { undoesDeletion: false }]], notices: ['restored'] },
    })
    expect([(await profile()).status, await sessions(), revoked]).toEqual(['active', {}, ['refresh-1']])
    expect((await announced(() => restore())).notices).toEqual([])
    expect(revoked).toHaveLength(2)
  })

  test('of an active account changes nothing but what a code is used up for', async () => {
    const { restore, set, totp, appCode, profile, sessions, announced } = await open()
    expect((await announced(() => restore())).notices).toEqual([])
    await set({ totp })
    const twofa = appCode()
    await restore({ twofa })
    expect((await profile()).totp).toMatchObject({ lastStep: expect.any(Number) })
    // The same code again is a repeat, and another request’s code is used up.
    expect(await codeOf(restore({ twofa }))).toBe('done')
    expect(await codeOf(restore({ twofa: '123' }))).toBe('two_factor_invalid')
    expect(Object.keys(await sessions())).toEqual([SESSION])
  })

  test('is refused while it is suspended, and with a wrong password', async () => {
    const { restore, revoked } = await open({ status: 'suspended' })
    expect(await codeOf(restore())).toBe('account_suspended')
    expect(revoked).toEqual(['refresh-1'])
    const other = await open(OFF)
    expect(await codeOf(other.restore({ password: WRONG }))).toBe('invalid_credentials')
    expect((await other.profile()).status).toBe('deactivated')
  })

  test('is done once by two copies at once, and neither fails', async () => {
    const { restore, ports, set, totp, appCode, announced, profile } = await open(OFF)
    await set({ totp })
    const twofa = appCode()
    const during = interleaved(ports, 'transact', 1, () => restore({ twofa }))
    expect((await announced(() => restore({ twofa }, during))).notices).toEqual(['restored'])
    expect((await profile()).status).toBe('active')
  })

  test('uses up its code although another request has restored the account meanwhile', async () => {
    const { restore, ports, set, totp, appCode, profile } = await open(OFF)
    await set({ totp })
    const [first, second] = [appCode(), appCode(1)]
    const during = interleaved(ports, 'transact', 1, () => restore({ twofa: first }))
    await restore({ twofa: second }, during)
    expect(await codeOf(restore({ twofa: first }))).toBe('two_factor_invalid')
    expect((await profile()).status).toBe('active')
  })

  test('is refused if the password or the status has changed meanwhile', async () => {
    for (const change of [{ generation: 9 }, { status: 'suspended' }]) {
      const { restore, ports, set } = await open(OFF)
      const during = interleaved(ports, 'transact', 1, () => set(change))
      expect(await codeOf(restore({}, during))).toBe('invalid_credentials')
    }
  })
})

describe('refreshing a session', () => {
  const refreshing = (world: Awaited<ReturnType<typeof open>>, sessionId = SESSION) =>
    world.with({
      refresh: async (refreshToken) =>
        refreshToken === 'live'
          ? { accountId: world.id, sessionId, accessToken: 'a', refreshToken, expiresInSeconds: 900 }
          : undefined,
    })

  test('gives a new access token, and notes once an hour that the session was seen', async () => {
    const world = await open()
    const { advance, sessions, nowMs } = world
    const refresh = () => refreshSession(refreshing(world), 'live')
    expect(await refresh()).toEqual({ accessToken: 'a', refreshToken: 'live', expiresInSeconds: 900 })
    advance(HOUR_MS - 1)
    await refresh()
    expect((await sessions())[SESSION]).not.toHaveProperty('seenMs')
    advance(1)
    await refresh()
    const seenMs = nowMs()
    expect((await sessions())[SESSION]).toMatchObject({ seenMs })
    advance(HOUR_MS - 1)
    await refresh()
    expect((await sessions())[SESSION]).toMatchObject({ seenMs })
    advance(1)
    await refresh()
    expect((await sessions())[SESSION]).toMatchObject({ seenMs: seenMs + HOUR_MS })
  })

  test('is refused for a token that the vault does not know, and for a session that has ended', async () => {
    const world = await open()
    expect(await codeOf(refreshSession(refreshing(world), 'other'))).toBe('session_ended')
    expect(await codeOf(refreshSession(refreshing(world, 'another'), 'live'))).toBe('session_ended')
    await world.set({ status: 'suspended' })
    expect(await codeOf(refreshSession(refreshing(world), 'live'))).toBe('account_suspended')
  })

  test('is refused if the session ends meanwhile', async () => {
    const world = await open()
    world.advance(HOUR_MS)
    const during = interleaved(refreshing(world), 'update', 1, () => world.set({ sessions: {} }))
    expect(await codeOf(refreshSession(during, 'live'))).toBe('session_ended')
    const broken = { ...refreshing(world), table: { ...world.ports.table } }
    await world.set({ sessions: { [SESSION]: { sinceMs: 1, provedMs: 1 } } })
    broken.table.update = () => Promise.reject(new Error('an outage'))
    await expect(refreshSession(broken, 'live')).rejects.toThrow('an outage')
  })
})

describe('signing out', () => {
  const other = { sinceMs: 1, provedMs: 1 }

  async function opened(claims: 'session' | 'ended' | 'none' = 'session') {
    const world = await open()
    await world.set({ sessions: { [SESSION]: { sinceMs: world.nowMs(), provedMs: 1 }, other } })
    const sessionId = claims === 'session' ? SESSION : 'ended'
    const expiresAtSec = world.nowMs() / 1000 + 900
    const readClaims = async () =>
      claims !== 'none' ? { accountId: world.id, sessionId, expiresAtSec } : undefined
    const through = world.with({
      refresh: async (refreshToken) =>
        refreshToken.startsWith('of ')
          ? {
              ...{ accountId: world.id, sessionId: refreshToken.slice(3), refreshToken },
              ...{ accessToken: 'a', expiresInSeconds: 900 },
            }
          : undefined,
    })
    return {
      ...world,
      out: (refreshToken?: string, everywhere = false) =>
        signOut(through, { refreshToken, readClaims, everywhere }),
      left: async () => Object.keys(await world.sessions()).sort(),
    }
  }

  test('ends the session of the refresh token, or else that of the access token; a repeat is no error', async () => {
    const { out, left, announced } = await opened()
    const told = await announced(() => out('of other'))
    expect([await left(), told.audit]).toEqual([[SESSION], ['account.signed-out']])
    expect((await announced(() => out('of other'))).audit).toEqual([])
    await out()
    expect(await left()).toEqual([])
  })

  test('everywhere ends every session, with what one of them has begun', async () => {
    const { out, left, set, profile, announced } = await opened()
    await set({ pendingEmail: 'x@example.com', resetCode: 'x', recovery: { beganAtMs: 1 } })
    const told = await announced(() => out(undefined, true))
    expect([await left(), told.audit]).toEqual([[], ['account.signed-out-everywhere']])
    for (const name of ['pendingEmail', 'resetCode', 'recovery'])
      expect(await profile()).not.toHaveProperty(name)
    expect(await codeOf(out(undefined, true))).toBe('done')
  })

  test('everywhere is refused for a session that has ended while another lives, and alone it is no error', async () => {
    const { out, left } = await opened('ended')
    expect(await codeOf(out(undefined, true))).toBe('session_ended')
    expect(await codeOf(out())).toBe('done')
    expect(await left()).toEqual(['other', SESSION])
  })

  test('needs a token that Bursar knows', async () => {
    const { out } = await opened('none')
    await expect(out()).rejects.toMatchObject({
      ...{ code: 'unauthorized', detail: expect.stringContaining('refreshToken') },
    })
    expect(await codeOf(out('unknown'))).toBe('session_ended')
  })

  test('is nothing for an account that nobody has', async () => {
    const { out, set } = await opened()
    await set({ status: 'erased' })
    expect(await codeOf(out('of other'))).toBe('session_ended')
  })

  test('by an operator ends all, leaves a recovery, and is told', async () => {
    const { ports, id, left, set, profile, announced, items } = await opened()
    await set({ recovery: { beganAtMs: 1 }, pendingEmail: 'x@example.com' })
    const told = await announced(async () => expect(await signOutAccount(ports, id, 'stolen')).toBe(2))
    expect(told).toMatchObject({ notices: ['signed-out'] })
    expect([await left(), (await profile()).recovery]).toEqual([[], { beganAtMs: 1 }])
    expect(await profile()).not.toHaveProperty('pendingEmail')
    const entry = (await items('AUDIT#')).find(({ action }) => action === 'operator.signed_out')
    expect(entry).toMatchObject({ reason: 'stolen', before: { sessions: 2 }, after: { sessions: 0 } })
    const again = await announced(async () => expect(await signOutAccount(ports, id, 'stolen')).toBe(0))
    expect(again).toEqual({ events: [], notices: [], audit: [] })
    expect(await codeOf(signOutAccount(ports, '0'.repeat(24), 'x'))).toBe('not_found')
  })

  test('ends one session or all of an account as it was read', async () => {
    const { ports, account, left, items } = await opened()
    await endSession(ports, await account(), 'other')
    expect(await left()).toEqual([SESSION])
    await endEverySession(ports, await account())
    expect(await left()).toEqual([])
    expect((await items('AUDIT#')).map(({ by }) => by)).toEqual(['owner', 'owner'])
  })
})

describe('a change of the password', () => {
  const NEW = 'Changed-horse1!'

  async function changing(change: Item = {}) {
    const world = await open(change)
    const { ports, caller, signIn } = world
    return {
      ...world,
      change: async (input: Partial<Parameters<typeof changePassword>[2]> = {}, through: Ports = ports) =>
        changePassword(through, await caller(), { newPassword: NEW, oldPassword: PASSWORD, ...input }),
      works: async (password: string) => (await codeOf(signIn({ password }))) === 'done',
    }
  }

  test('ends every session, forgets the devices, and the owner is told; the old password works no more', async () => {
    const { change, works, profile, announced, set } = await changing()
    await set({ devices: ['x'], pendingEmail: 'x@example.com', importedPassword: 'x' })
    expect(await announced(() => change())).toEqual({
      events: [['account.access_changed', { what: 'password' }]],
      ...{ notices: ['password-changed'], audit: ['account.password-changed'] },
    })
    const now = await profile()
    expect([now.sessions, now.generation]).toEqual([{}, 1])
    for (const name of ['devices', 'pendingEmail', 'importedPassword', 'changingUntilMs'])
      expect(now).not.toHaveProperty(name)
    expect([await works(PASSWORD), await works(NEW)]).toEqual([false, true])
  })

  test('needs the old password, or a session that is recent', async () => {
    const { change, works, advance } = await changing()
    expect(await codeOf(change({ oldPassword: WRONG }))).toBe('wrong_password')
    advance(10 * MINUTE_MS + 1)
    expect(await codeOf(change({ oldPassword: undefined }))).toBe('reauthentication_required')
    expect(await works(PASSWORD)).toBe(true)
    const recent = await changing()
    expect(await codeOf(recent.change({ oldPassword: undefined }))).toBe('done')
  })

  test('needs a code where two-factor authentication is on, in place of the old password', async () => {
    const { change, set, totp, appCode, advance } = await changing()
    await set({ totp })
    advance(11 * MINUTE_MS)
    expect(await codeOf(change())).toBe('two_factor_required')
    const twofa = appCode()
    expect(await codeOf(change({ oldPassword: WRONG, twofa }))).toBe('wrong_password')
    expect(await codeOf(change({ oldPassword: undefined, twofa }))).toBe('done')
  })

  test('may set the name, and replace every key', async () => {
    const { change, profile, account, ports } = await changing()
    const before = readDefaultKey(ports, await account())
    await change({ name: 'Ada Lovelace' })
    expect([(await profile()).name, readDefaultKey(ports, await account())]).toEqual(['Ada Lovelace', before])
    const other = await changing()
    const read = readDefaultKey(other.ports, await other.account())
    await other.change({ replaceKeys: true })
    expect(readDefaultKey(other.ports, await other.account())).not.toBe(read)
    expect((await other.profile()).keysReplacedIn).toBe(1)
  })

  test('that the vault refuses is no change: sign-ins may finish, and nobody is told', async () => {
    const { change, works, with: through, profile, items } = await changing()
    const refusing = through({ setPassword: () => Promise.reject(new DomainError('password_refused')) })
    expect(await codeOf(change({}, refusing))).toBe('password_refused')
    expect(await profile()).not.toHaveProperty('changingUntilMs')
    expect(await items('NOTICE#')).toEqual([])
    expect(await items(OUT_EVENT_PREFIX)).toEqual([])
    expect((await items('AUDIT#')).map(({ action }) => action)).toContain('account.password-refused')
    expect(await works(PASSWORD)).toBe(true)
  })

  test('that an outage of the vault leaves open keeps sign-ins and other changes out for half a minute', async () => {
    const { change, works, with: through, profile, nowMs, advance, set } = await changing()
    const broken = through({ setPassword: () => Promise.reject(new Error('an outage')) })
    await expect(change({}, broken)).rejects.toThrow('an outage')
    expect((await profile()).changingUntilMs).toBe(nowMs() + 30_000)
    expect(await works(PASSWORD)).toBe(false)
    await set({ sessions: { [SESSION]: { sinceMs: nowMs(), provedMs: nowMs() } } })
    advance(28_500)
    await expect(change()).rejects.toMatchObject({ code: 'temporarily_unavailable', retryAfterSeconds: 2 })
    advance(1500)
    expect(await works(PASSWORD)).toBe(true)
    expect(await codeOf(change())).toBe('done')
  })

  test('of an account that the vault does not have yet makes its user', async () => {
    const { change, works, ports, id } = await changing({ unenrolled: true })
    await change()
    expect(await works(NEW)).toBe(true)
    expect(await ports.identity.signIn(id, NEW)).toBeDefined()
  })

  test('that is sent again after its session has ended is answered alike, if the password is that', async () => {
    const { change, ports, caller } = await changing()
    const asked = await caller()
    await change()
    const again = (input: object) =>
      codeOf(changePassword(ports, asked, { newPassword: NEW, oldPassword: PASSWORD, ...input }))
    expect(await again({})).toBe('done')
    expect(await again({ newPassword: 'Another-horse1!' })).toBe('session_ended')
    expect(await again({ name: 'Ada' })).toBe('session_ended')
    expect(await again({ replaceKeys: true })).toBe('session_ended')
    const other = await changing()
    const before = await other.caller()
    const input = { newPassword: NEW, oldPassword: PASSWORD, name: 'Ada', replaceKeys: true }
    for (let copy = 0; copy < 2; copy++)
      expect(await codeOf(changePassword(other.ports, before, input))).toBe('done')
  })

  test('that replaces the keys begins again if a key is made meanwhile, and that one goes, too', async () => {
    const { change, ports, set, profile } = await changing()
    const during = interleaved(ports, 'transact', 1, async () => {
      await set({ keyCount: 2, nextKeySlot: 2 })
    })
    await change({ replaceKeys: true }, during)
    expect(await profile()).toMatchObject({ keyCount: 1, nextKeySlot: 3, generation: 1 })
  })
})
