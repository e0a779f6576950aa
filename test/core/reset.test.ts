import { TOTP } from 'otpauth'
import { describe, expect, test } from 'vitest'
import { type CodePurpose, codeText, newCode } from '../../core/credentials/codes.ts'
import { finishRecovery, resetPassword } from '../../core/credentials/reset.ts'
import { DomainError } from '../../core/errors.ts'
import { readDefaultKey } from '../../core/keys/default-key.ts'
import type { Identity, Ports } from '../../core/ports.ts'
import { keys, recoveryKey } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import { codeOf, EMAIL, openAccountWorld, PASSWORD } from '../machine/account-world.ts'
import { interleaved } from '../machine/quota-world.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const NEW = 'Changed-horse1!'
const OTHER = 'Another-horse1!'
const SEED = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
const HELD = { holderEmail: EMAIL }

async function open(change: Item = HELD) {
  const world = await openAccountWorld(change)
  const { id, ports, set, account, profile, nowMs } = world
  const works = async (password: string) => (await ports.identity.signIn(id, password)) !== undefined
  return {
    ...world,
    works,
    totp: { seed: JSON.stringify([id, SEED]), lastStep: 0, recovery: {} },
    appCode: () => new TOTP({ secret: SEED }).generate({ timestamp: nowMs() }),
    async mailed(purpose: CodePurpose = 'reset-password') {
      const { lookup, item } = newCode(ports, purpose, id)
      await ports.table.put(item)
      await set({ [purpose === 'finish-recovery' ? 'recoveryCode' : 'resetCode']: lookup })
      return codeText(ports, purpose, id, lookup)
    },
    reset: (code: string, more: Partial<Parameters<typeof resetPassword>[1]> = {}, through: Ports = ports) =>
      resetPassword(through, { code, password: NEW, ...more }),
    finish: (code: string, password = NEW, through: Ports = ports) =>
      finishRecovery(through, { code, password }),
    with: (identity: Partial<Identity>) => ({ ...ports, identity: { ...ports.identity, ...identity } }),
    defaultKey: async () => readDefaultKey(ports, await account()),
    passwords: async () => [await works(PASSWORD), await works(NEW), await works(OTHER)],
    generation: async () => (await profile()).generation,
  }
}

describe('a reset of the password', () => {
  test('sets it with a mailed code, ends every session, and the owner is told', async () => {
    const { mailed, reset, passwords, announced, profile, set } = await open()
    await set({
      devices: ['x'],
      networks: ['x', 'y'],
      pendingEmail: 'x@example.com',
      recovery: { beganAtMs: 1 },
    })
    const code = await mailed()
    expect(await announced(() => reset(code))).toMatchObject({
      events: expect.arrayContaining([['account.access_changed', { what: 'password' }]]),
      notices: expect.arrayContaining(['password-reset', 'recovery-stopped']),
    })
    const now = await profile()
    expect([await passwords(), now.sessions, now.generation]).toEqual([[false, true, false], {}, 1])
    for (const name of ['devices', 'pendingEmail', 'recovery', 'changingUntilMs'])
      expect(now).not.toHaveProperty(name)
    // From now on the network that has shown the code alone is the owner's.
    expect(now.networks).toEqual([expect.stringMatching(/^[\w-]{11}$/)])
  })

  test('is answered alike when it is sent again, and no other request can use the code', async () => {
    const { mailed, reset, passwords, announced, generation, advance } = await open()
    const code = await mailed()
    await reset(code)
    const nothing = { events: [], notices: [], audit: [] }
    expect(await announced(() => reset(code))).toEqual(nothing)
    expect(await codeOf(reset(code, { password: OTHER }))).toBe('invalid_code')
    await mailed()
    // Whatever has replaced the code since, the answer is that of the first time.
    expect(await codeOf(reset(code))).toBe('done')
    advance(70 * MINUTE_MS - 1)
    expect(await codeOf(reset(code))).toBe('done')
    advance(1)
    expect(await codeOf(reset(code))).toBe('invalid_code')
    expect([await passwords(), await generation()]).toEqual([[false, true, false], 1])
  })

  test('takes the newest code alone, within ten minutes', async () => {
    const { mailed, reset, advance } = await open()
    const old = await mailed()
    const code = await mailed()
    expect(await codeOf(reset(old))).toBe('invalid_code')
    const other = await mailed('finish-recovery')
    expect(await codeOf(reset(other))).toBe('invalid_code')
    advance(10 * MINUTE_MS)
    expect(await codeOf(reset(code))).toBe('invalid_code')
    expect(await codeOf(reset(await mailed('invitation')))).toBe('done')
  })

  test('needs a code of the app where two-factor authentication is on, and uses it up', async () => {
    const { mailed, reset, set, totp, appCode, passwords, profile } = await open()
    await set({ totp })
    const code = await mailed()
    expect(await codeOf(reset(code))).toBe('two_factor_required')
    expect(await codeOf(reset(code, { twofa: '123' }))).toBe('two_factor_invalid')
    expect(await passwords()).toEqual([true, false, false])
    const twofa = appCode()
    await reset(code, { twofa })
    expect(await passwords()).toEqual([false, true, false])
    expect((await profile()).totp).toMatchObject({ seed: totp.seed, lastStep: expect.any(Number) })
    // The same request again is a repeat, whose code need not be new.
    expect(await codeOf(reset(code, { twofa }))).toBe('done')
    expect(await codeOf(reset(await mailed(), { twofa }))).toBe('two_factor_invalid')
  })

  test('makes a deactivated account active again, unless its sender does not want that', async () => {
    const { mailed, reset, profile, announced, passwords } = await open({ ...HELD, status: 'deactivated' })
    const code = await mailed()
    expect(await codeOf(reset(code, { restore: false }))).toBe('account_deactivated')
    expect(await passwords()).toEqual([true, false, false])
    const told = await announced(() => reset(code))
    expect(told.notices?.sort()).toEqual(['password-reset', 'restored'])
    expect((await profile()).status).toBe('active')
  })

  test('undoes a deletion', async () => {
    const deleted = { ...HELD, status: 'deactivated', eraseAtMs: Date.UTC(2026, 11, 21) }
    const { mailed, reset, profile, announced } = await open(deleted)
    const code = await mailed()
    expect((await announced(() => reset(code))).notices).toContain('deletion-undone')
    expect((await profile()).status).toBe('active')
    expect(await profile()).not.toHaveProperty('eraseAtMs')
  })

  test.each([
    ['suspended', 'account_suspended'],
    ['erased', 'invalid_code'],
    ['pending', 'invalid_code'],
  ])('of an account that is %s: %s', async (status, expected) => {
    const { mailed, reset, passwords } = await open({ ...HELD, status })
    expect(await codeOf(reset(await mailed()))).toBe(expected)
    expect(await passwords()).toEqual([true, false, false])
  })

  test('replaces every key that somebody may have read before the owner held the account, and no other', async () => {
    const replaces = async (change: Item) => {
      const { mailed, reset, defaultKey, profile } = await open(change)
      const before = await defaultKey()
      await reset(await mailed())
      expect((await profile()).holderEmail).toBe(EMAIL)
      return (await defaultKey()) !== before
    }
    expect(await replaces({})).toBe(true)
    expect(await replaces({ holderEmail: 'former@example.com' })).toBe(true)
    expect(await replaces(HELD)).toBe(false)
    expect(await replaces({ paid: true })).toBe(false)
    const factor = await open({})
    await factor.set({ totp: factor.totp })
    const before = await factor.defaultKey()
    await factor.reset(await factor.mailed(), { twofa: factor.appCode() })
    expect(await factor.defaultKey()).toBe(before)
  })

  test('that the vault refuses leaves the code as it was, and nobody is told', async () => {
    const { mailed, reset, with: through, passwords, items, profile } = await open()
    const code = await mailed()
    const refusing = through({ setPassword: () => Promise.reject(new DomainError('password_refused')) })
    expect(await codeOf(reset(code, {}, refusing))).toBe('password_refused')
    expect([await items('NOTICE#'), (await profile()).changingUntilMs]).toEqual([[], undefined])
    expect(await codeOf(reset(code, { password: OTHER }))).toBe('done')
    expect(await passwords()).toEqual([false, false, true])
  })

  test('that an outage has cut off is the code’s only request, and can be finished for an hour', async () => {
    const { mailed, reset, with: through, passwords, advance, announced } = await open()
    const code = await mailed()
    const broken = through({ setPassword: () => Promise.reject(new Error('an outage')) })
    await expect(reset(code, {}, broken)).rejects.toThrow('an outage')
    await expect(reset(code)).rejects.toMatchObject({
      code: 'temporarily_unavailable',
      retryAfterSeconds: 30,
    })
    advance(30_000)
    expect(await codeOf(reset(code, { password: OTHER }))).toBe('invalid_code')
    advance(30 * MINUTE_MS)
    const told = await announced(() => reset(code))
    // The first try has told the owner.
    expect(told.notices).toEqual([])
    expect(await passwords()).toEqual([false, true, false])
  })

  test('of two copies at once is done once, and both are answered alike', async () => {
    const { mailed, reset, ports, announced, passwords } = await open()
    const code = await mailed()
    const during = interleaved(ports, 'transact', 1, () => reset(code))
    expect((await announced(() => reset(code, {}, during))).notices).toEqual(['password-reset'])
    expect(await passwords()).toEqual([false, true, false])
  })

  test('begins again if something else of the account has changed, and ends if the code was used', async () => {
    const { mailed, reset, ports, profile, set, passwords } = await open()
    const code = await mailed()
    const change = interleaved(ports, 'transact', 1, async () => {
      await set({ generation: Number((await profile()).generation) + 1 })
    })
    expect(await codeOf(reset(code, {}, change))).toBe('done')
    const next = await mailed()
    const used = interleaved(ports, 'transact', 1, async () => {
      const key = keys.code(next.slice(0, 16))
      await ports.table.put({ ...(await ports.table.get(key)), usedBy: 'another' } as never)
    })
    expect(await codeOf(reset(next, { password: OTHER }, used))).toBe('invalid_code')
    expect(await passwords()).toEqual([false, true, false])
  })

  test('trusts the address again whose mail came back', async () => {
    const undeliverable = { [EMAIL]: { reason: 'bounced', atMs: 1 } }
    const { mailed, reset, profile } = await open({ ...HELD, undeliverable })
    await reset(await mailed())
    expect((await profile()).undeliverable ?? {}).toEqual({})
  })
})

describe('finishing a recovery', () => {
  async function begun(hours = 72) {
    const world = await open()
    const beganAtMs = world.nowMs()
    await world.set({ totp: world.totp, passkeys: {}, recovery: { beganAtMs } })
    await world.ports.table.put({ ...recoveryKey(world.id), beganAtMs, daysTold: 0 })
    world.advance(hours * HOUR_MS)
    return { ...world, beganAtMs }
  }

  test('sets the password, switches the factors off, replaces every key and tells the owner', async () => {
    const { mailed, finish, passwords, profile, announced, defaultKey, ports, id, beganAtMs } = await begun()
    const before = await defaultKey()
    const code = await mailed('finish-recovery')
    const told = await announced(() => finish(code))
    expect(told.notices?.sort()).toEqual(['keys-replaced', 'recovered'])
    const now = await profile()
    for (const name of ['totp', 'passkeys', 'recovery', 'changingUntilMs'])
      expect(now).not.toHaveProperty(name)
    expect([await passwords(), now.sessions, now.recoveredFrom]).toEqual([
      [false, true, false],
      {},
      beganAtMs,
    ])
    expect(await defaultKey()).not.toBe(before)
    expect(await ports.table.get(recoveryKey(id))).toBeUndefined()
  })

  test('is answered alike when it is sent again, and no other request can use the code', async () => {
    const { mailed, finish, announced, passwords, defaultKey } = await begun()
    const code = await mailed('finish-recovery')
    await finish(code)
    const key = await defaultKey()
    expect(await announced(() => finish(code))).toEqual({ events: [], notices: [], audit: [] })
    expect(await codeOf(finish(code, OTHER))).toBe('invalid_code')
    expect([await passwords(), await defaultKey()]).toEqual([[false, true, false], key])
  })

  test('is refused before 72 hours are over, once it was stopped, and after seven days', async () => {
    const early = await begun(0)
    early.advance(72 * HOUR_MS - 1)
    const code = await early.mailed('finish-recovery')
    expect(await codeOf(early.finish(code))).toBe('invalid_code')
    early.advance(1)
    expect(await codeOf(early.finish(code))).toBe('done')
    const stopped = await begun()
    const late = await stopped.mailed('finish-recovery')
    await stopped.set({ recovery: undefined })
    expect(await codeOf(stopped.finish(late))).toBe('invalid_code')
    const over = await begun(0)
    over.advance(7 * DAY_MS)
    expect(await codeOf(over.finish(await over.mailed('finish-recovery')))).toBe('invalid_code')
    for (const { passwords } of [stopped, over]) expect(await passwords()).toEqual([true, false, false])
  })

  test('takes no code that resets a password', async () => {
    const { mailed, finish } = await begun()
    expect(await codeOf(finish(await mailed()))).toBe('invalid_code')
  })

  test('that is stopped meanwhile is not finished', async () => {
    const { mailed, finish, ports, set, passwords } = await begun()
    const code = await mailed('finish-recovery')
    const during = interleaved(ports, 'transact', 1, () => set({ recovery: undefined }))
    expect(await codeOf(finish(code, NEW, during))).toBe('invalid_code')
    expect(await passwords()).toEqual([true, false, false])
  })

  test('that the vault refuses costs no other 72 hours', async () => {
    const { mailed, finish, with: through, passwords, profile } = await begun()
    const code = await mailed('finish-recovery')
    const refusing = through({ setPassword: () => Promise.reject(new DomainError('password_refused')) })
    expect(await codeOf(finish(code, NEW, refusing))).toBe('password_refused')
    expect((await profile()).recovery).toBeDefined()
    expect(await codeOf(finish(code, OTHER))).toBe('done')
    expect(await passwords()).toEqual([false, false, true])
  })

  test('that an outage has cut off is finished by the same request, and tells nobody again', async () => {
    const { mailed, finish, with: through, advance, announced, passwords, profile } = await begun()
    const code = await mailed('finish-recovery')
    const broken = through({ setPassword: () => Promise.reject(new Error('an outage')) })
    await expect(finish(code, NEW, broken)).rejects.toThrow('an outage')
    advance(MINUTE_MS)
    expect((await announced(() => finish(code))).notices).toEqual([])
    expect([await passwords(), (await profile()).recovery]).toEqual([[false, true, false], undefined])
  })

  test('of a deactivated account makes it active again', async () => {
    const { mailed, finish, set, profile } = await begun()
    await set({ status: 'deactivated' })
    await finish(await mailed('finish-recovery'))
    expect((await profile()).status).toBe('active')
  })
})
