import { describe, expect, test } from 'vitest'
import { deviceName } from '../../core/credentials/device.ts'
import { signInByKey } from '../../core/credentials/key-sign-in.ts'
import { endListedSession, listSessions } from '../../core/credentials/session-list.ts'
import { strangersKey } from '../../core/credentials/stranger-tries.ts'
import { unlockAccount } from '../../core/credentials/unlock.ts'
import {
  answerTrigger,
  type CustomAuthEvent,
  verifiedAnswer,
} from '../../core/credentials/verified-sign-in.ts'
import { createKey, rotateKey } from '../../core/keys/application-keys.ts'
import { changeKeySettings } from '../../core/keys/change-settings.ts'
import { readDefaultKey } from '../../core/keys/default-key.ts'
import { limitKey } from '../../core/limits/limits.ts'
import { mailboxOf } from '../../core/limits/mailbox.ts'
import { keys } from '../../core/table/keys.ts'
import { codeOf, EMAIL, openAccountWorld, SESSION } from '../machine/account-world.ts'
import { keyringOf } from '../support/keyrings.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

async function open(others: Record<string, object> = {}) {
  const world = await openAccountWorld()
  const { set, profile, caller, ports } = world
  await set({ sessions: { ...((await profile()).sessions as object), ...others } })
  const list = async (through = ports) => listSessions(through, await caller())
  return {
    ...world,
    list,
    sessions: async () => Object.keys((await profile()).sessions as object),
    end: async (id: string, through = ports) => endListedSession(through, await caller(), id),
  }
}

describe('the list of sessions', () => {
  test('has the one seen last first, with its times and its device, and marks the caller’s own', async () => {
    const nowMs = Date.UTC(2026, 10, 21, 12)
    const session = (sinceMs: number, seenMs?: number) => ({
      sinceMs,
      provedMs: sinceMs,
      ...(seenMs && { seenMs }),
    })
    const { list } = await open({
      old: { ...session(nowMs - 5000, nowMs + 1), device: 'Firefox' },
      same: session(nowMs - 2000, nowMs),
      new: session(nowMs - 1000),
    })
    expect((await list()).map(({ id: _, ...shown }) => shown)).toEqual([
      { sinceMs: nowMs - 5000, seenMs: nowMs + 1, device: 'Firefox', isCurrent: false },
      { sinceMs: nowMs, seenMs: nowMs, device: undefined, isCurrent: true },
      { sinceMs: nowMs - 2000, seenMs: nowMs, device: undefined, isCurrent: false },
      { sinceMs: nowMs - 1000, seenMs: nowMs - 1000, device: undefined, isCurrent: false },
    ])
  })

  test('has none that is over, nor one of before a restore', async () => {
    const { list, advance, ports, nowMs } = await open()
    const restoredAt = (sessionsSinceMs: number) => Object.assign({}, ports, { sessionsSinceMs })
    expect([await list(restoredAt(nowMs())), await list(restoredAt(nowMs() + 1))]).toMatchObject([
      [{ isCurrent: true }],
      [],
    ])
    advance(30 * DAY_MS - 1)
    expect(await list()).toHaveLength(1)
    advance(1)
    expect(await list()).toEqual([])
  })

  test('names each by 32 hex digits that say nothing of it, and are another account’s nowhere', async () => {
    const [one, two] = [await open(), await open()]
    const [[first], [second]] = [await one.list(), await two.list()]
    expect(first?.id).toMatch(/^[0-9a-f]{32}$/)
    expect(second?.id).not.toBe(first?.id)
    expect((await one.list())[0]?.id).toBe(first?.id)
  })
})

describe('ending a session of the list', () => {
  const other = { sinceMs: 1_795_262_300_000, provedMs: 1 }

  test('ends that one and no other, and what it may have begun; a repeat is no error', async () => {
    const { list, end, sessions, set, profile, announced } = await open({ other, third: other })
    await set({ pendingEmail: 'x@example.com', changeCode: 'x' })
    const [, { id } = { id: '' }] = await list()
    const told = await announced(() => end(id))
    expect(told).toEqual({ events: [], notices: [], audit: ['account.signed-out'] })
    expect((await sessions()).length).toBe(2)
    expect(await sessions()).toContain(SESSION)
    for (const name of ['pendingEmail', 'changeCode']) expect(await profile()).not.toHaveProperty(name)
    expect(await announced(() => end(id))).toEqual({ events: [], notices: [], audit: [] })
    expect((await sessions()).length).toBe(2)
  })

  test('may be the caller’s own', async () => {
    const { list, end, sessions } = await open({ other })
    const own = (await list()).find(({ isCurrent }) => isCurrent)
    await end(own?.id ?? '')
    expect(await sessions()).toEqual(['other'])
  })

  test('takes no id that never named a session of the account', async () => {
    const { list, end, sessions } = await open({ other })
    const [{ id } = { id: '' }] = await list()
    const strange = (await (await open({ other })).list())[0]?.id ?? ''
    const altered = `${id.slice(0, 31)}${id.endsWith('0') ? '1' : '0'}`
    for (const wrong of [
      strange,
      altered,
      '',
      id.slice(1),
      `${id}0`,
      id.toUpperCase(),
      SESSION,
      'g'.repeat(32),
    ])
      expect([wrong, await codeOf(end(wrong))]).toEqual([wrong, wrong === id ? 'done' : 'not_found'])
    expect(await sessions()).toHaveLength(2)
  })

  test('takes an id by the root secret of before, while that is live', async () => {
    const { list, end, ports, sessions } = await open({ other })
    const [, { id } = { id: '' }] = await list()
    const both = { ...ports, keyring: keyringOf(`${'6'.repeat(64)},${'5'.repeat(64)}`) }
    expect((await list(both))[1]?.id).not.toBe(id)
    await end(id, both)
    expect(await sessions()).toEqual([SESSION])
  })
})

describe('the name of a device', () => {
  test.each([
    ['Mozilla/5.0 (Windows NT 10.0) AppleWebKit Chrome/130 Safari/537 Edg/130', 'Edge on Windows'],
    ['Mozilla/5.0 (iPhone; CPU like Mac OS X) AppleWebKit Version/18 Mobile Safari/604', 'Safari on iOS'],
    ['Mozilla/5.0 (Linux; Android 15) Chrome/130 Mobile Safari/537', 'Chrome on Android'],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:130) Firefox/130', 'Firefox on Linux'],
    ['curl/8.9', 'curl'],
    ['something on a Macintosh', 'macOS'],
    ['a stranger’s text', undefined],
    ['', undefined],
    [`${'x'.repeat(505)}curl/8.9`, 'curl'],
    [`${'x'.repeat(508)}curl/8.9`, undefined],
  ])('of %j is %s', (userAgent, name) => {
    expect(deviceName(userAgent)).toBe(name)
    expect(deviceName()).toBeUndefined()
  })
})

describe('a sign-in by application key', () => {
  async function withKey() {
    const world = await open()
    const { ports, account, profile, caller } = world
    const { id, key } = await createKey(ports, await caller(), { name: 'laptop' })
    const fresh = () => ({ ...ports, table: { ...ports.table } })
    return {
      ...world,
      ...{ keyId: id, key },
      defaultText: async () => readDefaultKey(ports, await account()) ?? '',
      signIn: (text: string, ip = '192.0.2.1') => signInByKey(fresh(), { text, ip }),
      keySessions: async () =>
        ((await profile()).keySessions ?? {}) as Record<
          string,
          { slot: number; untilMs: number; sinceMs: number }
        >,
    }
  }

  test('begins a session as long as its token, without a refresh token', async () => {
    const { signIn, key, keySessions, nowMs, announced, items, keyId } = await withKey()
    let tokens: object = {}
    const told = await announced(async () => {
      tokens = await signIn(key)
    })
    expect(tokens).toEqual({ accessToken: 'access-1', expiresInSeconds: 900 })
    expect(told.audit).toEqual(['account.key-signed-in'])
    const entry = (await items('AUDIT#')).find(({ action }) => action === 'account.key-signed-in')
    expect(entry).toMatchObject({ by: 'key', after: { key: keyId } })
    expect(await keySessions()).toEqual({
      'signed-in-1': { slot: 1, stamp: expect.any(String), sinceMs: nowMs(), untilMs: nowMs() + 900_000 },
    })
  })

  test('ends with the key, if that expires sooner', async () => {
    const { signIn, key, keySessions, nowMs, ports, caller, keyId } = await withKey()
    await changeKeySettings(ports, await caller(), keyId, { expiresAtMs: nowMs() + 5000 })
    await signIn(key)
    expect(Object.values(await keySessions())).toMatchObject([{ untilMs: nowMs() + 5000 }])
  })

  test('is refused for a key that is unknown, revoked, off or elsewhere', async () => {
    const { signIn, key, keySessions, ports, caller, keyId, defaultText } = await withKey()
    expect(await codeOf(signIn('92c85d5c-daea-447d-9eac-1d6d64d8b340'))).toBe('unauthorized')
    await changeKeySettings(ports, await caller(), keyId, { enabled: false })
    expect(await codeOf(signIn(key))).toBe('key_disabled')
    await changeKeySettings(ports, await caller(), keyId, { enabled: true, ip: ['198.51.100.0/24'] })
    expect(await codeOf(signIn(key))).toBe('ip_not_allowed')
    expect(await codeOf(signIn(key, '198.51.100.7'))).toBe('done')
    await rotateKey(ports, await caller(), keyId)
    expect(await codeOf(signIn(key, '198.51.100.7'))).toBe('unauthorized')
    expect(await codeOf(signIn(await defaultText()))).toBe('done')
    expect(
      Object.values(await keySessions())
        .map(({ slot }) => slot)
        .sort(),
    ).toEqual([0, 1])
  })

  test.each([
    ['suspended', 'account_suspended'],
    ['deactivated', 'account_deactivated'],
    ['erased', 'unauthorized'],
  ])('is refused for an account that is %s', async (status, expected) => {
    const { signIn, key, set } = await withKey()
    await set({ status })
    expect(await codeOf(signIn(key))).toBe(expected)
  })

  test('is refused for an account that the vault does not have', async () => {
    const { signIn, key, ports, id } = await withKey()
    await ports.identity.remove(id)
    expect(await codeOf(signIn(key))).toBe('unauthorized')
  })

  test('keeps 20 sessions: one more ends the one that would end first, and those that are over go', async () => {
    const { signIn, key, keySessions, advance } = await withKey()
    for (let n = 1; n <= 21; n++) {
      await signIn(key)
      advance(1000)
    }
    const names = Object.keys(await keySessions())
    expect([names.length, names.includes('signed-in-1'), names.includes('signed-in-2')]).toEqual([
      20,
      false,
      true,
    ])
    advance(16 * MINUTE_MS)
    await signIn(key)
    expect(Object.keys(await keySessions())).toEqual(['signed-in-22'])
  })
})

describe('unlocking an account', () => {
  test('lifts every count that keeps its owner out, and leaves an entry with the reason', async () => {
    const { ports, id, set, memory, profile, announced, items } = await open()
    const change = 'new@example.com'
    await set({ twofaTries: 5, emailChangesMs: [1], exportsMs: [1], recoveriesMs: [1], pendingEmail: change })
    const counted = [
      keys.passwordTries(keys.emailGuard(EMAIL)),
      keys.passwordTries(keys.usernameGuard('ada')),
      strangersKey(ports, id),
      ...[EMAIL, change].map((address) => limitKey(ports, 'confirm-to', mailboxOf(address))),
    ]
    for (const key of counted) await memory.put({ ...key, count: 1 })
    const asks = [EMAIL, change].flatMap((address) =>
      (['reset-password', 'confirm-email', 'recovery'] as const).map((purpose) => keys.ask(purpose, address)),
    )
    for (const key of asks.slice(1)) await memory.put({ ...key, sentAtMs: [1], purpose: 'x' })
    const others = keys.ask('recovery', 'other@example.com')
    await memory.put({ ...others, sentAtMs: [1] })
    const told = await announced(() => unlockAccount(ports, id, 'called us'))
    expect(told).toEqual({ events: [], notices: [], audit: ['operator.unlocked'] })
    const entry = (await items('AUDIT#')).find(({ action }) => action === 'operator.unlocked')
    expect(entry).toMatchObject({ reason: 'called us', before: { twofaTries: 5 } })
    expect((await profile()).twofaTries).toBe(0)
    for (const name of ['emailChangesMs', 'exportsMs', 'recoveriesMs'])
      expect(await profile()).not.toHaveProperty(name)
    for (const key of counted) expect(await memory.get(key)).toBeUndefined()
    expect(await memory.get(asks[0] ?? others)).toBeUndefined()
    for (const key of asks.slice(1)) expect(await memory.get(key)).toEqual({ ...key, purpose: 'x' })
    expect(await memory.get(others)).toHaveProperty('sentAtMs')
    expect(await codeOf(unlockAccount(ports, '0'.repeat(24), 'x'))).toBe('not_found')
  })
})

describe('the vault’s custom flow', () => {
  const deps = { keyring: keyringOf('5'.repeat(64)), ids: { hex: () => 'nonce' } } as never
  const ask = (step: string, request: CustomAuthEvent['request']) =>
    answerTrigger(deps, { triggerSource: step, userName: 'a1', request, response: {} })
  const define = (request: CustomAuthEvent['request']) => ask('DefineAuthChallenge_Authentication', request)
  const verify = (challengeAnswer: string | undefined, more: CustomAuthEvent['request'] = {}) =>
    ask('VerifyAuthChallengeResponse_Authentication', {
      privateChallengeParameters: { nonce: 'nonce' },
      ...(challengeAnswer !== undefined && { challengeAnswer }),
      ...more,
    })
  const right = verifiedAnswer(deps, 'a1', 'nonce')
  const challenge = { challengeName: 'CUSTOM_CHALLENGE', challengeResult: true }
  const passes = { issueTokens: true, failAuthentication: false }
  const fails = { issueTokens: false, failAuthentication: true }

  test('asks once, and ends with tokens or without', () => {
    const asked = { challengeName: 'CUSTOM_CHALLENGE', issueTokens: false, failAuthentication: false }
    expect([define({}), define({ session: [] })]).toEqual([asked, asked])
    expect(define({ session: [challenge] })).toEqual(passes)
    expect(define({ session: [challenge], userNotFound: false })).toEqual(passes)
    for (const session of [
      [{ ...challenge, challengeResult: false }],
      [{ ...challenge, challengeName: 'SRP_A' }],
      [challenge, challenge],
    ])
      expect(define({ session })).toEqual(fails)
    expect(define({ session: [challenge], userNotFound: true })).toEqual(fails)
  })

  test('sends a nonce, and takes the one answer to it', () => {
    expect(ask('CreateAuthChallenge_Authentication', {})).toEqual({
      ...{ publicChallengeParameters: { nonce: 'nonce' }, privateChallengeParameters: { nonce: 'nonce' } },
    })
    expect(verify(right)).toEqual({ answerCorrect: true })
    for (const wrong of [`${right}x`, right.slice(1), '', undefined, verifiedAnswer(deps, 'a2', 'nonce')])
      expect(verify(wrong)).toEqual({ answerCorrect: false })
    expect(verify(right, { userNotFound: true })).toEqual({ answerCorrect: false })
    expect(verify(right, { privateChallengeParameters: {} })).toEqual({ answerCorrect: false })
    expect(verify(right, { privateChallengeParameters: { nonce: 'other' } })).toEqual({
      answerCorrect: false,
    })
  })

  test('takes the answer by the root secret of before, while that is live', () => {
    const both = { keyring: keyringOf(`${'6'.repeat(64)},${'5'.repeat(64)}`), ids: {} } as never
    const event = {
      ...{ triggerSource: 'VerifyAuthChallengeResponse_Authentication', userName: 'a1', response: {} },
      request: { privateChallengeParameters: { nonce: 'nonce' }, challengeAnswer: right },
    }
    expect(answerTrigger(both, event)).toEqual({ answerCorrect: true })
  })

  test('has no other step', () => {
    expect(() => ask('PreSignUp', {})).toThrow('PreSignUp is not a step')
  })
})
