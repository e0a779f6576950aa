import { TOTP } from 'otpauth'
import { describe, expect, test } from 'vitest'
import { newChallenge, openChallenge } from '../../core/credentials/passkey-challenge.ts'
import {
  isCounterNew,
  passkeyFactor,
  proveByPasskey,
  signInByPasskey,
} from '../../core/credentials/passkey-sign-in.ts'
import {
  addPasskey,
  assertionOptions,
  attestationOptions,
  listPasskeys,
  passkeyId,
  removePasskey,
  renamePasskey,
} from '../../core/credentials/passkeys.ts'
import {
  isProvedBy,
  isRecentSession,
  proofMacs,
  proveRequest,
  proveSession,
  requireRecentSession,
} from '../../core/credentials/proof.ts'
import { removeTwoFactor } from '../../core/credentials/two-factor.ts'
import { codeOf, ORIGIN, openAccountWorld, PASSWORD, SESSION } from '../machine/account-world.ts'
import { interleaved } from '../machine/quota-world.ts'
import { type AuthenticatorOptions, type Lie, newAuthenticator } from '../support/authenticator.ts'

const MINUTE_MS = 60_000
const SEED = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'

async function open(options: Partial<AuthenticatorOptions> = {}) {
  const world = await openAccountWorld()
  const { id, ports, caller, account, profile, nowMs } = world
  const device = newAuthenticator({ origin: ORIGIN, ...options })
  const attest = async () => device.create(attestationOptions(ports, await account()))
  const answer = (lie: Lie = {}, nth = device.passkeys.length - 1) =>
    device.get(assertionOptions(ports), lie, device.passkeys[nth]) as never
  return {
    ...world,
    ...{ device, attest, answer },
    add: async (name = 'phone', through = ports) =>
      addPasskey(through, await caller(), { name, answer: (await attest()) as never }),
    signIn: (given = answer(), through = ports, userAgent?: string) =>
      signInByPasskey(through, given, userAgent),
    prove: async (given = answer()) => proveByPasskey(ports, await caller(), given),
    totp: { seed: JSON.stringify([id, SEED]), lastStep: 0, recovery: {} },
    appCode: () => new TOTP({ secret: SEED }).generate({ timestamp: nowMs() }),
    stored: async () =>
      Object.values(
        ((await profile()).passkeys ?? {}) as Record<string, { counter: number; lastUsedAtMs?: number }>,
      ),
  }
}

describe('a new passkey', () => {
  test('is listed, ends all other sessions, and the owner is told', async () => {
    const { add, account, announced, set, profile, nowMs } = await open()
    await set({ sessions: { ...((await profile()).sessions as object), other: { sinceMs: 1, provedMs: 1 } } })
    const told = await announced(() => add('phone'))
    expect(told).toMatchObject({ notices: ['passkey-added'], audit: ['account.passkey-added'] })
    expect(listPasskeys(await account())).toEqual([
      {
        ...{ id: expect.any(String), name: 'phone', credentialId: expect.any(String), synced: true },
        ...{ createdAtMs: nowMs(), lastUsedAtMs: undefined },
      },
    ])
    expect(Object.keys((await profile()).sessions as object)).toEqual([SESSION])
  })

  test('has the id that its credential has', async () => {
    const { add } = await open()
    const { id, credentialId } = await add()
    expect(id).toBe(passkeyId(credentialId))
  })

  test('stands beside the others, oldest first', async () => {
    const { add, account, advance } = await open()
    for (const name of ['c', 'a', 'b']) {
      await add(name)
      advance(1000)
    }
    expect(listPasskeys(await account()).map(({ name }) => name)).toEqual(['c', 'a', 'b'])
  })

  test('is made once by an answer, whose repeat gets it again and tells nobody', async () => {
    const { attest, ports, caller, announced } = await open()
    const answer = (await attest()) as never
    const add = async (name: string, through = ports) => addPasskey(through, await caller(), { name, answer })
    const first = await add('phone')
    const told = await announced(async () => expect(await add('other')).toEqual(first))
    expect(told).toEqual({ events: [], notices: [], audit: [] })
  })

  test('of two copies at once is made once, and both get it', async () => {
    const { attest, ports, caller, announced, account } = await open()
    const answer = (await attest()) as never
    const add = async (through = ports) => addPasskey(through, await caller(), { name: 'phone', answer })
    let first: unknown
    const during = interleaved(ports, 'transact', 1, async () => {
      first = await add()
    })
    const told = await announced(async () => expect(await add(during)).toEqual(first))
    expect(told.notices).toEqual(['passkey-added'])
    expect(listPasskeys(await account())).toHaveLength(1)
  })

  test('is none for an answer that is too late, for another account, or used for another passkey', async () => {
    const { attest, ports, caller, advance, device, account } = await open()
    const add = async (answer: unknown) =>
      codeOf(addPasskey(ports, await caller(), { name: 'x', answer: answer as never }))
    const late = await attest()
    advance(5 * MINUTE_MS - 1)
    const intime = await attest()
    advance(1)
    expect(await add(late)).toBe('invalid_passkey')
    expect(await add(intime)).toBe('done')
    const options = attestationOptions(ports, await account())
    expect(await add(device.create({ ...options, challenge: assertionOptions(ports).challenge }))).toBe(
      'invalid_passkey',
    )
    const [one, two] = [device.create(options), device.create(options)]
    expect([await add(one), await add(two)]).toEqual(['done', 'invalid_passkey'])
    expect(
      await add(device.create(attestationOptions(ports, { ...(await account()), id: '0'.repeat(24) }))),
    ).toBe('invalid_passkey')
  })

  test('that another request has added is not this one’s', async () => {
    const { attest, ports, caller, set, profile, add } = await open()
    await add()
    const answer = (await attest()) as never
    await addPasskey(ports, await caller(), { name: 'x', answer })
    const passkeys = (await profile()).passkeys as Record<string, object>
    const madeBy = Object.fromEntries(
      Object.entries(passkeys).map(([id, each]) => [id, { ...each, madeBy: 'another' }]),
    )
    await set({ passkeys: madeBy })
    expect(await codeOf(addPasskey(ports, await caller(), { name: 'x', answer }))).toBe('invalid_passkey')
  })

  test('is the tenth at most, however many options were asked for before', async () => {
    const { add, attest, ports, caller } = await open()
    for (let n = 0; n < 9; n++) await add()
    const early = (await attest()) as never
    await add()
    expect(await codeOf(add())).toBe('passkey_limit_reached')
    expect(await codeOf(addPasskey(ports, await caller(), { name: 'x', answer: early }))).toBe(
      'passkey_limit_reached',
    )
  })

  test('names the service, the user and the passkeys that there are, in its options', async () => {
    const { add, ports, account, id } = await open()
    const { credentialId } = await add()
    expect(attestationOptions(ports, await account())).toEqual({
      challenge: expect.any(String),
      rp: { id: 'app.example', name: 'Acme' },
      user: { id: Buffer.from(id).toString('base64url'), name: 'ada@example.com', displayName: 'ada' },
      pubKeyCredParams: expect.arrayContaining([{ alg: -7, type: 'public-key' }]),
      timeout: 5 * MINUTE_MS,
      excludeCredentials: [{ id: credentialId, type: 'public-key' }],
      authenticatorSelection: {
        ...{ residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
      },
      attestation: 'none',
    })
    expect(assertionOptions(ports)).toEqual({
      ...{ challenge: expect.any(String), rpId: 'app.example', timeout: 5 * MINUTE_MS },
      ...{ userVerification: 'required', allowCredentials: [] },
    })
  })
})

describe('a passkey', () => {
  test('is renamed, and no other one', async () => {
    const { add, ports, caller, account } = await open()
    const one = await add('one')
    await add('two')
    const renamed = await renamePasskey(ports, await caller(), one.id, 'new')
    expect(renamed).toEqual({ ...one, name: 'new' })
    expect(
      listPasskeys(await account())
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['new', 'two'])
    expect(await codeOf(renamePasskey(ports, await caller(), 'unknown', 'x'))).toBe('not_found')
    expect(await codeOf(renamePasskey(ports, await caller(), '__proto__', 'x'))).toBe('not_found')
  })

  test('is removed once; a repeat is no error, and other sessions end', async () => {
    const { add, ports, caller, account, announced, set, profile } = await open()
    const [one, two] = [await add('one'), await add('two')]
    await set({ sessions: { ...((await profile()).sessions as object), other: { sinceMs: 1, provedMs: 1 } } })
    const remove = async (id: string) => removePasskey(ports, await caller(), id)
    const told = await announced(() => remove(one.id))
    expect(told).toEqual({
      events: [['account.access_changed', { what: 'passkey-removed', passkeyId: one.id }]],
      ...{ notices: ['passkey-removed'], audit: ['account.passkey-removed'] },
    })
    expect(listPasskeys(await account())).toEqual([two])
    expect(Object.keys((await profile()).sessions as object)).toEqual([SESSION])
    expect(await announced(() => remove(one.id))).toEqual({ events: [], notices: [], audit: [] })
    expect(await codeOf(remove('unknown'))).toBe('not_found')
    await remove(two.id)
    expect(await codeOf(remove(one.id))).toBe('not_found')
  })
})

describe('a sign-in by passkey', () => {
  test('begins a session with both factors, and notes the use', async () => {
    const { add, signIn, profile, stored, nowMs, advance, revoked, answer, ports } = await open()
    await add()
    advance(1000)
    const { accessToken, refreshToken } = await signIn(
      answer(),
      ports,
      'Mozilla/5.0 (X11; Linux) Firefox/130',
    )
    expect([accessToken, refreshToken, revoked]).toEqual(['access-1', 'refresh-1', []])
    expect((await profile()).sessions).toMatchObject({
      'signed-in-1': { sinceMs: nowMs(), provedMs: nowMs(), device: 'Firefox on Linux', factor: true },
    })
    expect(await stored()).toMatchObject([{ counter: 0, lastUsedAtMs: nowMs() }])
  })

  test('takes an answer once', async () => {
    const { add, signIn, answer, revoked, profile } = await open()
    await add()
    const given = answer()
    await signIn(given)
    expect(await codeOf(signIn(given))).toBe('passkey_refused')
    expect(revoked).toEqual(['refresh-2'])
    expect(Object.keys((await profile()).sessions as object)).toHaveLength(2)
  })

  test.each([
    ['of nobody', { userHandle: null }],
    ['of an account that there is not', { userHandle: Buffer.from('0'.repeat(24)).toString('base64url') }],
    ['of text that is no account', { userHandle: Buffer.from('x').toString('base64url') }],
    ['with a challenge that is none of ours', { challenge: 'eA' }],
    ['of another page', { origin: 'https://evil.example' }],
    ['of a user whom the device has not checked', { userVerified: false }],
    ['with another credential’s id', { id: 'eA' }],
    ['that is synced now and was not', { synced: false }],
  ] as [string, Lie][])('is refused for an answer %s, and no token is made', async (_, lie) => {
    const { add, signIn, answer, ports } = await open()
    await add()
    let made = 0
    const identity = {
      ...ports.identity,
      async signInVerified() {
        made += 1
        return undefined
      },
    }
    expect(await codeOf(signIn(answer(lie), { ...ports, identity }))).toBe('passkey_refused')
    expect(made).toBe(0)
  })

  test('is refused after five minutes, and for a passkey that was removed', async () => {
    const { add, signIn, answer, advance, ports, caller } = await open()
    const { id } = await add()
    const given = answer()
    advance(5 * MINUTE_MS)
    expect(await codeOf(signIn(given))).toBe('passkey_refused')
    const late = answer()
    await removePasskey(ports, await caller(), id)
    expect(await codeOf(signIn(late))).toBe('passkey_refused')
  })

  test.each([
    ['suspended', {}, 'account_suspended'],
    ['deactivated', {}, 'account_deactivated'],
    ['pending', {}, 'passkey_refused'],
    ['erased', {}, 'passkey_refused'],
    ['active', { erasing: true }, 'passkey_refused'],
  ])('of an account that is %s %j: %s', async (status, change, expected) => {
    const { add, signIn, set, revoked } = await open()
    await add()
    await set({ status, ...change })
    expect(await codeOf(signIn())).toBe(expected)
    expect(revoked).toEqual([])
  })

  test('of an account that the vault does not have is refused', async () => {
    const { add, signIn, ports, id } = await open()
    await add()
    await ports.identity.remove(id)
    expect(await codeOf(signIn())).toBe('passkey_refused')
  })

  test('that a new password overtakes is refused, and its tokens are revoked', async () => {
    const { add, signIn, answer, ports, profile, set, revoked } = await open()
    await add()
    const during = interleaved(ports, 'transact', 1, async () => {
      await set({ generation: Number((await profile()).generation) + 1 })
    })
    expect(await codeOf(signIn(answer(), during))).toBe('passkey_refused')
    expect(revoked).toEqual(['refresh-1'])
  })

  test('whose counter does not grow is that of a copy, and the operator learns of it', async () => {
    const { add, signIn, answer, stored, lines, id } = await open({ synced: false })
    await add()
    await signIn(answer({ counter: 5 }))
    expect(await stored()).toMatchObject([{ counter: 5 }])
    for (const counter of [5, 4, 0]) expect(await codeOf(signIn(answer({ counter })))).toBe('passkey_refused')
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(3)
    expect(lines[0]).toMatchObject({ accountId: id, what: expect.stringContaining('may be a copy') })
    expect(await codeOf(signIn(answer({ counter: 6 })))).toBe('done')
  })

  test.each([
    [0, 0, true],
    [0, 1, true],
    [1, 2, true],
    [1, 1, false],
    [2, 1, false],
    [1, 0, false],
  ])('after the counter %i takes %i: %s', (stored, sent, expected) => {
    expect(isCounterNew(stored, sent)).toBe(expected)
  })
})

describe('a session is recent', () => {
  test('for ten minutes after its user has proved who they are', async () => {
    const { ports, caller, advance } = await open()
    const is = async () => isRecentSession(ports, await caller())
    advance(10 * MINUTE_MS)
    expect(await is()).toBe(true)
    advance(1)
    expect(await is()).toBe(false)
    expect(isRecentSession(ports, await caller('unknown'))).toBe(false)
  })

  test('or else says which proof it needs', async () => {
    const { ports, caller, advance, set, add, totp } = await open()
    advance(10 * MINUTE_MS + 1)
    const detailOf = async () => {
      const asked = await caller()
      try {
        requireRecentSession(ports, asked)
        return 'recent'
      } catch (error) {
        return (error as { detail: string }).detail
      }
    }
    expect(await detailOf()).toMatch(/^This needs your password.*sign in again\.$/)
    await add()
    expect(await detailOf()).toMatch(/^This needs your password.* takes a passkey, too\.$/)
    await set({ totp })
    expect(await detailOf()).toMatch(/^This needs a code of the authenticator app.* takes a passkey, too\.$/)
    await set({ passkeys: {} })
    expect(await detailOf()).toMatch(/^This needs a code.*sign in again\.$/)
  })

  test('again by a passkey, whose answer may be sent again as long as it is', async () => {
    const { add, answer, prove, ports, caller, advance, profile, announced, nowMs } = await open()
    await add()
    advance(11 * MINUTE_MS)
    const given = answer()
    await prove(given)
    expect((await profile()).sessions).toMatchObject({ [SESSION]: { provedMs: nowMs(), factor: true } })
    expect(isRecentSession(ports, await caller())).toBe(true)
    expect(await announced(() => prove(given))).toEqual({ events: [], notices: [], audit: [] })
    expect(
      await codeOf(prove(answer({ userHandle: Buffer.from('0'.repeat(24)).toString('base64url') }))),
    ).toBe('passkey_refused')
    // An answer need not say whose it is where that is known.
    expect(await codeOf(prove(answer({ userHandle: null })))).toBe('done')
    advance(11 * MINUTE_MS)
    expect(await codeOf(prove(given))).toBe('passkey_refused')
  })

  test('again by the password; a wrong one counts, and its tokens are revoked at once', async () => {
    const { ports, caller, advance, revoked, profile, nowMs } = await open()
    advance(11 * MINUTE_MS)
    const prove = async (proof: { password?: string; twofa?: string }) =>
      proveSession(ports, await caller(), proof)
    expect(await codeOf(prove({}))).toBe('reauthentication_required')
    expect(await codeOf(prove({ password: 'Wrong-horse1!' }))).toBe('wrong_password')
    expect(revoked).toEqual([])
    await prove({ password: PASSWORD })
    expect(revoked).toEqual(['refresh-1'])
    const { sessions } = await profile()
    expect(sessions).toMatchObject({ [SESSION]: { provedMs: nowMs() } })
    expect((sessions as Record<string, object>)[SESSION]).not.toHaveProperty('factor')
  })

  test('by no guess beyond eight from a network that is not its owner’s, nor by the right password then', async () => {
    const { ports, caller, account, advance } = await open()
    let shown = 0
    const identity = {
      ...ports.identity,
      signIn(accountId: string, password: string) {
        shown += 1
        return ports.identity.signIn(accountId, password)
      },
    }
    const prove = async (password: string) =>
      codeOf(proveSession({ ...ports, identity }, await caller(), { password }))
    for (let n = 0; n < 10; n++) expect(await prove('Wrong-horse1!')).toBe('wrong_password')
    expect([shown, await prove(PASSWORD), shown]).toEqual([8, 'wrong_password', 8])
    advance(16 * MINUTE_MS)
    expect(await prove(PASSWORD)).toBe('done')
    // A right one begins the count again.
    for (let n = 0; n < 7; n++) await prove('Wrong-horse1!')
    expect(await prove(PASSWORD)).toBe('done')
    const locked = { ...identity, signIn: async () => 'locked' as const }
    const refused = proveSession({ ...ports, identity: locked }, await caller(), { password: PASSWORD })
    await expect(refused).rejects.toMatchObject({ code: 'password_locked' })
    expect((await account()).sessions).toHaveProperty(SESSION)
  })

  test('again by a code where two-factor authentication is on, and by no password alone', async () => {
    const { ports, caller, advance, set, totp, appCode, profile, announced } = await open()
    await set({ totp })
    advance(11 * MINUTE_MS)
    const prove = async (proof: { password?: string; twofa?: string }) =>
      proveSession(ports, await caller(), proof)
    expect(await codeOf(prove({ password: PASSWORD }))).toBe('two_factor_required')
    const code = appCode()
    expect(await codeOf(prove({ password: 'Wrong-horse1!', twofa: code }))).toBe('wrong_password')
    await prove({ password: PASSWORD, twofa: code })
    expect((await profile()).sessions).toMatchObject({ [SESSION]: { factor: true } })
    expect(await announced(() => prove({ twofa: code }))).toEqual({ events: [], notices: [], audit: [] })
    expect(await codeOf(prove({ password: 'Wrong-horse1!', twofa: code }))).toBe('wrong_password')
    expect(isProvedBy(await caller(), proofMacs(ports, await caller(), code))).toBe(true)
    expect(isProvedBy(await caller(), proofMacs(ports, await caller(), '000000'))).toBe(false)
    advance(11 * MINUTE_MS)
    expect(await codeOf(prove({ twofa: code }))).toBe('two_factor_invalid')
  })

  test('by the password with which the request before has switched two factors on, while it is recent', async () => {
    const { ports, caller, set, totp, advance } = await open()
    await set({ totp })
    const prove = async (password: string) => proveRequest(ports, await caller(), { password })
    expect(await codeOf(prove(PASSWORD))).toBe('done')
    expect(await codeOf(prove('Wrong-horse1!'))).toBe('wrong_password')
    expect(await codeOf(proveRequest(ports, await caller(), { password: PASSWORD, twofa: '1' }))).toBe(
      'two_factor_invalid',
    )
    advance(11 * MINUTE_MS)
    expect(await codeOf(prove(PASSWORD))).toBe('two_factor_required')
  })

  test('from then on for the rest of the same request, with the factor that proved it', async () => {
    const { ports, caller, set, totp, appCode, nowMs, advance } = await open()
    advance(11 * MINUTE_MS)
    const byPassword = await caller()
    await proveSession(ports, byPassword, { password: PASSWORD })
    expect(byPassword.account.sessions[SESSION]).toEqual({ sinceMs: expect.any(Number), provedMs: nowMs() })
    await set({ totp })
    const byCode = await caller()
    await proveSession(ports, byCode, { twofa: appCode() })
    expect(byCode.account.sessions[SESSION]).toMatchObject({ factor: true, provedBy: expect.any(String) })
  })

  test('no more if it has ended meanwhile, or the account has changed hands', async () => {
    const { ports, caller, set, profile } = await open()
    const ending = interleaved(ports, 'update', 1, () => set({ sessions: {} }))
    const asked = await caller()
    expect(await codeOf(proveSession(ending, asked, { password: PASSWORD }))).toBe('session_ended')
    const other = await open()
    const changing = interleaved(other.ports, 'update', 1, () => other.set({ generation: 9 }))
    expect(await codeOf(proveSession(changing, await other.caller(), { password: PASSWORD }))).toBe(
      'session_ended',
    )
    expect((await profile()).sessions).toEqual({})
  })

  test('and a recovery ends with a factor that proves it, as its owner learns', async () => {
    const { add, prove, set, announced, profile } = await open()
    await add()
    await set({ recovery: { beganAtMs: 1000 }, recoveryCode: 'x' })
    expect((await announced(() => prove())).notices).toEqual(['recovery-stopped'])
    expect(await profile()).not.toHaveProperty('recovery')
  })
})

describe('a passkey in place of a code', () => {
  test('switches two-factor authentication off, and stays; a repeat is no error', async () => {
    const { add, answer, ports, caller, set, totp, profile, stored, nowMs } = await open()
    await add()
    await set({ totp })
    const factor = passkeyFactor(ports, answer())
    const remove = async (given = factor) => removeTwoFactor(ports, await caller(), given)
    await remove()
    expect(await profile()).not.toHaveProperty('totp')
    expect(await stored()).toMatchObject([{ lastUsedAtMs: nowMs() }])
    expect(await codeOf(remove())).toBe('done')
    await set({ totp })
    expect(await codeOf(remove())).toBe('passkey_refused')
  })
})

describe('a challenge', () => {
  test('is answered by its purpose, within five minutes, and by text that is none never', async () => {
    const { ports, advance } = await open()
    const text = newChallenge(ports, 'a')
    const data = (challenge: unknown) => Buffer.from(JSON.stringify({ challenge })).toString('base64url')
    expect(openChallenge(ports, 'a', data(text))).toMatchObject({
      text,
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
    })
    expect(openChallenge(ports, 'b', data(text))).toBeUndefined()
    for (const other of [data('x'), data(7), 'rubbish', '', Buffer.from('{').toString('base64url')])
      expect(openChallenge(ports, 'a', other)).toBeUndefined()
    advance(5 * MINUTE_MS - 1)
    expect(openChallenge(ports, 'a', data(text))?.text).toBe(text)
    advance(1)
    expect(openChallenge(ports, 'a', data(text))).toBeUndefined()
  })
})
